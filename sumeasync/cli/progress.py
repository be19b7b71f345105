"""The live display of a run on a terminal; it reads the run's statistics and nothing else."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import anyio
from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from sumeasync.cli.streams import Voice
from sumeasync.cli.wording import bytes_text, count, seconds_text
from sumeasync.core import redact

if TYPE_CHECKING:
    from sumeasync.engine.run import Run
    from sumeasync.engine.statistics import Statistics

__all__ = ["Pace", "can_be_live", "live_display", "render"]

FRAME_SECONDS = 0.25
WINDOW_SECONDS = 60.0
BAR_WIDTH = 30


class Pace:
    """Outcomes a second over the last minute, from what `note` is told."""

    def __init__(self) -> None:
        self._seen: deque[tuple[float, int]] = deque()
        self.began: float | None = None

    def note(self, now: float, outcomes: int) -> None:
        """At `now` (seconds of any steady clock) there were this many outcomes."""
        self.began = now if self.began is None else self.began
        self._seen.append((now, outcomes))
        while now - self._seen[0][0] > WINDOW_SECONDS:
            self._seen.popleft()

    @property
    def elapsed(self) -> float:
        """Seconds from the first note to the last."""
        return 0.0 if self.began is None else self._seen[-1][0] - self.began

    @property
    def rate(self) -> float:
        """Outcomes a second."""
        (first, before), (last, after) = self._seen[0], self._seen[-1]
        return (after - before) / (last - first) if last > first else 0.0

    def eta(self, remaining: int) -> float | None:
        """Seconds until `remaining` outcomes will have come; None while that cannot be told."""
        return remaining / self.rate if self.rate else None


def can_be_live(console: Console) -> bool:
    """Whether a display can be drawn and redrawn."""
    return console.is_terminal and not console.is_dumb_terminal


def render(statistics: Statistics, total: int | None, pace: Pace, *, draining: bool = False) -> RenderableType:
    """One frame: a row for each type, then how far the run is and what it has asked for."""
    rows = Table(box=None, pad_edge=False, header_style="dim")
    rows.add_column("type")
    for name in ("queued", "running", "done", "failed"):
        rows.add_column(name, justify="right")
    open_jobs = finished = 0
    for type, counts in sorted(statistics.types.items()):
        if not any((counts.queued, counts.running, counts.done, counts.failed)):
            continue
        open_jobs += counts.queued + counts.running
        finished += counts.done + counts.failed
        failed = Text(f"{counts.failed:,}", "red" if counts.failed else "dim")
        cells = [Text(f"{number:,}") for number in (counts.queued, counts.running, counts.done)]
        rows.add_row(Text(redact.escape(type)), *cells, failed)
    waiting = max(0, (total or 0) - statistics.specs)
    return Group(rows, _bar(finished, open_jobs + waiting, pace), _footer(statistics, pace, draining=draining))


def _bar(finished: int, remaining: int, pace: Pace) -> RenderableType:
    eta = pace.eta(remaining)
    words = f"{finished:,} of {finished + remaining:,}   {pace.rate * 60:,.0f}/min"
    if remaining and eta is not None:
        words += f"   about {seconds_text(eta)} left"
    line = Table.grid(padding=(0, 1))
    line.add_row(ProgressBar(max(1, finished + remaining), finished, width=BAR_WIDTH), Text(words))
    return line


def _footer(statistics: Statistics, pace: Pace, *, draining: bool) -> Text:
    parts = [seconds_text(pace.elapsed), count(statistics.requests.total(), "request")]
    if statistics.media_files:
        parts.append(f"{count(statistics.media_files, 'file')}, {bytes_text(statistics.media_bytes)}")
    if statistics.skipped:
        parts.append(f"{statistics.skipped:,} done earlier")
    if statistics.faults:
        parts.append(count(statistics.faults, "fault"))
    if statistics.unanswered:
        parts.append(f"{count(statistics.unanswered, 'create')} without an answer")
    if statistics.rate_limited:
        parts.append(f"{statistics.rate_limited:,} rate limited")
    if draining:
        parts.append("stopping: no new jobs")
    return Text("   ".join(parts), "dim")


@asynccontextmanager
async def live_display(voice: Voice, console: Console, run: Run) -> AsyncIterator[None]:
    """Keep a display of `run` up to date; what `voice` says appears above it. It is gone afterwards."""
    pace = Pace()
    clock = asyncio.get_running_loop().time

    def frame() -> RenderableType:
        pace.note(clock(), run.statistics.outcomes)
        return render(run.statistics, run.total, pace, draining=run.draining)

    with Live(
        frame(), console=console, auto_refresh=False, transient=True, redirect_stdout=False, redirect_stderr=False
    ) as live:
        voice.live = console
        try:
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(_keep_drawing, live, frame)
                yield
                tasks.cancel_scope.cancel()
        finally:
            voice.live = None


async def _keep_drawing(live: Live, frame: Callable[[], RenderableType]) -> None:
    while True:
        live.update(frame())
        # Drawn in a thread: a terminal that was told to stop must not stop the run.
        await asyncio.to_thread(live.refresh)
        await asyncio.sleep(FRAME_SECONDS)
