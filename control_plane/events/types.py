"""Events that only the control plane follows; clients never see them.

They wake watchers of cameras, the gateway and the judging of alerts when something changed that no
documented event tells.
"""

from typing import Final

INTERNAL_PREFIX: Final = "internal."
EPOCH_ISSUED: Final = "internal.epoch_issued"
RETRY_REQUESTED: Final = "internal.retry_requested"
ALERT_RULES_CHANGED: Final = "internal.alert_rules_changed"
OCCUPANCY_CHANGED: Final = "internal.occupancy_changed"

# what changes the state of a camera as `WatchCameras` shows it
CAMERA_STATE_PREFIXES: Final = ("camera.", "worker.", EPOCH_ISSUED, RETRY_REQUESTED)
