import { Elysia } from 'elysia'
import type { RequestContexts } from '../http/request-context.ts'
import type { MailSender } from './sender.ts'

/** The routes whose statements may store a message. */
const mayStore = /^\/(api\/(auth|oauth)|account)\//

/** Tells the sender after each response that a message may have been stored. */
export const pollAfterWrites = (sender: MailSender, contexts: RequestContexts) =>
  new Elysia({ name: 'poll-after-writes' }).onAfterResponse({ as: 'global' }, ({ request }) => {
    const { route } = contexts.of(request)
    if (route !== undefined && request.method !== 'GET' && mayStore.test(route)) sender.pollSoon()
  })
