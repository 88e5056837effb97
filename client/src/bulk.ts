import { toError } from './problem.ts'
import { init, type KeyedOptions, keyHeader, type RequestOptions, unwrap } from './request.ts'
import type { Batch, BatchResult, ExportFormat, Http, ImportedTask, ImportResult } from './types.ts'

/** Records, or the text of a file. */
export type ImportSource =
  | readonly ImportedTask[]
  | { csv: string }
  | { ndjson: string }
  | { ics: string }
  | { json: string }
/** `from` is the program that wrote the file. */
export type ImportOptions = KeyedOptions & {
  dryRun?: boolean | undefined
  /** `update` changes the tasks whose ids the file has. */
  mode?: 'create' | 'update' | undefined
  from?: 'todoist' | 'google' | 'microsoft' | 'taskwarrior' | 'vikunja' | undefined
}

/** Many tasks at once. */
export const createBulkOperations = (http: Http) => ({
  /** Up to 100 operations. All of them take effect, or none. */
  batch: async (body: Batch, options: KeyedOptions = {}): Promise<BatchResult> => {
    const params = { header: keyHeader(options) }
    return unwrap(await http.POST('/api/tasks/batch', { params, body, ...init(options) }))
  },

  /** The response, to be read as `text()`, `json()` or a stream. */
  export: async (format: ExportFormat, options: RequestOptions = {}): Promise<Response> => {
    const params = { query: { format } }
    const { response, error } = await http.GET('/api/tasks/export', {
      params,
      parseAs: 'stream',
      ...init(options),
    })
    if (!response.ok) throw toError(response, error)
    return response
  },

  /** Adds all tasks of a source, or none. With `dryRun` they are only checked. */
  import: async (source: ImportSource, options: ImportOptions = {}): Promise<ImportResult> => {
    const { type, text } = toFile(source)
    const { dryRun, from, mode } = options
    const query = {
      ...(dryRun !== undefined && { dry_run: dryRun }),
      ...(from !== undefined && { from }),
      ...(mode !== undefined && { mode }),
    }
    const result = await http.POST('/api/tasks/import', {
      params: {
        header: keyHeader(options),
        query,
      },
      headers: { 'content-type': type },
      body: text,
      bodySerializer: (body: unknown) => body,
      ...init(options),
    })
    return unwrap(result)
  },

  /** Erases all tasks that are in the trash. */
  emptyTrash: async (options: RequestOptions = {}): Promise<void> => {
    unwrap(await http.DELETE('/api/tasks/trash', init(options)))
  },
})

const toFile = (source: ImportSource) => {
  if ('csv' in source) return { type: 'text/csv', text: source.csv }
  if ('ndjson' in source) return { type: 'application/x-ndjson', text: source.ndjson }
  if ('ics' in source) return { type: 'text/calendar', text: source.ics }
  if ('json' in source) return { type: 'application/json', text: source.json }
  return { type: 'application/json', text: JSON.stringify({ tasks: source }) }
}
