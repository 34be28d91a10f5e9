"""Object by route by token: a token for one camera sees what is that camera's, and nothing else.

Each probe asks one RPC for what belongs to two cameras and returns whose it was shown. A probe of
one camera's thing is made for each camera; what is not there for the token has to look exactly like
what never was.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import grpc
import pytest

from dfip.control_plane.v1 import (
    control_plane_service_pb2,
    control_plane_service_pb2_grpc,
    event_service_pb2,
    event_service_pb2_grpc,
    person_service_pb2,
    person_service_pb2_grpc,
    sighting_service_pb2,
    sighting_service_pb2_grpc,
    telemetry_service_pb2,
    telemetry_service_pb2_grpc,
    token_service_pb2,
    token_service_pb2_grpc,
)
from tests.contract.test_roles import LIMITED
from tests.support.control_plane import RunningControlPlane, running_control_plane
from tests.support.refusals import refused
from tests.support.sightings import CONTEXT, Reports, report

NOBODY = "7f6c1c1e-0d0b-4a53-9d41-6f1f6a2f5c11"


class Stubs:
    """Every service of the control plane that a limited token may ask."""

    def __init__(self, channel: Any) -> None:
        self.cameras: Any = control_plane_service_pb2_grpc.ControlPlaneServiceStub(channel)
        self.events: Any = event_service_pb2_grpc.EventServiceStub(channel)
        self.sightings: Any = sighting_service_pb2_grpc.SightingServiceStub(channel)
        self.telemetry: Any = telemetry_service_pb2_grpc.TelemetryServiceStub(channel)
        self.persons: Any = person_service_pb2_grpc.PersonServiceStub(channel)
        self.tokens: Any = token_service_pb2_grpc.TokenServiceStub(channel)


class Site:
    """Two cameras, each with a worker and a sighting with a picture."""

    def __init__(
        self, running: RunningControlPlane, workers: tuple[Reports, Reports], seen: dict[str, str]
    ) -> None:
        self.running = running
        self.workers = workers
        self.sighting_of = seen
        self.own, self.other = (worker.camera_id for worker in workers)
        self.admin = Stubs(running.channel("admin"))

    async def limited(self, role: str = "operator") -> Stubs:
        """Return what a token for ``own`` alone sees."""
        request = token_service_pb2.IssueTokenRequest(role=role, cameras=[self.own])
        issued = await self.admin.tokens.IssueToken(request)
        return Stubs(self.running.channel(token=issued.data.token))

    async def see_again(self) -> None:
        """Have something happen at both cameras, and to nobody's camera."""
        await self.admin.persons.CreatePerson(person_service_pb2.CreatePersonRequest(name="Ada"))
        for worker in reversed(self.workers):
            await worker.send(report("unknown"))


@pytest.fixture
async def site(tmp_path: Path, database_engine: str) -> AsyncIterator[Site]:
    del database_engine  # chosen, for the control plane
    async with running_control_plane(tmp_path) as running:
        workers = await Reports.open(running), await Reports.open(running)
        seen = {}
        for worker in workers:
            one = report("unknown", crop=b"\xff\xd8\xffa face", context=CONTEXT)
            await worker.send(one)
            seen[worker.camera_id] = one.id
        yield Site(running, workers, seen)


Probe = Callable[[Site, Stubs], Awaitable[set[str]]]


def each(ask: Callable[[Site, Stubs, str], Awaitable[object]]) -> Probe:
    """Ask for the thing of each camera; what is not there must be NOT_FOUND."""

    async def probe(site: Site, stubs: Stubs) -> set[str]:
        shown = set()
        for camera_id in (site.own, site.other):
            try:
                await ask(site, stubs, camera_id)
            except grpc.aio.AioRpcError as error:
                assert error.code() is grpc.StatusCode.NOT_FOUND  # noqa: PT017 the others are shown
                continue
            shown.add(camera_id)
        return shown

    return probe


def of_camera(method: str, **fields: Any) -> Probe:
    async def ask(_: Site, stubs: Stubs, camera_id: str) -> None:
        message = getattr(control_plane_service_pb2, f"{method}Request")
        await getattr(stubs.cameras, method)(message(camera_id=camera_id, **fields))

    return each(ask)


