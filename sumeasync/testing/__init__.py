"""A deterministic rig for tests of this engine and of programs that use it: virtual time, network and disk in memory.

```python
async def main() -> None:
    async with MemoryNetwork(seed=7, latency=(0.001, 0.2)) as network:
        await network.serve("http://api.test", app)  # an aiohttp web.Application
        async with aiohttp.ClientSession(connector=network.connector()) as session:
            ...

run_virtual(main)
```

`Rig` puts them together with the simulator and checks what must hold after every run.
"""

from __future__ import annotations

from sumeasync.testing.canary import Canary, disk_sightings, sightings
from sumeasync.testing.clock import DeadlockError, VirtualLoop, run_virtual, virtual_elapsed
from sumeasync.testing.disk import MemoryDisk
from sumeasync.testing.invariants import check, violations
from sumeasync.testing.killpoints import POINTS, DiskPoint, Kill, KillPoint, WirePoint
from sumeasync.testing.killrig import KillRig
from sumeasync.testing.network import MemoryConnector, MemoryNetwork
from sumeasync.testing.rig import Rig
from sumeasync.testing.transport import MemoryTransport

__all__ = [
    "POINTS",
    "Canary",
    "DeadlockError",
    "DiskPoint",
    "Kill",
    "KillPoint",
    "KillRig",
    "MemoryConnector",
    "MemoryDisk",
    "MemoryNetwork",
    "MemoryTransport",
    "Rig",
    "VirtualLoop",
    "WirePoint",
    "check",
    "disk_sightings",
    "run_virtual",
    "sightings",
    "violations",
    "virtual_elapsed",
]
