"""What a shell is offered: names that it can take as they are, else ids; on trouble, nothing."""

import asyncio
import os
import subprocess
import sys
from pathlib import Path

import pytest

from cli.completion import offers
from tests.unit.cli.client.site import World, serving

NAMES = {"1a": "door", "2b": "Front Door", "3c": "yard", "4d": "yard"}


@pytest.mark.parametrize(
    ("typed", "offered"),
    [
        ("do", [("door", "1a")]),
        ("Fr", [("2b", "Front Door")]),
        ("ya", [("3c", "yard"), ("4d", "yard")]),
        ("1", [("1a", "door")]),
        ("x", []),
    ],
)
def test_names_or_ids_are_offered(typed: str, offered: list[tuple[str, str]]) -> None:
    assert offers(NAMES, typed) == offered


def completed(words: str, server: str, folder: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "cli"],
        env={
            **os.environ,
            "_DFIP_COMPLETE": "complete_bash",
            "COMP_WORDS": words,
            "COMP_CWORD": str(len(words.split(" ")) - 1),
            "DFIP_TOKEN": "t",
            "DFIP_SERVER": server,
            "DFIP_DATA_DIR": str(folder),
        },
        capture_output=True,
        text=True,
        check=False,
        timeout=30,
    )


async def test_a_shell_completes_a_cameras_name(tmp_path: Path) -> None:
    world = World()
    world.add_camera("door")
    world.add_camera("gate")
    async with serving(world) as access:
        # no id, which is hexadecimal, begins with "do"
        done = await asyncio.to_thread(completed, "dfip camera start do", access.server, tmp_path)
    assert (done.stdout.strip(), done.stderr) == ("door", "")


def test_a_site_that_is_away_offers_nothing_and_says_nothing(tmp_path: Path) -> None:
    done = completed("dfip person rm A", "http://127.0.0.1:1", tmp_path)
    assert (done.stdout.strip(), done.stderr) == ("", "")


def test_the_script_for_a_shell_is_there() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "cli"],
        env={**os.environ, "_DFIP_COMPLETE": "source_zsh"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0
    assert "#compdef dfip" in done.stdout
