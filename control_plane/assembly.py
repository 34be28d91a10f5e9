"""The only place that starts and stops a control plane.

``start`` makes everything ready before it listens: keys, database, tokens. ``stop`` goes the other
way round: streams are ended first, so that watchers and workers connect again at once, then calls
that run get a moment, then the database is closed. What the parts are is in ``parts.py``, which
services they make in ``bindings.py``.
"""

import contextlib
import functools
import sqlite3

from alembic.util import CommandError
from sqlalchemy.exc import DBAPIError

from control_plane.bindings import bindings
from control_plane.data_dir import DataDirInUse
from control_plane.encryption import VaultError
from control_plane.engines.port import DatabaseBusy, DatabaseUnavailable
from control_plane.outages import outliving_outages
from control_plane.parts import Parts
from control_plane.schema import migrate
from control_plane.settings import Settings
from control_plane.tokens.signing_file import SigningKeyError
from dfip.camera_manager.v1 import manager_service_pb2
from dfip.identity_index.v1 import identity_index_service_pb2
from service_runtime.authentication import AUDIENCE, CONTROL_PLANE_AUDIENCE, TokenVerifier
from service_runtime.clock import Clock
from service_runtime.errors import Unavailable
from service_runtime.lifecycle import Lifecycle, StartError
from service_runtime.limits import PICTURE_MAX_MESSAGE_BYTES
from service_runtime.server import Server

ROOM = "control_plane"

# the edge has one address for reflection; it names what the other services answer for, too
_REFLECTED_ELSEWHERE = tuple(
    service.full_name
    for module in (manager_service_pb2, identity_index_service_pb2)
    for service in module.DESCRIPTOR.services_by_name.values()
)


class ControlPlane:
    """A control plane in this process."""

    def __init__(self, settings: Settings, clock: Clock) -> None:
        self._settings = settings
        self._clock = clock
        self._parts = Parts(settings, clock)
        self._server = Server(
            room=ROOM,
            listen=settings.listen,
            bindings=bindings(self._parts, settings, clock),
            verifier=TokenVerifier(
                settings.jwks_file,
                clock,
                audiences=(AUDIENCE, CONTROL_PLANE_AUDIENCE),
                heeds_replaced=False,
                provider=settings.identity_provider(),
            ),
            clock=clock,
            reflection=settings.reflection,
            reflected=_REFLECTED_ELSEWHERE,
            trail=self._parts.trail,
            max_message_bytes=PICTURE_MAX_MESSAGE_BYTES,
        )

    @property
    def address(self) -> str:
        """Target for clients; known once started."""
        return self._server.address

    @property
    def parts(self) -> Parts:
        """What the services share."""
        return self._parts

    async def flush_audit(self) -> None:
        """Write down the refused calls that were only counted so far."""
        await self._parts.trail.flush()

    async def start(self, lifecycle: Lifecycle) -> None:
        """Make everything ready, then serve.

        Raises:
            StartError: A folder, a key or the database cannot be used.
            ListenError: The address cannot be used.
        """
        lifecycle.stack.push_async_callback(self._parts.index.close)
        try:
            self._parts.data.open()
            lifecycle.stack.callback(self._parts.data.close)
            await self._parts.database.open()
            lifecycle.stack.push_async_callback(self._parts.database.close)
            await migrate(self._parts.database)
            await self._parts.keys.open()
            await self._parts.revocations.publish()
        except DatabaseUnavailable as error:
            raise StartError(
                "cannot connect to the database of DFIP_DATABASE_URL; check that the server runs,"
                " and the host, user, password and database in the address"
            ) from error
        except OSError as error:
            raise StartError(
                f"cannot use {error.filename or self._parts.data.path}: {error.strerror};"
                " check its rights and the space on the disk"
            ) from error
        except (DataDirInUse, VaultError, SigningKeyError) as error:
            raise StartError(str(error)) from error
        except CommandError as error:
            raise StartError(
                f"{self._database_name} was written by another version of dfip; use that version,"
                " or another database"
            ) from error
        except (DBAPIError, sqlite3.Error) as error:
            raise StartError(
                f"{self._database_name} cannot be used as the database; check its rights and the"
                " disk, or restore it from a backup"
            ) from error
        lifecycle.stack.callback(self._parts.resolver.close)
        courier = self._parts.courier()
        after = await self._parts.switchboard.start()
        cameras_after = await self._parts.known_cameras.start()
        rules_after = await self._parts.occupancy.start()
        await self._server.start()
        lifecycle.stack.push_async_callback(self.stop)
        for name, work in (
            ("database-listener", self._parts.database.follow_others),
            ("gateway-switchboard", functools.partial(self._parts.switchboard.run, after)),
            ("known-cameras", functools.partial(self._parts.known_cameras.run, cameras_after)),
            ("occupancy-rules", functools.partial(self._parts.occupancy.run, rules_after)),
            ("alert-judge", self._parts.judge.run),
            ("blob-remover", self._parts.remover.run),
            ("retention", self._parts.retention.run),
            ("keys", self._parts.keys.run),
            ("backups", self._parts.backups.run),
            ("erasure-ledger", self._parts.ledger.run),
            ("audit-refusals", self._parts.trail.run),
            ("revocations", self._parts.revocations.run),
            ("webhook-fan-out", self._parts.fan_out.run),
            ("webhook-courier", courier.run),
        ):
            lifecycle.spawn(name, outliving_outages(name, work, self._clock))
        lifecycle.spawn("telemetry-commit", self._parts.telemetry_line.run())
        lifecycle.spawn("token-refresh", self._parts.tokens.run())
        await self._server.set_serving(serving=True)

    async def stop(self) -> None:
        """End streams, so that clients connect again at once, then calls."""
        await self._server.set_serving(serving=False)
        self._parts.feed.close()
        self._parts.switchboard.close(
            Unavailable("SERVICE_STOPPING", "The service restarts; connect again.")
        )
        await self._server.stop(grace_s=2)
        with contextlib.suppress(DatabaseUnavailable, DatabaseBusy):
            await self._parts.trail.flush()

    @property
    def _database_name(self) -> str:
        """What to call the database before people: without its address, which has a password."""
        if self._settings.database_url is None:
            return str(self._parts.data.database)
        return "the database of DFIP_DATABASE_URL"
