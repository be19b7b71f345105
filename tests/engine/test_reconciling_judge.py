"""What one look makes of a create without an answer: found, or not settled yet."""

from __future__ import annotations

import pytest

from sumeasync.core.events import Accepted, Event
from sumeasync.core.job import Job, Step
from sumeasync.core.reconcile import SETTLE_SECONDS, Search
from sumeasync.dialects.base import Page
from sumeasync.engine.reconciling import Reconciling
from sumeasync.models import JobView, Response, Spec

SENT, LOST = 100.0, 101.0
TYPE = "video_generation"


def judged(wall: float, *cursors: str | None, word: str = TYPE, words: dict[str, str] | None = None) -> Event:
    """The last of some pages, each of which shows the one job that fits, `word` as its type."""
    one = Reconciling(set(), {}, create_seconds=60.0, parallel=False, wall_clock=lambda: wall, words=words or {})
    job = Job(Spec("k", TYPE, {"prompt": "p"}), Step.RECONCILE, type=TYPE, intended_at=SENT, carry=Search(None, LOST))
    view = JobView("job_1", "running", "running", word, created_at=SENT + 0.5)
    for cursor in cursors:
        one.walk(job)
        event = one.judge(job, Response(200, {}), Page((view,), cursor))
    return event


@pytest.mark.parametrize(("waited", "found"), [(0.5, False), (SETTLE_SECONDS + 1, True)])
def test_nothing_is_adopted_too_early(waited: float, found: bool) -> None:
    """A list may lag: the only job that fits may be another's while the spec's own is not shown yet."""
    assert isinstance(judged(LOST + waited, None), Accepted) is found


def test_nothing_is_adopted_out_of_half_a_list() -> None:
    """A list that goes in circles may hide the spec's own job: what it shows is not taken for it."""
    assert isinstance(judged(LOST + 30, None), Accepted)
    assert not isinstance(judged(LOST + 30, "2", "2"), Accepted)


def test_words_of_earlier_runs_count() -> None:
    """The server's word for a type, known from an earlier run, finds the job; unknown, it is not guessed."""
    assert isinstance(judged(LOST + 30, None, word="clip", words={TYPE: "clip"}), Accepted)
    assert not isinstance(judged(LOST + 30, None, word="clip"), Accepted)
