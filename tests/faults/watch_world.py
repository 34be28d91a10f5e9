"""Cameras that change, clients that watch them over gRPC, and the model of what each must see.

A watcher of events must have seen the database's events, each once, in their order, from its first
checkpoint on, however often it was cut off; folded over the list of cameras they give the cameras
as they are. A watcher of cameras must end with the cameras as they are.
"""

import asyncio
import contextlib
import json
import random
from collections import Counter
from collections.abc import AsyncIterator
from typing import Any, Final

import grpc
from sqlalchemy import select

from control_plane.events.tables import EventRow
from dfip.control_plane.v1 import control_plane_service_pb2 as pb
from dfip.control_plane.v1 import event_service_pb2 as events_pb
from dfip.control_plane.v1.control_plane_service_pb2_grpc import ControlPlaneServiceStub
from dfip.control_plane.v1.event_service_pb2_grpc import EventServiceStub
from service_runtime.clients import StaticToken, open_channel
from service_runtime.identifiers import new_id
from service_runtime.resume_tokens import ResumeToken
from tests.support.control_plane import RunningControlPlane
from tests.support.virtual_clock import VirtualClock

PATIENCE_S: Final = 30
_LONG_S: Final = 30 * 24 * 3600.0  # the world's clock runs fast while checkpoints are called for
RTSP = "rtsp://camera.example/"
TYPED, SSE, CAMERAS = "typed", "sse", "cameras"
_COMES_BACK = {
    grpc.StatusCode.UNAVAILABLE,
    grpc.StatusCode.RESOURCE_EXHAUSTED,
    grpc.StatusCode.UNAUTHENTICATED,
    grpc.StatusCode.CANCELLED,
}


class Follower:
    """One client that watches, and comes back with its last token whenever it is cut off."""

    def __init__(self, world: "WatchWorld", kind: str, number: int) -> None:
        self._world = world
        self.kind = kind
        self._number = number
        self.token = ""
        self.start: ResumeToken | None = None
        self.seen: list[int] = []
        self.cameras: dict[str, str] = {}
        self.resumes = 0
        self.lifetime_s = _LONG_S
        self.through = ""  # an address to go by instead of the control plane's own
        self._call: Any = None
        self._progress = asyncio.Event()

    @property
    def replica(self) -> RunningControlPlane:
        return self._world.replicas[self._number % len(self._world.replicas)]

    def cut(self) -> None:
        """End the present call, as a client that was away does."""
        if self._call is not None:
            self._call.cancel()

    async def run(self) -> None:
        """Watch for ever."""
        while True:
            await self._world.up.wait()
            role = "manager" if self.kind == CAMERAS else "viewer"
            token = self.replica.token(role, lifetime_s=self.lifetime_s)
            channel = open_channel(self.through or self.replica.target, token=StaticToken(token))
            try:
                self.resumes += bool(self.token)
                await self._watch(channel)
            except grpc.aio.AioRpcError as error:
                if error.code() is grpc.StatusCode.OUT_OF_RANGE:
                    self.token = ""
                elif error.code() not in _COMES_BACK:
                    raise
            except asyncio.CancelledError:
                if self._call is None or not self._call.cancelled():
                    raise
                if (task := asyncio.current_task()) is not None and task.cancelling():
                    raise
            finally:
                await channel.close()
            await asyncio.sleep(0.01)  # nothing tells when the server is back

    async def _watch(self, channel: Any) -> None:
        if self.kind == CAMERAS:
            await self._watch_cameras(channel)
            return
        async for token, event in self._events(channel):
            place = ResumeToken.decode(token)
            if not self.token:
                # the state is read after the checkpoint, so that no change is between the two
                self.start, self.seen = place, []
                self.cameras = await self._world.listed(self.replica)
            self.token = token
            if event is not None:
                self.seen.append(place.sequence)
                camera = event.get("camera") or {}
                if event["type"] == "camera.deleted":
                    self.cameras.pop(event["camera_id"], None)
                elif event["type"].startswith("camera."):
                    self.cameras[event["camera_id"]] = camera["desired_state"]
            self._progress.set()

    async def _watch_cameras(self, channel: Any) -> None:
        request = pb.WatchCamerasRequest(resume_token=self.token)
        if not self.token:
            self.cameras = {}
        self._call = ControlPlaneServiceStub(channel).WatchCameras(request)
        async for message in self._call:
            for state in message.cameras:
                self.cameras[state.camera_id] = state.desired_state
            for gone in message.removed_camera_ids:
                self.cameras.pop(gone, None)
            if message.snapshot_complete:
                self.token = message.resume_token
            self._progress.set()

    async def _events(self, channel: Any) -> AsyncIterator[tuple[str, dict[str, Any] | None]]:
        stub = EventServiceStub(channel)
        if self.kind == TYPED:
            self._call = stub.WatchEvents(events_pb.WatchEventsRequest(resume_token=self.token))
            async for message in self._call:
                event = message.event
                told = {
                    "type": event.type,
                    "camera_id": event.camera_id,
                    "camera": {"desired_state": event.camera.desired_state},
                }
                yield message.resume_token, told if message.HasField("event") else None
            return
        metadata = [("last-event-id", self.token)] if self.token else None
        self._call = stub.StreamEvents(events_pb.StreamEventsRequest(), metadata=metadata)
        async for chunk in self._call:
            for block in chunk.data.decode().split("\n\n"):
                lines = dict(line.partition(": ")[::2] for line in block.splitlines())
                if "id" in lines:
                    yield lines["id"], json.loads(lines["data"]) if "data" in lines else None

    async def until(self, camera_id: str) -> None:
        """Wait until it knows of a camera.

        Raises:
            AssertionError: It never did.
        """
        try:
            async with asyncio.timeout(PATIENCE_S):
                while camera_id not in self.cameras:
                    self._progress.clear()
                    await self._progress.wait()
        except TimeoutError:
            raise AssertionError(f"a watcher ({self.kind}) was never told of a change") from None


