"""What a run works with, opened in an order that finds trouble before money is spent."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Mapping
from contextlib import AsyncExitStack
from random import Random

import aiohttp
import msgspec
from yarl import URL

from sumeasync.core.budget.budget import Budget, Rate
from sumeasync.core.history import History
from sumeasync.core.lifecycle import Lifecycle
from sumeasync.core.polling.durations import Durations
from sumeasync.core.polling.fleet import Fleet
from sumeasync.core.polling.pacing import Pacer
from sumeasync.core.records import Ended, Record
from sumeasync.core.scheduler import Scheduler
from sumeasync.core.settings import Settings
from sumeasync.core.sweep.sweeps import Sweeps
from sumeasync.dialects.base import Dialect
from sumeasync.dialects.known import DIALECTS
from sumeasync.engine.delivery import Delivery
from sumeasync.engine.folder import Folder
from sumeasync.engine.reconciling import Reconciling
from sumeasync.engine.statistics import Statistics
from sumeasync.engine.steps import Steps, Transfers
from sumeasync.errors import SettingsError, UsageError
from sumeasync.io.carrier import Carrier, Sender
from sumeasync.io.client import Client, Timeouts
from sumeasync.io.credentials import Access
from sumeasync.io.disk import Disk, preflight
from sumeasync.io.guard import Guard, guarded_session
from sumeasync.io.handles import fit, free_handles
from sumeasync.io.journal import Journal, MemoryJournal
from sumeasync.io.local import LocalDisk
from sumeasync.io.lock import RunLock
from sumeasync.io.media import Downloader
from sumeasync.io.replay import replay
from sumeasync.io.transfer import Allowance, Limits
from sumeasync.io.upload import upload
from sumeasync.models import Lane

__all__ = ["Kit", "open_dialect", "open_kit"]

TYPICAL_SECONDS = {
    "image_generation": 12.0,
    "asset_ingest": 20.0,
    "face_swap": 60.0,
    "video_generation": 90.0,
    "ads_video": 150.0,
    "reference_analysis": 300.0,
}
"""Where learning starts from, and what the first jobs correct."""
NO_LIMIT = 1 << 62


class Kit(msgspec.Struct, frozen=True):
    """Everything open: settings, the deciding core, what performs steps, what remembers, and the clocks."""

    settings: Settings
    lifecycle: Lifecycle
    scheduler: Scheduler
    steps: Steps
    journal: Journal | MemoryJournal
    delivery: Delivery
    folder: Folder
    statistics: Statistics
    sweeps: Sweeps
    claimed: set[str]
    rng: Random
    clock: Callable[[], float]
    wall_clock: Callable[[], float]


def open_dialect(settings: Settings) -> Dialect:
    """The dialect that is set. Raises SettingsError when it cannot do what else is."""
    dialect = DIALECTS[settings.dialect]()
    if settings.on_timeout == "cancel" and not dialect.cancels:
        raise SettingsError(f"on_timeout: jobs of the dialect {settings.dialect} cannot be canceled, only left")
    return dialect


async def open_kit(
    stack: AsyncExitStack,
    access: Access,
    settings: Settings,
    dialect: Dialect,
    *,
    out: str | os.PathLike[str] | None,
    disk: Disk | None,
    connector_factory: Callable[[], aiohttp.BaseConnector] | None,
    carrier: Carrier | None,
    rng: Random,
    wall_clock: Callable[[], float],
) -> Kit:
    """Open it all on `stack`: lock, disk, journal and results first, then the network."""
    statistics = Statistics()
    durations = await open_durations(settings, out if disk is None else None)
    disk = await open_disk(stack, out, disk, wall_clock)
    journal = await open_journal(stack, disk, durations)
    folder = Folder(disk, URL(access.base_url).host or "", access.api_key)
    if len(journal.history):
        await folder.check(settings, journal.history)
    claimed = {job.id for spec in journal.history.all() for job in spec.jobs}
    delivery = await Delivery.open(disk, journal, wall_clock, keep_links=settings.keep_links)
    stack.push_async_callback(delivery.close)
    loop = asyncio.get_running_loop()
    if connector_factory is None and carrier is None:  # real sockets will be opened
        settings = fit(settings, await loop.run_in_executor(None, free_handles))
    lifecycle, scheduler = make_core(settings, dialect, durations, rng)
    steps = Steps(
        client=await open_client(stack, access, settings, connector_factory, carrier),
        dialect=dialect,
        budget=scheduler.budget,
        journal=journal,
        transfers=await open_transfers(stack, access, settings, disk, connector_factory, carrier, wall_clock),
        reconciling=make_reconciling(settings, journal.history, claimed, delivery.words, wall_clock),
        counter=statistics.requests,
        rng=rng,
        wall_clock=wall_clock,
    )
    return Kit(
        settings=settings,
        lifecycle=lifecycle,
        scheduler=scheduler,
        steps=steps,
        journal=journal,
        delivery=delivery,
        folder=folder,
        statistics=statistics,
        sweeps=scheduler.sweeps,
        claimed=claimed,
        rng=rng,
        clock=loop.time,
        wall_clock=wall_clock,
    )


def make_reconciling(
    settings: Settings, history: History, claimed: set[str], words: dict[str, str], wall_clock: Callable[[], float]
) -> Reconciling:
    """What finds lost creates again, of earlier runs too."""
    return Reconciling(
        claimed,
        {one.key: (one.type, one.at) for one in history.all() if one.phase in ("intended", "unknown")},
        create_seconds=settings.total_timeout,
        parallel=settings.creates_per_type > 1,
        wall_clock=wall_clock,
        words=words,
    )


def make_core(
    settings: Settings, dialect: Dialect, durations: Durations | None, rng: Random
) -> tuple[Lifecycle, Scheduler]:
    """What decides: what follows from what, and who goes next."""
    pacer = Pacer(settings.policies(), rng, durations)
    fleet = Fleet(pacer, rng)
    sweeps = Sweeps(fleet, enabled=settings.sweep)
    held = settings.creates if dialect.idempotent else settings.creates_per_type  # nothing to match: sent again instead
    places: dict[Lane, int] = {"read": settings.reads, "create": settings.creates, "media": settings.transfers}
    cancels = settings.on_timeout == "cancel"
    lifecycle = Lifecycle(
        pacer, rng, save_attempts=settings.save_attempts, idempotent=dialect.idempotent, cancels=cancels
    )
    return lifecycle, Scheduler(open_budget(settings), fleet, sweeps, places, creates_per_type=held)


async def open_client(
    stack: AsyncExitStack,
    access: Access,
    settings: Settings,
    connector_factory: Callable[[], aiohttp.BaseConnector] | None,
    carrier: Carrier | None,
) -> Sender:
    """The carrier, or the client of the API: it has a connection for every request that may be open at once."""
    if carrier is not None:
        return carrier
    client = Client(
        access.base_url,
        access.api_key,
        connector_factory=connector_factory,
        timeouts=Timeouts(settings.connect_timeout, settings.read_timeout, settings.total_timeout),
        limit=settings.reads + settings.creates,
        trust_env=settings.trust_env,
    )
    return await stack.enter_async_context(client)


def open_budget(settings: Settings) -> Budget:
    """The request budget, from the rates that are set."""

    def rate(text: str | None) -> Rate | None:
        return None if text is None else Rate.parse(text)

    return Budget(
        read=rate(settings.read_rate),
        create=rate(settings.create_rate),
        read_day=rate(settings.read_day_rate),
        create_day=rate(settings.create_day_rate),
    )


async def open_disk(
    stack: AsyncExitStack, out: str | os.PathLike[str] | None, disk: Disk | None, wall_clock: Callable[[], float]
) -> Disk | None:
    """The output directory, ours alone, and proven writable."""
    if out is not None and disk is None:
        await stack.enter_async_context(RunLock(out, wall_clock=wall_clock))
        disk = LocalDisk(out)
    if disk is not None:
        await preflight(disk)
    return disk


async def open_journal(
    stack: AsyncExitStack, disk: Disk | None, durations: Durations | None
) -> Journal | MemoryJournal:
    """The journal of the directory, replayed (and learned from); without a directory one that forgets."""

    journal = MemoryJournal() if disk is None else await Journal.open(disk, observe=learner(durations))
    stack.push_async_callback(journal.aclose)
    return journal


async def open_durations(settings: Settings, out: str | os.PathLike[str] | None) -> Durations | None:
    """What is known of how long jobs take; raises UsageError where an earlier run is named and is none.

    What stands in the output directory itself is learned when its journal is opened, and not twice.
    """
    if not settings.learn:
        return None
    durations = Durations(TYPICAL_SECONDS)
    if settings.learn_from is not None:
        loop = asyncio.get_running_loop()
        twice = out is not None and await loop.run_in_executor(None, same_folder, out, settings.learn_from)
        found = await replay(LocalDisk(settings.learn_from), observe=None if twice else learner(durations))
        if found.header is None:
            raise UsageError(f"there is no run to learn from in {settings.learn_from!r}")
    return durations


def same_folder(one: str | os.PathLike[str], other: str) -> bool:
    """Whether two paths lead to the same folder; not when one of them leads nowhere."""
    try:
        return os.path.samefile(one, other)
    except OSError:
        return False


def learner(durations: Durations | None) -> Callable[[Record], None]:
    """Folds the ends of jobs into `durations`, if there are any."""

    def observe(record: Record) -> None:
        if durations is not None and isinstance(record, Ended) and record.type:
            durations.fold(record)

    return observe


async def open_transfers(
    stack: AsyncExitStack,
    access: Access,
    settings: Settings,
    disk: Disk | None,
    connector_factory: Callable[[], aiohttp.BaseConnector] | None,
    carrier: Carrier | None,
    wall_clock: Callable[[], float],
) -> Transfers:
    """The keyless session for media and storage, and where media go."""
    guard = Guard(access.base_url, settings.media_hosts)
    connector = connector_factory() if connector_factory else None
    session = await stack.enter_async_context(guarded_session(guard, limit=settings.transfers, connector=connector))
    limits = Limits(
        settings.max_file_bytes,
        settings.spare_bytes,
        connect_seconds=settings.connect_timeout,
        idle_seconds=settings.read_timeout,
    )
    downloader = None if disk is None else Downloader(session, guard, disk, limits, wall_clock=wall_clock)
    allowance = Allowance(settings.max_run_bytes or NO_LIMIT, settings.max_run_files or NO_LIMIT)

    async def put(path: str, url: str, headers: Mapping[str, str]) -> None:
        await upload(session, guard, path, url, headers, limits, wall_clock=wall_clock)

    uploader = carrier.upload if carrier else put
    return Transfers(uploader, downloader, allowance, settings.max_job_bytes, settings.max_job_files)
