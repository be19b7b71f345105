"""Logs: structured events, sanitized before any handler sees them.

Importing this configures nothing and prints nothing. `get_logger` writes to the standard logger ``sumeasync``, which
has no output of its own; an application adds handlers there as usual, or calls `configure`, as the command line does.
In a structlog chain of your own, put `redaction_processor` last before the renderer.
"""

from __future__ import annotations

import json
import logging
import os
import re
import sys
import warnings
from collections.abc import Mapping, MutableMapping
from contextlib import ExitStack, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal, TextIO

import structlog

from sumeasync.core import redact
from sumeasync.errors import SettingsError, StorageError

__all__ = ["Log", "configure", "get_logger", "redaction_processor", "render_console", "render_json"]

NAME = "sumeasync"
_LEVELS = {"debug": 10, "info": 20, "warning": 30, "error": 40, "critical": 50}
_SHORT = {"warning": "warn", "critical": "crit"}
_COLORS = {"debug": "2", "info": "32", "warning": "33", "error": "31", "critical": "1;31"}
_BARE = re.compile(r"[^\s\"'=]+")

logging.getLogger(NAME).addHandler(logging.NullHandler())


class _Shown(dict[str, Any]):
    """An event that `redact` made: the formatter need not sanitize it again."""


def redaction_processor(_: object, __: str, event_dict: MutableMapping[str, Any]) -> dict[str, Any]:
    """Sanitize a structlog event; place it last before the renderer.

    It reads `exc_info`, `stack_info`, `exception` and `positional_args` too, and leaves one JSON-safe value a field.
    """
    return redact.event(event_dict)


def _to_record(_: object, __: str, event_dict: MutableMapping[str, Any]) -> tuple[tuple[str], dict[str, Any]]:
    event = _Shown(event_dict)
    return (_line(event),), {"extra": {NAME: event}, "stacklevel": 3}


_CHAIN = (
    structlog.processors.add_log_level,
    structlog.processors.TimeStamper(fmt="iso", utc=True),
    redaction_processor,
    _to_record,
)


class Log(structlog.BoundLoggerBase):
    """A logger of events: ``log.info("job.completed", job_id="job_1", seconds=12.1)``; `bind` adds fields.

    A call below the standard logger's level costs a dictionary look-up.
    """

    _logger: logging.Logger

    def __repr__(self) -> str:
        return f"<Log {_line(redact.event(self._context))}>"

    def debug(self, event: str, /, *args: object, **fields: object) -> None:
        """Log what only a developer wants to know."""
        if self._logger.isEnabledFor(10):
            self._emit("debug", event, args, fields)

    def info(self, event: str, /, *args: object, **fields: object) -> None:
        """Log a step that went as it should."""
        if self._logger.isEnabledFor(20):
            self._emit("info", event, args, fields)

    def warning(self, event: str, /, *args: object, **fields: object) -> None:
        """Log something unexpected that the run survives."""
        if self._logger.isEnabledFor(30):
            self._emit("warning", event, args, fields)

    def error(self, event: str, /, *args: object, **fields: object) -> None:
        """Log a failure."""
        if self._logger.isEnabledFor(40):
            self._emit("error", event, args, fields)

    def critical(self, event: str, /, *args: object, **fields: object) -> None:
        """Log what ends the run."""
        if self._logger.isEnabledFor(50):
            self._emit("critical", event, args, fields)

    def exception(self, event: str, /, *args: object, **fields: object) -> None:
        """Log a failure with the exception being handled."""
        if self._logger.isEnabledFor(40):
            self._emit("error", event, args, {"exc_info": True, **fields})

    def _emit(self, level: str, event: str, args: tuple[object, ...], fields: dict[str, object]) -> None:
        if args:
            fields["positional_args"] = args
        said, extra = self._process_event(level, event, fields)
        self._logger.log(_LEVELS[level], *said, **extra)


def get_logger(**fields: object) -> Log:
    """Return a logger of sanitized events, with `fields` bound to each; its level is that of ``sumeasync``."""
    return Log(logging.getLogger(NAME), _CHAIN, fields)


def render_json(event: Mapping[str, Any]) -> str:
    """Write a sanitized event as one line of ASCII JSON."""
    return json.dumps(event, ensure_ascii=True, allow_nan=False, separators=(",", ":"))


def render_console(event: Mapping[str, Any], *, colors: bool = False) -> str:
    """Write a sanitized event for a reader: ``12:03:44 info  job.completed  key=hero-01 seconds=12.1`` (UTC)."""
    level = str(event.get("level", ""))
    time, word = str(event.get("timestamp", ""))[11:19], f"{_SHORT.get(level, level):<5}"
    if colors:
        time, word = f"\x1b[2m{time}\x1b[0m", f"\x1b[{_COLORS.get(level, '0')}m{word}\x1b[0m"
    return f"{time} {word} {_line(event)}"


def _line(event: Mapping[str, Any]) -> str:
    pairs = [f"{name}={_said(value)}" for name, value in event.items() if name not in ("timestamp", "level", "event")]
    return "  ".join(filter(None, (str(event.get("event", "")), " ".join(pairs))))


