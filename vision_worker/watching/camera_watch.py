"""Watches the camera of an assignment, through every failure of its source, until told otherwise.

``gateway`` hands assignments in and asks for heartbeats; ``pipeline`` turns frames into sightings,
which go into the spool. A source that fails is named and tried again here, inside the living
worker, and holds no models after a while; a changed address or model setting starts over, a renamed
camera does not.
"""

import asyncio
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import cast

import grpc
from google.protobuf.json_format import MessageToDict

from dfip.control_plane.v1 import telemetry_pb2
from dfip.control_plane.v1 import worker_gateway_service_pb2 as gateway_pb2
from face_engine.engine import FaceEngine
from face_engine.errors import AcceleratorUnavailable, PackError
from face_engine.onnx_session import Accelerator
from service_runtime.clock import Clock
from service_runtime.errors import InvalidArgument
from service_runtime.interceptors.validation import validate_request
from service_runtime.secret import Secret
from service_runtime.structured_logging import get_logger
from vision_worker.decode.batches.choice import DecodingChoice
from vision_worker.decode.reader import DecodeSettings
from vision_worker.looking.onlookers import Onlookers, Trouble, trouble_of
from vision_worker.looking.picture_thread import PictureThread
from vision_worker.looking.scene import zones_of
from vision_worker.mapping import sighting_report, telemetry_sample
from vision_worker.models.engines import CameraModels, EngineKey, Engines
from vision_worker.models.inference import MEASURED_AT, CameraInference
from vision_worker.models.inference_thread import Lane
from vision_worker.occupancy.counting import OccupancySample
from vision_worker.pipeline import CameraPipeline, PipelineSettings
from vision_worker.sightings.identification import IdentityClient
from vision_worker.sightings.sighting import SightingDraft
from vision_worker.sources.failure import SourceFailure
from vision_worker.sources.opening import Source, Sources
from vision_worker.spool.spool import ReportSpool
from vision_worker.stats import PipelineStats
from vision_worker.watching.source_backoff import SourceBackoff

_IDLE_MODELS_S = 30.0
_LOOK_EVERY_S = 2.0
_LOOK_FIRST_S = 0.5
_log = get_logger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class CameraState:
    """What is seen of the camera now, in the words of the contracts."""

    worker_status: str = "starting"
    health_status: str = "unknown"
    failure_reason: str = "none"
    error_count: int = 0
    next_retry_at: datetime | None = None
    generation: int = 0
    accelerator_asked: str = "auto"
    accelerator_used: str = ""


