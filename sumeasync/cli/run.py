"""``sumeasync run``: carry a manifest out, or go on with it."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from sumeasync.cli import options

__all__ = ["run"]

DEFAULT_OUT = Path("outputs")


def run(
    manifest: options.Manifest,
    out: Annotated[Path, typer.Option("--out", metavar="DIR", help="The output directory.")] = DEFAULT_OUT,
    form: options.Form = None,
    dialect: options.Dialect = None,
    base_url: options.BaseUrl = None,
    key_file: options.KeyFile = None,
    config: options.Config = None,
    poll: options.Poll = None,
    max_in_flight: options.MaxInFlight = None,
    read_rate: options.ReadRate = None,
    create_rate: options.CreateRate = None,
    no_download: Annotated[bool, typer.Option("--no-download", help="Leave media where they are.")] = False,
    learn_from: options.LearnFrom = None,
    no_learn: options.NoLearn = False,
    no_sweep: options.NoSweep = False,
    keep_links: options.KeepLinks = False,
    recreate_unknown: Annotated[
        bool, typer.Option("--recreate-unknown", help="Create again what may exist: it may be paid twice.")
    ] = False,
    on_timeout: Annotated[
        Literal["leave", "cancel"],
        typer.Option("--on-timeout", help="A job past its deadline: left running, or canceled (dialect open)."),
    ] = "leave",
    quiet: options.Quiet = False,
    json: options.Json = False,
    verbose: options.Verbose = 0,
    log_format: options.LogFormat = "console",
    log_level: options.LogLevel = None,
    log_file: options.LogFile = None,
) -> None:
    """Create every job of MANIFEST, wait for all of them, save results and media.

    Run it again on the same --out to go on: nothing is created, fetched or saved twice.

    Exit codes: 0 all completed, 1 some did not, 2 usage or manifest, 3 deadline passed and jobs still run, 4 API key
    refused, 5 not enough credits, 6 creates without an answer, 7 local storage, 130/143 interrupted.
    """
    from sumeasync.cli.batch import Logging, Show, carry_out
    from sumeasync.cli.manifest import read_manifest

    settings = options.load_settings(
        config,
        poll,
        dialect=dialect,
        max_in_flight=max_in_flight,
        read_rate=read_rate,
        create_rate=create_rate,
        download=False if no_download else None,
        keep_links=keep_links or None,
        recreate_unknown=recreate_unknown or None,
        on_timeout=on_timeout if on_timeout != "leave" else None,
        **options.learning(no_learn, no_sweep, learn_from),
    )
    code = carry_out(
        read_manifest(manifest, form),
        settings=settings,
        out=str(out),
        api_key=options.read_key(key_file),
        base_url=base_url,
        show=Show(json=json, quiet=quiet, keep_links=settings.keep_links),
        logging=Logging(log_format, log_level, verbose, str(log_file) if log_file else None),
    )
    raise typer.Exit(code)
