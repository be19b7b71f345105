"""Every endpoint of the API as a typed method."""

from __future__ import annotations

import os
import time
from collections.abc import AsyncIterator, Callable
from random import Random
from typing import Literal, Self

import aiohttp

from sumeasync.core.settings import Settings
from sumeasync.dialects.base import Page, Presigned
from sumeasync.errors import BadResponseError
from sumeasync.io.credentials import find_access
from sumeasync.models import ADOPTED, JSON, JobView
from sumeasync.sume.connection import Connection
from sumeasync.sume.groups import Ads, Assets, FaceSwap, Images, ReferenceAnalysis, Videos, finalize
from sumeasync.sume.handle import JobHandle, fetch, look

__all__ = ["Sume"]

LIST_PAGE = 100


class Sume:
    """The API, one request a call and no second try; an async context manager.

    With the dialect ``open`` a create carries an idempotency key, and one whose answer is lost is sent again under it.

    ```python
    async with Sume() as sume:
        job = await sume.videos.generate("a red kite over the sea", duration=4)
        outcome = await job.wait(timeout_seconds=1800)
        files = await job.download("outputs/")
    ```

    Creates return a `JobHandle`; only `JobHandle.wait` polls and retries, with the engine inside. For many jobs, and
    for work that must survive a crash, use `Engine`.

    Attributes:
        images, videos, ads, face_swap, reference_analysis: what can be created.
        assets: the Asset Library.

    Args:
        api_key: The key; `SUME_API_KEY` by default.
        base_url: Of the API; `SUME_API_BASE_URL` or the public one by default.
        settings: Time-outs, polling, rates of a wait, limits of a download.
        connector_factory: Makes the HTTP connector, in place of TCP; also for media and storage.
        rng: The source of jitter.
        wall_clock: Epoch seconds, for timestamps only.

    Raises:
        MissingKeyError, UsageError: from the constructor, at once.
        ApiError: by every call, as the class for what the server said, with `status`, `code`, `request_id`, `hint`.
        TransportError: by every call; on a create without an answer (`sent` is true) the job may exist and be paid,
            and its `hint` says so. So it is with `ServerError` and `BadResponseError` on a create.
    """

    def __init__(
        self,
        *,
        api_key: str | None = None,
        base_url: str | None = None,
        settings: Settings | None = None,
        connector_factory: Callable[[], aiohttp.BaseConnector] | None = None,
        rng: Random | None = None,
        wall_clock: Callable[[], float] = time.time,
    ) -> None:
        settings = settings or Settings()
        self._connection = connection = Connection(
            find_access(api_key, base_url, dialect=settings.dialect),
            settings,
            connector_factory=connector_factory,
            rng=rng,
            wall_clock=wall_clock,
        )
        self._dialect = connection.dialect
        self.images = Images(connection)
        self.videos = Videos(connection)
        self.ads = Ads(connection)
        self.face_swap = FaceSwap(connection)
        self.reference_analysis = ReferenceAnalysis(connection)
        self.assets = Assets(connection)

    def __repr__(self) -> str:
        return f"<Sume {self._connection}>"

    async def __aenter__(self) -> Self:
        await self._connection.__aenter__()
        return self

    async def __aexit__(self, *exc: object) -> None:
        await self._connection.__aexit__(*exc)

    async def me(self) -> JSON:
        """User, workspace and key, as the API tells them; not to be shown around."""
        return await self._connection.read(self._dialect.me())

    async def credits(self) -> JSON:
        """Plan, credits and generation capacity, as the API tells them."""
        return await self._connection.read(self._dialect.credits())

    async def jobs(
        self, limit: int = 20, cursor: str | None = None, type: str | None = None, status: str | None = None
    ) -> Page:
        """One page of the key's jobs, 1 to 100 of them; `next_cursor` asks for the next one."""
        request = self._dialect.list_jobs(limit=limit, cursor=cursor, type=type, status=status)
        return self._dialect.read_page(await self._connection.ask(request))

    async def iter_jobs(self, type: str | None = None, status: str | None = None) -> AsyncIterator[JobView]:
        """Every job of the key, each once, a request for each hundred.

        Raises BadResponseError when the list does not end: a page that promises more brings no new job, or names a
        cursor that came before. What was there until then has been given.
        """
        seen: set[str] = set()
        cursors: set[str | None] = set()
        cursor: str | None = None
        while True:
            page = await self.jobs(LIST_PAGE, cursor, type, status)
            known = len(seen)
            for job in page.jobs:
                if job.id not in seen:
                    seen.add(job.id)
                    yield job
            cursors.add(cursor)
            cursor = page.next_cursor
            if cursor is None:
                return
            if len(seen) == known or cursor in cursors:
                raise BadResponseError(f"the list of jobs goes round in circles after {len(seen)} jobs")

    async def job(self, job_id: str) -> JobView:
        """How one job stands. Raises NotFoundError."""
        return await look(self._connection, job_id)

    async def result(self, job_id: str) -> JSON:
        """The result payload of a completed job, with fresh links. Raises NotReadyError, NotFoundError."""
        return await fetch(self._connection, job_id)

    def handle(self, job_id: str, type: str = ADOPTED) -> JobHandle:
        """A handle on a job created earlier; sends nothing. Its `type` chooses how a wait begins to poll."""
        return JobHandle(self._connection, job_id, type)

    async def presign(
        self, path: str | os.PathLike[str], *, purpose: str | None = None, content_type: str | None = None
    ) -> Presigned:
        """Ask where the file at `path` may be uploaded; its name, size and (by its name) type are told.

        A Face Swap's source video has the purpose ``face_swap_source_video``. Raises UsageError when there is no
        such file.
        """
        return await self._connection.presign(os.fspath(path), purpose, content_type)

    async def upload(self, path: str | os.PathLike[str], presigned: Presigned) -> int:
        """PUT the file to storage, without the key, and return its size in bytes.

        Raises LinkExpiredError (presign again), UsageError, RefusedError, TransportError.
        """
        return await self._connection.upload(os.fspath(path), presigned)

    async def finalize(self, object_key: str, **input: JSON) -> JobHandle:
        """Start the ingest of an uploaded object, which may spend credits; `input` is sent beside the key."""
        return await finalize(self._connection, object_key, input)

    async def brand(self, which: Literal["all", "current"] = "current") -> JSON:
        """The current brand, or the list of all."""
        return await self._connection.read(self._dialect.brand(which))

    async def avatars(self) -> JSON:
        """The list of avatars."""
        return await self._connection.read(self._dialect.avatars())

    async def avatar(self, avatar_id: str) -> JSON:
        """One avatar. Raises NotFoundError."""
        return await self._connection.read(self._dialect.avatar(avatar_id))
