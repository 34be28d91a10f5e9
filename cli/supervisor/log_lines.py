"""Reads one line of a service's log: is it something that the operator should see at once?

The project's services write JSON lines, Envoy its own format, a dying interpreter plain text. Pure.
"""

import json
import re
from dataclasses import dataclass

_ENVOY = re.compile(r"^\[[^\]]*\]\[\d+\]\[(?P<level>\w+)\]\[[^\]]*\] (?:\[[^\]]*\] )?(?P<text>.*)$")
_LEVELS = {"warn": "warning", "warning": "warning", "error": "error", "critical": "error"}
_NOT_SHOWN = {"event", "level", "timestamp", "room", "logger", "module", "exception", "exc_info"}
_LONGEST = 400


@dataclass(frozen=True, slots=True, kw_only=True)
class LogLine:
    """What a line says.

    Attributes:
        level: `warning`, `error`, or `other` for whatever is less.
        text: one readable line, without the service's name.
        structured: it came through the service's logger, not from its interpreter.
    """

    level: str
    text: str
    structured: bool


def read_log_line(line: str) -> LogLine:
    """Return what a line of a service's log says; every text is an acceptable line."""
    if line.startswith("{"):
        try:
            event = json.loads(line)
        except ValueError:
            event = None
        if isinstance(event, dict):
            return _from_event(event)
    if found := _ENVOY.match(line):
        level = _LEVELS.get(found["level"], "other")
        return LogLine(level=level, text=_cut(found["text"]), structured=True)
    return LogLine(level="other", text=_cut(line.strip()), structured=False)


def _from_event(event: dict[str, object]) -> LogLine:
    values = [
        f"{key}={value if isinstance(value, str | int | float) else json.dumps(value)}"
        for key, value in event.items()
        if key not in _NOT_SHOWN
    ]
    level = _LEVELS.get(str(event.get("level", "")), "other")
    text = " ".join([str(event.get("event", "")), *values])
    return LogLine(level=level, text=_cut(text), structured=True)


def _cut(text: str) -> str:
    one_line = " ".join(text.split())
    return one_line if len(one_line) <= _LONGEST else one_line[: _LONGEST - 1] + "…"
