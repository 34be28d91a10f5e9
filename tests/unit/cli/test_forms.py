"""The forms of what is printed: each on every command that prints, known before anything parses."""

import json
import signal
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import pytest
import typer.main

from cli.__main__ import app, run
from cli.failures import ReaderGone
from cli.forms import Form, wants_json
from cli.output import Column, Output
from cli.talk import Talk

ROWS = [{"id": "1", "name": "a\tb", "place": ""}, {"id": "2", "name": "c", "place": "hall"}]
COLUMNS: tuple[Column[dict[str, str]], ...] = (
    Column(title="id", value=lambda row: row["id"], aside=True),
    Column(title="name", value=lambda row: row["name"]),
    Column(title="place", value=lambda row: row["place"]),
)


@pytest.mark.parametrize(
    ("line", "asked"),
    [
        ("camera list", False),
        ("camera list --json", True),
        ("camera list -o json", True),
        ("camera list -ojsonl", True),
        ("camera list --output=json", True),
        ("camera list --output jsonl", True),
        ("camera list -o tsv", False),
        ("camera list -o", False),
        ("camera add -- --json u", False),
        ("", False),
    ],
)
def test_json_is_known_before_anything_is_parsed(line: str, asked: bool) -> None:
    assert wants_json(line.split()) is asked


def commands(group: Any, path: str = "dfip") -> Iterator[tuple[str, Any]]:
    for name, command in group.commands.items():
        if hasattr(command, "commands"):
            yield from commands(command, f"{path} {name}")
        else:
            yield f"{path} {name}", command


def test_every_command_that_prints_takes_every_form() -> None:
    found = dict(commands(typer.main.get_command(app)))
    assert "dfip camera list" in found
    for path, command in found.items():
        options = {name for parameter in command.params for name in parameter.opts}
        assert {"--json", "--output", "-o"} <= options, f"{path} has not every form"


@pytest.mark.parametrize(
    ("form", "printed"),
    [
        (None, "1\ta\\tb\t\n2\tc\thall\n"),
        (Form.TSV, "1\ta\\tb\t\n2\tc\thall\n"),
        (Form.JSONL, "".join(f"{json.dumps(row)}\n" for row in ROWS)),
        (Form.JSON, json.dumps(ROWS, indent=2) + "\n"),
    ],
)
def test_a_pipe_gets_what_was_asked_for(
    form: Form | None, printed: str, capsys: pytest.CaptureFixture[str]
) -> None:
    Output(form=form).listing(ROWS, COLUMNS)
    assert capsys.readouterr().out == printed


def test_a_table_in_a_pipe_is_as_wide_as_it_is(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "10")
    Output(form=Form.TABLE).listing([{"id": "1" * 40, "name": "door", "place": "hall"}], COLUMNS)
    heading, row = capsys.readouterr().out.splitlines()
    assert heading.split() == ["id", "name", "place"]
    assert row.split() == ["1" * 40, "door", "hall"]


@pytest.mark.parametrize("form", [Form.JSON, Form.JSONL])
def test_one_thing_is_one_document(form: Form, capsys: pytest.CaptureFixture[str]) -> None:
    Output(form=form).record(ROWS[0], COLUMNS)
    out = capsys.readouterr().out
    assert json.loads(out) == ROWS[0]
    assert (out.count("\n") == 1) is (form is Form.JSONL)


def test_no_color_is_heeded(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    monkeypatch.setenv("TERM", "xterm")
    Talk().say("no", "error")
    assert "\x1b[1;31m" in capsys.readouterr().err
    monkeypatch.setenv("NO_COLOR", "1")
    Talk().say("no", "error")
    assert "31m" not in capsys.readouterr().err


def test_a_failure_as_json_has_its_four_parts(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("DFIP_TOKEN", raising=False)
    assert run(["camera", "list", "--token-file", "/no/such", "-o", "jsonl"]) == 4
    out, err = capsys.readouterr()
    assert out == ""
    error = json.loads(err)["error"]
    assert error == {
        "code": "not_allowed",
        "exit_code": 4,
        "what": "The token file /no/such cannot be read (No such file or directory).",
        "why": "",
        "what_to_do": "Name another with --token-file.",
        "request_id": "",
    }


def test_wrong_usage_as_json_says_what(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["nonsense", "--json"]) == 2
    error = json.loads(capsys.readouterr().err)["error"]
    assert (error["code"], error["what"]) == ("usage", "No such command 'nonsense'.")


FLOOD = """
import asyncio, sys, cli.__main__ as entry
from cli.commands.running import run
from cli.output import Output

async def work():
    for number in range(100_000):
        Output().line(number, COLUMNS)
        if number == 0 and STAYS:
            await asyncio.Event().wait()

from cli.output import Column
COLUMNS = (Column(title="n", value=str),)
STAYS = sys.argv.pop(1) == "stays"

@entry.app.command()
def flood():
    run(work())

entry.main()
"""


def flooding(mode: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", FLOOD, mode, "flood"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def test_a_reader_that_goes_away_ends_it_quietly() -> None:
    process = flooding("on")
    assert process.stdout is not None
    assert process.stdout.readline() == "0\n"
    process.stdout.close()
    assert process.stderr is not None
    assert process.stderr.read() == ""
    process.stderr.close()
    assert process.wait(20) == 141


def test_an_interrupt_ends_it_quietly() -> None:
    process = flooding("stays")
    assert process.stdout is not None
    assert process.stdout.readline() == "0\n"
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=20)
    assert (process.returncode, out, err) == (130, "", "")


def test_a_closed_pipe_is_no_failure_of_the_command(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object, **__: object) -> None:
        raise BrokenPipeError

    monkeypatch.setattr("builtins.print", broken)
    with pytest.raises(ReaderGone):
        Output(form=Form.TSV).listing(ROWS, COLUMNS)
