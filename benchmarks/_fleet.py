"""A fleet of jobs in virtual time: this engine's own deciding code on it, or a published schedule, or the clairvoyant.

The server answers at once and exactly. Job n of a kind takes as long whoever asks for it. A request is a create, a
question for a status, a page of the list or a result; reads wait for the budget, the engine's own for everyone.
"""

from __future__ import annotations

import math
from array import array
from bisect import bisect_left, insort
from collections.abc import Callable, Coroutine, Iterable, Sequence
from heapq import heappop, heappush
from random import Random
from types import SimpleNamespace
from typing import Literal

import msgspec

from sumeasync.core.budget.budget import Budget, Rate
from sumeasync.core.events import Accepted, Event, Faulted, Fetched, Listed, Seen
from sumeasync.core.job import LANES, Hint, Job, Step
from sumeasync.core.lifecycle import Lifecycle
from sumeasync.core.polling.durations import Durations
from sumeasync.core.polling.fleet import Fleet
from sumeasync.core.polling.pacing import Pacer
from sumeasync.core.records import Ended
from sumeasync.core.scheduler import Scheduler
from sumeasync.core.settings import Settings
from sumeasync.core.sweep.rounds import Look
from sumeasync.core.sweep.sweeps import Sweeps
from sumeasync.engine.kit import TYPICAL_SECONDS
from sumeasync.engine.statistics import Statistics
from sumeasync.engine.sweeping import Sweeping
from sumeasync.errors import NotReadyError
from sumeasync.models import JobView, Spec

__all__ = ["Figures", "Kind", "Schedule", "clairvoyant", "engine", "fleet", "peer", "steady"]

Figures = dict[str, float]
Schedule = Callable[[int, Random], float]
"""(polls of the job so far, rng) -> seconds to the next one."""

Span = tuple[float, float]
"""Delays count from the first of the two times, and at the second, in seconds, all is over."""

ALL: Span = (0.0, math.inf)
Order = Literal["created", "ended"]
GRAIN_SECONDS = 1e-6
NOT_READY = Faulted(NotReadyError("no result yet", status=409, code="job_not_completed"))


class Kind(msgspec.Struct, frozen=True):
    """Some jobs of one type: lognormal durations of this median (seconds) and sigma, at most `in_flight` at once."""

    type: str
    median: float
    sigma: float
    jobs: int
    in_flight: int


