"""``AdminService``: keys, how long things are kept, backups.

What happens is decided in ``control_plane.keys``, ``retention_policy`` and ``backups``.
"""

import grpc

from control_plane.admin.mapping import (
    backup_to_proto,
    days_of,
    key_status_to_proto,
    policy_to_proto,
)
from control_plane.backups.shelf import BackupShelf
from control_plane.encryption import VaultError
from control_plane.keys.keeper import KeyKeeper
from control_plane.retention import Retention
from control_plane.retention_policy.store import RetentionPolicyStore
from dfip.control_plane.v1 import admin_service_pb2 as pb
from dfip.control_plane.v1 import admin_service_pb2_grpc
from service_runtime.errors import FailedPrecondition, FieldViolation, InvalidArgument
from service_runtime.structured_logging import get_logger

_log = get_logger(__name__)


class AdminServicer(admin_service_pb2_grpc.AdminServiceServicer):
    """Answers for ``dfip.control_plane.v1.AdminService``."""

    def __init__(
        self,
        *,
        keys: KeyKeeper,
        policy: RetentionPolicyStore,
        retention: Retention,
        backups: BackupShelf,
    ) -> None:
        self._keys = keys
        self._policy = policy
        self._retention = retention
        self._backups = backups

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

    async def GetRetentionPolicy(
        self, _request: pb.GetRetentionPolicyRequest, _context: grpc.aio.ServicerContext
    ) -> pb.GetRetentionPolicyResponse:
        """Tell how long things are kept."""
        return pb.GetRetentionPolicyResponse(
            success=True,
            message="Retention policy retrieved",
            data=policy_to_proto(await self._policy.current()),
        )

    async def SetRetentionPolicy(
        self, request: pb.SetRetentionPolicyRequest, _context: grpc.aio.ServicerContext
    ) -> pb.SetRetentionPolicyResponse:
        """Set how long things are kept."""
        policy = await self._policy.change(days_of(request), etag=request.etag)
        if request.run_now:
            self._retention.ask()
        return pb.SetRetentionPolicyResponse(
            success=True, message="Retention policy set", data=policy_to_proto(policy)
        )

    async def CreateBackup(
        self, request: pb.CreateBackupRequest, _context: grpc.aio.ServicerContext
    ) -> pb.CreateBackupResponse:
        """Begin a backup."""
        backup = self._backups.ask(with_keys=request.with_keys)
        message = (
            "Backup begun; with the key in it, it opens every secret: guard it"
            if request.with_keys
            else "Backup begun; without the key file it opens no secret: keep that apart from it"
        )
        return pb.CreateBackupResponse(success=True, message=message, data=backup_to_proto(backup))

    async def ListBackups(
        self, _request: pb.ListBackupsRequest, _context: grpc.aio.ServicerContext
    ) -> pb.ListBackupsResponse:
        """List the backups."""
        return pb.ListBackupsResponse(
            success=True,
            message="Backups retrieved",
            data=[backup_to_proto(backup) for backup in await self._backups.backups()],
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
