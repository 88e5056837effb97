/** A valid body for each route that needs a token. Tests that iterate over the routes fail if a route is missing here. */
export const bodies: Record<string, unknown> = {
  'POST /api/auth/refresh': undefined,
  'GET /api/auth/me': undefined,
  'PATCH /api/auth/me': { name: 'Mallory' },
  'PUT /api/auth/me/password': {
    current_password: 'correct horse battery',
    new_password: 'wrong donkey power plant',
  },
  'DELETE /api/auth/me': { current_password: 'correct horse battery' },
  'GET /api/auth/sessions': undefined,
  'DELETE /api/auth/sessions': undefined,
  'DELETE /api/auth/sessions/:id': undefined,
  'POST /api/auth/logout': undefined,
  'POST /api/auth/email/verification': undefined,
  'POST /api/auth/stream-tickets': undefined,
  'POST /api/auth/tokens': { name: 'Canary', scope: 'tasks:write' },
  'GET /api/auth/tokens': undefined,
  'DELETE /api/auth/tokens/:id': undefined,
  'GET /api/tasks': undefined,
  'POST /api/tasks': { title: 'Canary' },
  'GET /api/tasks/:id': undefined,
  'PATCH /api/tasks/:id': { title: 'Canary' },
  'POST /api/tasks/:id/restore': undefined,
  'GET /api/tasks/trash': undefined,
  'DELETE /api/tasks/trash': undefined,
  'DELETE /api/tasks/trash/:id': undefined,
  'POST /api/tasks/batch': { create: [{ title: 'Canary' }] },
  'POST /api/tasks/import': { tasks: [{ title: 'Canary' }] },
  'GET /api/tasks/export': undefined,
  'GET /api/tasks/changes': undefined,
  'GET /api/tasks/events': undefined,
  'PUT /api/tasks/:id': { title: 'Canary', completed: true },
  'PATCH /api/tasks/:id/complete': { completed: true },
  'DELETE /api/tasks/:id': undefined,
  'POST /api/tasks/:id/move': { list_id: null },
  'GET /api/tasks/counts': undefined,
  'GET /api/tags': undefined,
  'GET /api/lists': undefined,
  'POST /api/lists': { name: 'Canary' },
  'GET /api/lists/:id': undefined,
  'PATCH /api/lists/:id': { name: 'Canary' },
  'POST /api/lists/:id/move': { before: '0199e2b3-6f4a-7c31-9d5e-8a1b2c3d4e5f' },
  'DELETE /api/lists/:id': undefined,
  'GET /api/webhooks': undefined,
  'POST /api/webhooks': { url: 'https://hooks.example/tasks' },
  'GET /api/webhooks/:id': undefined,
  'PATCH /api/webhooks/:id': { name: 'Canary' },
  'DELETE /api/webhooks/:id': undefined,
  'POST /api/webhooks/:id/secret': undefined,
  'POST /api/webhooks/:id/test': undefined,
}

/** The public routes. A test fails if another route is public. */
export const publicRoutes = new Set([
  'GET /',
  'GET /health',
  'GET /ready',
  'GET /metrics',
  'GET /problems',
  'GET /problems/:code',
  'GET /docs',
  'POST /api/auth/register',
  'POST /api/auth/login',
  'POST /api/oauth/token',
  'POST /api/auth/password/forgot',
  'POST /api/auth/password/reset',
  'GET /account/reset',
  'POST /account/reset',
  'GET /account/verify',
  'POST /account/verify',
  'POST /api/auth/email/verify',
  'GET /api/calendar/:secret',
])

/** The files of /docs are one entry, because their names contain a version. */
export const isPublic = (name: string) =>
  publicRoutes.has(name.replace(/^GET \/docs\/.*/, 'GET /docs'))

type App = { routes: readonly { method: string; path: string }[] }

/** The routes that need a token, with a valid body. */
export const protectedRoutes = ({ routes }: App) =>
  routes
    .map(({ method, path }) => ({ name: `${method} ${path}`, method, path }))
    .filter(({ name }) => !isPublic(name))
    .map((route) => {
      if (!(route.name in bodies))
        throw new Error(`${route.name} is not in test/support/requests.ts`)
      return { ...route, body: bodies[route.name] }
    })
