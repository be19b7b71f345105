"""The world's time, as told by the loop and to a client."""

from __future__ import annotations

import asyncio

from sumeasync.simulator import World
from sumeasync.simulator.clocks import DateHeader, LoopClock


async def test_the_loop_drives_the_world_from_where_it_stands() -> None:
    """The time goes on from the world's, at the given speed."""
    world = World()
    world.advance(50.0)
    clock = LoopClock(world, speed=4.0)
    assert clock() == 50.0
    await asyncio.sleep(2.5)
    assert clock() == 60.0


def test_the_date_is_that_of_the_world() -> None:
    """The header tells the world's second."""
    dates = DateHeader(epoch=1_767_225_600.0)
    assert dates.at(59.9) == dates.at(59.0) == "Thu, 01 Jan 2026 00:00:59 GMT"
    assert dates.at(60.0) == "Thu, 01 Jan 2026 00:01:00 GMT"
