"""The machine stops at each named point of a batch, at every size of batch: what is paid is paid once, nothing is lost.

A failure names the one command that plays it again. By default two seeds play each point with 1 and with 20 specs, and
stop one batch of 200 specs at every point in turn; ``SUMEASYNC_SEEDS=N`` plays N seeds of all three sizes and of that.
"""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from random import Random

import msgspec
import pytest

from sumeasync.core.settings import Settings
from sumeasync.io.replay import replay
from sumeasync.models import JSON
from sumeasync.simulator import Duration, TypeSettings, WorldSettings, load_rules
from sumeasync.testing import POINTS, Kill, KillRig, run_virtual

SEEDS = os.environ.get("SUMEASYNC_SEEDS")
REPLAY = os.environ.get("SUMEASYNC_REPLAY")
COMMAND = "SUMEASYNC_REPLAY='{}' pytest tests/engine/test_kill_points.py"
EVERY = "every"
"""In place of a point: the batch is stopped at all of them, one after the other."""


def cases() -> list[str]:
    """The cases to be played, as "point/number of specs/seed"."""
    if REPLAY:
        return [REPLAY]
    seeds, loads = range(int(SEEDS or 2)), (1, 20, 200) if SEEDS else (1, 20)
    every = [f"{EVERY}/200/{seed}" for seed in seeds]
    return [f"{point}/{load}/{seed}" for point in POINTS for load in loads for seed in seeds] + every


TYPES = {
    "image_generation": TypeSettings(Duration(4, 0.3), Duration(1, 0.3), media="png"),
    "video_generation": TypeSettings(Duration(8, 0.3), Duration(1, 0.3), media="mp4"),
    "face_swap": TypeSettings(Duration(6, 0.3), Duration(1, 0.3), media="mp4", media_bytes=300_000),
    "asset_ingest": TypeSettings(Duration(3, 0.3), Duration(1, 0.3)),
}
"""The files of one type are larger than what is written at once."""
QUICK = Settings(poll={kind: {"first_delay": 1, "interval": 1, "cap": 3, "deadline": 86400} for kind in ("*", *TYPES)})
FAILING = {name: msgspec.structs.replace(type, failure_rate=0.05) for name, type in TYPES.items()}

READS = ["poll", "result", "list", "download"]
FLAKY_READS: list[JSON] = [
    {"on": READS, "probability": 0.04, "do": {"kind": "status", "status": 503}},
    {"on": READS, "probability": 0.03, "do": {"kind": "status", "status": 429, "retry_after": "2"}},
    {"on": READS, "probability": 0.03, "do": {"kind": "reset"}},
    {"on": ["download"], "nth": 1, "each_job": True, "do": {"kind": "truncate", "fraction": 0.7}},
]
LOST_ANSWERS: list[JSON] = [
    {"on": ["create", "finalize"], "probability": 0.05, "do": {"kind": "reset", "act": True}},
    {"on": ["create", "finalize"], "probability": 0.04, "do": {"kind": "status", "status": 502, "act": True}},
]
FLAKY_CREATES: list[JSON] = [
    {"on": ["create", "finalize"], "probability": 0.1, "do": {"kind": "status", "status": 429, "retry_after": "1"}},
    {"on": ["create", "finalize"], "probability": 0.05, "do": {"kind": "status", "status": 503}},
]


class Scene(msgspec.Struct, frozen=True):
    """What surrounds a kill: the service, its faults, the network, the disk; all drawn from the case's name."""

    world: WorldSettings
    rules: list[JSON]
    latency: tuple[float, float]
    commit_seconds: float
    settings: Settings
    plain: bool
    """Whether the list shows every job at once, and every create is answered: nothing need be unknown but by a kill."""


def scene(load: int, rng: Random) -> Scene:
    """Draw a scene; a single spec gets no trouble that could keep it from the point."""
    rules = FLAKY_READS if rng.random() < 0.4 else []
    plain = load == 1 or rng.random() < 0.5
    if not plain:
        rules = rules + rng.choice([LOST_ANSWERS, FLAKY_CREATES, LOST_ANSWERS + FLAKY_CREATES])
    world = WorldSettings(
        types=TYPES if load == 1 else FAILING,
        visible_after_seconds=rng.choice([0.0, 0.0, 2.5]),
        result_lag_seconds=rng.choice([0.0, 0.0, 1.5]),
        list_lag_seconds=0.0 if plain else rng.choice([0.0, 3.0, 1e6]),
        timestamps="created" if plain else rng.choice(["created", "all", "none"]),
    )
    settings = msgspec.structs.replace(QUICK, learn=load > 1 and rng.random() < 0.5)
    return Scene(world, rules, rng.choice([(0.0, 0.0), (0.001, 0.2)]), rng.choice([0.0, 0.02, 3.0]), settings, plain)


