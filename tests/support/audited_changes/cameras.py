"""How each change of a camera is made."""

from typing import Any

from dfip.control_plane.v1 import (
    control_plane_service_pb2,
)
from tests.support.audited_changes.walk import NOTHING, About, Change, Changes, Walk


async def create_camera(walk: Walk) -> tuple[About, About]:
    return ("camera", await walk.camera()), NOTHING


def of_camera(method: str, **fields: Any) -> Change:
    async def change(walk: Walk) -> tuple[About, About]:
        camera_id = await walk.camera()
        message = getattr(control_plane_service_pb2, f"{method}Request")
        await getattr(walk.cameras, method)(message(camera_id=camera_id, **fields))
        return ("camera", camera_id), NOTHING

    return change


async def issue_worker_token(walk: Walk) -> tuple[About, About]:
    camera_id = await walk.camera()
    await walk.manager.IssueWorkerToken(
        control_plane_service_pb2.IssueWorkerTokenRequest(camera_id=camera_id)
    )
    (entry,) = await walk.entries(action="worker_token.issue")
    return ("token", entry.object.id), ("camera", camera_id)


CHANGES: Changes = {
    "ControlPlaneService/CreateCamera": ("camera.create", create_camera),
    "ControlPlaneService/UpdateCamera": ("camera.update", of_camera("UpdateCamera", name="yard")),
    "ControlPlaneService/SetCameraStatus": (
        "camera_status.set",
        of_camera("SetCameraStatus", status="disabled"),
    ),
    "ControlPlaneService/DeleteCamera": ("camera.delete", of_camera("DeleteCamera")),
    "ControlPlaneService/RetryCamera": ("camera.retry", of_camera("RetryCamera")),
    "ControlPlaneService/IssueWorkerToken": ("worker_token.issue", issue_worker_token),
}
