"""The types of events: those that clients are told of, and those that only this room follows.

The latter wake watchers of cameras, the gateway and the judging of alerts when something changed
that no documented event tells; clients never see them.
"""

from typing import Final

# a new event has its type here too; a test holds it against what the code appends
EVENT_TYPES: Final = (
    "alert.acknowledged", "alert.raised",
    "camera.created", "camera.deleted", "camera.disabled", "camera.enabled", "camera.updated",
    "face.added", "face.removed",
    "person.created", "person.erased", "person.updated",
    "sighting.created", "sighting.updated",
    "worker.error", "worker.heartbeat", "worker.started", "worker.stopped",
)  # fmt: skip

INTERNAL_PREFIX: Final = "internal."
EPOCH_ISSUED: Final = "internal.epoch_issued"
TOKENS_REVOKED: Final = "internal.tokens_revoked"
RETRY_REQUESTED: Final = "internal.retry_requested"
ALERT_RULES_CHANGED: Final = "internal.alert_rules_changed"
OCCUPANCY_CHANGED: Final = "internal.occupancy_changed"

# what changes the state of a camera as `WatchCameras` shows it
CAMERA_STATE_PREFIXES: Final = ("camera.", "worker.", EPOCH_ISSUED, RETRY_REQUESTED)
