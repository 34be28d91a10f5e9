"""The rules about a camera's wish and limits."""

from typing import Any

import pytest

from control_plane.cameras.model import check_json, check_pack_id, wanted_state
from service_runtime.errors import InvalidArgument


@pytest.mark.parametrize(
    ("status", "desired_state", "wanted"),
    [
        ("", "", None),
        ("enabled", "", "running"),
        ("disabled", "", "stopped"),
        ("", "running", "running"),
        ("", "stopped", "stopped"),
        ("enabled", "running", "running"),
        ("disabled", "stopped", "stopped"),
    ],
)
def test_both_spellings_of_the_wish(status: str, desired_state: str, wanted: str | None) -> None:
    assert wanted_state(status=status, desired_state=desired_state) == wanted


@pytest.mark.parametrize(("status", "state"), [("enabled", "stopped"), ("disabled", "running")])
def test_a_contradiction_is_refused(status: str, state: str) -> None:
    with pytest.raises(InvalidArgument) as refused:
        wanted_state(status=status, desired_state=state)
    assert {violation.field for violation in refused.value.violations} == {
        "status",
        "desired_state",
    }


def nested(depth: int) -> dict[str, Any]:
    value: dict[str, Any] = {}
    for _ in range(depth - 1):
        value = {"a": value}
    return value


def test_json_is_bounded_in_depth() -> None:
    assert check_json("metadata", nested(16), max_bytes=1000)
    with pytest.raises(InvalidArgument):
        check_json("metadata", nested(17), max_bytes=1000)


def test_json_is_bounded_in_size_as_bytes() -> None:
    assert check_json("metadata", {"a": "x" * 1000}, max_bytes=1024)
    with pytest.raises(InvalidArgument):
        check_json("metadata", {"a": "\u00e4" * 600}, max_bytes=1024)


@pytest.mark.parametrize("number", [float("nan"), float("inf"), float("-inf")])
def test_json_holds_finite_numbers(number: float) -> None:
    with pytest.raises(InvalidArgument):
        check_json("metadata", {"a": [1.5, {"b": number}]}, max_bytes=1024)


@pytest.mark.parametrize("pack_id", ["../../etc", "a/b", "A", "-x", "a b", "a\n", "."])
def test_a_pack_is_no_path(pack_id: str) -> None:
    with pytest.raises(InvalidArgument):
        check_pack_id(pack_id)
