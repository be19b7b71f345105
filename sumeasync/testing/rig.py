"""A whole run in memory: the simulated service, the network to it, a disk, and engines between them.

```python
async with Rig(rules=load_rules([...]), seed=7, latency=(0.001, 0.2)) as rig:
    outcomes = await rig.run(specs)
    await rig.check(specs)  # every invariant; see `invariants`
    await rig.check_repeat(specs)  # the same specs again cost nothing
```
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping
from random import Random
from types import TracebackType
from typing import Any, Literal, Self

import msgspec
from aiohttp import web

from sumeasync.core.report import Report
from sumeasync.core.settings import Settings
from sumeasync.engine import Engine, Run
from sumeasync.engine.intake import Specs
from sumeasync.errors import SumeError
from sumeasync.models import JSON, Outcome, Spec
from sumeasync.simulator.app import make_app
from sumeasync.simulator.faults import Rule
from sumeasync.simulator.settings import WorldSettings
from sumeasync.simulator.world import World
from sumeasync.testing import invariants
from sumeasync.testing.disk import MemoryDisk
from sumeasync.testing.network import MemoryNetwork

__all__ = ["API_KEY", "ORIGIN", "Rig"]

API_KEY = "sume_live_0123456789abcdef0123456789abcdef"
"""The key every engine of a rig uses; it must never be found on the disk."""

ORIGIN = "https://api.test"
PREFIXES = {"so": "/api/v1", "open": "/v1"}


class Rig:
    """One world, one disk, one network; an async context manager for a `VirtualLoop`.

    Args:
        settings: of the simulated service; rules: its scripted faults.
        seed: of the service, the network's latency and the engines' jitter.
        latency: bounds in seconds of the delay of each connect and each write.
        dialect: that the engines speak.

    `disk` may be replaced between runs; `secrets` are texts beside the API key that must not be found on it.
    `report`, `error` and `engine_run` are those of the last `run`.
    """

    def __init__(
        self,
        settings: WorldSettings | None = None,
        *,
        rules: Iterable[Rule] = (),
        seed: int = 0,
        latency: tuple[float, float] = (0.0, 0.0),
        dialect: Literal["so", "open"] = "so",
    ) -> None:
        self.dialect = dialect
        self.world = World(settings, seed=seed, rules=rules)
        self.network = MemoryNetwork(seed=seed, latency=latency)
        self.disk = MemoryDisk()
        self.secrets: list[str] = []
        self.report: Report | None = None
        self.error: SumeError | None = None
        self.engine_run: Run | None = None
        self._seed = seed
        self._runs = 0
        self._began = 0.0

    async def __aenter__(self) -> Self:
        self._began = asyncio.get_running_loop().time()
        await self.network.serve(ORIGIN, self.app())
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.network.__aexit__(kind, error, trace)

    def app(self) -> web.Application:
        """The service; a subclass may put something before it."""
        return make_app(self.world, clock=self.now, origin=ORIGIN)

    def now(self) -> float:
        """Seconds since the rig was entered: the world's time."""
        return asyncio.get_running_loop().time() - self._began

    def wall_clock(self) -> float:
        """Epoch seconds; the same time as the world's."""
        return self.world.settings.epoch + self.now()

    def engine(self, settings: Settings | None = None, **options: Any) -> Engine:
        """An engine on the rig's disk; `options` are those of `Engine` and win over the rig's."""
        self._runs += 1
        settings = msgspec.structs.replace(settings or Settings(), dialect=self.dialect)
        own: dict[str, Any] = {
            "api_key": API_KEY,
            "base_url": ORIGIN + PREFIXES[self.dialect],
            "connector_factory": self.network.connector,
            "disk": self.disk,
            "rng": Random(f"{self._seed}/{self._runs}"),
            "wall_clock": self.wall_clock,
        }
        return Engine(settings=settings, **own | options)

    async def run(self, specs: Specs, settings: Settings | None = None) -> list[Outcome]:
        """Run `specs` to the end with a new engine; what it raises while iterating is kept in `error`."""
        outcomes: list[Outcome] = []
        self.error = None
        async with self.engine(settings) as engine:
            self.engine_run = engine.run(specs)
            try:
                async for outcome in self.engine_run:
                    self.told(outcome)
                    outcomes.append(outcome)
            except SumeError as error:
                self.error = error
            self.report = self.engine_run.report()
        return outcomes

    def told(self, outcome: Outcome) -> None:
        """An outcome was handed out; a subclass may look at it."""

    def requests(self) -> int:
        """Requests of every kind that reached the service so far."""
        return sum(self.world.ledger.requests.values())

    async def check(self, specs: Iterable[Spec | Mapping[str, JSON]], *, charges: int = 1) -> None:
        """Raise AssertionError unless every invariant holds; `specs` are all that this disk was given."""
        secrets = (API_KEY, *self.secrets)
        await invariants.check(
            self.world, self.disk, specs, self.report, secrets=secrets, charges=charges, dialect=self.dialect
        )

    async def check_repeat(self, specs: Iterable[Spec | Mapping[str, JSON]], settings: Settings | None = None) -> None:
        """Run the same specs again; raise AssertionError if that costs a request, and check every invariant."""
        before, specs = self.requests(), list(specs)
        outcomes = await self.run(specs, settings)
        if outcomes or self.requests() != before:
            raise AssertionError(f"{self.requests() - before} requests of a second run, outcomes: {outcomes}")
        await self.check(specs)
