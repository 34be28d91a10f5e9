"""The cameras of this process: taken, let go of, watched side by side.

Each lives in a task of its own, and its end, whatever the reason, touches no other. One that ended
by itself stays on the list with its ending, until whoever placed it here has seen that and takes or
drops it. `run` says when the process has no more business: drained, or without a camera for a
while; a process for one camera ends with it.
"""

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import Enum

from service_runtime.authentication import TokenVerifier
from service_runtime.clients import StaticToken, TokenSource
from service_runtime.clock import Clock
from service_runtime.errors import (
    FailedPrecondition,
    InvalidArgument,
    NotFound,
    ResourceExhausted,
    Unauthenticated,
)
from service_runtime.identifiers import parse_id
from service_runtime.secret import Secret
from service_runtime.structured_logging import get_logger
from vision_worker.gateway import Ending
from vision_worker.watching.watched_camera import WatchedCamera

ALONE_GRACE_S = 30.0
_DROP_S = 4.0
_log = get_logger(__name__)


class CameraEnd(Enum):
    """Why a camera is not watched any more."""

    DRAINED = "drained"
    TOKEN_REFUSED = "token_refused"  # noqa: S105 no password
    SUPERSEDED = "superseded"
    CRASHED = "crashed"


_ENDS = {
    Ending.DRAINED: CameraEnd.DRAINED,
    Ending.TOKEN_REFUSED: CameraEnd.TOKEN_REFUSED,
    Ending.SUPERSEDED: CameraEnd.SUPERSEDED,
}

MakeCamera = Callable[[str, int, TokenSource], WatchedCamera]
"""Makes a camera of its id, its epoch and its token."""


@dataclass(slots=True, kw_only=True, eq=False)
class Held:
    """A camera and its task; ``ending`` is None while it is watched.

    ``dropped`` is true once somebody asked for its end, so that nobody has to be told of it.
    """

    camera: WatchedCamera
    task: "asyncio.Task[None] | None" = None
    ending: CameraEnd | None = None
    dropped: bool = False


