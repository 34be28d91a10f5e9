"""``TokenService``: tokens for people, and for somebody's own worker, and their end.

What a token allows stands in it, so the camera of a worker's token must exist, and its epoch is
the one in force: once the manager starts a worker of its own there, the token is worth nothing.
It is for heartbeats, so no other service takes it: the index answers a worker who somebody is.
Which tokens there are is kept in ``records``, never their text.
"""

from collections.abc import Iterable
from datetime import UTC, datetime

import grpc

from control_plane.cameras.tables import CameraRow
from control_plane.database import Database, Transaction
from control_plane.keys.signing import SigningKeys
from control_plane.runtime.mapping import timestamp
from control_plane.runtime.store import camera_not_found, current_epoch
from control_plane.tokens.bootstrap import TokenBootstrap
from control_plane.tokens.issuer import IssuedToken, TokenIssuer
from control_plane.tokens.publication import RevocationPublication
from control_plane.tokens.records import (
    TokenFilter,
    TokenRecord,
    TokenRecords,
    record_token,
    revoke_subject,
    revoke_token,
)
from control_plane.tokens.tables import IssuedTokenRow
from control_plane.tokens.tickets import MediaTickets
from dfip.control_plane.v1 import token_service_pb2 as pb
from dfip.control_plane.v1 import token_service_pb2_grpc
from dfip.options.v1 import policy_pb2
from service_runtime.authentication import (
    AUDIENCE,
    CONTROL_PLANE_AUDIENCE,
    current_caller,
    role_from_name,
)
from service_runtime.clock import Clock
from service_runtime.errors import FieldViolation, InvalidArgument, NotFound
from service_runtime.identifiers import parse_id
from service_runtime.pagination import decode_page_token, encode_page_token

_DAY_S = 24 * 3600
_PAGE = 100
_LIMITABLE = frozenset({policy_pb2.ROLE_VIEWER, policy_pb2.ROLE_OPERATOR})


class TokenServicer(token_service_pb2_grpc.TokenServiceServicer):
    """Answers for ``dfip.control_plane.v1.TokenService``."""

    def __init__(
        self,
        *,
        database: Database,
        issuer: TokenIssuer,
        publication: RevocationPublication,
        bootstrap: TokenBootstrap,
        clock: Clock,
        signing: SigningKeys,
        tickets: MediaTickets,
    ) -> None:
        self._issuer = issuer
        self._signing = signing
        self._database = database
        self._publication = publication
        self._bootstrap = bootstrap
        self._clock = clock
        self._records = TokenRecords(database)
        self._tickets = tickets

    async def IssueToken(
        self, request: pb.IssueTokenRequest, _context: grpc.aio.ServicerContext
    ) -> pb.IssueTokenResponse:
        """Make a token; its text is told here and kept nowhere."""
        role = role_from_name(request.role)
        issuing = current_caller().subject
        subject = request.subject or f"{request.role}, by {issuing}"[:200]

        key_id = self._issuer.key_id

        async def issue(tx: Transaction) -> IssuedToken:
            camera_id, epoch = await _assignment(tx, role, request.camera_id)
            cameras = await _limits(tx, role, request.cameras)
            issued = self._issuer.issue(
                role,
                subject=subject,
                lifetime_s=request.lifetime_s or _DAY_S,
                camera_id=camera_id,
                epoch=epoch,
                cameras=cameras,
                audience=CONTROL_PLANE_AUDIENCE if role == policy_pb2.ROLE_WORKER else AUDIENCE,
            )
            row = IssuedTokenRow(
                id=issued.token_id,
                subject=subject,
                role=request.role,
                camera_id=camera_id,
                cameras=cameras,
                issued_by=issuing[:200],
                issued_at=tx.now,
                expires_at=issued.expires_at,
            )
            await record_token(tx, row)
            return issued

        issued = await self._database.transact(issue)
        await self._signing.promise(key_id, issued.expires_at)
        return pb.IssueTokenResponse(
            success=True,
            message="Token issued; it is not shown again",
            data=pb.IssuedToken(
                token=issued.token.reveal(),
                role=request.role,
                expires_at=timestamp(issued.expires_at),
                id=issued.token_id,
            ),
        )

    async def ListTokens(
        self, request: pb.ListTokensRequest, _context: grpc.aio.ServicerContext
    ) -> pb.ListTokensResponse:
        """List the tokens that were made here, newest first."""
        wanted = TokenFilter(subject=request.subject, role=request.role, in_force=request.in_force)
        values: dict[str, str | int | None] = {
            "list": "tokens",
            "subject": wanted.subject,
            "role": wanted.role,
            "in_force": int(wanted.in_force),
        }
        after = None
        if request.page_token:
            key = decode_page_token(request.page_token, values, key_length=2)
            after = _issued_at(key[0]), key[1]
        size = request.page_size or _PAGE
        page = await self._records.page(wanted, after=after, limit=size + 1, now=self._clock.now())
        shown = page[:size]
        following = ""
        if len(page) > size:
            last = shown[-1].issued
            following = encode_page_token(values, [last.issued_at.isoformat(), last.id])
        return pb.ListTokensResponse(
            success=True,
            message=f"{len(shown)} {'token' if len(shown) == 1 else 'tokens'}",
            data=[_record_message(record) for record in shown],
            next_page_token=following,
        )

    async def RevokeToken(
        self, request: pb.RevokeTokenRequest, _context: grpc.aio.ServicerContext
    ) -> pb.RevokeTokenResponse:
        """End a token before its time, whoever made it."""
        by = current_caller().subject

        async def revoke(tx: Transaction) -> None:
            await revoke_token(tx, request.token_id, by=by)

        await self._database.transact(revoke)
        await self._put_in_force()
        return pb.RevokeTokenResponse(success=True, message="Token revoked")

    async def RevokeSubjectTokens(
        self, request: pb.RevokeSubjectTokensRequest, _context: grpc.aio.ServicerContext
    ) -> pb.RevokeSubjectTokensResponse:
        """End every token of a subject that was issued before now."""
        by = current_caller().subject

        async def revoke(tx: Transaction) -> None:
            await revoke_subject(tx, request.subject, by=by)
            tx.audit_object("subject", request.subject[:64])

        await self._database.transact(revoke)
        await self._put_in_force()
        return pb.RevokeSubjectTokensResponse(success=True, message="Tokens revoked")

    async def IssueMediaTicket(
        self, request: pb.IssueMediaTicketRequest, _context: grpc.aio.ServicerContext
    ) -> pb.IssueMediaTicketResponse:
        """Make a ticket for one thing that the caller may see."""
        issued = await self._tickets.issue(current_caller(), request.purpose, request.object_id)
        return pb.IssueMediaTicketResponse(
            success=True,
            message="Ticket issued; it is not shown again",
            data=pb.MediaTicket(
                ticket=issued.ticket.reveal(),
                url=issued.url.reveal(),
                expires_at=timestamp(issued.expires_at),
            ),
        )

    async def _put_in_force(self) -> None:
        """Tell everybody before the call is answered.

        The site's own services and administrator get new tokens, were theirs among the revoked.
        """
        await self._publication.publish()
        await self._bootstrap.write()


