"""A handle on one job at the server: look at it, wait for it, fetch and save what it made."""

from __future__ import annotations

import asyncio
import os
from pathlib import PurePosixPath
from typing import TYPE_CHECKING

import msgspec

from sumeasync.core.setbacks import NOT_FOUND_GRACE_SECONDS
from sumeasync.errors import DeadlineError, JobError, NotReadyError, UsageError
from sumeasync.io.names import media_stem
from sumeasync.io.transfer import Allowance
from sumeasync.models import ADOPTED, JSON, JobView, Media, Outcome, Spec

if TYPE_CHECKING:
    from sumeasync.sume.connection import Connection

__all__ = ["JobHandle", "fetch", "look", "start"]


class JobHandle:
    """One job. It lives at the server and goes on there whatever happens here; its `id` is all that need be kept.

    Attributes:
        id: the job's id.
        type: such as ``video_generation``; empty when only the id was known.
        siblings: handles of the further jobs that the same create started; mostly none.
    """

    def __init__(
        self,
        connection: Connection,
        job_id: str,
        type: str = ADOPTED,
        *,
        created_at: float | None = None,
        siblings: tuple[JobHandle, ...] = (),
    ) -> None:
        self.id = job_id
        self.type = type
        self.siblings = siblings
        self._connection = connection
        self._created_at = created_at  # on the loop's clock

    def __repr__(self) -> str:
        return f"<JobHandle {self.id} {self.type or 'of any type'}>"

    async def status(self) -> JobView:
        """Ask once how the job stands."""
        return await look(self._connection, self.id)

    async def result(self) -> JSON:
        """Ask once for the result payload; its media links are fresh and short-lived.

        Raises NotReadyError while the job has none.
        """
        return await fetch(self._connection, self.id)

    async def wait(self, timeout_seconds: float | None = None) -> Outcome:
        """Wait until the job completed and return its outcome, whose `result` is the payload with its links.

        The engine polls by the policy of the job's type and retries what is worth it. At the deadline (without
        `timeout_seconds`: that of the policy) it looks a last time. Nothing is saved: see `download`.

        Raises:
            DeadlineError: the job still runs, and goes on at the server; wait again whenever you like.
            JobError: it failed, was canceled or expired, or its result cannot be had; `.outcome` has the rest.
            AuthError: the key is no longer accepted.
            UsageError: `timeout_seconds` is not positive.
        """
        if timeout_seconds is not None and not timeout_seconds > 0:
            raise UsageError("timeout_seconds must be positive")
        clock = asyncio.get_running_loop().time
        end = None if timeout_seconds is None else clock() + timeout_seconds
        outcome = await self._watch(timeout_seconds)
        while self._may_yet_appear(outcome):
            left = None if end is None else end - clock()
            if left is not None and left <= 0:
                outcome = msgspec.structs.replace(outcome, status="timed_out")
                break
            outcome = await self._watch(left)
        if not outcome.ok:
            raise job_error(self.id, outcome)
        return outcome

    async def download(self, directory: str | os.PathLike[str]) -> tuple[Media, ...]:
        """Save the media of the completed job into `directory`, as ``<job id>[-n].<ext>``, and say what was saved.

        The result is asked for once, for fresh links. Each file is tried once and gets its name only when whole;
        what a broken connection left is gone on with by the next call, and a file already there is not doubled.
        To save without watching over it, run many jobs, or survive a crash, use an `Engine` with `out`.

        Raises:
            NotReadyError: the job has not completed; `wait` first.
            TransportError, ServerError, RateLimitError, LinkExpiredError: call again.
            BadResponseError, RefusedError: a link leads to no media, or where it must not.
            StorageError: the disk refused.
        """
        connection = self._connection
        links = connection.dialect.media(await self.result())
        downloader = connection.downloader(os.fspath(directory))
        allowance = Allowance(connection.settings.max_job_bytes, connection.settings.max_job_files)
        return tuple(
            [
                await downloader.save(
                    link.url, stem=file_stem(self.id, index), allowance=allowance, content_type=link.content_type
                )
                for index, link in enumerate(links)
            ]
        )

    async def _watch(self, seconds: float | None) -> Outcome:
        entry = {"job_id": self.id, "type": self.type, "deadline_seconds": seconds, "download": False}
        async with self._connection.engine() as engine:
            return await anext(engine.run([entry]))

    def _may_yet_appear(self, outcome: Outcome) -> bool:
        """A job just created here may be unknown to the server's readers for a moment; an old id stays unknown."""
        if self._created_at is None or outcome.error is None or outcome.error.http_status != 404:
            return False
        return asyncio.get_running_loop().time() - self._created_at < NOT_FOUND_GRACE_SECONDS


async def start(connection: Connection, spec: Spec, object_key: str | None = None) -> tuple[JobHandle, ...]:
    """Create the job or jobs of `spec`, the primary first; it knows its siblings."""
    ids = await connection.create(spec, object_key)
    now = asyncio.get_running_loop().time()
    others = tuple(JobHandle(connection, job_id, spec.type, created_at=now) for job_id in ids[1:])
    return (JobHandle(connection, ids[0], spec.type, created_at=now, siblings=others), *others)


async def look(connection: Connection, job_id: str) -> JobView:
    """Ask once how a job stands."""
    dialect = connection.dialect
    return dialect.read_job(await connection.ask(dialect.poll(job_id)), job_id)


async def fetch(connection: Connection, job_id: str) -> JSON:
    """Ask once for a job's result payload; raises NotReadyError when the answer is no more than its state."""
    dialect = connection.dialect
    view, payload = dialect.read_result(await connection.ask(dialect.result(job_id)), job_id)
    if view.status not in ("completed", None) and not dialect.media(payload):
        raise NotReadyError(f"the job has no result: it is {view.word}", status=200, code="job_not_completed")
    return payload


def file_stem(job_id: str, index: int) -> str:
    """The engine's name for a media file, without its folders."""
    return PurePosixPath(media_stem("", job_id, index)).name


def job_error(job_id: str, outcome: Outcome) -> JobError:
    """The error for an outcome that is not all well."""
    if outcome.status == "timed_out":
        return DeadlineError(f"the deadline passed and {job_id} still runs", outcome, hint=watch_hint(job_id))
    error = outcome.error
    reason = ": ".join(part for part in (error.code, error.message) if part) if error else "no reason was given"
    request = f" (request {error.request_id})" if error and error.request_id else ""
    if outcome.status == "completed":
        text = f"{job_id} completed, and its result cannot be had: {reason}{request}"
        return JobError(text, outcome, hint="nothing is lost: ask for the result again")
    return JobError(f"{job_id} {outcome.status}: {reason}{request}", outcome)


def watch_hint(job_id: str) -> str:
    """What to do about a job that still runs."""
    return f"it goes on at the server: wait again, or sumeasync watch {job_id}"
