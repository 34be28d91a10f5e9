"""Opens epochs: asks the control plane for the token that one worker of one camera may use."""

from dataclasses import dataclass
from typing import Any

import grpc

from camera_manager.leadership import Leadership
from dfip.control_plane.v1 import control_plane_service_pb2 as contract
from service_runtime.secret import Secret

_NOT_WANTED = frozenset({grpc.StatusCode.NOT_FOUND, grpc.StatusCode.FAILED_PRECONDITION})


class ControlPlaneAway(Exception):
    """The control plane did not answer as it should; trying again may help."""


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkerToken:
    """A token and the epoch that it opened."""

    token: Secret
    epoch: int


class WorkerTokens:
    """Takes tokens for workers.

    Args:
        stub: ControlPlaneServiceStub, or what answers like one.
        leadership: Whose term each request carries.
    """

    def __init__(self, stub: Any, leadership: Leadership) -> None:  # noqa: ANN401 untyped stubs
        self._stub = stub
        self._leadership = leadership

    async def issue(self, camera_id: str) -> WorkerToken | None:
        """Open a new epoch; None where the camera is gone or shall not run any more.

        Raises:
            ControlPlaneAway: No answer, or one that says nothing about the camera.
        """
        request = contract.IssueWorkerTokenRequest(
            camera_id=camera_id, lease_term=self._leadership.term
        )
        try:
            response = await self._stub.IssueWorkerToken(request)
        except grpc.aio.AioRpcError as error:
            if error.code() in _NOT_WANTED:
                return None
            raise ControlPlaneAway(error.code().name) from error
        return WorkerToken(token=Secret(response.token), epoch=response.epoch)