async def list_cameras(_: Site, stubs: Stubs) -> set[str]:
    request = control_plane_service_pb2.ListCamerasRequest()
    return {camera.id async for camera in stubs.cameras.ListCameras(request)}


async def list_runtimes(_: Site, stubs: Stubs) -> set[str]:
    request = control_plane_service_pb2.ListCameraRuntimesRequest(page_size=1)
    shown: set[str] = set()
    while True:
        page = await stubs.cameras.ListCameraRuntimes(request)
        shown |= {camera.id for camera in page.data}
        request.page_token = page.next_page_token
        if not page.next_page_token:
            return shown


async def list_sightings(site: Site, stubs: Stubs) -> set[str]:
    shown: set[str] = set()
    for camera_id in ("", site.own, site.other):
        request = sighting_service_pb2.ListSightingsRequest(camera_id=camera_id)
        page = await stubs.sightings.ListSightings(request)
        shown |= {sighting.camera_id for sighting in page.data}
    return shown


async def get_sighting(site: Site, stubs: Stubs, camera_id: str) -> None:
    request = sighting_service_pb2.GetSightingRequest(sighting_id=site.sighting_of[camera_id])
    await stubs.sightings.GetSighting(request)


async def get_image(site: Site, stubs: Stubs, camera_id: str) -> None:
    sighting_id = site.sighting_of[camera_id]
    request = sighting_service_pb2.GetSightingImageRequest(sighting_id=sighting_id)
    assert (await stubs.sightings.GetSightingImage(request)).data


async def get_context(site: Site, stubs: Stubs, camera_id: str) -> None:
    sighting_id = site.sighting_of[camera_id]
    request = sighting_service_pb2.GetSightingContextRequest(sighting_id=sighting_id)
    assert (await stubs.sightings.GetSightingContext(request)).data == CONTEXT


async def query_telemetry(_: Site, stubs: Stubs, camera_id: str) -> None:
    request = telemetry_service_pb2.QueryTelemetryRequest(camera_id=camera_id)
    await stubs.telemetry.QueryTelemetry(request)


def ticket_for(purpose: str, object_of: Callable[[Site, str], str]) -> Probe:
    async def ask(site: Site, stubs: Stubs, camera_id: str) -> None:
        request = token_service_pb2.IssueMediaTicketRequest(
            purpose=purpose, object_id=object_of(site, camera_id)
        )
        assert (await stubs.tokens.IssueMediaTicket(request)).data.ticket

    return each(ask)


async def issue_tickets(site: Site, stubs: Stubs) -> set[str]:
    pictures = await ticket_for("sighting_image", lambda at, one: at.sighting_of[one])(site, stubs)
    assert pictures == await ticket_for("events", lambda _, one: one)(site, stubs)
    return pictures


async def watch_sightings(site: Site, stubs: Stubs) -> set[str]:
    shown: set[str] = set()
    stream = stubs.sightings.WatchSightings(sighting_service_pb2.WatchSightingsRequest())
    await stream.read()  # the checkpoint: from here on
    await site.see_again()
    while site.own not in shown:  # the other camera's came before
        shown |= {sighting.camera_id for sighting in (await stream.read()).sightings}
    stream.cancel()
    return shown


async def watch_events(site: Site, stubs: Stubs) -> set[str]:
    shown: set[str] = set()
    stream = stubs.events.WatchEvents(event_service_pb2.WatchEventsRequest())
    await stream.read()
    await site.see_again()
    while site.own not in shown:
        answer = await stream.read()
        if answer.HasField("event"):
            shown.add(answer.event.camera_id or "nobody's")
    stream.cancel()
    return shown - {"nobody's"} if stubs is site.admin else shown


async def stream_events(site: Site, stubs: Stubs) -> set[str]:
    stream = stubs.events.StreamEvents(event_service_pb2.StreamEventsRequest())
    await stream.read()  # the position
    await site.see_again()
    text = ""
    while site.own not in text:
        text += (await stream.read()).data.decode()
    stream.cancel()
    if stubs is not site.admin:
        assert "person.created" not in text
    return {camera_id for camera_id in (site.own, site.other) if camera_id in text}


