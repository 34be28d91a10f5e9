"""What the manager knows of a camera: the wish, and what the control plane has on record.

Plain values; `camera_watch` fills them from the contract, `plan` compares them with what lives.
"""

from dataclasses import dataclass, field
from datetime import datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class RuntimeRow:
    """What the control plane has on record of a camera's worker.

    Rows are equal when they say the same; heartbeats alone do not make them differ.
    """

    epoch: int = 0
    worker_status: str = ""
    failure_reason: str = "none"
    error_count: int = 0
    next_retry_at: datetime | None = None
    last_heartbeat: datetime | None = field(default=None, compare=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class CameraView:
    """One camera as the control plane told it last.

    ``heard_at`` is this manager's monotonic time, in seconds, at which it last saw a heartbeat come
    in, None where it saw none yet: the two machines' wall clocks are never compared.
    """

    camera_id: str
    wanted: bool
    generation: int = 1
    epoch: int = 0
    retry_counter: int = 0
    row: RuntimeRow = field(default_factory=RuntimeRow)
    heard_at: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Link:
    """The connection to the control plane, in this manager's monotonic seconds.

    ``up_since`` is None while it is away; ``listed_at`` is when the newest full list was asked for.
    """

    up_since: float | None
    listed_at: float
