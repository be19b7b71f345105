"""A rig whose machine can be stopped at a named point, and which checks on the way that nothing runs ahead of the disk.

What must be durable, and when, is read off the disk and the wire: the intent before a create leaves, a job's id
before the job is asked about, its files before they are called saved, its result line before it is handed out.
"""

from __future__ import annotations

import json
import re
from contextlib import suppress
from typing import Any

from sumeasync.core.settings import Settings
from sumeasync.engine.intake import Specs
from sumeasync.errors import SumeError
from sumeasync.io.replay import JOURNAL
from sumeasync.io.sink import RESULTS
from sumeasync.models import Outcome
from sumeasync.testing.killpoints import CREATE, Kill
from sumeasync.testing.memoryfile import Operation
from sumeasync.testing.rig import Rig
from sumeasync.testing.transport import MemoryTransport
from sumeasync.testing.wire import Message, Stage, Wire

__all__ = ["KillRig"]

JOB_ID = re.compile(rb"job_[0-9a-f]{16}")
OF_A_JOB = re.compile(r"GET \S*/jobs/(job_[0-9a-f]{16})\b.*")


class KillRig(Rig):
    """A `Rig` that can run until a `Kill`. `ahead` lists, in words, what had consequences before it was durable."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self.ahead: list[str] = []
        self._kill: Kill | None = None
        self._wires: list[Wire] = []
        self._unsent = 0  # intents that are durable, whose creates have not left
        self._known: set[bytes] = set()
        self._lines: set[tuple[str, str | None]] = set()
        self.network.on_connect = self._connected

    async def run_until(self, kill: Kill, specs: Specs, settings: Settings | None = None) -> bool:
        """Run until the machine stops and go on with what its disk kept; False when the run ended before."""
        self._kill = kill
        kill.disk, kill.stop = self.disk, self._stop
        with suppress(SumeError):  # the dying engine's last words, which nobody hears
            await self.run(specs, settings)
        self._kill, self.network.unplugged = None, False
        if kill.found is None:
            return False
        self.disk, self.report, self.engine_run = kill.found, None, None
        return True

    async def run(self, specs: Specs, settings: Settings | None = None) -> list[Outcome]:
        """As `Rig.run`, with the disk and the wire watched."""
        disk, journal = self.disk, JOURNAL in self.disk.paths()
        self._known = set(JOB_ID.findall(disk.content(JOURNAL))) if journal else set()
        self._known.update(job.id.encode() for job in self.world.jobs if job.origin == "preload")  # given, not made
        self._unsent = 0
        self._wires.clear()
        self.network.dialled = self._runs * 100_000  # how often a dying engine dialled must not change what follows
        disk.on_operation, disk.on_write = self._operation, self._kill.write if self._kill else None
        try:
            return await super().run(specs, settings)
        finally:
            disk.on_operation = disk.on_write = None

    def told(self, outcome: Outcome) -> None:
        """An outcome was handed out: its line must be durable."""
        if self._lives and outcome.final and (outcome.key, outcome.job_id) not in self._lines:
            self.ahead.append(f"{outcome.key} was handed out before its line was durable")

    @property
    def _lives(self) -> bool:
        return self._kill is None or self._kill.found is None

    def _stop(self) -> None:
        self.network.unplugged = True
        for wire in self._wires:
            wire.cut(lose=self._kill is not None and self._kill.lose)
        if self.engine_run is not None:
            self.engine_run.drain()  # so that a dead engine does not try for hours to reach the service

    def _connected(self, end: MemoryTransport) -> None:
        self._wires.append(Wire(end, self._message))

    def _operation(self, operation: Operation, path: str) -> None:
        if operation == "sync" and self._lives and path in (JOURNAL, RESULTS):
            self._durable(path, self.disk.unsynced(path))
        if self._kill is not None:
            self._kill.operation(operation, path)

    def _durable(self, path: str, data: bytes) -> None:
        if path == RESULTS:
            self._lines.update((line["key"], line["job_id"]) for line in map(json.loads, data.splitlines()))
            return
        self._unsent += data.count(b'"t":"intent"')
        self._known.update(JOB_ID.findall(data))
        for line in data.splitlines():
            for file in json.loads(line[line.index(b"{") :])["files"] if b'"t":"saved"' in line else ():
                if len(self.disk.durable(file["path"]) or b"") != file["bytes"]:
                    self.ahead.append(f"{file['path']} was called saved before it was durable")

    def _message(self, stage: Stage, asked: str, message: Message) -> int | None:
        if self._lives and stage == "sent":
            self._sent(asked)
        return None if self._kill is None else self._kill.message(stage, asked, message)

    def _sent(self, asked: str) -> None:
        if re.fullmatch(CREATE, asked):
            self._unsent -= 1
            if self._unsent < 0:
                self.ahead.append(f"{asked} was sent before its intent was durable")
        elif (match := OF_A_JOB.fullmatch(asked)) and match[1].encode() not in self._known:
            self.ahead.append(f"{match[1]} was asked about before its id was durable")
