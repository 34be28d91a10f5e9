"""Runs the plain reference of telemetry ingest (``bench.peers.plain_ingest``) under load."""

import asyncio
import os
import socket
import sys
import uuid
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import psutil
from sqlalchemy import insert
from sqlalchemy.ext.asyncio import create_async_engine

from bench.peers import plain_ingest
from bench.sites.http_load import Load, post, send_for

_ROOT = Path(__file__).resolve().parents[2]
_HOST = "127.0.0.1"
_FIRST = datetime.now(UTC).replace(microsecond=0) - timedelta(days=4)


async def prepare(url: str, cameras: int) -> list[uuid.UUID]:
    """Make the tables and the cameras of the reference."""
    engine = create_async_engine(url)
    ids = [uuid.uuid4() for _ in range(cameras)]
    async with engine.begin() as connection:
        await connection.run_sync(plain_ingest.Base.metadata.create_all)
        rows = [
            {"id": id_, "name": f"camera {at}", "desired_state": "running"}
            for at, id_ in enumerate(ids)
        ]
        await connection.execute(insert(plain_ingest.Camera), rows)
    await engine.dispose()
    return ids


@asynccontextmanager
async def running(url: str, workers: int) -> AsyncIterator[int]:
    """Run the reference until the block ends; yield its port."""
    with socket.socket() as probe:
        probe.bind((_HOST, 0))
        port = int(probe.getsockname()[1])
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "uvicorn", "bench.peers.plain_ingest:app"),
        *("--host", _HOST, "--port", str(port), "--workers", str(workers)),
        *("--loop", "uvloop", "--http", "httptools", "--no-access-log", "--log-level", "warning"),
        env=os.environ | {plain_ingest.DATABASE_VARIABLE: url},
        cwd=_ROOT,
    )
    try:
        await _listening(process, port)
        yield port
    finally:
        children = psutil.Process(process.pid).children(recursive=True)
        process.terminate()
        await process.wait()
        psutil.wait_procs(children, timeout=5)


async def load(port: int, ids: Sequence[uuid.UUID], seconds: float) -> Load:
    """Put load on it: a connection for each camera, one sample a request."""
    return await send_for(_HOST, port, [_Requests(id_) for id_ in ids], seconds)


class _Requests:
    def __init__(self, camera_id: uuid.UUID) -> None:
        self._path = f"/telemetry/{camera_id}"

    def __call__(self, number: int) -> bytes:
        return post(self._path, sample_body(number))


def sample_body(number: int) -> bytes:
    """Return the body of the sample with this number; each has a moment of its own."""
    moment = _FIRST + timedelta(milliseconds=100 * number)
    return (
        f'{{"timestamp":"{moment:%Y-%m-%dT%H:%M:%S.%f}Z","occupancy":{number % 7},'
        '"confidence":0.95}'
    ).encode()


async def _listening(process: asyncio.subprocess.Process, port: int) -> None:
    while process.returncode is None:
        try:
            _, writer = await asyncio.open_connection(_HOST, port)
        except OSError:
            await asyncio.sleep(0.05)  # nothing else tells when another program listens
        else:
            writer.close()
            return
    raise RuntimeError("the reference did not start; `make bench` installs what it needs")
