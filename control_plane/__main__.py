"""``python -m control_plane``: the brain of the mesh; ``assembly`` has its parts."""

import sys

from control_plane.assembly import ROOM, ControlPlane
from control_plane.engines.postgres import PostgresUrlError
from control_plane.settings import Settings
from control_plane.webhooks.url import WebhookNetworksError
from service_runtime.clock import SystemClock
from service_runtime.lifecycle import Lifecycle, run_service
from service_runtime.settings import SettingsError, load_settings


async def serve(lifecycle: Lifecycle) -> None:
    """Serve until the end has come."""
    try:
        control_plane = ControlPlane(load_settings(Settings), SystemClock())
    except (PostgresUrlError, WebhookNetworksError) as error:
        raise SettingsError(str(error)) from None
    await control_plane.start(lifecycle)
    await lifecycle.wait_for_stop()


def main() -> int:
    """Run the service and return its exit status."""
    return run_service(ROOM, serve)


if __name__ == "__main__":
    sys.exit(main())
