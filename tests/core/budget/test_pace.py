from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sumeasync.core.budget.pace import Pace, Quota, Tally

GAPS = st.lists(st.floats(0.0, 40.0), min_size=50, max_size=200)


def sent(limiter: Pace | Quota, gaps: list[float]) -> list[float]:
    """When requests went that were each asked for after a gap, as soon as the limiter let them."""
    now, times = 1000.0, list[float]()
    for gap in gaps:
        now = max(now + gap, limiter.next_at)
        limiter.take(now)
        times.append(now)
    return times


def fullest(times: list[float], seconds: float) -> int:
    """The most requests in any window that is closed at its start and open at its end."""
    return max(sum(start <= time < start + seconds for time in times[index:]) for index, start in enumerate(times))


@given(st.sampled_from([1, 2, 10, 33, 120, 1000]), GAPS)
def test_pace_stays_within_any_window(limit: int, gaps: list[float]) -> None:
    """However requests arrive, no window holds more than the limit."""
    assert fullest(sent(Pace(limit, 60.0), [gap / limit for gap in gaps]), 60.0) <= limit


@pytest.mark.parametrize("limit", [1, 2, 10, 120, 6000])
def test_pace_uses_the_limit(limit: int) -> None:
    """With work always at hand at least 95 % of the limit is used."""
    times = sent(Pace(limit, 60.0), [0.0] * limit * 10)
    assert len(times) / (times[-1] - times[0]) >= 0.95 * limit / 60.0


@given(st.integers(1, 20), GAPS)
def test_quota_stays_within_any_window(limit: int, gaps: list[float]) -> None:
    """A quota may be spent at once, and is never exceeded in any window of its length."""
    assert fullest(sent(Quota(limit, 100.0), gaps), 100.0) <= limit


def test_quota_is_not_a_pace() -> None:
    """A day's allowance is open until it is spent, then closed until the first of it is a day old."""
    quota = Quota(1000, 86_400.0)
    assert sent(quota, [0.0] * 1000) == [1000.0] * 1000
    assert quota.left(1000.0) == 0
    assert 87_400.0 <= quota.next_at <= 87_400.0 + 864.0
    assert quota.left(quota.next_at) == 1000


@pytest.mark.parametrize(("start", "count"), [(0.0, 3), (1.0, 2), (2.5, 1), (8.0, 0)])
def test_tally_counts_from_any_moment(start: float, count: int) -> None:
    """Events are counted back to the slot in which the moment lies, also when the last of them is long ago."""
    tally = Tally(60.0, slots=60)
    for now in (0.5, 1.5, 2.5):
        tally.add(now)
    assert tally.since(start) == count
