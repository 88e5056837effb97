import { problemResponses } from '../http/problem.ts'
import { NoBody, NoContent } from '../schema/types.ts'
import {
  AccessToken,
  Confirmation,
  Credentials,
  GrantError,
  IssuedToken,
  NewToken,
  PasswordChange,
  PasswordGrant,
  PersonalTokens,
  ProfileChanges,
  Registration,
  SessionId,
  Sessions,
  SignedIn,
  TokenId,
  User,
} from './schema.ts'

/* What each route takes and answers, and what it is called: checked, typed and documented in one. */

/** Spends the session's own budget for ending sessions, not the API's. */
const ending = { 'x-rate-limit': 'revocation' } as const

export const register = {
  body: Registration,
  response: {
    201: SignedIn,
    ...problemResponses(
      'registration-closed',
      'email-taken',
      'invalid-request',
      'weak-password',
      'too-many-attempts',
    ),
  },
  detail: { operationId: 'register', summary: 'Sign up' },
}

export const login = {
  body: Credentials,
  response: {
    200: SignedIn,
    ...problemResponses('invalid-credentials', 'invalid-request', 'too-many-attempts'),
  },
  detail: { operationId: 'login', summary: 'Sign in' },
}

export const oauthToken = {
  body: PasswordGrant,
  response: { 200: AccessToken, 400: GrantError, ...problemResponses('too-many-attempts') },
  detail: {
    operationId: 'oauthToken',
    summary: 'Sign in by the OAuth 2 password form',
    description: 'For clients that speak OAuth 2 (RFC 6749 §4.3), like the Authorize dialog.',
    'x-accepts': ['application/x-www-form-urlencoded'],
  },
}

export const readMe = {
  response: { 200: User },
  detail: { operationId: 'readMe', summary: 'Who I am' },
}

export const changeMe = {
  body: ProfileChanges,
  response: {
    200: User,
    ...problemResponses('wrong-password', 'email-taken', 'invalid-request', 'too-many-attempts'),
  },
  detail: {
    operationId: 'changeMe',
    summary: 'Change my name or e-mail',
    description: 'A new e-mail takes `current_password` too.',
  },
}

export const changePassword = {
  body: PasswordChange,
  response: {
    204: NoContent,
    ...problemResponses('wrong-password', 'weak-password', 'too-many-attempts'),
  },
  detail: {
    operationId: 'changePassword',
    summary: 'Change my password',
    description: 'Every other session ends.',
    ...ending,
  },
}

export const deleteMe = {
  body: Confirmation,
  response: {
    204: NoContent,
    ...problemResponses('wrong-password', 'invalid-request', 'too-many-attempts'),
  },
  detail: {
    operationId: 'deleteMe',
    summary: 'Erase my account, its sessions and its tasks',
  },
}

export const listSessions = {
  response: { 200: Sessions },
  detail: { operationId: 'listSessions', summary: 'Where I am signed in' },
}

export const endSessions = {
  body: NoBody,
  response: { 204: NoContent },
  detail: {
    operationId: 'endSessions',
    summary: 'Sign out everywhere, here too',
    ...ending,
  },
}

export const endSession = {
  params: SessionId,
  body: NoBody,
  response: { 204: NoContent, ...problemResponses('session-not-found') },
  detail: { operationId: 'endSession', summary: 'End one of my sessions', ...ending },
}

export const logout = {
  body: NoBody,
  response: { 204: NoContent },
  detail: { operationId: 'logout', summary: 'Sign out here', ...ending },
}

export const refresh = {
  body: NoBody,
  response: { 200: AccessToken },
  detail: {
    operationId: 'refresh',
    summary: 'A new token of the same session',
    description: 'The session ends SESSION_MAX_DAYS (30) after sign-in all the same.',
  },
}

export const createToken = {
  body: NewToken,
  response: { 201: IssuedToken, ...problemResponses('invalid-request') },
  detail: {
    operationId: 'createToken',
    summary: 'Make a personal access token',
    description:
      'For scripts: it reaches tasks as its scope allows, and tells whose it is, and nothing else. The ' +
      'token is told only here. A password change ends it, as does signing out everywhere.',
  },
}

export const listTokens = {
  response: { 200: PersonalTokens },
  detail: { operationId: 'listTokens', summary: 'My personal access tokens' },
}

export const endToken = {
  params: TokenId,
  body: NoBody,
  response: { 204: NoContent, ...problemResponses('token-not-found') },
  detail: { operationId: 'endToken', summary: 'End one of my tokens', ...ending },
}
