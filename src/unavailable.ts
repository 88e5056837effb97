/**
 * Something that the service depends on does not respond in time. The response is 503, and it is not a bug.
 *
 * `code` is for the log. The original message is dropped, because drivers put SQL, keys and addresses into it.
 */
export class Unavailable extends Error {
  readonly code: string | undefined

  constructor(message: string, code?: string) {
    super(message)
    this.code = code
  }
}
