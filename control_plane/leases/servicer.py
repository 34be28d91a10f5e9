"""``LeaseService``: how long a lease is valid is told in seconds, so that clocks need not agree."""

from datetime import timedelta

import grpc

from control_plane.leases.model import Lease
from control_plane.leases.store import LeaseStore
from dfip.control_plane.v1 import lease_service_pb2 as pb
from dfip.control_plane.v1 import lease_service_pb2_grpc
from service_runtime.clock import Clock


class LeaseServicer(lease_service_pb2_grpc.LeaseServiceServicer):
    """Answers for ``dfip.control_plane.v1.LeaseService``."""

    def __init__(self, store: LeaseStore, clock: Clock) -> None:
        self._store = store
        self._clock = clock

    async def AcquireLease(
        self, request: pb.AcquireLeaseRequest, context: grpc.aio.ServicerContext
    ) -> pb.AcquireLeaseResponse:
        """Take a lease, or say who has it."""
        del context
        granted, lease = await self._store.acquire(
            request.name, holder=request.holder, lasts=timedelta(seconds=request.duration_s)
        )
        return pb.AcquireLeaseResponse(
            granted=granted,
            term=lease.term,
            holder=lease.holder,
            valid_for_s=self._valid_for_s(lease),
        )

    async def RenewLease(
        self, request: pb.RenewLeaseRequest, context: grpc.aio.ServicerContext
    ) -> pb.RenewLeaseResponse:
        """Prolong a lease in its term."""
        del context
        lease = await self._store.renew(
            request.name, term=request.term, lasts=timedelta(seconds=request.duration_s)
        )
        return pb.RenewLeaseResponse(valid_for_s=self._valid_for_s(lease))

    async def ReleaseLease(
        self, request: pb.ReleaseLeaseRequest, context: grpc.aio.ServicerContext
    ) -> pb.ReleaseLeaseResponse:
        """End a lease."""
        del context
        await self._store.release(request.name, term=request.term)
        return pb.ReleaseLeaseResponse()

    def _valid_for_s(self, lease: Lease) -> float:
        return max((lease.expires_at - self._clock.now()).total_seconds(), 0.0)
