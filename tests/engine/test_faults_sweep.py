"""Random services, random faults, random latency: whatever happens, what must hold after a run holds.

A failing test names its seed: ``pytest tests/engine/test_faults_sweep.py -k 'seed-17'``. ``SUMEASYNC_SEEDS`` times 40
seeds are played.
"""

from __future__ import annotations

import os
from pathlib import Path
from random import Random

import msgspec
import pytest

from sumeasync.core.settings import Settings
from sumeasync.models import JSON
from sumeasync.simulator import Duration, Limits, Rule, TypeSettings, WorldSettings, load_rules
from sumeasync.testing import Rig

SEEDS = 40 * int(os.environ.get("SUMEASYNC_SEEDS", "1"))
KINDS = ("image_generation", "video_generation", "ads_video", "face_swap", "reference_analysis", "asset_ingest")
READS = ("poll", "result", "list", "presign", "upload", "download")
MOST_RUNS = 8


def actions(rng: Random) -> list[JSON]:
    """Everything that may happen to a read; what happens to a create is `act` or not."""
    act = rng.random() < 0.5
    wait = rng.choice([None, "0", "3", "20", "abc"])
    return [
        {"kind": "status", "status": rng.choice([500, 502, 503, 504, 408]), "retry_after": wait, "act": act},
        {"kind": "status", "status": 429, "retry_after": wait},
        {"kind": "reset", "act": act},
        {"kind": "body", "text": rng.choice(["", "{", "<html>", "[]", "{}", "null"]), "act": act},
        {"kind": "truncate", "fraction": rng.random(), "framing": rng.choice(["length", "chunked"])},
        {"kind": "stall", "fraction": rng.random(), "seconds": 100},
        {"kind": "delay", "seconds": rng.choice([1, 10, 29]), "jitter_seconds": 5},
        {"kind": "headers", "headers": {"Set-Cookie": "a=b", "X-Odd": "\u00e9"}},
        {"kind": "patch", "set": {"extra": {"deep": [1, 2]}}},
    ]


def rules(rng: Random) -> tuple[Rule, ...]:
    """Up to five rules, each rare enough that a run gets somewhere."""
    found: list[JSON] = []
    for _ in range(rng.randint(0, 5)):
        on = rng.choice([["create", "finalize"], [rng.choice(READS)], ["poll", "result"], ["any"]])
        do = rng.choice(actions(rng))
        found.append({"on": on, "probability": rng.uniform(0.02, 0.3), "until_seconds": 2000, "do": do})
    return load_rules(found)


def world(rng: Random) -> WorldSettings:
    """A service with quirks."""
    types = {
        kind: TypeSettings(
            Duration(rng.uniform(2, 200), rng.uniform(0, 0.6)),
            queue=Duration(rng.uniform(0.1, 20), 0.5),
            failure_rate=rng.choice([0, 0, 0.2]),
            expiry_rate=rng.choice([0, 0.1]),
            media={"reference_analysis": None, "asset_ingest": None}.get(kind, rng.choice(["png", "mp4"])),
            media_bytes=rng.choice([0, 0, 300_000]),
        )
        for kind in KINDS
    }
    return WorldSettings(
        types=types,
        limits=Limits(reads_per_minute=rng.choice([None, None, 120]), creates_per_minute=rng.choice([None, None, 20])),
        credits=rng.choice([10**6, 10**6, 12]),
        concurrency=rng.choice([None, 2]),
        create_shape=rng.choice(["documented", "jobs", "job_ids", "data.job_id"]),
        list_order=rng.choice(["newest", "oldest"]),
        visible_after_seconds=rng.choice([0, 0, 5]),
        result_lag_seconds=rng.choice([0, 0, 5]),
        timestamps=rng.choice(["created", "all", "none"]),
        link_seconds=rng.choice([900, 15]),
        thumbnails=rng.random() < 0.3,
    )


def settings(rng: Random) -> Settings:
    """Settings within reason."""
    return Settings(
        max_in_flight=rng.choice([2, 1000]),
        max_unread=rng.choice([1, 1000]),
        reads=rng.choice([1, 32]),
        creates_per_type=rng.choice([1, 1, 3]),
        transfers=rng.choice([1, 8]),
        read_rate=rng.choice([None, "240/m"]),
        create_rate=rng.choice([None, "30/m"]),
        learn=rng.random() < 0.5,
    )


def specs(rng: Random, folder: Path) -> list[JSON]:
    """Some specs of every kind."""
    clip = folder / "clip.mp4"
    clip.write_bytes(b"a clip" * 1000)
    found: list[JSON] = []
    for number in range(rng.randint(1, 16)):
        kind = rng.choice(KINDS)
        spec: JSON = {"key": f"k{number}", "type": kind, "input": {"prompt": f"p{number}", "url": "https://x.test/a"}}
        if kind == "face_swap":
            spec["input"]["avatar_ids"] = ["a", "b", "c"][: rng.randint(1, 3)]
        if kind == "asset_ingest":
            spec |= {"file": str(clip), "input": {"title": f"t{number}"}}
        found.append(spec)
    return found


@pytest.mark.parametrize("seed", range(SEEDS), ids=lambda seed: f"seed-{seed}")
async def test_invariants_hold(seed: int, tmp_path: Path) -> None:
    """Charged once, nothing lost, every line once, media whole, no secret on the disk, reports that agree."""
    rng = Random(seed)
    batch, chosen = specs(rng, tmp_path), settings(rng)
    async with Rig(world(rng), rules=rules(rng), seed=seed, latency=(0.001, rng.choice([0.01, 0.5]))) as rig:
        for _ in range(MOST_RUNS):
            await rig.run(batch, chosen)
            rig.world.ledger.overlaps.clear()  # a stalled answer is still being served when it is given up
            await rig.check(batch)
            assert rig.report is not None
            if not rig.report.not_started and {one.status for one in rig.report.unresolved} <= {"unknown"}:
                break
            rig.world.credits.remaining += 1000
        else:
            pytest.fail(f"not finished after {MOST_RUNS} runs: {rig.report}")
        if chosen.read_rate is not None:
            assert rig.world.ledger.busiest("read", 60) <= 240
        if not rig.report.unresolved:
            await rig.check_repeat(batch, msgspec.structs.replace(chosen, recreate_unknown=True))
