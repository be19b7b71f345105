"""Manifest text to specs: every problem found, with its line, before anything is spent.

Three forms: one JSON object a line; a JSON object with `defaults` and `specs`; CSV with a header. In a CSV, columns
named like a field of a spec fill it, every other column goes into `input` (cells that are JSON numbers, booleans,
lists or objects count as such, `prompt` is always text, empty cells are left out).
"""

from __future__ import annotations

import csv
import hashlib
import io
import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

import msgspec

from sumeasync.core import strictjson
from sumeasync.errors import ManifestError
from sumeasync.models import ADOPTED, ASSET_INGEST, JSON, KINDS, Spec

__all__ = ["make_spec", "parse_manifest", "payload_hash"]

MAX_KEY = 200
MAX_JOB_ID = 512
CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")
FIELDS = ("key", "type", "input", "file", "job_id", "deadline_seconds", "download", "weight")
CSV_TEXT = ("key", "type", "file", "job_id", "prompt")
SHAPES = {
    "jsonl": "one JSON object a line",
    "json": '{"defaults": {…}, "specs": [{…}, …]}',
    "csv": "a header with a column type, and one spec a row",
}
NOTHING: Mapping[str, JSON] = {}
"""The input of every spec without one: a million would need a million dicts."""


class _Line(msgspec.Struct, forbid_unknown_fields=True):
    """The shape of one manifest entry, before it is judged."""

    key: str | None = None
    type: str = ADOPTED
    input: dict[str, Any] = {}
    file: str | None = None
    job_id: str | None = None
    deadline_seconds: float | None = None
    download: bool = True
    weight: float = 1.0


