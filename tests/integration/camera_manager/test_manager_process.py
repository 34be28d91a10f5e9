"""``python -m camera_manager`` as it is run: real processes, real contracts, a small control plane.

The workers are a stand-in that is imported under the name of ``vision_worker``.
"""

import asyncio
import contextlib
import os
import signal
import sys
import tempfile
from collections.abc import AsyncGenerator, AsyncIterator
from pathlib import Path
from typing import Any

import grpc
import psutil
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc

from control_plane.database import Database
from control_plane.engines.sqlite import SqliteEngine
from control_plane.leases.servicer import LeaseServicer
from control_plane.leases.store import LeaseStore
from dfip.camera_manager.v1 import manager_service_pb2, manager_service_pb2_grpc
from dfip.control_plane.v1 import (
    control_plane_service_pb2,
    control_plane_service_pb2_grpc,
    lease_service_pb2,
    lease_service_pb2_grpc,
)
from service_runtime.authentication import TokenVerifier
from service_runtime.clients import StaticToken, open_channel
from service_runtime.clock import SystemClock
from service_runtime.identifiers import new_id
from service_runtime.secret import Secret
from service_runtime.server import Binding, Server
from tests.integration.camera_manager.processes import PATIENCE_S, living, until
from tests.support.database import place_database
from tests.support.tokens import TestAuthority
from tests.unit.camera_manager.fake_control_plane import FakeControlPlane

_REPOSITORY = Path(__file__).resolve().parents[3]


class Mesh:
    """A control plane in this process, and a manager in its own."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.plane = FakeControlPlane()
        self.authority = TestAuthority(folder)
        self.manager: asyncio.subprocess.Process
        (folder / "manager.token").write_text(self.authority.token("manager"))
        package = folder / "path" / "vision_worker"
        package.mkdir(parents=True)
        (package / "__init__.py").write_text("")
        (package / "__main__.py").write_text(
            "from tests.integration.camera_manager.stand_in_vision_worker import main\nmain()\n"
        )
        clock = SystemClock()
        place_database(folder / "dfip.db")
        self.database = Database(SqliteEngine(folder / "dfip.db"), clock)
        contract = control_plane_service_pb2.DESCRIPTOR
        self.server = Server(
            room="control_plane",
            listen=f"unix:{folder}/cp.sock",
            bindings=[
                Binding.of(
                    lease_service_pb2,
                    lease_service_pb2_grpc,
                    LeaseServicer(LeaseStore(self.database), clock),
                ),
                Binding(
                    descriptor=contract.services_by_name["ControlPlaneService"],
                    add=control_plane_service_pb2_grpc.add_ControlPlaneServiceServicer_to_server,
                    servicer=self.plane,
                ),
            ],
            verifier=TokenVerifier(self.authority.jwks_file, clock),
            clock=clock,
        )

    @property
    def environment(self) -> dict[str, str]:
        return {
            "PATH": os.environ["PATH"],
            "PYTHONPATH": os.pathsep.join([str(self.folder / "path"), *sys.path]),
            "DFIP_LISTEN": f"unix:{self.folder}/m.sock",
            "DFIP_JWKS_FILE": str(self.authority.jwks_file),
            "DFIP_TOKEN_FILE": str(self.folder / "manager.token"),
            "DFIP_CONTROL_PLANE_TARGET": f"unix:{self.folder}/cp.sock",
            "DFIP_INDEX_TARGET": f"unix:{self.folder}/i.sock",
            "DFIP_WORKERS_DIR": str(self.folder / "workers"),
            "DFIP_MEDIA_ROOT": str(self.folder),
        }

    async def start_manager(self, **environment: str) -> None:
        self.manager = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "camera_manager",
            cwd=self.folder,
            env=self.environment | environment,
            stderr=asyncio.subprocess.PIPE,
        )

    async def worker(self, camera_id: str, *, other_than: int = 0) -> int:
        """Wait for a worker that is ready, and return its process id."""
        ready = self.folder / "workers" / camera_id / "ready"
        return await noted(ready, other_than=other_than)

    def channel(self, role: str = "operator") -> Any:
        token = StaticToken(Secret(self.authority.token(role)))
        return open_channel(f"unix:{self.folder}/m.sock", token=token)

    async def health(self) -> AsyncGenerator[int]:
        """Yield the manager's health now and at every change."""
        async with open_channel(f"unix:{self.folder}/m.sock") as channel:
            request = health_pb2.HealthCheckRequest(service="dfip.camera_manager.v1.ManagerService")
            stub = health_pb2_grpc.HealthStub(channel)
            async for answer in stub.Watch(request, wait_for_ready=True, timeout=30):
                yield answer.status

    async def until_serving(self) -> None:
        async with contextlib.aclosing(self.health()) as changes:
            async for status in changes:
                if status == health_pb2.HealthCheckResponse.SERVING:
                    return

    async def until_running(self) -> Any:
        """Wait until the manager acts, which it may a moment after it serves; return its status."""
        async with self.channel() as channel, asyncio.timeout(PATIENCE_S):
            stub: Any = manager_service_pb2_grpc.ManagerServiceStub(channel)
            while True:
                status = await stub.GetManagerStatus(manager_service_pb2.GetManagerStatusRequest())
                if status.data.is_running:
                    return status
                await asyncio.sleep(0.05)

    async def end(self) -> tuple[int, str]:
        """Tell the manager to end; return its status and what it said."""
        if self.manager.returncode is None:
            self.manager.terminate()
        _, said = await self.manager.communicate()
        assert self.manager.returncode is not None
        return self.manager.returncode, said.decode()


