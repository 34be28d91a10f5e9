"""Reports reach the control plane together, the newest of each camera, once."""

import asyncio
import contextlib
import random
from collections.abc import AsyncIterator

from camera_manager.leadership import Leadership
from camera_manager.plan import WorkerReport
from camera_manager.runtime_reports import RuntimeReports
from dfip.control_plane.v1 import control_plane_service_pb2 as contract
from service_runtime.backoff import Backoff
from service_runtime.errors import InvalidArgument, Unavailable
from tests.support.leases import DirectLeases
from tests.support.virtual_clock import VirtualClock, settle
from tests.unit.camera_manager.fake_control_plane import rpc_error


class Receiver:
    """Stands for the stub: keeps what arrives, and fails as it is told."""

    def __init__(self) -> None:
        self.batches: list[list[tuple[str, str]]] = []
        self.away = False
        self.invalid: set[str] = set()
        self.refused: list[str] = []
        self.gate = asyncio.Event()
        self.gate.set()

    async def ReportRuntimes(
        self, request: contract.ReportRuntimesRequest, timeout: float | None = None
    ) -> contract.ReportRuntimesResponse:
        del timeout
        await self.gate.wait()
        if self.away:
            raise rpc_error(Unavailable("AWAY", "Away."))
        if self.invalid & {report.camera_id for report in request.reports}:
            raise rpc_error(InvalidArgument("BAD", "Bad."))
        self.batches.append([(one.camera_id, one.worker_status) for one in request.reports])
        return contract.ReportRuntimesResponse(refused_camera_ids=self.refused)


@contextlib.asynccontextmanager
async def reporting() -> AsyncIterator[tuple[RuntimeReports, Receiver, VirtualClock, list[str]]]:
    receiver, clock = Receiver(), VirtualClock()
    refused: list[str] = []
    reports = RuntimeReports(
        stub=receiver,
        clock=clock,
        backoff=Backoff(initial_s=0.2, cap_s=3.0, rng=random.Random(1)),
        leadership=Leadership(
            stub=DirectLeases(clock), clock=clock, holder="a", on_taken=lambda: None
        ),
        on_refused=refused.extend,
    )
    task = asyncio.create_task(reports.run())
    await settle()
    try:
        yield reports, receiver, clock, refused
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


def said(camera_id: str, status: str = "starting") -> WorkerReport:
    return WorkerReport(camera_id=camera_id, epoch=1, worker_status=status)


async def test_what_gathers_during_a_call_goes_out_together_the_newest_of_each() -> None:
    async with reporting() as (reports, receiver, _, _):
        receiver.gate.clear()
        reports.submit(said("a"))
        await settle()
        reports.submit(said("a", "stopping"))
        reports.submit(said("a", "stopped"))
        reports.submit(said("b"))
        receiver.gate.set()
        await settle()
        assert receiver.batches == [
            [("a", "starting")],
            [("a", "stopped"), ("b", "starting")],
        ]


async def test_nothing_to_say_is_not_said() -> None:
    async with reporting() as (_, receiver, clock, _):
        await clock.advance(3600)
        assert receiver.batches == []


async def test_reports_wait_for_an_absent_control_plane() -> None:
    async with reporting() as (reports, receiver, clock, _):
        receiver.away = True
        reports.submit(said("a"))
        reports.submit(said("b"))
        await clock.advance(60)
        reports.submit(said("a", "stopped"))
        receiver.away = False
        await clock.advance(4)
        assert receiver.batches == [[("a", "stopped"), ("b", "starting")]]


async def test_more_than_a_thousand_go_out_in_parts() -> None:
    async with reporting() as (reports, receiver, _, _):
        for number in range(2500):
            reports.submit(said(str(number)))
        await settle()
        assert [len(batch) for batch in receiver.batches] == [1000, 1000, 500]


async def test_a_report_that_breaks_a_rule_holds_up_no_other() -> None:
    async with reporting() as (reports, receiver, clock, _):
        receiver.invalid = {"b"}
        for camera_id in ("a", "b", "c"):
            reports.submit(said(camera_id))
        await clock.advance(10)
        assert sorted(name for batch in receiver.batches for name, _ in batch) == ["a", "c"]


async def test_a_refusal_is_passed_on_and_not_repeated() -> None:
    async with reporting() as (reports, receiver, clock, refused):
        receiver.refused = ["a"]
        reports.submit(said("a"))
        await clock.advance(60)
        assert refused == ["a"]
        assert len(receiver.batches) == 1


async def test_flush_says_whether_all_is_out() -> None:
    async with reporting() as (reports, receiver, _, _):
        receiver.away = True
        reports.submit(said("a"))
        assert not await reports.flush()
        receiver.away = False
        assert await reports.flush(timeout=1)
        assert receiver.batches == [[("a", "starting")]]
