"""``sumeasync jobs``: look at the jobs of the key, one request at a time."""

from __future__ import annotations

from collections.abc import AsyncIterator, Coroutine
from typing import TYPE_CHECKING, Annotated, Any

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
    from sumeasync.cli.streams import Results

    sume = connect(dialect, base_url, key_file)

    async def show() -> None:
        results = Results()
        if not json:
            await results.write(row("id", "type", "status", "created"))
        async with sume:
            async for job in pages(sume, type, status, None if all_jobs else limit):
                if not await results.write(job_json(job) if json else job_row(job)):
                    return

    run_now(show())


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


@app.command("result")
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
        from sumeasync.cli.wording import hide_links, pretty

        async with sume:
            payload: JSON = await sume.result(job_id)
        await Results().write(pretty(payload if keep_links else hide_links(payload)) + "\n")

    run_now(show())


def connect(dialect: str | None, base_url: str | None, key_file: Any) -> Sume:
    """The API, not yet opened. Raises UsageError."""
    from sumeasync.sume import Sume

    settings = options.load_settings(None, None, dialect=dialect)
    return Sume(api_key=options.read_key(key_file), base_url=base_url, settings=settings)


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
