"""What a stranger may send to the port: none of it is believed, none of it breaks the edge."""

import asyncio
import contextlib
import re

import httpx
import pytest

from tests.support.edge import RunningEdge
from tests.transcoding.rooms import Rooms

pytestmark = pytest.mark.asyncio(loop_scope="module")


async def raw(edge: RunningEdge, text: bytes) -> tuple[bytes, bytes]:
    """Send bytes as they are; return the head and the body of the answer."""
    reader, writer = await asyncio.open_connection(edge.host, edge.port)
    try:
        writer.write(text)
        async with asyncio.timeout(10):
            head = await reader.readuntil(b"\r\n\r\n")
            length = re.search(rb"content-length: (\d+)", head)
            return head, await reader.readexactly(int(length[1]) if length else 0)
    finally:
        writer.close()


async def shout(edge: RunningEdge, text: bytes) -> None:
    """Send bytes and hang up, whatever is answered."""
    reader, writer = await asyncio.open_connection(edge.host, edge.port)
    try:
        writer.write(text)
        writer.write_eof()
        with contextlib.suppress(ConnectionError):
            await reader.read()
    finally:
        writer.close()


async def test_headers_that_say_who_one_is_do_not_pass(
    client: httpx.AsyncClient, rooms: Rooms
) -> None:
    hostile = {
        "x-dfip-role": "admin",
        "X-DFIP-Subject": "root",
        "x-dfip-client-address": "203.0.113.7",
        "x-forwarded-client-cert": "Subject=admin",
        "x-jwt-payload": "eyJyb2xlIjoiYWRtaW4ifQ",
        "x-forwarded-for": "203.0.113.9",
        "x-forwarded-user": "root",
        "x-forwarded-email": "root@example.org",
        "x-auth-request-user": "root",
        "x-remote-user": "root",
        "x-real-ip": "127.0.0.1",
        "forwarded": "for=10.0.0.1",
        "x-envoy-original-path": "/tokens",
        "x-envoy-upstream-rq-timeout-ms": "1",
        "x-envoy-internal": "true",
        "x-request-id": "chosen-by-the-caller",
    }
    response = await client.get("/cameras", headers=hostile)
    assert response.status_code == 200
    seen = rooms.recording.metadata["ListCameras"]
    assert {key: seen[key] for key in seen if key.startswith("x-dfip-")} == {
        "x-dfip-client-address": "127.0.0.1"
    }
    for name in hostile:
        if not name.startswith(("x-envoy-", "x-request-", "x-dfip-client", "x-forwarded-for")):
            assert name.lower() not in seen
    assert "203.0.113" not in seen.get("x-forwarded-for", "")
    assert "x-envoy-internal" not in seen
    assert seen["x-envoy-original-path"] == "/cameras"
    assert seen["x-request-id"] == response.headers["x-request-id"] != "chosen-by-the-caller"


@pytest.mark.parametrize(
    ("request_text", "status"),
    [
        (b"GET /cameras HTTP/1.1\r\nhost: x\r\nbad header\r\n\r\n", b"400"),
        (b"GET /cam eras HTTP/1.1\r\nhost: x\r\n\r\n", b"400"),
        (b"GET /cameras HTTP/1.1\r\nhost: x\r\nx_dfip_role: admin\r\n\r\n", b"400"),
        (b"GET /cameras HTTP/1.1\r\n\r\n", b"400"),
        (
            (
                b"POST /cameras HTTP/1.1\r\nhost: x\r\ncontent-length: 5\r\n"
                b"transfer-encoding: chunked\r\n\r\n0\r\n\r\n"
            ),
            b"400",
        ),
        (
            b"POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 2\r\ncontent-length: 3\r\n\r\n{}",
            b"400",
        ),
        (
            b"POST /cameras HTTP/1.1\r\nhost: x\r\ntransfer-encoding: xchunked\r\n\r\n0\r\n\r\n",
            b"400",
        ),
        (b"GET /cameras HTTP/1.0\r\n\r\n", b"426"),
        (b"GET /cameras HTTP/1.1\r\nhost: x\r\na: " + b"a" * 9000 + b"\r\n\r\n", b"431"),
        (
            b"GET /cameras HTTP/1.1\r\nhost: x\r\n"
            + b"".join(b"h%d: 1\r\n" % i for i in range(120))
            + b"\r\n",
            b"431",
        ),
    ],
)
async def test_what_is_no_proper_http_is_refused_as_json(
    edge: RunningEdge, request_text: bytes, status: bytes
) -> None:
    head, body = await raw(edge, request_text)
    assert head.startswith(b"HTTP/1.1 " + status)
    assert b"content-type: application/json" in head
    assert body.startswith(b'{"code":')


@pytest.mark.parametrize("path", ["//cameras", "/x/../cameras", "/%63ameras/../cameras"])
async def test_paths_are_normalised_before_they_are_routed(
    edge: RunningEdge, rooms: Rooms, path: str
) -> None:
    token = rooms.authority.token("viewer")
    text = f"GET {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\nauthorization: Bearer {token}"
    head, _ = await raw(edge, f"{text}\r\n\r\n".encode())
    assert head.startswith(b"HTTP/1.1 200")


@pytest.mark.parametrize(
    "header", [{"grpc-encoding": "gzip"}, {"grpc-encoding": "zzz"}, {"grpc-timeout": "x"},
               {"grpc-timeout": "1n"}, {"grpc-accept-encoding": "gzip"}],
)  # fmt: skip
async def test_headers_of_grpc_mean_nothing_on_rest(
    client: httpx.AsyncClient, header: dict[str, str]
) -> None:
    response = await client.get("/cameras", headers=header)
    assert response.status_code == 200


async def test_half_a_request_takes_no_call_from_the_service(
    edge: RunningEdge, client: httpx.AsyncClient, rooms: Rooms
) -> None:
    """The service takes 1,000 calls at once; half-sent ones are none of them, token or not."""
    token = rooms.authority.token("viewer").encode()
    more = b"host: x\r\nauthorization: Bearer " + token + b"\r\ncontent-length: 99\r\n"
    starts = (
        b"POST /persons/x/faces HTTP/1.1\r\n" + more + b"\r\n\xff",
        b"POST /cameras HTTP/1.1\r\n" + more + b"\r\n{",
        (
            b"POST /dfip.control_plane.v1.ControlPlaneService/GetCamera HTTP/1.1\r\n"
            + more
            + b"content-type: application/grpc-web+proto\r\n\r\n\0"
        ),
    )
    for start in starts:
        connections = [await asyncio.open_connection(edge.host, edge.port) for _ in range(1010)]
        try:
            for _, writer in connections:
                writer.write(start)
                await writer.drain()
            assert (await client.get("/cameras")).status_code == 200
            assert (await client.get("/healthz")).status_code == 200
        finally:
            for _, writer in connections:
                writer.close()


async def test_pictures_from_outside_cannot_become_a_page(client: httpx.AsyncClient) -> None:
    response = await client.get("/sightings/x/image")
    assert response.headers["content-type"] == "image/jpeg"
    assert response.headers["x-content-type-options"] == "nosniff"
    policy = response.headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "sandbox" in policy


async def test_many_refused_requests_leave_the_edge_as_it_was(
    edge: RunningEdge, client: httpx.AsyncClient
) -> None:
    noise = [bytes([i % 256]) * 300 + b"\r\n\r\n" for i in range(50)]
    await asyncio.gather(*(shout(edge, text) for text in noise))
    assert (await client.get("/cameras")).status_code == 200
