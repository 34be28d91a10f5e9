"""What `dfip camera snapshot` and `dfip camera live` do: people see what a camera sees."""

import sys
import webbrowser
from pathlib import Path

from cli.client.access import Access, connected
from cli.client.lookup import camera_id_of
from cli.client.times import full_time
from cli.failures import CommandFailed, ReaderGone
from cli.output import Column, Output
from cli.talk import Talk
from dfip.camera_manager.v1 import media_service_pb2, media_service_pb2_grpc
from dfip.control_plane.v1 import token_service_pb2, token_service_pb2_grpc

# a camera that begins, or looks seldom, shows its first picture after some seconds
_PATIENCE_S = 20.0
_ADDRESS: tuple[Column[token_service_pb2.MediaTicket], ...] = (
    Column(title="url", value=lambda ticket: ticket.url),
    Column(title="good until", value=lambda ticket: full_time(ticket.expires_at)),
)


async def save_snapshot(
    access: Access,
    output: Output,
    talk: Talk,
    *,
    camera: str,
    file: str,
    longest_side: int,
    plain: bool,
) -> None:
    """Save the next picture of a camera; `-` is standard output.

    Raises:
        CommandFailed: the camera shows nothing, or the file cannot be written.
    """
    async with connected(access) as channel:
        stub = media_service_pb2_grpc.MediaServiceStub(channel)
        request = media_service_pb2.GetSnapshotRequest(
            camera_id=await camera_id_of(channel, camera),
            longest_side=longest_side,
            annotated=not plain,
        )
        picture = await stub.GetSnapshot(request, timeout=_PATIENCE_S)
    if file == "-":
        try:
            sys.stdout.buffer.write(picture.data)
            sys.stdout.buffer.flush()
        except BrokenPipeError:
            raise ReaderGone from None
        return
    path = _write(file, picture.data)
    if output.as_json:
        output.text("", {"file": str(path), "bytes": len(picture.data)})
    else:
        talk.say(f"{path}: {len(picture.data)} bytes.")


def _write(file: str, data: bytes) -> Path:
    path = Path(file).expanduser()
    try:
        path.write_bytes(data)
    except OSError as error:
        raise CommandFailed(f"{path} cannot be written ({error.strerror}); name another.") from None
    return path


async def show_live(access: Access, output: Output, talk: Talk, *, camera: str, show: bool) -> None:
    """Print the address at which a browser sees a camera live, or have the browser open it."""
    async with connected(access) as channel:
        stub = token_service_pb2_grpc.TokenServiceStub(channel)
        request = token_service_pb2.IssueMediaTicketRequest(
            purpose="live", object_id=await camera_id_of(channel, camera)
        )
        ticket = (await stub.IssueMediaTicket(request)).data
    ticket.url = access.server.rstrip("/") + ticket.url
    if show and webbrowser.open(ticket.url):
        return
    output.record(ticket, _ADDRESS)
    talk.say("A browser that opens it within a minute goes on to see the camera for half an hour.")
