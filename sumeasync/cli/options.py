"""Options that several commands share, and the settings made of them."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from sumeasync.errors import UsageError

if TYPE_CHECKING:
    from sumeasync.core.settings import Settings

__all__ = [
    "BaseUrl",
    "Config",
    "CreateRate",
    "Dialect",
    "Form",
    "Json",
    "KeepLinks",
    "KeyFile",
    "LearnFrom",
    "LogFile",
    "LogFormat",
    "LogLevel",
    "Manifest",
    "MaxInFlight",
    "NoLearn",
    "NoSweep",
    "Poll",
    "Quiet",
    "ReadRate",
    "SameAccount",
    "Verbose",
    "load_settings",
    "read_key",
]

FormName = Literal["jsonl", "json", "csv"]
LogFormatName = Literal["console", "json"]
LogLevelName = Literal["debug", "info", "warning", "error", "critical"]

Manifest = Annotated[str, typer.Argument(metavar="MANIFEST", help="JSONL, .json or .csv; - is standard input.")]
Form = Annotated[FormName | None, typer.Option("--format", help="Of the manifest, whatever its name.")]
BaseUrl = Annotated[
    str | None, typer.Option("--base-url", metavar="URL", help="Where the API lives; wins over SUME_API_BASE_URL.")
]
Dialect = Annotated[
    Literal["so", "open"] | None,
    typer.Option("--dialect", help="The API's surface: so (www.sume.so), or open (api.open.sume.com)."),
]
KeyFile = Annotated[
    Path | None, typer.Option("--key-file", metavar="FILE", help="Read the API key from FILE, not SUME_API_KEY.")
]
Config = Annotated[Path | None, typer.Option("--config", metavar="TOML", help="Settings; flags win over them.")]
Poll = Annotated[
    list[str] | None,
    typer.Option("--poll", metavar="TYPE.FIELD=SECONDS", help="e.g. video_generation.interval=8; may be repeated."),
]
MaxInFlight = Annotated[int | None, typer.Option("--max-in-flight", metavar="N", help="Specs under way at once.")]
ReadRate = Annotated[
    str | None, typer.Option("--read-rate", metavar="N/m", help="Most polls and results, e.g. 120/m, 10/s.")
]
CreateRate = Annotated[str | None, typer.Option("--create-rate", metavar="N/m", help="Most creates, e.g. 10/m.")]
LearnFrom = Annotated[
    Path | None,
    typer.Option("--learn-from", metavar="DIR", help="Begin with the durations seen in the --out of another run."),
]
NoLearn = Annotated[bool, typer.Option("--no-learn", help="Poll at the configured intervals, whatever is seen.")]
NoSweep = Annotated[bool, typer.Option("--no-sweep", help="Leave the job list alone; ask about each job by itself.")]
KeepLinks = Annotated[bool, typer.Option("--keep-links", help="Show and keep full media links; they are secrets.")]
SameAccount = Annotated[
    bool, typer.Option("--same-account", help="Go on in --out with another key: it was renewed, of the same account.")
]
Quiet = Annotated[bool, typer.Option("-q", "--quiet", help="Say nothing unless something is wrong.")]
Json = Annotated[bool, typer.Option("--json", help="Standard output for machines: one JSON document a line.")]
Verbose = Annotated[int, typer.Option("-v", "--verbose", count=True, show_default=False, help="Log more: -v, -vv.")]
LogFormat = Annotated[LogFormatName, typer.Option("--log-format", help="How log lines on standard error look.")]
LogLevel = Annotated[
    LogLevelName | None,
    typer.Option("--log-level", help="What is logged; by default warnings, and in a --log-file also steps."),
]
LogFile = Annotated[Path | None, typer.Option("--log-file", metavar="FILE", help="Append logs to FILE as JSON lines.")]


def load_settings(config: Path | None, polls: list[str] | None, **flags: object) -> Settings:
    """The settings of a run. Raises SettingsError, or UsageError when the file cannot be read."""
    from sumeasync.core.settings import Settings

    text = ""
    if config is not None:
        try:
            text = config.read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as problem:
            reason = getattr(problem, "strerror", None) or "not UTF-8 text"
            raise UsageError(f"the settings file {str(config)!r} cannot be read: {reason}") from None
    return Settings.load(text, polls=polls or (), **flags)


def read_key(path: Path | None) -> str | None:
    """The API key of a key file; None leaves it to the environment. Raises UsageError."""
    if path is None:
        return None
    from sumeasync.io.credentials import read_key_file

    return read_key_file(str(path))
