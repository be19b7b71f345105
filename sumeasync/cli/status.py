"""``sumeasync status``: where a run stands, from what it left on disk. Reads only: no lock, no network, no key."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from sumeasync.cli import options

if TYPE_CHECKING:
    from sumeasync.cli.standing import Standing

__all__ = ["status"]


def status(
    out: Annotated[Path, typer.Argument(metavar="OUT", help="The output directory of a run.")] = Path("outputs"),
    all_ids: Annotated[bool, typer.Option("--all", help="List every open job, however many.")] = False,
    json: options.Json = False,
) -> None:
    """Show where a run stands; also while it is under way."""
    import asyncio

    import msgspec

    from sumeasync.cli.standing import read_standing
    from sumeasync.errors import UsageError

    if not out.is_dir():
        raise UsageError(f"there is no directory {str(out)!r}")
    standing = asyncio.run(read_standing(out))
    if json:
        typer.echo(msgspec.json.encode(standing).decode())
        return
    for line in describe(standing, str(out), all_ids=all_ids):
        typer.echo(line)


def describe(standing: Standing, out: str, *, all_ids: bool) -> list[str]:
    """The standing in words."""
    from sumeasync.cli.summary import MAX_IDS, open_lines
    from sumeasync.cli.wording import bytes_text, count, counts_text, holder_text, quoted

    lines = [holder_text(standing.holder)] if standing.holder else []
    lines.append(f"specs: {counts_text(standing.specs) or 'none'}")
    lines.append(f"outcomes: {counts_text(standing.outcomes) or 'none yet'}")
    lines.append(f"media: {count(standing.media_files, 'file')}, {bytes_text(standing.media_bytes)}")
    groups = (
        ("open", standing.unfinished),
        ("without an answer, perhaps paid", standing.unknown),
        ("refused, not paid", standing.refused),
    )
    for words, items in groups:
        if items:
            lines.append(f"{words}: {len(items):,}")
            lines += open_lines(items, out, cap=None if all_ids else MAX_IDS)
    if standing.unfinished or standing.unknown or standing.refused:
        lines.append(f"go on with: sumeasync run MANIFEST --out {quoted(out)}")
    else:
        lines.append("nothing is open")
    return lines
