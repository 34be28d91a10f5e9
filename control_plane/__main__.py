"""``python -m control_plane``: the brain of the mesh; ``assembly`` has its parts.

``--only telemetry`` runs that topic alone; see ``telemetry_alone``.
"""

import argparse
import sys
from collections.abc import Sequence

from control_plane.assembly import ROOM, ControlPlane
from control_plane.engines.postgres import PostgresUrlError
from control_plane.settings import Settings
from control_plane.telemetry_alone import TOPIC, TelemetryAlone, TelemetrySettings
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


async def serve_telemetry(lifecycle: Lifecycle) -> None:
    """Serve telemetry alone until the end has come."""
    try:
        alone = TelemetryAlone(load_settings(TelemetrySettings), SystemClock())
    except PostgresUrlError as error:
        raise SettingsError(str(error)) from None
    await alone.start(lifecycle)
    await lifecycle.wait_for_stop()


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the service and return its exit status; the command line's arguments by default."""
    parser = argparse.ArgumentParser(prog="python -m control_plane")
    parser.add_argument("--only", choices=[TOPIC], help="run this topic alone")
    only = parser.parse_args(arguments).only
    return run_service(TOPIC, serve_telemetry) if only else run_service(ROOM, serve)


if __name__ == "__main__":
    sys.exit(main())
