"""What a worker is told by whoever starts it. No camera's address is among it."""

from dataclasses import dataclass
from pathlib import Path

from service_runtime.settings import SettingsError
from service_runtime.transport import TransportSettings
from vision_worker.spool.model import DEFAULT_LIMITS, MIB

MOST_CAMERAS = 64
LEAST_SPOOL_BYTES = 16 * MIB


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkerSettings(TransportSettings):
    """Settings of one worker.

    Attributes:
        control_plane_target: where the gateway is.
        index_target: where the identity index is.
        listen: where the manager reaches the worker.
        jwks_file: public keys of the site.
        media_root: the folder that `file://` cameras are below.
        camera_id: the camera that it begins with; without, it waits to be given one.
        token_file: the token of that camera.
        cameras_per_worker: how many cameras it takes at once; with one, it ends with its camera.
        cameras_dir: each further camera has its folder below; by default the folder above the
            working directory.
        worker_memory_mb: resident memory, in MiB, past which it ends itself to be started again;
            0 is any.
        pack: model pack of the site.
        reflection: offer reflection to valid tokens.
        camera_networks: the only networks that cameras may be in, as ``10.0.7.0/24,fd00:1::/64``;
            empty for every network but loopback and link-local ones.
        camera_ca_file: authorities that rtsps and https trust in place of the machine's, as PEM.
        allow_hls: let a camera of http and https answer with a playlist.
        allow_devices: let a camera be a device of this machine.
        spool_dir: folder of the first camera, which holds what waits to be reported; the working
            directory where it is not set.
        spool_bytes: how much may wait of each camera.
    """

    control_plane_target: str
    index_target: str
    listen: str
    jwks_file: Path
    media_root: Path
    camera_id: str = ""
    token_file: Path | None = None
    cameras_per_worker: int = 1
    cameras_dir: Path = Path("..")
    worker_memory_mb: int = 0
    pack: str = "builtin"
    reflection: bool = False
    camera_networks: str = ""
    camera_ca_file: Path | None = None
    allow_hls: bool = False
    allow_devices: bool = False
    spool_dir: Path = Path()
    spool_bytes: int = DEFAULT_LIMITS.disk_bytes

    def __post_init__(self) -> None:
        """Check what one setting means for another.

        Raises:
            SettingsError: They do not go together.
        """
        if not 1 <= self.cameras_per_worker <= MOST_CAMERAS:
            raise SettingsError(f"DFIP_CAMERAS_PER_WORKER must be 1 to {MOST_CAMERAS}")
        if self.spool_bytes < LEAST_SPOOL_BYTES:
            raise SettingsError(f"DFIP_SPOOL_BYTES must be at least {LEAST_SPOOL_BYTES}")
        if self.camera_id and self.token_file is None:
            raise SettingsError("DFIP_TOKEN_FILE is not set; a worker needs its camera's token")
