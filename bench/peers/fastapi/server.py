"""The source designs' stack: FastAPI, SQLModel, PyJWT and asyncpg on uvicorn with uvloop."""

import base64
import json
import logging
import os
import re
import sys
import time
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Annotated
from uuid import UUID, uuid4

import bcrypt
import jwt
from anyio import to_thread
from fastapi import Depends, FastAPI, Header, HTTPException, Query, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from limits import RateLimitItemPerSecond
from limits.aio.storage import MemoryStorage
from limits.aio.strategies import FixedWindowRateLimiter
from pydantic import AfterValidator, AwareDatetime, ConfigDict, PlainSerializer, StringConstraints
from sqlalchemy import ARRAY, BigInteger, Column, DateTime, Enum, Text, true, tuple_, update
from sqlalchemy.ext.asyncio import async_sessionmaker, create_async_engine
from sqlalchemy.orm import aliased
from sqlmodel import Field, SQLModel, delete, select
from sqlmodel.ext.asyncio.session import AsyncSession
from starlette.exceptions import HTTPException as StarletteHTTPException

SECRET = os.environ["JWT_SECRET"]
ISSUER, AUDIENCE, TTL_SECONDS = "taskwarden", "taskwarden-api", 86_400
LIMIT = RateLimitItemPerSecond(int(os.environ["RATE_LIMIT"]), int(os.environ["RATE_WINDOW_SECONDS"]))
DUMMY_HASH = bcrypt.hashpw(b"dummy password", bcrypt.gensalt(10))
CANONICAL_ID = re.compile(r"^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$")

pool_max = int(os.environ["DB_POOL_MAX"])
engine = create_async_engine(
    os.environ["DATABASE_URL"].replace("postgres://", "postgresql+asyncpg://"),
    pool_size=pool_max,
    max_overflow=0,
    pool_timeout=30,
)
sessions = async_sessionmaker(engine, class_=AsyncSession, expire_on_commit=False)


class Priority(StrEnum):
    low = "low"
    normal = "normal"
    high = "high"
    urgent = "urgent"


def moment(**options):
    return Column(DateTime(timezone=True), **options)


class User(SQLModel, table=True):
    __tablename__ = "users"
    id: UUID = Field(primary_key=True)
    email: str
    password_hash: str
    name: str | None = None
    created_at: datetime = Field(sa_column=moment())
    disabled_at: datetime | None = Field(default=None, sa_column=moment())


class UserChanges(SQLModel, table=True):
    __tablename__ = "user_changes"
    user_id: UUID = Field(primary_key=True)
    last: int = Field(sa_column=Column(BigInteger))


class SignIn(SQLModel, table=True):
    __tablename__ = "sessions"
    user_id: UUID = Field(primary_key=True)
    id: UUID = Field(primary_key=True)
    kind: str = Field(sa_column=Column(Enum("sign-in", "personal", name="session_kind", create_type=False)))
    name: str | None = None
    scope: str
    created_at: datetime = Field(sa_column=moment())
    expires_at: datetime = Field(sa_column=moment())
    last_seen_at: datetime = Field(sa_column=moment())


class Task(SQLModel, table=True):
    __tablename__ = "tasks"
    user_id: UUID = Field(primary_key=True)
    id: UUID = Field(primary_key=True)
    title: str
    description: str | None = None
    completed: bool = False
    completed_at: datetime | None = Field(default=None, sa_column=moment())
    priority: str = Field(sa_column=Column(Enum(*Priority, name="priority", create_type=False)))
    due_at: datetime | None = Field(default=None, sa_column=moment())
    tags: list[str] = Field(sa_column=Column(ARRAY(Text)))
    version: int = 1
    created_at: datetime = Field(sa_column=moment())
    updated_at: datetime = Field(sa_column=moment())
    deleted_at: datetime | None = Field(default=None, sa_column=moment())
    change: int = Field(sa_column=Column(BigInteger))


def storable(value: str) -> str:
    if "\0" in value:
        raise ValueError("must not contain U+0000")
    return value


def not_blank(value: str) -> str:
    if not value.strip():
        raise ValueError("must not be blank")
    return value


def unique(values: list[str]) -> list[str]:
    if len(set(values)) != len(values):
        raise ValueError("must be unique")
    return values


def rfc3339(value: datetime) -> str:
    return value.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


Stored = AfterValidator(storable)
Title = Annotated[str, StringConstraints(min_length=1, max_length=500), Stored, AfterValidator(not_blank)]
Description = Annotated[str, StringConstraints(max_length=10_000), Stored]
Tag = Annotated[str, StringConstraints(min_length=1, max_length=50), Stored]
Tags = Annotated[list[Tag], Field(max_length=20), AfterValidator(unique)]
Instant = Annotated[datetime, PlainSerializer(rfc3339, return_type=str)]


