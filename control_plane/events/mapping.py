"""Rows of the feed as the contract's events, with people's names as they are now."""

import json
from collections.abc import Iterable, Sequence
from typing import Any

from google.protobuf.json_format import MessageToDict, ParseDict
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from control_plane.alerts.model import with_name
from control_plane.events.tables import EventRow
from control_plane.people.tables import PersonRow
from control_plane.runtime.mapping import timestamp
from dfip.control_plane.v1 import event_pb2


async def event_messages(session: AsyncSession, rows: Sequence[EventRow]) -> list[event_pb2.Event]:
    """Return the events of the rows, in their order."""
    events = [_event_message(row) for row in rows]
    mentioned = {person_id for event in events for person_id in _people_in(event)}
    if mentioned:
        query = select(PersonRow.id, PersonRow.name).where(PersonRow.id.in_(mentioned))
        names = {row.id: row.name for row in await session.execute(query)}
        for event in events:
            _fill_in_names(event, names)
    return events


def event_json(event: event_pb2.Event) -> str:
    """Return an event as one line of JSON, with the contract's own key names."""
    return json.dumps(
        MessageToDict(
            event, preserving_proto_field_name=True, always_print_fields_with_no_presence=True
        ),
        separators=(",", ":"),
    )


def _event_message(row: EventRow) -> event_pb2.Event:
    event = event_pb2.Event()
    # a field that a later version removed must not make the feed unreadable
    ParseDict(row.payload, event, ignore_unknown_fields=True)
    event.type = row.type
    event.timestamp.CopyFrom(timestamp(row.created_at))
    if row.camera_id is not None:
        event.camera_id = row.camera_id
    if row.person_id is not None and not row.type.startswith(("sighting.", "alert.")):
        event.person_id = row.person_id
    if row.face_id is not None and row.type == "face.removed":
        event.face_id = row.face_id
    if event.HasField("face"):
        event.face.revision = row.sequence
    return event


def _people_in(event: event_pb2.Event) -> Iterable[str]:
    if event.HasField("sighting"):
        yield event.sighting.person_id
        for candidate in event.sighting.evidence.candidates:
            yield candidate.person_id
    if event.HasField("alert") and event.alert.person_id:
        yield event.alert.person_id


def _fill_in_names(event: event_pb2.Event, names: dict[str, Any]) -> None:
    if event.HasField("sighting"):
        event.sighting.person_name = names.get(event.sighting.person_id, "")
        for candidate in event.sighting.evidence.candidates:
            candidate.person_name = names.get(candidate.person_id, "")
    if event.HasField("alert"):
        event.alert.person_name = names.get(event.alert.person_id, "")
        event.alert.message = with_name(event.alert.message, event.alert.person_name)
