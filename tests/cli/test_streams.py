from __future__ import annotations

import asyncio
import io
import os
import sys

from rich.console import Console

from sumeasync.cli.streams import Results, Voice


def test_results_reach_standard_output(capsys):
    """What is written is flushed to standard output."""
    assert asyncio.run(Results().write("a\n"))
    assert capsys.readouterr().out == "a\n"


def test_a_reader_that_left_is_no_failure(monkeypatch):
    """Writing to a pipe without a reader returns False, now and ever after, and leaves nothing to fail at exit."""
    reader, writer = os.pipe()
    os.close(reader)
    with os.fdopen(writer, "w") as stream:
        monkeypatch.setattr(sys, "stdout", stream)
        results = Results()

        async def write_twice():
            return [await results.write("a\n"), await results.write("b\n")]

        assert asyncio.run(write_twice()) == [False, False]
        stream.flush()


def test_a_closed_standard_error_is_no_failure(monkeypatch):
    """Saying something to nobody raises nothing."""
    closed = io.StringIO()
    closed.close()
    monkeypatch.setattr(sys, "stderr", closed)
    Voice().say("anybody?")


def test_lines_go_to_standard_error(capsys):
    """Without a display a line is written as it is, markup and all."""
    Voice().say("[b]x[/b]")
    assert capsys.readouterr().err == "[b]x[/b]\n"


def test_lines_go_above_a_display():
    """With a display up, a line is printed through it: literally, unbroken, colors kept."""
    voice = Voice()
    voice.live = Console(file=io.StringIO(), width=20)
    voice.say("\x1b[32m[b]a long line that is not wrapped[/b]\x1b[0m")
    assert voice.live.file.getvalue() == "[b]a long line that is not wrapped[/b]\n"


def test_the_voice_tells_what_can_be_spelled(capsys):
    """Logs ask the voice for its encoding and whether it is a terminal."""
    assert Voice().encoding.lower() == "utf-8"
    assert not Voice().isatty()