def batch(load: int, rng: Random, rig: KillRig, folder: Path) -> list[JSON]:
    """Specs of all kinds: of twenty, two run already and three make two jobs each."""
    clip = folder / "clip.mp4"
    clip.write_bytes(b"a clip" * 100)
    kinds = ["image"] * 8 + ["video"] * 5 + ["swap"] * 3 + ["ingest"] * 2 + ["adopted"] * 2
    if load == 1:
        kinds = [rng.choice(["image", "video", "swap"])]
    old = iter(rig.world.preload(load // 10, spread_seconds=20.0))
    specs = [spec(kinds[number % len(kinds)], number, clip, old) for number in range(load)]
    rng.shuffle(specs)
    return specs


def spec(kind: str, number: int, clip: Path, old: Iterator[JSON]) -> JSON:
    """One line of the manifest."""
    key = f"{kind}-{number}"
    if kind == "image":
        return {"key": key, "type": "image_generation", "input": {"prompt": key}}
    if kind == "video":
        return {"key": key, "type": "video_generation", "input": {"prompt": key}}
    if kind == "ingest":
        return {"key": key, "type": "asset_ingest", "file": str(clip), "input": {"title": key}}
    if kind == "adopted":
        return {"key": key, "job_id": next(old).id}
    source = {"avatar_ids": ["a", "b"], "source_video_url": f"https://x.test/{key}"}
    return {"key": key, "type": "face_swap", "input": source}


def jobs_of(spec: JSON) -> int:
    """How many jobs a spec makes."""
    return 2 if spec.get("type") == "face_swap" else 1


class Case:
    """One kill, or several in a row, of one batch."""

    def __init__(self, name: str, folder: Path) -> None:
        self.name = name
        point, load, seed = name.split("/")
        self.point, self.load, self.rng = point, int(load), Random(name)
        self.scene = scene(self.load, self.rng)
        self.rig = KillRig(
            self.scene.world, rules=load_rules(self.scene.rules), seed=int(seed), latency=self.scene.latency
        )
        self.specs = batch(self.load, self.rng, self.rig, folder)
        self.doubtful: set[str] = set()
        if self.scene.commit_seconds:
            slow = Random(f"disk {name}")
            self.rig.disk.commit_seconds = lambda: slow.uniform(0.0, self.scene.commit_seconds)

    async def play(self) -> None:
        """Stop at the point, perhaps again while resuming, then resume to the end and look again."""
        async with self.rig:
            for point in POINTS if self.point == EVERY else [self.point]:
                assert await self.stop_at(point, self.nth(point)), f"the point {point} was never reached"
            for _ in range(self.rng.choice([0, 0, 1, 2])):
                await self.stop_at(self.rng.choice(list(POINTS)), self.rng.randint(1, 3))
            await self.resume()

    def nth(self, point: str) -> int:
        """Which time at the point is the last one; so few that it does come to that."""
        if self.load == 1 or point == "report":
            return 1
        return self.rng.randint(1, 3 if self.point == EVERY else self.load // 5)

    async def stop_at(self, point: str, nth: int) -> bool:
        """Let the machine stop there, and stay off for a while; False when the run ends before."""
        kill = Kill(POINTS[point], nth, self.rng)
        if not await self.rig.run_until(kill, self.specs, self.scene.settings):
            return False
        await self.check()
        facts = list((await replay(self.rig.disk)).history.all())
        self.doubtful |= {each.key for each in facts if each.phase in ("intended", "unknown")}
        given = {each.get("job_id") for each in self.specs}
        assert set(self.rig.world.ledger.job_requests) <= {job.id for each in facts for job in each.jobs} | given
        await asyncio.sleep(self.rng.choice([0.0, 0.0, 1.0, 30.0, 2000.0]))
        return True

    async def check(self, charges: int = 1) -> None:
        """Every invariant, and that nothing ran ahead of the disk."""
        assert not self.rig.ahead, self.rig.ahead[:5]
        await self.rig.check(self.specs, charges=charges)

    async def resume(self) -> None:
        """Run to the end, and again; then send what is unknown once more, when chance says so."""
        unknown = await self.finish(self.scene.settings)
        if self.scene.plain:
            assert unknown <= self.doubtful
            recorded = {job.id for facts in (await replay(self.rig.disk)).history.all() for job in facts.jobs}
            assert set(self.rig.world.ledger.charges) <= recorded
        if unknown and self.rng.random() < 0.5:
            again = msgspec.structs.replace(self.scene.settings, recreate_unknown=True)
            left = await self.finish(again, charges=2)
            assert not (left and self.scene.plain)

    async def finish(self, settings: Settings, charges: int = 1) -> set[str]:
        """Run until nothing changes any more, and no more is asked for; returns the keys that are unknown."""
        open_before = None
        while open_before != (open_now := await self.run(settings, charges)):
            open_before, settings = open_now, self.scene.settings
        self.whole(open_now)
        await asyncio.sleep(1)  # what the last run had under way when it ended is not the next one's
        before, lists = self.rig.requests(), self.rig.world.ledger.requests["GET /jobs"]
        await self.run(settings, charges)
        more = self.rig.requests() - before
        assert more == (self.rig.world.ledger.requests["GET /jobs"] - lists if open_now else 0)
        return open_now

    async def run(self, settings: Settings, charges: int) -> set[str]:
        """Run to the end of it; returns the keys that are unknown, the only ones that may be left."""
        await self.rig.run(self.specs, settings)
        report = self.rig.report
        assert report is not None
        assert self.rig.error is None
        await self.check(charges)
        assert {one.status for one in report.unresolved} <= {"unknown"}
        if report.requests:  # one that had nothing to do leaves the last word
            told = json.loads(self.rig.disk.content("report.json"))
            assert told["exit_code"] == report.exit_code
            assert [one["key"] for one in told.get("unresolved", [])] == [one.key for one in report.unresolved]
        return {one.key for one in report.unresolved}

    def whole(self, unknown: set[str]) -> None:
        """Every spec that is not unknown has a line for each of its jobs."""
        lines = map(json.loads, self.rig.disk.content("results.jsonl").splitlines())
        wanted = [one["key"] for one in self.specs if one["key"] not in unknown for _ in range(jobs_of(one))]
        assert sorted(line["key"] for line in lines) == sorted(wanted)


REPLAYED = pytest.mark.skipif(bool(REPLAY), reason="one case is replayed")


@pytest.mark.parametrize("name", cases())
async def test_killed_at(name: str, tmp_path: Path) -> None:
    """After a stop at a named point the next run finishes the batch: each spec charged once, each line there once."""
    try:
        await Case(name, tmp_path).play()
    except (AssertionError, pytest.fail.Exception) as error:
        raise AssertionError(f"{error}\nreplay: {COMMAND.format(name)}") from error


@REPLAYED
async def test_a_failure_names_its_replay(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A case that fails says with which command it is played again."""
    monkeypatch.setattr(Case, "whole", lambda *_: pytest.fail("not whole"))
    with pytest.raises(AssertionError, match="replay: SUMEASYNC_REPLAY='renamed/1/3' pytest tests/engine/test_kill"):
        await test_killed_at("renamed/1/3", tmp_path)


@REPLAYED
def test_replay_plays_one_case() -> None:
    """The command of a failure plays that case, and nothing else."""
    environment = os.environ | {"SUMEASYNC_REPLAY": "renamed/1/3"}
    command = [sys.executable, "-m", "pytest", "-v", "-p", "no:cacheprovider", __file__]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    assert "1 passed, 4 skipped" in done.stdout


@REPLAYED
def test_a_case_is_the_same_again(tmp_path: Path) -> None:
    """The same case, in a loop of its own, leaves the same bytes."""

    async def left() -> dict[str, bytes]:
        case = Case("mid-body/20/1", tmp_path)
        await case.play()
        return {path: case.rig.disk.content(path) for path in case.rig.disk.paths() if path != "journal.log"}

    assert run_virtual(left) == run_virtual(left)


@REPLAYED
async def test_a_hole_in_the_last_commit_is_no_damage() -> None:
    """When a power failure loses a page in the middle of one commit, the next run goes on by itself, and ends."""
    holes = 0
    for seed in range(8):
        async with KillRig() as rig:
            jobs = rig.world.preload(100, type="image_generation")
            specs: list[JSON] = [{"key": job.id, "job_id": job.id} for job in jobs]
            rig.disk.commit_seconds = lambda: 2.0
            kill = Kill(POINTS["created-written"], 2, Random(seed))
            kill.keep = "subset"
            assert await rig.run_until(kill, specs)
            holes += b"\0" in rig.disk.content("journal.log")
            await rig.run(specs)
            await rig.check(specs)
            await rig.check_repeat(specs)
    assert holes >= 2
