"""Leases through the service, on both engines: one of many gets it, an old term writes nothing."""

import asyncio
from pathlib import Path

import grpc
import pytest

from dfip.control_plane.v1 import control_plane_service_pb2 as cameras
from dfip.control_plane.v1 import lease_service_pb2 as pb
from dfip.control_plane.v1.control_plane_service_pb2_grpc import ControlPlaneServiceStub
from dfip.control_plane.v1.lease_service_pb2_grpc import LeaseServiceStub
from tests.support.control_plane import running_control_plane
from tests.support.refusals import refused
from tests.support.virtual_clock import VirtualClock

pytestmark = pytest.mark.usefixtures("database_engine")


def asked(holder: str, name: str = "camera-manager") -> pb.AcquireLeaseRequest:
    return pb.AcquireLeaseRequest(name=name, holder=holder, duration_s=10)


async def test_one_of_twenty_gets_it_and_the_others_hear_who(tmp_path: Path) -> None:
    async with running_control_plane(tmp_path) as site:
        stub = LeaseServiceStub(site.channel("manager"))
        answers = await asyncio.gather(
            *(stub.AcquireLease(asked(f"manager-{number}")) for number in range(20))
        )
        (winner,) = [answer.holder for answer in answers if answer.granted]
        assert {answer.holder for answer in answers} == {winner}
        assert {answer.term for answer in answers} == {1}
        assert all(0 < answer.valid_for_s <= 10 for answer in answers)


async def test_a_manager_that_was_overtaken_writes_nothing(tmp_path: Path) -> None:
    clock = VirtualClock()
    async with running_control_plane(tmp_path, clock=clock) as site:
        channel = site.channel("manager")
        leases, plane = LeaseServiceStub(channel), ControlPlaneServiceStub(channel)
        created = await ControlPlaneServiceStub(site.channel("operator")).CreateCamera(
            cameras.CreateCameraRequest(
                name="Gate", connection_string="rtsp://10.0.0.5/s", desired_state="running"
            )
        )
        camera = created.data.id
        first = await leases.AcquireLease(asked("a"))
        token = await plane.IssueWorkerToken(
            cameras.IssueWorkerTokenRequest(camera_id=camera, lease_term=first.term)
        )
        await clock.advance(11.5)
        second = await leases.AcquireLease(asked("b"))
        assert (second.granted, second.term) == (True, first.term + 1)
        old_report = cameras.ReportRuntimesRequest(
            reports=[
                cameras.RuntimeReport(
                    camera_id=camera,
                    epoch=token.epoch,
                    worker_status="failed",
                    health_status="unhealthy",
                    failure_reason="crashed",
                )
            ],
            lease_term=first.term,
        )
        with refused(grpc.StatusCode.FAILED_PRECONDITION, "LEASE_LOST"):
            await plane.ReportRuntimes(old_report)
        with refused(grpc.StatusCode.FAILED_PRECONDITION, "LEASE_LOST"):
            await plane.IssueWorkerToken(
                cameras.IssueWorkerTokenRequest(camera_id=camera, lease_term=first.term)
            )
        with refused(grpc.StatusCode.FAILED_PRECONDITION, "LEASE_LOST"):
            await leases.RenewLease(
                pb.RenewLeaseRequest(name="camera-manager", term=first.term, duration_s=10)
            )
        found = await ControlPlaneServiceStub(site.channel("viewer")).ListCameraRuntimes(
            cameras.ListCameraRuntimesRequest()
        )
        assert [row.runtime.worker_status for row in found.data] == ["pending"]


async def test_a_lease_given_back_is_free_and_another_one_is_apart(tmp_path: Path) -> None:
    async with running_control_plane(tmp_path) as site:
        stub = LeaseServiceStub(site.channel("manager"))
        first = await stub.AcquireLease(asked("a"))
        assert (await stub.AcquireLease(asked("b", name="other"))).granted
        assert not (await stub.AcquireLease(asked("b"))).granted
        await stub.ReleaseLease(pb.ReleaseLeaseRequest(name="camera-manager", term=7))
        assert not (await stub.AcquireLease(asked("b"))).granted
        await stub.ReleaseLease(pb.ReleaseLeaseRequest(name="camera-manager", term=first.term))
        assert (await stub.AcquireLease(asked("b"))).granted


async def test_names_are_bounded(tmp_path: Path) -> None:
    async with running_control_plane(tmp_path) as site:
        stub = LeaseServiceStub(site.channel("manager"))
        for number in range(100):
            await stub.AcquireLease(asked("a", name=f"lease-{number}"))
        with refused(grpc.StatusCode.RESOURCE_EXHAUSTED, "LEASES_FULL"):
            await stub.AcquireLease(asked("a", name="one-more"))
        assert (await stub.AcquireLease(asked("a", name="lease-7"))).granted
