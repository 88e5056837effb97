import createHttp from 'openapi-fetch'
import { createBulkOperations } from './bulk.ts'
import { createTaskLists } from './listing.ts'
import { createListOperations } from './lists.ts'
import type { paths } from './openapi.ts'
import { isProblem } from './problem.ts'
import { init, type RequestOptions, unwrap } from './request.ts'
import { createSend, type Fetch, type RetryOptions } from './retry.ts'
import { authenticate, createFixedCredentials, createSession } from './session.ts'
import { createTaskOperations } from './tasks.ts'
import { createMemoryTokenStore, type TokenStore } from './tokens.ts'
import type { Credentials, Http, NewUser, SignIn, User } from './types.ts'
import { createWatch } from './watch.ts'

export type ClientOptions = {
  /** Where the service is, such as `https://tasks.example.com`. */
  baseUrl: string
  /** A token that exists already, such as a personal access token. It is never refreshed. */
  accessToken?: string | undefined
  /** Keeps the tokens of a sign-in. By default they are lost with the process or the page. */
  tokens?: TokenStore | undefined
  fetch?: Fetch | undefined
  retry?: RetryOptions | undefined
  /** How long to wait for a response to begin; 60 s by default. */
  timeoutMs?: number | undefined
}

/** The tasks of the user who is signed in. */
export type Tasks = ReturnType<typeof createTaskOperations> &
  ReturnType<typeof createTaskLists> &
  ReturnType<typeof createBulkOperations> & { watch: ReturnType<typeof createWatch> }

/** A client of one service and at most one user at a time. */
export const createClient = ({
  baseUrl,
  accessToken,
  tokens: store = createMemoryTokenStore(),
  fetch = (request, init) => globalThis.fetch(request, init),
  retry,
  timeoutMs,
}: ClientOptions) => {
  const url = baseUrl.replace(/\/+$/, '')
  const send = createSend({ fetch, retry, timeoutMs })
  const session = createSession({ baseUrl: url, send, store })
  const credentials =
    accessToken === undefined ? session.credentials : createFixedCredentials(accessToken)
  const authenticated = authenticate(send, credentials)

  const anonymous = createHttp<paths>({ baseUrl: url, fetch: (request) => send(request) })
  const http: Http = createHttp<paths>({
    baseUrl: url,
    fetch: (request) => authenticated(request),
  })
  const listings = createTaskLists(http)
  const tasks: Tasks = {
    ...createTaskOperations(http),
    ...listings,
    ...createBulkOperations(http),
    watch: createWatch({ http, readPages: listings.changes }),
  }

  return {
    /**
     * Creates an account and signs in. Undefined if the service requires a verified e-mail: it has mailed a
     * link, and `signIn` works after that was used.
     */
    signUp: async (body: NewUser, options: RequestOptions = {}): Promise<SignIn | undefined> => {
      const signIn = unwrap(await anonymous.POST('/api/auth/register', { body, ...init(options) }))
      if (!('access_token' in signIn)) return undefined
      await session.start(signIn)
      return signIn
    },

    signIn: async (body: Credentials, options: RequestOptions = {}): Promise<SignIn> => {
      const signIn = unwrap(await anonymous.POST('/api/auth/login', { body, ...init(options) }))
      await session.start(signIn)
      return signIn
    },

    /** Ends the session at the service and forgets its tokens, also if the service cannot be reached. */
    signOut: async (options: RequestOptions = {}): Promise<void> => {
      try {
        unwrap(await http.POST('/api/auth/logout', init(options)))
      } catch (error) {
        if (!isProblem(error, 'unauthenticated')) throw error
      } finally {
        await session.end()
      }
    },

    /** Refreshes now. Requests do this by themselves when half of a token's lifetime has passed. */
    refresh: session.refresh,

    currentUser: async (options: RequestOptions = {}): Promise<User> =>
      unwrap(await http.GET('/api/auth/me', init(options))),

    tasks,

    /** The lists of the user who is signed in. */
    lists: createListOperations(http),

    /**
     * Every route of the service, with the same tokens and retries. A response is
     * `{ data, error, response }`; `unwrap` turns it into the data or a `ProblemError`.
     */
    http,
  }
}

export type TaskwardenClient = ReturnType<typeof createClient>
