"""``python -m control_plane``: the brain of the mesh; ``assembly`` has its parts."""

import sys

from control_plane.assembly import ROOM, ControlPlane
from control_plane.settings import Settings
from service_runtime.clock import SystemClock
from service_runtime.lifecycle import Lifecycle, run_service
from service_runtime.settings import load_settings


async def serve(lifecycle: Lifecycle) -> None:
    """Serve until the end has come."""
    await ControlPlane(load_settings(Settings), SystemClock()).start(lifecycle)
    await lifecycle.wait_for_stop()


def main() -> int:
    """Run the service and return its exit status."""
    return run_service(ROOM, serve)


if __name__ == "__main__":
    sys.exit(main())
