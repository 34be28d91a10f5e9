"""Keyset pages: an opaque token names the last row seen and the filter that it belongs to."""

import hashlib
import json
from collections.abc import Mapping

from service_runtime.errors import InvalidArgument
from service_runtime.opaque_tokens import decode_opaque, encode_opaque


def encode_page_token(filter_values: Mapping[str, str | int | None], key: list[str]) -> str:
    """Return the token of the page after the row ``key`` of the list with this filter."""
    return encode_opaque([_fingerprint(filter_values), *key])


def decode_page_token(
    token: str, filter_values: Mapping[str, str | int | None], *, key_length: int
) -> list[str]:
    """Return the key of the last row seen.

    Raises:
        InvalidArgument: The token is not one of ours, or belongs to another filter.
    """
    values = decode_opaque(token, (str,) * (key_length + 1))
    if values is None:
        raise InvalidArgument(
            "PAGE_TOKEN_INVALID", "The page token is not valid; ask for the first page again."
        )
    if values[0] != _fingerprint(filter_values):
        raise InvalidArgument(
            "PAGE_TOKEN_INVALID",
            "The page token belongs to a list with another filter; ask for the first page again.",
        )
    return [str(value) for value in values[1:]]


def _fingerprint(filter_values: Mapping[str, str | int | None]) -> str:
    canonical = json.dumps(dict(filter_values), sort_keys=True)
    return hashlib.sha256(canonical.encode()).hexdigest()[:16]
