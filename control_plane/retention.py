"""The task that keeps tables bounded: once an hour, what is old goes.

Events, sightings, telemetry, alerts, and what is over of webhooks. How old is asked anew before
each round (``retention_policy``).
"""

import asyncio
from datetime import timedelta
from typing import Final

from control_plane.alerts.model import LONGEST_COOLDOWN_S
from control_plane.alerts.removal import forget_old_standings, remove_old_alerts
from control_plane.audit.removal import remove_audit_rows
from control_plane.blobs.removal import BlobRemover
from control_plane.database import Database
from control_plane.days import day_of, start_of
from control_plane.events.compaction import compact
from control_plane.pacing import AFTER_START_S
from control_plane.request_ids import forget_request_ids
from control_plane.retention_policy.store import RetentionPolicyStore
from control_plane.settings import Settings
from control_plane.sightings.days import drop_before, sighting_days
from control_plane.sightings.removal import forget_erased, remove_older_than
from control_plane.telemetry.model import OLDEST
from control_plane.telemetry.store import TelemetryStore
from control_plane.tokens.records import TokenRecords
from control_plane.webhooks.removal import forget_old_secrets, remove_old_deliveries
from service_runtime.clock import Clock, wait_at_most
from service_runtime.structured_logging import get_logger

EVERY_S: Final = 3600.0
_CHUNK: Final = 200
# a batch of a session that is forgotten would count again, were its samples not too old by then
_TELEMETRY_SESSIONS: Final = OLDEST + timedelta(days=1)
_ERASED_SIGHTINGS: Final = timedelta(days=7)
_REQUEST_IDS: Final = timedelta(days=7)
_ALERT_STANDINGS: Final = timedelta(seconds=LONGEST_COOLDOWN_S, days=1)
_log = get_logger(__name__)


class Retention:
    """Removes what is older than the settings allow; ``run`` is its root task."""

    def __init__(
        self,
        database: Database,
        remover: BlobRemover,
        clock: Clock,
        settings: Settings,
        policy: RetentionPolicyStore,
    ) -> None:
        self._database = database
        self._remover = remover
        self._clock = clock
        self._settings = settings
        self._policy = policy
        self._telemetry = TelemetryStore(database)
        self._sighting_days = sighting_days(database)
        self._asked = asyncio.Event()

    async def run(self) -> None:
        """Look a minute after the start, once an hour, and whenever somebody asks, for ever."""
        await wait_at_most(self._clock, self._asked, AFTER_START_S)
        while True:
            self._asked.clear()
            await self.once()
            await wait_at_most(self._clock, self._asked, EVERY_S)

    def ask(self) -> None:
        """Have the next round begin at once."""
        self._asked.set()

    async def once(self) -> None:
        """Remove what is too old now, a little at a time, so that writers need not wait."""
        days = (await self._policy.current()).days
        await self._telemetry.prepare(self._clock.now())
        events = await compact(
            self._database,
            older_than=timedelta(days=days.event_days),
            keep=self._settings.event_rows,
        )
        cutoff = self._clock.now() - timedelta(days=days.sighting_days)
        await self._sighting_days.prepare(self._clock.now())
        dropped = await drop_before(self._database, self._sighting_days, cutoff)
        sightings = 0
        # where days are dropped, what is left of earlier ones: nothing, or from before there were
        # days; the last day stays whole until all of it is too old
        whole = start_of(day_of(cutoff)) if self._database.has_partitions else None
        while True:
            async with self._database.write() as tx:
                removed = await remove_older_than(tx, cutoff, _CHUNK, started_before=whole)
            sightings += removed
            if removed < _CHUNK:
                break
        if sightings or dropped:
            await self._remover.drain()
        now = self._clock.now()
        samples = await self._telemetry.remove_old(
            now - timedelta(days=days.telemetry_days), now=now
        )
        await self._telemetry.forget_sessions(now - _TELEMETRY_SESSIONS)
        async with self._database.write() as tx:
            await forget_erased(tx, now - _ERASED_SIGHTINGS)
        await TokenRecords(self._database).remove_old()
        await forget_request_ids(self._database, now - _REQUEST_IDS)
        alerts = await self._remove_alerts(days.alert_days)
        await forget_old_secrets(self._database, now)
        deliveries = await remove_old_deliveries(
            self._database, now, keep=timedelta(days=days.webhook_days)
        )
        await remove_audit_rows(
            self._database,
            before=now - timedelta(days=days.audit_days),
            refusals=self._settings.audit_refusals,
        )
        if events or dropped or sightings or samples or alerts or deliveries:
            _log.info(
                "retention.removed",
                events=events,
                sightings=sightings,
                sighting_days=dropped,
                telemetry_samples=samples,
                alerts=alerts,
                webhook_deliveries=deliveries,
            )

    async def _remove_alerts(self, alert_days: float) -> int:
        now = self._clock.now()
        cutoff = now - timedelta(days=alert_days)
        alerts = 0
        while True:
            async with self._database.write() as tx:
                removed = await remove_old_alerts(tx, cutoff, _CHUNK)
            alerts += removed
            if removed < _CHUNK:
                break
        async with self._database.write() as tx:
            await forget_old_standings(tx, now - _ALERT_STANDINGS)
        return alerts
