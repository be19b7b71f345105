"""A simulator in a process of its own. Prints its base URL; serves until its standard input ends.

Arguments: the settings of its world and its fault rules, both as JSON. Its clock is the real one.
"""

from __future__ import annotations

import asyncio
import sys

import msgspec

from sumeasync.simulator import World, WorldSettings, load_rules, serve


async def main(settings: str, rules: str) -> None:
    """Serve as long as whoever started this wants it."""
    world = World(msgspec.json.decode(settings, type=WorldSettings), rules=load_rules(rules.encode()))
    async with serve(world) as base_url:
        print(base_url, flush=True)  # noqa: T201 - this is how it is found
        await asyncio.get_running_loop().run_in_executor(None, sys.stdin.read)


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
