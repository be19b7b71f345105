"""The invariants find what is wrong, and find nothing when nothing is."""

from __future__ import annotations

from collections.abc import Callable

import msgspec
import pytest

from sumeasync.models import JSON
from sumeasync.simulator import Duration, TypeSettings, WorldSettings
from sumeasync.testing import Rig, check, violations
from sumeasync.testing.rig import API_KEY

WORLD = WorldSettings(types={"image_generation": TypeSettings(Duration(10, 0), media="png")})
SPECS: list[JSON] = [
    {"key": f"k{number}", "type": "image_generation", "input": {"prompt": f"p{number}"}} for number in range(2)
]


def media(rig: Rig) -> str:
    """The path of one media file."""
    return next(path for path in rig.disk.paths() if path.startswith("media/"))


def cut_line(rig: Rig) -> None:
    """Lose the end of the results."""
    rig.disk.put("results.jsonl", rig.disk.content("results.jsonl")[:-9])


def double_line(rig: Rig) -> None:
    """Write the results twice."""
    rig.disk.put("results.jsonl", rig.disk.content("results.jsonl") * 2)


def change_media(rig: Rig) -> None:
    """Change a saved file."""
    rig.disk.put(media(rig), b"\x89PNG and more")


def leak(rig: Rig) -> None:
    """Write the key where it does not belong."""
    rig.disk.put("note.txt", API_KEY.encode())


def leak_encoded(rig: Rig) -> None:
    """Write a signed link, percent-encoded."""
    rig.disk.put("note.txt", b"https%3A%2F%2Fx%3Fsignature%3D0123")


def charge_again(rig: Rig) -> None:
    """Accept a create once more."""
    ledger = rig.world.ledger
    body = next(iter(ledger.accepted))
    ledger.accepted[body].append(["job_x"])


def charge_unknown(rig: Rig) -> None:
    """Charge for a job nobody knows."""
    (job,) = rig.world.create("image_generation", ("",), rig.world.now)
    rig.world.ledger.charges[job.id] = 2


def overlap(rig: Rig) -> None:
    """Two requests for one job at once."""
    rig.world.ledger.overlaps["job_x"] += 1


def misreport(rig: Rig) -> None:
    """Report another exit code."""
    assert rig.report is not None
    rig.report = msgspec.structs.replace(rig.report, exit_code=1)


WRONGS: list[tuple[Callable[[Rig], None], str]] = [
    (cut_line, "does not end in a newline"),
    (double_line, "2 lines for"),
    (change_media, "never sent"),
    (leak, "holds a secret"),
    (leak_encoded, "holds a secret"),
    (charge_again, "charged more than 1"),
    (charge_unknown, "are lost"),
    (overlap, "two requests in flight"),
    (misreport, "exit code is 1"),
]


@pytest.mark.parametrize(("wrong", "words"), WRONGS, ids=[wrong.__name__ for wrong, _ in WRONGS])
async def test_found(wrong: Callable[[Rig], None], words: str) -> None:
    """Each kind of wrong is named."""
    async with Rig(WORLD) as rig:
        await rig.run(SPECS)
        await rig.check(SPECS)
        wrong(rig)
        with pytest.raises(AssertionError, match=words):
            await rig.check(SPECS)


async def test_nothing_found() -> None:
    """A good run has no violation, with and without its report."""
    async with Rig(WORLD) as rig:
        await rig.run(SPECS)
        assert await violations(rig.world, rig.disk, SPECS, rig.report) == []
        await check(rig.world, rig.disk, SPECS)


async def test_a_hole_after_a_crash_is_no_wrong() -> None:
    """What a crash left of a write ends the results; what is recorded as delivered must stand before it."""
    async with Rig(WORLD) as rig:
        await rig.run(SPECS)
        data = rig.disk.content("results.jsonl")
        rig.disk.put("results.jsonl", data + b"\0\0\n" + data)
        assert await violations(rig.world, rig.disk, SPECS) == []
        assert any("is not JSON" in one for one in await violations(rig.world, rig.disk, SPECS, rig.report))
        rig.disk.put("results.jsonl", b"\0\0\n" + data)
        found = await violations(rig.world, rig.disk, SPECS)
        assert found
        assert all("counts as delivered and has no line" in one for one in found)


async def test_repeat_that_costs_something() -> None:
    """A second run that sends anything is found."""
    async with Rig(WORLD) as rig:
        await rig.run(SPECS)
        more: JSON = {"key": "k9", "type": "image_generation", "input": {"prompt": "p9"}}
        with pytest.raises(AssertionError, match="requests of a second run"):
            await rig.check_repeat([*SPECS, more])
