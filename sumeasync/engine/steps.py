"""One method a step: its input and output, told as an event. Nothing here decides, waits or tries again."""

from __future__ import annotations

import asyncio
import mimetypes
import os
from collections.abc import Awaitable, Callable, Collection, Mapping, MutableMapping
from random import Random
from typing import Any

import msgspec

from sumeasync.core.budget.budget import Budget
from sumeasync.core.events import Accepted, Canceled, Event, Faulted, Fetched, Listed, Placed, Seen, Stored, Uploaded
from sumeasync.core.job import CREATE, LANES, NAMES, POLL, SWEEP, Hint, Job, Product, Step
from sumeasync.core.keys import draw_key, may_send_again
from sumeasync.core.records import Intent
from sumeasync.core.sweep.rounds import Look
from sumeasync.dialects.base import Dialect
from sumeasync.engine.reconciling import RECONCILE_PAGE, Reconciling
from sumeasync.errors import DiskFullError, RefusedError, StorageError, SumeError, TransportError, UsageError
from sumeasync.io.carrier import Sender
from sumeasync.io.journal import Journal, MemoryJournal
from sumeasync.io.media import Downloader
from sumeasync.io.names import file_of, media_stem
from sumeasync.io.transfer import Allowance
from sumeasync.models import JobView, Media, Request, Response, Spec

__all__ = ["Steps", "Transfers"]


class Transfers(msgspec.Struct, frozen=True):
    """How files travel: `upload` takes path, signed address and headers; `downloader` None: media go nowhere."""

    upload: Callable[[str, str, Mapping[str, str]], Awaitable[None]]
    downloader: Downloader | None
    allowance: Allowance
    max_job_bytes: int
    max_job_files: int

    def allowance_left(self, saved: Collection[Media]) -> Allowance:
        """What a job may still save beside the files it has, within what is left to the run."""
        size = self.max_job_bytes - sum(file.bytes for file in saved)
        return Allowance(size, self.max_job_files - len(saved), self.allowance)


