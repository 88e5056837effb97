/* The part of the problem catalogue about objects of a user. */

export const objectNotFound = {
  'task-not-found': {
    status: 404,
    title: 'There is no such task',
    cause: 'The user has no task with this id, or it is in the trash.',
    cure: 'List the tasks to see their ids.',
  },
  'list-not-found': {
    status: 404,
    title: 'There is no such list',
    cause: 'The user has no list with this id.',
    cure: 'List the lists to see their ids.',
  },
  'session-not-found': {
    status: 404,
    title: 'There is no such session',
    cause: 'The user has no live session with this id.',
    cure: 'List the sessions to see their ids.',
  },
  'token-not-found': {
    status: 404,
    title: 'There is no such token',
    cause: 'The user has no live personal access token with this id.',
    cure: 'List the tokens to see their ids.',
  },
  'calendar-not-found': {
    status: 404,
    title: 'There is no such calendar feed',
    cause: 'The URL is incomplete, or the token that it belongs to has expired or was ended.',
    cure: 'Create a token with the scope `calendar:read`, and subscribe to its `feed_url`.',
  },
  'webhook-not-found': {
    status: 404,
    title: 'There is no such webhook',
    cause: 'The user has no webhook with this id.',
    cure: 'List the webhooks to see their ids.',
  },
} as const

export const objectConflicts = {
  'list-name-taken': {
    status: 409,
    title: 'The user has a list with this name',
    cause: 'Names of lists are unique, ignoring case and Unicode form.',
    cure: 'Use the list that exists, or another name.',
  },
  'too-many-lists': {
    status: 409,
    title: 'The user has too many lists',
    cause: 'A user may have 500 lists.',
    cure: 'Delete one that is not used any more.',
  },
  'too-many-webhooks': {
    status: 409,
    title: 'The user has too many webhooks',
    cause: 'A user may have 20 webhooks.',
    cure: 'Delete one that is not used any more.',
  },
} as const
