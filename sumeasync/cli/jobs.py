"""``sumeasync jobs``: look at the jobs of the key, one request at a time."""

from __future__ import annotations

from collections.abc import AsyncIterator, Coroutine
from typing import TYPE_CHECKING, Annotated, Any, get_args

import typer

from sumeasync.cli import options

if TYPE_CHECKING:
    from sumeasync.models import JSON, JobView
    from sumeasync.sume import Sume

__all__ = ["app"]

app = typer.Typer(help="Look at the jobs of the key, one request at a time.", no_args_is_help=True)
JobId = Annotated[str, typer.Argument(metavar="JOB_ID", help="The job's id.")]
PAGE = 100


@app.command("list")
def list_jobs(
    type: Annotated[str | None, typer.Option("--type", help="Only this type, e.g. video_generation.")] = None,
    status: Annotated[str | None, typer.Option("--status", help="Only this status, e.g. running.")] = None,
    limit: Annotated[int, typer.Option("--limit", min=1, max=PAGE, help="How many; one request.")] = 20,
    all_jobs: Annotated[bool, typer.Option("--all", help="All of them; one request a hundred.")] = False,
    dialect: options.Dialect = None,
    base_url: options.BaseUrl = None,
    key_file: options.KeyFile = None,
    json: options.Json = False,
) -> None:
    """List jobs, newest first as a rule."""
    sume = connect(dialect, base_url, key_file)
    if status is not None:
        doubt(status)
    run_now(show_list(sume, pages(sume, type, status, None if all_jobs else limit), json=json))


@app.command("get")
def get(
    job_id: JobId,
    dialect: options.Dialect = None,
    base_url: options.BaseUrl = None,
    key_file: options.KeyFile = None,
    json: options.Json = False,
) -> None:
    """Show how one job stands."""
    sume = connect(dialect, base_url, key_file)

    async def show() -> None:
        from sumeasync.cli.streams import Results
        from sumeasync.cli.wording import failure_text

        async with sume:
            job = await sume.job(job_id)
        text = job_json(job) if json else job_row(job)
        if job.error is not None and not json:
            text += failure_text(job.error) + "\n"
        await Results().write(text)

    run_now(show())


@app.command("result", short_help="Show the result of a completed job as JSON.")
def result(
    job_id: JobId,
    keep_links: options.KeepLinks = False,
    dialect: options.Dialect = None,
    base_url: options.BaseUrl = None,
    key_file: options.KeyFile = None,
) -> None:
    """Show the result of a completed job as JSON, every link reduced to its host."""
    sume = connect(dialect, base_url, key_file)

    async def show() -> None:
        from sumeasync.cli.streams import Results
        from sumeasync.cli.wording import presentable, pretty

        async with sume:
            payload: JSON = await sume.result(job_id)
        await Results().write(pretty(presentable(payload, keep_links=keep_links)) + "\n")

    run_now(show())


def connect(dialect: str | None, base_url: str | None, key_file: Any) -> Sume:
    """The API, not yet opened. Raises UsageError."""
    from sumeasync.sume import Sume

    settings = options.load_settings(None, None, dialect=dialect)
    return Sume(api_key=options.read_key(key_file), base_url=base_url, settings=settings)


def doubt(status: str) -> None:
    """Say so when a status is none that is known here; the server may know more."""
    from sumeasync.dialects.reading import Status, read_status

    if read_status(status)[0] is None:
        known = ", ".join(get_args(Status))
        typer.echo(f"note: {status!r} is no status known here; those are {known}", err=True)


async def show_list(sume: Sume, jobs: AsyncIterator[JobView], *, json: bool) -> None:
    """Show jobs as they come: a line each, for readers below a header, or the word that there are none."""
    from sumeasync.cli.streams import Results

    results, none = Results(), True
    async with sume:
        async for job in jobs:
            if none and not json:
                await results.write(row("id", "type", "status", "created"))
            none = False
            if not await results.write(job_json(job) if json else job_row(job)):
                return
    if none and not json:
        await results.write("no jobs\n")


def run_now(main: Coroutine[Any, Any, None]) -> None:
    """Run to the end."""
    import asyncio

    asyncio.run(main)


async def pages(sume: Sume, type: str | None, status: str | None, limit: int | None) -> AsyncIterator[JobView]:
    """Jobs from the list; all of them when there is no `limit`."""
    if limit is None:
        async for job in sume.iter_jobs(type=type, status=status):
            yield job
    else:
        for job in (await sume.jobs(limit, None, type, status)).jobs:
            yield job


def row(*cells: str) -> str:
    """Cells in columns; the widths are those of usual values, as not all rows are known in advance."""
    return f"{cells[0]:<22}  {cells[1]:<20}  {cells[2]:<10}  {cells[3]}".rstrip() + "\n"


def job_row(job: JobView) -> str:
    """One job as one line."""
    from datetime import UTC, datetime

    from sumeasync.core import redact

    created = ""
    if job.created_at is not None:
        created = datetime.fromtimestamp(job.created_at, UTC).strftime("%Y-%m-%d %H:%M:%SZ")
    return row(redact.escape(job.id), redact.escape(job.type), redact.escape(job.word or "?"), created)


def job_json(job: JobView) -> str:
    """One job as one line of JSON."""
    import msgspec

    from sumeasync.core import redact

    error = None
    if job.error is not None:
        error = msgspec.structs.replace(job.error, message=redact.text(job.error.message))
    document = {
        "id": job.id,
        "type": job.type,
        "status": job.status,
        "word": job.word,
        "created_at": job.created_at,
        "started_at": job.started_at,
        "completed_at": job.completed_at,
        "error": error,
    }
    return msgspec.json.encode(document).decode() + "\n"
