"""The engine: opens what a run needs, in order, and closes it again; runs batches in between."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from contextlib import AsyncExitStack
from random import Random
from types import TracebackType
from typing import Self

import aiohttp
import anyio

from sumeasync.core.settings import Settings
from sumeasync.engine.intake import Specs
from sumeasync.engine.kit import open_dialect, open_kit
from sumeasync.engine.run import Run
from sumeasync.errors import StorageError, UsageError
from sumeasync.io.carrier import Carrier
from sumeasync.io.credentials import find_access
from sumeasync.io.disk import Disk

__all__ = ["Engine"]


class Engine:
    """Creates, polls, fetches and saves jobs; an async context manager, one run at a time.

    Args:
        out: The output directory; a run on the same one goes on where the last one stopped. None keeps nothing on
            disk: no media, no journal.
        api_key: The key; `SUME_API_KEY` by default.
        base_url: Of the API; `SUME_API_BASE_URL` or the public one by default.
        settings: Everything else.
        connector_factory: Makes the HTTP connector, in place of TCP; also for media and storage.
        carrier: Takes requests and uploads in place of HTTP; media are not its business.
        disk: What to write to in place of the directory `out`.
        rng: The source of jitter.
        wall_clock: Epoch seconds, for timestamps only.

    Raises MissingKeyError, UsageError or SettingsError at once; LockedError, JournalError, StorageError on entering,
    and UsageError when `out` holds a run against another API, or unfinished work of another key.
    """

    def __init__(
        self,
        *,
        out: str | os.PathLike[str] | None = None,
        api_key: str | None = None,
        base_url: str | None = None,
        settings: Settings | None = None,
        connector_factory: Callable[[], aiohttp.BaseConnector] | None = None,
        carrier: Carrier | None = None,
        disk: Disk | None = None,
        rng: Random | None = None,
        wall_clock: Callable[[], float] = time.time,
    ) -> None:
        self.settings = settings or Settings()
        self._dialect = open_dialect(self.settings)
        self._access = find_access(api_key, base_url, dialect=self.settings.dialect)
        self._out = out
        self._disk = disk
        self._connector_factory = connector_factory
        self._carrier = carrier
        self._rng = rng or Random()
        self._wall_clock = wall_clock
        self._stack = AsyncExitStack()
        self._run: Run | None = None

    def __repr__(self) -> str:
        return f"<Engine {self._run or 'idle'}>"

    async def __aenter__(self) -> Self:
        async with AsyncExitStack() as stack:
            self._kit = await open_kit(
                stack,
                self._access,
                self.settings,
                self._dialect,
                out=self._out,
                disk=self._disk,
                connector_factory=self._connector_factory,
                carrier=self._carrier,
                rng=self._rng,
                wall_clock=self._wall_clock,
            )
            self._tasks = await stack.enter_async_context(anyio.create_task_group())
            self._stack = stack.pop_all()
        return self

    async def __aexit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> None:
        run, untold = self._run, None
        if run is not None:
            run.drain()
            with anyio.CancelScope(shield=True):
                await run.wait_ended()
            untold = run.untold()
        try:
            await self._stack.aclose()  # knows of no exception: a task group would wrap the caller's in a group
        except StorageError as error:
            if run is None or error is not run.stopped:
                raise
        if untold is not None and exc is None:
            raise untold

    def run(self, specs: Specs, *, total: int | None = None, manifest_sha256: str | None = None) -> Run:
        """Start on `specs`, a sync or async iterable of `Spec`s or mappings of any length, read with backpressure.

        Returns an async iterator of outcomes in completion order. `total` is only shown, `manifest_sha256` only
        noted in ``run.json``. Leaving the engine's context drains the run.

        Raises UsageError when the engine had a run already.
        """
        if self._run is not None:
            raise UsageError("this engine has its run already; open another engine for the next batch")
        self._run = Run(self._kit, specs, total=total, manifest_sha256=manifest_sha256)
        self._tasks.start_soon(self._run.main)
        return self._run
