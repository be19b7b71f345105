"""The command ``sumeasync``: every group of commands in a module of its own, and how they all end.

Only what parses arguments is imported here; each command imports what it works with when it is called.
"""

from __future__ import annotations

import os
import sys
from typing import Annotated

import typer

from sumeasync.cli import demo, jobs, plan, run, simulate, status, watch
from sumeasync.cli.exits import interrupted, report_bug, report_error
from sumeasync.errors import SumeError

__all__ = ["app", "main"]

app = typer.Typer(
    name="sumeasync",
    help="Create, poll, fetch and save very many Sume jobs at once: nothing paid twice, nothing lost.",
    epilog="The API key is read from SUME_API_KEY or --key-file, the base URL from SUME_API_BASE_URL or --base-url. "
    "Try it for nothing: sumeasync demo",
    no_args_is_help=True,
    pretty_exceptions_enable=False,  # its traces would show local variables, keys among them
    rich_markup_mode=None,  # plain help needs no rich, and answers in half the time
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)
app.command("plan", short_help="Tell how long a manifest will take; nothing is sent.")(plan.plan)
app.command("run", short_help="Carry a manifest out, or go on with it.")(run.run)
app.command("watch", short_help="Wait for jobs that run already.")(watch.watch)
app.add_typer(jobs.app, name="jobs")
app.command("status")(status.status)
app.command("simulate")(simulate.simulate)
app.command("demo", short_help="See it work on a simulated API, for nothing.")(demo.demo)


def show_version(wanted: bool) -> None:
    """Print the version and leave."""
    if wanted:
        from importlib.metadata import version

        typer.echo(f"sumeasync {version('sumeasync')}")
        raise typer.Exit


@app.callback()
def root(
    version: Annotated[
        bool, typer.Option("--version", callback=show_version, is_eager=True, help="Show the version and exit.")
    ] = False,
) -> None:
    """Take the options that stand before any command."""


def main() -> None:
    """Run the command line on `sys.argv`; always ends in `SystemExit`."""
    mend_streams()
    try:
        app(prog_name="sumeasync")
    except SumeError as error:
        sys.exit(report_error(error))
    except KeyboardInterrupt:
        sys.exit(interrupted(2))
    except Exception as error:  # whatever else: a clear end instead of a traceback
        sys.exit(report_bug(error))


def mend_streams() -> None:
    """Give streams that were closed before we began somewhere to write, and writing a way to spell everything."""
    for name in ("stdin", "stdout", "stderr"):
        stream = getattr(sys, name)
        if stream is None:  # takes the free descriptor, so that no file of ours gets it
            setattr(sys, name, open(os.devnull, "r" if name == "stdin" else "w", encoding="utf-8"))  # noqa: SIM115
        elif name != "stdin" and hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")
