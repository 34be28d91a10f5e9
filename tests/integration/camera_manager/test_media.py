"""What a camera shows, from a worker through the manager and a real Envoy to whoever may see it.

The control plane, the manager's service and a worker's are real, and in this process; in place of
a camera the test shows frames.
"""

import asyncio
import contextlib
import re
import socket
from collections.abc import AsyncIterator
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import httpx
import jwt
import pytest
import pytest_asyncio

from camera_manager.camera_watch import CameraWatch
from camera_manager.leadership import Leadership
from camera_manager.media.look_records import LookRecords
from camera_manager.media.servicer import MediaServicer
from camera_manager.media.worker_pictures import WorkerPictures
from camera_manager.runtimes.port import WorkerSpec
from deploy.envoy.contracts import edge_methods
from dfip.camera_manager.v1 import media_service_pb2, media_service_pb2_grpc
from dfip.control_plane.v1 import (
    audit_service_pb2,
    audit_service_pb2_grpc,
    control_plane_service_pb2,
    control_plane_service_pb2_grpc,
    lease_service_pb2_grpc,
    token_service_pb2,
    token_service_pb2_grpc,
)
from dfip.options.v1 import policy_pb2
from dfip.vision_worker.v1 import worker_service_pb2, worker_service_pb2_grpc
from service_runtime.audit import AuditedCall
from service_runtime.authentication import Caller, TokenVerifier
from service_runtime.backoff import Backoff
from service_runtime.clients import StaticToken, open_channel
from service_runtime.clock import SystemClock
from service_runtime.errors import Unavailable
from service_runtime.secret import Secret
from service_runtime.server import Binding, Server
from tests.contract.test_roles import LIMITED
from tests.support.control_plane import RunningControlPlane, running_control_plane
from tests.support.edge import RunningEdge, running_edge
from tests.support.virtual_clock import VirtualClock
from tests.unit.camera_manager.fake_place import FakePlace
from tests.unit.vision_worker.looking.scenes import frame
from vision_worker.looking.onlookers import MOST, Onlookers, Trouble
from vision_worker.looking.picture_thread import PictureThread
from vision_worker.looking.scene import Form, ShownFace
from vision_worker.servicer import WorkerServicer
from vision_worker.watching.cameras import Cameras
from vision_worker.watching.watched_camera import WatchedCamera

pytestmark = pytest.mark.asyncio(loop_scope="module")

NOBODY = "3f0c2a9e-8d43-4d57-9d0e-0f6f0f6c8a11"
ADA = ShownFace(box=(0.4, 0.2, 0.1, 0.2), quality=0.8, decision="match", name="Ada", score=0.7)
PART = re.compile(
    rb"content-type: image/jpeg\r\ncontent-length: (\d+)\r\nx-captured-at: (\S+)\r\n\r\n"
)
BOUNDARY = b"\r\n--dfip-picture\r\n"


class OneCamera(Cameras):
    """The cameras of a worker that has one."""

    def __init__(self, camera_id: str, onlookers: Onlookers) -> None:
        self._one: Any = SimpleNamespace(camera_id=camera_id, onlookers=onlookers)

    def find(self, camera_id: str) -> WatchedCamera:
        assert camera_id == self._one.camera_id
        found: WatchedCamera = self._one
        return found


UNASKED: Any = {"engines": None, "load": None}