class NewTask(SQLModel):
    model_config = ConfigDict(extra="forbid")
    title: Title
    description: Description | None = None
    priority: Priority = Priority.normal
    due_at: AwareDatetime | None = None
    tags: Tags = []


class TaskReplacement(NewTask):
    completed: bool


class Completion(SQLModel):
    model_config = ConfigDict(extra="forbid")
    completed: bool


class TaskQuery(SQLModel):
    model_config = ConfigDict(extra="forbid")
    limit: int = Field(default=50, ge=1, le=200)
    cursor: str | None = Field(default=None, max_length=8192)


class Credentials(SQLModel):
    model_config = ConfigDict(extra="forbid")
    email: str = Field(max_length=254)
    password: str = Field(min_length=1, max_length=128)


class TaskPublic(SQLModel):
    id: UUID
    user_id: UUID
    title: str
    description: str | None
    completed: bool
    completed_at: Instant | None
    priority: Priority
    due_at: Instant | None
    tags: list[str]
    version: int
    created_at: Instant
    updated_at: Instant


class TaskPage(SQLModel):
    tasks: list[TaskPublic]
    next_cursor: str | None


class Completed(SQLModel):
    success: bool
    completed: bool


class Deleted(SQLModel):
    success: bool


class UserPublic(SQLModel):
    id: UUID
    email: str
    name: str | None
    created_at: Instant


class Welcome(SQLModel):
    access_token: str
    token_type: str
    expires_in: int
    user: UserPublic


handler = logging.StreamHandler(sys.stdout)
handler.setFormatter(logging.Formatter("%(message)s"))
log = logging.getLogger("requests")
log.addHandler(handler)
log.setLevel(logging.INFO)
log.propagate = False


class Visits:
    """Request id, common headers and one log line a request, as plain ASGI: Starlette's own
    BaseHTTPMiddleware is known to cost much more."""

    def __init__(self, app):
        self.app = app

    async def __call__(self, scope, receive, send):
        if scope["type"] != "http":
            return await self.app(scope, receive, send)
        started = time.perf_counter()
        sent_id = next((value for name, value in scope["headers"] if name == b"x-request-id"), None)
        request_id = sent_id or str(uuid4()).encode()
        status = 500
        tasks = scope["path"].startswith("/api/tasks")

        async def answering(message):
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                message["headers"] += [
                    (b"x-request-id", request_id),
                    (b"x-content-type-options", b"nosniff"),
                    (b"cache-control", b"private, no-cache" if tasks else b"no-store"),
                    *scope.get("state", {}).get("limit_headers", ()),
                ]
            await send(message)

        await self.app(scope, receive, answering)
        log.info(
            json.dumps(
                {
                    "time": datetime.now(UTC).isoformat(timespec="milliseconds"),
                    "level": "info",
                    "event": "request",
                    "request_id": request_id.decode(),
                    "method": scope["method"],
                    "route": getattr(scope.get("route"), "path", None),
                    "status": status,
                    "ms": round((time.perf_counter() - started) * 1000, 1),
                    "user_id": scope.get("state", {}).get("user_id"),
                }
            )
        )


@asynccontextmanager
async def lifespan(_app):
    yield
    await engine.dispose()


app = FastAPI(lifespan=lifespan)
app.add_middleware(Visits)
limiter = FixedWindowRateLimiter(MemoryStorage())


def problem(status: int, headers=None):
    body = {"type": "about:blank", "title": "", "status": status}
    return JSONResponse(body, status, headers, media_type="application/problem+json")


@app.exception_handler(StarletteHTTPException)
async def on_http_error(_request, error: StarletteHTTPException):
    return problem(error.status_code, error.headers)


@app.exception_handler(RequestValidationError)
async def on_invalid(_request, error: RequestValidationError):
    return problem(400 if any(one["type"] == "json_invalid" for one in error.errors()) else 422)


class Who:
    __slots__ = ("user_id", "session_id")

    def __init__(self, user_id: str, session_id: str):
        self.user_id, self.session_id = UUID(user_id), UUID(session_id)


CHALLENGE = {"www-authenticate": 'Bearer realm="taskwarden", error="invalid_token"'}


