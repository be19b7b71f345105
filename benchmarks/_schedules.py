"""How others decide when to ask again: their published schedules, written anew."""

from __future__ import annotations

from _fleet import Schedule

__all__ = ["PEERS", "fixed"]


def fixed(seconds: float) -> Schedule:
    """Always the same interval; with 0, where requests are limited: every job in turn, as often as can be."""
    return lambda polls, rng: seconds


PEERS: dict[str, Schedule] = {
    "fixed 0.5 s": fixed(0.5),
    "fixed 1 s": fixed(1.0),
    "fixed 2 s": fixed(2.0),
    "fixed 5 s": fixed(5.0),
    "6 ± 1.5 s": lambda polls, rng: rng.uniform(4.5, 7.5),
    "x1.5 to 5 s": lambda polls, rng: min(5.0, 1.5 ** min(polls, 10)),
    "google-api-core": lambda polls, rng: rng.uniform(0.0, min(20.0, 1.5 ** min(polls, 10))),
    "Azure 30 s": fixed(30.0),
    "Smithy 2…120 s": lambda polls, rng: rng.uniform(2.0, min(120.0, 2.0 * 2.0 ** min(polls, 10))),
}
