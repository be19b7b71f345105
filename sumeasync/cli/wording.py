"""How counts, sizes, times and outcomes are put into words. Everything a server or a manifest said is made safe."""

from __future__ import annotations

import json
import shlex
import time
from collections.abc import Iterable, Mapping

from sumeasync.core import redact
from sumeasync.core.redaction.names import canonical
from sumeasync.io.lock import Holder
from sumeasync.models import JSON, Failure, Outcome

__all__ = [
    "bytes_text",
    "count",
    "counts_text",
    "failure_text",
    "holder_text",
    "outcome_line",
    "presentable",
    "pretty",
    "quoted",
    "seconds_text",
    "table",
]

STORAGE_KEYS = ("object_key", "storage_key")
"""What the names end in, in one spelling or another, that an object has in a storage."""

MAX_DEPTH = 200


def count(number: int, noun: str) -> str:
    """A number and its noun: ``1 job``, ``2 jobs``."""
    return f"{number:,} {noun if number == 1 else noun + 's'}"


def bytes_text(size: float) -> str:
    """A size for readers: ``117 B``, ``1.4 MB``."""
    for unit in ("B", "kB", "MB", "GB"):
        if size < 1000:
            return f"{size:.0f} {unit}" if unit == "B" else f"{size:.1f} {unit}"
        size /= 1000
    return f"{size:.1f} TB"


def seconds_text(seconds: float) -> str:
    """A duration for readers: ``8.4 s``, ``2 min 05 s``, ``3 h 07 min``."""
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes} min {rest:02} s"
    return f"{minutes // 60} h {minutes % 60:02} min"


def failure_text(failure: Failure) -> str:
    """An error as it is reported: code, message, request id."""
    message = f": {redact.text(failure.message)}" if failure.message else ""
    request = f" (request {redact.escape(failure.request_id)})" if failure.request_id else ""
    return redact.escape(failure.code) + message + request


def outcome_line(outcome: Outcome) -> str:
    """One outcome as one line: status, key, type, job id, then what was saved or what went wrong."""
    parts = [f"{outcome.status:<9}", redact.escape(outcome.key), redact.escape(outcome.type or "adopted")]
    if outcome.job_id and outcome.job_id != outcome.key:
        parts.append(redact.escape(outcome.job_id))
    if outcome.files:
        size = sum(file.bytes for file in outcome.files)
        parts.append(f"{count(len(outcome.files), 'file')}, {bytes_text(size)}")
    if outcome.error is not None:
        parts.append(failure_text(outcome.error))
    return "  ".join(parts)


def presentable(payload: JSON, *, keep_links: bool = False, depth: int = 0) -> JSON:
    """A copy of a payload without names of objects in a storage, and with every URL reduced to its host unless kept."""
    if isinstance(payload, dict | list) and depth >= MAX_DEPTH:
        return None
    if isinstance(payload, dict):
        shown = {name: value for name, value in payload.items() if not canonical(name).endswith(STORAGE_KEYS)}
        return {name: presentable(value, keep_links=keep_links, depth=depth + 1) for name, value in shown.items()}
    if isinstance(payload, list):
        return [presentable(value, keep_links=keep_links, depth=depth + 1) for value in payload]
    return payload if keep_links or not isinstance(payload, str) or "://" not in payload else redact.text(payload)


def pretty(document: JSON) -> str:
    """A document for readers, without any character that steers a terminal."""
    text = json.dumps(document, indent=2, ensure_ascii=False)
    return "\n".join(redact.escape(line) for line in text.split("\n"))


def quoted(path: str) -> str:
    """A path fit to be pasted into a command."""
    return redact.escape(shlex.quote(path))


def table(header: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> list[str]:
    """Rows in columns, the first line being the header."""
    lines = [header, *rows]
    widths = [max(len(line[column]) for line in lines) for column in range(len(header))]
    return ["  ".join(f"{cell:<{width}}" for cell, width in zip(line, widths, strict=True)).rstrip() for line in lines]


def holder_text(holder: Holder) -> str:
    """Who is at work in a directory."""
    since = time.strftime("%Y-%m-%d %H:%M:%SZ", time.gmtime(holder.since))
    return f"a run is under way: process {holder.pid} since {since}"


def counts_text(counts: Mapping[str, int]) -> str:
    """Counts in one line: ``12 completed, 1 failed``."""
    return ", ".join(f"{number:,} {name.replace('_', ' ')}" for name, number in counts.items() if number)
