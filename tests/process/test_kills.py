"""A batch killed again and again with SIGKILL: nothing is paid twice, nothing is lost, every unknown is explained.

``SUMEASYNC_KILLS=200`` plays that many kills on a batch of 200 specs; ``SUMEASYNC_SEED`` chooses the moments.
"""

from __future__ import annotations

import os
from random import Random

import pytest

from sumeasync.dialects.so import CREATES
from sumeasync.simulator.ledger import body_hash

from .support import Bench, check, check_nothing_left, mixed, serving

pytestmark = pytest.mark.slow

KILLS = int(os.environ.get("SUMEASYNC_KILLS", "8"))
SEED = int(os.environ.get("SUMEASYNC_SEED", "1"))
SPECS = 36 if KILLS < 50 else 200
LATENCY = {"on": ["any"], "do": {"kind": "delay", "seconds": 0.0, "jitter_seconds": 0.05}}
SLOWLY = ("--create-rate", "10/s")


def storm(bench, rng):
    """Kill run after run, most of them at work; returns how many had not finished everything by then."""
    for kill in range(KILLS):
        early = rng.random() < 0.2  # while it still opens its files
        code = bench.killed_after(rng.uniform(0.0, 0.6), *SLOWLY, at_work=not early)
        if code == 0:
            return kill
        assert code in (None, 6)
    return KILLS


def test_a_batch_survives_a_storm_of_kills(tmp_path):
    """However often a run is killed, in the end each spec was charged once, or is unknown and never came to be."""
    print(f"seed {SEED}")  # noqa: T201 - shown when it fails
    with serving(rules=[LATENCY]) as server:
        bench = Bench(tmp_path, server, mixed(SPECS, tmp_path))
        kills = storm(bench, Random(SEED))
        creates = server.creates()
        assert creates >= min(SPECS, kills)  # they were killed at work
        done = bench.run()
        assert done.returncode in (0, 6), done.stderr
        unknown = {one["key"]: one for one in bench.status()["unknown"]}
        print(f"{kills} kills, {creates} creates before the last run, unknown: {sorted(unknown)}")  # noqa: T201
        assert bool(unknown) is (done.returncode == 6)
        ledger = server.ledger()
        for spec in bench.specs:
            received = ledger["received"].get(body_hash(CREATES[spec["type"]], spec["input"]), 0)
            assert spec["key"] not in unknown or received == 0, "it was sent, and was not found in the list"
        check(bench, unknown=unknown)
        if unknown:
            assert bench.run("--recreate-unknown").returncode == 0
        check(bench)
        check_nothing_left(bench)
