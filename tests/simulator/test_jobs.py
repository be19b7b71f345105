"""One simulated job and the slots it runs in."""

from __future__ import annotations

from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sumeasync.simulator import Duration, TypeSettings
from sumeasync.simulator.jobs import Job, Slots, draw_fate, job_id

SECONDS = st.floats(0, 1000)


@pytest.mark.parametrize(
    ("now", "state"), [(0, "queued"), (4.9, "queued"), (5, "running"), (8.9, "running"), (9, "failed"), (99, "failed")]
)
def test_state_follows_the_times(now: float, state: str) -> None:
    """A job waits, runs, and then stays as it ended."""
    assert Job(0, "job_1", "x", (0, 5, 9), "failed").state(now) == state


@given(st.lists(st.tuples(SECONDS, st.floats(0.001, 100)), min_size=1, max_size=30), st.integers(1, 4))
def test_never_more_running_than_slots(jobs: list[tuple[float, float]], count: int) -> None:
    """At every start, no more jobs run than there are slots."""
    slots = Slots(count)
    spans = [slots.place(ready_at, run) for ready_at, run in jobs]
    for started_at, _ in spans:
        assert sum(start <= started_at < end for start, end in spans) <= count


def test_slots_are_first_in_first_out() -> None:
    """With one slot, the second job starts when the first ends."""
    slots = Slots(1)
    assert [slots.place(0, 10), slots.place(1, 5), slots.place(30, 1)] == [(0, 10), (10, 15), (30, 31)]


def test_no_slots_no_wait() -> None:
    """Without a limit every job starts when it is ready."""
    assert [Slots(None).place(3, 4)] * 2 == [(3, 7)] * 2


def test_fates_have_their_rates() -> None:
    """Failure, expiry and cancellation come as often as set, and the rest completes."""
    kind = TypeSettings(Duration(1), failure_rate=0.1, expiry_rate=0.2, cancellation_rate=0.3)
    rng = Random(3)
    fates = [draw_fate(kind, rng)[0] for _ in range(5000)]
    shares = {fate: fates.count(fate) / 5000 for fate in set(fates)}
    assert shares == pytest.approx({"failed": 0.1, "expired": 0.2, "canceled": 0.3, "completed": 0.4}, abs=0.03)


def test_repr_tells_the_story() -> None:
    """A job prints as its id, type, times and fate."""
    assert repr(Job(0, "job_1", "x", (0, 5, 9), "failed")) == "<Job job_1 x 0.000 5.000 9.000 failed>"


def test_ids_are_unique() -> None:
    """Ids do not repeat and say what they are."""
    ids = {job_id(seq, 12345) for seq in range(10_000)}
    assert len(ids) == 10_000
    assert all(id.startswith("job_") for id in ids)
