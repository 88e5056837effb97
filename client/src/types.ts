import type { Client } from 'openapi-fetch'
import type { components, paths } from './openapi.ts'

/** Every route of the service, typed by its OpenAPI document. */
export type Http = Client<paths>

// The types are found by path, because the names of schemas may change.
type Json<Content> = Content extends { content: { 'application/json': infer Body } } ? Body : never
type Operation<Path extends keyof paths, Method extends keyof paths[Path]> = paths[Path][Method]
/** The body of the successful response. */
export type Result<Path extends keyof paths, Method extends keyof paths[Path]> =
  Operation<Path, Method> extends { responses: infer Responses }
    ? {
        [Status in keyof Responses]: Status extends 200 | 201 ? Json<Responses[Status]> : never
      }[keyof Responses]
    : never
type Body<Path extends keyof paths, Method extends keyof paths[Path]> =
  Operation<Path, Method> extends { requestBody?: infer Content }
    ? Json<NonNullable<Content>>
    : never
type Query<Path extends keyof paths> =
  Operation<Path, 'get' & keyof paths[Path]> extends { parameters: { query?: infer Parameters } }
    ? NonNullable<Parameters>
    : never

export type SignIn = Result<'/api/auth/login', 'post'>
export type User = Result<'/api/auth/me', 'get'>
export type NewUser = Body<'/api/auth/register', 'post'>
export type Credentials = Body<'/api/auth/login', 'post'>

export type Task = Result<'/api/tasks/{id}', 'get'>
export type NewTask = Body<'/api/tasks', 'post'>
export type TaskPatch = Body<'/api/tasks/{id}', 'patch'>
export type TaskReplacement = Body<'/api/tasks/{id}', 'put'>
/** `version` is the new one, for the next conditional write. */
export type CompletionResult = Result<'/api/tasks/{id}/complete', 'patch'> & {
  version: number | undefined
}
export type TaskMove = Body<'/api/tasks/{id}/move', 'post'>
export type TaskCounts = Result<'/api/tasks/counts', 'get'>
export type TagCount = Result<'/api/tags', 'get'>['tags'][number]
export type List = Result<'/api/lists/{id}', 'get'>
export type NewList = Body<'/api/lists', 'post'>
/** Before or after another list. */
export type Place = Body<'/api/lists/{id}/move', 'post'>
export type TrashedTask = Result<'/api/tasks/trash', 'get'>['tasks'][number]
/** One sort key; `-` sorts descending. */
export type Sort = components['schemas']['Sort']
/**
 * The cursor is left to the iterator; `limit` is the size of a page. `sort` has up to three keys with commas between them,
 * such as `priority,-due_at`.
 */
export type TaskQuery = Omit<Query<'/api/tasks'>, 'cursor' | 'sort'> & {
  sort?: Sort | `${Sort},${Sort}` | `${Sort},${Sort},${Sort}`
}
export type ExportFormat = NonNullable<Query<'/api/tasks/export'>['format']>
export type ImportedTask = Body<'/api/tasks/import', 'post'>['tasks'][number]
export type ImportResult = Result<'/api/tasks/import', 'post'>
export type Batch = Body<'/api/tasks/batch', 'post'>
export type BatchResult = Result<'/api/tasks/batch', 'post'>
/** A change of a task. The client does not ask for lists. */
export type Change = components['schemas']['TaskUpsert' | 'TaskRemoval']
export type ChangesPage = Omit<Result<'/api/tasks/changes', 'get'>, 'changes'> & {
  changes: Change[]
}
