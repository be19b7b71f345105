"""``sumeasync run``: carry a manifest out, or go on with it."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from sumeasync.cli import options
from sumeasync.cli.groups import Access, Pace, Says, grouped

__all__ = ["run"]

DEFAULT_OUT = Path("outputs")


@grouped
def run(
    manifest: options.Manifest,
    *,
    out: Annotated[Path, typer.Option("--out", metavar="DIR", help="The output directory.")] = DEFAULT_OUT,
    form: options.Form = None,
    access: Access,
    pace: Pace,
    create_rate: options.CreateRate = None,
    no_download: Annotated[bool, typer.Option("--no-download", help="Leave media where they are.")] = False,
    keep_links: options.KeepLinks = False,
    recreate_unknown: Annotated[
        bool, typer.Option("--recreate-unknown", help="Create again what may exist: it may be paid twice.")
    ] = False,
    on_timeout: Annotated[
        Literal["leave", "cancel"],
        typer.Option("--on-timeout", help="A job past its deadline: left running, or canceled (dialect open)."),
    ] = "leave",
    same_account: options.SameAccount = False,
    says: Says,
) -> None:
    """Create every job of MANIFEST, wait for all of them, save results and media.

    Run it again on the same --out to go on: nothing is created, fetched or saved twice.

    Exit codes: 0 all completed, 1 some did not, 2 usage or manifest, 3 deadline passed and jobs still run, 4 API key
    refused, 5 not enough credits, 6 creates without an answer, 7 local storage, 130/143 interrupted. They speak of the
    specs of MANIFEST, finished now or earlier.
    """
    from sumeasync.cli.batch import carry_out
    from sumeasync.cli.manifest import read_manifest

    settings = pace.settings(
        dialect=access.dialect,
        create_rate=create_rate,
        download=False if no_download else None,
        keep_links=keep_links or None,
        recreate_unknown=recreate_unknown or None,
        same_account=same_account or None,
        on_timeout=on_timeout if on_timeout != "leave" else None,
    )
    code = carry_out(
        read_manifest(manifest, form),
        settings=settings,
        out=str(out),
        api_key=access.api_key(),
        base_url=access.base_url,
        show=says.show(keep_links=settings.keep_links),
        logging=says.logging(),
    )
    raise typer.Exit(code)
