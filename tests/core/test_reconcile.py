"""Which listed jobs can be those of a create whose answer was lost."""

from __future__ import annotations

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sumeasync.core.reconcile import MOST_PAGES, Search, Walk, candidates, expected_jobs, fits, window
from sumeasync.models import JobView, Spec

SPEC = Spec("k", "face_swap", {"avatar_ids": ["a", "b"]})


def view(id: str, at: float | None = 100.0, type: str = "face_swap") -> JobView:
    """A job as a list shows it."""
    return JobView(id, "running", "running", type, created_at=at)


@pytest.mark.parametrize(
    ("type", "input", "count"),
    [
        ("face_swap", {"avatar_ids": ["a", "b", "c"]}, 3),
        ("face_swap", {"avatar_ids": []}, 1),
        ("face_swap", {"avatar_ids": "abc"}, 1),
        ("face_swap", {}, 1),
        ("image_generation", {"avatar_ids": ["a", "b"]}, 1),
    ],
)
def test_expected_jobs(type: str, input: dict[str, object], count: int) -> None:
    """A Face Swap makes a job for each avatar, everything else one."""
    assert expected_jobs(Spec("k", type, input)) == count


@pytest.mark.parametrize(
    ("job", "found"),
    [
        (view("x"), True),
        (view("x", type=""), True),
        (view("x", type="image_generation"), False),
        (view("claimed"), False),
        (view("x", None), False),
        (view("x", 88.0), True),
        (view("x", 87.9), False),
        (view("x", 122.0), True),
        (view("x", 122.1), False),
        (view("x", float("nan")), False),
    ],
)
def test_who_is_a_candidate(job: JobView, found: bool) -> None:
    """A job of the type (or of no known type), claimed by nobody, made while the create was open, give or take 2 s."""
    assert candidates([job], SPEC, {"claimed"}, since=90, until=120) == (("x",) if found else ())


def test_oldest_first() -> None:
    """Candidates come in the order in which the server made them."""
    jobs = [view("b", 102), view("c", 101), view("a", 103)]
    assert candidates(jobs, SPEC, (), since=90, until=120) == ("c", "b", "a")


@given(st.lists(st.sampled_from([view("a"), view("b"), view("c", None)])))
def test_a_job_listed_twice_is_one(jobs: list[JobView]) -> None:
    """A job that a list shows twice counts once: two of one are not the two that were expected."""
    found = candidates(jobs, SPEC, (), since=90, until=120)
    assert sorted(found) == sorted({job.id for job in jobs if job.created_at is not None})


def test_the_servers_own_word_counts() -> None:
    """A job whose type the server spells in its own way is a candidate when that way is known to mean the type."""
    listed = [view("x", type="swap"), view("y", type="picture")]
    assert candidates(listed, SPEC, (), since=100.0, until=110.0, words={"swap"}) == ("x",)


@pytest.mark.parametrize(
    ("shown", "own", "found"),
    [
        ("", "a cat", True),
        ("a cat", None, True),
        ("a cat", 5, True),
        ("A  cat\n", "a cat", True),
        ("a cat on…", "a cat on a roof", True),
        ("a cat...", "a cat on a roof", True),
        ("a dog", "a cat", False),
        ("a cat on a roof", "a cat", False),
    ],
)
def test_a_prompt_of_another_is_no_candidate(shown: str, own: object, found: bool) -> None:
    """A job that was made from another prompt is not the spec's; a list may shorten it, and need not show any."""
    job = msgspec.structs.replace(view("x"), prompt=shown)
    spec = Spec("k", "face_swap", {} if own is None else {"prompt": own})
    assert candidates([job], spec, (), since=100.0, until=110.0) == (("x",) if found else ())


# When the job of a create was made.


@pytest.mark.parametrize(
    ("others", "parallel", "span"),
    [
        ([], False, (100, 160)),
        ([50.0], False, (100, 160)),
        ([110.0, 130.0], False, (100, 106)),
        ([103.9], False, None),
        ([96.1], False, None),
        ([100.0], False, None),
        ([130.0], True, (100, 126)),
        ([103.9], True, None),
        ([60.0], True, None),
        ([161.0, 39.0], True, (100, 157)),
    ],
)
def test_window(others: list[float], parallel: bool, span: tuple[float, float] | None) -> None:
    """A window ends before the next open create; one too near, or open at the same time, leaves no window at all."""
    assert window(100.0, others, 60.0, parallel=parallel) == span


# A look, page by page.


def read(walk: Walk, *pages: tuple[list[JobView], str | None]) -> list[bool]:
    """Let a look read pages; what it answered to each."""
    return [walk.read(jobs, cursor) for jobs, cursor in pages]


