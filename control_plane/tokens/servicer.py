"""``TokenService``: tokens for people, and for somebody's own worker.

What a token allows stands in it, so the camera of a worker's token must exist, and its epoch is
the one in force: once the manager starts a worker of its own there, the token is worth nothing.
It is for heartbeats, so no other service takes it: the index answers a worker who somebody is.
"""

import grpc
from google.protobuf.timestamp_pb2 import Timestamp

from control_plane.database import Database
from control_plane.keys.signing import SigningKeys
from control_plane.runtime.store import camera_not_found, current_epoch
from control_plane.tokens.issuer import TokenIssuer
from dfip.control_plane.v1 import token_service_pb2 as pb
from dfip.control_plane.v1 import token_service_pb2_grpc
from dfip.options.v1 import policy_pb2
from service_runtime.authentication import (
    AUDIENCE,
    CONTROL_PLANE_AUDIENCE,
    current_caller,
    role_from_name,
)
from service_runtime.errors import FieldViolation, InvalidArgument, NotFound
from service_runtime.identifiers import parse_id

_DAY_S = 24 * 3600


class TokenServicer(token_service_pb2_grpc.TokenServiceServicer):
    """Answers for ``dfip.control_plane.v1.TokenService``."""

    def __init__(self, database: Database, issuer: TokenIssuer, signing: SigningKeys) -> None:
        self._issuer = issuer
        self._signing = signing
        self._database = database

    async def IssueToken(
        self, request: pb.IssueTokenRequest, _context: grpc.aio.ServicerContext
    ) -> pb.IssueTokenResponse:
        """Make a token; it is told here and kept nowhere."""
        role = role_from_name(request.role)
        camera_id, epoch = await self._assignment(role, request.camera_id)
        key_id = self._issuer.key_id
        issued = self._issuer.issue(
            role,
            subject=request.subject or f"{request.role}, by {current_caller().subject}"[:200],
            lifetime_s=request.lifetime_s or _DAY_S,
            camera_id=camera_id,
            epoch=epoch,
            audience=CONTROL_PLANE_AUDIENCE if role == policy_pb2.ROLE_WORKER else AUDIENCE,
        )
        await self._signing.promise(key_id, issued.expires_at)
        expires_at = Timestamp()
        expires_at.FromDatetime(issued.expires_at)
        return pb.IssueTokenResponse(
            success=True,
            message="Token issued; it is not shown again",
            data=pb.IssuedToken(
                token=issued.token.reveal(), role=request.role, expires_at=expires_at
            ),
        )

    async def _assignment(
        self, role: policy_pb2.Role, camera_id: str
    ) -> tuple[str | None, int | None]:
        """Return the camera and the epoch that go into the token."""
        if role != policy_pb2.ROLE_WORKER:
            if camera_id:
                raise _violation("must be empty: only a worker's token is for one camera")
            return None, None
        if not camera_id:
            raise _violation("is missing: a worker's token is for one camera")
        try:
            known_id = parse_id(camera_id, noun="camera")
        except NotFound:
            raise camera_not_found(camera_id[:64]) from None
        async with self._database.read() as session:
            return known_id, await current_epoch(session, known_id)


def _violation(description: str) -> InvalidArgument:
    return InvalidArgument(
        "REQUEST_INVALID",
        f"camera_id {description}.",
        violations=[FieldViolation(field="camera_id", description=description)],
    )