class Cameras:
    """All cameras of the process.

    Args:
        make: Makes one.
        capacity: How many it takes at once.
        verifier: Checks their tokens.
        clock: Where time comes from.
    """

    def __init__(
        self, *, make: MakeCamera, capacity: int, verifier: TokenVerifier, clock: Clock
    ) -> None:
        self._make = make
        self._verifier = verifier
        self._clock = clock
        self._held: dict[str, Held] = {}
        self._news = asyncio.Event()
        self._draining = False
        self.capacity = capacity

    @property
    def held(self) -> Mapping[str, Held]:
        """The cameras by id, in the order in which they were taken; ended ones too."""
        return self._held

    @property
    def watched(self) -> int:
        """How many are watched now."""
        return sum(held.ending is None for held in self._held.values())

    def find(self, camera_id: str) -> WatchedCamera:
        """Return a camera; an empty id is the one held longest.

        Raises:
            NotFound: It is not here.
        """
        held = self._held.get(camera_id or next(iter(self._held), ""))
        if held is None:
            raise NotFound(
                "CAMERA_NOT_HELD", "This worker does not hold the camera.", camera_id=camera_id
            )
        return held.camera

    def begin(self, camera_id: str, epoch: int, token: TokenSource) -> None:
        """Watch a camera that is not held, without asking whether its token is any good."""
        ended = [name for name, held in self._held.items() if held.ending is not None]
        for name in ended[: len(self._held) - self.capacity + 1]:
            del self._held[name]  # nobody asked about it for long enough
        held = Held(camera=self._make(camera_id, epoch, token))
        self._held[camera_id] = held
        held.task = asyncio.create_task(self._live(held), name=f"camera {camera_id}")
        self._news.set()

    async def take(self, camera_id: str, token: Secret) -> int:
        """Watch a camera in the epoch of its token; return the epoch.

        Raises:
            InvalidArgument: The token is not one of a worker of this camera.
            FailedPrecondition: It is held in a newer epoch, or the worker is ending.
            ResourceExhausted: There is no room for another.
            Unavailable: The site's keys cannot be read yet.
        """
        camera_id = parse_id(camera_id, noun="camera")
        epoch = self._epoch_of(camera_id, token)
        while (held := self._held.get(camera_id)) is not None:
            if held.camera.epoch > epoch:
                raise FailedPrecondition(
                    "EPOCH_OVER", "This camera is held in a newer epoch; use its newest token."
                )
            if held.camera.epoch == epoch and held.ending is None and not held.dropped:
                return epoch
            await self._end(held)
        if self._draining:
            raise FailedPrecondition(
                "WORKER_DRAINING", "This worker is ending; start another for the camera."
            )
        if self.watched >= self.capacity:
            raise ResourceExhausted(
                "WORKER_FULL", "This worker has as many cameras as it takes; use another."
            )
        self.begin(camera_id, epoch, StaticToken(token))
        _log.info("camera.taken", camera_id=camera_id, epoch=epoch)
        return epoch

    async def drop(self, camera_id: str, *, reason: str) -> bool:
        """Have a camera report what is left and let go of it; return whether it was held."""
        held = self._held.get(camera_id)
        if held is None:
            return False
        _log.info("camera.dropping", camera_id=camera_id, reason=reason)
        await self._end(held)
        return True

    def drain(self) -> None:
        """Have all cameras report what is left, take no more, and end."""
        self._draining = True
        for held in self._held.values():
            held.camera.drain()
        self._news.set()

    async def run(self) -> CameraEnd | None:
        """Return once there is no more business.

        Returns:
            How the camera ended that was the only one there could be; else None.
        """
        while True:
            self._news.clear()
            if self._may_end():
                return self._only_ending()
            if self.watched:
                await self._news.wait()
            else:
                await self._await_news(ALONE_GRACE_S)
                if not self._news.is_set():
                    _log.info("worker.without_cameras", waited_s=ALONE_GRACE_S)
                    return None

    async def close(self) -> None:
        """Cancel what is left."""
        tasks = [held.task for held in self._held.values() if held.task is not None]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _may_end(self) -> bool:
        if self.watched:
            return False
        left = any(not held.dropped for held in self._held.values())
        return self._draining or (self.capacity == 1 and left)

    def _only_ending(self) -> CameraEnd | None:
        if self.capacity > 1:
            return None
        return next((held.ending for held in self._held.values()), None)

    async def _live(self, held: Held) -> None:
        try:
            held.ending = _ENDS[await held.camera.run()]
        except asyncio.CancelledError:
            held.ending = CameraEnd.DRAINED
            raise
        except Exception as error:  # noqa: BLE001 the root of a camera: the others go on
            held.ending = CameraEnd.CRASHED
            _log.error("camera.crashed", camera_id=held.camera.camera_id, exc_info=error)
        finally:
            self._news.set()

    async def _end(self, held: Held) -> None:
        """Drain a camera, within a bound, and forget it."""
        assert held.task is not None  # noqa: S101 `begin` gave it one, for mypy
        camera_id, held.dropped = held.camera.camera_id, True
        held.camera.drain()
        patience = asyncio.ensure_future(self._clock.sleep(_DROP_S))
        try:
            await asyncio.wait({held.task, patience}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            patience.cancel()
        if not held.task.done():
            _log.warning("camera.cut_off", camera_id=camera_id, after_s=_DROP_S)
            held.task.cancel()
            await asyncio.wait({held.task})
        if self._held.get(camera_id) is held:
            del self._held[camera_id]
        self._news.set()

    async def _await_news(self, seconds: float) -> None:
        patience = asyncio.ensure_future(self._clock.sleep(seconds))
        news = asyncio.ensure_future(self._news.wait())
        await asyncio.wait({patience, news}, return_when=asyncio.FIRST_COMPLETED)
        for task in (patience, news):
            task.cancel()

    def _epoch_of(self, camera_id: str, token: Secret) -> int:
        try:
            caller = self._verifier.verify(token.reveal())
        except Unauthenticated:
            raise InvalidArgument(
                "TOKEN_REFUSED", "The camera's token does not hold; have a new one issued."
            ) from None
        if caller.camera_id != camera_id or caller.epoch is None:
            raise InvalidArgument(
                "TOKEN_OF_ANOTHER", "The token is not one of a worker of this camera."
            )
        return caller.epoch
