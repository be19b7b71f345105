"""What must hold after every run, whatever went wrong in it; told by the service's ledger and the bytes on the disk.

Charges: no spec is charged more than once. Nothing lost: what was charged is known to the journal, or to a spec that
is still open, and the report names it. Results: each line whole and once. Media: no file with a final name has other
bytes than the service sent, and none that a result names is missing. Secrets: none in any byte on the disk. Requests:
no job had two in flight. Report and journal agree.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from sumeasync.core.history import History, SpecFacts
from sumeasync.core.reconcile import expected_jobs
from sumeasync.core.report import EXIT_CODES, Report
from sumeasync.core.setbacks import may_begin_again
from sumeasync.core.specs import make_spec
from sumeasync.dialects.open import ROUTERS
from sumeasync.dialects.so import CREATES
from sumeasync.errors import ManifestError
from sumeasync.io.replay import replay
from sumeasync.io.sink import RESULTS
from sumeasync.models import ASSET_INGEST, JSON, Spec
from sumeasync.simulator.ledger import body_hash
from sumeasync.simulator.world import World
from sumeasync.testing.canary import spellings
from sumeasync.testing.disk import MemoryDisk

__all__ = ["check", "violations"]

MEDIA_NAME = re.compile(r"media/[^/]+/(job_[0-9a-f]{16})(?:-[0-9]+)?(?:~[0-9]+)?\.(?!part)[a-z0-9]+")
SIGNATURES = (rb"signature(?:=|%3D|\\u003d)", rb"upl_[0-9]{8}")
"""What only signed links and upload headers hold."""


async def check(
    world: World,
    disk: MemoryDisk,
    specs: Iterable[Spec | Mapping[str, JSON]],
    report: Report | None = None,
    *,
    secrets: Sequence[str] = (),
    charges: int = 1,
    dialect: str = "so",
) -> None:
    """Raise AssertionError naming every violation; the arguments are those of `violations`."""
    found = await violations(world, disk, specs, report, secrets=secrets, charges=charges, dialect=dialect)
    if found:
        raise AssertionError("\n".join(found))


async def violations(
    world: World,
    disk: MemoryDisk,
    specs: Iterable[Spec | Mapping[str, JSON]],
    report: Report | None = None,
    *,
    secrets: Sequence[str] = (),
    charges: int = 1,
    dialect: str = "so",
) -> list[str]:
    """Everything that does not hold, in words.

    Args:
        specs: every spec that any run on this disk was given; those that failed, the last one too.
        report: of the last run; None after a crash.
        secrets: texts that must not stand on the disk, in any of their `spellings`.
        charges: how often a spec may be charged: 1, unless unknown creates were sent again on purpose.
        dialect: in which the creates were spelled.
    """
    known = {spec.key: spec for spec in readable(specs)}
    history = (await replay(disk)).history
    lines, found = read_results(disk, crashed=report is None)
    found += charged_twice(world, known.values(), charges, CREATES if dialect == "so" else ROUTERS)
    found += lost(world, history, known) if charges == 1 else ()  # what was sent again is given up
    found += wrong_media(world, disk, lines)
    found += leaks(disk, secrets)
    found += [f"job {job} had two requests in flight" for job in world.ledger.overlaps]
    found += [f"a credential was sent to {route}" for route in world.ledger.key_sightings]
    found += undelivered(history, lines, crashed=report is None)
    if report is not None:
        found += misreported(report, history, known, lines)
    return found


def readable(specs: Iterable[Spec | Mapping[str, JSON]]) -> Iterator[Spec]:
    """The specs that can be run at all."""
    for entry in specs:
        try:
            yield make_spec(entry)
        except ManifestError:
            continue


def read_results(disk: MemoryDisk, *, crashed: bool) -> tuple[list[dict[str, Any]], list[str]]:
    """The result lines, and what is wrong with them: broken ones and double ones.

    After a crash the first broken one ends them: no more of the last write may have reached the disk.
    """
    data = disk.content(RESULTS) if RESULTS in disk.paths() else b""
    found = [] if crashed or not data or data.endswith(b"\n") else [f"{RESULTS} does not end in a newline"]
    lines: list[dict[str, Any]] = []
    for number, text in enumerate(data.split(b"\n")[:-1], 1):
        try:
            lines.append(json.loads(text))
        except ValueError:
            if crashed:
                break
            found.append(f"{RESULTS} line {number} is not JSON")
    times = Counter((line["key"], line["job_id"]) for line in lines)
    return lines, found + [f"{RESULTS} has {count} lines for {name}" for name, count in times.items() if count > 1]


def charged_twice(world: World, specs: Iterable[Spec], charges: int, creates: Mapping[str, str]) -> Iterator[str]:
    """Accepted creates beyond one a spec, by body where the body is the spec's alone, and by path (of each type)."""
    bodies: Counter[str] = Counter()
    paths: Counter[str] = Counter()
    for spec in specs:
        if spec.job_id is None:
            paths[creates.get(spec.type, "")] += charges
            if spec.type != ASSET_INGEST:  # its body names the upload, which may have been made anew
                bodies[body_hash(creates[spec.type], spec.input)] += charges
    ledger = world.ledger
    for path, count in ledger.creates.items():
        if count > paths[path]:
            yield f"{count} creates were accepted at {path} for {paths[path]} specs"
    for body, allowed in bodies.items():
        if len(ledger.accepted.get(body, ())) > allowed:
            yield f"a create was charged more than {allowed} times: {ledger.accepted[body]}"


