"""The body of a delivery: a CloudEvents 1.0 event in structured JSON. Pure.

``source`` and ``id`` name the event: the change feed by its id, and the number in it. Types are
``dfip.`` and the event's own type: the specification recommends a reversed domain name, and a
program that runs at everybody's site has no domain that all of them share. ``sequence`` is the
extension of that name, a number of fixed width, so that a receiver can put events in order.
``data`` is the event as ``GET /events`` shows it.
https://github.com/cloudevents/spec/blob/v1.0.2/cloudevents/spec.md
"""

import json
from datetime import datetime
from typing import Any, Final

from control_plane.webhooks.model import TEST_TYPE

TYPE_PREFIX: Final = "dfip."
_SEQUENCE_DIGITS: Final = 20


def event_body(
    *,
    feed_id: str,
    sequence: int,
    event_type: str,
    subject: str,
    at: datetime,
    data: dict[str, Any],
) -> bytes:
    """Return the body that tells of an event.

    Args:
        feed_id: UUID of the change feed.
        sequence: Number of the event in it.
        event_type: Such as ``alert.raised``.
        subject: What it is about, as a path of the REST API without its first slash; may be empty.
        at: When it happened.
        data: The event as clients see it.
    """
    return _body(
        {
            "id": str(sequence),
            "source": f"urn:uuid:{feed_id}",
            "type": TYPE_PREFIX + event_type,
            **({"subject": subject} if subject else {}),
            "time": _time(at),
            "sequence": str(sequence).zfill(_SEQUENCE_DIGITS),
        },
        data,
    )


def make_test_body(*, feed_id: str, delivery_id: str, webhook_id: str, at: datetime) -> bytes:
    """Return the body of a test, which tells of no event."""
    return _body(
        {
            "id": delivery_id,
            "source": f"urn:uuid:{feed_id}",
            "type": TYPE_PREFIX + TEST_TYPE,
            "subject": f"webhooks/{webhook_id}",
            "time": _time(at),
        },
        {"type": TEST_TYPE, "timestamp": _time(at), "webhook_id": webhook_id},
    )


def _body(attributes: dict[str, str], data: dict[str, Any]) -> bytes:
    event = {
        "specversion": "1.0",
        **attributes,
        "datacontenttype": "application/json",
        "data": data,
    }
    return json.dumps(event, ensure_ascii=False, separators=(",", ":")).encode()


def _time(at: datetime) -> str:
    return at.isoformat().replace("+00:00", "Z")
