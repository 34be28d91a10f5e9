"""The gateway: who may connect, what is told, what is acknowledged, and whose word counts."""

import asyncio
from pathlib import Path
from typing import Any

import grpc
import pytest
from google.protobuf.json_format import MessageToDict
from sqlalchemy import func, select

from control_plane.runtime.tables import CameraRuntimeRow
from control_plane.sightings.tables import SightingRow
from dfip.control_plane.v1 import control_plane_service_pb2, person_service_pb2
from dfip.control_plane.v1 import worker_gateway_service_pb2 as pb
from dfip.control_plane.v1.person_service_pb2_grpc import PersonServiceStub
from dfip.control_plane.v1.worker_gateway_service_pb2_grpc import WorkerGatewayServiceStub
from service_runtime.identifiers import new_id
from tests.integration.control_plane.conftest import RTSP, Site
from tests.support.control_plane import running_control_plane
from tests.support.refusals import refused
from tests.support.sightings import report
from tests.support.virtual_clock import VirtualClock


class Worker:
    """One end of the gateway's stream."""

    def __init__(self, site: Site, token: str, session_id: str = "") -> None:
        self.session_id = session_id or new_id()
        self._call: Any = WorkerGatewayServiceStub(site.running.channel(token=token)).Connect()

    async def say(self, **message: Any) -> None:
        await self._call.write(pb.ConnectRequest(**message))

    async def hello(self, camera_id: str) -> None:
        hello = pb.WorkerHello(
            session_id=self.session_id, camera_id=camera_id, pod_name=f"camera-worker-{camera_id}"
        )
        await self.say(hello=hello)

    async def beat(self, status: str = "running", health: str = "healthy", **fields: Any) -> None:
        values = {"failure_reason": "none"} | fields
        await self.say(
            heartbeat=pb.WorkerHeartbeat(worker_status=status, health_status=health, **values)
        )

    async def hear(self) -> pb.ConnectResponse:
        message = await self._call.read()
        if message is grpc.aio.EOF:
            await self._call.wait_for_connection()
            raise AssertionError(f"the stream ended: {await self._call.code()}")
        assert isinstance(message, pb.ConnectResponse)
        return message

    async def send(self, sequence: int, *reports: pb.SightingReport) -> int:
        await self.say(sightings=pb.SightingBatch(sequence=sequence, sightings=reports))
        return (await self.hear()).acknowledgement.sequence

    async def leave(self) -> None:
        await self._call.done_writing()
        assert await self._call.read() is grpc.aio.EOF
        assert await self._call.code() == grpc.StatusCode.OK


async def connected(site: Site, camera_id: str) -> tuple[Worker, pb.Assignment]:
    token, _ = await site.worker_token(camera_id)
    worker = Worker(site, token)
    await worker.hello(camera_id)
    return worker, (await worker.hear()).assignment


async def until(site: Site, camera_id: str, **expected: Any) -> None:
    """Wait until the runtime is seen as expected; a heartbeat has no answer to wait for."""
    while True:
        runtime = await site.runtime(camera_id)
        if all(getattr(runtime, key) == value for key, value in expected.items()):
            return


async def update(site: Site, camera_id: str, **change: Any) -> None:
    request = control_plane_service_pb2.UpdateCameraRequest(camera_id=camera_id, **change)
    await site.cameras().UpdateCamera(request)


async def count_sightings(site: Site) -> int:
    async with site.running.control_plane.parts.database.read() as session:
        return await session.scalar(select(func.count()).select_from(SightingRow)) or 0


async def test_a_worker_is_told_its_camera_with_defaults_filled_in(site: Site) -> None:
    zones = [{"name": "door", "polygon": [[0, 0], [1, 0], [0.5, 1]]}]
    camera_id = await site.camera(zone_config={"zones": zones})
    _, assignment = await connected(site, camera_id)
    assert (assignment.camera_id, assignment.epoch, assignment.generation) == (camera_id, 1, 1)
    assert assignment.connection_string == RTSP
    config = assignment.model_config
    assert (config.pack_id, config.sample_fps, config.min_face_px) == ("builtin", 5, 40)
    assert (config.accelerator, config.accelerator_required) == ("auto", False)
    assert MessageToDict(assignment.zone_config) == {"zones": zones}


