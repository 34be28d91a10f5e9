"""A scripted control plane and an index that follows it, both real servers on loopback."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from dfip.control_plane.v1 import person_service_pb2, person_service_pb2_grpc
from dfip.identity_index.v1 import identity_index_service_pb2 as index_pb2
from dfip.identity_index.v1 import identity_index_service_pb2_grpc as index_grpc
from face_engine.engine import open_engine
from face_engine.packs import resolve_pack
from face_engine.preparation import prepare_pack
from identity_index.embeddings import EmbeddingSpace
from identity_index.feed import GalleryFeed
from identity_index.photographs import PhotographDesk
from identity_index.search_loop import SearchLoop
from identity_index.servicer import IdentityIndexServicer
from service_runtime.authentication import TokenVerifier
from service_runtime.backoff import Backoff
from service_runtime.clients import StaticToken, open_channel
from service_runtime.clock import Clock, SystemClock
from service_runtime.limits import PICTURE_MAX_MESSAGE_BYTES
from service_runtime.secret import Secret
from service_runtime.server import Binding, Server
from tests.integration.identity_index.scripted_faces import ScriptedFaces
from tests.support.tokens import TestAuthority

SPACE = EmbeddingSpace(pack_id="builtin", dimension=128)


@dataclass(frozen=True, slots=True, kw_only=True)
class ControlPlane:
    """The scripted control plane, and where it listens."""

    faces: ScriptedFaces
    address: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Index:
    """A running index, and stubs that call it in a role."""

    search_loop: SearchLoop
    feed: GalleryFeed
    as_worker: Any
    as_control_plane: Any
    as_operator: Any


@pytest.fixture
def authority(tmp_path: Path) -> TestAuthority:
    return TestAuthority(tmp_path)


@pytest.fixture
async def control_plane(authority: TestAuthority) -> AsyncIterator[ControlPlane]:
    clock = SystemClock()
    faces = ScriptedFaces()
    server = Server(
        room="control_plane",
        listen="127.0.0.1:0",
        bindings=[
            Binding(
                descriptor=person_service_pb2.DESCRIPTOR.services_by_name["PersonService"],
                add=person_service_pb2_grpc.add_PersonServiceServicer_to_server,
                servicer=faces,
            )
        ],
        verifier=TokenVerifier(authority.jwks_file, clock),
        clock=clock,
    )
    await server.start()
    yield ControlPlane(faces=faces, address=server.address)
    await server.stop(0)


@pytest.fixture
def feed_clock() -> Clock:
    return SystemClock()


@pytest.fixture
async def index(
    authority: TestAuthority, control_plane: ControlPlane, feed_clock: Clock
) -> AsyncIterator[Index]:
    clock = SystemClock()
    prepare_pack("builtin")
    search_loop = SearchLoop(dimension=SPACE.dimension, threads=1, clock=clock)
    photographs = PhotographDesk(lambda: open_engine("builtin", accelerator="cpu"))
    to_control_plane = open_channel(
        control_plane.address, token=StaticToken(Secret(authority.token("index")))
    )
    feed = GalleryFeed(
        stub=person_service_pb2_grpc.PersonServiceStub(to_control_plane),
        search_loop=search_loop,
        space=SPACE,
        clock=feed_clock,
        backoff=Backoff(initial_s=0.01, cap_s=0.01),
    )
    server = Server(
        room="identity_index",
        listen="127.0.0.1:0",
        bindings=[
            Binding(
                descriptor=index_pb2.DESCRIPTOR.services_by_name["IdentityIndexService"],
                add=index_grpc.add_IdentityIndexServiceServicer_to_server,
                servicer=IdentityIndexServicer(
                    pack=resolve_pack("builtin"),
                    space=SPACE,
                    search_loop=search_loop,
                    photographs=photographs,
                    feed=feed,
                ),
            )
        ],
        verifier=TokenVerifier(authority.jwks_file, clock),
        clock=clock,
        max_message_bytes=PICTURE_MAX_MESSAGE_BYTES,
    )
    await server.start()
    channels = [
        open_channel(
            server.address,
            token=StaticToken(Secret(authority.token(role))),
            max_message_bytes=PICTURE_MAX_MESSAGE_BYTES,
        )
        for role in ("worker", "control_plane", "operator")
    ]
    worker, plane, operator = (index_grpc.IdentityIndexServiceStub(c) for c in channels)
    tasks = [asyncio.create_task(search_loop.run()), asyncio.create_task(feed.follow())]
    yield Index(
        search_loop=search_loop,
        feed=feed,
        as_worker=worker,
        as_control_plane=plane,
        as_operator=operator,
    )
    for channel in channels:
        await channel.close()
    await server.stop(0)
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    await to_control_plane.close()
    search_loop.close()
    photographs.close()
