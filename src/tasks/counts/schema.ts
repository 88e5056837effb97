import { t } from 'elysia'
import { ResponseBody } from '../../schema/response.ts'
import { Text } from '../../schema/types.ts'
import { closed, ListId } from '../task/schema.ts'

const Count = (description: string) => t.Integer({ description, examples: [3] })

const TaskCounts = t.Object(
  {
    open: Count('Not completed'),
    overdue: Count('Open, and due before now, or on a day before today'),
    today: Count('Open, and due today'),
    completed: Count('Completed'),
    trash: Count('In the trash'),
    lists: t.Array(t.Object({ list_id: ListId, open: Count('Open tasks of the list') }, closed), {
      description: 'The inbox (null), and then each list in its order',
    }),
  },
  { ...closed, $id: 'TaskCounts' },
)

export const tagsMax = 1000
const Tags = t.Object(
  {
    tags: t.Array(
      t.Object(
        { name: Text({ min: 1, max: 50, examples: ['home'] }), count: Count('Tasks') },
        closed,
      ),
    ),
  },
  { ...closed, $id: 'TagCounts' },
)

export const countTasks = {
  response: { 200: ResponseBody(TaskCounts) },
  detail: {
    tags: ['Tasks'],
    operationId: 'countTasks',
    summary: 'Count the tasks',
    description: 'Days begin at midnight in the time zone of the user.',
  },
}

export const listTags = {
  response: { 200: ResponseBody(Tags) },
  detail: {
    tags: ['Tasks'],
    operationId: 'listTags',
    summary: 'List the tags',
    description: `The ${tagsMax} most frequent, without those of tasks in the trash`,
  },
}
