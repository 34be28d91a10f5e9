"""The watch over a real connection: lists, cut streams, a server that goes and comes back."""

import asyncio
import contextlib
import tempfile
from collections.abc import AsyncIterator, Iterable
from pathlib import Path

from camera_manager.camera_watch import CameraWatch
from dfip.control_plane.v1 import control_plane_service_pb2, control_plane_service_pb2_grpc
from service_runtime.authentication import TokenVerifier
from service_runtime.backoff import Backoff
from service_runtime.clients import StaticToken, open_channel
from service_runtime.clock import SystemClock
from service_runtime.secret import Secret
from service_runtime.server import Binding, Server
from tests.integration.camera_manager.processes import until
from tests.support.tokens import TestAuthority
from tests.unit.camera_manager.fake_control_plane import FakeControlPlane


class Connected:
    def __init__(self, folder: Path) -> None:
        self.authority = TestAuthority(folder)
        self.plane = FakeControlPlane()
        self.target = f"unix:{folder}/cp.sock"
        self.server = self._new_server()
        token = StaticToken(Secret(self.authority.token("manager")))
        self.channel = open_channel(self.target, token=token)
        self.changed: set[str] = set()
        self.watch = CameraWatch(
            stub=control_plane_service_pb2_grpc.ControlPlaneServiceStub(self.channel),
            clock=SystemClock(),
            backoff=Backoff(initial_s=0.01, cap_s=0.1),
            on_change=self._note,
        )

    def _note(self, camera_ids: Iterable[str]) -> None:
        self.changed |= set(camera_ids)

    def _new_server(self) -> Server:
        clock = SystemClock()
        contract = control_plane_service_pb2.DESCRIPTOR
        return Server(
            room="control_plane",
            listen=self.target,
            bindings=[
                Binding(
                    descriptor=contract.services_by_name["ControlPlaneService"],
                    add=control_plane_service_pb2_grpc.add_ControlPlaneServiceServicer_to_server,
                    servicer=self.plane,
                )
            ],
            verifier=TokenVerifier(self.authority.jwks_file, clock),
            clock=clock,
        )

    async def restart_server(self) -> None:
        await self.server.stop(0)
        self.server = self._new_server()
        await self.server.start()


@contextlib.asynccontextmanager
async def connected() -> AsyncIterator[Connected]:
    with tempfile.TemporaryDirectory(prefix="cw-") as name:  # short: a socket lies in it
        it = Connected(Path(name))
        it.plane.put("a")
        it.plane.put("b")
        await it.server.start()
        task = asyncio.create_task(it.watch.run())
        try:
            await asyncio.wait_for(it.watch.listed.wait(), 30)
            yield it
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
            await it.channel.close()
            await it.server.stop(0)
        assert task.cancelled()


async def test_a_relist_cuts_the_stream_and_lists_again() -> None:
    async with connected() as it:
        it.changed.clear()
        it.watch.relist()
        await until(lambda: it.plane.lists == 2 and it.changed == {"a", "b"})
        it.plane.put("c")
        await until(lambda: "c" in it.watch.cameras)


async def test_a_server_that_comes_back_is_followed_from_where_the_stream_broke() -> None:
    async with connected() as it:
        await it.restart_server()
        it.plane.remove("b")
        await until(lambda: it.watch.cameras.keys() == {"a"})
        assert it.plane.lists == 1


async def test_an_expired_token_is_told_by_its_code_and_answered_with_a_list() -> None:
    async with connected() as it:
        await it.server.stop(0)
        it.plane.put("c")
        it.plane.replace_database()
        await it.restart_server()
        await until(lambda: it.plane.lists == 2 and it.watch.cameras.keys() == {"a", "b", "c"})
