"""What `dfip token …` does."""

import re

from cli.client.access import Access, connected
from cli.client.lookup import camera_id_of
from cli.client.times import full_time
from cli.failures import CommandFailed, ExitCode
from cli.output import Output, to_json
from cli.talk import Talk
from dfip.control_plane.v1 import token_service_pb2, token_service_pb2_grpc

_LIFETIME = re.compile(r"(\d{1,9})([smhd]?)")
_SECONDS = {"": 1, "s": 1, "m": 60, "h": 3600, "d": 86400}


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
    camera: str,
    subject: str,
    lifetime_s: int,
) -> None:
    """Print a new token, alone, on standard output."""
    async with connected(access) as channel:
        answer = await token_service_pb2_grpc.TokenServiceStub(channel).IssueToken(
            token_service_pb2.IssueTokenRequest(
                role=role,
                camera_id=await camera_id_of(channel, camera) if camera else "",
                subject=subject,
                lifetime_s=lifetime_s,
            )
        )
    output.text(answer.data.token, to_json(answer.data))
    talk.say(f"The token allows what a {role} may do, until {full_time(answer.data.expires_at)}.")