@dataclass(slots=True, kw_only=True)
class World:
    """A site whose first camera has a worker; the second has none yet, the third is disabled."""

    site: RunningControlPlane
    edge: RunningEdge
    client: httpx.AsyncClient
    onlookers: Onlookers
    leadership: Leadership
    seen: str
    idle: str
    disabled: str
    manager: str
    shown: int = 0
    tasks: list[asyncio.Task[None]] = field(default_factory=list)

    def show(self, *faces: ShownFace, size: tuple[int, int] = (640, 360)) -> None:
        self.shown += 1
        self.onlookers.show(frame(self.shown, size, noisy=True), faces)

    async def viewers(self, count: int) -> None:
        """Wait until so many look."""
        async with asyncio.timeout(10):
            # the call comes through two other processes' sockets: nothing here tells when
            while len(self.onlookers._viewers) != count:  # noqa: ASYNC110
                await asyncio.sleep(0.005)

    async def snapshot(self, path: str = "", **headers: str) -> httpx.Response:
        """Ask for a snapshot, and show something once somebody looks."""
        asking = asyncio.ensure_future(
            self.client.get(path or f"/cameras/{self.seen}/snapshot", headers=headers)
        )
        waiting = asyncio.ensure_future(self.viewers(1))
        await asyncio.wait({asking, waiting}, return_when=asyncio.FIRST_COMPLETED)
        waiting.cancel()
        if not asking.done():
            self.show(ADA)
        return await asking

    async def issue(self, role: str = "viewer", **fields: Any) -> tuple[str, str]:
        stub: Any = token_service_pb2_grpc.TokenServiceStub(self.site.channel())
        data = (
            await stub.IssueToken(token_service_pb2.IssueTokenRequest(role=role, **fields))
        ).data
        return data.token, data.id

    async def ticket(self, purpose: str, token: str) -> dict[str, str]:
        answer = await self.client.post(
            "/media-tickets",
            json={"purpose": purpose, "object_id": self.seen},
            headers=bearer(token),
        )
        assert answer.status_code == 201, answer.text
        return dict(answer.json()["data"])

    async def audited(self, **wanted: Any) -> list[Any]:
        stub: Any = audit_service_pb2_grpc.AuditServiceStub(self.site.channel())
        return list(
            (await stub.ListAuditEntries(audit_service_pb2.ListAuditEntriesRequest(**wanted))).data
        )


def bearer(token: str) -> dict[str, str]:
    return {"authorization": f"Bearer {token}"}


def refusal(response: httpx.Response) -> tuple[int, str]:
    return response.status_code, response.json()["details"][0]["reason"]


async def create_camera(site: RunningControlPlane, name: str, desired_state: str) -> str:
    stub: Any = control_plane_service_pb2_grpc.ControlPlaneServiceStub(site.channel())
    request = control_plane_service_pb2.CreateCameraRequest(
        name=name, connection_string="rtsp://camera.example/1", desired_state=desired_state
    )
    return str((await stub.CreateCamera(request)).data.id)