def identified(authorization: str | None) -> Who | None:
    scheme, _, token = (authorization or "").partition(" ")
    if scheme.lower() != "bearer":
        return None
    try:
        decoded = jwt.decode_complete(
            token,
            SECRET,
            algorithms=["HS256"],
            issuer=ISSUER,
            audience=AUDIENCE,
            leeway=5,
            options={"require": ["iss", "aud", "sub", "sid", "jti", "iat", "exp"]},
        )
    except jwt.InvalidTokenError:
        return None
    claims = decoded["payload"]
    ids = [claims["sub"], claims["sid"], claims["jti"]]
    shaped = all(isinstance(one, str) and CANONICAL_ID.match(one) for one in ids)
    if decoded["header"].get("typ") != "at+jwt" or not shaped or claims["exp"] - claims["iat"] > TTL_SECONDS:
        return None
    return Who(claims["sub"], claims["sid"])


async def counted(request: Request, key: str) -> None:
    passes = await limiter.hit(LIMIT, key)
    window = await limiter.get_window_stats(LIMIT, key)
    headers = {
        "ratelimit-limit": str(LIMIT.amount),
        "ratelimit-remaining": str(window.remaining),
        "ratelimit-reset": str(max(0, int(window.reset_time - time.time()))),
    }
    # The middleware writes them, so that refusals have them too.
    request.state.limit_headers = [(name.encode(), value.encode()) for name, value in headers.items()]
    if not passes:
        raise HTTPException(429, headers={"retry-after": headers["ratelimit-reset"]})


async def current(request: Request, authorization: Annotated[str | None, Header()] = None) -> Who:
    who = identified(authorization)
    key = str(who.user_id) if who else request.client.host
    await counted(request, key)
    if who is None:
        raise dead()
    request.state.user_id = str(who.user_id)
    return who


async def count_address(request: Request) -> None:
    await counted(request, request.client.host)


async def database():
    async with sessions() as db:
        yield db


CurrentUser = Annotated[Who, Depends(current)]
Db = Annotated[AsyncSession, Depends(database)]


def id_of(text: str) -> UUID:
    return UUID(text) if CANONICAL_ID.match(text) else UUID(int=0)


def is_live(who: Who):
    return (SignIn.user_id == who.user_id, SignIn.id == who.session_id, SignIn.expires_at > datetime.now(UTC))


def dead() -> HTTPException:
    return HTTPException(401, headers=CHALLENGE)


async def numbered(db: AsyncSession, who: Who) -> int:
    """Locks the user's counter and takes the number of the next change; 401 where the session has ended."""
    live = select(SignIn.id).where(*is_live(who)).exists()
    statement = (
        update(UserChanges)
        .where(UserChanges.user_id == who.user_id, live)
        .values(last=UserChanges.last + 1)
        .returning(UserChanges.last)
        .execution_options(synchronize_session=False)
    )
    number = (await db.exec(statement)).scalar_one_or_none()
    if number is None:
        raise dead()
    return number


async def locked(db: AsyncSession, who: Who, task_id: str, if_match: str | None) -> Task:
    """The task for a write, with its next change's number; 404 and 412 as they come."""
    number = await numbered(db, who)
    mine = (Task.user_id == who.user_id, Task.id == id_of(task_id), Task.deleted_at.is_(None))
    task = (await db.exec(select(Task).where(*mine).with_for_update())).one_or_none()
    if task is None:
        raise HTTPException(404)
    if if_match not in (None, "*") and f'"{task.version}"' not in re.split(r"\s*,\s*", if_match):
        raise HTTPException(412, headers={"etag": f'"{task.version}"'})
    task.change = number
    task.version += 1
    task.updated_at = datetime.now(UTC)
    return task