class CameraWatch:
    """One camera.

    Args:
        camera_id: The camera.
        sources: Opens the camera.
        index: Channel to the identity index.
        engines: The models of the process.
        lane: Where its work for the models queues up.
        spool: Where sightings and telemetry go.
        clock: Where time comes from.
        changed: Called when the state changed.
        backoff: Waits of a source that fails.
        decoding: Says what decodes it.
        onlookers: Who looks at it.
    """

    def __init__(
        self,
        *,
        camera_id: str,
        sources: Sources,
        index: grpc.aio.Channel,
        engines: Engines,
        lane: Lane,
        spool: ReportSpool,
        clock: Clock,
        changed: Callable[[], None],
        backoff: SourceBackoff | None = None,
        decoding: DecodingChoice | None = None,
        onlookers: Onlookers | None = None,
    ) -> None:
        self._camera_id = camera_id
        self._sources = sources
        self._index = index
        self._engines = engines
        self._lane = lane
        self._decoding = decoding or DecodingChoice()
        self._spool = spool
        self._clock = clock
        self._changed = changed
        self._onlookers = onlookers or Onlookers(thread=PictureThread(), clock=clock)
        self._backoff = backoff or SourceBackoff()
        self._assignment: gateway_pb2.Assignment | None = None
        self._reassigned = asyncio.Event()
        self._retry = asyncio.Event()
        self._stopping = asyncio.Event()
        self._stopped = asyncio.Event()
        self._pipeline: CameraPipeline | None = None
        self._models: CameraModels | None = None
        self._freeing: asyncio.Task[None] | None = None
        self.state = CameraState()

    @property
    def stats(self) -> PipelineStats:
        """Return the pipeline's counters."""
        return self._pipeline.stats if self._pipeline is not None else PipelineStats()

    @property
    def models_loaded(self) -> bool:
        """Whether it holds models now."""
        return self._models is not None and self._models.loaded

    def assign(self, assignment: gateway_pb2.Assignment) -> None:
        """Watch this; what is being watched already goes on undisturbed."""
        before, self._assignment = self._assignment, assignment
        self._onlookers.zones = zones_of(MessageToDict(assignment.zone_config))
        self._set(generation=assignment.generation)
        if before is None or _differs(before, assignment):
            self._backoff.reset()
            self._reassigned.set()

    def retry_now(self) -> None:
        """Skip the wait, where the source waits."""
        self._backoff.reset()
        self._retry.set()

    async def wind_down(self) -> None:
        """Stop watching; every track's last word is in the spool afterwards."""
        self._set(worker_status="stopping")
        self._stopping.set()
        if self._assignment is not None:
            await self._stopped.wait()

    async def run(self) -> None:
        """Watch whatever is assigned, until ``wind_down``."""
        try:
            while await self._first_of(self._reassigned, self._stopping) is self._reassigned:
                self._reassigned.clear()
                assert self._assignment is not None  # noqa: S101 set before the event, for mypy
                await self._watch(self._assignment)
        finally:
            self._stopped.set()

    async def _watch(self, assignment: gateway_pb2.Assignment) -> None:
        """Watch one assignment until there is another or the end has come."""
        wanted = assignment.model_config
        key = EngineKey(
            pack_id=wanted.pack_id,
            accelerator=cast(Accelerator, wanted.accelerator or "auto"),
            required=wanted.accelerator_required,
        )
        self._models = models = CameraModels(self._engines, key)
        try:
            while not (self._stopping.is_set() or self._reassigned.is_set()):
                self._retry.clear()
                try:
                    await self._watch_with(models, assignment)
                except (PackError, AcceleratorUnavailable) as error:
                    # a change of settings mends it, or somebody who prepares the pack and says so
                    self._say_without_models(error)
                    await self._first_of(self._retry, self._reassigned, self._stopping)
        finally:
            self._keep_models()
            models.let_go()

    async def _watch_with(self, models: CameraModels, assignment: gateway_pb2.Assignment) -> None:
        """Watch, from the loading of models on.

        Raises:
            PackError, AcceleratorUnavailable: They cannot be loaded, or not again.
        """
        wanted = assignment.model_config
        self._set(accelerator_asked=wanted.accelerator)
        engine = await self._engine_of(models)
        inference = CameraInference(
            lane=self._lane,
            pack=engine.pack,
            working_side=engine.working_side(MEASURED_AT, min_face_px=wanted.min_face_px),
            engine=lambda: self._engine_of(models),
        )
        # setting a GPU up blocks
        decoding = await asyncio.to_thread(
            self._decoding.decoding_for, engine.pack, engine.accelerator_used
        )
        del engine  # held by the models alone, so that they can let go of it
        identity = IdentityClient(self._index, pack_id=inference.pack.pack_id)
        settings = PipelineSettings(
            decode=DecodeSettings(sample_fps=wanted.sample_fps),
            min_face_px=wanted.min_face_px,
            zone_config=MessageToDict(assignment.zone_config),
        )
        try:
            async with CameraPipeline(
                camera_id=self._camera_id,
                inference=inference,
                identity=identity,
                report=self._report,
                count=self._count,
                clock=self._clock,
                settings=settings,
                decoding=decoding,
                onlookers=self._onlookers,
            ) as pipeline:
                self._pipeline = pipeline
                await self._keep_reading(pipeline, assignment)
        finally:
            await identity.close()

    async def _engine_of(self, models: CameraModels) -> FaceEngine:
        """Return the models, and say what they run on: loaded again, it may be something else."""
        engine = await models.engine()
        if engine.accelerator_used != self.state.accelerator_used:
            self._set(accelerator_used=engine.accelerator_used)
        return engine

    def _say_without_models(self, error: PackError | AcceleratorUnavailable) -> None:
        _log.error("engine.cannot_open", sentence=str(error))
        reason = "model_unavailable"
        if isinstance(error, AcceleratorUnavailable):
            reason = "accelerator_unavailable"
        self._set(worker_status="failed", health_status="unhealthy", failure_reason=reason)

    def _free_models_soon(self) -> None:
        """Let go of the models unless frames come within a while."""
        if self._freeing is None:
            self._freeing = asyncio.create_task(self._free_models(), name="free-models")

    def _keep_models(self) -> None:
        if self._freeing is not None:
            self._freeing.cancel()
            self._freeing = None

    async def _free_models(self) -> None:
        await self._clock.sleep(_IDLE_MODELS_S)
        if self._models is not None:
            self._models.let_go()

    async def _keep_reading(
        self, pipeline: CameraPipeline, assignment: gateway_pb2.Assignment
    ) -> None:
        while not (self._stopping.is_set() or self._reassigned.is_set()):
            self._retry.clear()
            self._set(worker_status="starting", next_retry_at=None)
            began = self._clock.monotonic()
            try:
                source = self._sources.source_for(Secret(assignment.connection_string))
                played = await self._read(pipeline, source)
            except SourceFailure as failure:
                await self._wait_after(failure, healthy_s=self._clock.monotonic() - began)
                continue
            if played:  # a recording that does not loop
                self._set(worker_status="stopped", health_status="healthy", failure_reason="ended")
                self._free_models_soon()
                await self._first_of(self._retry, self._reassigned, self._stopping)

    async def _read(self, pipeline: CameraPipeline, source: Source) -> bool:
        """Read the source; return whether it was played to its end.

        Raises:
            SourceFailure: It failed.
        """
        reading = asyncio.create_task(pipeline.watch(source), name="watch")
        seeing = asyncio.create_task(self._say_when_seeing(pipeline), name="seeing")
        interrupted = asyncio.create_task(
            self._first_of(self._reassigned, self._stopping), name="interrupted"
        )
        try:
            await asyncio.wait({reading, interrupted}, return_when=asyncio.FIRST_COMPLETED)
            if not reading.done():
                return False
            await reading
            return True
        finally:
            for task in (reading, seeing, interrupted):
                task.cancel()
                with suppress(asyncio.CancelledError, SourceFailure):
                    await task

    async def _say_when_seeing(self, pipeline: CameraPipeline) -> None:
        """Say that the camera runs once it does, and from then on whether that is as asked."""
        while True:
            if pipeline.stats.blind:
                self._set(health_status="unhealthy", failure_reason="no_key_frame")
            elif pipeline.seeing.is_set():
                self._keep_models()
                self._say_running(overloaded=pipeline.stats.overloaded)
            await self._first_frame_or_a_while(pipeline)

    def _say_running(self, *, overloaded: bool) -> None:
        asked, used = self.state.accelerator_asked, self.state.accelerator_used
        lacking = "accelerator_unavailable" if asked == "cuda" and used != "cuda" else "none"
        reason = "overloaded" if overloaded else lacking
        self._set(
            worker_status="running",
            health_status="healthy" if reason == "none" else "degraded",
            failure_reason=reason,
            error_count=0,
        )

    async def _first_frame_or_a_while(self, pipeline: CameraPipeline) -> None:
        if pipeline.seeing.is_set():
            await self._clock.sleep(_LOOK_EVERY_S)
            return
        frame = asyncio.create_task(pipeline.seeing.wait(), name="first-frame")
        pause = asyncio.create_task(self._clock.sleep(_LOOK_FIRST_S), name="look-first")
        try:
            await asyncio.wait({frame, pause}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in (frame, pause):
                task.cancel()

    async def _wait_after(self, failure: SourceFailure, *, healthy_s: float) -> None:
        delay_s = self._backoff.failed(failure.reason, healthy_s=healthy_s)
        _log.warning(
            "source.failed",
            reason=failure.reason,
            sentence=failure.sentence,
            retry_in_s=round(delay_s, 1),
        )
        self._set(
            worker_status="backoff",
            health_status="unhealthy",
            failure_reason=failure.reason,
            error_count=self.state.error_count + 1,
            next_retry_at=self._clock.now() + timedelta(seconds=delay_s),
        )
        self._onlookers.miss(Trouble(reason=failure.reason, sentence=failure.sentence))
        self._free_models_soon()
        waiting = asyncio.create_task(self._clock.sleep(delay_s), name="source-backoff")
        news = asyncio.create_task(
            self._first_of(self._retry, self._reassigned, self._stopping), name="news"
        )
        await asyncio.wait({waiting, news}, return_when=asyncio.FIRST_COMPLETED)
        for task in (waiting, news):
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task

    def _report(self, draft: SightingDraft) -> None:
        report = sighting_report(draft)
        if _is_sound(report):
            self._spool.add_sighting(report)
        else:
            self._spool.note_unsound(sightings=1)

    def _count(self, samples: Sequence[OccupancySample]) -> None:
        told = [telemetry_sample(sample) for sample in samples]
        sound = [sample for sample in told if _is_sound(sample)]
        self._spool.note_unsound(samples=len(told) - len(sound))
        self._spool.add_telemetry(sound)

    def _set(self, **changes: object) -> None:
        before, self.state = self.state, replace(self.state, **changes)  # type: ignore[arg-type]  # the names of its fields
        if self.state != before:
            self._onlookers.miss(trouble_of(self.state.worker_status, self.state.failure_reason))
            self._changed()

    async def _first_of(self, *events: asyncio.Event) -> asyncio.Event:
        """Wait for any of the events; the first one named wins where several are set."""
        waiting = [asyncio.create_task(event.wait()) for event in events]
        try:
            await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in waiting:
                task.cancel()
        return next(event for event in events if event.is_set())


def _is_sound(report: gateway_pb2.SightingReport | telemetry_pb2.TelemetrySample) -> bool:
    """Return whether the control plane can take it: one that it cannot would block all others."""
    try:
        validate_request(report)
    except InvalidArgument as flaw:
        _log.error("report.not_sound", kind=type(report).__name__, sentence=str(flaw))
        return False
    return True


def _differs(one: gateway_pb2.Assignment, other: gateway_pb2.Assignment) -> bool:
    """Return whether watching has to start over."""
    return (
        one.connection_string != other.connection_string
        or one.model_config != other.model_config
        or one.zone_config != other.zone_config
    )
