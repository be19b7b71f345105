"""One round of list requests: which pages are asked for, and what they tell."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sumeasync.core.job import Job, Step
from sumeasync.core.sweep.rounds import Look, Round, Way
from sumeasync.models import JobView, Spec

WORDS = {"queued": "queued", "running": "running", "completed": "completed", "failed": "failed", "odd": None}


def jobs(count: int) -> dict[str, Job]:
    """Waiting jobs by id, born at the times 0, 1, 2 …"""
    return {
        f"job_{n}": Job(Spec(str(n)), Step.POLL, f"job_{n}", ticket=n + 1, born=float(n), seen=n, asked=float(n))
        for n in range(count)
    }


def view(number: int, word: str = "running") -> JobView:
    """An entry of a page."""
    return JobView(f"job_{number}", WORDS[word], word)  # type: ignore[arg-type]  # the table holds such words


def views(*numbers: int, word: str = "running") -> list[JobView]:
    """Entries of a page."""
    return [view(number, word) for number in numbers]


def a_round(way: Way = "all", walks: Sequence[str | None] = (None,), waiting: int = 4, page: int = 100) -> Round:
    """A round that begins at 100."""
    return Round(way, 100.0, waiting, walks, page)


@pytest.mark.parametrize(
    ("word", "where"),
    [("queued", "active"), ("running", "active"), ("odd", "active"), ("completed", "completed"), ("failed", "ended")],
)
def test_what_an_entry_tells(word: str, where: str) -> None:
    """Active, or of an unknown word, is active; completed and other ends are told apart."""
    found = a_round().read([view(0, word)], None, jobs(1))
    assert [len(getattr(found, name)) for name in ("active", "completed", "ended")] == [
        int(name == where) for name in ("active", "completed", "ended")
    ]


def test_only_waiting_jobs_are_told_of() -> None:
    """Jobs of others, jobs being asked about and jobs past their polls are passed over."""
    known = jobs(3)
    known["job_0"].ticket, known["job_1"].step = 0, Step.RESULT
    one = a_round()
    found = one.read(views(0, 1, 2, 9, word="completed"), None, known)
    assert [job.id for job in found.completed] == ["job_2"]
    assert one.told == {"job_2"}


def test_an_entry_twice_is_one() -> None:
    """A job that stands in a page twice is told of once, as it stands first."""
    found = a_round().read([view(0, "completed"), view(0, "completed"), view(0), view(1), view(1)], None, jobs(2))
    assert ([job.id for job in found.completed], [job.id for job, _ in found.active]) == (["job_0"], ["job_1"])


def test_all_ends_once_every_job_was_told_of() -> None:
    """The newest jobs are asked for until all that wait were shown."""
    one, known = a_round(), jobs(4)
    one.read(views(0, 1), "c1", known)
    assert (one.over, one.look()) == (False, Look(None, "c1"))
    one.read(views(2, 3), "c2", known)
    assert one.over


def test_all_ends_after_idle_pages() -> None:
    """Where page after page tells of others, the rest is left unread."""
    one, known = a_round(waiting=200), jobs(4)
    one.read(views(0), "c1", known)
    for number in (7, 8):
        assert not one.over
        one.read(views(number), f"c{number}", known)
    assert one.over


def test_active_walks_one_state_after_the_other() -> None:
    """Each walk is read to its end; the round is complete then."""
    one, known = a_round("active", ("queued", "running")), jobs(4)
    assert one.look() == Look("queued", None)
    one.read(views(0, word="queued"), "c1", known)
    assert one.look() == Look("queued", "c1")
    one.read(views(1, word="queued"), None, known)
    assert one.look() == Look("running", None)
    one.read(views(2), None, known)
    assert (one.over, one.complete) == (True, True)
    assert [job.id for job in one.missing(known.values(), 0.0)] == ["job_3"]


def test_finished_ends_without_news() -> None:
    """The completed ones are read until a page brings nothing new."""
    one, known = a_round("finished", ("completed",)), jobs(4)
    one.read(views(0, word="completed"), "c1", known)
    assert not one.over
    one.read(views(8, word="completed"), "c2", known)
    assert one.over


def test_a_filter_without_effect_ends_the_other_walks() -> None:
    """Where other states are shown than asked for, a second walk would show the same, and absence means nothing."""
    one = a_round("active", ("queued", "running"))
    one.read(views(0, 1), None, jobs(4))
    assert (one.over, one.complete) == (True, False)


def test_a_cursor_that_comes_back_ends_the_walk() -> None:
    """A list that goes in circles is left, and what it did not show is not missing."""
    one, known = a_round("active", ("running",), waiting=400), jobs(4)
    one.read(views(0), "c1", known)
    one.read(views(1), "c1", known)
    assert (one.over, one.complete) == (True, False)


def test_a_cut_walk_is_not_complete() -> None:
    """A page that cannot be had ends its walk; the next goes on; nothing is concluded from absence."""
    one, known = a_round("active", ("queued", "running")), jobs(4)
    one.read(views(0, word="queued"), "c1", known)
    one.cut()
    assert (one.look(), one.pages) == (Look("running", None), 2)
    one.read(views(1), None, known)
    assert (one.over, one.complete) == (True, False)


@pytest.mark.parametrize(("margin", "asked", "missing"), [(2.0, 97.0, True), (3.5, 97.0, False), (2.0, 100.0, False)])
def test_missing_are_the_old_ones_not_heard_of(margin: float, asked: float, missing: bool) -> None:
    """Absence counts of jobs older than the margin, and not of those that have answered themselves meanwhile."""
    job = Job(Spec("k"), Step.POLL, "job_1", born=97.0, asked=asked)
    assert a_round().missing([job], margin) == [job] * missing


@given(st.sampled_from(["all", "active", "finished"]), st.integers(1, 3), st.integers(1, 300), st.integers(1, 100))
def test_every_round_ends(way: Way, walks: int, waiting: int, page: int) -> None:
    """Whatever the list answers, a round is over after about twice the pages it should take."""
    one, known, pages = a_round(way, ["running"] * walks, waiting, page), jobs(300), 0
    while not one.over:
        one.read(views(pages % 300), f"c{pages}", known)
        pages += 1
    assert one.pages == pages <= walks + 2 * -(-waiting // page) + 2


def test_a_job_that_left_is_missing_at_once() -> None:
    """One that stood between two that are shown is missing as of that page, not of the end of the walk."""
    known = jobs(6)
    first = a_round("active", ("running",), waiting=400)
    first.read(views(0, 1, 2), "c1", known)
    first.read(views(3, 4, 5), None, known)
    again = Round("active", 100.0, 400, ["running"], 100, before=first.marks)
    known["job_4"].asked = 101.0
    assert [job.id for job in again.read(views(0, 2), "c1", known).missing] == ["job_1"]
    assert [job.id for job in again.read(views(5), None, known).missing] == ["job_3"]  # the other said so since


def test_a_job_may_have_moved_to_the_next_walk() -> None:
    """Who left the waiting ones may be running: nothing is concluded before the last walk."""
    known = jobs(3)
    first = a_round("active", ("queued", "running"))
    first.read(views(0, 1, 2, word="queued"), None, known)
    first.read([], None, known)
    again = Round("active", 100.0, 4, ["queued", "running"], 100, before=first.marks)
    assert again.read(views(0, 2, word="queued"), None, known).missing == []


def test_pages_not_worth_it_are_left_out() -> None:
    """A round asks for those that are, by the cursors of the last one, and is not complete."""
    known = jobs(6)
    first = a_round("active", ("running",), waiting=400)
    for cursor, numbers in (("c1", (0, 1)), ("c2", (2, 3)), (None, (4, 5))):
        first.read(views(*numbers), cursor, known)
    again = Round("active", 100.0, 400, ["running"], 2, before=first.marks, is_cold=lambda ids: "job_4" not in ids)
    assert again.look() == Look("running", "c2")
    again.read(views(4, 5), None, known)
    assert (again.over, again.complete, again.whole, again.skipped, again.jumps) == (True, False, False, 4, True)
    assert again.marks == first.marks


@pytest.mark.parametrize("how", ["refused", "elsewhere"])
def test_an_old_cursor_that_is_not_taken(how: str) -> None:
    """Where it is refused, or leads to another page, none is used again."""
    known = jobs(4)
    first = a_round("active", ("running",), waiting=400)
    first.read(views(0, 1), "c1", known)
    first.read(views(2, 3), None, known)
    again = Round("active", 100.0, 400, ["running"], 2, before=first.marks, is_cold=lambda ids: "job_0" in ids)
    again.cut() if how == "refused" else again.read(views(0, 1), "c1", known)
    assert not again.jumps


def test_only_what_is_sought_is_remembered() -> None:
    """However many entries of others pages have, a round keeps the ids it was to look out for, and of our own jobs."""
    one = Round("finished", 100.0, 4, ["completed"], 100, sought=frozenset({"job_77"}))
    one.read(views(*range(70, 170), word="completed"), "c1", jobs(2))
    assert (one.found, one.told) == ({"job_77"}, set())


def test_a_job_being_asked_about_is_shown_all_the_same() -> None:
    """It is not told of, but not missing either."""
    known = jobs(2)
    known["job_0"].ticket = 0
    one = a_round("active", ("running",))
    found = one.read(views(0), None, known)
    assert (found.active, one.told) == ([], set())
    assert [job.id for job in one.missing(known.values(), 0.0)] == ["job_1"]


def test_repr_counts() -> None:
    """The round shows how far it got."""
    one = a_round()
    one.read(views(0), "c", jobs(1))
    assert repr(one) == "<Round of all: 1 of 4 told of in 1 pages>"
