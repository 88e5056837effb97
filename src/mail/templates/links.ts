import type { Content } from './layout.ts'

type Link = { url: string; code: string }

/** For a forgotten password. */
export const resetPassword = (link: Link): Content => ({
  subject: 'Reset your password',
  before: [
    'A new password was requested for your account. The link is valid for one hour and works once.',
  ],
  link: { label: 'Choose a new password', ...link },
  after: ['If you did not request it, ignore this message. Your password stays the same.'],
})

/** For an account that an operator created. */
export const invitation = (link: Link): Content => ({
  subject: 'Your account',
  before: ['An account was created for you. The link is valid for one day and works once.'],
  link: { label: 'Choose your password', ...link },
  after: ['After that, sign in with this e-mail address and your password.'],
})

/** After a sign-up. */
export const verifyEmail = (link: Link): Content => ({
  subject: 'Confirm your e-mail address',
  before: [
    'Confirm that this is your e-mail address. The link is valid for one day and works once.',
  ],
  link: { label: 'Confirm the address', ...link },
  after: [
    'If you did not sign up, ignore this message. Without the link, the account cannot be used.',
  ],
})

/** To the next address of an account. */
export const verifyNewEmail = (link: Link): Content => ({
  subject: 'Confirm your new e-mail address',
  before: [
    'This address was entered as the new e-mail address of an account. The link makes the change. It is valid for one ' +
      'day and works once.',
  ],
  link: { label: 'Confirm the new address', ...link },
  after: ['If this is not your account, ignore this message.'],
})

/** After another sign-up with another password: the owner of the address chooses the password. */
export const signUpAgain = (link: Link): Content => ({
  subject: 'Choose your password',
  before: [
    'This e-mail address was used to sign up more than once, with different passwords. If this was you, choose your ' +
      'password now. The link is valid for one day and works once.',
  ],
  link: { label: 'Choose your password', ...link },
  after: [
    'If you did not sign up, ignore this message. Without the link, the account cannot be used.',
  ],
})