async def _assignment(
    tx: Transaction, role: policy_pb2.Role, camera_id: str
) -> tuple[str | None, int | None]:
    """Return the camera and the epoch that go into a worker's token."""
    if role != policy_pb2.ROLE_WORKER:
        if camera_id:
            raise _violation("camera_id", "must be empty: only a worker's token is for one camera")
        return None, None
    if not camera_id:
        raise _violation("camera_id", "is missing: a worker's token is for one camera")
    known_id = _known_id(camera_id)
    return known_id, await current_epoch(tx.session, known_id)


async def _limits(tx: Transaction, role: policy_pb2.Role, cameras: Iterable[str]) -> list[str]:
    """Return the cameras that a person's token is limited to, each once."""
    wanted = list(dict.fromkeys(_known_id(camera_id) for camera_id in cameras))
    if wanted and role not in _LIMITABLE:
        raise _violation("cameras", "must be empty: only a viewer or an operator can be limited")
    for camera_id in wanted:
        if await tx.session.get(CameraRow, camera_id) is None:
            raise camera_not_found(camera_id)
    return wanted


def _known_id(camera_id: str) -> str:
    try:
        return parse_id(camera_id, noun="camera")
    except NotFound:
        raise camera_not_found(camera_id[:64]) from None


def _record_message(record: TokenRecord) -> pb.TokenRecord:
    row = record.issued
    return pb.TokenRecord(
        id=row.id,
        subject=row.subject,
        role=row.role,
        camera_id=row.camera_id or "",
        cameras=row.cameras,
        issued_by=row.issued_by,
        issued_at=timestamp(row.issued_at),
        expires_at=timestamp(row.expires_at),
        revoked_at=timestamp(record.revoked_at) if record.revoked_at is not None else None,
        revoked_by=record.revoked_by,
    )


def _issued_at(text: str) -> datetime:
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        found = None
    if found is None or found.tzinfo is None:
        raise InvalidArgument(
            "PAGE_TOKEN_INVALID", "The page token is not valid; ask for the first page again."
        )
    return found.astimezone(UTC)


def _violation(field: str, description: str) -> InvalidArgument:
    return InvalidArgument(
        "REQUEST_INVALID",
        f"{field} {description}.",
        violations=[FieldViolation(field=field, description=description)],
    )
