"""TLS both ways between real servers and clients: who is let in, who is not, and what rolls."""

import asyncio
import socket
import ssl
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import grpc
import pytest

from dfip.control_plane.v1 import (
    control_plane_service_pb2,
    control_plane_service_pb2_grpc,
    event_service_pb2,
    event_service_pb2_grpc,
)
from service_runtime import server as server_module
from service_runtime.authentication import TokenVerifier
from service_runtime.clients import MeshChannel, StaticToken, open_channel
from service_runtime.clock import SystemClock
from service_runtime.errors import PermissionDenied
from service_runtime.interceptors.peers import PeerCheck
from service_runtime.secret import Secret
from service_runtime.server import Binding, Server
from service_runtime.settings import SettingsError
from service_runtime.transport import TlsFiles, Transport, TransportSettings, is_loopback
from tests.support.certificates import TestCertificates
from tests.support.refusals import refused
from tests.support.tokens import TestAuthority

# of the calls that clients do not repeat by themselves
REQUEST = control_plane_service_pb2.RetryCameraRequest(camera_id="x")


class Cameras(control_plane_service_pb2_grpc.ControlPlaneServiceServicer):
    def __init__(self) -> None:
        self.calls = 0

    async def RetryCamera(
        self, _request: object, _context: object
    ) -> control_plane_service_pb2.RetryCameraResponse:
        self.calls += 1
        return control_plane_service_pb2.RetryCameraResponse(message="here")


class Events(event_service_pb2_grpc.EventServiceServicer):
    def __init__(self) -> None:
        self.queue: asyncio.Queue[str] = asyncio.Queue()

    async def WatchEvents(
        self, _request: object, _context: object
    ) -> AsyncIterator[event_service_pb2.WatchEventsResponse]:
        while True:
            yield event_service_pb2.WatchEventsResponse(resume_token=await self.queue.get())


class World:
    """A control plane that takes calls of the edge and of the index, on a port."""

    def __init__(self, folder: Path) -> None:
        clock = SystemClock()
        self.certificates = TestCertificates(folder / "certs")
        self.authority = TestAuthority(folder)
        self.cameras, self.events = Cameras(), Events()
        self.server = Server(
            room="control_plane",
            listen="127.0.0.1:0",
            bindings=[
                Binding.of(control_plane_service_pb2, control_plane_service_pb2_grpc, self.cameras),
                Binding.of(event_service_pb2, event_service_pb2_grpc, self.events),
            ],
            verifier=TokenVerifier(self.authority.jwks_file, clock),
            clock=clock,
            transport=self.certificates.transport("control_plane"),
            peers=("edge", "identity_index"),
        )

    def channel(
        self, transport: Transport | None = None, peer: str = "control_plane"
    ) -> MeshChannel:
        return open_channel(
            self.server.address,
            token=StaticToken(Secret(self.authority.token("admin"))),
            deadline_s=5,
            transport=transport or self.certificates.transport("edge"),
            peer=peer,
        )

    async def ask(self, channel: MeshChannel) -> str:
        stub = control_plane_service_pb2_grpc.ControlPlaneServiceStub(channel)
        return str((await stub.RetryCamera(REQUEST)).message)

    async def refuses(self, channel: MeshChannel) -> str:
        """Call, see that nobody is reached, and return what is said."""
        before = self.cameras.calls
        async with channel:
            with pytest.raises(grpc.aio.AioRpcError) as caught:
                await self.ask(channel)
        assert caught.value.code() is grpc.StatusCode.UNAVAILABLE
        assert self.cameras.calls == before
        return str(caught.value.details())


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    made = World(tmp_path)
    await made.server.start()
    yield made
    await made.server.stop(0)


async def test_services_that_may_reach_each_other(world: World) -> None:
    for service in ("edge", "identity_index"):
        async with world.channel(world.certificates.transport(service)) as channel:
            assert await world.ask(channel) == "here"


async def test_a_service_that_may_not_connect_is_refused(world: World) -> None:
    """Whatever its token allows, and before that is looked at."""
    async with world.channel(world.certificates.transport("vision_worker")) as channel:
        with refused(grpc.StatusCode.PERMISSION_DENIED, "PEER_NOT_ALLOWED"):
            await world.ask(channel)
        watch = event_service_pb2_grpc.EventServiceStub(channel).WatchEvents(
            event_service_pb2.WatchEventsRequest()
        )
        with refused(grpc.StatusCode.PERMISSION_DENIED, "PEER_NOT_ALLOWED"):
            await watch.read()
        check = channel.unary_unary("/grpc.health.v1.Health/Check")
        with refused(grpc.StatusCode.PERMISSION_DENIED, "PEER_NOT_ALLOWED"):
            await check(b"")
    assert world.cameras.calls == 0


async def test_clients_without_a_good_certificate_are_refused(world: World, tmp_path: Path) -> None:
    foreign = TestCertificates(tmp_path / "foreign")
    ours = world.certificates
    with_their_key = replace(foreign.files("edge"), ca_file=ours.files("edge").ca_file)
    ours.expire("identity_index")
    expired = ours.transport("identity_index")
    for transport in (Transport(tls=with_their_key), expired):
        assert str(tmp_path) not in await world.refuses(world.channel(transport))


async def test_servers_without_a_good_certificate_are_refused(world: World, tmp_path: Path) -> None:
    foreign = TestCertificates(tmp_path / "foreign")
    ours = world.certificates
    another_ca = replace(ours.files("edge"), ca_file=foreign.files("edge").ca_file)
    await world.refuses(world.channel(Transport(tls=another_ca)))
    await world.refuses(world.channel(peer="identity_index"))
    ours.expire("control_plane")
    await world.refuses(world.channel())
    ours.renew("control_plane")
    async with world.channel() as channel:
        assert await world.ask(channel) == "here"


