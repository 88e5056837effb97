/* The examples of the OpenAPI document. Tests validate each against its schema and send it to the service. */

const ids = {
  user: '0199e2a1-0c5d-7b20-8f3a-6d5c4b3a2910',
  milk: '0199e2b3-6f4a-7c31-9d5e-8a1b2c3d4e5f',
  rent: '0199e2b4-11d8-7e02-a4c7-1f2e3d4c5b6a',
  call: '0199e2b4-9a3e-7f55-b1d2-7c8b9a0f1e2d',
  deleted: '0199e2b5-2c71-7a18-8e90-0a9b8c7d6e5f',
}
const token = 'AbGe0f7uJqTn1dS3yQx8Rk5wLm2cVz9h'

export const recurrence = { rrule: 'FREQ=WEEKLY;BYDAY=MO', time_zone: 'UTC', from: 'due' as const }

export const reminder = { minutes_before: 30 }

export const newTask = {
  title: 'Buy milk',
  description: null,
  priority: 'normal' as const,
  due_at: '2026-12-24T18:00:00.000Z',
  due_on: null,
  tags: ['home'],
  list_id: null,
  recurrence: null,
  reminders: [reminder],
}

export const task = {
  id: ids.milk,
  user_id: ids.user,
  ...newTask,
  completed: false,
  completed_at: null,
  series_id: null,
  position: '5000000017',
  version: 1,
  created_at: '2026-11-20T23:16:35.474Z',
  updated_at: '2026-11-20T23:16:35.474Z',
}

const rent = {
  ...task,
  id: ids.rent,
  title: 'Pay the rent',
  priority: 'high' as const,
  due_at: null,
  due_on: '2026-12-01',
  position: '5000000018',
  version: 4,
  updated_at: '2026-11-21T08:30:00.000Z',
}
const call = {
  ...rent,
  id: ids.call,
  title: 'Call Grace',
  completed: true,
  completed_at: '2026-11-21T08:30:00.000Z',
  version: 2,
}

export const replacement = { ...newTask, completed: false }
export const changes = { priority: 'high', due_at: null, due_on: '2026-12-01' }
export const move = { list_id: null }
export const completion = { completed: true }

export const completed = { success: true, completed: true }

export const trashedTask = { ...task, version: 2, deleted_at: '2026-11-21T08:30:00.000Z' }

export const exportedTask = { ...task, list: null }

export const changesPage = {
  changes: [
    { op: 'upsert', task },
    { op: 'delete', id: ids.deleted, deleted_at: '2026-11-21T08:30:00.000Z' },
  ],
  next: token,
  has_more: false,
}

export const batch = {
  create: [newTask],
  update: [{ id: ids.rent, version: 3, priority: 'high', due_at: null, due_on: '2026-12-01' }],
  complete: [{ id: ids.call, completed: true }],
  delete: [ids.deleted],
}
export const batchDone = {
  created: [task],
  updated: [rent],
  completed: [call],
  deleted: [ids.deleted],
}

const records = [
  { title: 'Buy milk', tags: ['home'] },
  { title: 'Pay the rent', completed: true, completed_at: '2026-11-21T08:30:00.000Z' },
]
export const imports = {
  'application/json': { tasks: records },
  'application/x-ndjson': records.map((record) => `${JSON.stringify(record)}\n`).join(''),
  'text/csv': [
    'title,completed,completed_at,tags\r\n',
    'Buy milk,false,,"[""home""]"\r\n',
    'Pay the rent,true,2026-11-21T08:30:00.000Z,[]\r\n',
  ].join(''),
  'text/calendar': [
    'BEGIN:VCALENDAR',
    'BEGIN:VTODO',
    'SUMMARY:Buy milk',
    'CATEGORIES:home',
    'END:VTODO',
    'BEGIN:VTODO',
    'SUMMARY:Pay the rent',
    'STATUS:COMPLETED',
    'COMPLETED:20261121T083000Z',
    'END:VTODO',
    'END:VCALENDAR',
    '',
  ].join('\r\n'),
}