def payload_hash(type: str, input: Mapping[str, JSON], file: str | None) -> str:
    """Hex SHA-256 over what a create would pay for, whatever the order of the fields."""
    paid = [type, input, file]
    text = json.dumps(paid, sort_keys=True, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


def make_spec(entry: Mapping[str, JSON] | Spec) -> Spec:
    """One entry as a `Spec`, checked and with its payload hash. Raises ManifestError with every problem of it."""
    if isinstance(entry, Spec):
        if entry.payload_hash:
            return entry
        entry = {name: getattr(entry, name) for name in FIELDS if name != "key" or entry.key}
    try:
        line = msgspec.convert(entry, _Line)
    except msgspec.ValidationError as problem:
        raise ManifestError([str(problem)]) from None
    problems = list(_problems(line))
    if problems:
        raise ManifestError(problems)
    try:
        digest = payload_hash(line.type, line.input, line.file) if line.job_id is None else ""
    except (TypeError, ValueError, RecursionError):
        raise ManifestError(["input holds something that JSON cannot say"]) from None
    return Spec(
        key=line.key or line.job_id or f"{line.type.split('_')[0]}-{digest[:12]}",
        type=line.type,
        input=line.input or NOTHING,
        file=line.file,
        job_id=line.job_id,
        deadline_seconds=line.deadline_seconds,
        download=line.download,
        weight=line.weight,
        payload_hash=digest,
    )


def parse_manifest(text: str, *, form: str = "jsonl", resolve: Callable[[Spec], Spec] | None = None) -> list[Spec]:
    """Every spec of a manifest in its order; `form` is ``jsonl``, ``json`` or ``csv``.

    `resolve` may look at each spec that is right so far and give another for it; the problems of a ManifestError that
    it raises are told with all others.

    Raises ManifestError listing all problems, each beginning with the line (or, in a JSON file, entry) it stands at.
    """
    problems: list[str] = []
    specs: list[Spec] = []
    seen: dict[tuple[str, str], str] = {}
    entries = {"json": _json_entries, "csv": _csv_entries}.get(form, _jsonl_entries)
    for place, entry in entries(text, problems):
        try:
            spec = make_spec(entry)
            clashes = [_clash(seen, name, value, place) for name, value in (("key", spec.key), ("job_id", spec.job_id))]
            problems += [clash for clash in clashes if clash]
            specs.append(resolve(spec) if resolve else spec)
        except ManifestError as error:
            problems += [f"{place}: {problem}" for problem in error.problems]
    if not specs and not problems:
        problems.append(f"the manifest is empty: write {SHAPES.get(form, SHAPES['jsonl'])}")
    if problems:
        raise ManifestError(problems)
    return specs


def _clash(seen: dict[tuple[str, str], str], name: str, value: str | None, place: str) -> str | None:
    if value is None:
        return None
    first = seen.setdefault((name, value), place)
    return None if first is place else f"{place}: {name} {value!r} stands already at {first}; make it unique"


def _problems(line: _Line) -> Iterator[str]:
    texts = (("key", line.key, MAX_KEY), ("job_id", line.job_id, MAX_JOB_ID), ("type", line.type or None, MAX_KEY))
    for name, text, most in texts:
        if text is not None and (not text.strip() or len(text) > most or CONTROL.search(text)):
            yield f"{name} must be 1 to {most} characters without control characters"
    if line.deadline_seconds is not None and not line.deadline_seconds > 0:
        yield "deadline_seconds must be positive"
    if not line.weight > 0:
        yield "weight must be positive"
    if line.job_id is not None:
        if line.input or line.file:
            yield "job_id watches a job that already runs: input and file do not go with it"
    else:
        yield from _create_problems(line)


def _create_problems(line: _Line) -> Iterator[str]:
    if line.type not in KINDS:
        named = f"type {line.type!r} is not known" if line.type else "type (or job_id) is missing"
        yield f"{named}; the types are {', '.join(KINDS)}"
    if (line.file is not None) != (line.type == ASSET_INGEST) and line.type in KINDS:
        yield f"{ASSET_INGEST} needs a file" if line.file is None else f"file goes with {ASSET_INGEST} only"
    if line.type == "image_generation" and not str(line.input.get("prompt") or "").strip():
        yield "image_generation needs input.prompt"


def _jsonl_entries(text: str, problems: list[str]) -> Iterator[tuple[str, dict[str, JSON]]]:
    for number, line in enumerate(text.removeprefix("\ufeff").split("\n"), 1):
        if line.strip():
            yield from _entry(f"line {number}", line, problems)


def _entry(
    place: str, text: str, problems: list[str], shape: str = "a JSON object"
) -> Iterator[tuple[str, dict[str, JSON]]]:
    try:
        entry = strictjson.loads(text.encode("utf-8", "surrogatepass"))
    except ValueError as problem:
        problems.append(f"{place}: not valid JSON ({problem})")
        return
    if isinstance(entry, dict):
        yield place, entry
    else:
        problems.append(f"{place}: must be {shape}")


def _json_entries(text: str, problems: list[str]) -> Iterator[tuple[str, dict[str, JSON]]]:
    for _, document in _entry("the manifest", text, problems, SHAPES["json"]):
        defaults, specs = document.get("defaults", {}), document.get("specs")
        if not isinstance(specs, list) or not isinstance(defaults, dict) or set(document) - {"defaults", "specs"}:
            problems.append(f"the manifest: must be {SHAPES['json']}")
            return
        for number, entry in enumerate(specs, 1):
            if isinstance(entry, dict):
                yield f"entry {number}", _with_defaults(defaults, entry)
            else:
                problems.append(f"entry {number}: must be a JSON object")


def _with_defaults(defaults: dict[str, JSON], entry: dict[str, JSON]) -> dict[str, JSON]:
    if "job_id" in entry:
        defaults = {name: value for name, value in defaults.items() if name not in ("type", "input", "file")}
    merged = defaults | entry
    if isinstance(defaults.get("input"), dict) and isinstance(entry.get("input", {}), dict):
        merged["input"] = defaults["input"] | entry.get("input", {})
    return merged


def _csv_entries(text: str, problems: list[str]) -> Iterator[tuple[str, dict[str, JSON]]]:
    reader = csv.DictReader(io.StringIO(text.removeprefix("\ufeff")), restkey="\0extra", strict=True)
    try:
        names = reader.fieldnames or ()
        if len(set(names)) < len(names):
            problems.append("line 1: two columns have the same name")
            return
        for row in reader:
            place = f"line {reader.line_num}"
            if "\0extra" in row:
                problems.append(f"{place}: more cells than the header has columns")
                continue
            yield place, _csv_entry(row.items())
    except csv.Error as problem:
        problems.append(f"line {reader.reader.line_num}: not valid CSV ({problem})")


def _csv_entry(cells: Iterable[tuple[str, str | None]]) -> dict[str, JSON]:
    entry: dict[str, JSON] = {}
    for name, cell in cells:
        if not cell:
            continue
        value = cell if name in CSV_TEXT else _csv_value(cell)
        if name in FIELDS and name != "input":
            entry[name] = value
        elif name == "input" and isinstance(value, dict):
            entry["input"] = entry.get("input", {}) | value
        else:
            entry.setdefault("input", {})[name.removeprefix("input.")] = value
    return entry


def _csv_value(cell: str) -> JSON:
    try:
        value = strictjson.loads(cell.encode())
    except ValueError:
        return cell
    return cell if isinstance(value, str) else value
