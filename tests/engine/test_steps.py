"""Every fault on every step: it comes back, what the server asked for is obeyed, and a fault is never an end."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import pytest

from sumeasync.core.settings import Settings
from sumeasync.errors import AuthError
from sumeasync.models import JSON
from sumeasync.simulator import Duration, TypeSettings, WorldSettings, load_rules
from sumeasync.testing import Rig

ELEVEN = TypeSettings(Duration(10, 0), queue=Duration(1, 0), media="png")
WORLD = WorldSettings(types={"image_generation": ELEVEN})
IMAGE: JSON = {"key": "img", "type": "image_generation", "input": {"prompt": "p"}}
POLICY = {"first_delay": 2, "interval": 2, "cap": 2, "jitter": 0, "growth": 0}
STEADY = Settings(learn=False, poll={"image_generation": POLICY})

READS = {
    "429": {"kind": "status", "status": 429},
    "429-wait": {"kind": "status", "status": 429, "retry_after": "7"},
    "500": {"kind": "status", "status": 500},
    "502-bare": {"kind": "status", "status": 502, "envelope": False},
    "503-wait": {"kind": "status", "status": 503, "retry_after": "5"},
    "408": {"kind": "status", "status": 408},
    "529": {"kind": "status", "status": 529, "envelope": False},
    "reset": {"kind": "reset"},
    "stall": {"kind": "stall"},
    "late": {"kind": "delay", "seconds": 400},
    "cut": {"kind": "truncate"},
}
JSON_ONLY = {
    "html": {"kind": "body", "text": "<html>", "content_type": "text/html"},
    "empty": {"kind": "body", "text": ""},
    "not-json": {"kind": "body", "text": "{"},
    "list": {"kind": "body", "text": "[]"},
    "bomb": {"kind": "gzip_bomb", "size": 1 << 24},
    "redirect": {"kind": "redirect", "location": "https://elsewhere.test/"},
    "404": {"kind": "status", "status": 404},
    "409": {"kind": "status", "status": 409},
    "other-job": {"kind": "patch", "set": {"id": "job_0000000000000000"}},
}
CASES = [
    *((step, name) for step in ("poll", "result", "download") for name in READS),
    *(("poll", name) for name in JSON_ONLY),
    *(("result", name) for name in JSON_ONLY if name != "list"),
    ("download", "403"),
    ("download", "410"),
]
ACTIONS = READS | JSON_ONLY | {str(status): {"kind": "status", "status": status} for status in (403, 404, 409, 410)}


@pytest.mark.parametrize(("step", "name"), CASES, ids=[f"{step}-{name}" for step, name in CASES])
async def test_fault_comes_back(step: str, name: str) -> None:
    """Two faults in a row on a poll, a result or a download change nothing but the time."""
    rules = load_rules([{"on": [step], "times": 2, "do": ACTIONS[name]}])
    async with Rig(WORLD, rules=rules, latency=(0.001, 0.05)) as rig:
        (outcome,) = await rig.run([IMAGE])
        assert sum(rig.world.faults.fired) == 2
        assert (outcome.status, outcome.error, len(outcome.files)) == ("completed", None, 1)
        if name == "late":
            rig.world.ledger.overlaps.clear()  # the service still works at what was given up long ago
        await rig.check([IMAGE])
        await rig.check_repeat([IMAGE])


@pytest.mark.parametrize("name", ["429", "429-wait"])
async def test_refused_for_its_rate(name: str) -> None:
    """A create refused for its rate is sent again, and charged once."""
    async with Rig(WORLD, rules=load_rules([{"on": ["create"], "times": 3, "do": ACTIONS[name]}])) as rig:
        (outcome,) = await rig.run([IMAGE])
        assert outcome.status == "completed"
        await rig.check([IMAGE])
        await rig.check_repeat([IMAGE])


@pytest.mark.parametrize("step", ["create", "poll", "result", "download"])
@pytest.mark.parametrize("seconds", [1, 30, 200])
async def test_retry_after(step: str, seconds: int) -> None:
    """What Retry-After asks for is obeyed on every kind of request."""
    action = {"kind": "status", "status": 429, "retry_after": str(seconds)}
    rules = load_rules([{"on": [step], "nth": 1, "do": action}])
    async with Rig(WORLD, rules=rules) as rig:
        await rig.run([IMAGE], STEADY)
        times = rig.world.ledger.times["create" if step == "create" else "read"]
        if step == "download":
            assert rig.now() >= times[-1] + seconds
        else:
            assert max(b - a for a, b in pairwise(times)) >= seconds


@pytest.mark.parametrize("text", ["", "abc", "-5", "1.5", "1e400", "inf", "Wed, 21 Oct 1998 07:28:00 GMT", "0, 0"])
async def test_odd_retry_after(text: str) -> None:
    """A Retry-After that cannot be read, or lies in the past, is no obstacle."""
    action = {"kind": "status", "status": 429, "retry_after": text}
    async with Rig(WORLD, rules=load_rules([{"on": ["poll"], "times": 2, "do": action}])) as rig:
        (outcome,) = await rig.run([IMAGE])
        assert outcome.ok
        assert rig.now() < 120


async def test_pause_holds_for_every_job() -> None:
    """While one poll is refused for its rate, no other read goes out."""
    rules = load_rules([{"on": ["poll"], "nth": 3, "do": {"kind": "status", "status": 429, "retry_after": "60"}}])
    async with Rig(WORLD, rules=rules) as rig:
        await rig.run([{**IMAGE, "key": f"k{n}", "input": {"prompt": f"p{n}"}} for n in range(3)], STEADY)
        times = list(rig.world.ledger.times["read"])
        refused = times[2]
        assert not [time for time in times if refused < time < refused + 60]


async def test_a_limit_of_the_list_alone() -> None:
    """A limit that the list announces when it refuses is its own: polls are not held to it."""
    window = {"RateLimit-Limit": "10", "RateLimit-Remaining": "0", "RateLimit-Reset": "50"}
    rules = load_rules([{"on": ["list"], "do": {"kind": "status", "status": 429, "headers": window}}])
    async with Rig(WorldSettings(types={"video_generation": TypeSettings(Duration(60, 0))}), rules=rules) as rig:
        jobs = rig.world.preload(40, type="video_generation")
        await rig.run([{"key": job.id, "job_id": job.id} for job in jobs])
        assert sum(rig.world.faults.fired) > 0
        assert rig.now() < 120


async def test_fresh_id_is_given_time() -> None:
    """A job the service does not know yet is asked for again for a minute."""
    world = WorldSettings(types=WORLD.types, visible_after_seconds=40)
    async with Rig(world) as rig:
        (outcome,) = await rig.run([IMAGE])
        assert outcome.ok


async def test_result_comes_later() -> None:
    """A completed job whose result is not there yet is waited for."""
    async with Rig(WorldSettings(types=WORLD.types, result_lag_seconds=20)) as rig:
        (outcome,) = await rig.run([IMAGE])
        assert (outcome.ok, len(outcome.files)) == (True, 1)


async def test_fresh_link_after_expiry() -> None:
    """When the signed link has expired, a fresh one is asked for."""
    rules = load_rules([{"on": ["download"], "nth": 1, "do": {"kind": "status", "status": 503, "retry_after": "60"}}])
    async with Rig(WorldSettings(types=WORLD.types, link_seconds=10), rules=rules) as rig:
        (outcome,) = await rig.run([IMAGE])
        assert (outcome.ok, rig.world.ledger.requests["GET /jobs/{id}/result"]) == (True, 2)
        await rig.check([IMAGE])


@pytest.mark.parametrize("status", [401, 403])
@pytest.mark.parametrize("step", ["poll", "result"])
async def test_key_refused_while_a_job_runs(step: str, status: int) -> None:
    """A key refused on the way ends the run, not the job: with a good key it is finished."""
    rules = load_rules([{"on": [step], "nth": 1, "do": {"kind": "status", "status": status}}])
    async with Rig(WORLD, rules=rules) as rig:
        assert await rig.run([IMAGE]) == []
        assert isinstance(rig.error, AuthError)
        await rig.check([IMAGE])
        assert [outcome.ok for outcome in await rig.run([IMAGE])] == [True]
        await rig.check([IMAGE])


@pytest.mark.parametrize(  # a refused key at the presign ends the run instead
    ("step", "name"), [*((step, name) for step in ("presign", "upload") for name in READS), ("upload", "403")]
)
async def test_upload_faults(step: str, name: str, tmp_path: Path) -> None:
    """Two faults on the way of an upload change nothing but the time."""
    clip = tmp_path / "clip.mp4"
    clip.write_bytes(b"a clip")
    spec: JSON = {"key": "clip", "type": "asset_ingest", "file": str(clip), "input": {}}
    rules = load_rules([{"on": [step], "times": 2, "do": ACTIONS[name]}])
    async with Rig(rules=rules) as rig:
        (outcome,) = await rig.run([spec])
        assert outcome.ok
        await rig.check([spec])


@pytest.mark.parametrize("name", ["reset", "500", "late", "cut", "html"])
async def test_lost_answer_of_an_ingest(name: str, tmp_path: Path) -> None:
    """An ingest whose answer is lost is found in the job list like any other create."""
    clip = tmp_path / "clip.mp4"
    clip.write_bytes(b"a clip")
    spec: JSON = {"key": "clip", "type": "asset_ingest", "file": str(clip), "input": {}}
    action = ACTIONS[name] if name in ("late", "cut") else {**ACTIONS[name], "act": True}
    async with Rig(rules=load_rules([{"on": ["finalize"], "nth": 1, "do": action}])) as rig:
        (outcome,) = await rig.run([spec])
        assert outcome.ok
        await rig.check([spec])


async def test_unusable_id_disturbs_nobody() -> None:
    """A job id that no path can carry is refused by itself; the others are polled on, also after a refusal."""
    rules = load_rules([{"on": ["poll"], "times": 2, "do": {"kind": "status", "status": 429}}])
    async with Rig(WORLD, rules=rules) as rig:
        outcomes = await rig.run([{"key": "odd", "job_id": ".."}, IMAGE])
        assert {outcome.key: outcome.status for outcome in outcomes} == {"odd": "failed", "img": "completed"}
        assert rig.now() < 120
