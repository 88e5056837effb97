import { refusals } from '../errors.ts'
import { NoBody } from '../shapes.ts'
import {
  Completed,
  Completion,
  Deleted,
  NewTask,
  Task,
  TaskId,
  TaskPage,
  TaskQuery,
  TaskReplacement,
} from './model.ts'

/* What each route takes and answers, and what it is called: checked, typed and documented in one. */

export const list = {
  query: TaskQuery,
  response: { 200: TaskPage, ...refusals('malformed-request', 'invalid-request') },
  detail: { operationId: 'listTasks', summary: 'List my tasks, newest first' },
}

export const add = {
  body: NewTask,
  response: { 201: Task, ...refusals('invalid-request') },
  detail: { operationId: 'createTask', summary: 'Add a task' },
}

export const read = {
  params: TaskId,
  response: { 200: Task, ...refusals('task-not-found') },
  detail: { operationId: 'readTask', summary: 'Read one of my tasks' },
}

export const replace = {
  params: TaskId,
  body: TaskReplacement,
  response: { 200: Task, ...refusals('task-not-found', 'invalid-request') },
  detail: {
    operationId: 'replaceTask',
    summary: 'Replace one of my tasks',
    description: 'Members that are left out go back to their defaults.',
  },
}

export const complete = {
  params: TaskId,
  body: Completion,
  response: { 200: Completed, ...refusals('task-not-found', 'invalid-request') },
  detail: {
    operationId: 'completeTask',
    summary: 'Complete one of my tasks, or take it back',
    description: 'Without a body it toggles; `{"completed": true}` sets.',
  },
}

export const remove = {
  params: TaskId,
  body: NoBody,
  response: { 200: Deleted, ...refusals('task-not-found') },
  detail: { operationId: 'deleteTask', summary: 'Delete one of my tasks' },
}
