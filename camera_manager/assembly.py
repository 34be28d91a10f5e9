"""Wires the manager: the only place that names concrete classes.

Start and stop are ordered: workers are adopted before anything is reconciled, and on a stop the
reconciler ends first, so that it cannot heal the workers that are being drained. A stop drains and
ends every worker; a manager that dies of its own fault leaves them to its successor.
"""

import asyncio
import os
import sys
from collections.abc import Iterable
from pathlib import Path

from camera_manager.camera_watch import CameraWatch
from camera_manager.leadership import Leadership, holder_name
from camera_manager.media.look_records import LookRecords
from camera_manager.media.servicer import MediaServicer
from camera_manager.media.worker_pictures import WorkerPictures
from camera_manager.plan import GRACE_S
from camera_manager.reconciler import Reconciler
from camera_manager.runtime_reports import RuntimeReports
from camera_manager.runtimes.process import ProcessRuntime
from camera_manager.servicer import ManagerServicer
from camera_manager.settings import ManagerSettings, worker_environment
from camera_manager.work_queue import WorkQueue
from camera_manager.worker_client import WorkerClient
from camera_manager.worker_tokens import WorkerTokens
from dfip.camera_manager.v1 import (
    manager_service_pb2,
    manager_service_pb2_grpc,
    media_service_pb2,
    media_service_pb2_grpc,
)
from dfip.control_plane.v1 import (
    audit_service_pb2_grpc,
    control_plane_service_pb2_grpc,
    lease_service_pb2_grpc,
)
from service_runtime.authentication import TokenVerifier
from service_runtime.backoff import Backoff
from service_runtime.clients import FileToken, open_channel
from service_runtime.clock import SystemClock
from service_runtime.lifecycle import STOPPED, Lifecycle, StartError
from service_runtime.server import Binding, Server
from service_runtime.settings import load_settings

WORKER_COMMAND = (sys.executable, "-m", "vision_worker")
_LAST_WORD_S = 1.0


async def run(lifecycle: Lifecycle) -> None:
    """Run the manager until the lifecycle ends."""
    settings = load_settings(ManagerSettings)
    clock = SystemClock()
    transport = settings.transport()
    token = FileToken(settings.token_file)
    runtime = ProcessRuntime(
        command=WORKER_COMMAND,
        environment=worker_environment(settings, os.environ),
        workers_dir=settings.workers_dir,
        sockets_dir=settings.worker_sockets_dir(),
        lifeline_fd=settings.lifeline_fd,
        calls=WorkerClient(token),
        clock=clock,
        log_max_bytes=settings.worker_log_max_bytes,
        cameras_per_worker=settings.cameras_per_worker,
    )
    channel = open_channel(
        settings.control_plane_target, token=token, transport=transport, peer="control_plane"
    )
    lifecycle.stack.push_async_callback(channel.close)
    stub = control_plane_service_pb2_grpc.ControlPlaneServiceStub(channel)

    queue = WorkQueue(clock)
    lifecycle.stack.callback(queue.close)
    # short waits: what is away here is a neighbour, and a change is to be seen within seconds
    neighbour_backoff = Backoff(initial_s=0.2, cap_s=3.0)

    def look_at(camera_ids: Iterable[str]) -> None:
        for camera_id in camera_ids:
            queue.add(camera_id)

    try:
        holder = holder_name(settings.workers_dir)
    except OSError as error:
        raise _unusable(settings.workers_dir, error) from error
    cameras = CameraWatch(stub=stub, clock=clock, backoff=neighbour_backoff, on_change=look_at)
    leadership = Leadership(
        stub=lease_service_pb2_grpc.LeaseServiceStub(channel),
        clock=clock,
        holder=holder,
        on_taken=cameras.relist,
    )
    reports = RuntimeReports(
        stub=stub,
        clock=clock,
        backoff=neighbour_backoff,
        leadership=leadership,
        on_refused=lambda _camera_ids: cameras.relist(),
    )
    reconciler = Reconciler(
        cameras=cameras,
        runtime=runtime,
        tokens=WorkerTokens(stub, leadership),
        reports=reports,
        leadership=leadership,
        queue=queue,
        clock=clock,
        worker_backoff=Backoff(initial_s=1.0, cap_s=300.0),
        error_backoff=neighbour_backoff,
    )
    server = Server(
        room="camera_manager",
        transport=transport,
        peers=("edge",),
        listen=settings.listen,
        bindings=[
            Binding.of(
                manager_service_pb2,
                manager_service_pb2_grpc,
                ManagerServicer(reconciler=reconciler, runtime=runtime),
            ),
            Binding.of(
                media_service_pb2,
                media_service_pb2_grpc,
                MediaServicer(
                    cameras=cameras,
                    runtime=runtime,
                    leadership=leadership,
                    pictures=WorkerPictures(token),
                    clock=clock,
                ),
            ),
        ],
        trail=LookRecords(audit_service_pb2_grpc.AuditServiceStub(channel)),
        verifier=TokenVerifier(settings.jwks_file, clock, provider=settings.identity_provider()),
        clock=clock,
        reflection=settings.reflection,
    )

    async def end_workers() -> None:
        await server.set_serving(serving=False)
        if lifecycle.exit_status != STOPPED:
            return  # the successor adopts them
        await runtime.close(grace_s=GRACE_S)
        for report in reconciler.ended_reports():
            reports.submit(report)
        await reports.flush(timeout=_LAST_WORD_S)
        await leadership.release()

    # a manager whose address is taken must not get as far as to other managers' workers
    await server.start()
    lifecycle.stack.push_async_callback(server.stop, 1.0)
    try:
        await runtime.open(queue.add)
    except OSError as error:
        raise _unusable(settings.workers_dir, error) from error
    lifecycle.stack.push_async_callback(end_workers)

    lifecycle.spawn("lead", leadership.run())
    lifecycle.spawn("watch cameras", cameras.run())
    lifecycle.spawn("report runtimes", reports.run())
    lifecycle.spawn("reconcile", reconciler.run())
    lifecycle.spawn("tend worker logs", runtime.tend_logs())
    lifecycle.spawn("tend shared workers", runtime.tend_shared())
    lifecycle.spawn("tell health", _serve_once_listed(cameras.listed, server))
    await lifecycle.wait_for_stop()


def _unusable(workers_dir: Path, error: OSError) -> StartError:
    return StartError(
        f"cannot use {error.filename or workers_dir}: {error.strerror}; set DFIP_WORKERS_DIR and"
        " DFIP_SOCKETS_DIR to folders that this user may write and no other manager uses"
    )


async def _serve_once_listed(listed: asyncio.Event, server: Server) -> None:
    await listed.wait()
    await server.set_serving(serving=True)
