"""A site behind its edge, everybody who asks there, and the model of who may what.

Each attempt says who is let in by right. It is made at every door there is: as REST and as gRPC
through the edge, and at the service's own address. What an intruder sends carries a mark, and
whatever was answered, the mark must be nowhere in what the site holds afterwards.
"""

import random
from collections import Counter
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import grpc

from deploy.envoy.token_check import TokenIssuer
from dfip.control_plane.v1 import (
    control_plane_service_pb2,
    person_service_pb2,
    telemetry_service_pb2,
    token_service_pb2,
)
from dfip.control_plane.v1.control_plane_service_pb2_grpc import ControlPlaneServiceStub
from dfip.control_plane.v1.person_service_pb2_grpc import PersonServiceStub
from dfip.control_plane.v1.telemetry_service_pb2_grpc import TelemetryServiceStub
from dfip.control_plane.v1.token_service_pb2_grpc import TokenServiceStub
from service_runtime.clock import SystemClock
from tests.support.control_plane import RunningControlPlane
from tests.support.doors import Answer, Doors, Headers
from tests.support.edge import RunningEdge, running_edge
from tests.support.identity_provider import TestProvider
from tests.support.people import running_people_site
from tests.support.telemetry import stamp
from tests.support.tokens import TestAuthority

ROOM = "dfip.control_plane.v1."
MARK = "intruder"
MARKED_OCCUPANCY = 666
NOT_LET_IN = {grpc.StatusCode.UNAUTHENTICATED, grpc.StatusCode.PERMISSION_DENIED}
SPOOFED = (
    ("x-dfip-role", "admin"), ("x-dfip-subject", "root"), ("x-dfip-client-address", "127.0.0.1"),
    ("x-forwarded-user", "root"), ("x-forwarded-client-cert", "Subject=admin"),
    ("x-forwarded-for", "127.0.0.1"), ("x-jwt-payload", "eyJyb2xlIjoiYWRtaW4ifQ"),
    ("x-auth-request-user", "root"), ("x-envoy-internal", "true"), ("x-real-ip", "127.0.0.1"),
)  # fmt: skip


class SetClock(SystemClock):
    """The machine's clock, which somebody sets."""

    def __init__(self) -> None:
        self.shift = timedelta()

    def now(self) -> datetime:
        return super().now() + self.shift


@dataclass(slots=True, kw_only=True)
class Camera:
    """A camera, and the token of the worker that has it."""

    id: str
    token: str = ""
    epoch: int = 0


