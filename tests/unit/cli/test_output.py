"""What people see at a terminal: whole ids at any width, no cell cut, no empty column."""

import re
import sys
from collections.abc import Callable

import pytest
from rich.cells import cell_len

from cli.output import Column, Output

ID = "a002ba19-1659-4797-8de1-5d591cb89011"
Row = dict[str, str]
Show = Callable[[list[Row], int], list[str]]

COLUMNS: tuple[Column[Row], ...] = (
    Column(title="id", value=lambda row: row["id"], aside=True),
    Column(title="name", value=lambda row: row["name"]),
    Column(title="place", value=lambda row: row.get("place", "")),
)


@pytest.fixture
def show(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Show:
    def listing(rows: list[Row], width: int) -> list[str]:
        monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
        monkeypatch.setenv("TERM", "xterm")
        monkeypatch.setenv("COLUMNS", str(width))
        Output(as_json=False).listing(rows, COLUMNS)
        return re.sub(r"\x1b\[[0-9;]*m", "", capsys.readouterr().out).splitlines()

    return listing


def test_a_wide_terminal_has_one_line_a_row(show: Show) -> None:
    rows = [{"id": ID, "name": "door", "place": "hall"}, {"id": ID, "name": "yard"}]
    assert show(rows, 80) == [
        f"{'id':<36}  name  place",
        f"{ID}  door  hall",
        f"{ID}  yard  -",
    ]


def test_a_narrow_terminal_has_the_id_whole_below_its_row(show: Show) -> None:
    assert show([{"id": ID, "name": "door", "place": "hall"}], 40) == [
        "name  place",
        "door  hall",
        f"  id {ID}",
    ]


def test_what_no_row_has_takes_no_room(show: Show) -> None:
    assert show([{"id": ID, "name": "door"}], 80) == [f"{'id':<36}  name", f"{ID}  door"]


def test_names_of_any_script_keep_the_columns_in_line(show: Show) -> None:
    rows = [{"id": ID, "name": "正面玄関", "place": "a"}, {"id": ID, "name": "door", "place": "b"}]
    _, first, second = show(rows, 80)
    assert cell_len(first[: first.rindex("a")]) == cell_len(second[: second.rindex("b")])


def test_no_name_is_cut_or_broken(show: Show) -> None:
    name = "the door behind the shed " * 4
    assert show([{"id": ID, "name": name.strip()}], 40)[1] == name.strip()
