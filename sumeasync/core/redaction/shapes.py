"""The allow-list: which fields may be shown, and the shape each one's string must have."""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import lru_cache
from typing import TypeAlias

from sumeasync.core.redaction.links import host_of, local_path, route, url
from sumeasync.core.redaction.marks import mark
from sumeasync.core.redaction.text import is_clean, scrub, text

__all__ = ["FIELDS", "OPEN", "Show", "own_id", "word"]

Show: TypeAlias = Callable[[str], str | None]
"""Turns a string into what may be shown of it; None when it does not fit the field."""

_WORD = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.+:-]{0,79}|[A-Za-z]{2,12}/[0-9.]{1,12}")
_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.:-]{0,127}")
_JOB = re.compile(r"(?:job|req)_[a-z0-9A-Z]{1,40}")
_TIME = re.compile(
    r"\d{4}-\d\d-\d\d(?:[T ]\d\d:\d\d(?::\d\d(?:\.\d{1,9})?)?(?:Z|[+-]\d\d:?\d\d)?)?|\d\d:\d\d(?::\d\d)?"
)
_HASH = re.compile(r"(?:sha(?:1|256|512)[:-])?[0-9a-f]{6,128}")
_HOST = re.compile(r"(?i)([a-z0-9.-]{1,253}|\[[0-9a-f:.]+\])(:\d{1,5})?")
_TYPE = re.compile(r"(?i)[a-z]+/[a-z0-9.+*-]{1,60}(?:;\s*(?:charset|codecs|q)=[\w.,\" -]{1,40})?")


# Words, keys and ids come again and again; only what fits its field is remembered.
@lru_cache(maxsize=4096)
def word(given: str) -> str | None:
    """Show a single word: a status, a code, the name of an event."""
    return given if _WORD.fullmatch(given) and scrub(given) == given else None


@lru_cache(maxsize=4096)
def _id(given: str) -> str | None:
    return given if _JOB.fullmatch(given) or (_ID.fullmatch(given) and is_clean(given)) else None


def own_id(given: str) -> str | None:
    """Show an id of unknown kind only when it is a job's or a request's."""
    return given if _JOB.fullmatch(given) else None


@lru_cache(maxsize=4096)
def _chosen(given: str) -> str | None:
    return given if len(given) <= 200 and not local_path(given) and is_clean(given) else None


def _route(given: str) -> str | None:
    if re.fullmatch(r"\{[\w/{}-]+\}", given):
        return given
    shown = route(given.partition("?")[0]) if len(given) <= 500 else None
    return shown if shown or given.startswith("/") else _chosen(given)


def _host(given: str) -> str | None:
    if "://" in given:
        shown = url(given)
        return None if shown == mark("url") else shown
    found = _HOST.fullmatch(given)
    return host_of(given) + (found[2] or "") if found and host_of(given) else None


def _fits(pattern: re.Pattern[str]) -> Show:
    return lambda given: given if pattern.fullmatch(given) else None


def _names(show: Show, names: str) -> dict[str, Show]:
    return dict.fromkeys(names.split(), show)


FIELDS: dict[str, Show] = {
    **_names(
        word,
        "level logger logger_name status state type kind types statuses states server_type job_type code "
        "codes error_code reason_code public_reason phase step steps stage lane method http_method verb "
        "dialect outcome action operation op bucket mode format source_type verified encoding "
        "content_encoding platform python python_version version versions signal signame policy policies "
        "fault faults scheme protocol http_version error_type exc_type exception_type category func_name "
        "function module lineno filename thread_name process_name task task_name component result_code "
        "aspect_ratio resolution quality from_status to_status old_status new_status previous transition "
        "command subcommand trigger strategy unit object verdict decision next_step",
    ),
    **_names(
        text,
        "event message msg error errors error_message err reason reasons hint hints detail details warning warnings "
        "note notes problem problems exc exc_value advice cause context failure exception_message",
    ),
    **_names(
        _id,
        "job_id job_ids jobid jobids job jobs request_id request_ids requestid x_request_id x_sume_request_id run_id",
    ),
    **_names(own_id, "id ids"),
    **_names(
        _chosen,
        "key keys spec_key spec_keys spec file files file_name file_names filenames name_on_disk media part output "
        "saved local_file local_files relative_path",
    ),
    **_names(_route, "route routes path paths endpoint target url_template template"),
    **_names(_host, "host hosts hostname origin origins base_url api_base_url server_host peer netloc"),
    **_names(_fits(_TYPE), "content_type content_types mime mime_type media_type accept"),
    **_names(
        _fits(_TIME),
        "timestamp time date deadline at started_at created_at completed_at finished_at detected_at saved_at due_at "
        "updated_at expires_at next_poll_at until since",
    ),
    **_names(_fits(_HASH), "sha256 payload_hash manifest_hash hash digest checksum"),
}
"""The names whose strings may be shown, each with the shape its string must have."""

OPEN = frozenset(
    [
        "error",
        "errors",
        "failure",
        "failures",
        "outcome",
        "outcomes",
        "job",
        "jobs",
        "spec",
        "media",
        "file",
        "files",
        "timings",
        "view",
        "record",
        "report",
        "summary",
        "counts",
        "by_status",
        "by_type",
        "by_code",
        "statistics",
        "stats",
        "budget",
        "limits",
        "progress",
        "totals",
        "settings",
        "headers_seen",
        "request",
        "response",
        "event_fields",
        "fields",
        "usage",
        "durations",
        "policy",
    ]
)
"""The names under which a dict or a value of ours is shown field by field."""