def now_ms() -> datetime:
    now = datetime.now(UTC)
    return now.replace(microsecond=now.microsecond // 1000 * 1000)


def complete(task: Task, completed: bool) -> None:
    task.completed = completed
    task.completed_at = (task.completed_at or now_ms()) if completed else None


@app.get("/api/tasks")
async def list_tasks(query: Annotated[TaskQuery, Query()], who: CurrentUser, db: Db) -> TaskPage:
    tasks = select(Task).where(Task.user_id == who.user_id, Task.deleted_at.is_(None))
    if query.cursor is not None:
        try:
            created_at, last = json.loads(base64.urlsafe_b64decode(query.cursor + "=="))
            position = (datetime.fromisoformat(created_at), UUID(last))
        except (ValueError, TypeError) as error:
            raise HTTPException(400) from error
        tasks = tasks.where(tuple_(Task.created_at, Task.id) < position)
    tasks = tasks.order_by(Task.created_at.desc(), Task.id.desc()).limit(query.limit + 1)
    page = tasks.subquery().lateral()
    of_page = aliased(Task, page)
    statement = select(SignIn.id, of_page).outerjoin(of_page, true()).where(*is_live(who))
    rows = (await db.exec(statement)).all()
    if not rows:
        raise dead()
    found = [task for _, task in rows if task is not None]
    shown = found[: query.limit]
    more = len(found) > query.limit
    place = json.dumps([rfc3339(shown[-1].created_at), str(shown[-1].id)]) if more else ""
    cursor = base64.urlsafe_b64encode(place.encode()).decode().rstrip("=") if more else None
    return TaskPage.model_construct(tasks=shown, next_cursor=cursor)


@app.post("/api/tasks", status_code=201)
async def add_task(body: NewTask, who: CurrentUser, db: Db, response: Response) -> TaskPublic:
    change, now = await numbered(db, who), now_ms()
    mine = {"user_id": who.user_id, "id": uuid4(), "change": change, "created_at": now, "updated_at": now}
    task = Task(**body.model_dump(), **mine)
    db.add(task)
    await db.commit()
    response.headers["etag"] = f'"{task.version}"'
    response.headers["location"] = f"/api/tasks/{task.id}"
    return task


@app.get("/api/tasks/{task_id}")
async def read_task(
    task_id: str,
    who: CurrentUser,
    db: Db,
    response: Response,
    if_none_match: Annotated[str | None, Header()] = None,
) -> TaskPublic:
    mine = (Task.user_id == SignIn.user_id) & (Task.id == id_of(task_id)) & Task.deleted_at.is_(None)
    statement = select(SignIn.id, Task).outerjoin(Task, mine).where(*is_live(who))
    row = (await db.exec(statement)).one_or_none()
    if row is None:
        raise dead()
    _, task = row
    if task is None:
        raise HTTPException(404)
    etag = f'"{task.version}"'
    if if_none_match is not None and (if_none_match == "*" or etag in re.split(r"\s*,\s*", if_none_match)):
        return Response(status_code=304, headers={"etag": etag})
    response.headers["etag"] = etag
    return task


@app.put("/api/tasks/{task_id}")
async def replace_task(
    task_id: str,
    body: TaskReplacement,
    who: CurrentUser,
    db: Db,
    response: Response,
    if_match: Annotated[str | None, Header()] = None,
) -> TaskPublic:
    task = await locked(db, who, task_id, if_match)
    task.sqlmodel_update(body.model_dump(exclude={"completed"}))
    complete(task, body.completed)
    await db.commit()
    response.headers["etag"] = f'"{task.version}"'
    return task


@app.patch("/api/tasks/{task_id}/complete")
async def complete_task(
    task_id: str,
    who: CurrentUser,
    db: Db,
    response: Response,
    body: Completion | None = None,
    if_match: Annotated[str | None, Header()] = None,
) -> Completed:
    task = await locked(db, who, task_id, if_match)
    complete(task, not task.completed if body is None else body.completed)
    await db.commit()
    response.headers["etag"] = f'"{task.version}"'
    return Completed(success=True, completed=task.completed)


@app.delete("/api/tasks/{task_id}")
async def delete_task(
    task_id: str, who: CurrentUser, db: Db, if_match: Annotated[str | None, Header()] = None
) -> Deleted:
    task = await locked(db, who, task_id, if_match)
    task.deleted_at = now_ms()
    await db.commit()
    return Deleted(success=True)


@app.post("/api/auth/login", dependencies=[Depends(count_address)])
async def login(body: Credentials, db: Db) -> Welcome:
    email = body.email.strip().lower()
    user = (await db.exec(select(User).where(User.email == email))).one_or_none()
    # The connection is returned while the password is verified.
    await db.commit()
    hashed = user.password_hash.encode() if user else DUMMY_HASH
    right = await to_thread.run_sync(bcrypt.checkpw, body.password.encode(), hashed)
    if user is None or not right:
        raise HTTPException(401)
    now = datetime.now(UTC).replace(microsecond=0)
    expires = now + timedelta(seconds=TTL_SECONDS)
    await db.exec(select(UserChanges).where(UserChanges.user_id == user.id).with_for_update())
    await db.exec(
        delete(SignIn)
        .where(SignIn.user_id == user.id, SignIn.expires_at <= now)
        .execution_options(synchronize_session=False)
    )
    started = SignIn(
        user_id=user.id,
        id=uuid4(),
        kind="sign-in",
        scope="tasks:read tasks:write",
        created_at=now,
        expires_at=expires,
        last_seen_at=now,
    )
    db.add(started)
    await db.commit()
    claims = {"iss": ISSUER, "aud": AUDIENCE, "sub": str(user.id), "sid": str(started.id)}
    claims |= {"jti": str(uuid4()), "iat": now, "exp": expires}
    token = jwt.encode(claims, SECRET, algorithm="HS256", headers={"typ": "at+jwt"})
    shown = UserPublic.model_validate(user, from_attributes=True)
    return Welcome(access_token=token, token_type="Bearer", expires_in=TTL_SECONDS, user=shown)
