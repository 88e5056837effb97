"""Adds a task, completes it, and prints what is to do, through the generated client."""

import os
import sys
import time
import uuid
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import httpx
from taskwarden_client import AuthenticatedClient, Client
from taskwarden_client.api.sign_in import login, register
from taskwarden_client.api.tasks import (
    change_task,
    complete_task,
    create_task,
    list_tasks,
)
from taskwarden_client.models import (
    Completion,
    Credentials,
    ListTasksSort,
    NewTask,
    NewTaskPriority,
    Problem,
    Registration,
    Task,
    TaskChanges,
)
from taskwarden_client.types import UNSET

ATTEMPTS_MAX = 4
WAIT_SECONDS_MAX = 10


class Refused(Exception):
    """`problem.code` is what to branch on; the service's /problems/{code} explains it."""

    def __init__(self, problem: Problem):
        places = [
            f"\n  {issue.pointer} {issue.detail}" for issue in problem.errors or []
        ]
        super().__init__(
            f"{problem.status} {problem.title} "
            f"({problem.code}, request {problem.request_id}){''.join(places)}"
        )
        self.problem = problem


def ask(operation, **arguments):
    """What the operation answers. Waits where it is told to, unless that is long."""
    for attempt in range(1, ATTEMPTS_MAX + 1):
        response = operation.sync_detailed(**arguments)
        if not isinstance(response.parsed, Problem):
            return response.parsed
        seconds = int(response.headers.get("Retry-After", 0))
        if attempt == ATTEMPTS_MAX or not 0 < seconds <= WAIT_SECONDS_MAX:
            raise Refused(response.parsed)
        time.sleep(seconds)


def sign_in(api: str, email: str, password: str) -> AuthenticatedClient:
    """Signs up, or, whoever has an account already, in."""
    stranger = Client(base_url=api)
    try:
        signed_in = ask(register, client=stranger, body=Registration(email, password))
    except Refused as refused:
        if refused.problem.code != "email-taken":
            raise
        signed_in = ask(login, client=stranger, body=Credentials(email, password))
    return AuthenticatedClient(base_url=api, token=signed_in.access_token)


def every_task(client: AuthenticatedClient, **query) -> Iterator[Task]:
    """All pages of a list, one after the other as they are needed."""
    cursor = UNSET
    while cursor is not None:
        page = ask(list_tasks, client=client, cursor=cursor, **query)
        yield from page.tasks
        cursor = page.next_cursor


def main(api: str, email: str, password: str) -> None:
    client = sign_in(api, email, password)

    # The service takes three fraction digits, and `isoformat()` writes six: send whole seconds.
    tomorrow = (datetime.now(UTC) + timedelta(days=1)).replace(microsecond=0)
    water = NewTask("Water the plants", priority=NewTaskPriority.HIGH, due_at=tomorrow)
    # With a key of its own, a request can be sent again, and nothing is added twice.
    key = str(uuid.uuid4())
    for _ in range(2):
        added = ask(create_task, client=client, body=water, idempotency_key=key)
    done = ask(
        complete_task, client=client, id=added.id, body=Completion(completed=True)
    )
    print(f"{added.title}: {'done' if done.completed else 'to do'}")

    # Of version 1, which it no longer is: somebody (here, ourselves) was faster.
    try:
        stale = TaskChanges(title="Water the cactus")
        ask(
            change_task,
            client=client,
            id=added.id,
            body=stale,
            if_match=f'"{added.version}"',
        )
    except Refused as refused:
        print(f"refused: {refused.problem.title}")

    query = {"completed": False, "sort": ListTasksSort("-priority")}
    for task in every_task(client, **query):
        print(
            f"[ ] {task.title}"
            + (f", due {task.due_at:%Y-%m-%d}" if task.due_at else "")
        )


if __name__ == "__main__":
    try:
        main(
            os.environ.get("API", "http://localhost:3000"),
            os.environ.get("EMAIL", ""),
            os.environ.get("PASSWORD", ""),
        )
    except (Refused, httpx.TransportError) as error:
        sys.exit(str(error))
