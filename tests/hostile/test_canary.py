"""Nothing leaks: secrets put everywhere a secret may stand, and a search of every byte that came out."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import io
import logging
import traceback
from collections.abc import Iterator

import aiohttp
import pytest

from sumeasync import logs
from sumeasync.core.settings import Settings
from sumeasync.models import JSON
from sumeasync.simulator import Rule, TypeSettings, WorldSettings, load_rules, profile
from sumeasync.simulator.settings import DEFAULT_TYPES
from sumeasync.testing import Rig
from sumeasync.testing.canary import Canary, disk_sightings, sightings
from sumeasync.testing.rig import API_KEY

BIRD = Canary(key=API_KEY)
SAID = (
    f"bad key {BIRD.key}; link {BIRD.link}; mail {BIRD.email}; in {BIRD.workspace}; "
    f'prompt="{BIRD.prompt}"; transcript: {BIRD.transcript}'
)
PAYLOAD: JSON = {
    "video_url": BIRD.link,
    "note": f"see {BIRD.link} or signature={BIRD.link_secret}",
    "echo": {"Authorization": f"Bearer {BIRD.key}", BIRD.key: 1},
    "prompt": BIRD.prompt,
    "transcript": [{"text": BIRD.transcript}],
    "user": {"email": BIRD.email, "workspace_id": BIRD.workspace},
}
LINKLESS = PAYLOAD | {"video_url": None, "status_url": BIRD.link}
TOLD = {"Set-Cookie": f"session={BIRD.key}", "X-Debug": SAID.replace("\n", " "), "ETag": f'"{BIRD.key}"'}
ENVELOPE = {"error": {"code": BIRD.key, "message": SAID, "request_id": BIRD.link}}

SINGING: JSON = [
    {"on": ["create"], "every": 6, "do": {"kind": "status", "status": 422, "code": BIRD.email, "message": SAID}},
    {"on": ["create"], "every": 7, "do": {"kind": "status", "status": 500, "message": SAID, "act": True}},
    {"on": ["create"], "every": 11, "do": {"kind": "redirect", "location": BIRD.link}},
    {"on": ["poll"], "every": 9, "do": {"kind": "patch", "set": {"status": "failed", **ENVELOPE}}},
    {"on": ["poll"], "every": 7, "do": {"kind": "patch", "set": {"status": SAID, "type": BIRD.email}}},
    {"on": ["poll"], "every": 5, "do": {"kind": "status", "status": 503, "message": SAID, "headers": TOLD}},
    {"on": ["result"], "every": 2, "do": {"kind": "patch", "set": {"result": LINKLESS, "result_url": BIRD.link}}},
    {"on": ["result"], "every": 3, "do": {"kind": "patch", "set": {"result": PAYLOAD}}},
    {"on": ["result"], "every": 5, "do": {"kind": "body", "text": SAID}},
    {"on": ["download"], "every": 3, "do": {"kind": "redirect", "location": BIRD.link}},
    {"on": ["download"], "every": 4, "do": {"kind": "status", "status": 403, "message": SAID, "headers": TOLD}},
    {"on": ["list", "presign", "upload"], "every": 3, "do": {"kind": "status", "status": 500, "message": SAID}},
    {"on": ["any"], "every": 3, "do": {"kind": "headers", "headers": TOLD}},
]
SWIFT = Settings(save_attempts=2, max_in_flight=20)


def specs() -> list[JSON]:
    """One of each type, its input full of secrets, sixfold."""
    given = {"prompt": f"{BIRD.prompt}, mail {BIRD.email}", "source_video_url": BIRD.link, "url": BIRD.link}
    given |= {"avatar_ids": [BIRD.workspace], "script": BIRD.transcript}
    kinds = [kind for kind in DEFAULT_TYPES if kind != "asset_ingest"]
    return [{"key": f"{kind[:5]}-{n}", "type": kind, "input": {**given, "n": n}} for kind in kinds for n in range(6)]


@contextlib.contextmanager
def listening() -> Iterator[list[io.StringIO]]:
    """Logs at DEBUG in both formats, those of aiohttp and asyncio among them, and both standard streams."""
    out, err, console, lines = (io.StringIO() for _ in range(4))
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err), contextlib.ExitStack() as stack:
        stack.enter_context(logs.configure(format="console", level="debug", stream=console, colors=True))
        also = logs.configure(format="json", level="debug", stream=lines)
        logging.getLogger().handlers = [*logging.getLogger().handlers, *reversed_handlers(console)]
        stack.enter_context(also)
        yield [out, err, console, lines]


def reversed_handlers(stream: io.StringIO) -> list[logging.Handler]:
    """A second handler, in the console format."""
    handler = logs._StreamLines(stream)
    handler.setFormatter(logs._EventFormatter("console", True))
    return [handler]


def say_something() -> None:
    """Have others log what they should not: an event loop, a client, a warning, an exception that is handled."""
    logging.getLogger("asyncio").debug("<Handle %r>", (BIRD.link, {"Authorization": BIRD.key}))
    logging.getLogger("aiohttp.client").info("GET %s gave %d", BIRD.link, 403, extra={"headers": BIRD.key})
    try:
        raise aiohttp.ClientPayloadError(f"{BIRD.link} for {BIRD.email}")
    except aiohttp.ClientPayloadError:
        logging.getLogger("aiohttp.server").exception("in %s", BIRD.workspace, stack_info=True)


def ours(root: object) -> list[object]:
    """Every object of this package that can be reached from `root`, the simulator and the rig left out."""
    seen: dict[int, object] = {}
    left = [root]
    while left:
        thing = left.pop()
        module = type(thing).__module__
        if id(thing) in seen or module.startswith(("sumeasync.simulator", "sumeasync.testing")):
            continue
        if module.startswith("sumeasync") or type(thing) in (dict, list, tuple, set) or "deque" in type(thing).__name__:
            seen[id(thing)] = thing
            left += gc.get_referents(thing)
            left += [getattr(thing, name) for name in getattr(type(thing), "__struct_fields__", ())]
    return [thing for thing in seen.values() if type(thing).__module__.startswith("sumeasync")]


def shown(things: list[object]) -> bytes:
    """What `repr`, `str` and formatting show of things."""
    return "\n".join(f"{thing!r} {thing!s} {thing}" for thing in things if not isinstance(thing, type)).encode()


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("profiles", ["", "flaky", "hostile"])
async def test_nothing_leaks(profiles: str, seed: int) -> None:
    """No secret stands in a journal, a report, a name, a log line, a stream or a `repr`, whatever the server does."""
    rules: tuple[Rule, ...] = load_rules(SINGING) + (profile(profiles) if profiles else ())
    world = WorldSettings(types={"video_generation": TypeSettings(DEFAULT_TYPES["video_generation"].run, media="mp4")})
    asyncio.get_running_loop().set_debug(seed == 0)
    with listening() as streams:
        async with Rig(world, rules=rules, seed=seed, latency=(0.001, 0.2)) as rig:
            outcomes, reprs, error = [], b"", None
            async with rig.engine(SWIFT) as engine:
                run = engine.run(specs())
                try:
                    async for outcome in run:
                        outcomes.append(outcome)
                        reprs += shown(ours(engine)) if len(outcomes) % 8 == 1 else b""
                        say_something()
                except Exception as caught:
                    error = "".join(traceback.format_exception(caught))
            reprs += shown([*outcomes, *(one.error for one in outcomes), run.report(), engine, run])
    asyncio.get_running_loop().set_debug(False)
    assert {"results.jsonl", "journal.log", "run.json", "report.json"} <= set(rig.disk.paths())
    assert {outcome.status for outcome in outcomes} >= {"completed", "failed", "rejected"}
    assert reprs.count(b"<Job ")
    assert disk_sightings(rig.disk, BIRD.all(), but=["results.jsonl"]) == []
    assert disk_sightings(rig.disk, BIRD.always()) == []
    assert sightings(rig.disk.content("results.jsonl"), [BIRD.transcript])  # the payload itself is kept
    assert sightings(reprs, BIRD.all()) == []
    assert sightings((error or "").encode(), BIRD.all()) == []
    for stream in streams:
        assert sightings(stream.getvalue().encode(), BIRD.all()) == []
    assert all(stream.getvalue().count("\n") > 100 for stream in streams[2:])
    assert not rig.world.ledger.key_sightings


@pytest.mark.parametrize("status", [401, 402, 403])
@pytest.mark.parametrize("operation", ["create", "poll", "result"])
async def test_what_stops_a_run_leaks_nothing(operation: str, status: int) -> None:
    """The error that ends a run, its traceback, its attributes and the report hold no secret of the server's words."""
    answer = {"kind": "status", "status": status, "code": BIRD.key, "message": SAID, "headers": TOLD}
    async with Rig(rules=load_rules([{"on": [operation], "do": answer}])) as rig:
        outcomes = await rig.run(specs()[:3])
    trace = "".join(traceback.format_exception(rig.error)) if rig.error else ""
    told = f"{rig.error!r} {rig.error} {rig.error and vars(rig.error)} {trace} {rig.report} {outcomes}"
    assert sightings(told.encode(), BIRD.all()) == []
    assert disk_sightings(rig.disk, BIRD.all()) == []
    assert rig.error or outcomes
