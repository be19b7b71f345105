"""The way in: whose error is whose."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from sumeasync.engine.intake import Entry, Intake
from sumeasync.models import JSON

SPEC: JSON = {"type": "image_generation"}


def two() -> Iterator[Entry]:
    """Two specs, then trouble."""
    yield SPEC
    yield SPEC
    raise ValueError("the source is broken")


def intake(taken: list[Entry], *, broken: bool = False) -> Intake:
    """An intake with room for everything; `broken`: nothing can be admitted."""

    def admit(entry: Entry) -> None:
        if broken:
            raise KeyError("a mistake of ours")
        taken.append(entry)

    return Intake(two(), admit, has_room=lambda: True, is_closed=lambda: False)


async def test_an_error_of_the_source_is_kept_for_the_reader() -> None:
    """What the source raised is not lost, nor is what it gave before."""
    taken: list[Entry] = []
    one = intake(taken)
    await one.main()
    assert (len(taken), one.done, repr(one.error)) == (2, True, "ValueError('the source is broken')")


async def test_an_error_of_ours_is_not_taken_for_the_sources() -> None:
    """What goes wrong while a spec is admitted is raised at once."""
    one = intake([], broken=True)
    with pytest.raises(KeyError):
        await one.main()
    assert (one.done, one.error) == (True, None)
