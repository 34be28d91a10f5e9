"""What each process of the mesh is told, and what it is not."""

import json
import os
import socket
from dataclasses import replace
from pathlib import Path

import pytest

from cli.failures import CommandFailed
from cli.supervisor.health import is_healthy
from cli.supervisor.mesh import inherited_environment, listens, mesh_children
from cli.supervisor.site import Site, TlsPlaces
from tests.support.certificates import TestCertificates

SECRET = "the-operators-own-token"


def site(tmp_path: Path) -> Site:
    return Site(
        data_dir=tmp_path / "data",
        runtime_dir=tmp_path / "run",
        media_root=tmp_path / "media",
        host="127.0.0.1",
        http_port=3001,
        pack_id="builtin",
    )


def test_the_manager_stops_first_and_the_control_plane_last(tmp_path: Path) -> None:
    names = [child.name for child in mesh_children(site(tmp_path), {})]
    assert names == ["control_plane", "identity_index", "envoy", "camera_manager"]


def test_the_manager_and_the_control_plane_hear_what_cameras_may_be(tmp_path: Path) -> None:
    told = {"DFIP_CAMERA_NETWORKS": "10.0.0.0/8", "DFIP_ALLOW_DEVICES": "1"}
    wish = replace(site(tmp_path), camera_variables=told)
    children = {
        child.name: child for child in mesh_children(wish, {"DFIP_CAMERA_NETWORKS": "0.0.0.0/0"})
    }
    for room in ("control_plane", "camera_manager"):
        assert told.items() <= children[room].environment.items()


def test_a_file_of_certificates_in_the_environment_is_found_from_every_folder() -> None:
    environment = inherited_environment({"DFIP_CAMERA_CA_FILE": "ca.pem"})
    assert environment["DFIP_CAMERA_CA_FILE"] == str(Path.cwd() / "ca.pem")


def test_every_service_is_a_module_of_this_python(tmp_path: Path) -> None:
    children = {child.name: child for child in mesh_children(site(tmp_path), {})}
    for room in ("control_plane", "identity_index", "camera_manager"):
        assert children[room].command[1:] == ("-m", room)
        assert children[room].environment["DFIP_LISTEN"] == f"unix:{tmp_path}/run/{room}.sock"
        assert children[room].environment["DFIP_TOKEN_FILE"].startswith(f"{tmp_path}/run/tokens/")
    assert children["envoy"].command[1:4] == ("-m", "cli.supervisor.tether", str(os.getpid()))


def test_the_manager_is_told_how_many_cameras_share_a_process(tmp_path: Path) -> None:
    told = [
        {child.name: child for child in mesh_children(wished, environ)}[
            "camera_manager"
        ].environment.get("DFIP_CAMERAS_PER_WORKER")
        for wished, environ in (
            (site(tmp_path), {}),
            (site(tmp_path), {"DFIP_CAMERAS_PER_WORKER": "4"}),
            (replace(site(tmp_path), cameras_per_worker=8), {"DFIP_CAMERAS_PER_WORKER": "4"}),
        )
    ]
    assert told == [None, "4", "8"]


def test_what_is_for_the_client_commands_goes_nowhere(tmp_path: Path) -> None:
    environ = {"DFIP_TOKEN": SECRET, "DFIP_DEBUG": "1", "DFIP_SERVER": "x", "LANG": "C"}
    for child in mesh_children(site(tmp_path), environ):
        assert SECRET not in json.dumps(dict(child.environment))
        assert SECRET not in " ".join(child.command)
        assert "DFIP_SERVER" not in child.environment
        assert child.environment["LANG"] == "C"


def test_the_database_is_its_owners_alone(tmp_path: Path) -> None:
    environ = {"DFIP_DATABASE_URL": f"postgresql://dfip:{SECRET}@host/dfip"}
    children = {child.name: child for child in mesh_children(site(tmp_path), environ)}
    told = [name for name, child in children.items() if SECRET in str(dict(child.environment))]
    assert told == ["control_plane"]
    assert all(SECRET not in " ".join(child.command) for child in children.values())


