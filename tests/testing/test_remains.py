"""What a crash leaves."""

from __future__ import annotations

from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sumeasync.testing.memoryfile import Node
from sumeasync.testing.remains import PAGE_BYTES, Keep, apply, remains, survivors

KEEPS: tuple[Keep, ...] = ("nothing", "prefix", "subset", "everything")
DATA = bytes(range(1, 256)) * 100


@given(st.sampled_from(KEEPS), st.integers(0, len(DATA)), st.integers())
def test_what_is_synced_survives(keep: Keep, synced: int, seed: int) -> None:
    """No crash takes what was synced, adds anything, or leaves other bytes than zeros in the place of what is lost."""
    left = remains(Node(bytearray(DATA), synced), Random(seed), keep)
    assert left[:synced] == DATA[:synced]
    assert len(left) <= len(DATA)
    assert all(byte in (0, DATA[index]) for index, byte in enumerate(left))


@given(st.integers(0, len(DATA)), st.integers())
def test_prefix_has_no_holes(synced: int, seed: int) -> None:
    """A prefix is just that."""
    assert DATA.startswith(remains(Node(bytearray(DATA), synced), Random(seed), "prefix"))


def test_extremes() -> None:
    """Nothing is nothing, everything is everything, and without chance nothing survives."""
    node = Node(bytearray(DATA), 10)
    assert remains(node, Random(1), "nothing") == remains(node, None, "everything") == DATA[:10]
    assert remains(node, Random(1), "everything") == DATA


def test_subset_loses_whole_pages() -> None:
    """Some pages in the middle are lost while a later one survives."""
    left = [remains(Node(bytearray(DATA), 100), Random(seed), "subset") for seed in range(40)]
    lost = bytes(PAGE_BYTES)
    assert any(
        one[PAGE_BYTES : 2 * PAGE_BYTES] == lost and one[2 * PAGE_BYTES : 2 * PAGE_BYTES + 1] > b"\0" for one in left
    )


@pytest.mark.parametrize(
    ("keep", "fewest", "most"), [("nothing", 0, 0), ("everything", 9, 9), ("prefix", 0, 9), ("subset", 0, 9)]
)
def test_changes_of_names(keep: Keep, fewest: int, most: int) -> None:
    """Changes of names survive in their order, as many as may."""
    changes: list[dict[str, Node | None]] = [{str(number): Node()} for number in range(9)]
    left = [survivors(changes, Random(seed), keep) for seed in range(60)]
    assert all(sorted(one, key=changes.index) == one for one in left)
    assert {min(map(len, left)) >= fewest, max(map(len, left)) <= most} == {True}
    assert (keep == "subset") == any(one != changes[: len(one)] for one in left)


def test_apply() -> None:
    """A rename is one change."""
    node = Node()
    files: dict[str, Node] = {"a": node}
    apply({"b": node, "a": None}, files)
    assert files == {"b": node}
