"""What the feed keeps of cameras and runtimes: the contract's messages as JSON.

Written at the time of the change, so that an event shows the camera as it was then. A connection
string is reduced to its scheme here, before it can reach the events table.
"""

from datetime import datetime
from typing import Any

from google.protobuf.json_format import MessageToDict
from google.protobuf.message import Message

from control_plane.cameras.mapping import json_message
from control_plane.cameras.model import STATUS_OF
from control_plane.cameras.tables import CameraRow
from control_plane.runtime.mapping import runtime_message, timestamp
from control_plane.runtime.tables import CameraRuntimeRow
from dfip.control_plane.v1 import event_pb2


def camera_payload(row: CameraRow) -> dict[str, Any]:
    """Return a camera as it stands inside an event."""
    message = event_pb2.EventCamera(
        id=row.id,
        name=row.name,
        connection_string=f"{row.connection_scheme}://...",
        status=STATUS_OF[row.desired_state],
        desired_state=row.desired_state,
        location=row.location,
        description=row.description,
        metadata=json_message(row.extra),
        created_at=timestamp(row.created_at),
        updated_at=timestamp(row.updated_at),
    )
    return _as_json(message)


def runtime_payload(row: CameraRuntimeRow, *, now: datetime) -> dict[str, Any]:
    """Return a runtime as it stands inside an event."""
    return _as_json(runtime_message(row, now=now))


def _as_json(message: Message) -> dict[str, Any]:
    return MessageToDict(
        message, preserving_proto_field_name=True, always_print_fields_with_no_presence=True
    )