def test_telemetry_apart_is_a_process_that_knows_the_database_and_no_token(tmp_path: Path) -> None:
    environ = {"DFIP_DATABASE_URL": f"postgresql://dfip:{SECRET}@host/dfip"}
    apart = replace(site(tmp_path), telemetry_apart=True)
    children = {child.name: child for child in mesh_children(apart, environ)}
    telemetry = children["telemetry"]
    assert telemetry.command[1:] == ("-m", "control_plane", "--only", "telemetry")
    assert telemetry.environment["DFIP_LISTEN"] == f"unix:{tmp_path}/run/telemetry.sock"
    assert telemetry.environment["DFIP_DATABASE_URL"] == environ["DFIP_DATABASE_URL"]
    assert telemetry.environment["DFIP_JWKS_FILE"] == f"{tmp_path}/run/jwks.json"
    assert "DFIP_TOKEN_FILE" not in telemetry.environment
    assert "DFIP_DATA_DIR" not in telemetry.environment
    edge = (tmp_path / "run" / "edge" / "envoy.json").read_text()
    assert f"{tmp_path}/run/telemetry.sock" in edge


def test_telemetry_apart_needs_a_database_of_its_own_kind(tmp_path: Path) -> None:
    with pytest.raises(CommandFailed, match="DFIP_DATABASE_URL"):
        mesh_children(replace(site(tmp_path), telemetry_apart=True), {})


def test_folders_mean_the_same_from_everywhere(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    passed_on = inherited_environment({"DFIP_MODEL_DIR": "a:/b", "DFIP_CACHE_DIR": "c"})
    assert passed_on["DFIP_MODEL_DIR"] == f"{tmp_path}/a:/b"
    assert passed_on["DFIP_CACHE_DIR"] == f"{tmp_path}/c"
    assert passed_on["PYTHONSAFEPATH"] == "1"


async def test_a_service_listens_once_its_socket_takes_connections(tmp_path: Path) -> None:
    path = tmp_path / "s.sock"
    target = f"unix:{path}"
    assert not await listens(target)
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(path))
        assert not await listens(target)
        server.listen()
        assert await listens(target)


async def test_a_service_listens_once_its_port_takes_connections() -> None:
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        target = f"127.0.0.1:{server.getsockname()[1]}"
        assert not await listens(target)
        server.listen()
        assert await listens(target)


def test_with_tls_each_service_is_given_its_own_certificate_and_no_other(tmp_path: Path) -> None:
    certificates = TestCertificates(tmp_path / "certs")
    ports = {"control_plane": 7001, "identity_index": 7002, "camera_manager": 7003}
    protected = replace(
        site(tmp_path),
        tls=TlsPlaces(certificates_dir=certificates.folder, ports={**ports, "telemetry": 7004}),
    )
    environ = {"DFIP_TLS_KEY_FILE": "/somebody/elses", "DFIP_WORKER_TLS_KEY_FILE": "/too"}
    children = {child.name: child for child in mesh_children(protected, environ)}
    for room, port in ports.items():
        told = children[room].environment
        assert told["DFIP_LISTEN"] == f"127.0.0.1:{port}"
        assert told["DFIP_TLS_KEY_FILE"] == f"{certificates.folder}/{room}/key.pem"
        assert told["DFIP_TLS_CA_FILE"] == f"{certificates.folder}/{room}/ca.pem"
    manager = children["camera_manager"].environment
    assert manager["DFIP_WORKER_TLS_KEY_FILE"] == f"{certificates.folder}/vision_worker/key.pem"
    assert manager["DFIP_SOCKETS_DIR"] == f"{tmp_path}/run"
    assert "DFIP_TLS_KEY_FILE" not in children["envoy"].environment
    assert not [c for c in children.values() if "authority" in str(dict(c.environment))]


async def test_a_site_that_does_not_answer_is_not_healthy() -> None:
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        assert not await is_healthy("127.0.0.1", bound.getsockname()[1])
