"""SIGKILL of a real control plane before, inside and after a commit of telemetry."""

from pathlib import Path

from tests.faults.crashing_control_plane import POINTS
from tests.faults.telemetry_kills import killed_again_and_again


async def test_what_was_acknowledged_survives_sigkill(tmp_path: Path) -> None:
    killed = await killed_again_and_again(tmp_path, seed=1)
    assert killed.kills == len(POINTS)