PROBES: dict[str, Probe] = {
    "ControlPlaneService/ListCameras": list_cameras,
    "ControlPlaneService/GetCamera": of_camera("GetCamera"),
    "ControlPlaneService/UpdateCamera": of_camera("UpdateCamera", name="yard"),
    "ControlPlaneService/SetCameraStatus": of_camera("SetCameraStatus", status="enabled"),
    "ControlPlaneService/ListCameraRuntimes": list_runtimes,
    "ControlPlaneService/RetryCamera": of_camera("RetryCamera"),
    "EventService/StreamEvents": stream_events,
    "EventService/WatchEvents": watch_events,
    "SightingService/ListSightings": list_sightings,
    "SightingService/GetSighting": each(get_sighting),
    "SightingService/GetSightingImage": each(get_image),
    "SightingService/GetSightingContext": each(get_context),
    "SightingService/WatchSightings": watch_sightings,
    "TelemetryService/QueryTelemetry": each(query_telemetry),
    "TokenService/IssueMediaTicket": issue_tickets,
}


def test_every_route_that_a_limited_token_may_take_is_walked() -> None:
    own = {name for name in LIMITED if name.startswith("dfip.control_plane.")}
    assert {name.rpartition(".")[2] for name in own} == PROBES.keys()


async def test_a_limited_token_sees_its_own_camera_alone(
    site: Site, subtests: pytest.Subtests
) -> None:
    limited = await site.limited()
    for name, probe in PROBES.items():
        with subtests.test(name):
            async with asyncio.timeout(20):
                assert await probe(site, site.admin) == {site.own, site.other}
                assert await probe(site, limited) == {site.own}


async def test_what_is_not_there_for_a_token_looks_like_what_never_was(site: Site) -> None:
    stubs = await site.limited("viewer")
    get_camera = control_plane_service_pb2.GetCameraRequest
    sentences = []
    for camera_id in (site.other, NOBODY):
        with refused(grpc.StatusCode.NOT_FOUND, "CAMERA_NOT_FOUND") as answer:
            await stubs.cameras.GetCamera(get_camera(camera_id=camera_id))
        sentences.append(answer.sentence)
    assert sentences[0] == sentences[1]
    for sighting_id in (site.sighting_of[site.other], NOBODY):
        request = sighting_service_pb2.GetSightingImageRequest(sighting_id=sighting_id)
        with refused(grpc.StatusCode.NOT_FOUND, "SIGHTING_NOT_FOUND") as answer:
            await stubs.sightings.GetSightingImage(request)
        sentences.append(answer.sentence)
    assert sentences[2] == sentences[3]


async def test_what_belongs_to_no_camera_is_refused(site: Site) -> None:
    stubs = await site.limited()
    with refused(grpc.StatusCode.PERMISSION_DENIED, "TOKEN_LIMITED_TO_CAMERAS"):
        await stubs.persons.ListPersons(person_service_pb2.ListPersonsRequest())
    with refused(grpc.StatusCode.PERMISSION_DENIED, "TOKEN_LIMITED_TO_CAMERAS"):
        await stubs.cameras.CreateCamera(
            control_plane_service_pb2.CreateCameraRequest(name="mine", connection_string="rtsp://x")
        )


@pytest.mark.parametrize(
    ("role", "cameras", "code"),
    [
        ("admin", "own", grpc.StatusCode.INVALID_ARGUMENT),
        ("viewer", NOBODY, grpc.StatusCode.NOT_FOUND),
        ("viewer", "no id", grpc.StatusCode.NOT_FOUND),
    ],
)
async def test_only_cameras_that_exist_limit_only_whom_they_can(
    site: Site, role: str, cameras: str, code: grpc.StatusCode
) -> None:
    wanted = [site.own if cameras == "own" else cameras]
    request = token_service_pb2.IssueTokenRequest(role=role, cameras=wanted)
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await site.admin.tokens.IssueToken(request)
    assert caught.value.code() is code
