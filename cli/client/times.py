"""Times for people and for programs. Pure."""

from datetime import UTC, datetime

from google.protobuf.timestamp_pb2 import Timestamp


def full_time(stamp: Timestamp) -> str:
    """Return RFC 3339 in UTC, or nothing where the time is not known."""
    return stamp.ToJsonString() if stamp.ByteSize() else ""


def short_time(stamp: Timestamp, now: datetime | None = None) -> str:
    """Return local time, with the date where it is another day; `-` where it is not known."""
    if not stamp.ByteSize():
        return "-"
    local = stamp.ToDatetime(UTC).astimezone()
    today = (now or datetime.now(UTC)).astimezone().date()
    return local.strftime("%H:%M:%S" if local.date() == today else "%Y-%m-%d %H:%M:%S")
