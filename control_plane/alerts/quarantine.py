"""What could not be judged: counted, told to the operator once, and left behind.

A defect met by one event or one rule must not stop the judging of all others. The log line names
the event or the rule and the place of the defect, never the error's text, which may quote what a
camera saw.
"""

import traceback
from typing import Final

import prometheus_client

from service_runtime.structured_logging import get_logger

NOT_JUDGED_TOTAL: Final = prometheus_client.Counter(
    "dfip_alert_judgements_failed_total",
    "What alerts could not be judged by, for a defect: an event, a rule for an event, the timer.",
    ["what"],
)
_MOST_TOLD: Final = 1_000
_log = get_logger(__name__)


class Quarantine:
    """Takes note of what failed; says each thing once."""

    def __init__(self) -> None:
        self._told: set[tuple[str, ...]] = set()

    def event(self, sequence: int, event_type: str, error: Exception) -> None:
        """Note an event that no rule will be held against any more."""
        self._note("event", error, sequence=str(sequence), event_type=event_type)

    def rule(self, rule_id: str, version: int, error: Exception) -> None:
        """Note a rule that could not be held against a fact; others were."""
        self._note("rule", error, rule_id=rule_id, version=str(version))

    def timer(self, error: Exception) -> None:
        """Note that what lasts could not be looked at this time."""
        self._note("timer", error)

    def _note(self, what: str, error: Exception, **ids: str) -> None:
        NOT_JUDGED_TOTAL.labels(what=what).inc()
        key = (what, *ids.values(), type(error).__name__)
        if key in self._told:
            return
        if len(self._told) >= _MOST_TOLD:
            self._told.clear()
        self._told.add(key)
        _log.error(
            "alerts.not_judged", what=what, **ids, error=type(error).__name__, at=_place(error)
        )


def _place(error: Exception) -> str:
    """Return the innermost line of the control plane that the error came through."""
    frames = traceback.extract_tb(error.__traceback__)
    ours = [frame for frame in frames if "control_plane" in frame.filename]
    frame = (ours or frames)[-1]
    return f"{frame.filename.rpartition('control_plane')[2].lstrip('/')}:{frame.lineno}"
