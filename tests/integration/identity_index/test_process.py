"""``python -m identity_index`` as the supervisor sees it: exit statuses, health, end."""

import asyncio
import os
import signal
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator, Mapping
from pathlib import Path

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc

from dfip.identity_index.v1 import identity_index_service_pb2 as index_pb2
from dfip.identity_index.v1 import identity_index_service_pb2_grpc as index_grpc
from face_engine.preparation import prepare_pack
from service_runtime.clients import StaticToken, open_channel
from service_runtime.secret import Secret
from tests.integration.identity_index.conftest import SPACE, ControlPlane
from tests.support.tokens import TestAuthority
from tests.unit.identity_index.vectors import faces_of, unit_vectors

_ROOT = Path(__file__).parents[3]
_SERVING = health_pb2.HealthCheckResponse.SERVING
_NOT_SERVING = health_pb2.HealthCheckResponse.NOT_SERVING


async def start(environ: Mapping[str, str]) -> Process:
    inherited = {name: value for name, value in os.environ.items() if name[:5] != "DFIP_"}
    return await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "identity_index",
        cwd=_ROOT,
        env={**inherited, "PYTHONPATH": f"{_ROOT}:{_ROOT}/proto/gen", **environ},
        stdout=PIPE,
        stderr=PIPE,
    )


async def outcome(environ: Mapping[str, str]) -> tuple[int, str]:
    """Run a process that cannot start to its end; return its status and its last words."""
    process = await start(environ)
    _, errors = await asyncio.wait_for(process.communicate(), 60)
    text = errors.decode()
    assert "Traceback" not in text
    assert process.returncode is not None
    return process.returncode, text.strip().splitlines()[-1]


@pytest.fixture
def environ(
    control_plane: ControlPlane, authority: TestAuthority, tmp_path: Path
) -> dict[str, str]:
    token_file = tmp_path / "index.token"
    token_file.write_text(authority.token("index"))
    return {
        "DFIP_LISTEN": f"unix:{tmp_path}/index.sock",
        "DFIP_JWKS_FILE": str(authority.jwks_file),
        "DFIP_TOKEN_FILE": str(token_file),
        "DFIP_CONTROL_PLANE_TARGET": control_plane.address,
    }


@pytest.fixture
async def service(environ: dict[str, str]) -> AsyncIterator[Process]:
    prepare_pack("builtin")
    process = await start(environ)
    yield process
    if process.returncode is None:
        process.kill()
    await process.communicate()


async def test_missing_settings_are_named() -> None:
    status, sentence = await outcome({})
    assert status == 2
    assert "DFIP_LISTEN is not set" in sentence
    assert "DFIP_CONTROL_PLANE_TARGET is not set" in sentence


async def test_a_pack_that_is_not_prepared(environ: dict[str, str], tmp_path: Path) -> None:
    status, sentence = await outcome({**environ, "DFIP_CACHE_DIR": str(tmp_path / "empty")})
    assert status == 2
    assert "the model pack builtin is not prepared" in sentence
    assert "dfip up" in sentence


async def test_a_pack_that_nobody_knows(environ: dict[str, str]) -> None:
    status, sentence = await outcome({**environ, "DFIP_PACK": "nonsense"})
    assert status == 2
    assert "nonsense" in sentence


async def test_an_address_that_is_taken(
    environ: dict[str, str], control_plane: ControlPlane
) -> None:
    prepare_pack("builtin")
    status, sentence = await outcome({**environ, "DFIP_LISTEN": control_plane.address})
    assert status == 1
    assert "cannot listen" in sentence


async def test_it_serves_with_the_first_snapshot_and_stops_on_sigterm(
    service: Process,
    environ: dict[str, str],
    control_plane: ControlPlane,
    authority: TestAuthority,
) -> None:
    faces = faces_of(unit_vectors(3, 128))
    watch = await control_plane.faces.next_call()
    token = StaticToken(Secret(authority.token("worker")))
    async with open_channel(environ["DFIP_LISTEN"], token=token) as channel:
        changes = health_pb2_grpc.HealthStub(channel).Watch(
            health_pb2.HealthCheckRequest(service="dfip.identity_index.v1.IdentityIndexService"),
            wait_for_ready=True,
            timeout=60,
        )
        assert (await changes.read()).status == _NOT_SERVING
        watch.tell(SPACE, added=faces, revision=3)
        assert (await changes.read()).status == _SERVING
        stub = index_grpc.IdentityIndexServiceStub(channel)
        identify = stub.Identify()
        search = index_pb2.SearchRequest(probes=SPACE.write(faces[1].embedding[None]), k=1)
        await identify.write(index_pb2.IdentifyRequest(search=search))
        answer = await identify.read()
        assert answer.search.results[0].candidates[0].face_id == faces[1].face_id
        service.send_signal(signal.SIGTERM)  # with a stream open, as workers have them
        assert await asyncio.wait_for(service.wait(), 8) == 0
        with pytest.raises(grpc.aio.AioRpcError):
            await identify.read()
