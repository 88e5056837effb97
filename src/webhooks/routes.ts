import { Elysia } from 'elysia'
import { now } from '../db/clock.ts'
import { type Authenticated, requireSession } from '../http/authenticated.ts'
import { auditFields } from '../http/principal.ts'
import { throwInvalidRequest, throwProblem } from '../http/problem.ts'
import type { Log } from '../log.ts'
import { normalizeId } from '../schema/types.ts'
import { secretsOf } from './delivery.ts'
import type { Destinations } from './destination.ts'
import type { WebhookDispatcher } from './dispatcher.ts'
import { testMessage } from './message.ts'
import type { WebhookRepository } from './repository.ts'
import * as schema from './schema.ts'
import type { Send } from './send.ts'

type Needs = {
  webhooks: WebhookRepository
  destinations: Destinations
  dispatcher: WebhookDispatcher
  send: Send
  authenticated: Authenticated
  log: Log
}

/** The result of a repository, or 401 or 404. */
const requireWebhook = <T>(found: T | null | undefined): T =>
  requireSession(found) ?? throwProblem('webhook-not-found')

/** The webhooks of the current user. */
const objectRoutes = (needs: Needs) => {
  const { webhooks, destinations, dispatcher, authenticated, log } = needs

  const requireUrl = (url: string | undefined): void => {
    const refusal = url === undefined ? undefined : destinations.explainRefusal(url)
    if (refusal !== undefined) throwInvalidRequest('/url', refusal)
  }

  return new Elysia({ prefix: '/webhooks' })
    .use(authenticated)
    .derive(({ principal }) => ({ own: webhooks(principal) }))

    .post(
      '',
      async ({ own, principal, body, set }) => {
        requireUrl(body.url)
        const created = requireSession(await own.add(body)) ?? throwProblem('too-many-webhooks')
        dispatcher.watch(principal.userId)
        log.info('webhook made', auditFields(principal))
        set.status = 201
        set.headers.location = `/api/webhooks/${created.id}`
        return created
      },
      schema.createWebhook,
    )

    .get(
      '',
      async ({ own }) => ({ webhooks: requireSession(await own.list()) }),
      schema.listWebhooks,
    )

    .get(
      '/:id',
      async ({ own, params }) => requireWebhook(await own.find(normalizeId(params.id))),
      schema.getWebhook,
    )

    .patch(
      '/:id',
      async ({ own, principal, params, body }) => {
        requireUrl(body.url)
        const changed = requireWebhook(await own.change(normalizeId(params.id), body))
        if (changed.enabled) dispatcher.watch(principal.userId)
        return changed
      },
      schema.updateWebhook,
    )

    .delete(
      '/:id',
      async ({ own, principal, params, set }) => {
        const wasThere = requireSession(await own.remove(normalizeId(params.id)))
        if (!wasThere) throwProblem('webhook-not-found')
        log.info('webhook deleted', auditFields(principal))
        set.status = 204
      },
      schema.deleteWebhook,
    )
}

/** What is done with one webhook, beside changing it. */
const actionRoutes = ({ webhooks, send, authenticated }: Needs) =>
  new Elysia({ prefix: '/webhooks' })
    .use(authenticated)
    .derive(({ principal }) => ({ own: webhooks(principal) }))

    .post(
      '/:id/secret',
      async ({ own, params }) => ({
        secret: requireWebhook(await own.rotateSecret(normalizeId(params.id))),
      }),
      schema.rotateWebhookSecret,
    )

    .post(
      '/:id/test',
      async ({ own, params }) => {
        const id = normalizeId(params.id)
        const receiver = requireWebhook(await own.findReceiver(id))
        const secrets = secretsOf(receiver)
        const { status, ok } = await send({ url: receiver.url, secrets }, testMessage(id, now()))
        return { status, ok }
      },
      schema.testWebhook,
    )

/** All routes of webhooks. */
export const webhookRoutes = (needs: Needs) =>
  new Elysia().use(objectRoutes(needs)).use(actionRoutes(needs))