@contextlib.asynccontextmanager
async def running_mesh(**environment: str) -> AsyncIterator[Mesh]:
    with tempfile.TemporaryDirectory(prefix="cm-") as name:  # short: sockets lie in it
        mesh = Mesh(Path(name))
        await mesh.database.open()
        await mesh.server.start()
        await mesh.start_manager(**environment)
        try:
            yield mesh
        finally:
            await mesh.end()
            await mesh.server.stop(0)
            await mesh.database.close()
            for process in psutil.process_iter(["cwd"]):
                if (process.info["cwd"] or "").startswith(name):
                    process.kill()


async def test_a_camera_lives_through_the_deaths_of_its_worker_and_its_manager() -> None:
    camera = new_id()
    async with running_mesh() as mesh:
        await mesh.until_serving()
        mesh.plane.put(camera)
        first = await mesh.worker(camera)
        await until(lambda: mesh.plane.cameras[camera].row.worker_status == "starting")
        cmdline = psutil.Process(first).cmdline()
        assert cmdline[1:] == ["-m", "vision_worker"]
        assert "token-of" not in repr(psutil.Process(first).environ())

        os.kill(first, signal.SIGKILL)
        second = await mesh.worker(camera, other_than=first)
        assert mesh.plane.cameras[camera].epoch == 2

        mesh.manager.kill()
        await mesh.end()
        assert living(second)
        await mesh.start_manager()
        await mesh.until_serving()
        status = await mesh.until_running()
        assert living(second)
        assert mesh.plane.cameras[camera].epoch == 2
        assert (status.success, status.data.is_running, status.data.worker_count) == (True, True, 1)
        (worker,) = status.data.workers
        assert worker.camera_id == camera
        assert worker.podName == f"camera-worker-{camera}"
        assert (worker.namespace, worker.image) == ("local", "process")
        created = psutil.Process(second).create_time()
        assert abs(worker.createdAt.ToDatetime().timestamp() - created) < 86_400

        async with mesh.channel() as channel:
            stub = manager_service_pb2_grpc.ManagerServiceStub(channel)
            answer = await stub.RestartWorker(
                manager_service_pb2.RestartWorkerRequest(camera_id=camera)
            )
        assert answer.success
        assert not living(second)
        folder = mesh.folder / "workers" / camera
        assert (folder / "drained").read_text() == "restart"
        third = await mesh.worker(camera, other_than=second)

        status_code, said = await mesh.end()
        assert status_code == 0
        assert not living(third)
        assert (folder / "drained").read_text() == "manager stopped"
        assert mesh.plane.cameras[camera].row.worker_status == "stopped"
        assert "token-of" not in said


async def test_a_disabled_camera_is_drained_and_a_removed_one_leaves_nothing() -> None:
    camera, other = new_id(), new_id()
    async with running_mesh() as mesh:
        mesh.plane.put(camera)
        mesh.plane.put(other)
        pid, other_pid = await mesh.worker(camera), await mesh.worker(other)
        mesh.plane.put(camera, wanted=False)
        await until(lambda: mesh.plane.cameras[camera].row.worker_status == "stopped")
        assert not living(pid)
        assert (mesh.folder / "workers" / camera / "drained").read_text() == "stopped"
        mesh.plane.remove(other)
        await until(lambda: not (mesh.folder / "workers" / other).exists())
        assert not living(other_pid)


async def test_cameras_that_share_a_process_live_and_die_by_the_same_rules() -> None:
    one, two = new_id(), new_id()
    shared = {"DFIP_CAMERAS_PER_WORKER": "4"}
    async with running_mesh(**shared) as mesh:
        slot = mesh.folder / "workers" / "packed-0001"
        mesh.plane.put(one)
        mesh.plane.put(two)
        pid = await noted(slot / f"taken-{one}")
        assert await noted(slot / f"taken-{two}") == pid
        assert "token-of" not in repr(psutil.Process(pid).environ())

        mesh.manager.kill()
        await mesh.end()
        await mesh.start_manager(**shared)
        await mesh.until_serving()
        status = await mesh.until_running()
        assert {worker.camera_id for worker in status.data.workers} == {one, two}
        assert {worker.podName for worker in status.data.workers} == {
            f"camera-worker-{one}", f"camera-worker-{two}",
        }  # fmt: skip
        assert [mesh.plane.cameras[name].epoch for name in (one, two)] == [1, 1]

        mesh.plane.put(one, wanted=False)
        await until(lambda: mesh.plane.cameras[one].row.worker_status == "stopped")
        assert (slot / f"dropped-{one}").read_text() == "stopped"
        assert living(pid)

        os.kill(pid, signal.SIGKILL)
        assert await noted(slot / f"taken-{two}", other_than=pid) != pid
        assert mesh.plane.cameras[two].epoch == 2
        status_code, said = await mesh.end()
        assert status_code == 0
        assert (slot / "drained").read_text() == "manager stopped"
        assert mesh.plane.cameras[two].row.worker_status == "stopped"
        assert "token-of" not in said


