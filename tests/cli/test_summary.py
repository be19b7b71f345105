from __future__ import annotations

from sumeasync.cli.summary import attention, summary
from sumeasync.core.report import Report, Unresolved

COMMAND = "sumeasync run m.jsonl"


def report(**fields):
    """A report of a run that took twelve seconds."""
    return Report(exit_code=0, seconds=12.0, **fields)


def running(count):
    """Jobs still at the server."""
    return tuple(Unresolved(f"k{n}", "running", f"job_{n}") for n in range(count))


def test_a_summary_says_what_came_of_it_and_at_what_price():
    """Statuses, time, files, requests by kind and a job, and the directory stand in the summary."""
    lines = list(
        summary(
            report(
                statuses={"completed": 2, "failed": 1},
                requests={"poll": 6, "create": 3},
                requests_per_job=3.0,
                media_files=2,
                media_bytes=2048,
            ),
            "out",
        )
    )
    assert lines == [
        "2 completed, 1 failed in 12.0 s",
        "2 files, 2.0 kB",
        "requests: 9 (3 creates, 6 polls), 3.0 a job",
        "output: out",
    ]


def test_a_summary_tells_what_was_done_before():
    """A run that goes on says what it found finished."""
    lines = list(summary(report(skipped=3, earlier={"completed": 3}), None))
    assert lines == ["nothing new in 12.0 s", "3 specs finished earlier: 3 completed"]


def test_what_is_no_longer_asked_for_is_not_counted_as_a_spec():
    """Outcomes of specs that left the manifest are those of the directory, not of the specs that were skipped."""
    lines = list(summary(report(skipped=1, earlier={"completed": 2, "failed": 1}), None))
    assert lines[1] == "1 spec finished earlier; the directory held 2 completed, 1 failed"


def test_jobs_that_were_found_are_told():
    """A job that was told from others in the job list is worth a look, so their number is said."""
    assert "2 jobs found in the job list" in " ".join(summary(report(found=2), None))


def test_refusals_by_the_rate_limit_are_shown():
    """Requests that the rate limit refused are named."""
    assert "2 refused by the rate limit" in " ".join(summary(report(requests={"poll": 9}, rate_limited=2), None))


def test_a_summary_says_what_the_requests_told():
    """Delay of detection, share of the budget used, and what the job list was good for stand in the summary."""
    told = report(
        requests={"sweep": 3, "result": 2},
        detection={"jobs": 2, "median": 1.25, "p95": 2.5},
        budget={"read": 0.5},
        sweeps={"pages": 3, "told": 150, "suspected": 2, "right": 2},
    )
    assert list(summary(told, None))[1:] == [
        "requests: 5 (2 results, 3 sweeps), 50% of the reads allowed",
        "noticed 1.2 s after the end (median), 2.5 s (95 %)",
        "job list: 3 pages told 150 times of a job, right about 2 of 2 that had ended",
    ]


def test_nothing_open_needs_no_attention():
    """When nothing is open, nothing is said."""
    assert list(attention(report(), 0, COMMAND, "out")) == []


def test_running_jobs_are_listed_with_the_command_to_go_on():
    """Ids of running jobs, then the exact command."""
    assert list(attention(report(unresolved=running(1)), 0, COMMAND, "out")) == [
        "1 job still at the server:",
        "  job_0  k0  running",
        "go on with: sumeasync run m.jsonl",
    ]


def test_a_long_list_of_ids_is_capped():
    """Twenty ids, then how many more and where all of them are."""
    lines = list(attention(report(unresolved=running(25)), 0, COMMAND, "my out"))
    assert len([line for line in lines if line.startswith("  job_")]) == 20
    assert "  … and 5 more; all of them: sumeasync status 'my out' --all" in lines


def test_unknown_creates_come_with_both_ways_on():
    """A create without an answer says that it may be paid, and what the user can decide."""
    lines = list(attention(report(unresolved=(Unresolved("k", "unknown"),)), 0, COMMAND, None))
    assert "may have been paid" in lines[0]
    assert lines[-1].endswith(f"{COMMAND} --recreate-unknown")


def test_specs_not_begun_are_counted():
    """Specs left alone are counted, and the command goes on with them."""
    assert list(attention(report(), 4, COMMAND, None)) == ["4 specs not begun", f"go on with: {COMMAND}"]
