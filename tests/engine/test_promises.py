"""What the engine promises to whoever runs a batch, one promise a test."""

from __future__ import annotations

import json
import logging
from pathlib import Path

import msgspec
import pytest

from sumeasync.core.settings import Settings
from sumeasync.models import JSON
from sumeasync.simulator import Duration, Limits, StatusWords, TypeSettings, WorldSettings, load_rules
from sumeasync.testing import Rig
from sumeasync.testing.rig import API_KEY

ELEVEN = TypeSettings(Duration(10, 0), queue=Duration(1, 0), media="png")
WORLD = WorldSettings(types={"image_generation": ELEVEN})
POLICY = {"first_delay": 2, "interval": 2, "cap": 2, "jitter": 0, "growth": 0}
STEADY = Settings(learn=False, poll={"image_generation": POLICY})
SHAPES = ("documented", "job.id", "job_id", "jobs", "job_ids", "data.job.id", "data.job_id", "id")


def image(number: int, **fields: JSON) -> JSON:
    """A spec for one image."""
    return {"key": f"img-{number}", "type": "image_generation", "input": {"prompt": f"p{number}"}, **fields}


def images(count: int) -> list[JSON]:
    """Specs for as many images."""
    return [image(number) for number in range(count)]


def every_kind(folder: Path) -> list[JSON]:
    """One spec of each kind; the Face Swap has two avatars."""
    clip = folder / "clip.mp4"
    clip.write_bytes(b"a clip")
    return [
        image(0),
        {"key": "video", "type": "video_generation", "input": {"prompt": "v"}},
        {"key": "ad", "type": "ads_video", "input": {"script": "s"}},
        {"key": "swap", "type": "face_swap", "input": {"avatar_ids": ["a", "b"], "source_video_url": "https://x.test"}},
        {"key": "post", "type": "reference_analysis", "input": {"url": "https://www.tiktok.com/@a/video/1"}},
        {"key": "clip", "type": "asset_ingest", "file": str(clip), "input": {"title": "t"}},
    ]


def lines(rig: Rig) -> list[JSON]:
    """The lines of results.jsonl."""
    return [json.loads(line) for line in rig.disk.content("results.jsonl").splitlines()]


def statuses(rig: Rig) -> set[str]:
    """Every status that stands in results.jsonl."""
    return {line["status"] for line in lines(rig)}


async def test_every_kind_completes(tmp_path: Path) -> None:
    """Every kind of work is created, polled, fetched and saved; a Face Swap gives one outcome a job."""
    async with Rig(latency=(0.001, 0.2)) as rig:
        outcomes = await rig.run(every_kind(tmp_path))
        assert sorted(outcome.key for outcome in outcomes) == ["ad", "clip", "img-0", "post", "swap", "swap", "video"]
        assert all(outcome.ok for outcome in outcomes)
        assert sum(len(outcome.files) for outcome in outcomes) == 5
        await rig.check(every_kind(tmp_path))
        await rig.check_repeat(every_kind(tmp_path))


@pytest.mark.parametrize("shape", SHAPES)
async def test_every_shape_of_a_create_answer(shape: str) -> None:
    """However a create spells its job ids, the jobs are found."""
    swap: JSON = {"key": "s", "type": "face_swap", "input": {"avatar_ids": ["a", "b"], "source_video_url": "https://x"}}
    async with Rig(WorldSettings(create_shape=shape)) as rig:  # type: ignore[arg-type]  # one of the literals
        outcomes = await rig.run([image(0), swap])
        assert [outcome.status for outcome in outcomes] == ["completed"] * 3
        await rig.check([image(0), swap])


async def test_adopted_job() -> None:
    """A job that already runs is watched by its id, costs nothing, and shows its own type."""
    async with Rig() as rig:
        (job,) = rig.world.preload(1, type="video_generation")
        (outcome,) = await rig.run([{"job_id": job.id}])
        assert (outcome.key, outcome.type, outcome.status) == (job.id, "video_generation", "completed")
        assert rig.world.ledger.charges == {}
        await rig.check([{"job_id": job.id}])
        await rig.check_repeat([{"job_id": job.id}])


async def test_one_result_a_job() -> None:
    """Each finished job has one line in results.jsonl, whole, with the local path where the link stood."""
    async with Rig(WORLD) as rig:
        (outcome,) = await rig.run(images(1))
        (line,) = lines(rig)
        assert line["result"]["images"][0]["url"] == outcome.files[0].path == line["files"][0]["path"]
        assert "://" not in json.dumps(line)
        await rig.check(images(1))


