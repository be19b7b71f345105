"""Which listed job is the one whose create was never answered.

A job is a candidate when it is of the type, nobody claims it, and the server created it while the create was open.
As many candidates as the spec makes jobs: they are its jobs. Anything else, or a list without times: nobody knows.
"""

from __future__ import annotations

from collections.abc import Container, Iterable

from sumeasync.models import JobView, Spec

__all__ = ["candidates", "expected_jobs"]

SLACK_SECONDS = 2.0
"""Servers cut times to whole seconds, and so does the `Date` header that the clocks are compared by."""


def expected_jobs(spec: Spec) -> int:
    """How many jobs the create of `spec` makes: one, or one for each avatar of a Face Swap."""
    avatars = spec.input.get("avatar_ids")
    return max(1, len(avatars)) if spec.type == "face_swap" and isinstance(avatars, list) else 1


def candidates(
    jobs: Iterable[JobView],
    spec: Spec,
    claimed: Container[str],
    *,
    since: float,
    until: float,
    words: Container[str] = (),
) -> tuple[str, ...]:
    """The ids that can only be the spec's, oldest first; `since` and `until` are epoch seconds by the server."""
    found = {
        (job.created_at, job.id)
        for job in jobs
        if (job.type in (spec.type, "") or job.type in words)
        and job.id not in claimed
        and job.created_at is not None
        and since - SLACK_SECONDS <= job.created_at <= until + SLACK_SECONDS
    }
    return tuple(id for _, id in sorted(found))
