"""The open way to the API and to storage that everything here shares: one request a call, and no second try.

A create is the exception where the API takes an idempotency key: when its answer is lost, and only then, it is sent
again under its key, which cannot start a second job. Whatever comes of that, it says nothing of the first try.
"""

from __future__ import annotations

import asyncio
import mimetypes
import os
from collections.abc import Callable
from contextlib import AsyncExitStack
from random import Random
from typing import Self

import aiohttp
import msgspec

from sumeasync.core import redact
from sumeasync.core.faults import Verdict, asked_seconds, verdict
from sumeasync.core.job import Job, Step
from sumeasync.core.keys import draw_key
from sumeasync.core.polling.policy import retry_delay
from sumeasync.core.settings import Settings
from sumeasync.core.specs import payload_hash
from sumeasync.dialects.base import Presigned
from sumeasync.dialects.known import DIALECTS
from sumeasync.engine import Engine
from sumeasync.errors import SumeError, TransportError, UsageError
from sumeasync.io.client import Client, Timeouts
from sumeasync.io.credentials import Access
from sumeasync.io.guard import Guard, guarded_session
from sumeasync.io.local import LocalDisk
from sumeasync.io.media import Downloader
from sumeasync.io.transfer import Limits
from sumeasync.io.upload import upload
from sumeasync.models import JSON, Request, Response, Spec

__all__ = ["Connection"]

MAY_EXIST = "it may have been created; look in sumeasync jobs list before sending again"
CALL_AGAIN = "check the network, then call again"
CREATE_TRIES = 4
LONGEST_WAIT = 60.0
"""Seconds; a server that asks for more between two tries of a create is not waited for."""
UNNAMED_TYPE = "application/octet-stream"


class Connection:
    """A client for the API and a keyless session for storage; an async context manager."""

    def __init__(
        self,
        access: Access,
        settings: Settings,
        *,
        connector_factory: Callable[[], aiohttp.BaseConnector] | None,
        rng: Random | None,
        wall_clock: Callable[[], float],
    ) -> None:
        self.dialect = DIALECTS[settings.dialect]()
        self.settings = settings
        self._access = access
        self._connector_factory = connector_factory
        self._rng = rng or Random()
        self._wall_clock = wall_clock
        self._guard = Guard(access.base_url, settings.media_hosts)
        self._limits = Limits(
            settings.max_file_bytes,
            settings.spare_bytes,
            connect_seconds=settings.connect_timeout,
            idle_seconds=settings.read_timeout,
        )
        self._client = Client(
            access.base_url,
            access.api_key,
            connector_factory=connector_factory,
            timeouts=Timeouts(settings.connect_timeout, settings.read_timeout, settings.total_timeout),
            limit=settings.reads + settings.creates,
            trust_env=settings.trust_env,
        )
        self._session: aiohttp.ClientSession | None = None
        self._stack = AsyncExitStack()

    def __repr__(self) -> str:
        return f"<Connection {self._client.host} {'closed' if self._session is None else 'open'}>"

    async def __aenter__(self) -> Self:
        async with AsyncExitStack() as stack:
            await stack.enter_async_context(self._client)
            connector = self._connector_factory() if self._connector_factory else None
            session = guarded_session(self._guard, limit=self.settings.transfers, connector=connector)
            self._session = await stack.enter_async_context(session)
            self._stack = stack.pop_all()
        return self

    async def __aexit__(self, *exc: object) -> None:
        self._session = None
        await self._stack.aclose()

    async def ask(self, request: Request) -> Response:
        """Send once and return the 2xx answer; any other one is raised, its message sanitized."""
        try:
            response = await self._client.send(request)
        except TransportError as error:
            error.hint = CALL_AGAIN
            raise
        if 200 <= response.status < 300:
            return response
        refusal = self.dialect.error(response, request.lane)
        refusal.args = (redact.text(str(refusal)),)
        raise refusal

    async def read(self, request: Request) -> JSON:
        """Send once and return the document of a 2xx answer."""
        return (await self.ask(request)).body

    async def create(self, spec: Spec, object_key: str | None = None) -> tuple[str, ...]:
        """Send the create of `spec` and return the ids of its jobs; an error tells whether any may exist.

        Where a key makes that safe, it is sent up to `CREATE_TRIES` times once an answer was lost.
        """
        request = self.dialect.create(spec, object_key=object_key)
        tries, doubtful = 1, False
        if self.dialect.idempotent:
            tries, request = CREATE_TRIES, self._keyed(request, spec)
        while True:
            try:
                return self.dialect.read_created(await self.ask(request))
            except SumeError as error:
                judged = verdict(error, Step.CREATE)
                doubtful = doubtful or judged is Verdict.AMBIGUOUS
                if not doubtful:
                    raise
                tries -= 1
                delay = max(asked_seconds(error), retry_delay(CREATE_TRIES - tries, self._rng))
                if not tries or judged not in (Verdict.AMBIGUOUS, Verdict.RETRY) or delay > LONGEST_WAIT:
                    error.args, error.hint = (f"{error}; the job may have been created",), MAY_EXIST
                    raise
            await asyncio.sleep(delay)

    def _keyed(self, request: Request, spec: Spec) -> Request:
        """The request with an idempotency key of its own, the same for each of its tries."""
        try:
            digest = payload_hash(spec.type, spec.input, spec.file)
        except (TypeError, ValueError, RecursionError):
            raise UsageError("the input cannot be written as JSON") from None
        job = Job(msgspec.structs.replace(spec, payload_hash=digest))
        key = draw_key(job, self._wall_clock(), self._rng)
        return msgspec.structs.replace(request, headers=(("Idempotency-Key", key),))

    async def presign(self, path: str, purpose: str | None, content_type: str | None) -> Presigned:
        """Ask where the file at `path` may be uploaded."""
        name, guessed, size = await asyncio.get_running_loop().run_in_executor(None, describe, path)
        response = await self.ask(self.dialect.presign(name, content_type or guessed, size, purpose))
        return self.dialect.read_presign(response)

    async def upload(self, path: str, place: Presigned) -> int:
        """PUT the file where it may go; the session that does it holds no key."""
        session, url = self.opened(), place.upload_url
        return await upload(session, self._guard, path, url, place.headers, self._limits, wall_clock=self._wall_clock)

    def downloader(self, directory: str) -> Downloader:
        """What saves media into `directory`."""
        disk = LocalDisk(directory)
        return Downloader(self.opened(), self._guard, disk, self._limits, wall_clock=self._wall_clock)

    def engine(self) -> Engine:
        """An engine for the same API that keeps nothing on disk."""
        return Engine(
            api_key=self._access.api_key.reveal(),
            base_url=self._access.base_url,
            settings=self.settings,
            connector_factory=self._connector_factory,
            rng=self._rng,
            wall_clock=self._wall_clock,
        )

    def opened(self) -> aiohttp.ClientSession:
        """The keyless session; raises UsageError when this is not open."""
        if self._session is None:
            raise UsageError("not open: use it in `async with`")
        return self._session


def describe(path: str) -> tuple[str, str, int]:
    """Name, content type by that name, and size of a file; blocks."""
    name = os.path.basename(path)
    try:
        return name, mimetypes.guess_type(name)[0] or UNNAMED_TYPE, os.path.getsize(path)
    except (OSError, ValueError) as problem:  # a NUL in the path is a ValueError
        reason = getattr(problem, "strerror", None) or "not a path"
        raise UsageError(f"the file {name} cannot be read: {reason}") from None
