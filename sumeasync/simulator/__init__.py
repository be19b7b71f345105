"""A simulator of the API to rehearse on: its routes, small real media, scripted faults and a ledger of charges."""

from __future__ import annotations

from sumeasync.simulator.app import make_app, serve
from sumeasync.simulator.calls import Call, Reply
from sumeasync.simulator.direct import DirectClient
from sumeasync.simulator.faults import Rule, load_rules
from sumeasync.simulator.ledger import Detection, Ledger, body_hash
from sumeasync.simulator.profiles import PROFILES, profile
from sumeasync.simulator.samples import Sample, sample
from sumeasync.simulator.service import Exchange, Service
from sumeasync.simulator.settings import Duration, Limits, Observed, StatusWords, TypeSettings, WorldSettings
from sumeasync.simulator.world import World

__all__ = [
    "PROFILES",
    "Call",
    "Detection",
    "DirectClient",
    "Duration",
    "Exchange",
    "Ledger",
    "Limits",
    "Observed",
    "Reply",
    "Rule",
    "Sample",
    "Service",
    "StatusWords",
    "TypeSettings",
    "World",
    "WorldSettings",
    "body_hash",
    "load_rules",
    "make_app",
    "profile",
    "sample",
    "serve",
]