async def test_a_worker_that_the_manager_started_is_told_what_people_are_called(
    site: Site,
) -> None:
    persons: Any = PersonServiceStub(site.running.channel())
    created = await persons.CreatePerson(person_service_pb2.CreatePersonRequest(name="Ada"))
    camera_id = await site.camera()
    token, _ = await site.worker_token(camera_id)
    request = pb.NamePeopleRequest(person_ids=[created.data.id, "nobody", camera_id])
    gateway: Any = WorkerGatewayServiceStub(site.running.channel(token=token))
    assert dict((await gateway.NamePeople(request)).names) == {created.data.id: "Ada"}
    assert not (await gateway.NamePeople(pb.NamePeopleRequest())).names
    own = site.running.channel("worker", camera_id=camera_id, epoch=1)
    with refused(grpc.StatusCode.PERMISSION_DENIED, "TOKEN_FOR_HEARTBEATS"):
        await WorkerGatewayServiceStub(own).NamePeople(request)
    await site.worker_token(camera_id)  # another worker has the camera now
    with refused(grpc.StatusCode.FAILED_PRECONDITION, "STALE_EPOCH"):
        await gateway.NamePeople(request)


async def test_a_worker_is_told_what_changes_for_it_and_nothing_else(site: Site) -> None:
    camera_id = await site.camera()
    other = await site.camera("other")
    worker, _ = await connected(site, camera_id)
    await update(site, other, connection_string="rtsp://elsewhere/")
    await update(site, camera_id, name="only people care")
    await update(site, camera_id, connection_string="rtsp://new/", model_config={"sample_fps": 2})
    assignment = (await worker.hear()).assignment
    assert (assignment.generation, assignment.connection_string) == (2, "rtsp://new/")
    assert assignment.model_config.sample_fps == 2


async def test_a_living_worker_is_told_to_retry(site: Site) -> None:
    camera_id = await site.camera()
    worker, _ = await connected(site, camera_id)
    request = control_plane_service_pb2.RetryCameraRequest(camera_id=camera_id)
    await site.cameras().RetryCamera(request)
    assert (await worker.hear()).HasField("retry")


async def test_a_retry_from_before_is_no_news(site: Site) -> None:
    camera_id = await site.camera()
    request = control_plane_service_pb2.RetryCameraRequest(camera_id=camera_id)
    await site.cameras().RetryCamera(request)
    worker, _ = await connected(site, camera_id)
    assert await worker.send(1, report("unknown")) == 1


@pytest.mark.parametrize("reason", ["stopped", "deleted", "superseded"])
async def test_a_worker_is_told_to_drain(site: Site, reason: str) -> None:
    camera_id = await site.camera()
    worker, _ = await connected(site, camera_id)
    if reason == "stopped":
        await update(site, camera_id, desired_state="stopped")
    elif reason == "deleted":
        request = control_plane_service_pb2.DeleteCameraRequest(camera_id=camera_id)
        await site.cameras().DeleteCamera(request)
    else:
        await site.worker_token(camera_id)
    assert (await worker.hear()).drain.reason == reason


async def test_a_draining_worker_may_report_what_is_left(site: Site) -> None:
    camera_id = await site.camera()
    worker, _ = await connected(site, camera_id)
    await update(site, camera_id, desired_state="stopped")
    assert (await worker.hear()).HasField("drain")
    assert await worker.send(1, report("unknown")) == 1
    await worker.beat("stopping", "unknown")
    await until(site, camera_id, worker_status="stopping")
    await worker.leave()
    assert await count_sightings(site) == 1


async def test_the_hello_must_come_first_and_soon(site: Site) -> None:
    camera_id = await site.camera()
    token, _ = await site.worker_token(camera_id)
    rude = Worker(site, token)
    await rude.beat()
    with refused(grpc.StatusCode.INVALID_ARGUMENT, "HELLO_MISSING"):
        await rude._call.read()
    silent = Worker(site, token)
    reading = asyncio.ensure_future(silent._call.read())
    while not reading.done():
        await site.clock.advance(5)
    with refused(grpc.StatusCode.DEADLINE_EXCEEDED, "HELLO_MISSING"):
        await reading