async def test_keep_links() -> None:
    """With keep_links the payload stays as it came."""
    async with Rig(WORLD) as rig:
        await rig.run(images(1), Settings(keep_links=True))
        assert "signature=" in lines(rig)[0]["result"]["images"][0]["url"]


@pytest.mark.parametrize("setting", [True, False], ids=["run", "spec"])
async def test_no_download(setting: bool) -> None:
    """Without download nothing is fetched, and no signed link is kept."""
    spec, settings = (image(0), Settings(download=False)) if setting else (image(0, download=False), Settings())
    async with Rig(WORLD) as rig:
        (outcome,) = await rig.run([spec], settings)
        assert (outcome.ok, outcome.files) == (True, ())
        assert "GET /media" not in rig.world.ledger.requests
        await rig.check([spec])
        await rig.check_repeat([spec])


async def test_thumbnails() -> None:
    """Every media link of a result is saved, each under a name of its own."""
    async with Rig(msgspec.structs.replace(WORLD, thumbnails=True)) as rig:
        (outcome,) = await rig.run(images(1))
        assert len({file.path for file in outcome.files}) == 2
        await rig.check(images(1))


async def test_without_directory() -> None:
    """Without an output directory outcomes are handed out with their links, and nothing is kept."""
    async with Rig(WORLD) as rig, rig.engine(disk=None) as engine:
        (outcome,) = [outcome async for outcome in engine.run(images(1))]
        assert (outcome.ok, outcome.files) == (True, ())
        assert "signature=" in outcome.result["images"][0]["url"]
        assert rig.disk.paths() == []


@pytest.mark.parametrize("word", ["COMPLETED", "succeeded", " Success "])
async def test_spelling_of_a_status(word: str) -> None:
    """A status counts whatever its case and whichever of the usual words it is."""
    async with Rig(msgspec.structs.replace(WORLD, words=StatusWords(completed=word))) as rig:
        assert [outcome.status for outcome in await rig.run(images(2))] == ["completed"] * 2


@pytest.mark.parametrize("patch", [{"set": {"status": "pondering"}}, {"set": {"status": 7}}, {"drop": ["status"]}])
async def test_unknown_status_is_waited_out(patch: JSON) -> None:
    """A status nobody knows is not an end: the job is polled on."""
    rules = load_rules([{"on": ["poll"], "until_seconds": 30, "do": {"kind": "patch", **patch}}])
    async with Rig(WORLD, rules=rules) as rig:
        (outcome,) = await rig.run(images(1), STEADY)
        assert outcome.status == "completed"
        assert rig.now() > 30


async def test_first_end_wins() -> None:
    """Once a job was seen completed, a later answer that says otherwise changes nothing."""
    rules = load_rules([{"on": ["result"], "do": {"kind": "patch", "set": {"status": "processing"}}}])
    async with Rig(WORLD, rules=rules) as rig:
        (outcome,) = await rig.run(images(1))
        assert (outcome.ok, len(outcome.files)) == (True, 1)


async def test_policy_is_obeyed() -> None:
    """The first poll comes within one interval after the first delay, every other one interval after the last."""
    async with Rig(WORLD) as rig:
        await rig.run(images(1), STEADY)
        first, *rest = list(rig.world.ledger.times["read"])[:-1]
        assert 2 <= first <= 4
        assert [round(b - a, 6) for a, b in zip([first, *rest], rest, strict=False)] == [2.0] * len(rest)


async def test_configured_rate() -> None:
    """No window of time sees more requests than configured, and nothing is refused."""
    limits = Limits(reads_per_minute=60, creates_per_minute=20)
    async with Rig(msgspec.structs.replace(WORLD, limits=limits), latency=(0.01, 0.1)) as rig:
        await rig.run(images(60), Settings(read_rate="60/m", create_rate="20/m", creates_per_type=8))
        assert rig.world.ledger.busiest("read", 60) <= 60
        assert rig.world.ledger.busiest("create", 60) <= 20
        assert rig.world.ledger.statuses[429] == 0
        await rig.check(images(60))


async def test_unannounced_limits() -> None:
    """Without any configured rate a limited service is still served to the end, each spec charged once."""
    limits = Limits(reads_per_minute=60, creates_per_minute=10)
    async with Rig(msgspec.structs.replace(WORLD, limits=limits), latency=(0.01, 0.1)) as rig:
        outcomes = await rig.run(images(30))
        assert [outcome.status for outcome in outcomes] == ["completed"] * 30
        await rig.check(images(30))


