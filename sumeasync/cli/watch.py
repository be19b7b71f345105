"""``sumeasync watch``: wait for jobs that run already."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from sumeasync.cli import options
from sumeasync.cli.groups import Access, Pace, Says, grouped

__all__ = ["watch"]


@grouped
def watch(
    job_ids: Annotated[list[str], typer.Argument(metavar="JOB_ID...", help="Jobs created anywhere by this key.")],
    *,
    out: Annotated[
        Path | None, typer.Option("--out", metavar="DIR", help="Save results and media; without it results are shown.")
    ] = None,
    access: Access,
    pace: Pace,
    keep_links: options.KeepLinks = False,
    same_account: options.SameAccount = False,
    says: Says,
) -> None:
    """Wait for jobs by their ids and show, or save, what comes of them.

    Exit codes are those of `sumeasync run`.
    """
    from sumeasync.cli.batch import carry_out
    from sumeasync.cli.manifest import adopt

    settings = pace.settings(
        dialect=access.dialect,
        keep_links=keep_links or None,
        same_account=same_account or None,
        download=None if out else False,
    )
    code = carry_out(
        adopt(job_ids),
        settings=settings,
        out=str(out) if out else None,
        api_key=access.api_key(),
        base_url=access.base_url,
        show=says.show(keep_links=settings.keep_links),
        logging=says.logging(),
    )
    raise typer.Exit(code)
