"""Who may have what: from an object to its camera to the caller's token.

The contract says which roles may call an RPC (``service_runtime.method_policy``); here stands which
cameras are there for the token that calls it. A worker's token is for its one camera. A viewer's or
an operator's may be limited to some; then the others, and all that is theirs, do not exist: asking
for one is answered like asking for one that never was. Every RPC whose policy is ``camera_scoped``
goes through this file with each object that it reads, changes or sends; the others refuse a limited
token before they are called.
"""

from dataclasses import dataclass

from control_plane.runtime.store import camera_not_found
from control_plane.sightings.model import sighting_not_found
from dfip.options.v1 import policy_pb2
from service_runtime.authentication import Caller, current_caller
from service_runtime.errors import NotFound, PermissionDenied
from service_runtime.identifiers import parse_id


@dataclass(frozen=True, slots=True, kw_only=True)
class CameraScope:
    """The cameras that are there for a token; ``cameras`` is None where all are."""

    cameras: frozenset[str] | None

    def holds(self, camera_id: str | None) -> bool:
        """Tell whether what is of this camera, or of none, is there for the token."""
        return self.cameras is None or camera_id in self.cameras


def scope_of(caller: Caller) -> CameraScope:
    """Return the cameras that are there for a caller."""
    if caller.role == policy_pb2.ROLE_WORKER:
        own = frozenset() if caller.camera_id is None else frozenset({caller.camera_id})
        return CameraScope(cameras=own)
    return CameraScope(cameras=caller.cameras)


def current_scope() -> CameraScope:
    """Return the cameras that are there for whoever made the call that is being handled."""
    return scope_of(current_caller())


def require_camera(text: str) -> str:
    """Return the id of a camera that is there for the caller; whether it exists, the store knows.

    Raises:
        NotFound: ``CAMERA_NOT_FOUND``: it is no id, or not there for the caller.
        PermissionDenied: ``CAMERA_NOT_YOURS``: a worker asks about another's.
    """
    try:
        camera_id = parse_id(text, noun="camera")
    except NotFound:
        raise camera_not_found(text[:64]) from None
    caller = current_caller()
    if not scope_of(caller).holds(camera_id):
        if caller.role == policy_pb2.ROLE_WORKER:
            raise PermissionDenied(
                "CAMERA_NOT_YOURS", "This token speaks for another camera.", camera_id=camera_id
            )
        raise camera_not_found(camera_id)
    return camera_id


def require_sighting(sighting_id: str, camera_id: str) -> None:
    """Let a sighting of this camera pass.

    Raises:
        NotFound: ``SIGHTING_NOT_FOUND``: it is not there for the caller.
    """
    if not current_scope().holds(camera_id):
        raise sighting_not_found(sighting_id)
