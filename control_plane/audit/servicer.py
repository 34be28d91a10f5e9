"""``AuditService``: lists what the store finds, and takes down looks at other services."""

import grpc

from control_plane.audit.mapping import entry_message, look_of
from control_plane.audit.store import AuditFilter, AuditStore
from control_plane.audit.trail import DatabaseTrail
from control_plane.sightings.mapping import moment
from dfip.control_plane.v1 import audit_service_pb2 as pb
from dfip.control_plane.v1 import audit_service_pb2_grpc
from service_runtime.errors import InvalidArgument
from service_runtime.pagination import decode_page_token, encode_page_token

_PAGE = 100
_LONGEST_NUMBER = 18


class AuditServicer(audit_service_pb2_grpc.AuditServiceServicer):
    """Answers for ``dfip.control_plane.v1.AuditService``."""

    def __init__(self, store: AuditStore, trail: DatabaseTrail) -> None:
        self._store = store
        self._trail = trail

    async def ListAuditEntries(
        self, request: pb.ListAuditEntriesRequest, _context: grpc.aio.ServicerContext
    ) -> pb.ListAuditEntriesResponse:
        """List entries, newest first."""
        wanted = AuditFilter(
            actor=request.actor,
            action=request.action,
            object_kind=request.object_kind,
            object_id=request.object_id.lower(),
            outcome=request.outcome,
            since=moment("since", request.since) if request.HasField("since") else None,
            until=moment("until", request.until) if request.HasField("until") else None,
        )
        values = _filter_values(wanted)
        before = None
        if request.page_token:
            before = _number(decode_page_token(request.page_token, values, key_length=1)[0])
        size = request.page_size or _PAGE
        page = await self._store.page(wanted, before=before, limit=size + 1)
        shown = page[:size]
        following = ""
        if len(page) > size:
            following = encode_page_token(values, [str(shown[-1].sequence)])
        return pb.ListAuditEntriesResponse(
            success=True,
            message=f"{len(shown)} {'entry' if len(shown) == 1 else 'entries'}",
            data=[entry_message(row) for row in shown],
            next_page_token=following,
        )

    async def RecordLook(
        self, request: pb.RecordLookRequest, _context: grpc.aio.ServicerContext
    ) -> pb.RecordLookResponse:
        """Write down a look that another service of the site is about to let somebody have."""
        await self._trail.looked(look_of(request))
        return pb.RecordLookResponse()


def _filter_values(wanted: AuditFilter) -> dict[str, str | int | None]:
    return {
        "list": "audit",
        "actor": wanted.actor,
        "action": wanted.action,
        "object_kind": wanted.object_kind,
        "object_id": wanted.object_id,
        "outcome": wanted.outcome,
        "since": wanted.since.isoformat() if wanted.since is not None else None,
        "until": wanted.until.isoformat() if wanted.until is not None else None,
    }


def _number(text: str) -> int:
    if not (text.isascii() and text.isdecimal() and len(text) <= _LONGEST_NUMBER):
        raise InvalidArgument(
            "PAGE_TOKEN_INVALID", "The page token is not valid; ask for the first page again."
        )
    return int(text)
