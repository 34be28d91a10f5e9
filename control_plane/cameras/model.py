"""Rules about a camera's registration: its wish, its limits, its defaults. Pure."""

import json
import math
import re
from typing import Any, Final

from service_runtime.errors import FieldViolation, InvalidArgument

METADATA_BYTES: Final = 16 * 1024
ZONE_CONFIG_BYTES: Final = 64 * 1024
HEALTH_INFO_BYTES: Final = 4 * 1024
DEEPEST_JSON: Final = 16

STATUS_OF: Final = {"running": "enabled", "stopped": "disabled"}
DESIRED_STATE_OF: Final = {status: state for state, status in STATUS_OF.items()}

DEFAULT_SAMPLE_FPS: Final = 5.0
DEFAULT_MIN_FACE_PX: Final = 40
DEFAULT_ACCELERATOR: Final = "auto"

_PACK_ID = re.compile(r"([a-z0-9][a-z0-9._\-]*)?", re.ASCII)


def wanted_state(*, status: str, desired_state: str) -> str | None:
    """Return ``running`` or ``stopped`` from its two spellings, None where neither is given.

    Raises:
        InvalidArgument: ``STATE_CONTRADICTION``: they contradict each other.
    """
    from_status = DESIRED_STATE_OF.get(status)
    if from_status and desired_state and from_status != desired_state:
        raise InvalidArgument(
            "STATE_CONTRADICTION",
            "`status` and `desired_state` contradict each other; send one of them.",
            violations=[
                FieldViolation(field="status", description="contradicts desired_state"),
                FieldViolation(field="desired_state", description="contradicts status"),
            ],
        )
    return desired_state or from_status


def check_json(field: str, value: dict[str, Any], *, max_bytes: int) -> dict[str, Any]:
    """Return a JSON object that is neither too large nor too deep and holds finite numbers.

    Raises:
        InvalidArgument: ``JSON_INVALID``.
    """
    if not _is_sound(value, DEEPEST_JSON):
        raise _json_invalid(field, f"must nest at most {DEEPEST_JSON} deep, its numbers finite")
    if len(json.dumps(value, ensure_ascii=False).encode(errors="surrogatepass")) > max_bytes:
        raise json_too_large(field, max_bytes)
    return value


def check_pack_id(pack_id: str) -> str:
    """Return the name of a model pack, which becomes part of a file's path.

    Raises:
        InvalidArgument: ``PACK_ID_INVALID``.
    """
    if not _PACK_ID.fullmatch(pack_id):
        raise InvalidArgument(
            "PACK_ID_INVALID",
            "`model_config.pack_id` must be lower-case letters, digits, dots and dashes.",
            violations=[FieldViolation(field="model_config.pack_id", description="not a pack id")],
        )
    return pack_id


def sort_key(name: str) -> str:
    """Return what lists are sorted by, whatever the case."""
    return name.casefold()[:600]


def _is_sound(value: object, depth: int) -> bool:
    if isinstance(value, float):
        return math.isfinite(value)
    if isinstance(value, dict):
        return depth > 0 and all(_is_sound(item, depth - 1) for item in value.values())
    if isinstance(value, list):
        return depth > 0 and all(_is_sound(item, depth - 1) for item in value)
    return True


def json_too_large(field: str, max_bytes: int) -> InvalidArgument:
    """Return the refusal of a JSON object that is larger than it may be."""
    return _json_invalid(field, f"must be at most {max_bytes // 1024} KiB as JSON")


def _json_invalid(field: str, why: str) -> InvalidArgument:
    return InvalidArgument(
        "JSON_INVALID",
        f"`{field}` {why}.",
        violations=[FieldViolation(field=field, description=why)],
    )
