"""Alerts in the database: raising, acknowledging, reading; people's names are filled in on reading.

What an alert keeps of a person is the id. Its events carry the person's id too, so that an erasure
empties them, and never the note, which is free text.
"""

from collections.abc import Collection, Sequence
from datetime import datetime
from typing import Any

from google.protobuf.json_format import MessageToDict
from sqlalchemy import select, tuple_
from sqlalchemy.ext.asyncio import AsyncSession

from control_plane.alerts import model
from control_plane.alerts.mapping import alert_message
from control_plane.alerts.model import ACKNOWLEDGED, OPEN, Alert, AlertFilter
from control_plane.alerts.tables import AlertRow
from control_plane.database import Database, Transaction
from control_plane.people import store as people

PageKey = tuple[datetime, str]
NamedAlert = tuple[Alert, str]
"""An alert, and the name of its person as it is now; empty where there is none."""


class AlertStore:
    """Reads alerts, and writes down who looks after them."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def get(self, alert_id: str) -> NamedAlert:
        """Return an alert.

        Raises:
            NotFound: ``ALERT_NOT_FOUND``.
        """
        found = await self.some([alert_id])
        if not found:
            raise model.alert_not_found(alert_id)
        return found[0]

    async def some(self, alert_ids: Collection[str]) -> list[NamedAlert]:
        """Return those of the alerts that are there, the oldest first."""
        query = select(AlertRow).where(AlertRow.id.in_(alert_ids))
        async with self._database.read() as session:
            rows = await session.scalars(query.order_by(AlertRow.raised_at, AlertRow.id))
            return await _named(session, rows.all())

    async def page(
        self, shown: AlertFilter, *, after: PageKey | None, limit: int
    ) -> list[NamedAlert]:
        """Return alerts, the newest first, after a time and id."""
        query = select(AlertRow)
        for column, value in (
            (AlertRow.rule_id, shown.rule_id),
            (AlertRow.camera_id, shown.camera_id),
            (AlertRow.person_id, shown.person_id),
            (AlertRow.state, shown.state),
        ):
            if value is not None:
                query = query.where(column == value)
        if shown.since is not None:
            query = query.where(AlertRow.raised_at >= shown.since)
        if shown.until is not None:
            query = query.where(AlertRow.raised_at < shown.until)
        if after is not None:
            query = query.where(tuple_(AlertRow.raised_at, AlertRow.id) < after)
        newest_first = (AlertRow.raised_at.desc(), AlertRow.id.desc())
        async with self._database.read() as session:
            rows = await session.scalars(query.order_by(*newest_first).limit(limit))
            return await _named(session, rows.all())

    async def acknowledge(self, alert_id: str, *, who: str, note: str) -> NamedAlert:
        """Note that somebody looks after an alert; the first who says so stays.

        Raises:
            NotFound: ``ALERT_NOT_FOUND``.
        """

        async def note_it(tx: Transaction) -> NamedAlert:
            row = await tx.session.get(AlertRow, alert_id, with_for_update=True)
            if row is None:
                raise model.alert_not_found(alert_id)
            if row.state == OPEN:
                row.state = ACKNOWLEDGED
                row.acknowledged_at = tx.now
                row.acknowledged_by = who
                row.note = note
                await _append(tx, "alert.acknowledged", row)
            return (await _named(tx.session, [row]))[0]

        return await self._database.transact(note_it)


async def add_alert(tx: Transaction, alert: Alert) -> None:
    """Write an alert and its event."""
    row = AlertRow(
        id=alert.id,
        rule_id=alert.rule_id,
        rule_name=alert.rule_name,
        kind=alert.kind,
        severity=alert.severity,
        camera_id=alert.camera_id,
        person_id=alert.person_id,
        sighting_id=alert.sighting_id,
        zone=alert.zone,
        state=alert.state,
        raised_at=alert.raised_at,
        message=alert.message,
        details=dict(alert.details),
        acknowledged_at=None,
        acknowledged_by="",
        note="",
    )
    tx.session.add(row)
    await _append(tx, "alert.raised", row)


async def alerts_of_sightings(
    session: AsyncSession, sighting_ids: Collection[str]
) -> set[tuple[str, str]]:
    """Return the rule and the sighting of each alert that the sightings have raised."""
    if not sighting_ids:
        return set()
    query = select(AlertRow.rule_id, AlertRow.sighting_id)
    found = await session.execute(query.where(AlertRow.sighting_id.in_(sighting_ids)))
    return {(row.rule_id, row.sighting_id) for row in found}


async def _append(tx: Transaction, type: str, row: AlertRow) -> None:  # noqa: A002 - the event's word
    message = alert_message(alert_of(row), person_name="")
    message.note = ""
    payload: dict[str, Any] = MessageToDict(message, preserving_proto_field_name=True)
    await tx.append_event(
        type,
        camera_id=row.camera_id,
        person_id=row.person_id,
        sighting_id=row.sighting_id,
        payload={"alert": payload},
    )


def alert_of(row: AlertRow) -> Alert:
    """Return the alert of a row."""
    return Alert(
        id=row.id,
        rule_id=row.rule_id,
        rule_name=row.rule_name,
        kind=row.kind,
        severity=row.severity,
        camera_id=row.camera_id,
        person_id=row.person_id,
        sighting_id=row.sighting_id,
        zone=row.zone,
        state=row.state,
        raised_at=row.raised_at,
        message=row.message,
        details=row.details,
        acknowledged_at=row.acknowledged_at,
        acknowledged_by=row.acknowledged_by,
        note=row.note,
    )


async def _named(session: AsyncSession, rows: Sequence[AlertRow]) -> list[NamedAlert]:
    mentioned = {row.person_id for row in rows if row.person_id is not None}
    names = await people.names(session, mentioned)
    return [(alert_of(row), names.get(row.person_id or "", "")) for row in rows]
