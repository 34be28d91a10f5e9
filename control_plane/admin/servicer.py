"""``AdminService``: replaces keys and tells which there are.

What happens to keys is decided in ``control_plane.keys``.
"""

import grpc

from control_plane.admin.mapping import key_status_to_proto
from control_plane.encryption import VaultError
from control_plane.keys.keeper import KeyKeeper
from dfip.control_plane.v1 import admin_service_pb2 as pb
from dfip.control_plane.v1 import admin_service_pb2_grpc
from service_runtime.errors import FailedPrecondition, FieldViolation, InvalidArgument
from service_runtime.structured_logging import get_logger

_log = get_logger(__name__)


class AdminServicer(admin_service_pb2_grpc.AdminServiceServicer):
    """Answers for ``dfip.control_plane.v1.AdminService``."""

    def __init__(self, *, keys: KeyKeeper) -> None:
        self._keys = keys

    async def RotateKeys(
        self, request: pb.RotateKeysRequest, _context: grpc.aio.ServicerContext
    ) -> pb.RotateKeysResponse:
        """Begin to replace keys."""
        signing = request.which in {"signing", "both"}
        if request.revoke and not signing:
            raise InvalidArgument(
                "REQUEST_INVALID",
                "revoke goes with the signing key; ask for `signing` or `both`.",
                violations=[
                    FieldViolation(field="revoke", description="goes with the signing key")
                ],
            )
        if request.which == "master":
            await self._rotate_master()
        else:
            await self._keys.rotate(
                encryption=request.which in {"encryption", "both"},
                signing=signing,
                revoke=request.revoke,
            )
        return pb.RotateKeysResponse(
            success=True,
            message="Keys replaced; older values are sealed anew in the background",
            data=key_status_to_proto(await self._keys.status()),
        )

    async def GetKeyStatus(
        self, _request: pb.GetKeyStatusRequest, _context: grpc.aio.ServicerContext
    ) -> pb.GetKeyStatusResponse:
        """Tell which keys there are."""
        return pb.GetKeyStatusResponse(
            success=True,
            message="Keys retrieved",
            data=key_status_to_proto(await self._keys.status()),
        )

    async def _rotate_master(self) -> None:
        try:
            await self._keys.rotate_master()
        except (VaultError, OSError) as error:
            _log.error("keys.master_not_rotated", error=type(error).__name__)
            raise FailedPrecondition(
                "MASTER_KEY_UNUSABLE",
                "The key file cannot be used; check its place, its rights and its lines on the"
                " machine of the control plane.",
            ) from None
