from __future__ import annotations

import math

import pytest

from sumeasync.core.budget.retryafter import LimitView
from sumeasync.core.budget.window import Window


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


@pytest.mark.parametrize(("limit", "most"), [(12_000, 200), (1200, 20)])
def test_waking_up_late_wastes_nothing(limit: int, most: int) -> None:
    """Whoever looks only every hundredth of a second sends as many a second as the limit allows, and no more."""
    window, sent = Window(), 0
    window.take(0.0)
    window.answered(LimitView(limit, limit - 1, 60.0), 0.0)
    for step in range(1000):
        while window.next_at <= 0.01 * step:
            window.take(0.01 * step)
            sent += 1
    assert 0.95 * 10 * most <= sent <= 10 * most


def test_waking_up_late_wastes_little_of_a_few() -> None:
    """Nor does it add up where sixty in ten seconds are allowed."""
    window, sent = Window(), 1
    window.take(0.0)
    window.answered(LimitView(60, 59, 10.0, 10.0), 0.0)
    for step in range(1000):
        while window.next_at <= 0.01 * step:
            window.take(0.01 * step)
            sent += 1
    assert 0.95 * 60 <= sent <= 60


def test_a_day_is_not_paced() -> None:
    """What is announced for a day may be spent as fast as wanted, and when it is spent the reset is waited for."""
    window = Window()
    for number in range(100):
        assert window.next_at <= number
        window.take(float(number))
        window.answered(LimitView(100, 99 - number, 86_400.0 - number), float(number))
    assert window.next_at > 86_000.0


def test_an_announced_length_needs_no_proof() -> None:
    """Where the policy names the window, its length is taken from there, whenever it is first seen."""
    window = Window(in_flight=1)
    window.answered(LimitView(60, 50, 12.0, 60.0), 0.0)
    assert window.rate == 1.0
    window.take(0.0)
    assert window.next_at == pytest.approx(1.0 / 0.98)


def test_a_refusal_slows_a_short_window_for_good() -> None:
    """Where the pace was too fast for a window of a second, it stays 5 % slower, however many were refused at once."""
    window = Window(in_flight=8)
    window.answered(LimitView(20, 19, 1.0, 1.0), 0.0)
    for _ in range(3):
        window.answered(LimitView(20, 0, 1.0, 1.0), 4.0, refused=True)
    window.answered(LimitView(20, 19, 1.0, 1.0), 6.0)
    window.take(6.0)
    assert window.next_at == pytest.approx(6.0 + 1.05 * 2.5 / (0.98 * 20))


def test_what_is_left_of_a_day() -> None:
    """A long window is an allowance, less what is in flight, and whole again after its reset; a short one is none."""
    window = Window(in_flight=3)
    window.answered(LimitView(100, 40, 3600.0), 0.0)
    assert [window.allowance(now) for now in (0.0, 3600.5, 3602.0)] == [38, 38, 100]
    window = Window(in_flight=3)
    window.answered(LimitView(100, 40, 60.0), 0.0)
    assert window.allowance(0.0) == math.inf


def test_an_answer_overtaken_by_others_renews_no_allowance() -> None:
    """Of a long window, what a late answer says was left when many were in flight is no new window."""
    window = Window()
    window.answered(LimitView(100, 60, 3600.0), 0.0)
    for _ in range(10):
        window.take(1.0)
    for left in (*range(58, 49, -1), 59):
        window.answered(LimitView(100, left, 3599.0), 2.0)
    assert window.allowance(2.0) == 50


def test_parted_windows_are_not_taken_for_one_again() -> None:
    """However alike two announcements are, once they contradicted each other they are two."""
    one, other = Window(), Window()
    for window in (one, other):
        window.answered(LimitView(100, 50, 30.0), 0.0)
    assert one.matches(other)
    other.alone = True
    assert not one.matches(other)
    assert not other.matches(one)
