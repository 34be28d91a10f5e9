"""An event as those see it who follow the feed."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from service_runtime.resume_tokens import ResumeToken


# one object serves many watchers, and what is made of it is kept by its identity
@dataclass(frozen=True, slots=True, kw_only=True, eq=False, weakref_slot=True)
class FeedEvent:
    """One event of the feed.

    Attributes:
        token: Its place: resuming there begins with the event after it.
        type: Such as ``camera.enabled``.
        camera_id: Camera that it is about; what a watcher may see is decided by it.
        person_id: Person that it is about.
        face_id: Face that it is about.
        sighting_id: Sighting that it is about.
        payload: The other fields of the contract's ``Event``, as ``Transaction.append_event``
            takes them.
        names: Names of the people inside the payload, as they were when it was read.
        created_at: When it happened.
    """

    token: ResumeToken
    type: str
    camera_id: str | None
    person_id: str | None
    face_id: str | None
    sighting_id: str | None
    payload: Mapping[str, Any]
    names: Mapping[str, str]
    created_at: datetime

    @property
    def sequence(self) -> int:
        """Number of the event."""
        return self.token.sequence