class WatchWorld:
    """Control planes on one database, cameras and watchers."""

    def __init__(
        self,
        replicas: list[RunningControlPlane],
        *,
        clock: VirtualClock,
        dice: random.Random,
    ) -> None:
        self.replicas = replicas
        self.clock = clock
        self.dice = dice
        self.up = asyncio.Event()
        self.up.set()
        self.followers = [
            Follower(self, kind, number)
            for number in range(len(replicas))
            for kind in (TYPED, SSE, CAMERAS)
        ]
        self.figures: Counter[str] = Counter()
        self.history: list[tuple[int, str]] = []
        self._tasks: list[asyncio.Task[None]] = []
        self._channels: dict[tuple[str, str], Any] = {}
        self.ids: list[str] = []

    async def start(self) -> None:
        """Let the watchers watch."""
        self._tasks = [asyncio.create_task(follower.run()) for follower in self.followers]
        await self.check()

    async def stop(self) -> None:
        """End the watchers."""
        for task in self._tasks:
            task.cancel()
        if self._tasks:
            await asyncio.wait(self._tasks)

    def channel(self, replica: RunningControlPlane, role: str) -> Any:
        """Return a channel to a replica; the same one each time."""
        key = (replica.target, role)
        if key not in self._channels:
            token = replica.token(role, lifetime_s=_LONG_S)
            self._channels[key] = replica.channel(token=token.reveal())
        return self._channels[key]

    def admin(self) -> Any:
        """Return a stub of some replica."""
        return ControlPlaneServiceStub(self.channel(self.dice.choice(self.replicas), "admin"))

    async def create(self) -> str:
        """Register a camera."""
        request = pb.CreateCameraRequest(name=new_id(), connection_string=RTSP)
        camera_id = str((await self.admin().CreateCamera(request)).data.id)
        self.ids.append(camera_id)
        self.figures["changes"] += 1
        return camera_id

    async def delete(self, camera_id: str) -> None:
        """Remove a camera."""
        self.ids.remove(camera_id)
        await self.admin().DeleteCamera(pb.DeleteCameraRequest(camera_id=camera_id))
        self.figures["changes"] += 1

    async def some_changes(self, count: int) -> None:
        """Register, start, stop and remove cameras."""
        admin = self.admin()
        for _ in range(count):
            what = self.dice.random()
            if what < 0.3 or len(self.ids) < 3:
                await self.create()
            elif what < 0.4:
                await self.delete(self.dice.choice(self.ids))
            else:
                request = pb.SetCameraStatusRequest(
                    camera_id=self.dice.choice(self.ids),
                    status=self.dice.choice(("enabled", "disabled")),
                )
                await admin.SetCameraStatus(request)
                self.figures["changes"] += 1

    async def listed(self, replica: RunningControlPlane) -> dict[str, str]:
        """Return the cameras as they are."""
        stub = ControlPlaneServiceStub(self.channel(replica, "viewer"))
        return {
            camera.id: camera.desired_state
            async for camera in stub.ListCameras(pb.ListCamerasRequest())
        }

    async def head(self) -> ResumeToken:
        """Return where the feed stands."""
        control_plane = self.replicas[0].control_plane
        async with control_plane.parts.database.read() as session:
            return await control_plane.parts.feed.head(session)

    async def note_history(self) -> None:
        """Note the order that the database has, before anything removes a part of it."""
        last = self.history[-1][0] if self.history else 0
        async with self.replicas[0].control_plane.parts.database.read() as session:
            query = select(EventRow.sequence, EventRow.type)
            query = query.where(EventRow.sequence > last).order_by(EventRow.sequence)
            self.history += [(row.sequence, row.type) for row in await session.execute(query)]

    def public(self, after: int, until: int) -> list[int]:
        """Return the numbers of the events between two places that clients see."""
        return [
            sequence
            for sequence, kind in self.history
            if after < sequence <= until and not kind.startswith("internal.")
        ]

    async def check(self) -> None:
        """Let the watchers see everything, then hold all against the model."""
        marker = await self.create()
        for follower in self.followers:
            await follower.until(marker)
        await self.note_history()
        listed = await self.listed(self.replicas[0])
        for follower in self.followers:
            if follower.kind != CAMERAS and follower.start is not None:
                wanted = self.public(follower.start.sequence, self.history[-1][0])
                missed = set(wanted) - set(follower.seen)
                self.figures["missed"] += len(missed)
                assert not missed, f"a watcher ({follower.kind}) missed {len(missed)} events"
                assert follower.seen == wanted, "events came twice or out of order"
            if follower.cameras != listed:
                self.figures["states_unlike_the_database"] += 1
            assert follower.cameras == listed, f"a state ({follower.kind}) is not the database's"

    async def read_on(self, token: str, until: int, **asked: Any) -> list[int]:
        """Resume with a token at some replica and return the numbers up to a place."""
        replica = self.dice.choice(self.replicas)
        stub = EventServiceStub(self.channel(replica, "viewer"))
        call = stub.WatchEvents(events_pb.WatchEventsRequest(resume_token=token, **asked))
        seen: list[int] = []
        self.figures["resumes"] += 1
        try:
            async with asyncio.timeout(PATIENCE_S):
                async for message in call:
                    place = ResumeToken.decode(message.resume_token).sequence
                    if message.HasField("event"):
                        seen.append(place)
                    if place >= until:
                        break
        except TimeoutError:
            raise AssertionError("who resumed was never told of the last event") from None
        call.cancel()
        with contextlib.suppress(grpc.aio.AioRpcError, asyncio.CancelledError):
            await call.code()
        return seen
