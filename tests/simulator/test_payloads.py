"""How the service words its answers about jobs."""

from __future__ import annotations

from typing import Any

import pytest

from sumeasync.simulator import StatusWords, World, WorldSettings
from sumeasync.simulator.jobs import Fate, Job
from sumeasync.simulator.payloads import create_answer, job_view, result_of

LINKS = {"media": "https://m.test/a?s=1", "thumbnail": "https://m.test/t?s=1"}


def ended(fate: Fate = "completed", kind: str = "image_generation") -> Job:
    """A job created at 1, started at 2, ended at 3."""
    return Job(0, "job_1", kind, (1, 2, 3), fate)


def test_view_of_a_running_job() -> None:
    """A job has an object tag, id, type, status, and by default only its creation time."""
    view = job_view(ended(), WorldSettings(), 2.5)
    assert view == {
        "object": "job",
        "id": "job_1",
        "type": "image_generation",
        "status": "running",
        "created_at": "2026-01-01T00:00:01.000Z",
    }


@pytest.mark.parametrize(
    ("choice", "names"),
    [("none", set()), ("created", {"created_at"}), ("all", {"created_at", "started_at", "completed_at"})],
)
def test_timestamps(choice: Any, names: set[str]) -> None:
    """The settings choose which times an ended job shows."""
    view = job_view(ended(), WorldSettings(timestamps=choice), 3)
    assert {name for name in view if name.endswith("_at")} == names


def test_times_appear_as_they_pass() -> None:
    """A time that lies ahead is not shown."""
    settings = WorldSettings(timestamps="all")
    assert "started_at" not in job_view(ended(), settings, 1.5)
    assert "completed_at" not in job_view(ended(), settings, 2.5)


def test_words() -> None:
    """The settings spell the states."""
    assert job_view(ended(), WorldSettings(words=StatusWords(completed="SUCCEEDED")), 3)["status"] == "SUCCEEDED"


@pytest.mark.parametrize(
    ("fate", "code"), [("failed", "generation_failed"), ("canceled", "job_canceled"), ("expired", "job_expired")]
)
def test_errors(fate: Fate, code: str) -> None:
    """A job that did not complete says why."""
    assert job_view(ended(fate), WorldSettings(), 3)["error"]["code"] == code


@pytest.mark.parametrize(
    ("kind", "expected"),
    [
        ("image_generation", {"object": "image_generation", "job": {"id": "ID", "status": "queued"}}),
        ("video_generation", {"object": "video_generation", "job_id": "ID"}),
        ("ads_video", {"object": "ads_video", "job": {"id": "ID", "status": "queued"}}),
        ("face_swap", {"object": "face_swap", "job_id": "ID", "job_ids": ["ID"]}),
        ("reference_analysis", {"object": "reference_analysis", "required_credits": 5, "job_id": "ID"}),
        ("asset_ingest", {"object": "asset", "job": {"id": "ID", "status": "queued"}}),
    ],
)
def test_documented_create(kind: str, expected: dict[str, Any]) -> None:
    """Each route answers as the vendor shows it."""
    jobs = World().create(kind, ("",), 0)
    jobs[0].id = "ID"
    assert create_answer(kind, jobs, WorldSettings()) == expected


@pytest.mark.parametrize(
    ("shape", "expected"),
    [
        ("job.id", {"job": {"id": "job_1", "status": "queued"}}),
        ("job_id", {"job_id": "job_1"}),
        ("jobs", {"jobs": [{"id": "job_1", "status": "queued"}]}),
        ("job_ids", {"job_ids": ["job_1"]}),
        ("data.job.id", {"data": {"job": {"id": "job_1", "status": "queued"}}}),
        ("data.job_id", {"data": {"job_id": "job_1"}}),
        ("id", {"id": "job_1"}),
    ],
)
def test_chosen_shape(shape: Any, expected: dict[str, Any]) -> None:
    """A create can be made to answer in any shape clients must read; several jobs are always all named."""
    settings = WorldSettings(create_shape=shape)
    tag = {"object": "video_generation"}
    assert create_answer("video_generation", [ended()], settings) == tag | expected
    assert create_answer("video_generation", [ended(), ended()], settings)["job_ids"] == ["job_1", "job_1"]


@pytest.mark.parametrize(
    ("kind", "found"),
    [
        ("image_generation", ["url", "thumbnail_url"]),
        ("video_generation", ["video_url", "thumbnail_url"]),
        ("ads_video", ["download_url", "thumbnail_url"]),
        ("face_swap", ["url", "thumbnail_url"]),
        ("reference_analysis", []),
        ("asset_ingest", []),
        ("a_type_of_tomorrow", ["video_url", "thumbnail_url"]),
    ],
)
def test_result_links(kind: str, found: list[str]) -> None:
    """Media stand under the keys that clients look for; an analysis and an ingest have none."""
    assert links_in(result_of(ended(kind=kind), LINKS)) == found


def links_in(value: Any, key: str = "") -> list[str]:
    """The keys of all links, in order."""
    if isinstance(value, dict):
        return [name for key, entry in value.items() for name in links_in(entry, key)]
    if isinstance(value, list):
        return [name for entry in value for name in links_in(entry, key)]
    return [key] if isinstance(value, str) and value.startswith("https://") else []


def test_no_media_no_link() -> None:
    """A type without media still has a result."""
    assert links_in(result_of(ended(), {})) == []