class Steps:
    """Performs steps. `counter` counts the requests by step."""

    def __init__(
        self,
        *,
        client: Sender,
        dialect: Dialect,
        budget: Budget,
        journal: Journal | MemoryJournal,
        transfers: Transfers,
        reconciling: Reconciling,
        counter: MutableMapping[str, int],
        rng: Random,
        wall_clock: Callable[[], float],
    ) -> None:
        self._client = client
        self._dialect = dialect
        self._budget = budget
        self._journal = journal
        self._transfers = transfers
        self._counter = counter
        self._reconciling = reconciling
        self._rng = rng
        self._wall = wall_clock
        self._clock = asyncio.get_running_loop().time
        self._methods: tuple[Callable[[Job], Awaitable[Event]], ...] = (
            self._result,
            self._reconcile,
            self._presign,
            self._result,  # a poll that asks for the result first
            self._create,
            self._save,
            self._upload,
            self._cancel,
        )

    async def perform(self, job: Job) -> Event:
        """Perform the job's step. A fault comes back as an event; only StorageError is raised: it ends the run."""
        try:
            if job.step is POLL and job.hint is not Hint.COMPLETED:  # most steps, kept cheap
                job_id = _id(job)
                request = self._spell(POLL, self._dialect.poll, job_id)
                return self._seen(job, self._dialect.read_job(await self._ask(request, POLL), job_id))
            return await self._methods[job.step](job)
        except StorageError:
            raise
        except SumeError as error:
            return Faulted(error)

    async def sweep(self, look: Look) -> Listed | Faulted:
        """Ask for one page of the job list."""
        try:
            request = self._spell(
                SWEEP, self._dialect.list_jobs, limit=look.limit, cursor=look.cursor, status=look.status
            )
            page = self._dialect.read_page(await self._ask(request, SWEEP))
        except SumeError as error:
            return Faulted(error)
        return Listed(page.jobs, page.next_cursor)

    def _spell(self, step: Step, spell: Callable[..., Request], *arguments: Any, **named: Any) -> Request:
        """Make the request of a step; if it cannot be made, its token is given back."""
        try:
            return spell(*arguments, **named)
        except UsageError:
            self._budget.record(LANES[step], None, {}, self._clock(), self._wall())
            raise

    async def _ask(self, request: Request, step: Step) -> Response:
        self._counter[NAMES[step]] += 1
        status: int | None = None
        headers: Mapping[str, str] = {}
        try:
            response = await self._client.send(request)
            status, headers = response.status, response.headers
        finally:
            # A list may have a narrower limit of its own; if all reads are meant, the next poll will be told so too.
            if status == 429 and step is SWEEP:
                status, headers = None, {}
            self._budget.record(request.lane, status, headers, self._clock(), self._wall())
        if not 200 <= response.status < 300:
            raise self._dialect.error(response, request.lane)
        return response

    def _seen(self, job: Job, view: JobView) -> Seen:
        type = job.spec.type
        if view.type != type and view.type and type:
            self._reconciling.learn(type, view.type)
        return Seen(view)

    async def _result(self, job: Job) -> Event:
        response = await self._ask(self._spell(Step.RESULT, self._dialect.result, _id(job)), Step.RESULT)
        view, result = self._dialect.read_result(response, _id(job))
        return Fetched(view, result, self._dialect.media(result))

    async def _cancel(self, job: Job) -> Event:
        await self._ask(self._spell(Step.CANCEL, self._dialect.cancel, _id(job)), Step.CANCEL)
        return Canceled()

    async def _presign(self, job: Job) -> Event:
        # What cannot be created is refused before its file travels.
        self._spell(Step.PRESIGN, self._dialect.create, job.spec, object_key="-")
        path = job.spec.file or ""
        name = os.path.basename(path)
        try:
            size = await asyncio.get_running_loop().run_in_executor(None, os.path.getsize, path)
        except OSError as problem:
            self._budget.record("read", None, {}, self._clock(), self._wall())
            raise UsageError(f"the file {name} cannot be read: {problem.strerror}") from None
        kind = mimetypes.guess_type(name)[0] or "application/octet-stream"
        response = await self._ask(self._dialect.presign(name, kind, size), Step.PRESIGN)
        return Placed(self._dialect.read_presign(response))

    async def _upload(self, job: Job) -> Event:
        place = job.carry
        self._counter["upload"] += 1
        try:
            await self._transfers.upload(job.spec.file or "", place.upload_url, place.headers)
        finally:
            self._budget.record("media", None, {}, self._clock(), self._wall())
        return Uploaded(place.object_key)

    async def _create(self, job: Job) -> Event:
        spec = job.spec
        if (full := await self._no_room(spec)) is not None:
            return Faulted(full)
        object_key = job.carry if isinstance(job.carry, str) else None
        request = self._spell(CREATE, self._dialect.create, spec, object_key=object_key)
        wall = self._wall()
        good = may_send_again(job, wall)
        if job.doubtful and not good:
            self._budget.record("create", None, {}, self._clock(), wall)
            return Faulted(TransportError("the idempotency key it was sent under is too old to send it again"))
        # With a key it stays the time of its first try, for so old the server may hold the key to be.
        at = job.intended_at = (job.intended_at if good else None) or wall
        if self._dialect.idempotent:
            key = job.idempotency_key = (job.idempotency_key if good else None) or draw_key(job, at, self._rng)
            request = msgspec.structs.replace(request, headers=(("Idempotency-Key", key),))
        # Durable before the first byte of the request: after a crash it is known that this may have been paid.
        await self._journal.append(Intent(spec.key, spec.type, spec.payload_hash, at, job.idempotency_key))
        with self._reconciling.open(spec, at):
            job_ids = self._dialect.read_created(await self._ask(request, CREATE))
        if job_ids:
            self._reconciling.closed(spec.key)
        return Accepted(job_ids)

    async def _no_room(self, spec: Spec) -> DiskFullError | None:
        """Why what the create would bring could not be kept; then its token is given back."""
        downloader = self._transfers.downloader
        if downloader is not None and spec.download:
            try:
                await downloader.check_space(0)
            except DiskFullError as error:
                self._budget.record("create", None, {}, self._clock(), self._wall())
                return error
        return None

    async def _reconcile(self, job: Job) -> Event:
        walk = self._reconciling.walk(job)
        request = self._spell(
            Step.RECONCILE, self._dialect.list_jobs, limit=RECONCILE_PAGE, cursor=walk.cursor, type=walk.type
        )
        response = await self._ask(request, Step.RECONCILE)
        return self._reconciling.judge(job, response, self._dialect.read_page(response))

    async def _save(self, job: Job) -> Event:
        product: Product = job.carry
        files: list[Media] = list(product.files)
        downloader = self._transfers.downloader
        if downloader is None:
            return Stored(())
        allowance = self._transfers.allowance_left(files)
        refused: RefusedError | None = None
        try:
            for index, link in enumerate(product.links):
                stem = media_stem(job.spec.key, _id(job), index)
                if file_of(stem, files) is not None:
                    continue
                self._counter["download"] += 1
                known = file_of(stem, product.known)
                try:
                    media = await downloader.save(
                        link.url, stem=stem, allowance=allowance, content_type=link.content_type, known=known
                    )
                except RefusedError as error:
                    refused = error  # the other files may still be had
                else:
                    files.append(media)
        except DiskFullError as error:
            return Faulted(error, tuple(files))
        except StorageError:
            raise
        except SumeError as error:
            return Faulted(error, tuple(files))
        finally:
            self._budget.record("media", None, {}, self._clock(), self._wall())
        return Stored(tuple(files)) if refused is None else Faulted(refused, tuple(files))


def _id(job: Job) -> str:
    if job.id is None:
        raise UsageError("the job has no id yet")
    return job.id
