"""Runs batches: wires the deciding core to network and disk, and is the only place that starts tasks."""

from sumeasync.engine.engine import Engine
from sumeasync.engine.run import Run
from sumeasync.engine.statistics import Statistics

__all__ = ["Engine", "Run", "Statistics"]
