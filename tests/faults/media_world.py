"""The world of the row "media": cameras that misbehave, a neighbour, and a canary.

All cameras are watched by this process as by a worker: real sockets, decoding and models. The
neighbour works all the time and must lose nothing by what is done to others; the canary is where
nothing may ever arrive.
"""

import asyncio
import random
import tempfile
import threading
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from unittest.mock import patch

from tests.support.reels import Codec, Reel, gradient, reel
from tests.support.watching import WatchedCamera, Watching, watching
from tests.support.wayward_camera import Guard, WaywardCamera, wayward_camera
from tests.support.wrong_peers import Canary, canary
from vision_worker.decode import camera_clock, reader
from vision_worker.sources.policy import SourceTimes
from vision_worker.watching.source_backoff import SourceBackoff

NOTICED_S = 10.0
"""The promise: a camera's failure has its name after so long."""
_HURRY = 4.0


class HastyDice(random.Random):
    """Draws a quarter of what it should, so that waits are short."""

    def uniform(self, a: float, b: float) -> float:
        return super().uniform(a, b) / _HURRY


@dataclass(slots=True, kw_only=True)
class World:
    """What faults are put into.

    Attributes:
        hurried: all times are a quarter of the real ones.
        noticed: seconds from each fault to its name.
        patience_s: how long a failure may take to get its name, or a stream to go on.
        recovered: seconds from each mend to the first frame, the worker's wait included.
    """

    process: Watching
    hurried: bool
    dice: random.Random
    reel: Reel
    canary: Canary
    neighbour: WatchedCamera
    noticed: list[float] = field(default_factory=list)
    recovered: list[float] = field(default_factory=list)
    cameras: int = 0
    patience_s: float = NOTICED_S

    @property
    def pace(self) -> float:
        """What real times are multiplied with."""
        return 1 / _HURRY if self.hurried else 1.0

    @asynccontextmanager
    async def wayward(
        self, *, guard: Guard | None = None, reel: Reel | None = None
    ) -> AsyncIterator[WaywardCamera]:
        """Run a camera that sends at once what came before, as many do."""
        async with wayward_camera(reel or self.reel, guard=guard) as camera:
            camera.temper.burst_s = 1.2
            yield camera

    @asynccontextmanager
    async def watched(self, url: str, *, sees: bool = False) -> AsyncIterator[WatchedCamera]:
        """Watch an address, and wait until frames come where they should."""
        self.cameras += 1
        backoff = SourceBackoff(rng=HastyDice(self.cameras)) if self.hurried else None
        watched = await self.process.camera(url, backoff=backoff)
        try:
            if sees:
                await watched.sees(within_s=self.patience_s)
            yield watched
        finally:
            await self.process.leave(watched)

    async def notices(self, camera: WatchedCamera, reason: str) -> None:
        """See a fault named in time."""
        seconds = await camera.fails(reason, within_s=self.patience_s)
        self.noticed.append(seconds)

    async def recovers(self, camera: WatchedCamera) -> None:
        """See frames come again after a mend that happens now."""
        camera.mark()
        # beside the opening there is the worker's wait, which doubles with each failure
        self.recovered.append(await camera.sees(within_s=max(1, 4 * self.pace) * self.patience_s))

    async def check(self) -> None:
        """Hold what happened meanwhile against what may happen."""
        assert self.neighbour.failures == [], f"the neighbour noticed: {self.neighbour.failures}"
        assert self.canary.connections == 0, "something went where nobody may be sent"

    async def check_at_the_end(self) -> None:
        """See nothing left behind."""
        began = time.monotonic()
        while (left := _decoders() - len(self.process.cameras)) > 0:
            assert time.monotonic() - began < NOTICED_S, f"{left} threads decode for nobody"
            await self.neighbour.sampled(1)


def _decoders() -> int:
    return sum(thread.name == "decode" for thread in threading.enumerate())


@asynccontextmanager
async def running_world(*, seed: int, hurried: bool) -> AsyncIterator[World]:
    """Watch the neighbour, and let the canary listen."""
    times = SourceTimes()
    if hurried:
        times = SourceTimes(open_s=times.open_s / _HURRY, stall_s=times.stall_s / _HURRY)
    clip = await filmed()
    async with AsyncExitStack() as stack:
        if hurried:
            blind_after_s = reader.BLIND_AFTER_S / _HURRY
            stack.enter_context(patch.object(reader, "BLIND_AFTER_S", blind_after_s))
            window_s = camera_clock.WINDOW_S / _HURRY
            stack.enter_context(patch.object(camera_clock, "WINDOW_S", window_s))
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        process = await stack.enter_async_context(watching(folder, times=times))
        listening = await stack.enter_async_context(canary())
        beside = await stack.enter_async_context(wayward_camera(clip))
        beside.temper.burst_s = 1.2
        neighbour = await process.camera(beside.url)
        await neighbour.sees()
        yield World(
            process=process,
            hurried=hurried,
            dice=random.Random(seed),
            reel=clip,
            canary=listening,
            neighbour=neighbour,
        )


async def filmed(
    *,
    size: tuple[int, int] = (320, 240),
    codec: Codec = "h264",
    fps: int = 25,
    key_every: int = 25,
    b_frames: int = 0,
) -> Reel:
    """Make a reel of two seconds without holding up the cameras that are being played."""
    return await asyncio.to_thread(
        lambda: reel(
            gradient(2 * fps, size), codec=codec, fps=fps, key_every=key_every, b_frames=b_frames
        )
    )


def shuffled(one: Reel, dice: random.Random) -> Reel:
    """Give every unit a stamp from anywhere in a minute."""
    return one.with_units(lambda _, unit: replace(unit, stamp_s=dice.uniform(0, 60)))
