"""What the operator allows cameras to be, checked before anything is started.

Without a flag the environment's `DFIP_…` variable of the same name counts, as for every service.
"""

import ssl
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from cli.failures import CommandFailed, ExitCode
from service_runtime.addresses import parse_networks


@dataclass(frozen=True, slots=True, kw_only=True)
class CameraWish:
    """What the operator asked for.

    Attributes:
        networks: the only networks of cameras, as `10.0.7.0/24,fd00:1::/64`; empty for the usual.
        ca_file: authorities of encrypted cameras, as PEM; None for the machine's.
        devices: cameras may be devices of this machine.
        hls: cameras may answer with playlists.
    """

    networks: str = ""
    ca_file: Path | None = None
    devices: bool = False
    hls: bool = False

    def variables(self) -> Mapping[str, str]:
        """Return what the services are told.

        Raises:
            CommandFailed: a network is none, or the file holds no certificates.
        """
        told: dict[str, str] = {}
        if self.networks:
            told["DFIP_CAMERA_NETWORKS"] = _checked_networks(self.networks)
        if self.ca_file is not None:
            told["DFIP_CAMERA_CA_FILE"] = str(_checked_certificates(self.ca_file))
        if self.devices:
            told["DFIP_ALLOW_DEVICES"] = "1"
        if self.hls:
            told["DFIP_ALLOW_HLS"] = "1"
        return told


def _checked_networks(text: str) -> str:
    try:
        networks = parse_networks(text)
    except ValueError as error:
        raise CommandFailed(
            f"--camera-networks: {error}; separate several by commas.", code=ExitCode.USAGE
        ) from None
    return ",".join(map(str, networks))


def _checked_certificates(file: Path) -> Path:
    path = file.expanduser().absolute()
    try:
        found = ssl.create_default_context(cafile=str(path)).cert_store_stats()["x509"]
    except (OSError, ValueError):  # an SSLError is one of the first
        found = 0
    if not found:
        raise CommandFailed(
            f"The file {path} holds no certificates; name one with PEM by --camera-ca-file.",
            code=ExitCode.USAGE,
        )
    return path
