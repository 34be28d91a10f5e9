"""Lets one manager of several act: takes the lease of the control plane, and keeps it.

The manager trusts its own monotonic clock, counted from before it asked, and stops acting a little
before the lease ends; so two never act at once, whatever the clocks of their machines say. One that
slept beyond its lease, and acts before it looks, is refused by the term that its calls carry. The
control plane being away ends the right to act after some seconds, which costs nothing: without it
no worker can be started anyway, and those that live go on.
"""

import asyncio
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import grpc

from dfip.control_plane.v1 import lease_service_pb2 as contract
from service_runtime.clock import Clock
from service_runtime.identifiers import new_id
from service_runtime.structured_logging import get_logger

LEASE: Final = "camera-manager"
LASTS_S: Final = 10
_RENEW_EVERY_S: Final = 3.0
_ASK_EVERY_S: Final = 1.0
_CALL_S: Final = 2.0
_ENDS_EARLY_S: Final = 1.0
_HOLDER_FILE: Final = "manager.id"
_log = get_logger(__name__)


class Leadership:
    """The right to act, while it lasts.

    Args:
        stub: LeaseServiceStub, or what answers like one.
        clock: Where time comes from.
        holder: Name of this manager, the same after a restart.
        on_taken: Called each time the right was taken: what was seen before may be old.
    """

    def __init__(
        self,
        *,
        stub: Any,  # noqa: ANN401 generated stubs carry no types
        clock: Clock,
        holder: str,
        on_taken: Callable[[], None],
    ) -> None:
        self._stub = stub
        self._clock = clock
        self._holder = holder
        self._on_taken = on_taken
        self._until = 0.0
        self._other = ""
        self._taken = asyncio.Event()
        self.term = 0
        """The term that calls carry; 0 before the first."""

    @property
    def holds(self) -> bool:
        """Whether this manager may act now."""
        return self._taken.is_set() and self._clock.monotonic() < self._until

    async def wait(self) -> None:
        """Return when this manager may act."""
        while not self.holds:
            self._taken.clear()
            await self._taken.wait()

    def lost(self) -> None:
        """Take note that the control plane refused the term."""
        self._until = 0.0

    async def run(self) -> None:
        """Take the lease whenever it can be had, and keep it, until cancelled."""
        while True:
            if await self._take():
                while self.holds:
                    await self._clock.sleep(_RENEW_EVERY_S)
                    await self._renew()
                _log.warning("leadership.lost", term=self.term)
            await self._clock.sleep(_ASK_EVERY_S)

    async def release(self) -> None:
        """Give the lease back, so that another manager need not wait for its end."""
        if not self.holds:
            return
        self._until = 0.0
        try:
            await self._stub.ReleaseLease(
                contract.ReleaseLeaseRequest(name=LEASE, term=self.term), timeout=1.0
            )
        except grpc.aio.AioRpcError as error:
            _log.info("leadership.not_released", code=error.code().name)

    async def _take(self) -> bool:
        """Ask for the lease; tell whether it is ours."""
        asked_at = self._clock.monotonic()
        request = contract.AcquireLeaseRequest(name=LEASE, holder=self._holder, duration_s=LASTS_S)
        try:
            answer = await self._stub.AcquireLease(request, timeout=_CALL_S)
        except grpc.aio.AioRpcError as error:
            _log.debug("leadership.unanswered", code=error.code().name)
            return False
        if not answer.granted:
            if answer.holder != self._other:
                _log.info("leadership.standing_by", holder=answer.holder)
            self._other = answer.holder
            return False
        self._other = ""
        self.term = answer.term
        self._extend(asked_at, answer.valid_for_s)
        _log.info("leadership.taken", term=self.term)
        self._on_taken()
        return True

    async def _renew(self) -> None:
        asked_at = self._clock.monotonic()
        request = contract.RenewLeaseRequest(name=LEASE, term=self.term, duration_s=LASTS_S)
        try:
            answer = await self._stub.RenewLease(request, timeout=_CALL_S)
        except grpc.aio.AioRpcError as error:
            if error.code() is grpc.StatusCode.FAILED_PRECONDITION:
                self.lost()
            return
        self._extend(asked_at, answer.valid_for_s)

    def _extend(self, asked_at: float, valid_for_s: float) -> None:
        self._until = asked_at + min(valid_for_s, LASTS_S) - _ENDS_EARLY_S
        self._taken.set()


def holder_name(workers_dir: Path) -> str:
    """Return the name of the manager of this folder: its machine, and an id that stays there.

    Raises:
        OSError: The folder cannot be written.
    """
    workers_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
    file = workers_dir / _HOLDER_FILE
    try:
        identity = file.read_text(encoding="ascii").strip()
    except FileNotFoundError:
        identity = new_id()
        file.write_text(identity, encoding="ascii")
    return f"{socket.gethostname()[:100]}/{identity[:36]}"
