"""The files that Envoy reads, and Envoy's own opinion of them."""

import json
import subprocess
from pathlib import Path

import pytest

from deploy.envoy import EdgeSettings, envoy_command, write_edge
from deploy.envoy.clusters import address, clusters

CLUSTERS = {
    "camera_manager": "[::1]:7003",
    "control_plane": "unix:/run/dfip/control_plane.sock",
    "identity_index": "identity-index.dfip.svc:7002",
}


def test_envoy_accepts_the_configuration(tmp_path: Path) -> None:
    settings = EdgeSettings(
        http_host="0.0.0.0",
        http_port=3001,
        clusters=CLUSTERS,
        admin_socket=tmp_path / "admin.sock",
    )
    config = write_edge(tmp_path / "edge", settings)
    checked = subprocess.run(
        [*envoy_command(config), "--mode", "validate"], capture_output=True, text=True, check=False
    )
    assert checked.returncode == 0, checked.stderr
    assert "warning" not in checked.stderr


def test_envoy_reads_the_descriptors_while_it_validates(tmp_path: Path) -> None:
    config = write_edge(tmp_path, EdgeSettings(http_port=3001, clusters=CLUSTERS))
    (tmp_path / "contracts.binpb").write_bytes(b"no descriptors")
    checked = subprocess.run(
        [*envoy_command(config), "--mode", "validate"], capture_output=True, check=False
    )
    assert checked.returncode != 0


def test_the_edge_loses_patience_before_it_refuses(tmp_path: Path) -> None:
    config = write_edge(tmp_path, EdgeSettings(http_port=3001, clusters=CLUSTERS))
    actions = json.loads(config.read_text())["overload_manager"]["actions"]
    by_name = {action["name"].rpartition(".")[2]: action["triggers"][0] for action in actions}
    patience = by_name["reduce_timeouts"]["scaled"]["saturation_threshold"]
    assert patience < by_name["stop_accepting_requests"]["threshold"]["value"]
    assert patience < by_name["stop_accepting_connections"]["threshold"]["value"]


APART = {"dfip.control_plane.v1.TelemetryService": "unix:/run/dfip/telemetry.sock"}


def test_a_service_apart_has_all_its_routes_and_its_own_health(tmp_path: Path) -> None:
    settings = EdgeSettings(http_port=3001, clusters=CLUSTERS, services=APART)
    config = write_edge(tmp_path, settings)
    checked = subprocess.run(
        [*envoy_command(config), "--mode", "validate"], capture_output=True, text=True, check=False
    )
    assert checked.returncode == 0, checked.stderr
    written = json.loads(config.read_text())["static_resources"]
    assert sorted(cluster["name"] for cluster in written["clusters"]) == sorted(CLUSTERS | APART)
    manager = written["listeners"][0]["filter_chains"][0]["filters"][0]["typed_config"]
    (host,) = manager["route_config"]["virtual_hosts"]
    apart = {
        (route["match"].get("path") or route["match"]["safe_regex"]["regex"])
        for route in host["routes"]
        if route.get("route", {}).get("cluster") in APART
    }
    assert {path for path in apart if path.startswith("/dfip.")} == {
        f"/dfip.control_plane.v1.TelemetryService/{name}"
        for name in ("ReportTelemetry", "StreamTelemetry", "QueryTelemetry")
    }
    assert len(apart) == 4  # and /telemetry/{camera_id}
    (health,) = [f for f in manager["http_filters"] if f["name"].endswith("health_check")]
    assert APART.keys() < health["typed_config"]["cluster_min_healthy_percentages"].keys()


def test_a_service_that_nobody_has_is_refused(tmp_path: Path) -> None:
    settings = EdgeSettings(http_port=3001, clusters=CLUSTERS, services={"dfip.Nobody": "unix:/x"})
    with pytest.raises(ValueError, match=r"dfip\.Nobody"):
        write_edge(tmp_path, settings)


def test_files_are_replaced_in_one_step(tmp_path: Path) -> None:
    for port in (3001, 3002):
        config = write_edge(tmp_path, EdgeSettings(http_port=port, clusters=CLUSTERS))
        assert sorted(path.name for path in tmp_path.iterdir()) == ["contracts.binpb", "envoy.json"]
        written = json.loads(config.read_text())
        (listener,) = written["static_resources"]["listeners"]
        assert listener["address"]["socket_address"]["port_value"] == port
        assert "admin" not in written


def test_the_command_never_shares_memory_with_another_edge(tmp_path: Path) -> None:
    command = envoy_command(tmp_path / "envoy.json", concurrency=1)
    assert Path(command[0]).is_file()
    assert "--disable-hot-restart" in command
    assert command[command.index("--concurrency") + 1] == "1"


def test_addresses() -> None:
    assert address("unix:/a/b.sock") == {"pipe": {"path": "/a/b.sock"}}
    assert address("127.0.0.1:80") == {"socket_address": {"address": "127.0.0.1", "port_value": 80}}
    assert address("[::1]:80") == {"socket_address": {"address": "::1", "port_value": 80}}


@pytest.mark.parametrize("target", ["", "host", "host:", ":80", "host:http"])
def test_a_bad_address_is_refused(target: str) -> None:
    with pytest.raises(ValueError, match="unix:/path or host:port"):
        address(target)


def test_only_names_are_resolved() -> None:
    types = {cluster["name"]: cluster["type"] for cluster in clusters(CLUSTERS)}
    assert types == {
        "camera_manager": "STATIC",
        "control_plane": "STATIC",
        "identity_index": "STRICT_DNS",
    }
