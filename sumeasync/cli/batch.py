"""One batch from the command line: the engine, what is shown of it, the signals, the end."""

from __future__ import annotations

import asyncio
import logging
import os
import shlex
import stat
import sys
from collections.abc import Coroutine, Iterable
from contextlib import ExitStack, nullcontext
from importlib import import_module
from importlib.util import find_spec
from typing import Any, Literal, TextIO, cast

import msgspec
from rich.console import Console

from sumeasync import logs
from sumeasync.cli.exits import explain
from sumeasync.cli.interrupts import Interrupts
from sumeasync.cli.manifest import Manifest
from sumeasync.cli.progress import can_be_live, live_display
from sumeasync.cli.streams import Results, Voice
from sumeasync.cli.summary import attention, summary
from sumeasync.cli.wording import outcome_line, presentable, pretty
from sumeasync.core.report import EXIT_CODES, Report
from sumeasync.core.settings import Settings
from sumeasync.engine import Engine, Run
from sumeasync.errors import StorageError, SumeError
from sumeasync.io.sink import line as json_line
from sumeasync.models import Outcome

__all__ = ["Logging", "Show", "Stage", "carry_out", "run_loop", "this_command"]

LEVELS = ("warning", "info", "debug")


class Show(msgspec.Struct, frozen=True):
    """What of a batch is shown: JSON lines or words, little or nothing, links or only their hosts."""

    json: bool = False
    quiet: bool = False
    keep_links: bool = False


class Logging(msgspec.Struct, frozen=True):
    """What is logged and where to: standard error, and `file` as well."""

    format: Literal["console", "json"] = "console"
    level: str | None = None
    verbose: int = 0
    file: str | None = None

    def configure(self, voice: Voice) -> ExitStack:
        """Set the logs up. Without a level, standard error stays calm and a file gets every step."""
        calm = self.level or LEVELS[min(self.verbose, 2)]
        level = "info" if self.file and calm == "warning" and self.level is None else calm
        undo = logs.configure(format=self.format, level=level, stream=cast(TextIO, voice), file=self.file)
        logging.getLogger().handlers[0].setLevel(calm.upper())  # the first one is standard error
        return undo


def this_command() -> str:
    """The command line as it was typed, fit to be pasted."""
    return shlex.join(["sumeasync", *sys.argv[1:]])


class Stage:
    """One batch on its way: what it says where, and how it ends.

    Args:
        show: What is shown.
        out: The output directory, if there is one.
        command: What to type to go on.
    """

    def __init__(self, show: Show, *, out: str | None, command: str) -> None:
        self.voice = Voice()
        self._show = show
        self._out = out
        self._command = command
        self._results = Results()
        self._console = Console(stderr=True, highlight=False)
        self._shared_terminal = sys.stdout.isatty()
        undisturbed = not show.json if self._shared_terminal else not is_pipe(sys.stdout)
        self._live = not show.quiet and undisturbed and can_be_live(self._console)
        self.interrupts = Interrupts(hidden_cursor=self._live)

    async def perform(self, engine: Engine, manifest: Manifest) -> int:
        """Run the whole batch; returns the exit code. Raises SumeError when it could not begin."""
        report: Report | None = None
        try:
            async with engine:
                run = engine.run(manifest.specs, total=len(manifest.specs), manifest_sha256=manifest.sha256)
                self.interrupts.attach(lambda: self._drain(run))
                display = live_display(self.voice, self._console, run) if self._live else nullcontext()
                async with display:
                    error = await self._follow(run)
                report = run.report()
        except StorageError as problem:  # on leaving, of the journal: all the more must the open ids be told
            if report is None:
                raise
            error = problem
        disk_failed = isinstance(error, StorageError)
        code = self.interrupts.exit_code or (EXIT_CODES["storage"] if disk_failed else report.exit_code)
        if error is not None:
            self._say(explain(error))
        if not self._show.quiet:
            self._say(summary(report, self._out))
        if code:
            self._say(attention(report, not_begun(run), self._command, self._out, all_ids=disk_failed))
        return code

    def _say(self, lines: Iterable[str]) -> None:
        for line in lines:
            self.voice.say(line)

    def _drain(self, run: Run) -> None:
        run.drain()
        self.voice.say("stopping: nothing new is created, running jobs keep their ids; Ctrl-C again leaves at once")

    async def _follow(self, run: Run) -> SumeError | None:
        """Show every outcome as it comes; returns what ended the run early, if anything."""
        try:
            async for outcome in run:
                if not await self._tell(outcome) and self._out is None:
                    run.drain()  # what comes is kept nowhere and read by nobody
        except SumeError as error:
            return error
        return None

    async def _tell(self, outcome: Outcome) -> bool:
        """Show one outcome; False when nobody reads standard output any more."""
        show = self._show
        if self._out is None:
            shown = presentable(outcome.result, keep_links=show.keep_links)
            outcome = msgspec.structs.replace(outcome, result=shown)
        if show.json:
            return await self._results.write(json_line(outcome).decode())
        if show.quiet:
            return True
        text = outcome_line(outcome)
        if self._out is None and outcome.result is not None:
            text += "\n" + pretty(outcome.result)
        if not (self._live and self._shared_terminal):
            return await self._results.write(text + "\n")
        if self._out is None or not outcome.ok:  # the display counts the others
            self.voice.say(text)
        return True


def is_pipe(stream: TextIO) -> bool:
    """Whether what is written goes to another program, which may write to the same terminal as a display."""
    try:
        mode = os.fstat(stream.fileno()).st_mode
    except (OSError, ValueError):
        return False
    return stat.S_ISFIFO(mode) or stat.S_ISSOCK(mode)


def not_begun(run: Run) -> int:
    """The specs that have neither a job nor an outcome: not taken in, still queued, or left alone."""
    counts = run.statistics
    waiting = sum(type.queued for type in counts.types.values())
    return max(0, (run.total or 0) - counts.specs) + waiting + counts.not_started


def run_loop(main: Coroutine[Any, Any, int]) -> int:
    """Run on uvloop where it is installed, else on asyncio."""
    factory = import_module("uvloop").new_event_loop if find_spec("uvloop") else None
    with asyncio.Runner(loop_factory=factory) as runner:
        return runner.run(main)


def carry_out(
    manifest: Manifest,
    *,
    settings: Settings,
    out: str | None,
    api_key: str | None,
    base_url: str | None,
    show: Show,
    logging: Logging,
) -> int:
    """Run a batch from beginning to end; returns the exit code. Raises SumeError when it could not begin."""
    stage = Stage(show, out=out, command=this_command())

    async def main() -> int:
        engine = Engine(out=out, api_key=api_key, base_url=base_url, settings=settings)
        return await stage.perform(engine, manifest)

    with logging.configure(stage.voice), stage.interrupts.watched():
        return run_loop(main())
