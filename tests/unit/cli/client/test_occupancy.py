"""How counted people are shown."""

import pytest

from cli.client.occupancy import print_occupancy
from cli.forms import Form
from cli.output import Output
from dfip.control_plane.v1 import telemetry_pb2


def bucket(minute: int, *, mean: float, most: int) -> telemetry_pb2.TelemetryBucket:
    made = telemetry_pb2.TelemetryBucket(
        samples=12, occupancy_mean=mean, occupancy_max=most, entries=2, exits=1, confidence_mean=0.9
    )
    made.start.FromJsonString(f"2026-01-02T03:{minute:02}:00Z")
    return made


BUCKETS = [bucket(4, mean=4.0, most=4), bucket(5, mean=0.5, most=1), bucket(6, mean=0, most=0)]


def test_a_pipe_gets_full_values(capsys: pytest.CaptureFixture[str]) -> None:
    print_occupancy(BUCKETS, Output(form=Form.TSV))
    first, *_ = capsys.readouterr().out.splitlines()
    assert first.split("\t") == [
        "2026-01-02T03:04:00Z", "4.00", "0", "4", "2", "1", "12", "0.90",
    ]  # fmt: skip


def test_people_see_bars(capsys: pytest.CaptureFixture[str]) -> None:
    print_occupancy(BUCKETS, Output(form=Form.TABLE))
    _, crowd, one, nobody = capsys.readouterr().out.splitlines()
    assert crowd.endswith("  " + "█" * 24)
    assert one.endswith("  " + "█" * 3)
    assert "█" not in nobody


def test_nothing_is_said_to_be_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    print_occupancy([], Output(form=Form.TABLE), where=" in hall")
    assert capsys.readouterr().out == "Nobody was counted in hall in that time.\n"
