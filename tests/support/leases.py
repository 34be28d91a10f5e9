"""Leases without a network: the control plane's own rule behind the calls of its contract."""

import asyncio
from datetime import timedelta

import grpc

from control_plane.leases.model import Lease, acquired, released, renewed
from control_plane.leases.store import lease_lost
from dfip.control_plane.v1 import lease_service_pb2 as pb
from service_runtime.errors import ServiceError, Unavailable
from tests.support.virtual_clock import VirtualClock


class DirectLeases:
    """Answers like a LeaseServiceStub; one lease, whatever its name.

    ``away`` refuses calls; ``slow_s`` is how long an answer takes, by the clock.
    """

    def __init__(self, clock: VirtualClock) -> None:
        self.clock = clock
        self.lease: Lease | None = None
        self.away = False
        self.slow_s = 0.0

    async def AcquireLease(
        self, request: pb.AcquireLeaseRequest, timeout: float | None = None
    ) -> pb.AcquireLeaseResponse:
        await self._arrive(timeout)
        taken = acquired(
            self.lease,
            holder=request.holder,
            now=self.clock.now(),
            lasts=timedelta(seconds=request.duration_s),
        )
        self.lease = taken or self.lease
        assert self.lease is not None
        return pb.AcquireLeaseResponse(
            granted=taken is not None,
            term=self.lease.term,
            holder=self.lease.holder,
            valid_for_s=self._valid_for_s(),
        )

    async def RenewLease(
        self, request: pb.RenewLeaseRequest, timeout: float | None = None
    ) -> pb.RenewLeaseResponse:
        await self._arrive(timeout)
        lease = renewed(
            self.lease,
            term=request.term,
            now=self.clock.now(),
            lasts=timedelta(seconds=request.duration_s),
        )
        if lease is None:
            raise _rpc_error(lease_lost())
        self.lease = lease
        return pb.RenewLeaseResponse(valid_for_s=self._valid_for_s())

    async def ReleaseLease(
        self, request: pb.ReleaseLeaseRequest, timeout: float | None = None
    ) -> pb.ReleaseLeaseResponse:
        await self._arrive(timeout)
        self.lease = released(self.lease, term=request.term, now=self.clock.now()) or self.lease
        return pb.ReleaseLeaseResponse()

    async def _arrive(self, timeout: float | None) -> None:
        await asyncio.sleep(0)
        if self.slow_s:
            await self.clock.sleep(min(self.slow_s, timeout or self.slow_s))
        if self.away or (timeout is not None and self.slow_s > timeout):
            raise _rpc_error(Unavailable("AWAY", "Nobody is at home."))

    def _valid_for_s(self) -> float:
        assert self.lease is not None
        return max((self.lease.expires_at - self.clock.now()).total_seconds(), 0.0)


def _rpc_error(error: ServiceError) -> grpc.aio.AioRpcError:
    return grpc.aio.AioRpcError(
        error.code, grpc.aio.Metadata(), grpc.aio.Metadata(), details=error.sentence
    )
