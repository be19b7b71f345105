"""One job at a time, without a batch: every endpoint as a method, and handles to wait with. The engine is inside."""

from sumeasync.sume.batch import run
from sumeasync.sume.handle import JobHandle
from sumeasync.sume.sume import Sume

__all__ = ["JobHandle", "Sume", "run"]
