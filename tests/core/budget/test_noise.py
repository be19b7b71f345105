from __future__ import annotations

import pytest

from sumeasync.core.budget.noise import Noise


def after(accepted: int, refused: int, *, calm: bool = True) -> Noise:
    """So many requests, of which those refused were judged one at a time after uneven gaps."""
    noise = Noise()
    for index in range(refused):
        for _ in range(accepted // refused + (20 if index % 2 else -20)):
            noise.accepted(calm=calm)
        noise.refused(10.0 * index, calm=calm)
        noise.excludes(1, calm=calm)
    return noise


@pytest.mark.parametrize(("row", "limit"), [(1, False), (2, True)])
def test_one_after_the_other_is_no_noise(row: int, limit: bool) -> None:
    """Where the next request is refused too, a limit is met."""
    noise = Noise()
    noise.refused(0.0, calm=True)
    assert noise.excludes(row, calm=True) is limit


def test_two_in_a_row_may_be_noise() -> None:
    """Where one in a hundred is refused, it happens that two follow each other."""
    noise = after(1000, 10)
    noise.refused(200.0, calm=False)
    assert not noise.excludes(2, calm=False)
    assert noise.excludes(3, calm=False)


@pytest.mark.parametrize(("times", "limit"), [(2, False), (5, True)])
def test_a_volley_is_no_noise(times: int, limit: bool) -> None:
    """Of a few requests in flight not five are refused by accident."""
    noise = Noise()
    for _ in range(times):
        noise.refused(0.0, calm=False)
    assert noise.excludes(1, calm=False) is limit


@pytest.mark.parametrize(("accepted", "explained"), [(1000, True), (10_000, False)])
def test_noise_explains_as_much_as_there_is(accepted: int, explained: bool) -> None:
    """What was refused in calm times is borne at other times, unless it was next to nothing."""
    noise = after(accepted, 10)
    noise.refused(200.0, calm=False)
    assert noise.explains(200.0, 600) is explained


def test_noise_does_not_explain_more() -> None:
    """Many times the noise in a minute is a limit."""
    noise = after(1000, 10)
    for _ in range(20):
        noise.refused(200.0, calm=False)
    assert not noise.explains(200.0, 600)
