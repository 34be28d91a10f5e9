"""Log files stay bounded, and people see what they have to see in one line."""

import os
from pathlib import Path

import pytest

from cli.supervisor.log_file import LogFile
from cli.supervisor.log_lines import LogLine, read_log_line
from cli.supervisor.service_log import open_service_log


def test_a_full_log_file_moves_aside_and_the_oldest_goes(tmp_path: Path) -> None:
    log = LogFile(tmp_path / "x.log", max_bytes=10, keep=2)
    for number in range(9):
        log.write_line(f"line {number}".encode())
    log.close()
    kept = sorted(path.name for path in tmp_path.iterdir())
    assert kept == ["x.log", "x.log.1", "x.log.2"]
    assert (tmp_path / "x.log").read_text() == "line 8\n"
    assert (tmp_path / "x.log.1").read_text() == "line 7\n"
    assert (tmp_path / "x.log.2").read_text() == "line 6\n"
    assert (tmp_path / "x.log").stat().st_mode & 0o777 == 0o600


def test_a_log_file_goes_on_where_an_earlier_run_ended(tmp_path: Path) -> None:
    for text in (b"first", b"second"):
        log = LogFile(tmp_path / "x.log")
        log.write_line(text)
        log.close()
    assert (tmp_path / "x.log").read_text() == "first\nsecond\n"


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        (
            '{"event": "worker.died", "level": "warning", "camera_id": "c1", "timestamp": "t"}',
            LogLine(level="warning", text="worker.died camera_id=c1", structured=True),
        ),
        (
            '{"event": "x", "level": "info"}',
            LogLine(level="other", text="x", structured=True),
        ),
        (
            '{"event": "x", "level": "critical", "a": [1]}',
            LogLine(level="error", text="x a=[1]", structured=True),
        ),
        ("{broken", LogLine(level="other", text="{broken", structured=False)),
        ("[1, 2]", LogLine(level="other", text="[1, 2]", structured=False)),
        ("", LogLine(level="other", text="", structured=False)),
        (
            "ValueError: a   b",
            LogLine(level="other", text="ValueError: a b", structured=False),
        ),
    ],
)
def test_lines_are_read_for_people(line: str, expected: LogLine) -> None:
    assert read_log_line(line) == expected


def test_a_long_line_is_cut_for_people() -> None:
    assert len(read_log_line("x" * 5000).text) == 400


async def test_what_a_service_writes_reaches_its_file_and_its_last_words_are_its_sentence(
    tmp_path: Path,
) -> None:
    echoed: list[str] = []
    file = LogFile(tmp_path / "one.log")
    async with open_service_log(
        "one", file, lambda name, line: echoed.append(name + line.text)
    ) as log:
        os.write(log.write_fd, b'{"event": "a", "level": "error"}\none: the port is tak')
        os.write(log.write_fd, b'en\n{"event": "bye", "level": "info"}\nno end of line')
    assert (tmp_path / "one.log").read_text().splitlines()[1] == "one: the port is taken"
    assert (tmp_path / "one.log").read_text().endswith("no end of line\n")
    assert echoed == ["onea"]
    assert log.last_words() == "no end of line"
    assert log.last_words() == ""


async def test_a_line_without_end_does_not_fill_the_memory(tmp_path: Path) -> None:
    file = LogFile(tmp_path / "one.log")
    async with open_service_log("one", file, lambda *_: None) as log:
        log.data_received(b"x" * 200_000)
    assert [len(line) for line in (tmp_path / "one.log").read_text().split()] == [
        65536,
        65536,
        65536,
        200_000 - 3 * 65536,
    ]
