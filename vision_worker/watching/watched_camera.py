"""One camera of the process with all that is its own: token, line, spool, folder and pipeline.

It begins with `run`, ends by itself when the control plane has no more use for it, or by `drain`.
Nothing here is shared with other cameras but the models, the threads that work for all, and the
process's load; so that one camera's end or failure is no other's. ``cameras`` holds all of them.
"""

import asyncio
from collections.abc import Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

import grpc

from dfip.control_plane.v1 import worker_gateway_service_pb2 as gateway_pb2
from service_runtime.clients import TokenSource, open_channel
from service_runtime.clock import Clock
from service_runtime.structured_logging import name_call
from service_runtime.transport import Transport
from vision_worker.decode.batches.choice import DecodingChoice
from vision_worker.gateway import Ending, Gateway
from vision_worker.looking.names import Names, ask_control_plane
from vision_worker.looking.onlookers import Onlookers
from vision_worker.looking.picture_thread import PictureThread
from vision_worker.mapping import timestamp
from vision_worker.models.engines import Engines
from vision_worker.models.inference_thread import InferenceThread
from vision_worker.process.load import ProcessLoad
from vision_worker.sources.opening import Sources
from vision_worker.spool.model import DEFAULT_LIMITS, SpoolLimits
from vision_worker.spool.spool import ReportSpool
from vision_worker.stats import PipelineStats
from vision_worker.watching.camera_watch import CameraState, CameraWatch


@dataclass(frozen=True, slots=True, kw_only=True)
class Surroundings:
    """What every camera of the process is given.

    Attributes:
        control_plane_target: where the gateway is.
        index_target: where the identity index is.
        transport: what protects the lines to both.
        sources: opens cameras.
        engines: the models of the process.
        inference: the thread that they run in.
        load: what the process costs.
        cameras: how many cameras share that.
        spool_limits: how much each may keep that is not reported yet.
        clock: where time comes from.
        decoding: says what decodes a camera.
        pictures: the thread that draws what people look at.
    """

    control_plane_target: str
    index_target: str
    transport: Transport
    sources: Sources
    engines: Engines
    inference: InferenceThread
    load: ProcessLoad
    cameras: Callable[[], int]
    spool_limits: SpoolLimits = DEFAULT_LIMITS
    clock: Clock
    decoding: DecodingChoice = field(default_factory=DecodingChoice)
    pictures: PictureThread = field(default_factory=PictureThread)


class WatchedCamera:
    """One camera, from its first word to the control plane to its last.

    Args:
        camera_id: The camera.
        epoch: What its token opens.
        token: Its worker token.
        folder: Its own folder.
        surroundings: What it shares.
    """

    def __init__(
        self,
        *,
        camera_id: str,
        epoch: int,
        token: TokenSource,
        folder: Path,
        surroundings: Surroundings,
    ) -> None:
        self.camera_id = camera_id
        self.epoch = epoch
        self.folder = folder
        self.started_at: datetime = surroundings.clock.now()
        self.spool = ReportSpool(
            folder,
            camera_id=camera_id,
            clock=surroundings.clock,
            limits=surroundings.spool_limits,
        )
        self.onlookers = Onlookers(thread=surroundings.pictures, clock=surroundings.clock)
        self._token = token
        self._with = surroundings
        self._watch: CameraWatch | None = None
        self._gateway: Gateway | None = None
        self._draining = False

    @property
    def state(self) -> CameraState:
        """Return what is seen of the camera now."""
        return self._watch.state if self._watch is not None else CameraState()

    @property
    def stats(self) -> PipelineStats:
        """Return the pipeline's counters."""
        return self._watch.stats if self._watch is not None else PipelineStats()

    @property
    def models_loaded(self) -> bool:
        """Whether it holds models now."""
        return self._watch is not None and self._watch.models_loaded

    def drain(self) -> None:
        """Begin the end: stop watching, report what is left, end."""
        self._draining = True
        if self._gateway is not None:
            self._gateway.drain()

    async def run(self) -> Ending:
        """Watch until drained, or until the control plane has no more use for it."""
        name_call(camera_id=self.camera_id)
        await asyncio.to_thread(self.folder.mkdir, mode=0o700, parents=True, exist_ok=True)
        async with AsyncExitStack() as stack:
            await stack.enter_async_context(self.spool)
            index = await stack.enter_async_context(
                self._channel(self._with.index_target, "identity_index")
            )
            control_plane = await stack.enter_async_context(
                self._channel(self._with.control_plane_target, "control_plane")
            )
            return await self._run(index, control_plane)

    async def _run(self, index: grpc.aio.Channel, control_plane: grpc.aio.Channel) -> Ending:
        self.onlookers.names = Names(ask_control_plane(control_plane), self._with.clock)
        self._watch = watch = CameraWatch(
            camera_id=self.camera_id,
            sources=self._with.sources,
            index=index,
            engines=self._with.engines,
            lane=self._with.inference.open_lane(),
            decoding=self._with.decoding,
            spool=self.spool,
            clock=self._with.clock,
            onlookers=self.onlookers,
            changed=lambda: gateway.beat(),  # noqa: PLW0108 made below: each needs the other
        )
        self._gateway = gateway = Gateway(
            control_plane,
            hello=gateway_pb2.WorkerHello(
                camera_id=self.camera_id,
                pod_name=f"camera-worker-{self.camera_id}",
            ),
            spool=self.spool,
            sink=watch,
            heartbeat=self._heartbeat,
            clock=self._with.clock,
        )
        if self._draining:
            gateway.drain()
        watching = asyncio.create_task(watch.run(), name="camera")
        line = asyncio.create_task(gateway.run(), name="gateway")
        keeping = asyncio.create_task(self.spool.run(), name="spool")
        tasks = (watching, line, keeping)
        try:
            await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            for other in (watching, keeping):
                if other.done() and not line.done():
                    other.result()  # raises what ended it; else it has wound down
            return await line
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    def _heartbeat(self) -> gateway_pb2.WorkerHeartbeat:
        state, sharers = self.state, max(self._with.cameras(), 1)
        health = state.health_status
        if health == "healthy" and self.spool.status.trouble:
            health = "degraded"  # what is reported would not outlive the process
        return gateway_pb2.WorkerHeartbeat(
            worker_status=state.worker_status,
            health_status=health,
            failure_reason=state.failure_reason,
            error_count=state.error_count,
            next_retry_at=None if state.next_retry_at is None else timestamp(state.next_retry_at),
            observed_generation=state.generation,
            fps=self.stats.fps,
            memory_bytes=self._with.load.memory_bytes() / sharers,
            cpu_share=self._with.load.cpu() / sharers,
            accelerator_asked=state.accelerator_asked,
            accelerator_used=state.accelerator_used,
            decoder=self.stats.decoder,
        )

    def _channel(self, target: str, peer: str) -> grpc.aio.Channel:
        return open_channel(target, token=self._token, transport=self._with.transport, peer=peer)
