"""A deterministic rig for tests of this engine and of programs that use it: virtual time, and a network in memory.

```python
async def main() -> None:
    async with MemoryNetwork(seed=7, latency=(0.001, 0.2)) as network:
        await network.serve("http://api.test", app)  # an aiohttp web.Application
        async with aiohttp.ClientSession(connector=network.connector()) as session:
            ...

run_virtual(main)
```
"""

from __future__ import annotations

from sumeasync.testing.clock import DeadlockError, VirtualLoop, run_virtual, virtual_elapsed
from sumeasync.testing.network import MemoryConnector, MemoryNetwork
from sumeasync.testing.transport import MemoryTransport

__all__ = [
    "DeadlockError",
    "MemoryConnector",
    "MemoryNetwork",
    "MemoryTransport",
    "VirtualLoop",
    "run_virtual",
    "virtual_elapsed",
]
