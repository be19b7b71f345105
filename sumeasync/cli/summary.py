"""What is said at the end of a run: what came of it, where it is, and how to go on."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from sumeasync.cli.wording import bytes_text, count, counts_text, quoted, seconds_text
from sumeasync.core import redact
from sumeasync.core.report import Report, Unresolved

__all__ = ["MAX_IDS", "attention", "open_lines", "summary"]

MAX_IDS = 20


def summary(report: Report, out: str | None) -> Iterator[str]:
    """How it went, in a few lines."""
    yield f"{counts_text(report.statuses) or 'nothing new'} in {seconds_text(report.seconds)}"
    if report.skipped:
        yield f"{count(report.skipped, 'spec')} finished earlier{_earlier(report)}"
    if report.found:
        yield f"{count(report.found, 'job')} found in the job list after the answer was lost; see results.jsonl"
    if report.media_files:
        yield f"{count(report.media_files, 'file')}, {bytes_text(report.media_bytes)}"
    if report.requests:
        yield f"requests: {_requests(report)}"
    if report.detection:
        delay = report.detection
        yield f"noticed {delay['median']:.1f} s after the end (median), {delay['p95']:.1f} s (95 %)"
    if report.sweeps:
        told = report.sweeps
        right = f", right about {told['right']:,} of {told['suspected']:,} that had ended" if told["suspected"] else ""
        yield f"job list: {count(told['pages'], 'page')} told {told['told']:,} times of a job{right}"
    if out is not None:
        yield f"output: {redact.escape(out)}"


def _earlier(report: Report) -> str:
    """What the directory held; that may be of specs that are no longer asked for, or several jobs of one."""
    held = counts_text(report.earlier)
    return f": {held}" if sum(report.earlier.values()) == report.skipped else f"; the directory held {held}"


def _requests(report: Report) -> str:
    total = sum(report.requests.values())
    kinds = ", ".join(count(number, kind) for kind, number in sorted(report.requests.items()))
    each = f", {report.requests_per_job:.1f} a job" if report.requests_per_job is not None else ""
    used = "".join(f", {share:.0%} of the {lane}s allowed" for lane, share in report.budget.items())
    limited = f", {report.rate_limited:,} refused by the rate limit" if report.rate_limited else ""
    return f"{total:,} ({kinds}){each}{used}{limited}"


def attention(report: Report, not_begun: int, command: str, out: str | None, *, all_ids: bool = False) -> Iterator[str]:
    """What is still open, and the command that goes on with it; nothing when nothing is. `not_begun` counts specs.

    `all_ids` leaves none out: when the journal cannot be written, they may stand nowhere else.
    """
    cap = None if all_ids else MAX_IDS
    unknown = [one for one in report.unresolved if one.status == "unknown"]
    running = [one for one in report.unresolved if one.job_id is not None and one.status != "unknown"]
    if running:
        yield f"{count(len(running), 'job')} still at the server:"
        yield from open_lines(running, out, cap=cap)
    if unknown:
        yield f"{count(len(unknown), 'create')} without an answer: each may have been paid"
        yield from open_lines(unknown, out, cap=cap)
    if not_begun:
        yield f"{count(not_begun, 'spec')} not begun"
    if running or not_begun:
        yield f"go on with: {redact.escape(command)}"
    if unknown:
        yield "look for them with: sumeasync jobs list --all"
        yield f"or create them again, at the risk of paying twice: {redact.escape(command)} --recreate-unknown"


def open_lines(items: Sequence[Unresolved], out: str | None, *, cap: int | None = MAX_IDS) -> Iterator[str]:
    """The first `cap` of them, one a line, and where the rest can be seen."""
    for one in items[:cap]:
        names = dict.fromkeys((redact.escape(one.job_id or "-"), redact.escape(one.key)))  # a job's key may be its id
        yield f"  {'  '.join(names)}  {one.status.replace('_', ' ')}"
    if cap is not None and len(items) > cap:
        where = f"; all of them: sumeasync status {quoted(out)} --all" if out is not None else ""
        yield f"  … and {len(items) - cap:,} more{where}"
