from __future__ import annotations

import math

import pytest

from sumeasync.core.budget.adaptive import Adaptive


def in_use(adaptive: Adaptive, start: float, seconds: float, rate: float) -> None:
    """Have `rate` requests a second accepted, or as many as the limiter lets through."""
    now = start
    while now < start + seconds:
        adaptive.take(now)
        adaptive.accepted(now)
        now = max(now + 1.0 / rate, adaptive.next_at)


def refuse(adaptive: Adaptive, now: float, *, times: int = 4, wait: float = 0.0, row: int = 1) -> None:
    """Have so many requests in flight refused, and the next one admitted."""
    for _ in range(times):
        adaptive.refused(now, wait)
    adaptive.recovered(now, row)


def marked() -> Adaptive:
    """A limiter that met a limit of ten a second after a minute."""
    adaptive = Adaptive()
    in_use(adaptive, 0.0, 60.0, 10.0)
    refuse(adaptive, 60.0)
    return adaptive


def met_again() -> Adaptive:
    """A limiter that met it once more 170 seconds later, and holds it now."""
    adaptive = marked()
    in_use(adaptive, 60.0, 170.0, 100.0)
    refuse(adaptive, 230.0, times=1)
    return adaptive


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
    adaptive = marked()
    assert adaptive.rate == pytest.approx(7.0, rel=0.03)


def test_adaptive_measures_a_burst_by_itself() -> None:
    """Refused after a second of thirty requests that followed a quiet minute, and open again at once: no slow limit."""
    adaptive = Adaptive()
    in_use(adaptive, 0.0, 60.0, 0.5)
    in_use(adaptive, 60.0, 1.0, 30.0)
    refuse(adaptive, 61.0)
    assert adaptive.rate > 0.7 * 20.0


def test_adaptive_reads_the_window_from_a_hint() -> None:
    """120 requests taken within a second and "wait 59" is a limit of two a second."""
    adaptive = Adaptive()
    in_use(adaptive, 0.0, 1.0, 120.0)
    refuse(adaptive, 1.0, wait=59.0)
    assert adaptive.rate == pytest.approx(0.7 * 2.0, rel=0.03)


def test_adaptive_grows_back_and_beyond() -> None:
    """In full use the rate comes back to its mark, lingers there, and later probes beyond."""
    adaptive = marked()
    in_use(adaptive, 60.0, 90.0, 100.0)
    assert adaptive.rate == pytest.approx(10.0, rel=0.03)
    in_use(adaptive, 150.0, 300.0, 100.0)
    assert 13.0 < adaptive.rate < 60.0


def test_adaptive_rests_while_unused() -> None:
    """With less than half of the rate in use it does not grow."""
    adaptive = marked()
    in_use(adaptive, 60.0, 70.0, 3.0)
    before = adaptive.rate
    in_use(adaptive, 130.0, 600.0, 3.0)
    assert adaptive.rate == before


def test_adaptive_does_not_grow_by_waiting() -> None:
    """A pause between two accepted requests counts for little: growth is earned by use."""
    adaptive = marked()
    adaptive.accepted(61.0)
    adaptive.accepted(85.0)
    assert adaptive.rate < 7.5


def test_adaptive_never_exceeds_twice_the_accepted_rate() -> None:
    """Growth is bounded by twice what the server is seen to accept."""
    adaptive = marked()
    in_use(adaptive, 60.0, 3000.0, 8.0)
    assert adaptive.rate <= 16.0 * 1.05


def test_adaptive_falls_little_at_a_mark_it_knows() -> None:
    """Where the limit is met again the rate falls by 2.5 % only, and stays there for ten minutes."""
    adaptive = marked()
    in_use(adaptive, 60.0, 170.0, 100.0)
    mark = adaptive.rate
    refuse(adaptive, 230.0, times=1)
    held = adaptive.rate
    assert held == pytest.approx(0.975 * mark, rel=0.03)
    in_use(adaptive, 230.0, 599.0, 100.0)
    assert adaptive.rate == held
    in_use(adaptive, 829.0, 200.0, 100.0)
    assert adaptive.rate > 1.1 * mark


@pytest.mark.parametrize(("limit", "closed"), [(120, 33.0), (120, 16.0), (600, 40.0)])
def test_adaptive_learns_the_window_from_how_long_it_stays_closed(limit: int, closed: float) -> None:
    """A window spent in its first second ended between the last refusal and the first request admitted again."""
    adaptive = Adaptive()
    in_use(adaptive, 0.0, 1.0, float(limit))
    adaptive.refused(1.0, 0.0)
    adaptive.refused(closed, 0.0)
    adaptive.recovered(2.0 * closed, 2)
    seconds = 0.7 * limit / adaptive.rate
    assert closed < seconds < 2.0 * closed


