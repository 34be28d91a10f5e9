"""Wires the service together; the only place that knows concrete classes of every part.

The order: the pack is checked before anything listens (a service that could never look at a
photograph must not look alive), then the server listens, NOT_SERVING, while the models load and the
first snapshot of the gallery comes in; with that it serves.
"""

from functools import partial

from dfip.control_plane.v1 import person_service_pb2_grpc
from dfip.identity_index.v1 import (
    identity_index_service_pb2,
    identity_index_service_pb2_grpc,
)
from face_engine.engine import open_engine
from face_engine.errors import AcceleratorUnavailable, PackError
from face_engine.packs import ModelPack, resolve_pack
from face_engine.preparation import is_prepared
from identity_index.embeddings import EmbeddingSpace
from identity_index.feed import GalleryFeed
from identity_index.photographs import PhotographDesk
from identity_index.search_loop import SearchLoop
from identity_index.servicer import IdentityIndexServicer
from identity_index.settings import Settings
from service_runtime.authentication import TokenVerifier
from service_runtime.backoff import Backoff
from service_runtime.clients import FileToken, open_channel
from service_runtime.clock import SystemClock
from service_runtime.lifecycle import Lifecycle, StartError
from service_runtime.limits import PICTURE_MAX_MESSAGE_BYTES
from service_runtime.server import Binding, Server
from service_runtime.settings import load_settings

ROOM = "identity_index"
_STOP_GRACE_S = 1.0  # streams of workers never end by themselves


async def serve(lifecycle: Lifecycle) -> None:
    """Run the service until ``lifecycle`` stops.

    Raises:
        SettingsError, StartError, ListenError: it cannot start; the text says what to do.
    """
    settings = load_settings(Settings)
    pack = _prepared_pack(settings.pack)
    space = EmbeddingSpace(pack_id=pack.pack_id, dimension=pack.dimension)
    clock = SystemClock()
    transport = settings.transport()
    stack = lifecycle.stack

    search_loop = SearchLoop(dimension=pack.dimension, threads=settings.search_threads, clock=clock)
    stack.callback(search_loop.close)
    photographs = PhotographDesk(
        partial(open_engine, pack.pack_id, threads=settings.analysis_threads, accelerator="cpu")
    )
    stack.callback(photographs.close)
    channel = await stack.enter_async_context(
        open_channel(
            settings.control_plane_target,
            token=FileToken(settings.token_file),
            transport=transport,
            peer="control_plane",
        )
    )
    feed = GalleryFeed(
        stub=person_service_pb2_grpc.PersonServiceStub(channel),
        search_loop=search_loop,
        space=space,
        clock=clock,
        backoff=Backoff(initial_s=0.2, cap_s=2),
    )
    server = Server(
        room=ROOM,
        transport=transport,
        peers=("control_plane", "edge", "vision_worker"),
        listen=settings.listen,
        bindings=[
            Binding(
                descriptor=identity_index_service_pb2.DESCRIPTOR.services_by_name[
                    "IdentityIndexService"
                ],
                add=identity_index_service_pb2_grpc.add_IdentityIndexServiceServicer_to_server,
                servicer=IdentityIndexServicer(
                    pack=pack,
                    space=space,
                    search_loop=search_loop,
                    photographs=photographs,
                    feed=feed,
                ),
            )
        ],
        verifier=TokenVerifier(settings.jwks_file, clock, provider=settings.identity_provider()),
        clock=clock,
        reflection=settings.reflection,
        max_message_bytes=PICTURE_MAX_MESSAGE_BYTES,
    )
    stack.push_async_callback(server.stop, _STOP_GRACE_S)
    await server.start()
    lifecycle.spawn("search", search_loop.run())
    lifecycle.spawn("feed", feed.follow())
    lifecycle.spawn("readiness", _serve_when_ready(server, search_loop))
    try:
        await photographs.load()
    except (PackError, AcceleratorUnavailable) as error:
        raise StartError(str(error)) from error
    await lifecycle.wait_for_stop()
    await server.stop(_STOP_GRACE_S)  # while the tasks that answer still live


async def _serve_when_ready(server: Server, search_loop: SearchLoop) -> None:
    await search_loop.ready.wait()
    await server.set_serving(serving=True)


def _prepared_pack(pack_id: str) -> ModelPack:
    try:
        pack = resolve_pack(pack_id)
        prepared = is_prepared(pack_id)
    except PackError as error:
        raise StartError(str(error)) from error
    if not prepared:
        raise StartError(
            f"the model pack {pack_id} is not prepared on this machine; "
            "`dfip up` prepares it, or start there once."
        )
    return pack
