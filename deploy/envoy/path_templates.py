"""Turns a path template of `google.api.http` into what Envoy's router can match.

Only what the contracts use is spoken here: literal segments, `{field}` and a custom verb behind a
colon. Anything else is refused while the configuration is made, not found out by a caller.
"""

import re
from typing import Any

_VARIABLE = re.compile(r"\{[A-Za-z_][A-Za-z0-9_.]*\}")
_LITERAL = re.compile(r"[A-Za-z0-9._~-]+")


def path_match(template: str) -> dict[str, Any]:
    """Return the path part of an Envoy `RouteMatch` for a template.

    Raises:
        ValueError: the template uses more of the syntax than the contracts need.
    """
    segments, verb = _split(template)
    if not any(_VARIABLE.fullmatch(segment) for segment in segments):
        return {"path": template}
    patterns = [_pattern(segment) for segment in segments]
    if verb:
        patterns[-1] += re.escape(f":{verb}")
    elif _VARIABLE.fullmatch(segments[-1]):
        # The transcoder reads a colon in the last segment as the start of a verb.
        patterns[-1] = "[^/:]+"
    return {"safe_regex": {"regex": "".join(f"/{pattern}" for pattern in patterns)}}


def specificity(template: str) -> tuple[tuple[bool, ...], bool, str]:
    """Sort key that puts literals before variables and verbs before none: first match wins."""
    segments, verb = _split(template)
    return tuple(bool(_VARIABLE.fullmatch(segment)) for segment in segments), not verb, template


def _split(template: str) -> tuple[list[str], str]:
    if not template.startswith("/"):
        raise ValueError(f"The path template {template!r} must start with a slash.")
    path, _, verb = template.partition(":")
    segments = path.removeprefix("/").split("/")
    for part in [*segments, *([verb] if verb else [])]:
        if not (_LITERAL.fullmatch(part) or _VARIABLE.fullmatch(part)):
            raise ValueError(
                f"The edge cannot route {part!r} in {template!r}: "
                "write segments as words or as {field}."
            )
    return segments, verb


def _pattern(segment: str) -> str:
    return "[^/]+" if _VARIABLE.fullmatch(segment) else re.escape(segment)
