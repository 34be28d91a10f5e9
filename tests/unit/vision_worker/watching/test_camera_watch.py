"""A camera through failures, retries, reassignment and its end: real clips, real models.

The identity index is away in all of it; what becomes of faces is the pipeline's own test.
"""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import av
import numpy as np
import pytest

from dfip.control_plane.v1 import worker_gateway_service_pb2 as gateway_pb2
from face_engine.engine import FaceEngine
from face_engine.errors import PackError
from face_engine.onnx_session import open_models
from face_engine.packs import resolve_pack
from face_engine.preparation import PreparedPack, load_models
from service_runtime.clients import MeshChannel, open_channel
from service_runtime.errors import Unavailable
from tests.support.batch_decoders import LibavBatches
from tests.support.virtual_clock import VirtualClock
from vision_worker.decode.batches.batch import BatchDecoder
from vision_worker.decode.batches.choice import CannotDecodeInBatches, DecodingChoice
from vision_worker.decode.reader import FrameReader
from vision_worker.looking.onlookers import Onlookers
from vision_worker.looking.picture_thread import PictureThread
from vision_worker.looking.scene import Form
from vision_worker.models.engines import EngineKey, Engines
from vision_worker.models.inference_thread import InferenceThread
from vision_worker.occupancy.counting import OccupancySample
from vision_worker.sources.opening import Sources
from vision_worker.sources.policy import SourcePolicy, camera_addresses
from vision_worker.spool.spool import ReportSpool
from vision_worker.watching.camera_watch import CameraState, CameraWatch

PLAIN = Form(longest_side=640, annotated=False)

pytestmark = pytest.mark.usefixtures("builtin_pack")

_KEY = EngineKey(pack_id="builtin", accelerator="cpu", required=False)


def _not_prepared(_pack_id: str, **_options: object) -> None:
    raise PackError("not prepared yet")


def _claims_cuda(pack_id: str, **_options: object) -> FaceEngine:
    pack = resolve_pack(pack_id)
    opened = open_models(load_models(pack), threads=1, accelerator="cpu", required=False)
    return FaceEngine(pack, replace(opened, used="cuda"))


def _no_dali() -> BatchDecoder:
    raise CannotDecodeInBatches("NVIDIA DALI is not installed")


def write_clip(path: Path, *, frames: int = 10) -> None:
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=25)
        stream.width, stream.height, stream.pix_fmt = 160, 96, "yuv420p"
        for number in range(frames):
            image = np.full((96, 160, 3), number * 5, np.uint8)
            for packet in stream.encode(av.VideoFrame.from_ndarray(image, format="rgb24")):
                container.mux(packet)
        for packet in stream.encode():
            container.mux(packet)


def assignment(url: str, *, generation: int = 1, pack: str = "builtin") -> gateway_pb2.Assignment:
    made = gateway_pb2.Assignment(connection_string=url, generation=generation, epoch=1)
    made.model_config.pack_id = pack
    made.model_config.sample_fps = 5
    made.model_config.min_face_px = 40
    made.model_config.accelerator = "cpu"
    return made


class Watched:
    """A camera under test, with the history of its states."""

    def __init__(self, media_root: Path, index: MeshChannel) -> None:
        self.clock = VirtualClock()
        self.news = asyncio.Event()
        self.history: list[CameraState] = []
        self.engines = Engines()
        self.thread = InferenceThread()
        self.spool = ReportSpool(media_root, camera_id="camera", clock=self.clock)
        self.pictures = PictureThread()
        self.onlookers = Onlookers(thread=self.pictures, clock=self.clock)
        self.watch = CameraWatch(
            camera_id="camera",
            sources=Sources(
                SourcePolicy(media_root=media_root, addresses=camera_addresses("127.0.0.0/8"))
            ),
            index=index,
            engines=self.engines,
            lane=self.thread.open_lane(),
            spool=self.spool,
            clock=self.clock,
            changed=self.changed,
            onlookers=self.onlookers,
        )

    def changed(self) -> None:
        self.history.append(self.watch.state)
        self.news.set()

    async def until(self, holds: Callable[[CameraState], bool]) -> CameraState:
        """Wait until a state that has been, or comes, fulfils the condition."""
        async with asyncio.timeout(20):
            while True:
                found = next((state for state in self.history if holds(state)), None)
                if found is not None:
                    return found
                self.news.clear()
                await self.news.wait()


@asynccontextmanager
async def watched(media_root: Path) -> AsyncIterator[Watched]:
    async with open_channel("unix:/nowhere") as index:
        camera = Watched(media_root, index)
        camera.thread.start()
        running = asyncio.create_task(camera.watch.run())
        try:
            yield camera
        finally:
            await camera.watch.wind_down()
            await running
            camera.thread.close()
            camera.pictures.close()
            await camera.engines.close()


