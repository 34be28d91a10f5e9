"""What `dfip audit list` does: lists who did what."""

from datetime import UTC, datetime, timedelta

from cli.client.access import Access, connected
from cli.client.pages import all_pages
from cli.client.times import full_time, short_time
from cli.output import Column, Output
from dfip.control_plane.v1 import audit_pb2, audit_service_pb2, audit_service_pb2_grpc

COLUMNS: tuple[Column[audit_pb2.AuditEntry], ...] = (
    Column(title="id", value=lambda e: e.id, aside=True),
    Column(title="at", value=lambda e: full_time(e.at), shown=lambda e: short_time(e.at)),
    Column(title="actor", value=lambda e: e.actor),
    Column(title="role", value=lambda e: e.role),
    Column(title="action", value=lambda e: e.action),
    Column(title="object", value=lambda e: _text(e.object) if e.HasField("object") else ""),
    Column(title="within", value=lambda e: _text(e.within) if e.HasField("within") else ""),
    Column(title="fields", value=lambda e: ",".join(e.fields), aside=True),
    Column(title="outcome", value=lambda e: e.outcome),
    Column(title="reason", value=lambda e: e.reason),
    Column(title="count", value=lambda e: str(e.count)),
    Column(title="from", value=lambda e: e.client_address, aside=True),
    Column(title="token", value=lambda e: e.token_id, aside=True),
    Column(title="request", value=lambda e: e.request_id, aside=True),
)


async def list_audit(
    access: Access,
    output: Output,
    *,
    wanted: audit_service_pb2.ListAuditEntriesRequest,
    since_s: int | None,
    limit: int,
) -> None:
    """Print the newest entries, newest first.

    Args:
        access: The site.
        output: Where and how to print.
        wanted: Which entries; its pages are set here.
        since_s: Only entries of the last so many seconds.
        limit: How many at most.
    """
    if since_s is not None:
        wanted.since.FromDatetime(datetime.now(UTC) - timedelta(seconds=since_s))
    async with connected(access) as channel:
        stub = audit_service_pb2_grpc.AuditServiceStub(channel)
        found = await all_pages(stub.ListAuditEntries, wanted, limit=limit)
    output.listing(found, COLUMNS, empty="Nothing was done yet.")


def _text(one: audit_pb2.AuditObject) -> str:
    return f"{one.kind} {one.id}"
