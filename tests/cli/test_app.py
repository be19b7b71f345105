from __future__ import annotations

import subprocess
import sys

import pytest

from sumeasync.cli import app as entry
from sumeasync.errors import StorageError

COMMANDS = [["plan"], ["run"], ["watch"], ["status"], ["simulate"], ["demo"], ["jobs"]]
JOBS_COMMANDS = [["jobs", "list"], ["jobs", "get"], ["jobs", "result"]]
IMPORTED = """
import sys
from sumeasync.cli import app
sys.argv = ["sumeasync", *{args!r}]
try:
    app.main()
except SystemExit as end:
    assert not end.code, end.code
heavy = {{"aiohttp", "structlog", "rich", "asyncio", "anyio"}} & set(sys.modules)
assert not heavy, heavy
"""


@pytest.fixture
def sumeasync(monkeypatch, capsys):
    """Run the command line in this process; gives exit code, standard output, standard error."""
    monkeypatch.delenv("SUME_API_KEY", raising=False)
    monkeypatch.delenv("SUME_API_BASE_URL", raising=False)

    def call(*args):
        monkeypatch.setattr(sys, "argv", ["sumeasync", *map(str, args)])
        with pytest.raises(SystemExit) as end:
            entry.main()
        said = capsys.readouterr()
        return end.value.code or 0, said.out, said.err

    return call


def test_help_names_every_command(sumeasync):
    """The first help lists all commands, and where the key is read from."""
    code, out, _ = sumeasync("--help")
    assert code == 0
    assert all(f"\n  {name} " in out for (name,) in COMMANDS)
    assert "SUME_API_KEY" in out


@pytest.mark.parametrize("command", COMMANDS + JOBS_COMMANDS, ids=" ".join)
def test_every_command_explains_itself(sumeasync, command):
    """Each command has a help text that begins with what it does."""
    code, out, _ = sumeasync(*command, "--help")
    assert code == 0
    assert out.startswith(f"Usage: sumeasync {' '.join(command)}")
    assert out.split("\n\n")[1].strip()


@pytest.mark.slow
@pytest.mark.parametrize("args", [["--help"], ["--version"], ["run", "--help"]], ids=" ".join)
def test_help_imports_nothing_heavy(args):
    """Help and version answer without loading network, logs or display."""
    done = subprocess.run([sys.executable, "-c", IMPORTED.format(args=args)], check=False, capture_output=True)
    assert done.returncode == 0, done.stderr.decode()


def test_the_version_is_shown(sumeasync):
    """--version names the program and its version."""
    assert sumeasync("--version")[1].startswith("sumeasync 0.")


@pytest.mark.parametrize("command", [["run", "m.jsonl"], ["watch", "job_1"], ["jobs", "list"]], ids=" ".join)
def test_no_key_is_taken_from_the_command_line(sumeasync, command):
    """A key in the arguments, where others can see it, is refused."""
    code, _, err = sumeasync(*command, "--api-key", "sume_live_x")
    assert code == 2
    assert "No such option: --api-key" in err


@pytest.mark.parametrize("command", [["watch", "job_1"], ["jobs", "list"], ["jobs", "get", "job_1"]], ids=" ".join)
def test_a_missing_key_is_one_clear_sentence(sumeasync, command):
    """Without a key the command ends before any request, saying where a key can come from."""
    code, out, err = sumeasync(*command)
    assert (code, out) == (2, "")
    assert err == "error: No API key: set SUME_API_KEY, or name a file that holds it with --key-file.\n"


def test_a_bad_manifest_lists_its_problems(sumeasync, tmp_path):
    """A bad manifest ends with exit code 2 and a line for each problem."""
    (tmp_path / "m.jsonl").write_text('x\n{"type": "image_generation"}\n')
    code, _, err = sumeasync("run", tmp_path / "m.jsonl", "--out", tmp_path / "out")
    assert code == 2
    assert [line[:8] for line in err.splitlines()[1:]] == ["  line 1", "  line 2"]
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("flags", "words"),
    [
        (["--poll", "nonsense"], "TYPE.FIELD=SECONDS"),
        (["--max-in-flight", "0"], "max_in_flight"),
        (["--config", "none.toml"], "cannot be read"),
        (["--key-file", "none.key"], "key file"),
        (["--base-url", "http://api.example/v1"], "https"),
        (["--read-rate", "fast"], "rate"),
    ],
)
def test_a_wrong_flag_is_a_usage_error(sumeasync, tmp_path, monkeypatch, flags, words):
    """Whatever is wrong with the flags ends with exit code 2 and says what to correct."""
    monkeypatch.setenv("SUME_API_KEY", "sume_live_x")
    (tmp_path / "m.jsonl").write_text('{"job_id": "job_1"}\n')
    code, _, err = sumeasync("run", tmp_path / "m.jsonl", "--out", tmp_path / "out", *flags)
    assert code == 2
    assert err.startswith("error: ")
    assert words in err


def test_flags_win_over_the_settings_file(tmp_path):
    """A settings file is read, and a flag overrides it."""
    from sumeasync.cli.options import load_settings

    (tmp_path / "s.toml").write_text('max_in_flight = 5\nread_rate = "2/s"\n')
    settings = load_settings(tmp_path / "s.toml", ["*.interval=7"], max_in_flight=9, read_rate=None)
    assert (settings.max_in_flight, settings.read_rate, settings.poll) == (9, "2/s", {"*": {"interval": 7.0}})


@pytest.mark.parametrize(
    ("error", "code"), [(StorageError("no room"), 7), (KeyboardInterrupt(), 130), (RuntimeError("x"), 70)]
)
def test_no_error_ends_in_a_traceback(sumeasync, monkeypatch, error, code):
    """Whatever a command raises becomes an exit code and, at most, clear lines."""

    def fail(**_):
        raise error

    monkeypatch.setattr(entry, "app", fail)
    ended, _, err = sumeasync()
    assert ended == code
    assert "Traceback" not in err


@pytest.mark.slow
def test_closed_streams_are_no_reason_to_fail():
    """With standard input, output and error closed the command still works."""
    command = f"{sys.executable} -m sumeasync --version <&- >&- 2>&-"
    assert subprocess.run(["/bin/sh", "-c", command], check=False).returncode == 0