@pytest.mark.parametrize("field", ["deadline", "queue_timeout", "run_timeout"])
async def test_deadline(field: str) -> None:
    """A deadline ends the waiting and not the job: it is timed out, has no line, and the next run finishes it."""
    slow = TypeSettings(Duration(300, 0), queue=Duration(300, 0), media="png")
    settings = Settings(poll={"image_generation": POLICY | {"deadline": 900, field: 100}})
    async with Rig(WorldSettings(types={"image_generation": slow})) as rig:
        (outcome,) = await rig.run(images(1), settings)
        assert (outcome.status, outcome.job_id) == ("timed_out", rig.world.jobs[0].id)
        assert rig.now() == pytest.approx(400 if field == "run_timeout" else 100, abs=5)
        assert rig.report is not None
        assert (rig.report.exit_code, lines(rig)) == (3, [])
        await rig.check(images(1))
        await rig.run(images(1))
        assert statuses(rig) == {"completed"}
        await rig.check(images(1))
        await rig.check_repeat(images(1))


async def test_deadline_of_a_spec() -> None:
    """A spec's own deadline wins over its type's."""
    async with Rig(WORLD) as rig:
        outcomes = await rig.run([image(0, deadline_seconds=5), image(1)])
        assert {outcome.key: outcome.status for outcome in outcomes} == {"img-0": "timed_out", "img-1": "completed"}


async def test_refused_input() -> None:
    """Input the service refuses is rejected once, at no cost, and not tried again."""
    specs: list[JSON] = [image(0), {"key": "bad", "type": "video_generation", "input": {"prompt": "x", "duration": 99}}]
    async with Rig(WORLD) as rig:
        outcomes = await rig.run(specs)
        assert {outcome.key: outcome.status for outcome in outcomes} == {"img-0": "completed", "bad": "rejected"}
        await rig.check(specs)
        await rig.check_repeat(specs)


async def test_file_that_is_not_there(tmp_path: Path) -> None:
    """A file that cannot be read is refused here; once it is there, the next run uploads it."""
    path = tmp_path / "late.mp4"
    spec: JSON = {"key": "clip", "type": "asset_ingest", "file": str(path), "input": {}}
    async with Rig() as rig:
        (outcome,) = await rig.run([spec])
        assert outcome.status == "rejected"
        assert rig.requests() == 0
        path.write_bytes(b"a clip")
        (outcome,) = await rig.run([spec])
        assert outcome.status == "completed"
        await rig.check([spec])


async def test_upload_with_a_refused_key(tmp_path: Path) -> None:
    """A refused key stops an upload like any create; with a good key it is done."""
    spec = every_kind(tmp_path)[-1]
    rules = load_rules([{"on": ["presign"], "nth": 1, "do": {"kind": "status", "status": 401}}])
    async with Rig(rules=rules) as rig:
        assert await rig.run([spec]) == []
        await rig.check([spec])
        assert [outcome.status for outcome in await rig.run([spec])] == ["completed"]
        await rig.check([spec])


async def test_server_text_is_sanitized() -> None:
    """Whatever a server says in an error, no secret of it is kept or logged, and none of our own."""
    secret = "https://cdn.test/a.png?X-Amz-Signature=0123456789abcdef0123456789abcdef"
    text = f"your key {API_KEY} is bad, see {secret}"
    rules = load_rules(
        [
            {"on": ["create"], "nth": 1, "do": {"kind": "status", "status": 400, "message": text}},
            {"on": ["create"], "nth": 2, "do": {"kind": "status", "status": 500, "message": text}},
            {"on": ["poll"], "nth": 1, "do": {"kind": "status", "status": 400, "message": text}},
            {
                "on": ["poll"],
                "nth": 2,
                "do": {"kind": "patch", "set": {"status": "failed", "error": {"code": "x", "message": text}}},
            },
            {"on": ["result"], "do": {"kind": "status", "status": 403, "message": text}},
            {"on": ["create"], "nth": 6, "do": {"kind": "status", "status": 402, "message": text}},
        ]
    )
    async with Rig(WORLD, rules=rules) as rig:
        rig.secrets = ["0123456789abcdef0123456789abcdef"]
        await rig.run(images(6))
        assert rig.report is not None
        assert API_KEY not in str(rig.report)
        await rig.check(images(6))


async def test_log_holds_no_secret(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """The log tells every step of every job, and no key, signature or upload header."""
    caplog.set_level(logging.DEBUG)
    async with Rig() as rig:
        await rig.run(every_kind(tmp_path))
    assert "job.completed" in caplog.text
    for secret in (API_KEY, "signature=", "upl_0"):
        assert secret not in caplog.text
