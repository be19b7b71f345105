"""How the service words its answers on the surface ``open``: everything under ``data``, errors that say more."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from sumeasync.errors import ApiError
from sumeasync.models import JSON
from sumeasync.simulator.calls import Reply, envelope
from sumeasync.simulator.jobs import Job, State
from sumeasync.simulator.payloads import ERRORS
from sumeasync.simulator.world import World

__all__ = ["POLICY", "answer", "created_view", "job_view", "open_refusal", "result_view", "status_view"]

POLICY = "content_policy_rejected"
"""The `detail` of a job that is refused for its content, and the public reason it is given."""

WORDS: Final[dict[State, str]] = {
    "queued": "queued",
    "running": "processing",
    "completed": "completed",
    "failed": "failed",
    "canceled": "canceled",
    "expired": "failed",  # this surface has no word of its own for it
}


def answer(world: World, data: JSON, *, shown: Sequence[Job] = (), status: int = 200) -> Reply:
    """Return an answer as it goes out, under a fresh request id."""
    headers = {"X-Sume-Request-Id": world.request_id()}
    return Reply(status=status, headers=headers, document={"data": data}, shown=list(shown))


def open_refusal(error: ApiError, request_id: str) -> Reply:
    """Return the error as this surface words it: the request id is inside as well, and whether to try again."""
    document = envelope(error.code, str(error), request_id)
    document["error"] |= {"request_id": request_id, "retryable": error.status == 429 or error.status >= 500}
    return Reply(status=error.status, headers={"X-Sume-Request-Id": request_id}, document=document)


def job_view(job: Job, now: float) -> dict[str, JSON]:
    """Return the job itself, as it stands in every answer about it."""
    state = job.state(now)
    view: dict[str, JSON] = {"id": job.id, "type": job.type, "status": WORDS[state], "error": None}
    if state in ERRORS:
        code, message = ERRORS[state]
        reason = {"public_reason": POLICY} if job.detail == POLICY else {}
        view["error"] = {"code": code, "message": message} | reason
    return view


def status_view(world: World, job: Job, now: float) -> dict[str, JSON]:
    """Return what a poll is told; while it waits, how long the service would like it to wait."""
    state = job.state(now)
    view = {"request_id": job.id, "status": WORDS[state].upper(), "sume_status": WORDS[state]}
    seconds = world.settings.recommended_poll_seconds
    floor = {"recommended_poll_interval_seconds": seconds} if seconds and now < job.ended_at else {}
    return view | {"job": job_view(job, now)} | floor


def created_view(world: World, job: Job, now: float, base: str) -> dict[str, JSON]:
    """Return what a create is told; the job's id is called the request's."""
    here = f"{base}/jobs/{job.id}"
    links = {"status_url": f"{here}/status", "result_url": f"{here}/result"} if world.settings.decoy_urls else {}
    return status_view(world, job, now) | links


def result_view(world: World, job: Job, now: float, link: str | None) -> dict[str, JSON]:
    """Return the result of a completed job; `link` is the signed one of its media."""
    kind, content_type = ("image", "image/png") if job.type == "image_generation" else ("video", "video/mp4")
    artifacts = [{"url": link, "type": kind, "content_type": content_type}] if link else []
    return status_view(world, job, now) | {"result": {"artifacts": artifacts}}
