"""Runs one heavy attack in a process of its own and prints what it took: ``python heavy.py NAME``."""

from __future__ import annotations

import json
import resource
import sys
import time
from functools import partial
from typing import Any

from sumeasync.core.settings import Settings
from sumeasync.simulator import Rule, TypeSettings, WorldSettings
from sumeasync.simulator.faults import Body, GzipBomb, Huge
from sumeasync.simulator.settings import Duration
from sumeasync.testing import Rig, run_virtual

GIB = 1 << 30
ATTACKS: dict[str, tuple[str, Any]] = {
    "endless poll": ("poll", Huge(GIB)),
    "endless result": ("result", Huge(GIB)),
    "endless create": ("create", Huge(GIB)),
    "endless media": ("download", Huge(GIB)),
    "bomb at poll": ("poll", GzipBomb(256 << 20)),
    "bomb at result": ("result", GzipBomb(256 << 20)),
    "bomb at create": ("create", GzipBomb(256 << 20)),
    "bomb at download": ("download", GzipBomb(256 << 20)),
    "deep": ("poll", Body("[" * (4 << 20))),
    "many numbers": ("result", Body('{"status": "completed", "result": [' + "1," * (1 << 20) + "1]}")),
    "many links": ("result", Body('{"result": {"urls": [' + '"https://x.io/a",' * (150_000) + '""]}}')),
    "many digits": ("poll", Body("9" * (7 << 20))),
    "wide list": ("list", Body('{"data": [' + '{"id": "job_1"},' * 100_000 + "{}]}")),
}


async def attack(operation: str, action: Any) -> dict[str, Any]:
    """Run two specs against a service that does this every time; megabytes are those beyond the start."""
    kinds = {"image_generation": TypeSettings(Duration(3, 0), queue=Duration(1, 0), media="png")}
    rules = [Rule(on=frozenset({operation}), do=action)]
    if operation == "list":
        rules.append(Rule(on=frozenset({"create"}), do=Huge(1 << 24)))
    specs = [
        {"key": f"k{n}", "type": "image_generation", "input": {"prompt": f"p{n}"}, "deadline_seconds": 20}
        for n in range(2)
    ]
    settings = Settings(save_attempts=2, max_file_bytes=4 << 20)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    began = time.perf_counter()
    async with Rig(WorldSettings(types=kinds), rules=rules) as rig:
        outcomes = await rig.run(specs, settings)
        sizes = [len(rig.disk.content(path)) for path in rig.disk.paths()]
    grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    return {
        "seconds": time.perf_counter() - began,
        "megabytes": grown / 1024,
        "statuses": sorted({outcome.status for outcome in outcomes}),
        "outcomes": len(outcomes),
        "disk": sum(sizes),
    }


if __name__ == "__main__":
    print(json.dumps([{"name": name} | run_virtual(partial(attack, *ATTACKS[name])) for name in sys.argv[1:]]))  # noqa: T201
