"""Where the named points are: what the disk and the service know there."""

from __future__ import annotations

from random import Random

import pytest

from sumeasync.errors import StorageError
from sumeasync.models import JSON
from sumeasync.simulator import WorldSettings
from sumeasync.testing import POINTS, Kill, KillRig
from sumeasync.testing.remains import Keep

SPECS: list[JSON] = [{"key": "a", "type": "image_generation", "input": {"prompt": "p"}}]


async def stopped_at(point: str, keep: Keep, *, lose: bool = False) -> KillRig:
    """A rig whose machine has stopped there for the first time."""
    rig = KillRig(WorldSettings())
    async with rig:
        kill = Kill(POINTS[point], 1, Random(1))
        kill.keep, kill.lose = keep, lose
        assert await rig.run_until(kill, SPECS)
    return rig


def known(rig: KillRig) -> str:
    """The first letters of what the disk knows: records of the journal, files, result lines."""
    journal = rig.disk.content("journal.log") if "journal.log" in rig.disk.paths() else b""
    records = (b"intent", b"created", b"ended", b"saved", b"delivered")
    found = "".join(tag.decode()[0] for tag in records if b'"t":"%b"' % tag in journal)
    media = [path for path in rig.disk.paths() if path.startswith("media/")]
    found += "P" * any(path.endswith(".part") for path in media) + "M" * any(path.endswith(".png") for path in media)
    results = rig.disk.content("results.jsonl")
    return found + "R" * results.endswith(b"\n") + "H" * (bool(results) and not results.endswith(b"\n"))


@pytest.mark.parametrize(
    ("point", "at_least", "at_most"),
    [
        ("before-intent", "", ""),
        ("intent-written", "", "i"),
        ("intent-synced", "i", "i"),
        ("headers-sent", "i", "i"),
        ("body-sent", "i", "i"),
        ("accepted", "i", "i"),
        ("answer-read", "i", "i"),
        ("created-written", "i", "ic"),
        ("created-synced", "ic", "ic"),
        ("between-polls", "ic", "ic"),
        ("terminal-seen", "ic", "ic"),
        ("part-created", "ice", "iceP"),
        ("first-byte", "ice", "iceP"),
        ("mid-body", "ice", "iceP"),
        ("last-byte", "ice", "iceP"),
        ("file-synced", "ice", "iceP"),
        ("renamed", "ice", "iceM"),
        ("folder-synced", "iceM", "iceM"),
        ("saved-record", "iceM", "icesM"),
        ("half-result", "iceM", "icesMH"),
        ("result-written", "iceM", "icesMR"),
        ("delivered-record", "icesMR", "icesdMR"),
        ("report", "icesdMR", "icesdMR"),
    ],
)
async def test_what_is_known(point: str, at_least: str, at_most: str) -> None:
    """Between two points lies one fact more: what was synced is known always, what was written perhaps."""
    kept = known(await stopped_at(point, "everything"))
    lost = known(await stopped_at(point, "nothing"))
    if point in ("half-result", "result-written"):  # the saved record is synced at about the same time
        kept, lost, at_least, at_most = (each.replace("s", "") for each in (kept, lost, at_least, at_most))
    assert (lost, kept) == (at_least, at_most)


@pytest.mark.parametrize(
    ("point", "lose", "charged"),
    [
        ("intent-synced", False, 0),
        ("headers-sent", False, 0),
        ("body-sent", True, 0),
        ("body-sent", False, 1),
        ("accepted", True, 1),
        ("answer-read", False, 1),
    ],
)
async def test_what_the_service_knows(point: str, lose: bool, charged: int) -> None:
    """What was on its way is lost or arrives, and from then on nothing does."""
    rig = await stopped_at(point, "nothing", lose=lose)
    assert len(rig.world.ledger.charges) == charged
    assert rig.world.ledger.requests["GET /jobs/{id}"] == 0


def test_there_are_24() -> None:
    """The points are named once each, and say what they are."""
    assert len(POINTS) == 24
    assert len(set(POINTS.values())) == 24


async def test_a_stopped_disk_refuses() -> None:
    """Once the machine has stopped its disk does nothing any more."""
    rig = KillRig(WorldSettings())
    async with rig:
        kill = Kill(POINTS["intent-synced"], 1, Random(1))
        old = rig.disk
        await rig.run_until(kill, SPECS)
    assert rig.disk is not old
    with pytest.raises(StorageError, match="has stopped"):
        kill.refuse()
