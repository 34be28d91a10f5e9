"""Ids of objects: UUIDs as canonical text."""

import re
import uuid

from service_runtime.errors import NotFound

_CANONICAL = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")


def new_id() -> str:
    """Return a new random id."""
    return str(uuid.uuid4())


def parse_id(text: str, *, noun: str) -> str:
    """Return ``text`` as a canonical id.

    Raises:
        NotFound: It is no UUID, so no object has it (reason ``<NOUN>_NOT_FOUND``).
    """
    lowered = text.lower()
    if not _CANONICAL.fullmatch(lowered):
        raise NotFound(f"{noun.upper()}_NOT_FOUND", f"No {noun} has this id.")
    return lowered
