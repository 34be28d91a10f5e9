"""What people are called, as long as somebody looks: asked of the control plane, soon forgotten.

A picture waits a moment for a name that nobody asked for yet, and does without it where that takes
longer. Names are asked for again after a minute, beside the pictures, so that who was renamed or
erased is not shown by the old name for longer; and when nobody looks any more, none is kept.
"""

import asyncio
from collections.abc import Awaitable, Callable, Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import Final

import grpc

from dfip.control_plane.v1 import worker_gateway_service_pb2 as gateway_pb2
from dfip.control_plane.v1 import worker_gateway_service_pb2_grpc as gateway_grpc
from service_runtime.clock import Clock
from service_runtime.structured_logging import get_logger

LASTS_S: Final = 60.0
_AGAIN_AFTER_S: Final = 5.0
_PATIENCE_S: Final = 0.5
_AT_ONCE: Final = 64
_MOST: Final = 256
_log = get_logger(__name__)

Ask = Callable[[Collection[str]], Awaitable[Mapping[str, str]]]


class NamesUnavailable(Exception):
    """Names cannot be had now."""


@dataclass(frozen=True, slots=True)
class _Name:
    text: str
    ask_again_at: float


class Names:
    """Names of one camera's people.

    Args:
        ask: Returns the names of those of some people who are there; may raise
            ``NamesUnavailable``.
        clock: Where time comes from.
    """

    def __init__(self, ask: Ask, clock: Clock) -> None:
        self._ask = ask
        self._clock = clock
        self._known: dict[str, _Name] = {}
        self._asking: asyncio.Task[None] | None = None

    async def of(self, person_ids: Iterable[str]) -> Mapping[str, str]:
        """Return the names that are known, or are within a moment."""
        now = self._clock.monotonic()
        wanted = dict.fromkeys(person_ids)
        due = [one for one in wanted if one not in self._known or self._is_old(one, now)]
        if due and self._asking is None:
            is_new = any(one not in self._known for one in due)
            self._asking = asyncio.create_task(self._learn(due[:_AT_ONCE]), name="ask for names")
            if is_new:
                await self._wait_for(self._asking)
        return {one: self._known[one].text for one in wanted if one in self._known}

    def forget(self) -> None:
        """Keep no name."""
        self._known.clear()
        if self._asking is not None:
            self._asking.cancel()
            self._asking = None

    def _is_old(self, person_id: str, now: float) -> bool:
        return self._known[person_id].ask_again_at <= now

    async def _wait_for(self, asking: "asyncio.Task[None]") -> None:
        patience = asyncio.create_task(self._clock.sleep(_PATIENCE_S))
        try:
            await asyncio.wait({asking, patience}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            patience.cancel()

    async def _learn(self, person_ids: Collection[str]) -> None:
        try:
            told = await self._ask(person_ids)
            lasts_s = LASTS_S
        except NamesUnavailable:
            # what was known stays for as long as nobody can say better
            told = {one: self._known[one].text for one in person_ids if one in self._known}
            lasts_s = _AGAIN_AFTER_S
        again_at = self._clock.monotonic() + lasts_s
        for one in person_ids:
            self._known.pop(one, None)  # the newest stand last
            self._known[one] = _Name(told.get(one, ""), again_at)
        for one in list(self._known)[: max(0, len(self._known) - _MOST)]:
            del self._known[one]
        self._asking = None


def ask_control_plane(channel: grpc.aio.Channel) -> Ask:
    """Return what asks the control plane, over a channel with the camera's token."""
    stub = gateway_grpc.WorkerGatewayServiceStub(channel)

    async def ask(person_ids: Collection[str]) -> Mapping[str, str]:
        try:
            answer = await stub.NamePeople(gateway_pb2.NamePeopleRequest(person_ids=person_ids))
        except grpc.aio.AioRpcError as error:
            _log.info("names.not_told", code=error.code().name)
            raise NamesUnavailable from None
        return dict(answer.names)

    return ask


__all__ = ["LASTS_S", "Ask", "Names", "NamesUnavailable", "ask_control_plane"]