@contextlib.asynccontextmanager
async def running_server(
    site: RunningControlPlane, room: str, *bindings: Binding, **more: Any
) -> AsyncIterator[Server]:
    clock = SystemClock()
    server = Server(
        room=room,
        listen="127.0.0.1:0",
        bindings=bindings,
        verifier=TokenVerifier(site.settings.jwks_file, clock),
        clock=clock,
        **more,
    )
    await server.start()
    await server.set_serving(serving=True)
    try:
        yield server
    finally:
        await server.stop(0)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def world(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[World]:
    folder = tmp_path_factory.mktemp("media")
    clock, thread = SystemClock(), PictureThread()
    async with contextlib.AsyncExitStack() as stack:
        site = await stack.enter_async_context(running_control_plane(folder))
        seen, idle, disabled = [
            await create_camera(site, name, state)
            for name, state in (("a", "running"), ("b", "running"), ("c", "stopped"))
        ]
        channel = site.channel("manager")
        cameras = CameraWatch(
            stub=control_plane_service_pb2_grpc.ControlPlaneServiceStub(channel),
            clock=clock,
            backoff=Backoff(initial_s=0.1, cap_s=1),
            on_change=lambda _: None,
        )
        leadership = Leadership(
            stub=lease_service_pb2_grpc.LeaseServiceStub(channel),
            clock=clock,
            holder="a",
            on_taken=lambda: None,
        )
        onlookers = Onlookers(thread=thread, clock=clock)
        stack.callback(thread.close)
        servicer = WorkerServicer(cameras=OneCamera(seen, onlookers), **UNASKED)
        worker = await stack.enter_async_context(
            running_server(
                site,
                "vision_worker",
                Binding.of(worker_service_pb2, worker_service_pb2_grpc, servicer),
            )
        )
        place = FakePlace(VirtualClock())
        await place.start(
            WorkerSpec(camera_id=seen, epoch=1, generation=1, token=Secret("not used"))
        )
        place.targets[seen] = worker.address
        media = MediaServicer(
            cameras=cameras,
            runtime=place,
            leadership=leadership,
            pictures=WorkerPictures(StaticToken(site.token("manager"))),
            clock=clock,
        )
        manager = await stack.enter_async_context(
            running_server(
                site,
                "camera_manager",
                Binding.of(media_service_pb2, media_service_pb2_grpc, media),
                trail=LookRecords(audit_service_pb2_grpc.AuditServiceStub(channel)),
            )
        )
        edge = await stack.enter_async_context(
            running_edge(
                folder, clusters={"control_plane": site.target, "camera_manager": manager.address}
            )
        )
        client = await stack.enter_async_context(edge.client())
        watching = asyncio.create_task(cameras.run())
        world = World(
            site=site,
            edge=edge,
            client=client,
            onlookers=onlookers,
            leadership=leadership,
            seen=seen,
            idle=idle,
            disabled=disabled,
            manager=manager.address,
            tasks=[watching],
        )
        await cameras.listed.wait()
        yield world
        for task in world.tasks:
            task.cancel()
        await asyncio.gather(*world.tasks, return_exceptions=True)
        assert not site.stopping, "a root task of the control plane crashed"


async def test_a_snapshot_is_a_fresh_picture_and_a_look_that_is_written_down(world: World) -> None:
    token, token_id = await world.issue("operator", subject="Ada Lovelace")
    response = await world.snapshot(
        f"/cameras/{world.seen}/snapshot?longest_side=300", **bearer(token)
    )
    assert response.status_code == 200, response.text
    assert response.content[:3] == b"\xff\xd8\xff"
    told = response.headers
    assert told["content-type"] == "image/jpeg"
    assert told["cache-control"] == "no-store"
    assert told["x-content-type-options"] == "nosniff"
    assert "sandbox" in told["content-security-policy"]
    assert datetime.fromisoformat(told["x-captured-at"]).tzinfo == UTC
    (row,) = await world.audited(actor="Ada Lovelace")
    assert (row.action, row.role, row.token_id) == ("snapshot.get", "operator", token_id)
    assert (row.object.kind, row.object.id) == ("camera", world.seen)
    assert (list(row.fields), row.client_address) == (["longest_side"], "127.0.0.1")
    assert not world.onlookers.here


@dataclass(slots=True)
class Parts:
    """Reads the parts of a live stream, and no more of it than it must."""

    chunks: AsyncIterator[bytes]
    held: bytes = b""

    async def next(self) -> tuple[bytes, str]:
        """Return a picture and its time once the boundary behind it is there."""
        async with asyncio.timeout(10):
            self.held = self.held.removeprefix(b"--dfip-picture\r\n")
            while not self._is_whole():
                self.held += await anext(self.chunks)
        head = PART.match(self.held)
        assert head is not None, self.held[:200]
        end = head.end() + int(head[1])
        picture, self.held = self.held[head.end() : end], self.held[end:]
        assert self.held.startswith(BOUNDARY)
        self.held = self.held.removeprefix(BOUNDARY)
        return picture, head[2].decode()

    def _is_whole(self) -> bool:
        self.held = self.held.removeprefix(b"--dfip-picture\r\n")
        head = PART.match(self.held)
        return head is not None and len(self.held) >= head.end() + int(head[1]) + len(BOUNDARY)


async def test_a_page_sees_live_pictures_one_by_one_by_their_address_alone(world: World) -> None:
    token, _ = await world.issue(subject="page")
    ticket = await world.ticket("live", token)
    assert ticket["url"] == f"/cameras/{world.seen}/live?ticket={ticket['ticket']}"
    async with asyncio.timeout(20):
        opening = world.client.stream("GET", f"{ticket['url']}&longest_side=1920")
        entering = asyncio.ensure_future(opening.__aenter__())
        await world.viewers(1)
        world.show(ADA, size=(1280, 720))
        response = await entering
        assert response.status_code == 200
        kind = "multipart/x-mixed-replace; boundary=dfip-picture"
        assert response.headers["content-type"] == kind
        assert response.headers["cache-control"] == "no-store"
        assert response.headers["x-content-type-options"] == "nosniff"
        parts = Parts(response.aiter_raw())
        times = []
        for _ in range(3):  # nothing more is shown before a whole part has come
            picture, captured_at = await parts.next()
            assert picture[:3] == b"\xff\xd8\xff"
            assert picture[-2:] == b"\xff\xd9"
            assert len(picture) > 200_000  # many times what any buffer on its way holds
            times.append(captured_at)
            world.show(size=(1280, 720))
        assert times == sorted(set(times))
        await opening.__aexit__(None, None, None)
        await world.viewers(0)
    (row,) = await world.audited(actor="page", action="live.stream")
    assert (row.role, row.object.id) == ("viewer", world.seen)


async def test_a_ticket_is_for_one_camera_in_one_way_and_ends(world: World) -> None:
    token, token_id = await world.issue(subject="one thing")
    live = (await world.ticket("live", token))["ticket"]
    snapshot = await world.ticket("snapshot", token)
    assert (await world.snapshot(snapshot["url"])).status_code == 200
    for path in (
        f"/cameras/{world.idle}/live?ticket={live}",
        f"/cameras/{world.seen}/snapshot?ticket={live}",
        f"/cameras/{world.seen}/live?ticket={snapshot['ticket']}",
    ):
        response = await world.client.get(path)
        assert refusal(response) == (403, "TICKET_FOR_SOMETHING_ELSE"), path
    claims = jwt.decode(live, options={"verify_signature": False})
    claims["exp"] = int((datetime.now(UTC) - timedelta(seconds=10)).timestamp())
    old = world.site.control_plane.parts.issuer.sign(claims).reveal()
    response = await world.client.get(f"/cameras/{world.seen}/live?ticket={old}")
    assert refusal(response) == (401, "TOKEN_EXPIRED")
    stub: Any = token_service_pb2_grpc.TokenServiceStub(world.site.channel())
    await stub.RevokeToken(token_service_pb2.RevokeTokenRequest(token_id=token_id))
    assert refusal(await world.snapshot(snapshot["url"])) == (401, "TOKEN_REVOKED")


async def test_a_stream_ends_with_the_token_that_opened_it(world: World) -> None:
    token, token_id = await world.issue(subject="watcher")
    ticket = await world.ticket("live", token)
    async with asyncio.timeout(20):
        opening = world.client.stream("GET", ticket["url"])
        entering = asyncio.ensure_future(opening.__aenter__())
        await world.viewers(1)
        world.show()
        response = await entering
        stub: Any = token_service_pb2_grpc.TokenServiceStub(world.site.channel())
        await stub.RevokeToken(token_service_pb2.RevokeTokenRequest(token_id=token_id))
        with contextlib.suppress(httpx.RemoteProtocolError):
            await response.aread()
        await opening.__aexit__(None, None, None)
        await world.viewers(0)


async def test_cameras_of_others_look_like_none_on_each_route_that_shows_one(world: World) -> None:
    routes = {
        name.rpartition("/")[2] for name in LIMITED if name.startswith("dfip.camera_manager.")
    }
    assert routes == {"GetSnapshot", "StreamLive"}
    limited = bearer((await world.issue(cameras=[world.seen]))[0])
    assert (await world.snapshot(**limited)).status_code == 200
    everything = bearer((await world.issue())[0])
    for what in ("snapshot", "live"):
        answers = []
        for camera_id, headers in (
            (world.idle, limited), (NOBODY, limited), (NOBODY, everything), ("x", everything),
        ):  # fmt: skip
            response = await world.client.get(f"/cameras/{camera_id}/{what}", headers=headers)
            assert refusal(response) == (404, "CAMERA_NOT_FOUND")
            answers.append(response.json()["message"])
        assert len(set(answers)) == 1


async def test_a_camera_that_shows_nothing_says_why(world: World) -> None:
    headers = bearer((await world.issue())[0])
    for what in ("snapshot", "live"):
        response = await world.client.get(f"/cameras/{world.disabled}/{what}", headers=headers)
        assert refusal(response) == (409, "CAMERA_NOT_ENABLED")
        assert "enable it" in response.json()["message"]
        world.onlookers.miss(Trouble(reason="unauthorized", sentence="Check the credentials."))
        response = await world.client.get(f"/cameras/{world.seen}/{what}", headers=headers)
        assert refusal(response) == (503, "NO_PICTURE")
        assert response.json()["message"] == (
            "The camera shows no picture now (unauthorized). Check the credentials."
        )
        world.onlookers.miss(None)
    assert await world.audited(object_id=world.disabled, action="snapshot.get") == []


async def test_whose_worker_is_not_here_says_so(world: World) -> None:
    headers = bearer((await world.issue())[0])
    path = f"/cameras/{world.idle}/snapshot"
    assert refusal(await world.client.get(path, headers=headers)) == (503, "MANAGER_STANDS_BY")
    world.tasks.append(asyncio.create_task(world.leadership.run()))
    async with asyncio.timeout(10):
        await world.leadership.wait()
    response = await world.client.get(path, headers=headers)
    assert refusal(response) == (503, "WORKER_NOT_RUNNING")
    assert "(starting)" in response.json()["message"]


async def test_only_so_many_look_at_a_camera(world: World) -> None:
    form = Form(longest_side=320, annotated=False)
    taken = [asyncio.ensure_future(world.onlookers.snapshot(form)) for _ in range(MOST)]
    await world.viewers(MOST)
    response = await world.client.get(
        f"/cameras/{world.seen}/snapshot", headers=bearer((await world.issue())[0])
    )
    assert refusal(response) == (429, "TOO_MANY_VIEWERS")
    for one in taken:
        one.cancel()
    await asyncio.gather(*taken, return_exceptions=True)


async def test_who_does_not_read_loses_the_place(
    world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """At an edge that waits for a second in place of the contract's minute."""
    own = [method for method in edge_methods(["camera_manager"]) if method.idle_s]
    assert [(method.name, method.idle_s) for method in own] == [("StreamLive", 60)]
    hurried = [replace(method, idle_s=1) for method in own]
    monkeypatch.setattr("deploy.envoy.edge.edge_methods", lambda *_: hurried)
    token, _ = await world.issue()
    address = {"camera_manager": world.manager}
    jwks_file = world.site.settings.jwks_file
    async with (
        asyncio.timeout(30),
        running_edge(tmp_path, clusters=address, jwks_file=jwks_file) as edge,
    ):
        with socket.socket() as stalled:
            stalled.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            stalled.connect((edge.host, edge.port))
            stalled.sendall(
                f"GET /cameras/{world.seen}/live HTTP/1.1\r\nhost: dfip\r\n"
                f"authorization: Bearer {token}\r\n\r\n".encode()
            )
            await world.viewers(1)
            for _ in range(1000):  # until all buffers on the way are full, and a second more
                world.show(size=(1280, 720))
                await asyncio.sleep(0.02)
                if not world.onlookers.here:
                    break
            assert not world.onlookers.here


async def test_nobody_looks_while_it_cannot_be_written_down() -> None:
    async with open_channel("unix:/nowhere") as away:
        trail = LookRecords(audit_service_pb2_grpc.AuditServiceStub(away))
        caller = Caller(
            subject="Ada",
            role=policy_pb2.ROLE_VIEWER,
            camera_id=None,
            epoch=None,
            token_id="t",
            expires_at=datetime.now(UTC),
        )
        look = AuditedCall(
            action="snapshot.get",
            caller=caller,
            request_id="r",
            client_address="",
            objects=(),
            fields=(),
        )
        with pytest.raises(Unavailable) as caught:
            await trail.looked(look)
    assert caught.value.reason == "AUDIT_NOT_REACHED"


async def test_a_worker_that_does_not_answer_gets_a_sentence() -> None:
    pictures = WorkerPictures(StaticToken(Secret("none")))
    with pytest.raises(Unavailable) as caught:
        await pictures.snapshot("unix:/nowhere", media_service_pb2.GetSnapshotRequest())
    assert caught.value.reason == "WORKER_NOT_REACHED"
    with pytest.raises(Unavailable) as caught:
        await anext(pictures.watch("unix:/nowhere", media_service_pb2.StreamLiveRequest()))
    assert caught.value.reason == "WORKER_NOT_REACHED"
