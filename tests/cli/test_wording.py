from __future__ import annotations

import pytest

from sumeasync.cli import wording
from sumeasync.io.lock import Holder
from sumeasync.models import Failure, Media, Outcome

LINK = "https://media.sume.so/a/b.mp4?sig=secret"


@pytest.mark.parametrize(
    ("size", "text"), [(0, "0 B"), (999, "999 B"), (1500, "1.5 kB"), (2_500_000, "2.5 MB"), (3e12, "3.0 TB")]
)
def test_sizes_are_short(size, text):
    """A size has at most one decimal and a unit."""
    assert wording.bytes_text(size) == text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0.04, "0.0 s"), (59.9, "59.9 s"), (125, "2 min 05 s"), (3599.7, "1 h 00 min"), (11220, "3 h 07 min")],
)
def test_durations_are_short(seconds, text):
    """A duration has two units at most."""
    assert wording.seconds_text(seconds) == text


def test_nouns_agree_with_their_number():
    """One job, two jobs."""
    assert [wording.count(n, "job") for n in (0, 1, 2000)] == ["0 jobs", "1 job", "2,000 jobs"]


def test_an_outcome_is_one_line_with_what_was_saved():
    """A completed job's line names status, key, type, id, files and size."""
    outcome = Outcome("a", "job_1", "image_generation", "completed", files=(Media("m/a.png", 117, "00", "image/png"),))
    assert wording.outcome_line(outcome) == "completed  a  image_generation  job_1  1 file, 117 B"


def test_an_outcome_says_what_went_wrong():
    """A failed job's line ends in code, message and request id."""
    outcome = Outcome("a", "job_1", "ads_video", "failed", error=Failure("policy", "not allowed", "req_9"))
    assert wording.outcome_line(outcome).endswith("policy: not allowed (request req_9)")


def test_no_name_can_break_the_line():
    """Control characters in keys, types, ids, codes and messages are escaped."""
    evil = "a\x1b[2J\nb"
    line = wording.outcome_line(Outcome(evil, evil, evil, "failed", error=Failure(evil, evil, evil)))
    assert line.isprintable()


def test_links_are_reduced_to_their_host_everywhere():
    """Links in objects, lists and texts become marks that name the host; other values stay."""
    hidden = wording.presentable({"url": LINK, "list": [f"see {LINK}"], "n": 3, "text": "plain"})
    assert "secret" not in str(hidden)
    assert "media.sume.so" in hidden["url"]
    assert (hidden["n"], hidden["text"]) == (3, "plain")


def test_hiding_links_is_bounded_in_depth():
    """A payload nested too deep is cut, not followed."""
    payload = LINK
    for _ in range(500):
        payload = [payload]
    assert "secret" not in str(wording.presentable(payload))


def test_a_document_is_printed_without_control_characters():
    """A pretty document keeps its lines and nothing else that steers a terminal."""
    assert all(line.isprintable() for line in wording.pretty({"a": "\x9b2J\u2028"}).split("\n"))


def test_a_table_is_aligned():
    """Columns are as wide as their widest cell, and no line ends in blanks."""
    assert wording.table(("a", "b"), [("long", "")]) == ["a     b", "long"]


def test_counts_leave_out_zeros():
    """Only what happened is counted out."""
    assert wording.counts_text({"completed": 2, "failed": 0, "timed_out": 1}) == "2 completed, 1 timed out"


def test_the_holder_of_a_directory_is_named():
    """A run under way is named by its process and since when."""
    assert wording.holder_text(Holder(7, "here", 0)) == "a run is under way: process 7 since 1970-01-01 00:00:00Z"


def test_names_of_stored_objects_are_not_shown():
    """Where an object lies in the storage is nobody's business, however deep it stands."""
    names = ("object_key", "objectKey", "Storage-Key", "source_object_key")
    payload = {"assets": [dict.fromkeys(names, "ws_1/a.mp4") | {"id": "asset_1", "url": LINK}]}
    assert wording.presentable(payload, keep_links=True) == {"assets": [{"id": "asset_1", "url": LINK}]}
    assert "a.mp4" not in str(wording.presentable(payload))