async def noted(path: Path, *, other_than: int = 0) -> int:
    """Wait for a process id in a worker's note, and return it."""

    def held() -> int:
        return int(path.read_text()) if path.exists() else other_than

    await until(lambda: held() != other_than)
    return held()


async def test_who_may_ask_what() -> None:
    async with running_mesh() as mesh:
        await mesh.until_serving()
        async with mesh.channel("viewer") as channel:
            stub = manager_service_pb2_grpc.ManagerServiceStub(channel)
            with pytest.raises(grpc.aio.AioRpcError) as refused:
                await stub.GetManagerStatus(manager_service_pb2.GetManagerStatusRequest())
            assert refused.value.code() is grpc.StatusCode.PERMISSION_DENIED
        async with mesh.channel("operator") as channel:
            stub = manager_service_pb2_grpc.ManagerServiceStub(channel)
            for camera_id in ("no-uuid", new_id()):
                with pytest.raises(grpc.aio.AioRpcError) as unknown:
                    await stub.RestartWorker(
                        manager_service_pb2.RestartWorkerRequest(camera_id=camera_id)
                    )
                assert unknown.value.code() is grpc.StatusCode.NOT_FOUND


async def test_without_a_control_plane_it_waits_does_not_serve_and_ends_when_told() -> None:
    async with running_mesh() as mesh:
        await mesh.server.stop(0)
        await mesh.end()
        await mesh.start_manager()
        async with contextlib.aclosing(mesh.health()) as changes:
            assert await anext(changes) == health_pb2.HealthCheckResponse.NOT_SERVING
        assert (await mesh.end())[0] == 0


@pytest.mark.parametrize(
    ("environment", "sentence"),
    [
        ({"DFIP_WORKERS_DIR": ""}, "the settings are not right: DFIP_WORKERS_DIR is not set"),
        ({"DFIP_SOCKETS_DIR": "/" + "long" * 30}, "DFIP_SOCKETS_DIR is too long for a socket"),
        ({"DFIP_WORKERS_DIR": "manager.token/workers"}, "set DFIP_WORKERS_DIR and DFIP_SOCKETS"),
    ],
)
async def test_wrong_settings_end_it_with_one_clear_sentence(
    environment: dict[str, str], sentence: str
) -> None:
    async with running_mesh() as mesh:
        await mesh.end()
        await mesh.start_manager(**environment)
        _, said = await mesh.manager.communicate()
        assert mesh.manager.returncode == 2
        assert sentence in said.decode()
        assert "Traceback" not in said.decode()


async def test_a_second_manager_on_the_same_folder_says_so_and_touches_nothing() -> None:
    camera = new_id()
    async with running_mesh() as mesh:
        await mesh.until_serving()
        mesh.plane.put(camera)
        worker = await mesh.worker(camera)
        second = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "camera_manager",
            cwd=mesh.folder,
            env=mesh.environment | {"DFIP_LISTEN": f"unix:{mesh.folder}/m2.sock"},
            stderr=asyncio.subprocess.PIPE,
        )
        _, said = await second.communicate()
        assert second.returncode == 2
        assert "another camera manager uses it" in said.decode()
        assert living(worker)


async def test_a_second_manager_stands_by_and_takes_over_at_once_from_one_that_stops() -> None:
    camera = new_id()
    async with running_mesh() as mesh:
        await mesh.until_serving()
        mesh.plane.put(camera)
        first = await mesh.worker(camera)
        second = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "camera_manager",
            cwd=mesh.folder,
            env=mesh.environment
            | {
                "DFIP_LISTEN": f"unix:{mesh.folder}/m2.sock",
                "DFIP_WORKERS_DIR": str(mesh.folder / "elsewhere"),
                "DFIP_SOCKETS_DIR": str(mesh.folder / "s2"),
            },
            stderr=asyncio.subprocess.PIPE,
        )
        try:
            assert second.stderr is not None
            async with asyncio.timeout(30):
                while b"leadership.standing_by" not in await second.stderr.readline():
                    pass
            assert mesh.plane.cameras[camera].epoch == 1  # it has not touched the camera
            assert (await mesh.end())[0] == 0
            ready = mesh.folder / "elsewhere" / camera / "ready"
            await until(ready.exists)
            assert mesh.plane.cameras[camera].epoch == 2
            assert not living(first)
        finally:
            second.terminate()
            await second.communicate()
