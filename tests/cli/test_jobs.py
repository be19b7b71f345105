from __future__ import annotations

import json

from sumeasync.cli.jobs import job_json, job_row
from sumeasync.models import Failure, JobView


def test_a_job_is_one_line():
    """Id, type, status and time of creation stand in one line, the server's own word as it is spelled."""
    view = JobView("job_1", "completed", "succeeded", "ads_video", created_at=0.0)
    assert job_row(view).split() == ["job_1", "ads_video", "succeeded", "1970-01-01", "00:00:00Z"]


def test_a_job_without_a_word_or_a_time_is_shown_too():
    """What the server left out is left open."""
    assert job_row(JobView("job_1", None, "")).split() == ["job_1", "?"]


def test_a_servers_words_cannot_break_the_line():
    """Control characters in what the server says are escaped."""
    assert job_row(JobView("job\x1b[2J", None, "a\nb", "c\x9b")).rstrip("\n").isprintable()


def test_a_job_is_one_document():
    """For machines every field is there, and the error's message is scrubbed."""
    error = Failure("policy", "see https://x.test/a?sig=secret", "req_1")
    document = json.loads(job_json(JobView("job_1", "failed", "failed", "ads_video", error)))
    assert (document["id"], document["status"], document["completed_at"]) == ("job_1", "failed", None)
    assert "secret" not in document["error"]["message"]
