"""Adds a task, completes it, lists and exports tasks, with the generated client."""

import csv
import io
import os
import sys
import time
import uuid
from collections.abc import Iterator
from datetime import datetime, timedelta, timezone

import httpx
from taskwarden_client import AuthenticatedClient, Client
from taskwarden_client.api.sign_in import login, register
from taskwarden_client.api.tasks import (
    complete_task,
    create_task,
    list_tasks,
    update_task,
)
from taskwarden_client.models import (
    CompletionRequest,
    Credentials,
    NewTask,
    Priority,
    Problem,
    Registration,
    Sort,
    Task,
    TaskPatch,
)
from taskwarden_client.types import UNSET

ATTEMPTS_MAX = 4
WAIT_SECONDS_MAX = 10


class ProblemError(Exception):
    """Branch on `problem.code`. The service explains it at /problems/{code}."""

    def __init__(self, problem: Problem):
        places = [
            f"\n  {issue.pointer} {issue.detail}" for issue in problem.errors or []
        ]
        super().__init__(
            f"{problem.status} {problem.title} "
            f"({problem.code}, request {problem.request_id}){''.join(places)}"
        )
        self.problem = problem


def call(operation, **arguments):
    """The parsed response. Waits for `Retry-After` if it is short, and tries again."""
    for attempt in range(1, ATTEMPTS_MAX + 1):
        response = operation.sync_detailed(**arguments)
        if not isinstance(response.parsed, Problem):
            return response.parsed
        seconds = int(response.headers.get("Retry-After", 0))
        if attempt == ATTEMPTS_MAX or not 0 < seconds <= WAIT_SECONDS_MAX:
            raise ProblemError(response.parsed)
        time.sleep(seconds)


def sign_in(api: str, email: str, password: str) -> AuthenticatedClient:
    """Signs up, or in if there is an account."""
    anonymous = Client(base_url=api)
    try:
        signed_in = call(register, client=anonymous, body=Registration(email, password))
    except ProblemError as error:
        if error.problem.code != "email-taken":
            raise
        signed_in = call(login, client=anonymous, body=Credentials(email, password))
    return AuthenticatedClient(base_url=api, token=signed_in.access_token)


def list_all(client: AuthenticatedClient, **query) -> Iterator[Task]:
    """All tasks of a list, page by page as they are needed."""
    cursor = UNSET
    while cursor is not None:
        page = call(list_tasks, client=client, cursor=cursor, **query)
        yield from page.tasks
        cursor = page.next_cursor


def export_csv(client: AuthenticatedClient) -> str:
    """The generated operation parses JSON only, so this uses the httpx client below it."""
    response = client.get_httpx_client().get(
        "/api/tasks/export", params={"format": "csv"}
    )
    if response.is_error:
        raise ProblemError(Problem.from_dict(response.json()))
    return response.text


def main(api: str, email: str, password: str) -> None:
    client = sign_in(api, email, password)

    # A time needs a zone. It has six fraction digits here, of which the service keeps three.
    tomorrow = datetime.now(timezone.utc) + timedelta(days=1)
    water = NewTask("Water the plants", priority=Priority.HIGH, due_at=tomorrow)
    # With an Idempotency-Key, a request can be sent again, and one task is added.
    key = str(uuid.uuid4())
    for _ in range(2):
        added = call(create_task, client=client, body=water, idempotency_key=key)
    done = call(
        complete_task, client=client, id=added.id, body=CompletionRequest(completed=True)
    )
    print(f"{added.title}: {'done' if done.completed else 'to do'}")

    # The completion has made version 2, so a write for version 1 is refused.
    try:
        stale = TaskPatch(title="Water the cactus")
        call(
            update_task,
            client=client,
            id=added.id,
            body=stale,
            if_match=f'"{added.version}"',
        )
    except ProblemError as error:
        print(f"refused: {error.problem.title}")

    query = {"completed": False, "sort": Sort("-priority")}
    for task in list_all(client, **query):
        print(
            f"[ ] {task.title}"
            + (f", due {task.due_at:%Y-%m-%d}" if task.due_at else "")
        )

    rows = list(csv.DictReader(io.StringIO(export_csv(client), newline="")))
    completed = sum(row["completed"] == "true" for row in rows)
    print(f"exported rows: {len(rows)}, completed: {completed}")


if __name__ == "__main__":
    try:
        main(
            os.environ.get("API", "http://localhost:3000"),
            os.environ.get("EMAIL", ""),
            os.environ.get("PASSWORD", ""),
        )
    except (ProblemError, httpx.TransportError) as error:
        sys.exit(str(error))
