"""Workers: tasks that perform one step after the other, and wait for more when nothing is due."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

from anyio.abc import TaskGroup

from sumeasync.core.job import CREATE, LANES, Job

__all__ = ["Crew"]


class Crew:
    """Performs jobs' steps with as few tasks as there are steps under way at once: a task each costs as a request does.

    A create has a task of its own, in a group that outlives the others when a run is interrupted. `take` hands out what
    is due next, `idle` is called when a worker found nothing to read: a place for that is free.
    """

    def __init__(
        self,
        perform: Callable[[Job], Coroutine[Any, Any, None]],
        take: Callable[[], Job | None],
        idle: Callable[[], None],
    ) -> None:
        self._perform = perform
        self._take = take
        self._idle = idle
        self._waiting: list[asyncio.Future[Job]] = []
        self._creates: TaskGroup
        self._others: TaskGroup

    def enter(self, creates: TaskGroup, others: TaskGroup) -> None:
        """Start tasks in these groups from now on."""
        self._creates, self._others = creates, others

    def start(self, job: Job) -> None:
        """Have the job's step performed, by a waiting worker if there is one."""
        if job.step is CREATE:
            self._creates.start_soon(self._perform, job)
            return
        while self._waiting:
            if not (worker := self._waiting.pop()).done():
                worker.set_result(job)
                return
        self._others.start_soon(self._work, job)

    async def _work(self, job: Job) -> None:
        while True:
            await self._perform(job)
            while (due := self._take()) is not None and due.step is CREATE:
                self.start(due)
            if due is None or LANES[due.step] != "read":
                self._idle()
            job = await self._more() if due is None else due

    async def _more(self) -> Job:
        worker: asyncio.Future[Job] = asyncio.get_running_loop().create_future()
        self._waiting.append(worker)
        return await worker