def test_adaptive_takes_few_refusals_for_noise() -> None:
    """One request in a hundred refused, at no rate in particular, tells of no limit."""
    adaptive = Adaptive()
    for second in range(0, 600, 20):
        in_use(adaptive, second, 5.0, 10.0)
        refuse(adaptive, second + 5.0, times=1)
        in_use(adaptive, second + 5, 15.0, 10.0)
        refuse(adaptive, second + 20.0, times=1)
    assert adaptive.rate == math.inf


def test_adaptive_takes_regular_refusals_for_a_limit() -> None:
    """After every hundred requests one: that is no noise, however few it is, but a bucket that each pause refills."""
    adaptive = Adaptive()
    for second in range(0, 130, 10):
        in_use(adaptive, second, 10.0, 10.0)
        refuse(adaptive, second + 10.0, times=1)
    assert adaptive.rate < 10.0


def test_adaptive_takes_many_refusals_for_a_limit() -> None:
    """One in ten is a limit, also if each comes alone and thousands were accepted before."""
    adaptive = Adaptive()
    in_use(adaptive, 0.0, 60.0, 100.0)
    for second in range(60, 70):
        in_use(adaptive, second, 1.0, 10.0)
        refuse(adaptive, second + 1.0, times=1)
    assert adaptive.rate < math.inf


@pytest.mark.parametrize(("every", "limited"), [(80, False), (10, True)])
def test_adaptive_knows_the_noise_at_the_limit(every: int, limited: bool) -> None:
    """What was refused far below the mark is borne near it; more than that is not."""
    adaptive = Adaptive()
    in_use(adaptive, 0.0, 60.0, 40.0)
    refuse(adaptive, 60.0)
    in_use(adaptive, 60.0, 10.0, 40.0)
    for second in range(70, 134, 4):
        for start, seconds in ((second, 1.0), (second + 1, 3.0)):
            in_use(adaptive, start, seconds, 60.0)
            refuse(adaptive, start + seconds, times=1)
    mark = adaptive.rate
    assert mark > 0.93 * 40.0
    lowest = mark
    for index in range(60):
        start, seconds = 140.0 + 3.0 * index, every / 40.0 * (1.5 if index % 2 else 0.5)
        in_use(adaptive, start, seconds, 60.0)
        refuse(adaptive, start + seconds, times=1)
        lowest = min(lowest, adaptive.rate)
    assert (lowest < mark) is limited


def test_adaptive_judges_by_what_was_lately() -> None:
    """However long a little noise was borne, a limit that comes up later is seen within minutes."""
    adaptive = Adaptive()
    for second in range(0, 6000, 60):
        in_use(adaptive, second, 20.0 if second % 120 else 60.0, 10.0)
        refuse(adaptive, second + 60.0, times=1)
    for index in range(150):
        seconds = 0.5 if index % 2 else 1.5
        in_use(adaptive, 6000.0 + 2.0 * index, seconds, 10.0)
        refuse(adaptive, 6000.0 + 2.0 * index + seconds, times=1)
    assert adaptive.rate < math.inf


def test_adaptive_holds_what_was_accepted_beyond_the_mark() -> None:
    """Where far more was accepted before a refusal, the limit was raised: what was accepted lately is held."""
    adaptive = marked()
    in_use(adaptive, 60.0, 500.0, 100.0)
    before = adaptive.rate
    assert before > 15.0
    refuse(adaptive, 560.0)
    assert 0.7 * before < adaptive.rate <= 0.975 * before


def test_adaptive_does_not_sink_with_the_demand() -> None:
    """A probe refused while less was wanted than is allowed measures the demand, and lowers the mark hardly at all."""
    adaptive = met_again()
    held = adaptive.rate
    in_use(adaptive, 230.0, 800.0, 9.0)
    refuse(adaptive, 1030.0, times=5)
    assert adaptive.rate >= 0.97 * held


def test_adaptive_returns_to_the_old_mark() -> None:
    """A mark that a probe raised, and that is refused within a minute, was what a bucket had saved up."""
    adaptive = met_again()
    held = adaptive.rate
    in_use(adaptive, 230.0, 800.0, 100.0)
    refuse(adaptive, 1030.0, times=1)
    assert adaptive.rate > 1.1 * held
    refuse(adaptive, 1040.0, times=1)
    assert adaptive.rate == pytest.approx(held)


def test_adaptive_probes_again_within_an_hour() -> None:
    """However often the limit was met, it is little longer than that before more is tried."""
    adaptive = marked()
    for hour in range(1, 8):
        in_use(adaptive, 3600.0 * hour, 90.0, 100.0)
        refuse(adaptive, 3600.0 * hour + 90.0)
    mark = adaptive.rate / 0.7
    in_use(adaptive, 36_000.0, 3900.0, 100.0)
    assert adaptive.rate > 1.1 * mark
