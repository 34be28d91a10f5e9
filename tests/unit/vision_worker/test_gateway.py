"""The line to the control plane, against a real server whose gateway can be told to misbehave."""

import asyncio
import random
import uuid
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from dfip.control_plane.v1 import telemetry_pb2
from dfip.control_plane.v1 import worker_gateway_service_pb2 as gateway_pb2
from dfip.control_plane.v1 import worker_gateway_service_pb2_grpc as gateway_grpc
from service_runtime.authentication import TokenVerifier
from service_runtime.backoff import Backoff
from service_runtime.clients import StaticToken, open_channel
from service_runtime.clock import SystemClock
from service_runtime.errors import (
    FailedPrecondition,
    OutOfRange,
    ServiceError,
    Unauthenticated,
    Unavailable,
)
from service_runtime.secret import Secret
from service_runtime.server import Binding, Server
from tests.support.tokens import TestAuthority
from tests.support.virtual_clock import VirtualClock
from vision_worker.gateway import Ending, Gateway
from vision_worker.spool.spool import ReportSpool

CAMERA = str(uuid.UUID(int=7))
EVIDENCE = {"pack_id": "builtin"}


def report(number: int) -> gateway_pb2.SightingReport:
    made = gateway_pb2.SightingReport(
        id=str(uuid.UUID(int=number)), revision=1, decision="unknown", evidence=EVIDENCE
    )
    made.started_at.GetCurrentTime()
    made.ended_at.GetCurrentTime()
    made.box.SetInParent()
    made.quality.SetInParent()
    made.embedding.pack_id = "builtin"
    made.embedding.dimension = 1
    made.embedding.vectors = bytes(4)
    return made


class ScriptedGateway(gateway_grpc.WorkerGatewayServiceServicer):
    """Stores what it is told; each connection may end as the script says."""

    def __init__(self) -> None:
        self.hellos: list[gateway_pb2.WorkerHello] = []
        self.heartbeats: asyncio.Queue[gateway_pb2.WorkerHeartbeat] = asyncio.Queue()
        self.stored: list[str] = []
        self.last_sequence = 0
        self.occupancies: list[int] = []
        self.telemetry_sequences: dict[str, int] = {}
        self.first_session_is_lost = False
        self.refuse_next: list[ServiceError] = []
        self.refusal_for_good: ServiceError | None = None
        self.break_before_answer = 0
        self.drain = asyncio.Event()
        self.connected = asyncio.Event()

    async def Connect(
        self, requests: AsyncIterator[gateway_pb2.ConnectRequest], _context: object
    ) -> AsyncIterator[gateway_pb2.ConnectResponse]:
        if self.refusal_for_good is not None:
            raise self.refusal_for_good
        if self.refuse_next:
            raise self.refuse_next.pop(0)
        outbox: asyncio.Queue[gateway_pb2.ConnectResponse | ServiceError] = asyncio.Queue()
        assignment = gateway_pb2.Assignment(camera_id=CAMERA, epoch=1, generation=1)
        outbox.put_nowait(gateway_pb2.ConnectResponse(assignment=assignment))
        tasks = [
            asyncio.create_task(self._read(requests, outbox)),
            asyncio.create_task(self._tell_to_drain(outbox)),
        ]
        try:
            while True:
                message = await outbox.get()
                if isinstance(message, ServiceError):
                    raise message
                yield message
        finally:
            for task in tasks:
                task.cancel()

    async def _read(self, requests: AsyncIterator[Any], outbox: asyncio.Queue[Any]) -> None:
        async for request in requests:
            kind = request.WhichOneof("message")
            if kind == "hello":
                self.hellos.append(request.hello)
                self.connected.set()
            elif kind == "heartbeat":
                self.heartbeats.put_nowait(request.heartbeat)
            elif kind == "telemetry":
                await self._take_telemetry(request.telemetry, outbox)
            else:
                batch = request.sightings
                if batch.sequence > self.last_sequence:
                    self.last_sequence = batch.sequence
                    self.stored.extend(one.id for one in batch.sightings)
                if self.break_before_answer:
                    self.break_before_answer -= 1
                    outbox.put_nowait(Unavailable("RESTARTING", "The service restarts."))
                    return
                answer = gateway_pb2.Acknowledgement(sequence=batch.sequence)
                outbox.put_nowait(gateway_pb2.ConnectResponse(acknowledgement=answer))

    async def _take_telemetry(
        self, batch: gateway_pb2.TelemetryBatch, outbox: asyncio.Queue[Any]
    ) -> None:
        session_id = self.hellos[-1].session_id
        if self.first_session_is_lost and session_id == self.hellos[0].session_id:
            outbox.put_nowait(OutOfRange("SEQUENCE_GAP", "Batches are missing."))
            return
        if batch.sequence == self.telemetry_sequences.get(session_id, 0) + 1:
            self.telemetry_sequences[session_id] = batch.sequence
            self.occupancies.extend(sample.occupancy for sample in batch.samples)
        answer = gateway_pb2.TelemetryAcknowledgement(sequence=batch.sequence, rejected_samples=1)
        outbox.put_nowait(gateway_pb2.ConnectResponse(telemetry_acknowledgement=answer))

    async def _tell_to_drain(self, outbox: asyncio.Queue[Any]) -> None:
        await self.drain.wait()
        outbox.put_nowait(gateway_pb2.ConnectResponse(drain=gateway_pb2.Drain(reason="stopped")))


