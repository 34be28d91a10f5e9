"""Small values as opaque text: clients hand them back and must not look inside."""

import base64
import binascii
import json

_LONGEST = 2048


def encode_opaque(values: list[str | int]) -> str:
    """Return the values as URL-safe text."""
    packed = json.dumps(values, separators=(",", ":"), ensure_ascii=False).encode()
    return base64.urlsafe_b64encode(packed).rstrip(b"=").decode()


def decode_opaque(text: str, kinds: tuple[type, ...]) -> list[str | int] | None:
    """Return the values inside, or None where the text was not made by ``encode_opaque``.

    Args:
        text: What a client sent.
        kinds: Type of each value.
    """
    if not text or len(text) > _LONGEST or not text.isascii():
        return None
    try:
        packed = base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
        values = json.loads(packed)
        # JSON can spell halves of characters, which nothing else can write
        json.dumps(values, ensure_ascii=False).encode()
    except (binascii.Error, ValueError, RecursionError):
        return None
    if not isinstance(values, list) or any("\0" in one for one in values if isinstance(one, str)):
        return None
    return values if [type(value) for value in values] == list(kinds) else None
