"""The port of REST under faults; the last tests plant bugs and show that the faults find them."""

import random
from collections.abc import Callable
from pathlib import Path

import pytest

from control_plane.cameras.registry import CameraRegistry
from deploy.envoy import listener
from service_runtime import pagination
from tests.faults.rest_edge import FAULTS, Fault, put_in
from tests.faults.rest_edge_bytes import header_bombs
from tests.faults.rest_edge_requests import forged_page_tokens, request_id_with_another_body
from tests.faults.rest_edge_world import running_world
from tests.faults.row import Violation


async def test_who_asks_properly_is_answered_as_ever(tmp_path: Path) -> None:
    async with running_world(tmp_path, dice=random.Random(1), thorough=False) as world:
        figures = await put_in(world, FAULTS, seed=1, rounds=1)
        assert figures["server_errors"] == 0
        assert figures["requests"] > 300


@pytest.mark.usefixtures("on_postgres")
async def test_on_postgres_as_well(tmp_path: Path) -> None:
    """What differs is what a database makes of the texts of strangers."""
    async with running_world(tmp_path, dice=random.Random(2), thorough=False) as world:
        await put_in(world, [forged_page_tokens], seed=2, rounds=1)


def take_page_tokens_of_any_list(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pagination, "_fingerprint", lambda _: "0" * 16)


def forget_the_body_of_a_request_id(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(CameraRegistry, "_check_repeat", lambda *_: None)


def let_headers_be_as_large_as_may_be(monkeypatch: pytest.MonkeyPatch) -> None:
    real = listener._limits()
    monkeypatch.setattr(listener, "_limits", lambda: real | {"max_request_headers_kb": 1024})


@pytest.mark.parametrize(
    ("plant", "fault", "found"),
    [
        (take_page_tokens_of_any_list, forged_page_tokens, ": 200 for"),
        (forget_the_body_of_a_request_id, request_id_with_another_body, ": 201"),
        (let_headers_be_as_large_as_may_be, header_bombs, r"(200|429), not one of"),
    ],
)
async def test_a_planted_bug_is_found(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    plant: Callable[[pytest.MonkeyPatch], None],
    fault: Fault,
    found: str,
) -> None:
    plant(monkeypatch)
    async with running_world(tmp_path, dice=random.Random(1), thorough=False) as world:
        with pytest.raises(Violation, match=found):
            await put_in(world, [fault], seed=1, rounds=1)
