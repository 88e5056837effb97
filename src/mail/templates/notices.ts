import type { Content } from './layout.ts'

const notYou =
  'If this was not you, request a new password at once, which ends all sessions, and contact the operator of the service.'

/** After a password change. */
export const passwordChanged: Content = {
  subject: 'Your password was changed',
  before: ['The password of your account was changed. Other sessions have ended.'],
  after: [notYou],
}

/** To the previous address, after a change of the e-mail. */
export const emailChanged: Content = {
  subject: 'Your e-mail address was changed',
  before: ['Your account has a new e-mail address. Messages are no longer sent to this one.'],
  after: ['If this was not you, contact the operator of the service at once.'],
}

/** After the account was erased. */
export const accountErased: Content = {
  subject: 'Your account was erased',
  before: ['Your account was erased, with all its tasks. This is the last message.'],
  after: ['If this was not you, contact the operator of the service at once.'],
}

/** After a refresh token that was replaced was used again. */
export const refreshTokenReused: Content = {
  subject: 'A session was ended for your protection',
  before: [
    'A session of your account was ended, because an old token of it was used. Another person may have a copy of it, ' +
      'or a program restored an old state.',
  ],
  after: [`Sign in again. ${notYou}`],
}

/** After the service has disabled a webhook. */
export const webhookDisabled: Content = {
  subject: 'A webhook was disabled',
  before: [
    'A webhook of your account was disabled: its receiver failed for three days, or said that it does not exist any more. ' +
      'No change is lost: when the webhook is enabled again, it continues where it has stopped.',
  ],
  after: [
    'GET /api/webhooks shows the webhooks of your account, and why the last delivery failed.',
  ],
}

/** After a sign-up with the address of an account. */
export const accountExists: Content = {
  subject: 'You have an account already',
  before: [
    'This e-mail address was used to sign up, and has an account already. Nothing was changed.',
    'If this was you, sign in, or request a new password if you forgot it.',
  ],
  after: ['If this was not you, ignore this message.'],
}

/** After the address was entered as the new address of another account. */
export const emailTaken: Content = {
  subject: 'This address has an account already',
  before: [
    'This e-mail address was entered as the new address of another account. It has an account already, so nothing was ' +
      'changed.',
  ],
  after: ['If this was you, sign in with this address, or erase its account first.'],
}
