"""What `dfip status` does: how the services, the workers and the cameras are, at one glance."""

import asyncio
from collections.abc import Awaitable, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

import grpc

from cli.client.access import Access, connected
from cli.client.cameras import CAMERA_WITH_RUNTIME, explain_trouble
from cli.client.rpc_failures import command_failure
from cli.client.times import full_time, short_time
from cli.client.watching import ChangingLists, Section, news
from cli.failures import CommandFailed, ExitCode
from cli.output import Column, Output, to_json
from cli.talk import Talk
from dfip.camera_manager.v1 import manager_service_pb2, manager_service_pb2_grpc
from dfip.control_plane.v1 import (
    control_plane_service_pb2,
    control_plane_service_pb2_grpc,
    runtime_pb2,
)
from dfip.identity_index.v1 import identity_index_service_pb2, identity_index_service_pb2_grpc
from service_runtime.clock import Clock

T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class ServiceState:
    """How one service is: `serving`, `away` or `closed` to this caller; what it says of itself."""

    name: str
    state: str
    detail: str


SERVICE: tuple[Column[ServiceState], ...] = (
    Column(title="service", value=lambda s: s.name),
    Column(title="state", value=lambda s: s.state),
    Column(title="detail", value=lambda s: s.detail),
)


def worker_columns(names: Mapping[str, str]) -> tuple[Column[manager_service_pb2.Worker], ...]:
    """Return how workers are shown; `names` has the name of each camera by its id."""
    return (
        Column(title="worker", value=lambda w: w.podName),
        Column(
            title="camera",
            value=lambda w: w.camera_id,
            shown=lambda w: names.get(w.camera_id, w.camera_id),
        ),
        Column(
            title="since",
            value=lambda w: full_time(w.createdAt),
            shown=lambda w: short_time(w.createdAt),
        ),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class SiteState:
    """All that can be seen of a site, and why the rest cannot."""

    services: list[ServiceState]
    workers: list[manager_service_pb2.Worker]
    cameras: list[runtime_pb2.CameraWithRuntime]
    failures: list[CommandFailed]


async def show_status(access: Access, output: Output, talk: Talk) -> None:
    """Print the state of everything.

    Raises:
        CommandFailed: a service is away; all that could be seen is printed before.
    """
    async with connected(access) as channel:
        state = await read_status(channel, access)
    failures = state.failures
    if len(failures) == 3 and not output.as_json and len({f.sentence for f in failures}) == 1:
        raise failures[0]  # nothing could be seen, and one sentence says why
    _print(output, talk, state)
    if failures:
        raise failures[0] if len(failures) == 1 else _one_of(failures)


async def watch_status(access: Access, output: Output, talk: Talk, clock: Clock) -> None:
    """Print the state of everything, and again what changes, for ever."""
    lists = ChangingLists(output)
    async with connected(access) as channel:
        async for state in news(channel, lambda: read_status(channel, access), talk, clock):
            names = {camera.id: camera.name for camera in state.cameras}
            lists.show(
                Section(items=state.services, columns=SERVICE, empty=""),
                Section(
                    items=state.workers, columns=worker_columns(names), empty="No worker runs."
                ),
                Section(
                    items=state.cameras, columns=CAMERA_WITH_RUNTIME, empty="There is no camera."
                ),
            )


async def read_status(channel: grpc.aio.Channel, access: Access) -> SiteState:
    """Ask every service how it is."""
    control = control_plane_service_pb2_grpc.ControlPlaneServiceStub(channel)
    manager = manager_service_pb2_grpc.ManagerServiceStub(channel)
    index = identity_index_service_pb2_grpc.IdentityIndexServiceStub(channel)
    cameras, workers, gallery = await asyncio.gather(
        _ask(
            control.ListCameraRuntimes(control_plane_service_pb2.ListCameraRuntimesRequest()),
            access,
        ),
        _ask(manager.GetManagerStatus(manager_service_pb2.GetManagerStatusRequest()), access),
        _ask(index.GetIndexStatus(identity_index_service_pb2.GetIndexStatusRequest()), access),
    )
    services = [
        _state("control_plane", cameras, lambda a: _count(len(a.data), "camera")),
        _state("camera_manager", workers, lambda a: _count(a.data.worker_count, "worker")),
        _state(
            "identity_index",
            gallery,
            lambda a: (
                f"{_count(a.data.persons, 'person', 'people')}, {_count(a.data.faces, 'face')}, "
                f"pack {a.data.pack_id}, "
                f"{a.data.engine} on {a.data.accelerator}"
            ),
        ),
    ]
    return SiteState(
        services=services,
        workers=[] if isinstance(workers, CommandFailed) else list(workers.data.workers),
        cameras=[] if isinstance(cameras, CommandFailed) else list(cameras.data),
        failures=[a for a in (cameras, workers, gallery) if isinstance(a, CommandFailed)],
    )


def _one_of(failures: list[CommandFailed]) -> CommandFailed:
    """Return what tells most: all the same sentence, or that it is not one alone."""
    first = failures[0]
    if any(failure.sentence != first.sentence for failure in failures):
        return CommandFailed("Several services are away; see above.", code=ExitCode.UNAVAILABLE)
    return first


def _print(output: Output, talk: Talk, state: SiteState) -> None:
    if output.as_json:
        output.text(
            "",
            {
                "services": [to_json(service) for service in state.services],
                "workers": [to_json(worker) for worker in state.workers],
                "cameras": [to_json(camera) for camera in state.cameras],
            },
        )
        return
    output.listing(state.services, SERVICE)
    talk.say("")
    names = {camera.id: camera.name for camera in state.cameras}
    output.listing(state.workers, worker_columns(names), empty="No worker runs.")
    talk.say("")
    output.listing(state.cameras, CAMERA_WITH_RUNTIME, empty="There is no camera.")
    explain_trouble(talk, state.cameras)


async def _ask(call: Awaitable[T], access: Access) -> T | CommandFailed:
    try:
        return await call
    except grpc.aio.AioRpcError as error:
        return command_failure(error, access.server)


def _state(name: str, answer: Any, detail: Any) -> ServiceState:  # noqa: ANN401 - any answer
    if isinstance(answer, CommandFailed):
        state = "closed" if answer.code == ExitCode.NOT_ALLOWED else "away"
        return ServiceState(name=name, state=state, detail=answer.sentence)
    return ServiceState(name=name, state="serving", detail=detail(answer))


def _count(number: int, noun: str, nouns: str = "") -> str:
    return f"{number} {noun if number == 1 else nouns or f'{noun}s'}"
