"""Signatures after the Standard Webhooks specification 1.0.0, symmetric scheme ``v1``.

Pure. The signed content is ``{id}.{timestamp}.{body}``, keyed with the bytes behind ``whsec_``; an
older secret that is still in force signs too, and the receiver takes whichever matches.
https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md
"""

import base64
import binascii
import hashlib
import hmac
import secrets
from collections.abc import Sequence
from datetime import datetime
from typing import Final

from service_runtime.errors import FieldViolation, InvalidArgument
from service_runtime.secret import Secret

PREFIX: Final = "whsec_"
_MADE_BYTES: Final = 32
_SHORTEST_BYTES: Final = 24
_LONGEST_BYTES: Final = 64


def make_secret() -> Secret:
    """Return a new secret."""
    return Secret(_written(secrets.token_bytes(_MADE_BYTES)))


def parse_secret(text: str) -> Secret:
    """Return a secret that somebody brings, as it is written.

    Raises:
        InvalidArgument: ``WEBHOOK_SECRET_INVALID``; the sentence repeats nothing of it.
    """
    try:
        if not text.startswith(PREFIX):
            raise ValueError
        encoded = text.removeprefix(PREFIX).rstrip("=")
        key = base64.b64decode(encoded + "=" * (-len(encoded) % 4), validate=True)
    except (binascii.Error, ValueError):
        raise _invalid(f"it must be {PREFIX} and base64") from None
    if not _SHORTEST_BYTES <= len(key) <= _LONGEST_BYTES:
        raise _invalid(f"it must hold {_SHORTEST_BYTES} to {_LONGEST_BYTES} bytes")
    return Secret(_written(key))


def signed_headers(
    keys: Sequence[Secret], *, message_id: str, at: datetime, body: bytes
) -> dict[str, str]:
    """Return the three headers of an attempt.

    Args:
        keys: Secrets in force, the newest first.
        message_id: The same for every attempt; holds no full stop.
        at: Time of the attempt.
        body: The very bytes that are sent.
    """
    timestamp = str(int(at.timestamp()))
    content = f"{message_id}.{timestamp}.".encode() + body
    return {
        "webhook-id": message_id,
        "webhook-timestamp": timestamp,
        "webhook-signature": " ".join(_signature(key, content) for key in keys),
    }


def _signature(key: Secret, content: bytes) -> str:
    raw = base64.b64decode(key.reveal().removeprefix(PREFIX))
    return "v1," + base64.b64encode(hmac.new(raw, content, hashlib.sha256).digest()).decode()


def _written(key: bytes) -> str:
    return PREFIX + base64.b64encode(key).decode()


def _invalid(why: str) -> InvalidArgument:
    return InvalidArgument(
        "WEBHOOK_SECRET_INVALID",
        f"The secret is not acceptable: {why}; leave it out to have one made.",
        violations=[FieldViolation(field="secret", description=why)],
    )