@pytest.mark.parametrize(
    ("pages", "end"),
    [
        ([([view("a")], None)], "end"),
        ([([view("a", 120), view("b", 97)], "2")], "older"),
        ([([view("a", 120), view("b", 98)], "2")], ""),
        ([([view("a", 97)], "2")], ""),
        ([([view("a", 97), view("b", 120)], "2"), ([view("c", 96)], "3")], ""),
        ([([view("a", 120), view("b", None), view("c", 97)], "2")], ""),
        ([([view("a")], "2"), ([view("b")], "2")], "circle"),
        ([([view("a")], "2"), ([view("a")], "3")], ""),
        ([([view("a")], "2"), ([view("a")], "3"), ([view("a")], "4"), ([view("a")], "5")], "circle"),
        ([([], "2"), ([], "3")], ""),
    ],
)
def test_where_a_look_ends(pages: list[tuple[list[JobView], str | None]], end: str) -> None:
    """At the end, at an older job where the newest come first, or when nothing new is shown; not at an empty page."""
    walk = Walk(100.0)
    assert read(walk, *pages)[-1] is bool(end)
    assert walk.end == end


def test_a_look_is_bounded() -> None:
    """A list without end is given up after so many pages."""
    pages = [([view(f"j{number}")], f"c{number}") for number in range(MOST_PAGES)]
    walk = Walk(100.0)
    assert read(walk, *pages) == [False] * (MOST_PAGES - 1) + [True]
    assert (walk.end, walk.complete) == ("long", False)


@pytest.mark.parametrize(
    ("type", "jobs", "complete"),
    [
        (None, [], True),
        ("face_swap", [], False),
        ("face_swap", [view("a", type="swap")], False),
        ("face_swap", [view("a")], True),
        (None, [view("a", None)], False),
    ],
)
def test_which_look_is_complete(type: str | None, jobs: list[JobView], complete: bool) -> None:
    """A filter counts only when it shows its own word, and a list only when it tells times."""
    walk = Walk(100.0, type=type)
    walk.read(jobs, None)
    assert walk.complete is complete


def test_an_up_to_date_list_settles_it() -> None:
    """Once a complete look shows a job made later than ours can have been, ours would have been shown."""
    for at, skew, settled in ((102.0, 0.0, False), (103.0, 0.0, True), (103.0, 3600.0, False), (3703.0, 3600.0, True)):
        search, walk = Search(lost_at=100.0), Walk(99.0, skew)
        walk.read([view("b", at)], None)
        search.conclude(walk, SPEC, (), ())
        assert search.settled is settled
        assert not search.is_over(10.0)  # what was sent may still arrive
        search.held = False
        assert search.is_over(10.0) is settled


@pytest.mark.parametrize(("type", "found"), [("face_swap", None), ("swap", ())])
def test_what_cannot_be_told_is_not_settled(type: str, found: tuple[str, ...] | None) -> None:
    """While another create may own what is listed, or the filter's word may be wrong, no look settles it."""
    search, walk = Search(lost_at=100.0), Walk(99.0, type=type)
    walk.read([view("b", 200.0)], None)
    search.conclude(walk, SPEC, (), found)
    assert not search.settled


def test_a_look_is_put_into_words() -> None:
    """What a look saw says how far it read, who owns what it found, and which jobs it may be."""
    search, walk = Search(), Walk(100.0, type="face_swap")
    walk.read([view("a"), view("b", None), view("mine")], None)
    said = search.conclude(walk, SPEC, {"mine"}, ("a",))
    assert said == search.saw
    for part in ("read to its end (3 jobs, 1 of this type", "1 of the jobs have no time", "1 unclaimed", "may be a"):
        assert part in said
    assert "nothing tells their jobs apart" in search.conclude(walk, SPEC, (), None)


@pytest.mark.parametrize(
    ("shown", "own", "same"),
    [
        ("A red  kite.", "a red kite", True),
        ("a red", "a red kite", False),
        ("", "a red kite", False),
        ("a", None, False),
    ],
)
def test_what_shows_the_very_prompt(shown: str, own: object, same: bool) -> None:
    """The whole prompt, but for blanks, case and a full stop, tells a job apart from all others."""
    walk = Walk(99.0, type=None)
    walk.read([msgspec.structs.replace(view("a"), prompt=shown)], None)
    assert walk.shows(("a",), Spec("k", "image_generation", {"prompt": own})) is same


@pytest.mark.parametrize(
    ("word", "type", "rivals", "fitting"),
    [
        ("image", "image_generation", ["video_generation"], True),
        ("image", "video_generation", ["image_generation"], False),
        ("video", "video_generation", ["ads_video"], False),
        ("video", "video_generation", [], True),
        ("generation", "video_generation", [], False),
        ("render", "video_generation", [], False),
        ("", "video_generation", [], False),
    ],
)
def test_which_words_may_stand_for_a_type(word: str, type: str, rivals: list[str], fitting: bool) -> None:
    """A word nobody has learned is taken for a type only when it shares a part with it, and with no other."""
    assert fits(word, type, rivals) is fitting


def test_too_early_by_the_clock() -> None:
    """A job made a moment too early counts where clocks may err, and where the server writes whole seconds."""
    early, whole = view("early", 98.7), view("whole", 99.0)
    spec = Spec("k", "face_swap")
    strict = {"since": 99.5, "until": 120.0, "slack": 0.0}
    assert candidates([early, whole], spec, (), **strict) == ("whole",)
    assert candidates([early], spec, (), since=99.5, until=120.0) == ("early",)
