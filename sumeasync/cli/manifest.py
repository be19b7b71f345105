"""Reading a manifest from a file or from standard input, and looking at the files it names, before anything is sent."""

from __future__ import annotations

import hashlib
import os
import re
import stat
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Literal

import msgspec

from sumeasync.core.specs import make_spec, parse_manifest
from sumeasync.errors import ManifestError, UsageError
from sumeasync.models import Spec

__all__ = ["STDIN", "Form", "Manifest", "adopt", "read_manifest"]

STDIN = "-"
Form = Literal["jsonl", "json", "csv"]
FORMS: dict[str, Form] = {".jsonl": "jsonl", ".ndjson": "jsonl", ".json": "json", ".csv": "csv"}
DOCUMENT = re.compile(r'\ufeff?\s*\{\s*"(?:defaults|specs)"\s*:')


class Manifest(msgspec.Struct, frozen=True):
    """The specs of a manifest, files resolved, and the hex SHA-256 of its bytes."""

    specs: list[Spec]
    sha256: str


def read_manifest(source: str, form: Form | None = None) -> Manifest:
    """Read the manifest at the path `source`, or on standard input when it is ``-``.

    Without a `form` the suffix decides; without one that is known, an object that begins with ``specs`` or
    ``defaults`` is JSON and anything else JSON lines. A relative ``file`` is looked for beside the manifest, then in
    the working directory.

    Raises UsageError when it cannot be read, ManifestError with every problem and its line.
    """
    data = read_bytes(source)
    try:
        text = data.decode()
    except UnicodeDecodeError as problem:
        line = data.count(b"\n", 0, problem.start) + 1
        raise ManifestError([f"line {line}: not UTF-8 text"]) from None
    form = form or FORMS.get(Path(source).suffix.lower()) or ("json" if DOCUMENT.match(text) else "jsonl")
    folders = [Path()] if source == STDIN else [Path(source).parent, Path()]
    specs = parse_manifest(text, form=form, resolve=lambda spec: with_file(spec, folders))
    return Manifest(specs, hashlib.sha256(data).hexdigest())


def adopt(job_ids: Iterable[str]) -> Manifest:
    """A manifest of jobs that run already, each once. Raises ManifestError for an id that cannot be one."""
    specs = [make_spec({"job_id": job_id}) for job_id in dict.fromkeys(job_ids)]
    return Manifest(specs, hashlib.sha256("\n".join(spec.key for spec in specs).encode()).hexdigest())


def read_bytes(source: str) -> bytes:
    try:
        return sys.stdin.buffer.read() if source == STDIN else Path(source).read_bytes()
    except (OSError, ValueError) as problem:
        name = "standard input" if source == STDIN else repr(source)
        reason = getattr(problem, "strerror", None) or "not a usable name"
        raise UsageError(f"the manifest {name} cannot be read: {reason}") from None


def with_file(spec: Spec, folders: list[Path]) -> Spec:
    """The spec with the path at which its file was found, if it has one. Raises ManifestError when that is no use."""
    if spec.file is None:
        return spec
    path = find_file(spec.file, folders)
    if problem := file_problem(path):
        raise ManifestError([f"the file {spec.file!r} {problem}"])
    # The hash stays that of the line as written, so that a run may be resumed from another folder.
    return msgspec.structs.replace(spec, file=str(path))


def find_file(name: str, folders: list[Path]) -> Path:
    """Where a file is, or would be."""
    candidates = [folder / name for folder in folders]
    return next((path for path in candidates if os.path.exists(path)), candidates[0])


def file_problem(path: Path) -> str | None:
    """What keeps a file from being uploaded, if anything does."""
    try:
        found = path.stat()
    except (OSError, ValueError) as problem:
        return "does not exist" if isinstance(problem, FileNotFoundError) else "cannot be looked at"
    if not stat.S_ISREG(found.st_mode):
        return "is not a regular file"
    if not os.access(path, os.R_OK):
        return "may not be read"
    return None if found.st_size else "is empty"
