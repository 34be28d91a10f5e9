"""Secrets under faults; the last tests plant bugs and show that the faults find them."""

import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from control_plane import encryption
from control_plane.encryption import Vault
from control_plane.keys import keeper, ring
from control_plane.keys.resealing import Pass
from control_plane.runtime import store
from service_runtime import structured_logging
from tests.faults.row import Violation
from tests.faults.secrets import (
    FAULTS,
    PROCESSES,
    Fault,
    addresses_that_are_refused,
    errors_that_hold_secrets,
    moved_between_columns,
    moved_between_rows,
    moved_between_tables,
    put_in,
    rotation_under_load,
    worker_that_tells_its_address,
)
from tests.faults.secrets_world import running_world


async def test_secrets_are_nowhere_but_with_whom_they_are_for(tmp_path: Path) -> None:
    async with running_world(tmp_path, dice=random.Random(1), thorough=False) as world:
        figures = await put_in(world, FAULTS + PROCESSES, seed=1, rounds=1)
        assert figures["hits"] == 0
        assert figures["bytes_searched"] > 10_000_000


@pytest.mark.usefixtures("on_postgres")
async def test_on_postgres_as_well(tmp_path: Path) -> None:
    faults = (moved_between_rows, moved_between_columns, moved_between_tables)
    async with running_world(tmp_path, dice=random.Random(2), thorough=False) as world:
        await put_in(world, faults, seed=2, rounds=1)


def log_what_comes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(structured_logging, "redact_text", lambda text: text)


def show_what_workers_say(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(store, "redact_json", lambda value: value)


def keep_values_as_they_are(monkeypatch: pytest.MonkeyPatch) -> None:
    def seal(self: Vault, plaintext: bytes, **_: Any) -> bytes:
        return encryption.header_of(self.sealing) + plaintext

    monkeypatch.setattr(Vault, "seal", seal)
    monkeypatch.setattr(Vault, "open", lambda _self, sealed, **_: sealed[encryption.HEADER_BYTES :])


def bind_values_to_no_place(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(encryption, "_place", lambda *_: b"")


def destroy_keys_that_are_needed(monkeypatch: pytest.MonkeyPatch) -> None:
    async def nothing_to_do(*_: Any) -> Pass:
        return Pass(resealed=0, unreadable=0)

    async def none_sealed(*_: Any) -> int:
        return 0

    monkeypatch.setattr(keeper, "reseal_all", nothing_to_do)
    monkeypatch.setattr(ring, "count_sealed_with", none_sealed)


@pytest.mark.parametrize(
    ("plant", "fault", "found"),
    [
        (log_what_comes, errors_that_hold_secrets, "a canary in control_plane.log"),
        (show_what_workers_say, worker_that_tells_its_address, "a canary in data/dfip.db"),
        (keep_values_as_they_are, addresses_that_are_refused, "a canary in data/dfip.db"),
        (bind_values_to_no_place, moved_between_rows, "DID NOT RAISE"),
        (destroy_keys_that_are_needed, rotation_under_load, "database is busy"),
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
    with pytest.raises(Violation, match=found):
        async with running_world(tmp_path, dice=random.Random(1), thorough=False) as world:
            await put_in(world, [fault], seed=1, rounds=1)
