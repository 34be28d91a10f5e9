"""The retention policy: the settings' days, unless administrators have set others.

What is removed by it is done by ``control_plane.retention``, which asks before each round, so a
change reaches every replica with its next one.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Final, Self

from sqlalchemy import select

from control_plane.database import Database, Transaction
from control_plane.retention_policy.tables import RetentionPolicyRow
from control_plane.settings import Settings
from service_runtime.errors import Aborted

_ROW: Final = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Days:
    """How many days each kind of thing is kept."""

    event_days: float
    sighting_days: float
    telemetry_days: float
    alert_days: float
    webhook_days: float
    audit_days: float

    @classmethod
    def of(cls, settings: Settings) -> Self:
        """Return what holds while nobody has set anything else."""
        return cls(
            event_days=settings.event_days,
            sighting_days=settings.sighting_days,
            telemetry_days=settings.telemetry_days,
            alert_days=settings.alert_days,
            webhook_days=settings.webhook_days,
            audit_days=settings.audit_days,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class RetentionPolicy:
    """What holds now, and which version of it; ``changed_at`` is None while nothing was set."""

    days: Days
    etag: str
    changed_at: datetime | None


class RetentionPolicyStore:
    """Keeps the policy."""

    def __init__(self, database: Database, defaults: Days) -> None:
        self._database = database
        self._defaults = defaults

    async def current(self) -> RetentionPolicy:
        """Return what holds now."""
        async with self._database.read() as session:
            return self._policy(await session.scalar(select(RetentionPolicyRow)))

    async def change(self, days: Mapping[str, float], *, etag: str) -> RetentionPolicy:
        """Set some of the days.

        Raises:
            Aborted: ``ETAG_MISMATCH``: somebody changed the policy meanwhile.
        """

        async def change_it(tx: Transaction) -> RetentionPolicy:
            row = await tx.session.scalar(select(RetentionPolicyRow).with_for_update())
            if etag and etag != self._policy(row).etag:
                raise Aborted(
                    "ETAG_MISMATCH",
                    "Somebody changed the policy meanwhile; read it again, then repeat the change.",
                )
            if row is None:
                row = RetentionPolicyRow(id=_ROW, version=0)
                tx.session.add(row)
            for name, value in days.items():
                setattr(row, name, value)
            row.version += 1
            row.changed_at = tx.now
            await tx.session.flush()
            return self._policy(row)

        return await self._database.transact(change_it)

    def _policy(self, row: RetentionPolicyRow | None) -> RetentionPolicy:
        if row is None:
            return RetentionPolicy(days=self._defaults, etag="0", changed_at=None)
        chosen = {
            name: default if getattr(row, name) is None else getattr(row, name)
            for name, default in asdict(self._defaults).items()
        }
        return RetentionPolicy(
            days=Days(**chosen), etag=str(row.version), changed_at=row.changed_at
        )