async def test_a_worker_speaks_for_the_camera_of_its_token(site: Site) -> None:
    mine, other = await site.camera("mine"), await site.camera("other")
    token, _ = await site.worker_token(mine)
    worker = Worker(site, token)
    await worker.hello(other)
    with refused(grpc.StatusCode.PERMISSION_DENIED, "CAMERA_NOT_YOURS"):
        await worker._call.read()


async def test_a_worker_of_an_old_epoch_is_refused(site: Site) -> None:
    camera_id = await site.camera()
    old, _ = await site.worker_token(camera_id)
    await site.worker_token(camera_id)
    worker = Worker(site, old)
    await worker.hello(camera_id)
    with refused(grpc.StatusCode.FAILED_PRECONDITION, "STALE_EPOCH"):
        await worker._call.read()


async def test_a_token_for_heartbeats_gets_no_connection_string(site: Site) -> None:
    camera_id = await site.camera()
    _, epoch = await site.worker_token(camera_id)
    own = site.running.token("worker", camera_id=camera_id, epoch=epoch)
    worker = Worker(site, own.reveal())
    await worker.hello(camera_id)
    with refused(grpc.StatusCode.PERMISSION_DENIED, "TOKEN_FOR_HEARTBEATS"):
        await worker._call.read()


async def test_nothing_of_a_superseded_worker_counts(site: Site) -> None:
    camera_id = await site.camera()
    worker, _ = await connected(site, camera_id)
    await worker.beat()
    await until(site, camera_id, worker_status="running")
    await site.worker_token(camera_id)
    assert (await worker.hear()).drain.reason == "superseded"
    await worker.say(sightings=pb.SightingBatch(sequence=1, sightings=[report("unknown")]))
    with refused(grpc.StatusCode.FAILED_PRECONDITION, "STALE_EPOCH"):
        await worker._call.read()
    assert await count_sightings(site) == 0
    assert (await site.runtime(camera_id)).worker_status == "pending"


async def test_a_heartbeat_of_a_superseded_worker_changes_nothing(site: Site) -> None:
    camera_id = await site.camera()
    worker, _ = await connected(site, camera_id)
    await site.worker_token(camera_id)
    assert (await worker.hear()).HasField("drain")
    await worker.beat()
    with refused(grpc.StatusCode.FAILED_PRECONDITION, "STALE_EPOCH"):
        await worker._call.read()
    assert (await site.runtime(camera_id)).worker_status == "pending"


async def test_a_batch_that_comes_again_counts_once(site: Site) -> None:
    camera_id = await site.camera()
    token, _ = await site.worker_token(camera_id)
    sighting = report("unknown")
    worker = Worker(site, token)
    await worker.hello(camera_id)
    await worker.hear()
    assert await worker.send(1, sighting) == 1
    # the acknowledgement was lost, say: the same run connects again and repeats itself
    again = Worker(site, token, worker.session_id)
    await again.hello(camera_id)
    assert (await again.hear()).HasField("assignment")
    assert await again.send(1, sighting) == 1
    assert await again.send(2, report("unknown")) == 2
    assert await count_sightings(site) == 2


async def test_a_newer_stream_takes_the_place_of_an_older_one(site: Site) -> None:
    camera_id = await site.camera()
    token, _ = await site.worker_token(camera_id)
    older, newer = Worker(site, token), Worker(site, token)
    for worker in (older, newer):
        await worker.hello(camera_id)
        assert (await worker.hear()).HasField("assignment")
    with refused(grpc.StatusCode.ABORTED, "STREAM_REPLACED"):
        await older._call.read()
    request = control_plane_service_pb2.RetryCameraRequest(camera_id=camera_id)
    await site.cameras().RetryCamera(request)
    assert (await newer.hear()).HasField("retry")


async def test_heartbeats_become_the_runtime(site: Site) -> None:
    camera_id = await site.camera()
    worker, _ = await connected(site, camera_id)
    await worker.beat("starting", "unknown", observed_generation=1)
    await until(site, camera_id, worker_status="starting", observed_generation=1)
    await worker.beat(
        "backoff",
        "unhealthy",
        failure_reason="refused",
        error_count=3,
        next_retry_at={"seconds": 9},
    )
    await until(site, camera_id, worker_status="backoff", error_count=3)
    runtime = await site.runtime(camera_id)
    assert (runtime.health_status, runtime.failure_reason) == ("unhealthy", "refused")
    assert runtime.next_retry_at.seconds == 9
    assert runtime.pod_name == f"camera-worker-{camera_id}"


