from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sumeasync.core.budget.limiters import Adaptive, Pace, Quota, Window
from sumeasync.core.budget.retryafter import LimitView

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


def in_use(adaptive: Adaptive, start: float, seconds: float, rate: float) -> None:
    """Have `rate` requests a second accepted, or as many as the limiter lets through."""
    now = start
    while now < start + seconds:
        adaptive.take(now)
        adaptive.accepted(now)
        now = max(now + 1.0 / rate, adaptive.next_at)


def test_adaptive_is_free_at_first() -> None:
    """Without a refusal nothing is limited."""
    adaptive = Adaptive()
    for _ in range(1000):
        adaptive.take(5.0)
        adaptive.accepted(5.0)
    assert adaptive.rate == math.inf
    assert adaptive.next_at <= 5.0


def test_adaptive_drops_to_seven_tenths_of_what_was_accepted() -> None:
    """A refusal sets the rate to 0.7 of the rate the server really took."""
    adaptive = Adaptive()
    in_use(adaptive, 0.0, 60.0, 10.0)
    adaptive.refused(60.0, 0.0)
    assert adaptive.rate == pytest.approx(7.0, rel=0.03)


def test_adaptive_reads_the_window_from_a_hint() -> None:
    """120 requests taken within a second and "wait 59" is a limit of two a second."""
    adaptive = Adaptive()
    in_use(adaptive, 0.0, 1.0, 120.0)
    adaptive.refused(1.0, 59.0)
    assert adaptive.rate == pytest.approx(0.7 * 2.0, rel=0.03)


def test_adaptive_grows_back_and_beyond() -> None:
    """In full use the rate comes back to its mark, lingers there, and later probes beyond."""
    adaptive = Adaptive()
    in_use(adaptive, 0.0, 60.0, 10.0)
    adaptive.refused(60.0, 0.0)
    in_use(adaptive, 60.0, 90.0, 100.0)
    assert adaptive.rate == pytest.approx(10.0, rel=0.03)
    in_use(adaptive, 150.0, 200.0, 100.0)
    assert 13.0 < adaptive.rate < 60.0


def test_adaptive_rests_while_unused() -> None:
    """With less than half of the rate in use it does not grow."""
    adaptive = Adaptive()
    in_use(adaptive, 0.0, 60.0, 10.0)
    adaptive.refused(60.0, 0.0)
    in_use(adaptive, 60.0, 70.0, 3.0)
    before = adaptive.rate
    in_use(adaptive, 130.0, 600.0, 3.0)
    assert adaptive.rate == before


def test_adaptive_does_not_grow_by_waiting() -> None:
    """A pause between two accepted requests counts for little: growth is earned by use."""
    adaptive = Adaptive()
    in_use(adaptive, 0.0, 60.0, 10.0)
    adaptive.refused(60.0, 0.0)
    adaptive.accepted(61.0)
    adaptive.accepted(85.0)
    assert adaptive.rate < 7.5


def test_adaptive_never_exceeds_twice_the_accepted_rate() -> None:
    """Growth is bounded by twice what the server is seen to accept."""
    adaptive = Adaptive()
    in_use(adaptive, 0.0, 60.0, 10.0)
    adaptive.refused(60.0, 0.0)
    in_use(adaptive, 60.0, 3000.0, 8.0)
    assert adaptive.rate <= 16.0 * 1.05


def test_window_counts_what_is_in_flight() -> None:
    """What the server has not yet answered may have been counted: it is not promised again."""
    window = Window()
    for _ in range(4):
        window.take(0.0)
    window.answered(LimitView(10, 4, 30.0), 1.0)
    window.take(1.0)
    assert window.next_at == 32.0  # 4 remain, 4 are in flight: wait for the reset and the grain


def test_window_keeps_the_smallest_remainder() -> None:
    """An answer that was overtaken by a later one gives nothing back."""
    window = Window(in_flight=3)
    window.answered(LimitView(10, 5, 30.0), 1.0)
    window.answered(LimitView(10, 6, 30.0), 1.1)
    assert window.remaining == 5


def test_window_counts_the_unanswered() -> None:
    """A request that never was answered may have been counted."""
    window = Window(in_flight=2)
    window.answered(LimitView(10, 5, 30.0), 1.0)
    window.answered(None, 2.0)
    assert window.remaining == 4


def test_window_renews_itself() -> None:
    """Long after the reset the whole limit is expected again."""
    window = Window(in_flight=1)
    window.answered(LimitView(10, 0, 30.0), 0.0)
    window.take(95.0)
    assert (window.remaining, window.reset_at) == (10, 120.0)


def test_window_ignores_the_echo_of_the_last_one() -> None:
    """An answer from the window before does not close the present one."""
    window = Window(in_flight=2)
    window.answered(LimitView(10, 0, 1.0), 0.0)
    window.answered(LimitView(10, 9, 60.0), 1.0)
    window.take(1.1)
    window.answered(LimitView(10, 0, 0.0), 1.2)
    assert (window.remaining, window.reset_at) == (9, 61.0)


def test_window_follows_a_shorter_announcement() -> None:
    """When the server goes over to a tighter limit with a nearer reset, that one holds."""
    window = Window(in_flight=2)
    window.answered(LimitView(10_000, 9_000, 40_000.0), 0.0)
    window.answered(LimitView(120, 60, 30.0), 0.0)
    assert window.rate == pytest.approx(4.0)
    window.take(0.0)
    window.answered(LimitView(120, 58, 10.0), 1.0)
    assert window.reset_at == 11.0


def test_window_learns_its_length_anew() -> None:
    """An untouched window right after the last one shows the true length, whatever was announced before."""
    window = Window(in_flight=2)
    window.answered(LimitView(10, 8, 600.0), 0.0)
    window.answered(LimitView(10, 9, 60.0), 600.5)
    assert window.rate == pytest.approx(10 / 60)


@pytest.mark.parametrize("view", [None, LimitView(limit=10), LimitView(10, 5)])
def test_window_is_not_denied_by_silence(view: LimitView | None) -> None:
    """Only an announcement with both remaining and reset can contradict a window."""
    window = Window(in_flight=1)
    window.answered(LimitView(10, 1, 30.0), 0.0)
    assert not window.denies(view, 1.0)
    assert window.denies(LimitView(10, 9, 29.0), 1.0)


def test_window_without_a_limit() -> None:
    """Remaining and reset alone are enough to keep a pace."""
    window = Window(in_flight=1)
    window.answered(LimitView(None, 9, 60.0), 0.0)
    window.take(0.0)
    assert window.next_at == pytest.approx(60.0 / 9)


def test_unannounced_window_is_free() -> None:
    """A server that announces nothing is not limited here."""
    window = Window()
    window.take(5.0)
    window.answered(LimitView(limit=10), 6.0)
    window.answered(None, 6.0)
    assert (window.next_at, window.rate, window.in_flight) == (-math.inf, math.inf, 0)
