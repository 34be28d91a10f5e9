"""How much of the control plane its own tasks may take."""

from typing import Final

# tasks that follow commits look once in so long, however many there are
FOLLOW_EVERY_S: Final = 0.05
# after a restart everybody comes back at once; what cleans up leaves them so long
AFTER_START_S: Final = 60.0