def lost(world: World, history: History, specs: Mapping[str, Spec]) -> Iterator[str]:
    """Charged jobs that neither the journal knows nor a spec with an open create can be the owner of."""
    recorded = {job.id for facts in history.all() for job in facts.jobs}
    opened: Counter[str] = Counter()
    for facts in history.all():
        if facts.phase in ("intended", "unknown") and facts.key in specs:
            opened[facts.type] += expected_jobs(specs[facts.key])
    astray: dict[str, list[str]] = {}
    for job_id in world.ledger.charges:
        if job_id not in recorded:
            astray.setdefault(world.find(job_id).type, []).append(job_id)
    for type, ids in astray.items():
        if len(ids) > opened[type]:
            yield f"jobs of type {type} were charged and are lost: {ids}, open creates: {opened[type]}"


def wrong_media(world: World, disk: MemoryDisk, lines: Iterable[Mapping[str, Any]]) -> Iterator[str]:
    """Files under a final name whose bytes the service never sent, and files that a result names in vain."""
    paths = set(disk.paths())
    for path in paths:
        name = MEDIA_NAME.fullmatch(path)
        if name is not None and disk.content(path) not in sent_for(world, name[1]):
            yield f"{path} has bytes that were never sent"
    for line in lines:
        for file in line["files"]:
            data = disk.content(file["path"]) if file["path"] in paths else None
            if data is None or (len(data), hashlib.sha256(data).hexdigest()) != (file["bytes"], file["sha256"]):
                yield f"{file['path']} is not the file that the result of {line['key']} names"


def sent_for(world: World, job_id: str) -> tuple[bytes, ...]:
    """The files the service has for a job."""
    job = world.find(job_id)
    media = world.media(job)
    return (*((media.read(),) if media else ()), world.thumbnail(job).read())


def leaks(disk: MemoryDisk, secrets: Sequence[str]) -> Iterator[str]:
    """Secret texts in the content or the name of a file."""
    marks = [re.escape(form) for secret in secrets for _, form in spellings(secret)]
    pattern = re.compile(b"|".join([*SIGNATURES, *marks]))
    for path in disk.paths():
        if (match := pattern.search(path.encode() + b"\0" + disk.content(path))) is not None:
            yield f"{path} holds a secret: {match[0].decode(errors='replace')[:12]}…"


def undelivered(history: History, lines: Iterable[Mapping[str, Any]], *, crashed: bool) -> Iterator[str]:
    """Lines and `Delivered` records that do not match. After a crash the record of a durable line may be missing."""
    written = {(line["key"], line["job_id"]) for line in lines}
    recorded = set(history.delivered())
    for name in recorded - written:
        yield f"{name} counts as delivered and has no line"
    for name in () if crashed else written - recorded:
        yield f"{name} has a line and does not count as delivered"


def misreported(
    report: Report, history: History, specs: Mapping[str, Spec], lines: Sequence[Mapping[str, Any]]
) -> Iterator[str]:
    """Where the report, its exit code and the journal contradict each other."""
    told = {(one.key, one.job_id) for one in report.unresolved}
    for facts in history.all():
        for name in open_outcomes(facts) - told if facts.key in specs else ():
            yield f"{name} is open ({facts.phase}), and the report does not say so"
    counted = sum(report.statuses.values()) + sum(report.earlier.values())
    open_now = sum(one.status != "running" for one in report.unresolved)  # creates cut off have no outcome
    if not len(lines) <= counted <= len(lines) + open_now:
        yield f"the report counts {counted} outcomes; there are {len(lines)} lines and {open_now} open"
    allowed = exit_codes(report, lines)
    if report.exit_code not in allowed:
        yield f"the exit code is {report.exit_code} and should be one of {sorted(allowed)}"


def open_outcomes(facts: SpecFacts) -> set[tuple[str, str | None]]:
    """What a spec still owes, by job id; nothing when its create was refused for a reason that may pass."""
    if facts.jobs:
        return {(facts.key, job.id) for job in facts.jobs if job.delivered is None}
    waits = facts.phase == "rejected" and facts.error is not None and may_begin_again(facts.error)
    return set() if facts.is_done or waits else {(facts.key, None)}


def exit_codes(report: Report, lines: Iterable[Mapping[str, Any]]) -> set[int]:
    """The exit codes that a report may have, by what it says and what the results hold."""
    left = {one.status for one in report.unresolved}
    if report.stopped is not None:
        return {EXIT_CODES[name] for name in ("some_failed", "auth", "credits", "storage")}
    if "unknown" in left:
        return {EXIT_CODES["unknown"]}
    if "timed_out" in left:
        return {EXIT_CODES["deadline"]}
    done = not left and all(line["status"] == "completed" and not line["error"] for line in lines)
    return {EXIT_CODES["ok" if done else "some_failed"]}