class Watcher:
    """Stands for the camera: leaves one last report when it is told to wind down."""

    def __init__(self, spool: ReportSpool) -> None:
        self.spool = spool
        self.assigned = asyncio.Event()
        self.last_words: list[gateway_pb2.SightingReport] = []

    def assign(self, _assignment: gateway_pb2.Assignment) -> None:
        self.assigned.set()

    def retry_now(self) -> None:
        raise AssertionError("nobody asked for it")

    async def wind_down(self) -> None:
        for one in self.last_words:
            self.spool.add_sighting(one)


class Line:
    """A gateway client with both of its ends."""

    def __init__(self, gateway: Gateway, server: ScriptedGateway, spool: ReportSpool) -> None:
        self.gateway = gateway
        self.server = server
        self.spool = spool
        self.watcher: Watcher
        self.clock: VirtualClock
        self.run: asyncio.Task[Ending]


@asynccontextmanager
async def open_line(
    tmp_path: Path, prepare: Callable[[ScriptedGateway], None]
) -> AsyncIterator[Line]:
    authority = TestAuthority(tmp_path)
    servicer = ScriptedGateway()
    prepare(servicer)
    system = SystemClock()
    server = Server(
        room="control_plane",
        listen=f"unix:{tmp_path}/g.sock",
        bindings=[
            Binding(
                descriptor=gateway_pb2.DESCRIPTOR.services_by_name["WorkerGatewayService"],
                add=gateway_grpc.add_WorkerGatewayServiceServicer_to_server,
                servicer=servicer,
            )
        ],
        verifier=TokenVerifier(authority.jwks_file, system),
        clock=system,
    )
    await server.start()
    token = StaticToken(Secret(authority.token("worker", camera_id=CAMERA, epoch=1)))
    clock = VirtualClock()
    spool = ReportSpool(tmp_path, camera_id=CAMERA, clock=clock)
    watcher = Watcher(spool)
    async with open_channel(server.address, token=token) as channel, spool:
        gateway = Gateway(
            channel,
            hello=gateway_pb2.WorkerHello(camera_id=CAMERA),
            spool=spool,
            sink=watcher,
            heartbeat=lambda: gateway_pb2.WorkerHeartbeat(
                worker_status="running", health_status="healthy", failure_reason="none"
            ),
            clock=clock,
            backoff=Backoff(rng=random.Random(1)),
        )
        line = Line(gateway, servicer, spool)
        line.watcher, line.clock = watcher, clock
        line.run = asyncio.create_task(gateway.run())
        try:
            yield line
        finally:
            line.run.cancel()
            await asyncio.gather(line.run, return_exceptions=True)
    await server.stop(0)


async def reconnects(line: Line) -> None:
    """Let the pause before the next attempt pass, as soon as it has begun."""
    while not line.server.connected.is_set():
        await line.clock.advance(1)


async def test_hello_assignment_and_a_first_heartbeat(tmp_path: Path) -> None:
    async with open_line(tmp_path, lambda _: None) as line:
        await line.watcher.assigned.wait()
        assert (await line.server.heartbeats.get()).worker_status == "running"
        await line.clock.advance(5)
        assert (await line.server.heartbeats.get()).worker_status == "running"
        assert len(line.server.hellos) == 1