def fleet(mix: Sequence[tuple[str, float, float]], jobs: int, in_flight: int) -> list[Kind]:
    """`jobs` in all, as many of each kind in flight, and so many in all that the kinds end together."""
    rates = [1.0 / median for _, median, _ in mix]
    return [
        Kind(*kind, max(1, round(jobs * rate / sum(rates))), max(1, in_flight // len(mix)))
        for kind, rate in zip(mix, rates, strict=True)
    ]


def steady(mix: Sequence[tuple[str, float, float]], in_flight: int, seconds: float) -> list[Kind]:
    """More jobs than can end in `seconds`, as many of each kind in flight."""
    each = in_flight // len(mix)
    return [Kind(*kind, math.ceil(each * (2.0 + 1.2 * seconds / kind[1])), each) for kind in mix]


class World:
    """What the server knows: when each job ends; and the tally of who was told what, and when."""

    def __init__(self, kinds: Sequence[Kind], seed: int, span: Span = ALL, slower: float = 1.0) -> None:
        self.kinds = kinds
        self.span = span
        self._durations = [array("d", durations(kind, seed, slower)) for kind in kinds]
        self._begun = [0] * len(kinds)
        self._left = [kind.jobs for kind in kinds]
        self._born: list[tuple[int, float]] = []  # by number: kind, end
        self._ending: list[tuple[float, int]] = []
        self._told: dict[int, float] = {}
        self.left = sum(kind.jobs for kind in kinds)
        self.known = 0
        self.active: list[int] = []
        self.ended: list[int] = []
        self.delays = array("d")
        self.told_delays = array("d")
        self.pages = self.wasted = self.reads = 0
        self.now = 0.0

    def admit(self, kind: int) -> bool:
        """Whether one more spec of a kind is there to be begun."""
        self._left[kind] -= 1
        return self._left[kind] >= 0

    def create(self, kind: int) -> int:
        """The number of a new job."""
        number, within = len(self._born), self._begun[kind]
        end = self.now + self._durations[kind][within]
        self._begun[kind] += 1
        self._born.append((kind, end))
        heappush(self._ending, (end, number))
        self.active.append(number)
        return number

    def __len__(self) -> int:
        return len(self._born)

    def end_of(self, number: int) -> float:
        """When the job ends."""
        return self._born[number][1]

    def settle(self, order: Order) -> None:
        """Move what has ended by now from the active ones to the ended ones, which stand in this order."""
        while self._ending and self._ending[0][0] <= self.now:
            number = heappop(self._ending)[1]
            del self.active[bisect_left(self.active, number)]
            self.ended.append(number) if order == "ended" else insort(self.ended, number)

    def shown(self, number: int) -> None:
        """A page of the list shows the job as ended."""
        self._told.setdefault(number, self.now)

    def detected(self, number: int) -> None:
        """The job itself answered that it has ended."""
        end = self.end_of(number)
        self.known += 1
        told = self._told.pop(number, self.now)
        if self.now >= self.span[0]:
            self.delays.append(self.now - end)
            self.told_delays.append(told - end)

    def figures(self) -> Figures:
        """The run so far, in requests a job and seconds."""
        jobs, ordered = self.known, sorted(self.delays)
        return {
            "requests": 1.0 + self.reads / jobs,
            "polls": self.reads / jobs - 1.0,
            "wasted": self.wasted / jobs,
            "pages": self.pages / jobs,
            "mean": sum(ordered) / len(ordered),
            "p95": ordered[len(ordered) * 95 // 100],
            "told": sum(self.told_delays) / len(ordered),
            "makespan": self.now,
        }


def durations(kind: Kind, seed: int, slower: float) -> Iterable[float]:
    """How long each job of a kind takes."""
    rng = Random(f"{seed}/{kind.type}")
    return (slower * kind.median * rng.lognormvariate(0.0, kind.sigma) for _ in range(kind.jobs))


def engine(
    kinds: Sequence[Kind],
    seed: int,
    rate: float | None = None,
    settings: Settings | None = None,
    *,
    span: Span = ALL,
    warm: int = 0,
    slower: float = 1.0,
    order: Order = "created",
    results: bool = True,
) -> Figures:
    """This engine, with a budget of `rate` reads a second.

    `warm` jobs of each kind were learned from before; the present ones are `slower` than those by this factor. The list
    of ended jobs puts the newest first in this `order`. Without `results` a job is only asked for its
    status, and is over once that tells of its end.
    """
    settings = settings or Settings()
    learned = Durations(TYPICAL_SECONDS) if settings.learn else None
    if learned is not None:
        for kind in kinds:
            for seconds in durations(msgspec.structs.replace(kind, jobs=warm), seed + 1, 1.0):
                alive = max(0.0, seconds - 1.0)
                learned.fold(Ended("k", "j", "completed", seconds, kind.type, created_at=0.0, alive_at=alive))
    return Harness(World(kinds, seed, span, slower), seed, rate, settings, learned, order, results=results).run()


class Harness:
    """The engine without its input and output: what `engine/run.py` does with a step, against the world at once."""

    def __init__(
        self,
        world: World,
        seed: int,
        rate: float | None,
        settings: Settings,
        learned: Durations | None,
        order: Order,
        *,
        results: bool,
    ) -> None:
        rng = Random(seed)
        self.world, self.order, self.results = world, order, results
        self.specs = [Spec(kind.type, kind.type, download=False) for kind in world.kinds]
        self.budget = Budget(read=budget(rate))
        pacer = Pacer(settings.policies(), rng, learned)
        waiting = Fleet(pacer, rng)
        sweeps = Sweeps(waiting, enabled=settings.sweep)
        self.lifecycle = Lifecycle(pacer, rng, save_attempts=1, idempotent=False)
        places = {"read": settings.reads, "create": settings.creates, "media": settings.transfers}
        self.scheduler = Scheduler(self.budget, waiting, sweeps, places)
        self.jobs: dict[str, Job] = {}
        kit = SimpleNamespace(
            lifecycle=self.lifecycle,
            scheduler=self.scheduler,
            sweeps=sweeps,
            statistics=Statistics(),
            rng=rng,
            clock=self.clock,
            wall_clock=self.clock,
            steps=SimpleNamespace(sweep=self.page),
        )
        self.sweeping = Sweeping(kit, self.jobs, lambda: None)  # type: ignore[arg-type]  # what it uses of a kit

    def clock(self) -> float:
        """The engine's clock and the wall's."""
        return self.world.now

    def run(self) -> Figures:
        """To the end of the last job."""
        world, scheduler = self.world, self.scheduler
        for number, kind in enumerate(world.kinds):
            for _ in range(kind.in_flight):
                self.begin(number)
        while world.left and world.now < world.span[1]:
            job = scheduler.take(world.now)
            if job is not None:
                self.perform(job)
            elif (due := scheduler.wait()) is not None:
                world.now = max(world.now + GRAIN_SECONDS, due)
        return world.figures()

    def begin(self, kind: int) -> None:
        """One more spec of a kind comes in, if there is one."""
        if not self.world.admit(kind):
            return
        job, delay = self.lifecycle.begin(self.specs[kind], self.world.now)
        self.scheduler.push(job, self.world.now + delay)

    def perform(self, job: Job) -> None:
        """One step."""
        was, now, status = job.step, self.world.now, 200
        if was is Step.SWEEP:
            drive(self.sweeping.perform(job))
        else:
            event = self.answer(job)
            status = 409 if event is NOT_READY else 200
            then = self.lifecycle.advance(job, event, now, now)
            self.note(job, was, event)
            if then.outcome is None and (self.results or job.step is not Step.RESULT):
                self.scheduler.push(job, now + then.delay)
            else:
                self.end(job)
        self.world.reads += LANES[was] == "read"
        self.budget.record(LANES[was], status, {}, now, now)
        self.scheduler.release(LANES[was])

    def note(self, job: Job, was: Step, event: Event) -> None:
        """What follows from an answer for those beside the job."""
        if was is Step.CREATE:
            self.jobs[job.id or ""] = job
            self.scheduler.settle(job.type)
        elif was is Step.POLL:
            self.sweeping.learn(job, event)
            if job.status is None:
                self.world.wasted += 1
            else:
                self.world.detected(int(job.id or ""))

    def end(self, job: Job) -> None:
        """The job is over; the next of its kind comes in."""
        kind = self.specs.index(job.spec)
        del self.jobs[job.id or ""]
        self.world.left -= 1
        self.begin(kind)

    def answer(self, job: Job) -> Event:
        """What the server answers to a step."""
        if job.step is Step.CREATE:
            return Accepted((str(self.world.create(self.specs.index(job.spec))),))
        number = int(job.id or "")
        done = self.world.end_of(number) <= self.world.now
        if job.step is Step.RESULT or (job.hint is Hint.COMPLETED and self.results):
            return Fetched(self.view(number, done), None) if done else NOT_READY
        return Seen(self.view(number, done))

    def view(self, number: int, done: bool) -> JobView:
        """What the server shows of a job."""
        word: Literal["completed", "running"] = "completed" if done else "running"
        return JobView(str(number), word, word, self.world.kinds[self.world._born[number][0]].type)

    async def page(self, look: Look) -> Listed:
        """One page of the list."""
        world = self.world
        world.settle(self.order)
        world.pages += 1
        numbers: Sequence[int] = range(len(world))
        if look.status is not None:
            numbers = {"running": world.active, "completed": world.ended}.get(look.status, ())
        by_end = self.order == "ended" and look.status == "completed"
        upto = len(numbers) if look.cursor is None else int(look.cursor)
        if look.cursor is not None and not by_end:
            upto = bisect_left(numbers, upto)
        page = numbers[max(0, upto - look.limit) : upto][::-1]
        views = []
        for number in page:
            done = world.end_of(number) <= world.now
            if done and str(number) in self.jobs:
                world.shown(number)
            views.append(self.view(number, done))
        rest = upto - len(page)
        cursor = None if rest <= 0 else str(rest if by_end else page[-1])
        return Listed(tuple(views), cursor)


def drive(steps: Coroutine[None, None, None]) -> None:
    """Run what never waits."""
    try:
        steps.send(None)
    except StopIteration:
        return
    raise AssertionError("it waits")


def peer(
    schedule: Schedule,
    kinds: Sequence[Kind],
    seed: int,
    rate: float | None = None,
    *,
    span: Span = ALL,
    results: bool = True,
) -> Figures:
    """A coroutine a job: wait as scheduled, wait for the turn, ask; once it has ended ask for its result."""
    rng = Random(seed)
    return in_turn(
        World(kinds, seed, span), rate, lambda end, now, polls: now + schedule(polls, rng), direct=not results
    )


def clairvoyant(kinds: Sequence[Kind], seed: int, rate: float | None = None, *, span: Span = ALL) -> Figures:
    """Ask for each result once, at the moment there is one: nothing needs less."""
    return in_turn(World(kinds, seed, span), rate, lambda end, now, polls: max(end, now), direct=True)


def in_turn(
    world: World, rate: float | None, due: Callable[[float, float, int], float], *, direct: bool = False
) -> Figures:
    """First come, first served. `due` answers when to ask a job next, given its end, the time, and its polls so far."""
    limit, queue, seq = Budget(read=budget(rate)), list[tuple[float, int, int, int, int]](), 0

    def begin(kind: int) -> None:
        nonlocal seq
        if not world.admit(kind):
            return
        number, seq = world.create(kind), seq + 1
        heappush(queue, (due(world.end_of(number), world.now, 0), seq, kind, number, 0))

    for number, kind in enumerate(world.kinds):
        for _ in range(kind.in_flight):
            begin(number)
    while queue and world.now < world.span[1]:
        at, _, which, number, polls = heappop(queue)
        world.now = max(world.now, at)
        while (delay := limit.reserve("read", world.now)) > 0.0:
            world.now += delay
        limit.record("read", 200, {}, world.now, world.now)
        world.reads += 1
        seq += 1
        if polls >= 0 and world.end_of(number) > world.now:
            world.wasted += 1
            heappush(queue, (due(0.0, world.now, polls + 1), seq, which, number, polls + 1))
            continue
        if polls >= 0:
            world.detected(number)
        if polls >= 0 and not direct:
            heappush(queue, (world.now, seq, which, number, -1))
        else:
            begin(which)
    return world.figures()


def budget(rate: float | None) -> Rate | None:
    """A budget as the engine is told of it."""
    return None if rate is None or rate == math.inf else Rate(rate, 1.0)