async def test_a_heartbeat_says_what_does_the_work_while_it_is_done(site: Site) -> None:
    camera_id = await site.camera()
    worker, _ = await connected(site, camera_id)
    await worker.beat(accelerator_asked="cuda", accelerator_used="cpu", decoder="pyav")
    told = {"accelerator_asked": "cuda", "accelerator_used": "cpu", "decoder": "pyav"}
    await until(site, camera_id, worker_status="running", **told)
    await worker.beat("failed", accelerator_asked="cuda", decoder="pyav")
    await until(site, camera_id, worker_status="failed", **dict.fromkeys(told, ""))


async def test_unchanged_heartbeats_are_written_every_five_seconds(site: Site) -> None:
    camera_id = await site.camera()
    worker, _ = await connected(site, camera_id)
    database = site.running.control_plane.parts.database
    await worker.beat(fps=1)
    await until(site, camera_id, worker_status="running")

    async def written_fps(sequence: int) -> float:
        # a batch that is acknowledged shows that the heartbeat before it was dealt with
        assert await worker.send(sequence, report("unknown")) == sequence
        async with database.read() as session:
            row = await session.get_one(CameraRuntimeRow, camera_id)
            return float(row.health_info["fps"])

    await site.clock.advance(4)
    await worker.beat(fps=2)
    assert await written_fps(1) == 1
    await site.clock.advance(1)
    await worker.beat(fps=3)
    assert await written_fps(2) == 3


async def test_a_lost_worker_leaves_its_runtime_to_the_manager(site: Site) -> None:
    camera_id = await site.camera()
    worker, _ = await connected(site, camera_id)
    await worker.beat()
    await until(site, camera_id, worker_status="running")
    worker._call.cancel()
    assert (await site.runtime(camera_id)).health_status == "healthy"
    await site.clock.advance(31)
    runtime = await site.runtime(camera_id)
    assert (runtime.worker_status, runtime.health_status) == ("running", "unknown")


@pytest.mark.parametrize(
    "message",
    [
        {"heartbeat": {"worker_status": "flying", "health_status": "x", "failure_reason": "none"}},
        {"heartbeat": {"worker_status": "running", "health_status": "healthy",
                       "failure_reason": "bad_luck"}},
        {"heartbeat": {"worker_status": "running", "health_status": "healthy",
                       "failure_reason": "none", "fps": float("nan")}},
        {"heartbeat": {"worker_status": "backoff", "health_status": "unhealthy",
                       "failure_reason": "dns", "next_retry_at": {"seconds": 2**60}}},
        {"sightings": {"sequence": 0}},
        {"hello": {"session_id": new_id(), "camera_id": "x"}},
        {},
    ],
)  # fmt: skip
async def test_a_malformed_message_ends_the_stream(site: Site, message: dict[str, Any]) -> None:
    camera_id = await site.camera()
    worker, _ = await connected(site, camera_id)
    await worker.say(**message)
    with pytest.raises(grpc.aio.AioRpcError) as ended:
        await worker._call.read()
    assert ended.value.code() == grpc.StatusCode.INVALID_ARGUMENT
    assert (await site.runtime(camera_id)).worker_status == "pending"


async def test_stopping_sends_workers_away_to_come_again(
    tmp_path: Path, clock: VirtualClock
) -> None:
    async with running_control_plane(tmp_path, clock=clock) as running:
        site = Site(running=running, clock=clock)
        camera_id = await site.camera()
        token, _ = await site.worker_token(camera_id)
        worker = Worker(site, token)
        await worker.hello(camera_id)
        await worker.hear()
        assert await worker.send(1, report("unknown")) == 1
        await running.stop_serving()
        with refused(grpc.StatusCode.UNAVAILABLE, "SERVICE_STOPPING"):
            await worker._call.read()
    async with running_control_plane(tmp_path, clock=clock) as running:
        site = Site(running=running, clock=clock)
        again = Worker(site, token, worker.session_id)
        await again.hello(camera_id)
        assert (await again.hear()).assignment.connection_string == RTSP
        assert await again.send(1, report("unknown")) == 1
        assert await count_sightings(site) == 1
