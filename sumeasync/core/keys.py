"""Idempotency keys: every try of one create carries the same key, so that the server starts its job only once.

A key belongs to the create, not to what is created: it is drawn when the create is first intended, and durable in
that `Intent` before the first byte is sent, so a later run finds it. Derived from the spec alone it would be the same
in another directory, where the same line is meant to be paid for again; so time and chance go in as well, and the
spec beside them keeps apart what two runs with the same seed would send.

For how long the server remembers a key is not documented. A day is the usual; after that a key proves nothing.
"""

from __future__ import annotations

import hashlib
from random import Random

from sumeasync.core.job import Job

__all__ = ["KEY_SECONDS", "draw_key", "may_send_again"]

KEY_SECONDS = 86_400.0


def draw_key(job: Job, wall: float, rng: Random) -> str:
    """A new key for the create of the job's spec: 64 hex digits (the usual bound is 255 characters)."""
    parts = (job.spec.key, job.spec.payload_hash, repr(wall), f"{rng.getrandbits(128):x}")
    return hashlib.sha256("\n".join(parts).encode("utf-8", "surrogatepass")).hexdigest()


def may_send_again(job: Job, wall: float) -> bool:
    """Whether a create that may have been paid can be sent again without being paid twice.

    `Job.intended_at` is when its key was first intended: for the server it may be as old as that.
    """
    return job.idempotency_key is not None and abs(wall - (job.intended_at or 0.0)) < KEY_SECONDS
