from __future__ import annotations

import json

import pytest

from sumeasync.cli.jobs import doubt, job_json, job_row, show_list
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


class Closed:
    """As much of the API as is opened and closed."""

    async def __aenter__(self):
        return self

    async def __aexit__(self, *exc):
        return None


async def shown(views, capsys, *, json=False):
    """What a list of these jobs is shown as."""

    async def listed():
        for view in views:
            yield view

    await show_list(Closed(), listed(), json=json)
    return capsys.readouterr().out.splitlines()


async def test_a_list_has_a_header_and_a_line_for_each_job(capsys):
    """For readers the columns are named; for machines there is nothing but the jobs."""
    views = [JobView("job_1", "queued", "queued"), JobView("job_2", "queued", "queued")]
    assert [line.split()[0] for line in await shown(views, capsys)] == ["id", "job_1", "job_2"]
    assert [json.loads(line)["id"] for line in await shown(views, capsys, json=True)] == ["job_1", "job_2"]


async def test_no_jobs_are_said_to_be_none(capsys):
    """An empty list is a word for readers, and nothing for machines."""
    assert await shown([], capsys) == ["no jobs"]
    assert await shown([], capsys, json=True) == []


@pytest.mark.parametrize(("status", "known"), [("running", True), ("Succeeded", True), ("bogus", False)])
def test_a_status_that_nobody_knows_is_doubted(capsys, status, known):
    """A word of no status is asked for all the same, for the server may know more; but the known ones are named."""
    doubt(status)
    said = capsys.readouterr().err
    assert ("queued, running, completed, failed, canceled, expired" in said) is not known
