import { type Static, t } from 'elysia'
import { problemResponses } from '../http/problem.ts'
import { NoBody } from '../schema/body.ts'
import { ResponseBody } from '../schema/response.ts'
import { Enum, Id, Text, Timestamp } from '../schema/types.ts'
import { Move } from '../tasks/move/schema.ts'
import { closed, Position, Version } from '../tasks/task/schema.ts'

export const listsMax = 500

export const ListName = Text({
  min: 1,
  max: 100,
  blank: false,
  description: 'Unique, ignoring case and Unicode form',
  examples: ['Errands'],
})

export const List = t.Object(
  {
    id: Id(),
    name: ListName,
    position: Position,
    task_count: t.Integer({ description: 'Without those in the trash', examples: [3] }),
    version: Version,
    created_at: Timestamp({}),
    updated_at: Timestamp({}),
  },
  { ...closed, $id: 'List', 'x-headers': ['ETag'] },
)
const NewList = t.Object({ name: ListName }, { ...closed, $id: 'NewList' })
const ListPatch = t.Partial(NewList, { ...closed, $id: 'ListPatch' })
const Lists = t.Object({ lists: t.Array(List) }, { ...closed, $id: 'ListCollection' })
const ListMove = t.Object(Move.properties, { ...closed, $id: 'ListMove', minProperties: 1 })
const Deleted = t.Object({ success: t.Literal(true) }, { ...closed, $id: 'ListDeletionResult' })

export type List = Static<typeof List>
export type ListPatch = Static<typeof ListPatch>

const ListId = t.Object({ id: Id() })
const tags = ['Lists']

export const createList = {
  body: NewList,
  response: {
    201: ResponseBody(List),
    ...problemResponses('list-name-taken', 'too-many-lists', 'invalid-request'),
  },
  detail: {
    tags,
    operationId: 'createList',
    summary: 'Create a list',
    description: 'At the end of the lists. A user may have 500.',
  },
} as const

export const listLists = {
  response: { 200: ResponseBody(Lists) },
  detail: {
    tags,
    operationId: 'listLists',
    summary: 'List the lists',
    description: 'All, in their order',
  },
} as const

export const getList = {
  params: ListId,
  response: {
    200: ResponseBody(List),
    304: t.Undefined(),
    ...problemResponses('malformed-request', 'list-not-found'),
  },
  detail: { tags, operationId: 'getList', summary: 'Get a list', 'x-takes': ['If-None-Match'] },
} as const

export const updateList = {
  params: ListId,
  body: ListPatch,
  response: {
    200: ResponseBody(List),
    ...problemResponses('list-not-found', 'list-name-taken', 'version-mismatch', 'invalid-request'),
  },
  detail: {
    tags,
    operationId: 'updateList',
    summary: 'Rename a list',
    description: 'A merge patch (RFC 7396)',
    'x-accepts': ['application/merge-patch+json', 'application/json'],
    'x-takes': ['If-Match'],
  },
} as const

export const moveList = {
  params: ListId,
  body: ListMove,
  response: {
    200: ResponseBody(List),
    ...problemResponses('list-not-found', 'version-mismatch', 'invalid-request'),
  },
  detail: {
    tags,
    operationId: 'moveList',
    summary: 'Move a list next to another one',
    'x-takes': ['If-Match'],
  },
} as const

export const deleteList = {
  params: ListId,
  query: t.Object(
    {
      tasks: t.Optional(
        Enum(['inbox', 'trash'], {
          description: 'Where its tasks go',
          examples: ['trash'],
          'x-default': 'inbox',
        }),
      ),
    },
    closed,
  ),
  body: NoBody,
  response: {
    200: Deleted,
    ...problemResponses('list-not-found', 'version-mismatch', 'invalid-request'),
  },
  detail: {
    tags,
    operationId: 'deleteList',
    summary: 'Delete a list',
    description: 'Its tasks go to the inbox, or to the trash.',
    'x-takes': ['If-Match'],
  },
} as const
