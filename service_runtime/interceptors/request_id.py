"""A name for each call, so that an error message leads to its log lines."""

import re
import uuid
from collections.abc import Mapping

REQUEST_ID_KEY = "x-request-id"
_ACCEPTABLE = re.compile(r"[A-Za-z0-9._\-]{8,64}")


def request_id_of(metadata: Mapping[str, str]) -> str:
    """Return the id that the edge or the caller chose, or a new one."""
    given = metadata.get(REQUEST_ID_KEY, "")
    return given if _ACCEPTABLE.fullmatch(given) else str(uuid.uuid4())
