"""``sumeasync watch``: wait for jobs that run already."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from sumeasync.cli import options

__all__ = ["watch"]


def watch(
    job_ids: Annotated[list[str], typer.Argument(metavar="JOB_ID...", help="Jobs created anywhere by this key.")],
    out: Annotated[
        Path | None, typer.Option("--out", metavar="DIR", help="Save results and media; without it results are shown.")
    ] = None,
    dialect: options.Dialect = None,
    base_url: options.BaseUrl = None,
    key_file: options.KeyFile = None,
    config: options.Config = None,
    poll: options.Poll = None,
    max_in_flight: options.MaxInFlight = None,
    read_rate: options.ReadRate = None,
    learn_from: options.LearnFrom = None,
    no_learn: options.NoLearn = False,
    no_sweep: options.NoSweep = False,
    keep_links: options.KeepLinks = False,
    quiet: options.Quiet = False,
    json: options.Json = False,
    verbose: options.Verbose = 0,
    log_format: options.LogFormat = "console",
    log_level: options.LogLevel = None,
    log_file: options.LogFile = None,
) -> None:
    """Wait for jobs by their ids and show, or save, what comes of them.

    Exit codes are those of `sumeasync run`.
    """
    from sumeasync.cli.batch import Logging, Show, carry_out
    from sumeasync.cli.manifest import adopt

    settings = options.load_settings(
        config,
        poll,
        dialect=dialect,
        max_in_flight=max_in_flight,
        read_rate=read_rate,
        keep_links=keep_links or None,
        download=None if out else False,
        **options.learning(no_learn, no_sweep, learn_from),
    )
    code = carry_out(
        adopt(job_ids),
        settings=settings,
        out=str(out) if out else None,
        api_key=options.read_key(key_file),
        base_url=base_url,
        show=Show(json=json, quiet=quiet, keep_links=settings.keep_links),
        logging=Logging(log_format, log_level, verbose, str(log_file) if log_file else None),
    )
    raise typer.Exit(code)
