"""What the manager is told by its environment; `service_runtime.settings` says how it is read."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from service_runtime.identity_provider import IdentityProviderSettings
from service_runtime.settings import SettingsError
from service_runtime.transport import TransportSettings

_MOST_CAMERAS = 64
_SOCKET_PATH_BYTES = 107  # sun_path of Linux, less the final zero
_WORKER_SOCKET_BYTES = len("/w-0123456789ab.sock")
_PASSED_ON = frozenset(
    {"HOME", "LANG", "LD_LIBRARY_PATH", "LOGNAME", "PATH", "SSL_CERT_DIR", "SSL_CERT_FILE"}
    | {"TMPDIR", "TZ", "USER", "VIRTUAL_ENV", "XDG_CACHE_HOME"}
)
_PASSED_ON_PREFIXES = ("CUDA", "DFIP_", "LC_", "NVIDIA_", "OMP_", "ORT_", "PYTHON")
_FILES = frozenset({"DFIP_CAMERA_CA_FILE"})
_MANAGERS_OWN = frozenset(
    {"DFIP_WORKERS_DIR", "DFIP_SOCKETS_DIR", "DFIP_WORKER_LOG_MAX_BYTES", "DFIP_METRICS_PORT"}
    | {"DFIP_LISTEN", "DFIP_TOKEN_FILE", "DFIP_LIFELINE_FD", "DFIP_SPOOL_DIR"}
    | {"DFIP_CAMERAS_PER_WORKER"}
    | {"DFIP_TLS_CERT_FILE", "DFIP_TLS_KEY_FILE", "DFIP_TLS_CA_FILE"}
    | {"DFIP_WORKER_TLS_CERT_FILE", "DFIP_WORKER_TLS_KEY_FILE"}
)


@dataclass(frozen=True, slots=True, kw_only=True)
class ManagerSettings(IdentityProviderSettings, TransportSettings):
    """Settings of the camera manager.

    ``sockets_dir`` is where workers listen; without it, where the manager itself does.
    ``worker_tls_…`` is the workers' certificate: they decode what strangers send, so that they are
    never given the manager's own.
    """

    listen: str
    jwks_file: Path
    token_file: Path
    control_plane_target: str
    index_target: str
    workers_dir: Path
    media_root: Path
    pack: str = "builtin"
    sockets_dir: Path | None = None
    lifeline_fd: int | None = None
    reflection: bool = False
    log_level: str = "info"
    worker_tls_cert_file: Path | None = None
    worker_tls_key_file: Path | None = None
    worker_log_max_bytes: int = 4 * 1024 * 1024
    cameras_per_worker: int = 1

    def __post_init__(self) -> None:
        """Check what can be checked by itself.

        Raises:
            SettingsError: No worker could be started like this.
        """
        if not 1 <= self.cameras_per_worker <= _MOST_CAMERAS:
            raise SettingsError(f"DFIP_CAMERAS_PER_WORKER must be 1 to {_MOST_CAMERAS}")

    def worker_sockets_dir(self) -> Path:
        """Return where workers listen.

        Raises:
            SettingsError: Nothing says where, or the path is too long for a socket.
        """
        folder = self.sockets_dir
        if folder is None and self.listen.startswith("unix:"):
            folder = Path(self.listen.removeprefix("unix:")).parent
        if folder is None:
            raise SettingsError("DFIP_SOCKETS_DIR is not set; give a short path for sockets")
        folder = folder.absolute()
        if len(bytes(folder)) + _WORKER_SOCKET_BYTES > _SOCKET_PATH_BYTES:
            raise SettingsError("DFIP_SOCKETS_DIR is too long for a socket; give a shorter path")
        return folder


def worker_environment(settings: ManagerSettings, environ: Mapping[str, str]) -> dict[str, str]:
    """Return what every worker gets of the manager's environment, and its own settings.

    A worker decodes what strangers send, so that it gets no variable that it has no use for.
    """
    passed_on = {
        # workers run in folders of their own
        name: str(Path(value).absolute()) if name in _FILES else value
        for name, value in environ.items()
        if name not in _MANAGERS_OWN
        and (name in _PASSED_ON or name.startswith(_PASSED_ON_PREFIXES))
    }
    return (
        passed_on
        | _worker_tls(settings)
        | {
            "DFIP_CONTROL_PLANE_TARGET": settings.control_plane_target,
            "DFIP_INDEX_TARGET": settings.index_target,
            "DFIP_JWKS_FILE": str(settings.jwks_file.absolute()),
            "DFIP_MEDIA_ROOT": str(settings.media_root.absolute()),
            "DFIP_PACK": settings.pack,
            "DFIP_LOG_LEVEL": settings.log_level,
            # a worker's folder holds what it wrote; no program is to be imported from there
            "PYTHONSAFEPATH": "1",
        }
    )


def _worker_tls(settings: ManagerSettings) -> dict[str, str]:
    """Return the workers' side of TLS; nothing where the site does without.

    Raises:
        SettingsError: The manager has a certificate, and its workers have none.
    """
    cert, key, ca = (
        settings.worker_tls_cert_file,
        settings.worker_tls_key_file,
        settings.tls_ca_file,
    )
    if ca is None:
        return {}
    if cert is None or key is None:
        raise SettingsError(
            "workers need a certificate of their own beside the manager's: set "
            "DFIP_WORKER_TLS_CERT_FILE and DFIP_WORKER_TLS_KEY_FILE"
        )
    return {
        "DFIP_TLS_CERT_FILE": str(cert.absolute()),
        "DFIP_TLS_KEY_FILE": str(key.absolute()),
        "DFIP_TLS_CA_FILE": str(ca.absolute()),
    }
