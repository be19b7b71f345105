"""Idempotency keys: one a create, and for how long one proves anything."""

from __future__ import annotations

from random import Random

import pytest

from sumeasync.core.job import Job
from sumeasync.core.keys import KEY_SECONDS, draw_key, may_send_again
from sumeasync.models import Spec

SPEC = Spec("k", "image_generation", payload_hash="h")
OTHERS = [
    (Spec("l", "image_generation", payload_hash="h"), 1.0, 7),
    (Spec("k", "image_generation", payload_hash="i"), 1.0, 7),
    (SPEC, 2.0, 7),
    (SPEC, 1.0, 8),
]


@pytest.mark.parametrize(("spec", "wall", "seed"), OTHERS, ids=["key", "payload", "time", "chance"])
def test_no_two_creates_share_a_key(spec: Spec, wall: float, seed: int) -> None:
    """Another spec, another time or another run has another key."""
    assert draw_key(Job(spec), wall, Random(seed)) != draw_key(Job(SPEC), 1.0, Random(7))


def test_a_key_fits_a_header() -> None:
    """Whatever the spec is called, its key is short plain text."""
    key = draw_key(Job(Spec("\ud83d\n" * 999)), 1.0, Random(7))
    assert len(key) == 64
    assert key.isalnum()
    assert key.isascii()


@pytest.mark.parametrize(
    ("key", "age", "again"),
    [("a", 0.0, True), ("a", KEY_SECONDS - 1, True), ("a", KEY_SECONDS + 1, False), (None, 0.0, False)],
)
def test_how_long_a_key_holds(key: str | None, age: float, again: bool) -> None:
    """A create is sent again under a key of the last day, and without one never."""
    job = Job(SPEC, intended_at=1e9, idempotency_key=key)
    assert may_send_again(job, 1e9 + age) is again


def test_a_clock_set_back() -> None:
    """A clock that was set back by days makes no old key young."""
    assert not may_send_again(Job(SPEC, intended_at=1e9, idempotency_key="a"), 1e9 - 2 * KEY_SECONDS)
