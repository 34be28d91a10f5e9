"""Puts one worker together: the only place here that knows all concrete classes.

The process has a server, the models and the thread that they run in; its cameras come to it one by
one (`cameras.py`), the first perhaps by its environment.
"""

from typing import Final

from dfip.vision_worker.v1 import worker_service_pb2, worker_service_pb2_grpc
from service_runtime.authentication import TokenVerifier
from service_runtime.clients import FileToken, TokenSource
from service_runtime.clock import SystemClock
from service_runtime.errors import ServiceError
from service_runtime.lifecycle import FAILED, STOPPED, Lifecycle, StartError
from service_runtime.server import Binding, Server
from service_runtime.settings import load_settings
from vision_worker.decode.batches.choice import DecodingChoice
from vision_worker.looking.onlookers import MOST
from vision_worker.looking.picture_thread import PictureThread
from vision_worker.models.engines import Engines
from vision_worker.models.inference_thread import InferenceThread
from vision_worker.process.load import ProcessLoad
from vision_worker.process.watchdog import Limits, Seen, Watchdog
from vision_worker.servicer import WorkerServicer
from vision_worker.settings import WorkerSettings
from vision_worker.sources.opening import Sources
from vision_worker.sources.policy import SourcePolicy, camera_addresses
from vision_worker.spool.model import SpoolLimits
from vision_worker.watching.cameras import CameraEnd, Cameras
from vision_worker.watching.watched_camera import Surroundings, WatchedCamera

TOKEN_REFUSED: Final = 3
"""Exit status that tells the manager to ask for a new token."""

_EXIT_STATUS: Final = {
    None: STOPPED,
    CameraEnd.DRAINED: STOPPED,
    CameraEnd.SUPERSEDED: STOPPED,
    CameraEnd.TOKEN_REFUSED: TOKEN_REFUSED,
    CameraEnd.CRASHED: FAILED,
}


async def run_worker(lifecycle: Lifecycle) -> None:
    """Run a worker until it is drained, has no camera any more, or is told to stop."""
    settings = load_settings(WorkerSettings)
    clock = SystemClock()
    transport = settings.transport()
    verifier = TokenVerifier(settings.jwks_file, clock)
    engines, inference, load = Engines(), InferenceThread(), ProcessLoad(clock)
    inference.start()
    lifecycle.stack.callback(inference.close)
    decoding = DecodingChoice()
    lifecycle.stack.callback(decoding.close)
    pictures = PictureThread()
    lifecycle.stack.callback(pictures.close)
    surroundings = Surroundings(
        control_plane_target=settings.control_plane_target,
        index_target=settings.index_target,
        transport=transport,
        sources=Sources(_source_policy(settings)),
        engines=engines,
        inference=inference,
        decoding=decoding,
        pictures=pictures,
        load=load,
        cameras=lambda: cameras.watched,
        spool_limits=SpoolLimits(disk_bytes=settings.spool_bytes),
        clock=clock,
    )

    def make(camera_id: str, epoch: int, token: TokenSource) -> WatchedCamera:
        first = camera_id == settings.camera_id
        return WatchedCamera(
            camera_id=camera_id,
            epoch=epoch,
            token=token,
            folder=(settings.spool_dir if first else settings.cameras_dir / camera_id).absolute(),
            surroundings=surroundings,
        )

    cameras = Cameras(
        make=make, capacity=settings.cameras_per_worker, verifier=verifier, clock=clock
    )
    server = Server(
        room="vision_worker",
        transport=transport,
        peers=("camera_manager",),
        listen=settings.listen,
        bindings=[
            Binding.of(
                worker_service_pb2,
                worker_service_pb2_grpc,
                WorkerServicer(cameras=cameras, engines=engines, load=load),
            )
        ],
        verifier=verifier,
        clock=clock,
        reflection=settings.reflection,
        max_concurrent_rpcs=20 + settings.cameras_per_worker * (1 + MOST),
    )
    await server.start()
    lifecycle.stack.push_async_callback(server.stop, 1)
    lifecycle.stack.push_async_callback(cameras.close)
    if settings.camera_id and settings.token_file is not None:
        token = FileToken(settings.token_file)
        cameras.begin(settings.camera_id, _epoch_of(token, verifier), token)
    await server.set_serving(serving=True)

    async def live() -> None:
        lifecycle.stop(_EXIT_STATUS[await cameras.run()])

    def look() -> Seen:
        return Seen(
            inference_s=inference.busy_s,
            decoding_s={name: held.camera.stats.stuck_s for name, held in cameras.held.items()},
            memory_bytes=load.memory_bytes(),
        )

    limits = Limits(memory_bytes=settings.worker_memory_mb * 2**20)
    watchdog = Watchdog(look=look, stop=lifecycle.stop, clock=clock, limits=limits)
    lifecycle.spawn("watchdog", watchdog.run())
    living = lifecycle.spawn("cameras", live())
    await lifecycle.wait_for_stop()
    if not living.done():  # told to stop from outside: say the last word first
        cameras.drain()
        await living


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


def _epoch_of(token: FileToken, verifier: TokenVerifier) -> int:
    """Return the epoch that the worker's own token opens."""
    held = token.token()
    if held is None:
        raise StartError("the token file is not there; the manager writes it before the start")
    try:
        return verifier.verify(held.reveal()).epoch or 0
    except ServiceError:
        return 0  # the gateway will refuse it with the proper reason