async def test_a_camera_that_delivers_is_running_and_healthy(tmp_path: Path) -> None:
    write_clip(tmp_path / "clip.mp4")
    async with watched(tmp_path) as camera:
        camera.watch.assign(assignment("file:///clip.mp4"))
        state = await camera.until(lambda s: s.worker_status == "running")
        assert (state.health_status, state.failure_reason, state.error_count) == (
            "healthy", "none", 0,
        )  # fmt: skip
        assert state.accelerator_used == "cpu"
        picture = await camera.onlookers.snapshot(PLAIN)
        assert (picture.width, picture.height, picture.live) == (160, 96, True)
    assert camera.history[-1].worker_status == "stopping"


async def test_a_camera_whose_models_run_on_a_gpu_is_decoded_in_batches_and_says_so(
    tmp_path: Path,
) -> None:
    """The models claim a GPU and run on the CPU; the decoder is libav behind the GPU's port."""
    write_clip(tmp_path / "clip.mp4", frames=50)
    decoder = LibavBatches()
    async with watched(tmp_path) as camera:
        camera.engines._load = _claims_cuda
        camera.watch._decoding = DecodingChoice(lambda: decoder)
        asked = assignment("file:///clip.mp4?loop=false")
        asked.model_config.accelerator = "cuda"
        camera.watch.assign(asked)
        state = await camera.until(lambda s: s.worker_status == "running")
        assert (state.health_status, state.accelerator_used) == ("healthy", "cuda")
        stats = camera.watch.stats
        assert (stats.decoder, stats.decoder_reason) == ("dali-nvdec", "")
        await camera.until(lambda s: s.failure_reason == "ended")
        assert sum(decoder.sizes) > 0
        camera.watch._decoding.close()


async def test_a_gpu_that_cannot_decode_is_told(tmp_path: Path) -> None:
    write_clip(tmp_path / "clip.mp4")
    async with watched(tmp_path) as camera:
        camera.engines._load = _claims_cuda
        camera.watch._decoding = DecodingChoice(_no_dali)
        camera.watch.assign(assignment("file:///clip.mp4"))
        await camera.until(lambda s: s.worker_status == "running")
        stats = camera.watch.stats
        assert (stats.decoder, stats.decoder_reason) == ("pyav", "NVIDIA DALI is not installed")


async def test_a_machine_that_is_too_slow_says_so_and_when_it_keeps_up_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    slow = True
    monkeypatch.setattr(FrameReader, "overloaded", property(lambda _: slow))
    write_clip(tmp_path / "clip.mp4")
    async with watched(tmp_path) as camera:
        camera.watch.assign(assignment("file:///clip.mp4"))
        state = await camera.until(lambda s: s.worker_status == "running")
        assert (state.health_status, state.failure_reason) == ("degraded", "overloaded")
        slow = False
        camera.history.clear()
        await camera.clock.advance(3)
        state = await camera.until(lambda s: s.worker_status == "running")
        assert (state.health_status, state.failure_reason) == ("healthy", "none")


async def test_a_report_that_the_control_plane_cannot_take_blocks_no_other(tmp_path: Path) -> None:
    async with watched(tmp_path) as camera:
        told = OccupancySample(
            at=datetime(2026, 1, 1, tzinfo=UTC), zone="", occupancy=1, confidence=None,
            entries=0, exits=0,
        )  # fmt: skip
        camera.watch._count([replace(told, zone="x" * 2000), told])
        status = camera.spool.status
        assert (status.telemetry_pending, status.telemetry_dropped) == (1, 1)


