"""Workers are few, and are used again."""

from __future__ import annotations

import asyncio
from collections import deque

import anyio

from sumeasync.core.job import Job, Step
from sumeasync.engine.crew import Crew
from sumeasync.models import Spec


def job(step: Step = Step.POLL) -> Job:
    """A job at a step."""
    return Job(Spec("k"), step)


class Bench:
    """A crew whose steps note which task performs them."""

    def __init__(self, *due: Job) -> None:
        self.due = deque(due)
        self.tasks: list[asyncio.Task[object] | None] = []
        self.idle = 0
        self.crew = Crew(self.perform, self.take, self.rest)

    async def perform(self, job: Job) -> None:
        """Take a moment."""
        self.tasks.append(asyncio.current_task())
        await asyncio.sleep(1)

    def take(self) -> Job | None:
        """What is due next."""
        return self.due.popleft() if self.due else None

    def rest(self) -> None:
        """A worker found nothing."""
        self.idle += 1

    async def play(self, *rounds: Job) -> None:
        """Start these jobs two seconds apart, then go home."""
        async with anyio.create_task_group() as creates, anyio.create_task_group() as others:
            self.crew.enter(creates, others)
            for one in rounds:
                self.crew.start(one)
                await asyncio.sleep(2)
            await asyncio.sleep(5)
            others.cancel_scope.cancel()


async def test_a_worker_goes_on_while_something_is_due() -> None:
    """Steps that are due one after the other share a task."""
    bench = Bench(job(), job())
    await bench.play(job())
    assert len(bench.tasks) == 3
    assert len(set(bench.tasks)) == 1


async def test_a_waiting_worker_is_used_again() -> None:
    """A step that comes later wakes a worker that has nothing to do, which said so."""
    bench = Bench()
    await bench.play(job(), job())
    assert len(set(bench.tasks)) == 1
    assert bench.idle == 2


async def test_a_create_has_a_task_of_its_own() -> None:
    """A worker hands a create over: that task outlives the others when a run is interrupted."""
    bench = Bench(job(Step.CREATE), job())
    await bench.play(job())
    assert len(bench.tasks) == 3
    assert len(set(bench.tasks)) == 2
