"""Walks the contracts: every RPC is reachable in each of its spellings, and in gRPC.

The services behind the edge answer every RPC with an empty message and say which one it was, so
this holds for whatever the contracts contain.
"""

import re
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

import grpc
import httpx
import pytest
import pytest_asyncio

from deploy.envoy.contracts import edge_methods
from tests.support.edge import running_edge
from tests.support.tokens import TestAuthority
from tests.transcoding.rooms import ROOMS

pytestmark = pytest.mark.asyncio(loop_scope="module")

METHODS = edge_methods(ROOMS)
SPELLINGS = [(method, binding) for method in METHODS for binding in method.bindings]
TEMPLATES = sorted({binding.template for _, binding in SPELLINGS})


@dataclass(frozen=True, slots=True, kw_only=True)
class AnswersAll(grpc.GenericRpcHandler):
    """Answers any RPC with an empty message, and tells itself and the RPC in the metadata."""

    room: str
    calls: list[tuple[str, str]]

    def service(self, handler_call_details: Any) -> Any:
        async def answer(requests: AsyncIterator[bytes], _: Any) -> AsyncIterator[bytes]:
            async for _request in requests:
                break
            # the edge's own health checks come whenever they like
            if not handler_call_details.method.startswith("/grpc.health."):
                self.calls.append((self.room, handler_call_details.method))
            yield b""

        return grpc.stream_stream_rpc_method_handler(answer)


@dataclass(frozen=True, slots=True, kw_only=True)
class Walk:
    client: httpx.AsyncClient
    channel: Any
    calls: list[tuple[str, str]]
    metadata: tuple[tuple[str, str], ...]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def walk(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Walk]:
    folder = tmp_path_factory.mktemp("walk")
    token = TestAuthority(folder).token("admin")
    calls: list[tuple[str, str]] = []
    servers = []
    clusters = {}
    for room in ROOMS:
        server = grpc.aio.server()
        server.add_generic_rpc_handlers((AnswersAll(room=room, calls=calls),))
        port = server.add_insecure_port("127.0.0.1:0")
        await server.start()
        servers.append(server)
        clusters[room] = f"127.0.0.1:{port}"
    async with (
        running_edge(folder, clusters=clusters) as edge,
        edge.client(token) as client,
        edge.channel() as channel,
    ):
        yield Walk(
            client=client,
            channel=channel,
            calls=calls,
            metadata=(("authorization", f"Bearer {token}"),),
        )
    for server in servers:
        await server.stop(0)


def filled(template: str) -> str:
    return re.sub(r"\{[^}]+\}", "3f0c2a9e-8d43-4d57-9d0e-0f6f0f6c8a11", template)


@pytest.mark.parametrize(
    ("method", "binding"), SPELLINGS, ids=[f"{b.verb} {b.template}" for _, b in SPELLINGS]
)
async def test_each_rest_spelling_reaches_its_rpc(walk: Walk, method: Any, binding: Any) -> None:
    walk.calls.clear()
    content = b"{}" if binding.verb in {"POST", "PATCH", "PUT"} else None
    response = await walk.client.request(binding.verb, filled(binding.template), content=content)
    assert walk.calls[-1:] == [(method.room, method.grpc_path)], response.text
    assert response.status_code == (201 if method.creates(binding) else 200)


@pytest.mark.parametrize("template", TEMPLATES)
async def test_each_path_says_what_it_takes(walk: Walk, template: str) -> None:
    response = await walk.client.put(filled(template))
    assert response.status_code == 405
    verbs = {binding.verb for _, binding in SPELLINGS if binding.template == template}
    assert response.headers["allow"] == ", ".join(sorted(verbs))


@pytest.mark.parametrize("method", METHODS, ids=[method.grpc_path for method in METHODS])
async def test_each_rpc_is_reachable_in_grpc(walk: Walk, method: Any) -> None:
    walk.calls.clear()
    call = walk.channel.stream_stream(method.grpc_path)(iter([b""]), metadata=walk.metadata)
    assert await call.read() == b""
    assert walk.calls == [(method.room, method.grpc_path)]
    call.cancel()
