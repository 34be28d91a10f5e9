"""Puts one worker together: the only place here that knows all concrete classes."""

import os
from typing import Final

import psutil

from dfip.control_plane.v1 import worker_gateway_service_pb2 as gateway_pb2
from dfip.vision_worker.v1 import worker_service_pb2, worker_service_pb2_grpc
from service_runtime.authentication import TokenVerifier
from service_runtime.clients import FileToken, open_channel
from service_runtime.clock import SystemClock
from service_runtime.errors import ServiceError
from service_runtime.identifiers import new_id
from service_runtime.lifecycle import FAILED, STOPPED, Lifecycle, StartError
from service_runtime.server import Binding, Server
from service_runtime.settings import load_settings
from vision_worker.camera import CameraWatch
from vision_worker.gateway import Ending, Gateway
from vision_worker.mapping import timestamp
from vision_worker.report_spool import ReportSpool
from vision_worker.servicer import WorkerServicer
from vision_worker.settings import WorkerSettings
from vision_worker.sources.opening import Sources
from vision_worker.sources.policy import SourcePolicy, camera_addresses

TOKEN_REFUSED: Final = 3
"""Exit status that tells the manager to ask for a new token."""

_EXIT_STATUS: Final = {
    Ending.DRAINED: STOPPED,
    Ending.SUPERSEDED: STOPPED,
    Ending.TOKEN_REFUSED: TOKEN_REFUSED,
}


async def run_worker(lifecycle: Lifecycle) -> None:
    """Run a worker until it is drained, superseded or told to stop."""
    settings = load_settings(WorkerSettings)
    clock = SystemClock()
    transport = settings.transport()
    token = FileToken(settings.token_file)
    verifier = TokenVerifier(settings.jwks_file, clock)
    epoch = _epoch_of(token, verifier)
    spool = ReportSpool()
    index = await lifecycle.stack.enter_async_context(
        open_channel(settings.index_target, token=token, transport=transport, peer="identity_index")
    )
    control_plane = await lifecycle.stack.enter_async_context(
        open_channel(
            settings.control_plane_target, token=token, transport=transport, peer="control_plane"
        )
    )
    watch = CameraWatch(
        camera_id=settings.camera_id,
        sources=Sources(_source_policy(settings)),
        index=index,
        spool=spool,
        clock=clock,
        reported=lambda: gateway.wake(),  # noqa: PLW0108 made below: each needs the other
        changed=lambda: gateway.beat(),  # noqa: PLW0108 likewise
    )
    pulse = _Pulse(watch)
    gateway = Gateway(
        control_plane,
        hello=gateway_pb2.WorkerHello(
            session_id=new_id(),
            camera_id=settings.camera_id,
            pod_name=f"camera-worker-{settings.camera_id}",
        ),
        spool=spool,
        sink=watch,
        heartbeat=pulse.heartbeat,
        clock=clock,
    )
    server = Server(
        room="vision_worker",
        transport=transport,
        peers=("camera_manager",),
        listen=settings.listen,
        bindings=[
            Binding(
                descriptor=worker_service_pb2.DESCRIPTOR.services_by_name["WorkerService"],
                add=worker_service_pb2_grpc.add_WorkerServiceServicer_to_server,
                servicer=WorkerServicer(
                    camera_id=settings.camera_id,
                    epoch=epoch,
                    started_at=clock.now(),
                    watch=watch,
                    spool=spool,
                    drain=gateway.drain,
                ),
            )
        ],
        verifier=verifier,
        clock=clock,
        reflection=settings.reflection,
        max_concurrent_rpcs=20,
    )
    await server.start()
    lifecycle.stack.push_async_callback(server.stop, 1)
    await server.set_serving(serving=True)

    async def keep_line() -> None:
        lifecycle.stop(_EXIT_STATUS.get(await gateway.run(), FAILED))

    lifecycle.spawn("camera", watch.run())
    line = lifecycle.spawn("gateway", keep_line())
    await lifecycle.wait_for_stop()
    if not line.done():  # told to stop from outside: say the last word first
        gateway.drain()
        await line


def _source_policy(settings: WorkerSettings) -> SourcePolicy:
    """Return what may be opened.

    Raises:
        StartError: The operator's networks of cameras are none.
    """
    try:
        addresses = camera_addresses(settings.camera_networks)
    except ValueError as error:
        raise StartError(f"DFIP_CAMERA_NETWORKS: {error}") from None
    return SourcePolicy(
        media_root=settings.media_root,
        addresses=addresses,
        ca_file=settings.camera_ca_file,
        hls=settings.allow_hls,
        devices=settings.allow_devices,
    )


class _Pulse:
    """Makes the heartbeat of the moment."""

    def __init__(self, watch: CameraWatch) -> None:
        self._watch = watch
        self._process = psutil.Process(os.getpid())
        self._process.cpu_percent()  # the first reading is the start of the interval

    def heartbeat(self) -> gateway_pb2.WorkerHeartbeat:
        state = self._watch.state
        return gateway_pb2.WorkerHeartbeat(
            worker_status=state.worker_status,
            health_status=state.health_status,
            failure_reason=state.failure_reason,
            error_count=state.error_count,
            next_retry_at=None if state.next_retry_at is None else timestamp(state.next_retry_at),
            observed_generation=state.generation,
            fps=self._watch.stats.fps,
            memory_bytes=float(self._process.memory_info().rss),
            cpu_share=self._process.cpu_percent() / 100,
        )


def _epoch_of(token: FileToken, verifier: TokenVerifier) -> int:
    """Return the epoch that the worker's own token opens."""
    held = token.token()
    if held is None:
        raise StartError("the token file is not there; the manager writes it before the start")
    try:
        return verifier.verify(held.reveal()).epoch or 0
    except ServiceError:
        return 0  # the gateway will refuse it with the proper reason
