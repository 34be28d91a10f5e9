"""SIGKILL of a real control plane around a commit of telemetry, and of the server it writes to."""

from pathlib import Path

import pytest

from tests.faults.crashing_control_plane import POINTS
from tests.faults.telemetry_kills import killed_again_and_again
from tests.faults.telemetry_outages import postgres_killed


async def test_what_was_acknowledged_survives_sigkill(tmp_path: Path) -> None:
    killed = await killed_again_and_again(tmp_path, seed=1)
    assert killed.kills == len(POINTS)


@pytest.mark.usefixtures("on_postgres")
async def test_on_postgres_as_well(tmp_path: Path) -> None:
    killed = await killed_again_and_again(tmp_path, seed=2, points=["inside"])
    assert killed.kills == 1


async def test_what_was_acknowledged_survives_sigkill_of_postgres(tmp_path: Path) -> None:
    killed = await postgres_killed(tmp_path, seed=1, kills=1)
    assert killed.kills == 1
