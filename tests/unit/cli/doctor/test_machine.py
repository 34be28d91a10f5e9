"""What the doctor says of a machine: each check well, and in each way that it can be ill."""

import base64
import json
import os
import shutil
import socket
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from cli.doctor.machine import (
    check_clock,
    check_data_dir,
    check_disk,
    check_port,
    check_token_file,
)
from cli.doctor.site import check_keys

NOW = datetime(2026, 1, 1, tzinfo=UTC)


def jwt(**claims: Any) -> str:
    def part(value: dict[str, Any]) -> str:
        return base64.urlsafe_b64encode(json.dumps(value).encode()).rstrip(b"=").decode()

    return f"{part({'alg': 'EdDSA', 'kid': 'k1'})}.{part(claims)}.c2ln"


def test_a_port_is_free_or_taken_or_ours() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        found = check_port("127.0.0.1", port, serves=False)
        assert (found.verdict, found.remedy[:4]) == ("fail", "Stop")
        assert check_port("127.0.0.1", port, serves=True).verdict == "ok"
    assert check_port("127.0.0.1", port, serves=False).verdict == "ok"


@pytest.mark.parametrize(("free", "verdict"), [(900, "fail"), (3000, "warn"), (9000, "ok")])
def test_a_disk_with_little_room(
    free: int, verdict: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    usage = shutil._ntuple_diskusage(10**12, 10**11, free << 20)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage)
    assert check_disk(tmp_path / "not" / "there").verdict == verdict


def test_a_clock_that_was_set_back_is_seen_by_newer_files(tmp_path: Path) -> None:
    (tmp_path / "dfip.db").touch()
    os.utime(tmp_path / "dfip.db", (NOW.timestamp(), NOW.timestamp()))
    assert check_clock(tmp_path, NOW - timedelta(hours=1)).verdict == "fail"
    assert check_clock(tmp_path, NOW + timedelta(hours=1)).verdict in {"ok", "warn"}


def test_a_data_folder_is_for_its_owner_alone(tmp_path: Path) -> None:
    assert check_data_dir(tmp_path / "none").verdict == "ok"
    (tmp_path / "file").touch()
    assert "is a file" in check_data_dir(tmp_path / "file").told
    tmp_path.chmod(0o755)
    found = check_data_dir(tmp_path)
    assert (found.verdict, found.remedy) == ("fail", f"chmod 700 {tmp_path}")
    tmp_path.chmod(0o700)
    assert check_data_dir(tmp_path).verdict == "ok"


@pytest.mark.parametrize(
    ("content", "mode", "verdict", "told"),
    [
        (jwt(exp=NOW.timestamp() + 60), 0o600, "ok", "for its owner alone"),
        (jwt(exp=NOW.timestamp() + 60), 0o640, "fail", "others may use"),
        (jwt(exp=NOW.timestamp() - 60), 0o600, "fail", "has expired"),
        ("no.token", 0o600, "fail", "holds no token"),
        ("a.\x80.c", 0o600, "fail", "cannot be read"),
        ("a.%%%.c", 0o600, "fail", "holds no token"),
    ],
)
def test_a_token_file(content: str, mode: int, verdict: str, told: str, tmp_path: Path) -> None:
    file = tmp_path / "admin.token"
    file.write_bytes(content.encode("latin-1"))
    file.chmod(mode)
    found = check_token_file(file, NOW)
    assert found.verdict == verdict
    assert told in found.told
    assert content not in found.told + found.remedy


@pytest.mark.parametrize(
    ("jwks", "verdict"),
    [
        ({"keys": [{"kid": "k1", "kty": "OKP", "x": "x"}]}, "ok"),
        ({"keys": [{"kid": "k2", "kty": "OKP", "x": "x"}]}, "fail"),
        ({"keys": [{"kid": "k1", "kty": "OKP", "x": "x", "d": "secret"}]}, "fail"),
        ({"keys": 3}, "fail"),
    ],
)
def test_the_sites_keys(jwks: dict[str, Any], verdict: str, tmp_path: Path) -> None:
    file = tmp_path / "jwks.json"
    assert check_keys(file, jwt()).verdict == "ok"
    file.write_text(json.dumps(jwks))
    found = check_keys(file, jwt())
    assert found.verdict == verdict
    assert "secret" not in found.told
