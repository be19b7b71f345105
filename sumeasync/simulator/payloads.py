"""How the service words its answers about jobs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from functools import lru_cache

from sumeasync.models import JSON
from sumeasync.simulator.jobs import ACTIVE, Job
from sumeasync.simulator.samples import PNG_SIDE
from sumeasync.simulator.settings import WorldSettings

__all__ = ["ERRORS", "create_answer", "job_view", "result_of"]

ERRORS = {
    "failed": ("generation_failed", "The generation failed. The credits were given back."),
    "canceled": ("job_canceled", "The job was canceled."),
    "expired": ("job_expired", "The job took too long and expired."),
}
OBJECTS = {"video_generation": "video_generation", "asset_ingest": "asset"}
DOCUMENTED = {"image_generation": "job", "ads_video": "job", "asset_ingest": "job", "face_swap": "job_ids"}


def job_view(job: Job, settings: WorldSettings, now: float) -> dict[str, JSON]:
    """Return the job as a poll and a list show it."""
    state = job.state(now)
    view = {"object": "job", "id": job.id, "type": job.type, "status": getattr(settings.words, state)}
    view |= _timestamps(job, settings, now)
    if state in ERRORS:
        code, message = ERRORS[state]
        return view | {"error": {"code": code, "message": message}}
    return view


def create_answer(kind: str, jobs: Sequence[Job], settings: WorldSettings) -> dict[str, JSON]:
    """Return what a create says, in the shape the settings ask for; several jobs are always all named."""
    shape = settings.create_shape
    first = {"id": jobs[0].id, "status": settings.words.queued}
    ids = [job.id for job in jobs]
    answer: dict[str, JSON] = {"object": OBJECTS.get(kind, kind)}
    if kind == "reference_analysis":
        answer["required_credits"] = sum(job.credits for job in jobs)
    if shape == "documented":
        return answer | _documented(kind, first, ids)
    shapes: dict[str, dict[str, JSON]] = {
        "job.id": {"job": first},
        "job_id": {"job_id": ids[0]},
        "jobs": {"jobs": [{"id": id, "status": settings.words.queued} for id in ids]},
        "job_ids": {"job_ids": ids},
        "data.job.id": {"data": {"job": first}},
        "data.job_id": {"data": {"job_id": ids[0]}},
        "id": {"id": ids[0]},
    }
    return answer | shapes[shape] | ({"job_ids": ids} if len(ids) > 1 else {})


def result_of(job: Job, links: Mapping[str, str]) -> JSON:
    """Return the result payload of a completed job; `links` has the signed URLs of its ``media``, ``thumbnail``."""
    media = links.get("media")
    if job.type == "reference_analysis":
        transcript = [{"start_seconds": 0.0, "text": f"Transcript of the reference {job.id}."}]
        return {"analysis": {"hook": "A question in the first second.", "pacing": "fast"}, "transcript": transcript}
    if job.type == "asset_ingest":
        return {"asset": {"object": "asset", "id": f"asset_{job.id.removeprefix('job_')}", "object_key": job.detail}}
    if media is None:
        return {"metadata": {"type": job.type}}
    thumbnail = {"thumbnail_url": links["thumbnail"]} if "thumbnail" in links else {}
    if job.type == "image_generation":
        size = {"width": PNG_SIDE, "height": PNG_SIDE}
        return {"images": [{"url": media, "content_type": "image/png"} | size | thumbnail]}
    metadata = {"metadata": {"width": 16, "height": 16, "duration_seconds": 0.3}}
    if job.type == "ads_video":
        return {"video": {"download_url": media, "content_type": "video/mp4"} | thumbnail} | metadata
    if job.type == "face_swap":
        return {"avatar_id": job.detail, "output": {"url": media} | thumbnail} | metadata
    return {"video_url": media} | thumbnail | metadata


def _documented(kind: str, first: dict[str, str], ids: list[str]) -> dict[str, JSON]:
    shape = DOCUMENTED.get(kind, "job_id")
    if shape == "job":
        return {"job": first}
    return {"job_id": ids[0]} | ({"job_ids": ids} if shape == "job_ids" else {})


def _timestamps(job: Job, settings: WorldSettings, now: float) -> dict[str, str]:
    if settings.timestamps == "none":
        return {}
    created = {"created_at": _iso(settings.epoch + job.created_at)}
    if settings.timestamps == "created":
        return created
    if now >= job.started_at:
        created["started_at"] = _iso(settings.epoch + job.started_at)
    if job.state(now) not in ACTIVE:
        created["completed_at"] = _iso(settings.epoch + job.ended_at)
    return created


@lru_cache(maxsize=4096)  # a list shows the same times again and again
def _iso(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
