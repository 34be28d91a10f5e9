"""What the operator may say about cameras, and what is refused before anything starts."""

from datetime import UTC, datetime
from pathlib import Path

import pytest

from camera_manager.settings import ManagerSettings, worker_environment
from cli.certificates.authority import make_authority
from cli.failures import CommandFailed, ExitCode
from cli.supervisor.cameras import CameraWish
from service_runtime.settings import load_settings
from vision_worker.settings import WorkerSettings


def test_nothing_said_is_nothing_told() -> None:
    assert CameraWish().variables() == {}


def test_what_is_said_arrives_at_the_worker(tmp_path: Path) -> None:
    make_authority(tmp_path, now=datetime.now(UTC))
    (authority,) = tmp_path.rglob("ca.pem")
    told = CameraWish(
        networks=" 10.0.7.0/24, fd00:1::/64 ", ca_file=authority, devices=True, hls=True
    ).variables()
    manager = ManagerSettings(
        listen="unix:/run/m.sock",
        jwks_file=tmp_path,
        token_file=tmp_path,
        control_plane_target="unix:/run/c.sock",
        index_target="unix:/run/i.sock",
        workers_dir=tmp_path,
        media_root=tmp_path,
    )
    own = {"DFIP_CAMERA_ID": "x", "DFIP_LISTEN": "unix:/x", "DFIP_TOKEN_FILE": "/x"}
    worker = load_settings(WorkerSettings, worker_environment(manager, told) | own)
    assert worker.camera_networks == "10.0.7.0/24,fd00:1::/64"
    assert worker.camera_ca_file == authority
    assert (worker.allow_devices, worker.allow_hls) == (True, True)


@pytest.mark.parametrize("networks", ["10.0.0.1/8", "cameras", "10.0.0.0/33"])
def test_a_network_that_is_none(networks: str) -> None:
    with pytest.raises(CommandFailed, match="--camera-networks") as refused:
        CameraWish(networks=networks).variables()
    assert refused.value.code == ExitCode.USAGE


@pytest.mark.parametrize("content", [None, "", "no certificate"])
def test_a_file_without_certificates(tmp_path: Path, content: str | None) -> None:
    file = tmp_path / "ca.pem"
    if content is not None:
        file.write_text(content)
    with pytest.raises(CommandFailed, match="--camera-ca-file") as refused:
        CameraWish(ca_file=file).variables()
    assert refused.value.code == ExitCode.USAGE