async def test_a_failure_is_named_and_retried_after_its_wait(tmp_path: Path) -> None:
    async with watched(tmp_path) as camera:
        camera.watch.assign(assignment("file:///clip.mp4"))
        failed = await camera.until(lambda s: s.worker_status == "backoff")
        assert (failed.health_status, failed.failure_reason) == ("unhealthy", "not_found")
        assert failed.error_count == 1
        with pytest.raises(Unavailable) as caught:
            await camera.onlookers.snapshot(PLAIN)
        assert caught.value.metadata == {"failure_reason": "not_found"}
        assert failed.next_retry_at is not None
        write_clip(tmp_path / "clip.mp4")
        assert camera.watch.state.worker_status == "backoff"
        await camera.clock.advance((failed.next_retry_at - camera.clock.now()).total_seconds() + 1)
        state = await camera.until(lambda s: s.worker_status == "running")
        assert (state.error_count, state.failure_reason) == (0, "none")


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (b"RTSP/1.0 401 No\r\nCSeq: 1\r\nWWW-Authenticate: Basic realm=x\r\n\r\n", "unauthorized"),
        (b"RTSP/1.0 302 Moved\r\nLocation: rtsp://127.0.0.1/\r\n\r\n", "redirected"),
        (b"HTTP/1.1 400 Bad Request\r\n\r\n", "not_a_stream"),
    ],
)
async def test_a_camera_that_fails_has_nobody_tell_its_password(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], answer: bytes, reason: str
) -> None:
    async def hear(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while await reader.read(4096):
            writer.write(answer)
        writer.close()

    server = await asyncio.start_server(hear, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    async with server, watched(tmp_path) as camera:
        camera.watch.assign(assignment(f"rtsp://canary-user:canary-pass@127.0.0.1:{port}/canary"))
        failed = await camera.until(lambda s: s.worker_status == "backoff")
    assert failed.failure_reason == reason
    told = capfd.readouterr()
    assert reason in told.out + told.err
    assert "canary" not in told.out + told.err + repr(camera.history)


async def test_somebody_may_skip_the_wait(tmp_path: Path) -> None:
    async with watched(tmp_path) as camera:
        camera.watch.assign(assignment("file:///clip.mp4"))
        await camera.until(lambda s: s.worker_status == "backoff")
        write_clip(tmp_path / "clip.mp4")
        camera.watch.retry_now()
        await camera.until(lambda s: s.worker_status == "running")


async def test_a_new_address_starts_over_and_a_new_name_does_not(tmp_path: Path) -> None:
    write_clip(tmp_path / "one.mp4")
    async with watched(tmp_path) as camera:
        camera.watch.assign(assignment("file:///one.mp4"))
        await camera.until(lambda s: s.worker_status == "running")
        camera.watch.assign(assignment("file:///one.mp4", generation=2))
        await camera.until(lambda s: s.generation == 2)
        before = len(camera.history)
        camera.watch.assign(assignment("file:///two.mp4", generation=3))
        failed = await camera.until(lambda s: s.worker_status == "backoff")
        assert failed.generation == 3
        assert [state.worker_status for state in camera.history[before - 1 :]][:3] == [
            "running", "running", "starting",
        ]  # fmt: skip


async def test_a_recording_that_was_played_once_stops_without_a_fault(tmp_path: Path) -> None:
    write_clip(tmp_path / "clip.mp4", frames=5)
    async with watched(tmp_path) as camera:
        camera.watch.assign(assignment("file:///clip.mp4?loop=false"))
        state = await camera.until(lambda s: s.worker_status == "stopped")
        assert (state.health_status, state.failure_reason) == ("healthy", "ended")


async def test_models_that_cannot_be_had_are_said_so(
    tmp_path: Path, builtin_pack: PreparedPack
) -> None:
    assert builtin_pack is not None
    async with watched(tmp_path) as camera:
        camera.watch.assign(assignment("file:///clip.mp4", pack="no-such-pack"))
        state = await camera.until(lambda s: s.worker_status == "failed")
        assert (state.health_status, state.failure_reason) == ("unhealthy", "model_unavailable")


async def test_a_camera_that_fails_for_half_a_minute_holds_no_models_until_frames_come(
    tmp_path: Path,
) -> None:
    async with watched(tmp_path) as camera:
        camera.watch.assign(assignment("file:///clip.mp4"))
        await camera.until(lambda s: s.worker_status == "backoff")
        await camera.clock.advance(29)
        assert camera.watch.models_loaded
        await camera.clock.advance(2)
        await camera.engines.close()
        assert (camera.watch.models_loaded, camera.engines.loaded) == (False, 0)
        attempts = camera.watch.state.error_count
        while camera.watch.state.error_count == attempts:
            await camera.clock.advance(60)
        assert not camera.watch.models_loaded  # a try that brings no frame loads nothing
        write_clip(tmp_path / "clip.mp4")
        camera.history.clear()
        camera.watch.retry_now()
        await camera.until(lambda s: s.worker_status == "running")
        await camera.engines.hold(_KEY)
        camera.engines.let_go(_KEY)
        assert camera.engines.loaded == 1  # the camera holds them too


async def test_models_that_came_to_be_are_loaded_when_somebody_says_retry(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_clip(tmp_path / "clip.mp4")
    async with watched(tmp_path) as camera:
        with monkeypatch.context() as patch:
            patch.setattr(camera.engines, "_load", _not_prepared)
            camera.watch.assign(assignment("file:///clip.mp4"))
            await camera.until(lambda s: s.worker_status == "failed")
        camera.watch.retry_now()
        await camera.until(lambda s: s.worker_status == "running")