@dataclass(slots=True, kw_only=True)
class World:
    """A site and what was tried there. ``figures`` counts; ``cells`` are attempts at a door."""

    site: RunningControlPlane
    edge: RunningEdge
    doors: Doors
    clock: SetClock
    provider: TestProvider
    dice: random.Random
    folder: Path
    thorough: bool
    cameras: list[Camera] = field(default_factory=list)
    figures: Counter[str] = field(default_factory=Counter)

    @property
    def authority(self) -> TestAuthority:
        """Signs with the site's own key what the site would never say."""
        site = self.site
        return TestAuthority.with_key_of(site.control_plane.parts.issuer, site.settings.jwks_file)

    @property
    def tokens(self) -> Any:
        return TokenServiceStub(self.site.channel())

    def token(self, role: str, **more: Any) -> str:
        return self.site.token(role, **more).reveal()

    def pick(self) -> Camera:
        return self.dice.choice(self.cameras)

    async def new_camera(self) -> Camera:
        request = control_plane_service_pb2.CreateCameraRequest(
            name=f"camera {len(self.cameras)}", connection_string="rtsp://c/",
            desired_state="running",
        )  # fmt: skip
        created = await ControlPlaneServiceStub(self.site.channel()).CreateCamera(request)
        camera = Camera(id=created.data.id)
        self.cameras.append(camera)
        await self.new_worker(camera)
        return camera

    async def new_worker(self, camera: Camera) -> None:
        """Give a camera to another worker."""
        issued = await ControlPlaneServiceStub(self.site.channel("manager")).IssueWorkerToken(
            control_plane_service_pb2.IssueWorkerTokenRequest(camera_id=camera.id)
        )
        camera.token, camera.epoch = issued.token, issued.epoch

    def intrusions(self) -> Sequence[tuple[str, Mapping[str, Any]]]:
        """Return what somebody tries who may do nothing: look, change, make, end."""
        camera_id = self.pick().id
        return (
            (f"{ROOM}ControlPlaneService/GetCamera", {"camera_id": camera_id}),
            (f"{ROOM}ControlPlaneService/DeleteCamera", {"camera_id": camera_id}),
            (f"{ROOM}ControlPlaneService/UpdateCamera", {"camera_id": camera_id, "name": MARK}),
            (f"{ROOM}PersonService/CreatePerson", {"name": MARK}),
            (f"{ROOM}TokenService/IssueToken", {"role": "admin", "subject": MARK}),
            (f"{ROOM}AdminService/RotateKeys", {"which": "signing"}),
            *self.reports(camera_id),
        )

    def reports(self, camera_id: str) -> Sequence[tuple[str, Mapping[str, Any]]]:
        """Return what a worker would say of a camera."""
        now = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        beat = {"camera_id": camera_id, "status": "failed", "healthInfo": {"by": MARK}}
        sample = {"camera_id": camera_id, "timestamp": now, "occupancy": MARKED_OCCUPANCY}
        return (
            (f"{ROOM}ControlPlaneService/ReportHeartbeat", beat),
            (f"{ROOM}TelemetryService/ReportTelemetry", sample),
        )

    async def at_every_door(
        self, rpc: str, fields: Mapping[str, Any], headers: Headers
    ) -> dict[str, Answer]:
        """Ask at every door; counts the cells."""
        answers = {
            "REST": await self.doors.rest(rpc, fields, headers),
            "gRPC": await self.doors.grpc(rpc, fields, headers),
            "straight": await self.doors.straight(rpc, fields, headers),
        }
        self.figures["cells"] += len(answers)
        return answers

    async def kept_out(
        self,
        rpc: str,
        fields: Mapping[str, Any],
        headers: Headers,
        *,
        by: frozenset[str] | set[str] | None = None,
    ) -> None:
        """Hold that nobody gets in with these headers, at any door.

        Args:
            rpc: What is asked for.
            fields: Its request.
            headers: All headers.
            by: Reasons that keep out beside those of tokens and roles.
        """
        for door, answer in (await self.at_every_door(rpc, fields, headers)).items():
            if answer.code in NOT_LET_IN or (by is not None and answer.reason in by):
                continue
            self.figures["unexpected_allows"] += 1
            raise AssertionError(f"let in: {rpc} at the door {door}: {answer.code} {answer.text}")

    async def let_in(self, rpc: str, fields: Mapping[str, Any], headers: Headers) -> None:
        """Hold that everybody gets in with these headers, so that a closed door proves nothing."""
        for door, answer in (await self.at_every_door(rpc, fields, headers)).items():
            if answer.code is not grpc.StatusCode.OK:
                self.figures["unexpected_refusals"] += 1
                raise AssertionError(f"kept out: {rpc} at {door}: {answer.code} {answer.text}")

    async def check(self) -> None:
        """Hold that nothing an intruder sent is there, and that who may gets in."""
        admin = self.site.channel()
        cameras = ControlPlaneServiceStub(admin)
        listed = await cameras.ListCameraRuntimes(
            control_plane_service_pb2.ListCameraRuntimesRequest(page_size=1000)
        )
        people = await PersonServiceStub(admin).ListPersons(person_service_pb2.ListPersonsRequest())
        tokens = await TokenServiceStub(admin).ListTokens(
            token_service_pb2.ListTokensRequest(subject=MARK)
        )
        assert {camera.id for camera in self.cameras} <= {camera.id for camera in listed.data}
        assert MARK not in f"{listed} {people} {tokens}", "an intruder's mark is there"
        for camera in self.cameras:
            await self._no_marked_sample(camera, admin)
        own = self.pick()
        beat = {"camera_id": own.id, "status": "running"}
        rpc = f"{ROOM}ControlPlaneService/ReportHeartbeat"
        await self.let_in(rpc, beat, bearer(own.token))
        await self.let_in(
            f"{ROOM}ControlPlaneService/GetCamera",
            {"camera_id": own.id},
            bearer(self.token("viewer")),
        )

    async def _no_marked_sample(self, camera: Camera, admin: Any) -> None:
        now = datetime.now(UTC)
        answer = await TelemetryServiceStub(admin).QueryTelemetry(
            telemetry_service_pb2.QueryTelemetryRequest(
                camera_id=camera.id,
                since=stamp(now - timedelta(hours=1)),
                until=stamp(now + timedelta(hours=1)),
            )
        )
        most = max((bucket.occupancy_max for bucket in answer.data), default=0)
        assert most < MARKED_OCCUPANCY, "an intruder's telemetry is there"


def bearer(token: str) -> Headers:
    """Return the header of a token."""
    return (("authorization", f"Bearer {token}"),)


@asynccontextmanager
async def running_world(
    folder: Path, *, dice: random.Random, thorough: bool
) -> AsyncIterator[World]:
    """Run a control plane, an index and an identity provider's keys behind an edge."""
    folder.mkdir(parents=True, exist_ok=True)  # noqa: ASYNC240 - once, at the start
    provider, clock = TestProvider(folder), SetClock()
    told = provider.settings()
    issuer = TokenIssuer(issuer=told.issuer, audiences=[told.audience], jwks_file=told.jwks_file)
    async with (
        running_people_site(
            folder,
            clock,
            idp_issuer=told.issuer,
            idp_audience=told.audience,
            idp_jwks_file=told.jwks_file,
            idp_algorithm=told.algorithm,
        ) as people,
        running_edge(
            folder,
            clusters={
                "control_plane": people.site.target,
                "identity_index": people.site.settings.index_target,
            },
            identity_provider=issuer,
        ) as edge,
    ):
        world = World(
            site=people.site,
            edge=edge,
            doors=Doors(edge=edge, target=people.site.target),
            clock=clock,
            provider=provider,
            dice=dice,
            folder=folder,
            thorough=thorough,
        )
        for _ in range(3):
            await world.new_camera()
        try:
            yield world
        finally:
            await world.doors.close()
        assert not people.site.stopping, "a root task of the control plane crashed"
