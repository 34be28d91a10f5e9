"""What `dfip camera …` does."""

import uuid
from collections.abc import Sequence
from pathlib import Path

import grpc

from cli.client.access import Access, connected
from cli.client.lookup import camera_id_of
from cli.client.times import full_time, short_time
from cli.client.watching import ChangingLists, Section, news
from cli.output import Column, Output
from cli.talk import Talk
from dfip.control_plane.v1 import (
    camera_pb2,
    control_plane_service_pb2,
    control_plane_service_pb2_grpc,
    runtime_pb2,
)
from service_runtime.clock import Clock

_NO_CAMERA = "There is no camera yet; register one with `dfip camera add NAME URL --start`."

CAMERA: tuple[Column[camera_pb2.Camera], ...] = (
    Column(title="id", value=lambda c: c.id),
    Column(title="name", value=lambda c: c.name),
    Column(title="wanted", value=lambda c: c.desired_state),
    Column(title="location", value=lambda c: c.location),
)

CAMERA_WITH_RUNTIME: tuple[Column[runtime_pb2.CameraWithRuntime], ...] = (
    Column(title="id", value=lambda c: c.id, aside=True),
    Column(title="name", value=lambda c: c.name),
    Column(title="wanted", value=lambda c: c.desired_state),
    Column(title="worker", value=lambda c: c.runtime.worker_status or "stopped"),
    Column(title="health", value=lambda c: c.runtime.health_status or "unknown"),
    Column(
        title="reason",
        value=lambda c: c.runtime.failure_reason or "none",
        shown=lambda c: c.runtime.failure_reason.removeprefix("none"),
    ),
    Column(
        title="next try",
        value=lambda c: full_time(c.runtime.next_retry_at),
        shown=lambda c: short_time(c.runtime.next_retry_at),
    ),
    Column(
        title="last contact",
        restless=True,
        value=lambda c: full_time(c.runtime.last_contact),
        shown=lambda c: short_time(c.runtime.last_contact),
    ),
    Column(title="location", value=lambda c: c.location, aside=True),
)


async def add_camera(
    access: Access,
    output: Output,
    *,
    name: str,
    connection_string: str,
    location: str,
    description: str,
    start: bool,
) -> None:
    """Register a camera and print it."""
    async with connected(access) as channel:
        stub = control_plane_service_pb2_grpc.ControlPlaneServiceStub(channel)
        answer = await stub.CreateCamera(
            control_plane_service_pb2.CreateCameraRequest(
                name=name,
                connection_string=connection_string,
                location=location,
                description=description,
                desired_state="running" if start else "stopped",
                request_id=str(uuid.uuid4()),
            )
        )
    output.record(answer.data, CAMERA)


async def list_cameras(access: Access, output: Output, talk: Talk) -> None:
    """Print every camera with what is observed of it."""
    async with connected(access) as channel:
        cameras = await _with_runtimes(channel)
    output.listing(cameras, CAMERA_WITH_RUNTIME, empty=_NO_CAMERA)
    if not output.as_json:
        explain_trouble(talk, cameras)


async def watch_cameras(access: Access, output: Output, talk: Talk, clock: Clock) -> None:
    """Print the cameras, and again what changes, for ever."""
    lists = ChangingLists(output)
    async with connected(access) as channel:
        async for cameras in news(channel, lambda: _with_runtimes(channel), talk, clock):
            lists.show(Section(items=cameras, columns=CAMERA_WITH_RUNTIME, empty=_NO_CAMERA))


async def _with_runtimes(channel: grpc.aio.Channel) -> list[runtime_pb2.CameraWithRuntime]:
    stub = control_plane_service_pb2_grpc.ControlPlaneServiceStub(channel)
    answer = await stub.ListCameraRuntimes(control_plane_service_pb2.ListCameraRuntimesRequest())
    return list(answer.data)


async def set_camera_status(access: Access, output: Output, *, camera: str, status: str) -> None:
    """Enable or disable a camera and print it."""
    async with connected(access) as channel:
        stub = control_plane_service_pb2_grpc.ControlPlaneServiceStub(channel)
        answer = await stub.SetCameraStatus(
            control_plane_service_pb2.SetCameraStatusRequest(
                camera_id=await camera_id_of(channel, camera), status=status
            )
        )
    output.record(answer.data, CAMERA)


async def remove_camera(access: Access, output: Output, talk: Talk, *, camera: str) -> None:
    """Remove a camera with its sightings."""
    async with connected(access) as channel:
        stub = control_plane_service_pb2_grpc.ControlPlaneServiceStub(channel)
        camera_id = await camera_id_of(channel, camera)
        await stub.DeleteCamera(control_plane_service_pb2.DeleteCameraRequest(camera_id=camera_id))
    if output.as_json:
        output.text("", {"camera_id": camera_id})
    else:
        talk.say(f"Camera {camera} is removed, with its sightings.")


def explain_trouble(talk: Talk, cameras: Sequence[runtime_pb2.CameraWithRuntime]) -> None:
    """Say what the reason of each camera in trouble means and what to do about it."""
    for camera in cameras:
        if camera.runtime.failure_message:
            talk.say(f"{camera.name}: {camera.runtime.failure_message}", "warning")


def url_of(source: str) -> str:
    """Return the URL of a source: a path becomes a `file://` URL, everything else stays."""
    return source if "://" in source else Path(source).expanduser().resolve().as_uri()
