"""The README is true: its examples work, its tables are the code's."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import typer

import sumeasync
from sumeasync.cli.app import app
from sumeasync.core.report import EXIT_CODES
from sumeasync.core.settings import Settings
from sumeasync.core.specs import parse_manifest
from sumeasync.simulator.app import make_app
from sumeasync.simulator.world import World
from sumeasync.testing import MemoryNetwork

README = (Path(__file__).parent.parent / "README.md").read_text("utf-8")
COMMANDS = sorted(typer.main.get_command(app).commands)  # type: ignore[attr-defined]


def block(language: str, number: int = 0) -> str:
    """The n-th code block of a language."""
    return re.findall(rf"^```{language}\n(.*?)^```", README, re.DOTALL | re.MULTILINE)[number]


def test_the_manifest_can_be_read() -> None:
    """The manifest shown is a good one."""
    assert [spec.key for spec in parse_manifest(block("json"))] == ["hero-01", "swap-07", "clip-9", "old-3"]


def test_the_settings_can_be_read() -> None:
    """The settings file shown is a good one."""
    settings = Settings.load(block("toml"))
    assert settings.read_rate == "120/m"
    assert settings.policies()["video_generation"].cap == 30


async def test_the_library_example_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The Python example does what it says, with the simulator in place of the API."""
    names: dict[str, object] = {}
    exec(block("python"), names)  # our own text
    monkeypatch.chdir(tmp_path)
    async with MemoryNetwork() as network:
        await network.serve("http://api.localhost", make_app(World(), origin="http://api.localhost"))
        access = {"api_key": "sume_live_x", "base_url": "http://api.localhost/api/v1"}
        for name in ("Engine", "Sume"):
            made = getattr(sumeasync, name)
            options = access | {"connector_factory": network.connector}
            monkeypatch.setattr(
                sumeasync, name, lambda made=made, options=options, **own: made(**options, **own), raising=False
            )
        await names["main"]([{"type": "image_generation", "input": {"prompt": "a red bicycle"}}])  # type: ignore[operator]
    assert len(list((tmp_path / "outputs").rglob("*.png"))) == 1
    assert len(list((tmp_path / "outputs").rglob("*.mp4"))) == 1


def test_the_exit_codes_are_the_codes() -> None:
    """Every exit code of a run has its row."""
    rows = re.findall(r"^\| (\d+)(?:, (\d+))? \|", README, re.MULTILINE)
    told = {int(code) for row in rows for code in row if code}
    assert told == {*EXIT_CODES.values(), 130, 143}


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_is_documented(command: str) -> None:
    """No command is left out of the README."""
    assert f"sumeasync {command}" in README


@pytest.mark.parametrize(
    "script", sorted(path.name for path in (Path(__file__).parent.parent / "benchmarks").glob("[!_]*.py"))
)
def test_every_benchmark_is_named(script: str) -> None:
    """Each measured question names its command."""
    assert f"python benchmarks/{script}" in README
