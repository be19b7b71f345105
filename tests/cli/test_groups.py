"""Options that go together."""

from __future__ import annotations

import inspect
from typing import Annotated

import msgspec
import pytest
import typer
from typer.testing import CliRunner

from sumeasync.cli.groups import Access, Pace, Says, grouped


class Pair(msgspec.Struct, frozen=True):
    """Two options."""

    left: Annotated[int, typer.Option("--left")] = 1
    right: Annotated[str | None, typer.Option("--right")] = None


@pytest.fixture
def seen():
    """What the command was called with."""
    return []


@pytest.fixture
def app(seen):
    """A command with a group between an argument and an option."""
    app = typer.Typer()

    @app.command()
    @grouped
    def show(name: str, *, pair: Pair, loud: Annotated[bool, typer.Option("--loud")] = False) -> None:
        """Show it."""
        seen.append((name, pair, loud))

    return app


def test_a_group_arrives_as_one_value(app, seen):
    """The options of a group are given one by one, and the command gets the group."""
    assert CliRunner().invoke(app, ["x", "--left", "3", "--loud"]).exit_code == 0
    assert seen == [("x", Pair(3, None), True)]


def test_help_shows_every_option_of_a_group_in_its_place(app):
    """For the command line there are no groups."""
    text = CliRunner().invoke(app, ["--help"]).output
    places = [text.index(word) for word in ("--left", "--right", "--loud")]
    assert places == sorted(places)
    assert "Show it." in text
    assert "pair" not in text


def test_a_command_keeps_its_name_and_loses_its_groups():
    """What is wrapped is called as before, with keywords for all."""

    @grouped
    def command(one: str, pair: Pair) -> None:
        """Do it."""

    assert (command.__name__, command.__doc__) == ("command", "Do it.")
    assert list(inspect.signature(command).parameters) == ["one", "left", "right"]


def test_a_pace_becomes_settings():
    """Flags that were given are set, others stay as they are, and more can be added."""
    settings = Pace(read_rate="2/s", no_sweep=True, poll=["*.interval=7"]).settings(create_rate="9/m", dialect=None)
    assert (settings.read_rate, settings.create_rate, settings.dialect) == ("2/s", "9/m", "so")
    assert (settings.learn, settings.sweep, settings.poll) == (True, False, {"*": {"interval": 7.0}})


def test_what_is_said_becomes_show_and_logging(tmp_path):
    """Display and logs are set from one group."""
    says = Says(quiet=True, verbose=2, log_file=tmp_path / "log")
    assert (says.show(keep_links=True).quiet, says.show(keep_links=True).keep_links) == (True, True)
    assert (says.logging().verbose, says.logging().file) == (2, str(tmp_path / "log"))


def test_the_key_comes_from_its_file(tmp_path):
    """A key file is read; without one the environment is left to others."""
    (tmp_path / "key").write_text("sume_live_x\n")
    (tmp_path / "key").chmod(0o600)
    assert Access(key_file=tmp_path / "key").api_key() == "sume_live_x"
    assert Access().api_key() is None
