"""``python -m control_plane`` as a process: it prepares itself, serves, and ends when told."""

import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from sqlalchemy import text

from dfip.control_plane.v1 import control_plane_service_pb2 as pb
from dfip.control_plane.v1.control_plane_service_pb2_grpc import ControlPlaneServiceStub
from service_runtime.clients import FileToken, open_channel
from tests.integration.control_plane.conftest import RTSP
from tests.support.control_plane import running_control_plane

ROOT = Path(__file__).resolve().parents[3]


def environment(folder: Path, socket: Path) -> dict[str, str]:
    return os.environ | {
        "PYTHONPATH": f"{ROOT}:{ROOT / 'proto' / 'gen'}",
        "DFIP_LISTEN": f"unix:{socket}",
        "DFIP_DATA_DIR": str(folder / "data"),
        "DFIP_TOKENS_DIR": str(folder / "tokens"),
        "DFIP_JWKS_FILE": str(folder / "jwks.json"),
        "DFIP_MEDIA_ROOT": str(folder / "media"),
        "DFIP_INDEX_TARGET": f"unix:{folder}/index.sock",
    }


@asynccontextmanager
async def started(environ: dict[str, str]) -> AsyncIterator[asyncio.subprocess.Process]:
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "control_plane",
        env=environ,
        cwd=ROOT,
        stderr=asyncio.subprocess.PIPE,
    )
    try:
        yield process
    finally:
        if process.returncode is None:
            process.kill()
        await process.communicate()


@pytest.fixture
def socket(tmp_path_factory: pytest.TempPathFactory) -> Path:
    short = tmp_path_factory.mktemp("s") / "c"
    if len(str(short)) > 100:
        pytest.skip("the temporary folder's name is too long for a socket")
    return short


async def test_serves_from_nothing_and_keeps_what_it_acknowledged(
    tmp_path: Path, socket: Path
) -> None:
    environ = environment(tmp_path, socket)
    admin = FileToken(tmp_path / "data" / "admin.token")
    for how in (signal.SIGKILL, signal.SIGTERM):
        async with (
            started(environ) as process,
            open_channel(f"unix:{socket}", token=None) as probe,
        ):
            await probe.channel_ready()
            async with open_channel(f"unix:{socket}", token=admin) as channel:
                cameras = ControlPlaneServiceStub(channel)
                request = pb.CreateCameraRequest(name=how.name, connection_string=RTSP)
                await cameras.CreateCamera(request)
                listed = [c.name async for c in cameras.ListCameras(pb.ListCamerasRequest())]
            process.send_signal(how)
            await process.communicate()
            assert process.returncode == (-signal.SIGKILL if how == signal.SIGKILL else 0)
    assert listed == ["SIGKILL", "SIGTERM"]


async def test_bad_settings_are_one_sentence(tmp_path: Path, socket: Path) -> None:
    environ = environment(tmp_path, socket) | {"DFIP_EVENT_ROWS": "many"}
    del environ["DFIP_MEDIA_ROOT"]
    async with started(environ) as process:
        _, errors = await process.communicate()
    assert process.returncode == 2
    last = errors.decode().splitlines()[-1]
    assert "DFIP_MEDIA_ROOT is not set" in last
    assert "DFIP_EVENT_ROWS must be a whole number" in last
    assert "Traceback" not in errors.decode()


@pytest.mark.parametrize("broken", ["dfip.db", "keys/master.key", "keys/signing.pem", "blobs"])
async def test_what_cannot_be_used_is_named(tmp_path: Path, socket: Path, broken: str) -> None:
    file = tmp_path / "data" / broken
    file.parent.mkdir(parents=True)
    file.write_bytes(b"nonsense" * 1000)
    async with started(environment(tmp_path, socket)) as process:
        _, errors = await process.communicate()
    assert process.returncode in {1, 2}
    last = errors.decode().splitlines()[-1]
    assert str(file) in last
    assert "Traceback" not in errors.decode()


async def test_a_data_directory_has_one_control_plane(tmp_path: Path, socket: Path) -> None:
    second = environment(tmp_path, socket)
    async with running_control_plane(tmp_path), started(second) as process:
        _, errors = await process.communicate()
    assert process.returncode == 2
    assert "another control plane uses" in errors.decode().splitlines()[-1]


async def test_a_database_of_a_later_version_is_left_alone(tmp_path: Path, socket: Path) -> None:
    later = text("UPDATE alembic_version SET version_num = '9999'")
    async with (
        running_control_plane(tmp_path) as running,
        running.control_plane.parts.database.write() as tx,
    ):
        await tx.session.execute(later)
    async with started(environment(tmp_path, socket)) as process:
        _, errors = await process.communicate()
    assert process.returncode == 2
    assert "another version of dfip" in errors.decode().splitlines()[-1]
