"""What `dfip token …` does."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from cli.client.access import Access, connected
from cli.client.lookup import camera_id_of
from cli.client.pages import all_pages
from cli.client.times import full_time, short_time
from cli.failures import CommandFailed, ExitCode
from cli.output import Column, Output, to_json
from cli.talk import Talk
from dfip.control_plane.v1 import token_service_pb2 as pb
from dfip.control_plane.v1 import token_service_pb2_grpc

_LIFETIME = re.compile(r"(\d{1,9})([smhd]?)")
_SECONDS = {"": 1, "s": 1, "m": 60, "h": 3600, "d": 86400}
_WORKER = "worker"


@dataclass(frozen=True, slots=True, kw_only=True)
class Revocation:
    """What ends: the token with an id, or all of a subject."""

    kind: Literal["token", "subject"]
    name: str


TOKEN: tuple[Column[pb.TokenRecord], ...] = (
    Column(title="id", value=lambda t: t.id),
    Column(title="subject", value=lambda t: t.subject),
    Column(title="role", value=lambda t: t.role),
    Column(title="cameras", value=lambda t: ",".join(t.cameras) or t.camera_id, aside=True),
    Column(
        title="issued",
        value=lambda t: full_time(t.issued_at),
        shown=lambda t: short_time(t.issued_at),
    ),
    Column(
        title="expires",
        value=lambda t: full_time(t.expires_at),
        shown=lambda t: short_time(t.expires_at),
    ),
    Column(title="issued by", value=lambda t: t.issued_by, aside=True),
    Column(
        title="revoked",
        value=lambda t: full_time(t.revoked_at),
        shown=lambda t: short_time(t.revoked_at),
    ),
    Column(title="revoked by", value=lambda t: t.revoked_by, aside=True),
)
_REVOKED: tuple[Column[Revocation], ...] = (
    Column(title="what", value=lambda r: r.kind),
    Column(title="which", value=lambda r: r.name),
)


def parse_lifetime(text: str) -> int:
    """Return the seconds of a lifetime such as `90`, `30m`, `12h` or `7d`.

    Raises:
        CommandFailed: it is no lifetime.
    """
    found = _LIFETIME.fullmatch(text.strip())
    if found is None:
        raise CommandFailed(
            f"{text!r} is no lifetime; write it like 90s, 30m, 12h or 7d.", code=ExitCode.USAGE
        )
    return int(found[1]) * _SECONDS[found[2]]


async def issue_token(
    access: Access,
    output: Output,
    talk: Talk,
    *,
    role: str,
    cameras: Sequence[str],
    subject: str,
    lifetime_s: int,
) -> None:
    """Print a new token, alone, on standard output."""
    async with connected(access) as channel:
        ids = [await camera_id_of(channel, camera) for camera in cameras]
        request = pb.IssueTokenRequest(role=role, subject=subject, lifetime_s=lifetime_s)
        if role == _WORKER:
            (request.camera_id,) = ids
        else:
            request.cameras.extend(ids)
        answer = await token_service_pb2_grpc.TokenServiceStub(channel).IssueToken(request)
    output.text(answer.data.token, to_json(answer.data))
    where = f" at {len(ids)} of the cameras" if request.cameras else ""
    until = full_time(answer.data.expires_at)
    talk.say(f"The token allows what a {role} may do{where}, until {until}.")


async def list_tokens(
    access: Access, output: Output, *, wanted: pb.ListTokensRequest, limit: int
) -> None:
    """Print the newest tokens, newest first; the pages of what is wanted are set here."""
    async with connected(access) as channel:
        stub = token_service_pb2_grpc.TokenServiceStub(channel)
        found = await all_pages(stub.ListTokens, wanted, limit=limit)
    output.listing(
        found, TOKEN, empty="No such token; make one with `dfip token issue --role ROLE`."
    )


async def revoke_tokens(
    access: Access, output: Output, talk: Talk, *, revocations: Sequence[Revocation]
) -> None:
    """End tokens, and print which."""
    async with connected(access) as channel:
        stub = token_service_pb2_grpc.TokenServiceStub(channel)
        for one in revocations:
            if one.kind == "token":
                await stub.RevokeToken(pb.RevokeTokenRequest(token_id=one.name))
            else:
                request = pb.RevokeSubjectTokensRequest(subject=one.name)
                await stub.RevokeSubjectTokens(request)
    output.listing(revocations, _REVOKED)
    talk.say("They hold no more: at the control plane at once, elsewhere within seconds.")