def _said(value: Any) -> str:
    if isinstance(value, str):
        return value if _BARE.fullmatch(value) else '"' + value.replace('"', "'") + '"'
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


class _EventFormatter(logging.Formatter):
    """Any record as one sanitized line."""

    def __init__(self, form: Literal["console", "json"], colors: bool) -> None:
        super().__init__()
        self.form = form
        self.colors = colors

    def format(self, record: logging.LogRecord) -> str:
        event = record.__dict__.get(NAME)
        if type(event) is not _Shown:
            event = _foreign(record)
        return render_json(event) if self.form == "json" else render_console(event, colors=self.colors)


def _foreign(record: logging.LogRecord) -> dict[str, Any]:
    """Sanitize the record of somebody else's logger: its text, arguments and traces."""
    moment = datetime.fromtimestamp(record.created, UTC)
    return redact.event(
        {
            "timestamp": moment.isoformat(timespec="microseconds").replace("+00:00", "Z"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "event": record.msg,
            "positional_args": record.args,
            "exception": record.exc_info or record.exc_text,
            "stack_info": record.stack_info,
        }
    )


class _StreamLines(logging.Handler):
    """Lines to a text stream; a closed one, or one that nobody reads any more, is passed over in silence."""

    def __init__(self, stream: TextIO) -> None:
        super().__init__()
        self.stream = stream

    def emit(self, record: logging.LogRecord) -> None:
        with suppress(Exception):  # a log line is never a reason to fail
            encoding = getattr(self.stream, "encoding", None) or "utf-8"
            line = self.format(record).encode(encoding, "backslashreplace").decode(encoding)
            self.stream.write(line + "\n")
            self.stream.flush()


class _FileLines(logging.Handler):
    """Lines appended to a file that only its owner can read."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        try:
            self.descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
        except OSError as error:
            reason = redact.text(error.strerror or "")
            raise StorageError(f"the log file cannot be opened: {reason}", hint="choose another --log-file") from None
        except ValueError:
            raise SettingsError("the log file's name cannot be used") from None

    def emit(self, record: logging.LogRecord) -> None:
        with suppress(Exception):  # a log line is never a reason to fail
            os.write(self.descriptor, (self.format(record) + "\n").encode("utf-8", "backslashreplace"))

    def close(self) -> None:
        if self.descriptor >= 0:
            os.close(self.descriptor)
            self.descriptor = -1
        super().close()


def configure(
    *,
    format: Literal["console", "json"] = "console",
    level: str = "info",
    stream: TextIO | None = None,
    file: Path | str | None = None,
    colors: bool | None = None,
) -> ExitStack:
    """Send all logs of the process, and its warnings, to `stream` (standard error), one sanitized line each.

    For applications, not libraries: it takes the place of the root logger's handlers. The result undoes it when
    closed, or at the end of a ``with`` block.

    Args:
        format: ``console`` for people, ``json`` for machines.
        level: ``debug``, ``info``, ``warning``, ``error`` or ``critical``.
        file: also append JSON lines to this file, made with mode 0600.
        colors: None decides by whether `stream` is a terminal, and by the variable ``NO_COLOR``.

    Raises:
        SettingsError: an unknown `format` or `level`.
        StorageError: `file` cannot be opened.
    """
    if format not in ("console", "json") or level not in _LEVELS:
        raise SettingsError(f"logs: format is console or json, level is one of {', '.join(_LEVELS)}")
    target = sys.stderr if stream is None else stream
    handlers: list[logging.Handler] = [_StreamLines(target)]
    handlers[0].setFormatter(_EventFormatter(format, _colored(target) if colors is None else colors))
    if file is not None:
        handlers.append(_FileLines(Path(file)))
        handlers[1].setFormatter(_EventFormatter("json", colors=False))
    undo = ExitStack()
    for handler in handlers:
        undo.callback(handler.close)
    _take_over(undo, handlers, _LEVELS[level])
    return undo


def _colored(stream: TextIO) -> bool:
    try:
        return not os.environ.get("NO_COLOR") and stream.isatty()
    except (AttributeError, ValueError):
        return False


def _take_over(undo: ExitStack, handlers: list[logging.Handler], level: int) -> None:
    for logger in (logging.getLogger(), logging.getLogger(NAME)):
        undo.callback(logger.setLevel, logger.level)
        logger.setLevel(level)
    root = logging.getLogger()
    undo.callback(setattr, root, "handlers", root.handlers)
    root.handlers = handlers
    undo.callback(setattr, warnings, "showwarning", warnings.showwarning)
    warnings.showwarning = _show_warning


def _show_warning(
    message: Warning | str, category: type[Warning], filename: str, lineno: int, *_: object, **__: object
) -> None:
    place = f"{re.split(r'[/]', filename)[-1]}:{lineno}"
    said: object = message if isinstance(message, Warning) else f"{category.__name__}: {message}"
    logging.getLogger("py.warnings").warning("%s: %s", place, said)