async def test_drain_reports_what_is_left_before_it_ends(tmp_path: Path) -> None:
    async with open_line(tmp_path, lambda _: None) as line:
        await line.watcher.assigned.wait()
        line.watcher.last_words = [report(number) for number in range(40)]
        line.server.drain.set()
        assert await line.run is Ending.DRAINED
        assert line.server.stored == [str(uuid.UUID(int=number)) for number in range(40)]
        assert line.spool.is_empty


async def test_an_answer_that_is_lost_costs_and_doubles_nothing(tmp_path: Path) -> None:
    def prepare(server: ScriptedGateway) -> None:
        server.break_before_answer = 2

    async with open_line(tmp_path, prepare) as line:
        for number in range(3):
            await line.spool.add_sighting(report(number))
        while not line.spool.is_empty:
            await line.clock.advance(1)
        assert line.server.stored == [str(uuid.UUID(int=number)) for number in range(3)]
        assert len({hello.session_id for hello in line.server.hellos}) == 1
        assert len(line.server.hellos) == 3


@pytest.mark.parametrize(
    ("refusal", "ending"),
    [
        (Unauthenticated("TOKEN_EXPIRED", "The token has expired."), Ending.TOKEN_REFUSED),
        (FailedPrecondition("STALE_EPOCH", "Another worker took over."), Ending.SUPERSEDED),
    ],
)
async def test_a_refusal_for_good_ends_the_worker(
    tmp_path: Path, refusal: ServiceError, ending: Ending
) -> None:
    def prepare(server: ScriptedGateway) -> None:
        server.refusal_for_good = refusal

    async with open_line(tmp_path, prepare) as line:
        # a write that races with the refusal hides its reason, and only then another try follows
        while not line.run.done():
            await line.clock.advance(1)
        assert line.run.result() is ending


async def test_a_service_that_is_away_is_tried_again(tmp_path: Path) -> None:
    def prepare(server: ScriptedGateway) -> None:
        server.refuse_next = [Unavailable("RESTARTING", "The service restarts.")] * 3

    async with open_line(tmp_path, prepare) as line:
        await reconnects(line)
        await line.watcher.assigned.wait()


def samples(*occupancies: int) -> list[telemetry_pb2.TelemetrySample]:
    return [telemetry_pb2.TelemetrySample(occupancy=occupancy) for occupancy in occupancies]


async def test_telemetry_goes_out_beside_sightings(tmp_path: Path) -> None:
    async with open_line(tmp_path, lambda _: None) as line:
        line.spool.add_sighting(report(1))
        await line.spool.add_telemetry(samples(1, 2, 3))
        while not line.spool.is_empty:
            await line.clock.advance(1)
        assert line.server.occupancies == [1, 2, 3]
        assert line.server.stored == [str(uuid.UUID(int=1))]
        status = line.spool.status
        assert (status.telemetry_acknowledged, status.telemetry_rejected) == (3, 1)


async def test_a_control_plane_that_lost_batches_gets_a_new_session(tmp_path: Path) -> None:
    def prepare(server: ScriptedGateway) -> None:
        server.first_session_is_lost = True

    async with open_line(tmp_path, prepare) as line:
        await line.spool.add_telemetry(samples(1, 2))
        while not line.spool.is_empty:
            await line.clock.advance(1)
        assert line.server.occupancies == [1, 2]
        assert len({hello.session_id for hello in line.server.hellos}) == 2


async def test_what_an_earlier_process_sent_goes_out_under_its_session(tmp_path: Path) -> None:
    async with ReportSpool(tmp_path, camera_id=CAMERA, clock=VirtualClock()) as earlier:
        await earlier.add_telemetry(samples(1, 2))
        session_id = earlier.session_id
        assert earlier.next_batch() is not None
    async with open_line(tmp_path, lambda _: None) as line:
        await line.spool.add_telemetry(samples(3))
        while not line.spool.is_empty:
            await line.clock.advance(0.1)
        assert line.server.occupancies == [1, 2, 3]
        sessions = [hello.session_id for hello in line.server.hellos]
        assert sessions[0] == session_id
        assert sessions[-1] == line.spool.session_id != session_id