async def test_nothing_is_said_to_who_speaks_plainly_or_has_no_certificate(world: World) -> None:
    await world.refuses(open_channel(world.server.address, deadline_s=5))
    host, _, port = world.server.address.rpartition(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    writer.write(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + b"\0\0\0\4\0\0\0\0\0")
    said = await reader.read()
    assert len(said) <= 7  # an alert of TLS
    writer.close()
    context = ssl.create_default_context(cafile=world.certificates.files("edge").ca_file)
    context.set_alpn_protocols(["h2"])
    assert await asyncio.to_thread(_said_without_a_certificate, context, host, int(port)) == b""
    assert world.cameras.calls == 0


def _said_without_a_certificate(context: ssl.SSLContext, host: str, port: int) -> bytes:
    """In TLS 1.3 a client learns from its first read whether the server took it."""
    with socket.create_connection((host, port), timeout=5) as plain:
        try:
            with context.wrap_socket(plain, server_hostname="control-plane.dfip") as protected:
                return protected.recv(1000)
        except (ssl.SSLError, ConnectionError):
            return b""


async def test_a_client_that_does_not_say_who_it_is_is_sent_away(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(server_module, "HANDSHAKE_MS", 50)
    world = World(tmp_path)
    await world.server.start()
    host, _, port = world.server.address.rpartition(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    async with asyncio.timeout(10):
        assert await reader.read() == b""
    writer.close()
    await world.server.stop(0)


async def test_a_client_follows_its_certificate(world: World) -> None:
    """Nothing is started again, and what runs goes on over the connection that it has."""
    async with world.channel() as channel:
        watch = event_service_pb2_grpc.EventServiceStub(channel).WatchEvents(
            event_service_pb2.WatchEventsRequest()
        )
        world.events.queue.put_nowait("one")
        assert (await watch.read()).resume_token == "one"
        world.certificates.expire("edge")
        with pytest.raises(grpc.aio.AioRpcError):
            await world.ask(channel)
        world.certificates.renew("edge")
        assert await world.ask(channel) == "here"
        world.events.queue.put_nowait("two")
        assert (await watch.read()).resume_token == "two"
        watch.cancel()


async def test_bad_files_leave_the_good_ones_in_force(world: World) -> None:
    edge, own = world.certificates.files("edge"), world.certificates.files("control_plane")
    async with world.channel() as channel:
        assert await world.ask(channel) == "here"
        edge.key_file.write_bytes(own.key_file.read_bytes())
        own.cert_file.write_text("half a certifi")
        assert await world.ask(channel) == "here"
    world.certificates.renew("edge")
    async with world.channel() as channel:
        assert await world.ask(channel) == "here"


def test_a_certificate_for_two_services_is_for_none() -> None:
    """Nobody gets one of ours; an authority of somebody's own might sign it."""
    names = {"x509_subject_alternative_name": [b"edge.dfip", b"identity-index.dfip", b"h"]}
    check = PeerCheck(("edge", "identity_index"))
    with pytest.raises(PermissionDenied):
        check.require(Connection(names))
    check.require(Connection({"x509_subject_alternative_name": [b"edge.dfip", b"camera-manager"]}))
    for said in ({}, {"x509_common_name": [b"edge.dfip"]}):
        with pytest.raises(PermissionDenied):
            check.require(Connection(said))


class Connection:
    """What grpc tells of the other end."""

    def __init__(self, properties: dict[str, list[bytes]]) -> None:
        self._properties = properties

    def auth_context(self) -> dict[str, list[bytes]]:
        return self._properties


@pytest.mark.parametrize(
    ("address", "here"),
    [
        ("127.0.0.1:1", True), ("localhost:1", True), ("[::1]:1", True), ("0.0.0.0:1", False),
        ("10.0.0.1:1", False), ("[::]:1", False), ("localhost.example:1", False),
    ],
)  # fmt: skip
def test_what_leaves_the_machine_is_told_by_its_address(address: str, here: bool) -> None:
    assert is_loopback(address) is here
    if here:
        assert Transport().server_credentials(address) is None
        assert Transport().channel_credentials(address) is None
    else:
        for use in (Transport().server_credentials, Transport().channel_credentials):
            with pytest.raises(SettingsError, match="DFIP_PLAINTEXT"):
                use(address)
        assert Transport(plaintext=True).server_credentials(address) is None


def test_settings_name_all_files_of_one_certificate(tmp_path: Path) -> None:
    site = TestCertificates(tmp_path)
    edge = site.settings("edge")
    assert TransportSettings(**edge).transport() == site.transport("edge")
    assert TransportSettings().transport() == Transport()
    too_long = tmp_path / "long.pem"
    too_long.write_bytes(site.files("edge").ca_file.read_bytes() + b"\n" * 70_000)
    wrong: list[dict[str, Any]] = [
        edge | {"tls_ca_file": None},
        edge | {"tls_key_file": site.files("control_plane").key_file},
        edge | {"tls_cert_file": site.files("edge").key_file},
        edge | {"tls_ca_file": tmp_path / "nothing.pem"},
        edge | {"tls_ca_file": too_long},
    ]
    for values in wrong:
        with pytest.raises(SettingsError) as said:
            TransportSettings(**values).transport()
        assert "PRIVATE" not in str(said.value)
    assert TlsFiles(cert_file=tmp_path / "x", key_file=tmp_path, ca_file=tmp_path).state() == ()
