"""The files that Envoy reads, and Envoy's own opinion of them."""

import json
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest

from deploy.envoy import EdgeSettings, envoy_command, write_edge
from deploy.envoy.clusters import address, clusters
from deploy.envoy.token_check import TokenIssuer

CLUSTERS = {
    "camera_manager": "[::1]:7003",
    "control_plane": "unix:/run/dfip/control_plane.sock",
    "identity_index": "identity-index.dfip.svc:7002",
}


def settings(folder: Path, port: int = 3001) -> EdgeSettings:
    return EdgeSettings(
        http_port=port, clusters=CLUSTERS, jwks_file=folder / "elsewhere" / "jwks.json"
    )


def test_envoy_accepts_the_configuration(tmp_path: Path) -> None:
    provider_keys = tmp_path / "provider.json"
    provider_keys.write_text('{"keys": []}')
    everything = EdgeSettings(
        http_host="0.0.0.0",
        http_port=3001,
        clusters=CLUSTERS,
        jwks_file=tmp_path / "jwks.json",
        identity_provider=TokenIssuer(
            issuer="https://id.example", audiences=["cams"], jwks_file=provider_keys
        ),
        admin_socket=tmp_path / "admin.sock",
    )
    config = write_edge(tmp_path / "edge", everything)
    checked = subprocess.run(
        [*envoy_command(config), "--mode", "validate"], capture_output=True, text=True, check=False
    )
    assert checked.returncode == 0, checked.stderr
    # nothing runs, so nobody answers where the keys are
    told = [line for line in checked.stderr.splitlines() if "fetch" not in line]
    assert not [line for line in told if "warning" in line or "error" in line]


def test_a_provider_without_its_keys_is_an_error(tmp_path: Path) -> None:
    provider = TokenIssuer(
        issuer="https://id.example", audiences=["cams"], jwks_file=tmp_path / "provider.json"
    )
    with pytest.raises(ValueError, match=r"provider\.json"):
        write_edge(tmp_path, replace(settings(tmp_path), identity_provider=provider))


def test_keys_that_are_there_are_left_alone(tmp_path: Path) -> None:
    wished = settings(tmp_path)
    write_edge(tmp_path, wished)
    assert json.loads(wished.jwks_file.read_text()) == {"keys": []}
    wished.jwks_file.write_text("keys of the site")
    write_edge(tmp_path, wished)
    assert wished.jwks_file.read_text() == "keys of the site"


def test_envoy_reads_the_descriptors_while_it_validates(tmp_path: Path) -> None:
    config = write_edge(tmp_path, settings(tmp_path))
    (tmp_path / "contracts.binpb").write_bytes(b"no descriptors")
    checked = subprocess.run(
        [*envoy_command(config), "--mode", "validate"], capture_output=True, check=False
    )
    assert checked.returncode != 0


def test_the_edge_loses_patience_before_it_refuses(tmp_path: Path) -> None:
    config = write_edge(tmp_path, settings(tmp_path))
    actions = json.loads(config.read_text())["overload_manager"]["actions"]
    by_name = {action["name"].rpartition(".")[2]: action["triggers"][0] for action in actions}
    patience = by_name["reduce_timeouts"]["scaled"]["saturation_threshold"]
    assert patience < by_name["stop_accepting_requests"]["threshold"]["value"]
    assert patience < by_name["stop_accepting_connections"]["threshold"]["value"]


APART = {"dfip.control_plane.v1.TelemetryService": "unix:/run/dfip/telemetry.sock"}


def test_a_service_apart_has_all_its_routes_and_its_own_health(tmp_path: Path) -> None:
    config = write_edge(tmp_path, replace(settings(tmp_path), services=APART))
    checked = subprocess.run(
        [*envoy_command(config), "--mode", "validate"], capture_output=True, text=True, check=False
    )
    assert checked.returncode == 0, checked.stderr
    written = json.loads(config.read_text())["static_resources"]
    assert sorted(cluster["name"] for cluster in written["clusters"]) == sorted(
        [*CLUSTERS, *APART, "published_keys"]
    )
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
    wished = replace(settings(tmp_path), services={"dfip.Nobody": "unix:/x"})
    with pytest.raises(ValueError, match=r"dfip\.Nobody"):
        write_edge(tmp_path, wished)


def test_files_are_replaced_in_one_step(tmp_path: Path) -> None:
    for port in (3001, 3002):
        config = write_edge(tmp_path, settings(tmp_path, port))
        names = sorted(path.name for path in tmp_path.iterdir())
        assert names == ["contracts.binpb", "elsewhere", "envoy.json"]
        written = json.loads(config.read_text())
        listener, _ = written["static_resources"]["listeners"]
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
