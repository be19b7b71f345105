"""Credits of the simulated workspace."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sumeasync.errors import CreditsError
from sumeasync.simulator.credits import Balance, Credits
from sumeasync.simulator.jobs import Job

FATES = st.sampled_from(["completed", "failed", "canceled", "expired"])


def priced(ended_at: float, fate: str, credits: int, seq: int = 0) -> Job:
    """A job that ends then."""
    job = Job(seq, "job_1", "x", (0, 0, ended_at), fate)  # type: ignore[arg-type]  # drawn by Hypothesis
    job.credits = credits
    return job


@given(st.lists(st.tuples(st.integers(1, 50), FATES, st.integers(0, 9))), st.lists(st.integers(0, 60)))
def test_credits_are_conserved(jobs: list[tuple[int, str, int]], looks: list[int]) -> None:
    """Whenever one looks, remaining, reserved and captured add up to the total."""
    credits = Credits(1000)
    for seq, (ended_at, fate, price) in enumerate(jobs):
        credits.reserve(priced(ended_at, fate, price, seq))
    for now in sorted(looks):
        balance = credits.settle(now)
        assert balance.remaining + balance.reserved + balance.captured == 1000
    paid = sum(price for _, fate, price in jobs if fate == "completed")
    assert credits.settle(99) == Balance(1000 - paid, 0, paid)


def test_reserved_until_the_end() -> None:
    """Credits are set aside at once and captured when the job completes."""
    credits = Credits(10)
    credits.reserve(priced(5, "completed", 4))
    assert credits.settle(4.9) == Balance(6, 4, 0)
    assert credits.settle(5) == Balance(6, 0, 4)


def test_short_balance_is_refused_until_a_refund() -> None:
    """402 while the balance does not suffice; credits of a failed job can be spent again."""
    credits = Credits(10)
    credits.reserve(priced(5, "failed", 8))
    with pytest.raises(CreditsError) as caught:
        credits.require(3, 4)
    assert (caught.value.status, caught.value.code) == (402, "insufficient_credits")
    credits.require(10, 5)
