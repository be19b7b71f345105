"""The course of a walk: who left the list, and which pages can be left out."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from hypothesis import given
from hypothesis import strategies as st

from sumeasync.core.sweep.course import Course, Mark

OLD = (Mark(None, list("abc")), Mark("c1", list("def")), Mark("c2", list("ghi")))


def read(course: Course, ids: str, *, last: bool = False, also: str = "") -> set[str]:
    """A page shows these jobs as active, and has other entries `also`."""
    return set(course.read(Mark("c", list(ids)), {*ids, *also}, last=last))


def cold(*pages: str) -> Callable[[Sequence[str]], bool]:
    """Whether a page is one of these."""
    return lambda ids: "".join(ids) in pages


def test_who_stood_in_between_has_left() -> None:
    """A job that stood before one that is shown, and is not shown, has left; those behind have not been reached."""
    course = Course(OLD)
    assert read(course, "ac") == {"b"}
    assert read(course, "egx") == {"d", "f"}


def test_the_end_of_the_list_settles_the_rest() -> None:
    """On the last page those behind have left too."""
    assert read(Course(OLD), "ab", last=True) == set("cdefghi")


def test_a_job_shown_in_another_state_has_not_left() -> None:
    """What is on the page in whatever state is not missing."""
    assert read(Course(OLD), "ac", also="b") == set()


def test_another_order_tells_nothing() -> None:
    """Where jobs stand otherwise than before, nobody is missing for the rest of the walk, nor is a page left out."""
    course = Course(OLD)
    assert (read(course, "hab"), course.ordered) == (set(), False)
    assert read(course, "di") == set()
    assert course.onward("c9", lambda ids: True) == "c9"


def test_cold_pages_are_left_out() -> None:
    """The walk goes on at the first page that is worth it, and keeps the marks of those between."""
    course = Course(OLD)
    read(course, "abc")
    assert course.onward("c1", cold("def")) == "c2"
    assert (course.skipped, course.whole, course.jumped) == (3, False, True)
    assert course.marks[-1] is OLD[1]
    assert read(course, "hi") == set()  # it is not known that the cursor leads there exactly
    assert course.onward("c3", cold()) is None


def test_what_a_longer_page_left_over() -> None:
    """The rest of a page that was read in part is left out as well, from the cursor behind what was read."""
    course = Course(OLD)
    read(course, "abd")
    assert course.onward("c9", cold("ef", "ghi")) is None
    assert course.marks[1:] == [Mark("c9", ["e", "f"]), OLD[2]]
    course = Course(OLD)
    read(course, "abd")
    assert course.onward("c9", cold("ghi")) == "c9"


def test_a_walk_with_nothing_but_cold_pages() -> None:
    """Before any page it begins anew; after one it is over, and all are kept."""
    course = Course(OLD)
    assert (course.onward(None, lambda ids: True), course.whole) == (None, True)
    read(course, "abc")
    assert course.onward("c1", lambda ids: True) is None
    assert course.marks[1:] == [*OLD[1:]]


def test_an_old_cursor_that_leads_elsewhere_is_noticed() -> None:
    """A page that shows what stood before, after a jump, ends the order."""
    course = Course(OLD)
    course.onward(None, cold("abc", "def"))
    assert (read(course, "ab"), course.ordered) == (set(), False)


@given(st.lists(st.booleans(), min_size=9, max_size=9), st.lists(st.booleans(), min_size=3, max_size=3))
def test_no_job_is_lost_or_wrongly_missed(stays: Sequence[bool], worth: Sequence[bool]) -> None:
    """Whichever jobs left and pages are cold: none that stays is missed, and all of them stand in the next marks."""
    course, left = Course(OLD), {id for id, stay in zip("abcdefghi", stays, strict=True) if not stay}
    is_cold = lambda ids: not worth["abcdefghi".index(ids[0]) // 3]  # noqa: E731 - of the page it stood on
    cursor, missed = course.onward(None, is_cold), set[str]()
    while True:
        begin = 0 if cursor is None else 3 * int(cursor[1:])
        page = [id for id in "abcdefghi"[begin : begin + 3] if id not in left]
        last = begin >= 6
        missed |= course.read(Mark(cursor, page), set(page), last=last)
        if last or (cursor := course.onward(f"c{begin // 3 + 1}", is_cold)) is None:
            break
    assert missed <= left
    assert {id for mark in course.marks for id in mark.ids} | left >= set("abcdefghi")


def test_repr_counts() -> None:
    """The course shows how far it got."""
    course = Course(OLD)
    read(course, "a")
    assert repr(course) == "<Course of 1 pages after 3>"
