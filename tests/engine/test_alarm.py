"""The one wait of a run."""

from __future__ import annotations

import asyncio

import pytest

from sumeasync.engine.alarm import Alarm
from sumeasync.testing import virtual_elapsed


def at(seconds: float) -> float:
    """A time on the loop's clock, in seconds from now."""
    return asyncio.get_running_loop().time() + seconds


async def test_wakes_at_its_time() -> None:
    """Without a ring the wait ends at its time."""
    before = virtual_elapsed()
    await Alarm().wait(at(5.0))
    assert virtual_elapsed() - before == 5.0


async def test_ring_wakes_early() -> None:
    """A ring ends the wait at once, and leaves no timer behind."""
    alarm, before = Alarm(), virtual_elapsed()
    asyncio.get_running_loop().call_later(2.0, alarm.ring)
    await alarm.wait(at(5.0))
    assert virtual_elapsed() - before == 2.0
    asyncio.get_running_loop().call_later(10.0, alarm.ring)
    await alarm.wait()
    assert virtual_elapsed() - before == 12.0


async def test_ring_is_remembered() -> None:
    """A ring while nobody waits ends the next wait, and only that one."""
    alarm, before = Alarm(), virtual_elapsed()
    alarm.ring()
    await alarm.wait(at(5.0))
    assert virtual_elapsed() == before
    await alarm.wait(at(5.0))
    assert virtual_elapsed() - before == 5.0


@pytest.mark.parametrize(("waits_for", "due", "woken"), [(5.0, 3.0, True), (5.0, 7.0, False), (None, 3.0, True)])
async def test_ring_by(waits_for: float | None, due: float, woken: bool) -> None:
    """Something due wakes only whoever waits for a later time."""
    alarm, before = Alarm(), virtual_elapsed()
    asyncio.get_running_loop().call_later(1.0, lambda: alarm.ring_by(at(due - 1.0)))
    await alarm.wait(None if waits_for is None else at(waits_for))
    assert virtual_elapsed() - before == (1.0 if woken else 5.0)


async def test_ring_by_without_a_waiter() -> None:
    """Something due while nobody waits needs no ring: whoever waits next has looked before."""
    alarm, before = Alarm(), virtual_elapsed()
    alarm.ring_by(at(1.0))
    await alarm.wait(at(5.0))
    assert virtual_elapsed() - before == 5.0


@pytest.mark.parametrize("waits", [True, False])
async def test_a_ring_delays_nothing(waits: bool) -> None:
    """What is due just after a ring is waited for exactly; only times that come close together are put together."""
    alarm, before = Alarm(tick=0.01), virtual_elapsed()
    if waits:
        asyncio.get_running_loop().call_later(1.0, alarm.ring)
        await alarm.wait()
    else:
        alarm.ring()
        await alarm.wait()
        await asyncio.sleep(1.0)
    await alarm.wait(at(0.002))
    assert virtual_elapsed() - before == pytest.approx(1.002)
    await alarm.wait(at(0.002))
    assert virtual_elapsed() - before == pytest.approx(1.012)
