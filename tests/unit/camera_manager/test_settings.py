"""The manager's settings, and what of its environment a worker gets to see."""

from dataclasses import replace
from pathlib import Path

import pytest

from camera_manager.settings import ManagerSettings, worker_environment
from service_runtime.settings import SettingsError, load_settings

ENVIRON = {
    "DFIP_LISTEN": "unix:/run/dfip/m.sock",
    "DFIP_JWKS_FILE": "/run/dfip/jwks.json",
    "DFIP_TOKEN_FILE": "/run/dfip/manager.token",
    "DFIP_CONTROL_PLANE_TARGET": "unix:/run/dfip/cp.sock",
    "DFIP_INDEX_TARGET": "unix:/run/dfip/i.sock",
    "DFIP_WORKERS_DIR": "/data/workers",
    "DFIP_MEDIA_ROOT": "media",
}
SETTINGS = load_settings(ManagerSettings, ENVIRON)


def test_workers_listen_beside_the_manager_unless_told_otherwise() -> None:
    assert SETTINGS.worker_sockets_dir() == Path("/run/dfip")
    elsewhere = replace(SETTINGS, sockets_dir=Path("/s"))
    assert elsewhere.worker_sockets_dir() == Path("/s")


def test_sockets_without_a_place_are_refused() -> None:
    with pytest.raises(SettingsError, match="DFIP_SOCKETS_DIR is not set"):
        replace(SETTINGS, listen="127.0.0.1:1").worker_sockets_dir()


def test_a_sockets_path_that_is_just_short_enough_is_taken() -> None:
    longest = Path("/" + "s" * (107 - len("/w-0123456789ab.sock") - 1))
    assert replace(SETTINGS, sockets_dir=longest).worker_sockets_dir() == longest
    with pytest.raises(SettingsError, match="too long"):
        replace(SETTINGS, sockets_dir=Path(f"{longest}s")).worker_sockets_dir()


@pytest.mark.parametrize("count", [0, -1, 65])
def test_a_count_of_cameras_that_no_worker_takes_is_refused(count: int) -> None:
    with pytest.raises(SettingsError, match="DFIP_CAMERAS_PER_WORKER must be 1 to 64"):
        load_settings(ManagerSettings, ENVIRON | {"DFIP_CAMERAS_PER_WORKER": str(count)})


def test_a_worker_gets_what_it_needs_and_nothing_else() -> None:
    environ = ENVIRON | {
        "PATH": "/bin",
        "OMP_NUM_THREADS": "1",
        "DFIP_MODEL_DIR": "/models",
        "DFIP_LIFELINE_FD": "7",
        "DFIP_METRICS_PORT": "9000",
        "AWS_SECRET_ACCESS_KEY": "canary",
        "DATABASE_URL": "postgres://u:canary@h/d",
    }
    given = worker_environment(replace(SETTINGS, pack="yunet-dlib"), environ)
    assert given == {
        "PATH": "/bin",
        "OMP_NUM_THREADS": "1",
        "DFIP_MODEL_DIR": "/models",
        "DFIP_CONTROL_PLANE_TARGET": "unix:/run/dfip/cp.sock",
        "DFIP_INDEX_TARGET": "unix:/run/dfip/i.sock",
        "DFIP_JWKS_FILE": "/run/dfip/jwks.json",
        "DFIP_MEDIA_ROOT": str(Path("media").absolute()),
        "DFIP_PACK": "yunet-dlib",
        "DFIP_LOG_LEVEL": "info",
        "PYTHONSAFEPATH": "1",
    }


def test_a_worker_offers_reflection_where_the_manager_does() -> None:
    assert worker_environment(SETTINGS, {"DFIP_REFLECTION": "1"})["DFIP_REFLECTION"] == "1"
    assert "DFIP_REFLECTION" not in worker_environment(SETTINGS, {})


def test_workers_find_a_file_wherever_they_run() -> None:
    given = worker_environment(SETTINGS, {"DFIP_CAMERA_CA_FILE": "ca.pem"})
    assert given["DFIP_CAMERA_CA_FILE"] == str(Path.cwd() / "ca.pem")


def test_workers_have_a_certificate_of_their_own() -> None:
    """They decode what strangers send: the manager's key is nothing for them."""
    environ = {
        **ENVIRON,
        "DFIP_TLS_CERT_FILE": "/c/camera_manager/cert.pem",
        "DFIP_TLS_KEY_FILE": "/c/camera_manager/key.pem",
        "DFIP_TLS_CA_FILE": "/c/camera_manager/ca.pem",
        "DFIP_WORKER_TLS_CERT_FILE": "/c/vision_worker/cert.pem",
        "DFIP_WORKER_TLS_KEY_FILE": "/c/vision_worker/key.pem",
    }
    settings = load_settings(ManagerSettings, environ)
    given = worker_environment(settings, environ)
    told = {name: value for name, value in given.items() if "TLS" in name}
    assert told == {
        "DFIP_TLS_CERT_FILE": "/c/vision_worker/cert.pem",
        "DFIP_TLS_KEY_FILE": "/c/vision_worker/key.pem",
        "DFIP_TLS_CA_FILE": "/c/camera_manager/ca.pem",
    }
    with pytest.raises(SettingsError, match="DFIP_WORKER_TLS_CERT_FILE"):
        worker_environment(replace(settings, worker_tls_key_file=None), environ)
