"""What a worker is told by whoever starts it. The camera's address is not among it."""

from dataclasses import dataclass
from pathlib import Path

from service_runtime.transport import TransportSettings


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkerSettings(TransportSettings):
    """Settings of one worker.

    Attributes:
        camera_id: the camera that its token is for.
        control_plane_target: where the gateway is.
        index_target: where the identity index is.
        listen: where the manager reaches the worker.
        jwks_file: public keys of the site.
        token_file: the worker's token.
        media_root: the folder that `file://` cameras are below.
        pack: model pack of the site.
        reflection: offer reflection to valid tokens.
        camera_networks: the only networks that cameras may be in, as ``10.0.7.0/24,fd00:1::/64``;
            empty for every network but loopback and link-local ones.
        camera_ca_file: authorities that rtsps and https trust in place of the machine's, as PEM.
        allow_hls: let a camera of http and https answer with a playlist.
        allow_devices: let a camera be a device of this machine.
    """

    camera_id: str
    control_plane_target: str
    index_target: str
    listen: str
    jwks_file: Path
    token_file: Path
    media_root: Path
    pack: str = "builtin"
    reflection: bool = False
    camera_networks: str = ""
    camera_ca_file: Path | None = None
    allow_hls: bool = False
    allow_devices: bool = False
