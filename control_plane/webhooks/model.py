"""Webhooks and deliveries as values, and the rules that need nothing else. Pure."""

import hashlib
import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from control_plane.events.types import EVENT_TYPES, INTERNAL_PREFIX
from service_runtime.errors import (
    Aborted,
    AlreadyExists,
    FailedPrecondition,
    FieldViolation,
    InvalidArgument,
    NotFound,
    ResourceExhausted,
)
from service_runtime.secret import Secret

# one receiver that hangs must not cost another its place: every webhook has places of its own, so
# the number of webhooks bounds what is sent at once
MOST_WEBHOOKS: Final = 64
AT_ONCE: Final = 4
MOST_PENDING: Final = 100_000
OLD_SECRET_SIGNS: Final = timedelta(hours=24)

DEFAULT_TYPES: Final = ("alert.raised",)
TEST_TYPE: Final = "webhook.test"

PENDING: Final = "pending"
DELIVERED: Final = "delivered"
DEAD: Final = "dead"

DISABLED_BY_ADMIN: Final = "admin"
DISABLED_AS_GONE: Final = "gone"


@dataclass(frozen=True, slots=True, kw_only=True)
class Webhook:
    """A webhook as administrators see it."""

    id: str
    name: str
    url: Secret
    event_types: tuple[str, ...]
    camera_ids: tuple[str, ...]
    enabled: bool
    disabled_reason: str
    old_secret_until: datetime | None
    dropped: int
    rests_until: datetime | None
    etag: str
    created_at: datetime
    updated_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class NewWebhook:
    """A webhook to register."""

    name: str
    url: Secret
    event_types: tuple[str, ...]
    camera_ids: tuple[str, ...]
    enabled: bool
    secret: Secret
    request_id: str | None
    # tells a repeated request from another one under the same id
    request_digest: str


@dataclass(frozen=True, slots=True, kw_only=True)
class WebhookChange:
    """What to change of a webhook; None leaves it as it is."""

    name: str | None = None
    url: Secret | None = None
    event_types: tuple[str, ...] | None = None
    camera_ids: tuple[str, ...] | None = None
    enabled: bool | None = None
    etag: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Delivery:
    """An event on its way to a webhook."""

    id: str
    webhook_id: str
    event_sequence: int | None
    event_type: str
    state: str
    attempts: int
    last_status: int | None
    failure_reason: str
    due_at: datetime | None
    created_at: datetime
    finished_at: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    """Which events a webhook is told of."""

    webhook_id: str
    event_types: frozenset[str]
    camera_ids: frozenset[str]
    after_sequence: int

    def wants(self, event_type: str, camera_id: str | None, sequence: int) -> bool:
        """Tell whether an event is for the webhook."""
        return (
            sequence > self.after_sequence
            and not event_type.startswith(INTERNAL_PREFIX)
            and not self.event_types.isdisjoint(_patterns_of(event_type))
            and (not self.camera_ids or camera_id in self.camera_ids)
        )


def _patterns_of(event_type: str) -> tuple[str, str, str]:
    return "*", f"{event_type.partition('.')[0]}.*", event_type


_PATTERNS: Final = frozenset(pattern for kind in EVENT_TYPES for pattern in _patterns_of(kind))


def clean_name(text: str) -> str:
    """Return a name without spaces around it.

    Raises:
        InvalidArgument: Nothing is left, or it holds what cannot be printed.
    """
    name = text.strip()
    if not name or not name.isprintable():
        raise InvalidArgument(
            "WEBHOOK_NAME_INVALID",
            "Give the webhook a name of one printable line.",
            violations=[FieldViolation(field="name", description="must be one printable line")],
        )
    return name


def clean_types(types: Sequence[str]) -> tuple[str, ...]:
    """Return the patterns of types, or the default where there are none.

    Raises:
        InvalidArgument: One names no event that anybody outside is told of.
    """
    for position, kind in enumerate(types):
        if kind not in _PATTERNS:
            description = f"{kind!r} names no event"
            raise InvalidArgument(
                "EVENT_TYPE_INVALID",
                f"{description}; take any of {', '.join(EVENT_TYPES)}, all of a kind such as"
                " camera.*, or *.",
                violations=[
                    FieldViolation(field=f"event_types[{position}]", description=description)
                ],
            )
    return tuple(types) or DEFAULT_TYPES


def request_digest(
    name: str, url: str, types: Sequence[str], cameras: Sequence[str], secret: str, *, enabled: bool
) -> str:
    """Return what tells a repeated request from another one under the same id."""
    content = json.dumps([name, url, list(types), list(cameras), secret, enabled])
    return hashlib.sha256(content.encode()).hexdigest()


def given_up(reason: str, now: datetime) -> dict[str, object]:
    """Return what a row says once nobody tries any more."""
    return {
        "state": DEAD,
        "failure_reason": reason,
        "due_at": None,
        "finished_at": now,
    }


def webhook_not_found(webhook_id: str) -> NotFound:
    """Return the error for an id that no webhook has."""
    return NotFound(
        "WEBHOOK_NOT_FOUND",
        "No webhook has this id; list them with GET /webhooks.",
        webhook_id=webhook_id,
    )


def delivery_not_found(delivery_id: str) -> NotFound:
    """Return the error for an id that no delivery of the webhook has."""
    return NotFound(
        "DELIVERY_NOT_FOUND",
        "The webhook has no delivery with this id, or not any more; list them with"
        " GET /webhooks/{webhook_id}/deliveries.",
        delivery_id=delivery_id,
    )


def too_many_webhooks() -> ResourceExhausted:
    """Return the error for one webhook more than there may be."""
    return ResourceExhausted(
        "TOO_MANY_WEBHOOKS",
        f"There are {MOST_WEBHOOKS} webhooks, as many as there can be; remove one first.",
    )


def other_request(request_id: str) -> AlreadyExists:
    """Return the error for a request id that was used for something else."""
    return AlreadyExists(
        "REQUEST_ID_REUSED",
        "Another webhook was made with this request_id; use a new one.",
        request_id=request_id,
    )


def etag_differs(webhook_id: str) -> Aborted:
    """Return the error for a change of something that somebody changed meanwhile."""
    return Aborted(
        "ETAG_MISMATCH",
        "The webhook was changed meanwhile; read it again and repeat the change.",
        webhook_id=webhook_id,
    )


def rotation_open(webhook_id: str) -> FailedPrecondition:
    """Return the error for a rotation while the one before it still has an old secret."""
    return FailedPrecondition(
        "ROTATION_OPEN",
        "The secret was changed less than a day ago and the one before it still signs; wait, or"
        " set revoke_old to end both at once.",
        webhook_id=webhook_id,
    )


def webhook_disabled(webhook_id: str) -> FailedPrecondition:
    """Return the error for sending to a webhook that is disabled."""
    return FailedPrecondition(
        "WEBHOOK_DISABLED",
        "The webhook is disabled; enable it first.",
        webhook_id=webhook_id,
    )


def still_pending(delivery_id: str) -> FailedPrecondition:
    """Return the error for a replay of what is on its way anyway."""
    return FailedPrecondition(
        "DELIVERY_PENDING",
        "The delivery is still on its way; next_attempt_at says when it is tried again.",
        delivery_id=delivery_id,
    )


def same_cameras(ids: Iterable[str]) -> tuple[str, ...]:
    """Return ids of cameras once each, in their order."""
    return tuple(dict.fromkeys(ids))
