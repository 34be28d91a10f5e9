"""Events of the feed as the contract has them, and as server-sent events, made once for all."""

import json
import weakref
from collections.abc import Mapping
from typing import Any

from google.protobuf.json_format import MessageToDict, ParseDict

from control_plane.alerts.model import with_name
from control_plane.events.model import FeedEvent
from control_plane.runtime.mapping import timestamp
from dfip.control_plane.v1 import event_pb2
from dfip.control_plane.v1.event_service_pb2 import WatchEventsResponse


class Renderings:
    """What was made of events, kept as long as anybody has the event."""

    def __init__(self) -> None:
        self._responses: weakref.WeakKeyDictionary[FeedEvent, WatchEventsResponse] = (
            weakref.WeakKeyDictionary()
        )
        self._blocks: weakref.WeakKeyDictionary[FeedEvent, bytes] = weakref.WeakKeyDictionary()

    def response(self, event: FeedEvent) -> WatchEventsResponse:
        """Return an event as ``WatchEvents`` sends it; not to be changed."""
        made = self._responses.get(event)
        if made is None:
            made = WatchEventsResponse(
                event=event_message(event), resume_token=event.token.encode()
            )
            self._responses[event] = made
        return made

    def block(self, event: FeedEvent) -> bytes:
        """Return an event as a block of server-sent events (WHATWG HTML)."""
        made = self._blocks.get(event)
        if made is None:
            response = self.response(event)
            made = (
                f"id: {response.resume_token}\n"
                f"event: {event.type}\n"
                f"data: {event_json(response.event)}\n\n"
            ).encode()
            self._blocks[event] = made
        return made


def event_message(row: FeedEvent) -> event_pb2.Event:
    """Return an event as the contract's, with people's names as they were when it was read."""
    event = event_pb2.Event()
    # a field that a later version removed must not make the feed unreadable
    ParseDict(dict(row.payload), event, ignore_unknown_fields=True)
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
    _fill_in_names(event, row.names)
    return event


def event_object(event: event_pb2.Event) -> dict[str, Any]:
    """Return an event as JSON has it, with the contract's own key names."""
    return MessageToDict(
        event, preserving_proto_field_name=True, always_print_fields_with_no_presence=True
    )


def event_json(event: event_pb2.Event) -> str:
    """Return an event as one line of JSON."""
    return json.dumps(event_object(event), separators=(",", ":"))


def _fill_in_names(event: event_pb2.Event, names: Mapping[str, str]) -> None:
    if event.HasField("sighting"):
        event.sighting.person_name = names.get(event.sighting.person_id, "")
        for candidate in event.sighting.evidence.candidates:
            candidate.person_name = names.get(candidate.person_id, "")
    if event.HasField("alert"):
        event.alert.person_name = names.get(event.alert.person_id, "")
        event.alert.message = with_name(event.alert.message, event.alert.person_name)
