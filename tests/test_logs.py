"""Logs: one sanitized line an event, ours or anybody's, and a process left as it was found."""

from __future__ import annotations

import asyncio
import io
import json
import logging
import os
import subprocess
import sys
import time
import warnings

import pytest
import structlog

from sumeasync import errors, logs

KEY = "sume_live_c4nary"
LINK = f"https://media.sume.so/out/c4nary.mp4?sig={KEY}"


def lines(log, **options) -> list[str]:
    """Run `log` with everything configured, and return what came out."""
    stream = io.StringIO()
    with logs.configure(stream=stream, **{"level": "debug", "format": "json", **options}):
        log()
    text = stream.getvalue()
    assert text.count("\n") == len(text.splitlines())
    return text.splitlines()


def test_importing_configures_and_prints_nothing():
    """A program that only imports the library keeps its logging as it was, also when the library warns."""
    code = (
        "import logging, warnings; before = (logging.root.level, list(logging.root.handlers), warnings.showwarning)\n"
        "from sumeasync import logs; logs.get_logger().error('job.failed', api_key='x')\n"
        "assert before == (logging.root.level, list(logging.root.handlers), warnings.showwarning)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_a_console_line_reads_well():
    """Time, level, event, then the fields in their order."""
    (line,) = lines(
        lambda: logs.get_logger(key="hero-01").info("job.completed", job_id="job_1", seconds=12.1), format="console"
    )
    assert line[8:] == " info  job.completed  key=hero-01 job_id=job_1 seconds=12.1"
    assert line[2] == line[5] == ":"


def test_a_json_line_holds_typed_values():
    """Numbers stay numbers; level and time are added."""
    (line,) = lines(lambda: logs.get_logger().warning("job.slow", polls=3, ratio=float("nan"), ok=True))
    event = json.loads(line)
    assert event.pop("timestamp").endswith("Z")
    assert event == {"polls": 3, "ratio": "NaN", "ok": True, "event": "job.slow", "level": "warning"}


def test_a_foreign_handler_sees_only_what_may_be_shown(caplog):
    """Records are sanitized before they reach the standard logger."""
    with caplog.at_level("INFO", "sumeasync"):
        logs.get_logger(token=KEY).info("see %s", LINK, url=LINK, job_id="job_1")
    (record,) = caplog.records
    assert record.getMessage() == (
        'see <redacted url media.sume.so>  token="<redacted text 16>" url="<redacted url media.sume.so>" job_id=job_1'
    )
    assert "c4nary" not in repr(vars(record))


def test_the_record_names_the_place_of_the_call(caplog):
    """Handlers that print file and function print the caller's."""
    with caplog.at_level("INFO", "sumeasync"):
        logs.get_logger().info("x")
    assert caplog.records[0].funcName == "test_the_record_names_the_place_of_the_call"


@pytest.mark.parametrize("name", ["event", "self", "level", "method_name", "name", "msg", "args", "exc_info", "extra"])
def test_no_field_name_is_reserved(name):
    """A field may have any name that Python allows."""
    (line,) = lines(lambda: logs.get_logger().info("x", **{name: 1}))
    assert json.loads(line)["event"] == "x"


def test_exceptions_are_logged_without_sources_and_locals():
    """`exception` adds type, message and places on the same line."""

    def fail() -> None:
        api_key = KEY
        try:
            raise ValueError(f"bad {api_key}")
        except ValueError:
            logs.get_logger().exception("job.failed")

    (line,) = lines(fail)
    assert json.loads(line)["exception"].startswith("ValueError: bad <redacted secret> [test_logs.py:")
    assert "c4nary" not in line
    assert "api_key" not in line


FOREIGN = [
    lambda log: log.info("GET %s gave %d", LINK, 403),
    lambda log: log.info({"url": LINK}),
    lambda log: log.info("%(a)s", {"a": LINK}),
    lambda log: log.info("two\nlines \x1b[31m %s", KEY),
    lambda log: log.info("wrong %d", KEY),
    lambda log: log.error("Task exception was never retrieved", exc_info=ValueError(LINK)),
    lambda log: log.info("stack of c", stack_info=True),
    lambda log: log.info("x", extra={"token": KEY}),
    lambda log: log.info("sent %r", [("x-api-key", KEY)]),
]


@pytest.mark.parametrize(
    "name", ["aiohttp.client", "aiohttp.access", "asyncio", "py.warnings", "sumeasync.other", "other"]
)
@pytest.mark.parametrize("form", ["console", "json"])
@pytest.mark.parametrize("call", FOREIGN)
def test_foreign_loggers_are_sanitized(name, form, call):
    """Whoever logs, text, arguments, extras and traces are sanitized; one record is one line."""
    (line,) = lines(lambda: call(logging.getLogger(name)), format=form)
    assert "c4nary" not in line
    assert line.isprintable()


def test_warnings_are_logged_without_folder_and_source():
    """`warnings.warn` becomes one line with file, line and text."""
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        (line,) = lines(lambda: warnings.warn(f"careful with {KEY}", UserWarning, stacklevel=1), format="console")
    assert " warn  test_logs.py:" in line
    assert "UserWarning: careful with <redacted secret>" in line
    assert str(os.getcwd()) not in line


def test_captured_warnings_are_sanitized_too():
    """The standard library's own capture prints folder and source line; neither comes through."""
    text = warnings.formatwarning(f"about {LINK}", UserWarning, "/home/c4nary/x.py", 3, "key = 'c4nary'")
    (line,) = lines(lambda: logging.getLogger("py.warnings").warning("%s", text))
    assert "x.py:3" in line
    assert "c4nary" not in line


def test_what_the_event_loop_reports_is_sanitized():
    """A task that failed unseen is reported with its exception scrubbed."""

    def report() -> None:
        loop = asyncio.new_event_loop()
        loop.call_exception_handler({"message": "unseen", "exception": ValueError(LINK), "future": LINK})
        loop.close()

    shown = [line for line in lines(report) if "unseen" in line]
    assert len(shown) == 1
    assert "c4nary" not in shown[0]


def test_the_processor_works_in_a_chain_of_the_users_own():
    """Put last before any renderer, it leaves only what may be shown."""
    stream = io.StringIO()
    log = structlog.wrap_logger(
        structlog.PrintLogger(stream),
        processors=[structlog.stdlib.PositionalArgumentsFormatter(False), logs.redaction_processor,
                    structlog.dev.ConsoleRenderer(colors=False)],
        wrapper_class=structlog.stdlib.BoundLogger,
    )  # fmt: skip
    log.error("see %s", LINK, api_key=KEY, exc_info=ValueError(LINK), n={1, 2})
    assert "c4nary" not in stream.getvalue()
    assert "ValueError: <redacted url media.sume.so>" in stream.getvalue()


def test_the_processor_works_in_the_standard_formatter():
    """`ProcessorFormatter` with the processor serves foreign records too."""
    formatter = structlog.stdlib.ProcessorFormatter(
        processors=[logs.redaction_processor, structlog.processors.JSONRenderer()]
    )
    record = logging.LogRecord("x", 20, "/home/c4nary/x.py", 1, "see %s", (LINK,), None)
    assert json.loads(formatter.format(record)) == {"event": "see <redacted url media.sume.so>"}


def test_a_file_gets_json_lines_that_only_the_owner_reads(tmp_path):
    """The log file is made with mode 0600 and appended to, beside the console."""
    path = tmp_path / "run.log"
    for n in range(2):
        lines(lambda n=n: logs.get_logger().info("run.started", n=n), file=path, format="console")
    assert [json.loads(line)["n"] for line in path.read_text().splitlines()] == [0, 1]
    assert path.stat().st_mode & 0o777 == 0o600


def test_a_file_that_cannot_be_opened_is_a_storage_error(tmp_path):
    """The error does not name the folder, and logging stays as it was."""
    before = logging.getLogger().handlers
    with pytest.raises(errors.StorageError, match="cannot be opened: No such file") as caught:
        logs.configure(file=tmp_path / "none" / "run.log")
    assert str(tmp_path) not in str(caught.value)
    assert logging.getLogger().handlers is before


@pytest.mark.parametrize("wrong", [{"level": "loud"}, {"format": "xml"}, {"file": "a\0b"}])
def test_wrong_settings_are_refused(wrong):
    """Unknown words are refused before anything is changed."""
    with pytest.raises(errors.SettingsError):
        logs.configure(**wrong)


class Broken(io.StringIO):
    """A stream whose reader is gone."""

    def write(self, text):
        raise BrokenPipeError

    def isatty(self):
        raise ValueError("I/O operation on closed file")


def test_a_stream_that_is_gone_never_raises():
    """A broken pipe, a closed stream and a stream without letters are passed over."""
    closed = io.StringIO()
    closed.close()
    ascii_only = io.TextIOWrapper(io.BytesIO(), encoding="ascii")
    for stream in (Broken(), closed, ascii_only):
        with logs.configure(stream=stream):
            logs.get_logger().error("x", message="日本")
    assert b"\\u65e5\\u672c" in ascii_only.buffer.getvalue()


def test_undo_restores_everything():
    """After closing, root logger, levels and warnings are as before."""

    def state() -> tuple[object, ...]:
        root = logging.getLogger()
        return root.level, root.handlers, logging.getLogger("sumeasync").level, warnings.showwarning

    before = state()
    undo = logs.configure(stream=io.StringIO())
    assert state() != before
    undo.close()
    assert state() == before


def test_colors_can_be_forced_and_never_come_from_data(monkeypatch):
    """Colors are ours alone; NO_COLOR and files turn them off."""
    monkeypatch.delenv("NO_COLOR", raising=False)
    (line,) = lines(lambda: logs.get_logger().info("x", message="\x1b[5mhi"), format="console", colors=True)
    assert line.count("\x1b") == 4
    (line,) = lines(lambda: logs.get_logger().info("x"), format="console")
    assert "\x1b" not in line


def test_the_level_is_the_standard_loggers():
    """Below it nothing is computed, and the check is cheap."""
    log = logs.get_logger()
    started = time.perf_counter()
    for _ in range(20_000):
        log.debug("x", job_id="job_1")
    assert (time.perf_counter() - started) / 20_000 < 10e-6
    assert lines(lambda: log.debug("x"), level="info") == []


def test_a_logger_shows_its_fields_sanitized():
    """`repr` of a bound logger is safe."""
    assert repr(logs.get_logger(key="a", token=KEY)) == '<Log key=a token="<redacted text 16>">'


def test_binding_makes_another_logger():
    """`bind` adds fields to a copy."""
    log = logs.get_logger(key="a")
    assert repr(log.bind(job_id="job_1")) == "<Log key=a job_id=job_1>"
    assert repr(log) == "<Log key=a>"


@pytest.mark.parametrize("level", ["debug", "info", "warning", "error", "critical"])
def test_every_level_arrives(level):
    """Each method logs at its own level."""
    (line,) = lines(lambda: getattr(logs.get_logger(), level)("x"))
    assert json.loads(line)["level"] == level
