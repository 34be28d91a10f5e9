"""A real control plane in the test's process: its own database, keys and socket, any clock.

    async with running_control_plane(tmp_path) as site:
        cameras = ControlPlaneServiceStub(site.channel("admin"))

Starting it again on the same folder is a restart: everything but the process's memory stays.
"""

import shutil
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from control_plane.assembly import ControlPlane
from control_plane.data_dir import DataDir
from control_plane.settings import Settings
from service_runtime.authentication import role_from_name
from service_runtime.clients import MeshChannel, StaticToken, open_channel
from service_runtime.clock import Clock, SystemClock
from service_runtime.lifecycle import Lifecycle
from service_runtime.limits import PICTURE_MAX_MESSAGE_BYTES
from service_runtime.secret import Secret
from tests.support.database import place_database
from tests.support.engines import database_url

_NOWHERE = "unix:/nonexistent/identity-index.sock"


class RunningControlPlane:
    """A control plane that serves, and clients of it."""

    def __init__(
        self, control_plane: ControlPlane, settings: Settings, lifecycle: Lifecycle
    ) -> None:
        self.control_plane = control_plane
        self.settings = settings
        self._lifecycle = lifecycle

    @property
    def target(self) -> str:
        return self.control_plane.address

    @property
    def stopping(self) -> bool:
        """Whether one of its root tasks has crashed."""
        return self._lifecycle.stopping.is_set()

    async def stop_serving(self) -> None:
        """Stop as the service does, before clients are closed."""
        await self.control_plane.stop()

    def token(
        self,
        role: str = "admin",
        *,
        camera_id: str | None = None,
        epoch: int | None = None,
        lifetime_s: float = 3600,
    ) -> Secret:
        """Mint a token with the site's own key."""
        issued = self.control_plane.parts.issuer.issue(
            role_from_name(role),
            subject=f"test-{role}",
            lifetime_s=lifetime_s,
            camera_id=camera_id,
            epoch=epoch,
        )
        return issued.token

    def channel(
        self,
        role: str = "admin",
        *,
        camera_id: str | None = None,
        epoch: int | None = None,
        token: str | None = None,
    ) -> MeshChannel:
        """Open a channel as ``role``, or with a token that was issued before."""
        secret = (
            self.token(role, camera_id=camera_id, epoch=epoch) if token is None else Secret(token)
        )
        channel = open_channel(
            self.target, token=StaticToken(secret), max_message_bytes=PICTURE_MAX_MESSAGE_BYTES
        )
        self._lifecycle.stack.push_async_callback(channel.close)
        return channel


@asynccontextmanager
async def running_control_plane(
    folder: Path,
    *,
    clock: Clock | None = None,
    index_target: str = _NOWHERE,
    **settings: Any,
) -> AsyncIterator[RunningControlPlane]:
    """Run a control plane on ``folder`` until the block ends, and stop it as the service would."""
    # pytest's folders are too long for the name of a socket
    sockets = Path(tempfile.mkdtemp(prefix="dfip-"))
    values: dict[str, Any] = {
        "listen": f"unix:{sockets}/control-plane.sock",
        "data_dir": folder / "data",
        "tokens_dir": folder / "tokens",
        "jwks_file": folder / "jwks.json",
        "media_root": folder / "media",
        "index_target": index_target,
        # what tests report was seen on a fixed day, and retention looks at once
        "sighting_days": 36_500,
    }
    values["database_url"] = await database_url(folder)
    chosen = Settings(**(values | settings))
    if chosen.database_url is None:
        place_database(DataDir(chosen.data_dir).database)
    control_plane = ControlPlane(chosen, clock or SystemClock())
    lifecycle = Lifecycle()
    try:
        await control_plane.start(lifecycle)
        yield RunningControlPlane(control_plane, chosen, lifecycle)
    finally:
        await lifecycle.close()
        shutil.rmtree(sockets, ignore_errors=True)
