"""The people who look at one camera, and the pictures that they get: encoded only while they look.

The pipeline shows each sampled frame while somebody is ``here``, which costs it one question
otherwise. A picture is drawn once for all who want the same form of it, in a thread of its own, and
each of them has room for one: who is slow finds the newest. A camera without a picture is told as
such at once; who looks already sees the last one darkened, with the reason, for a while.
"""

import asyncio
from collections.abc import AsyncGenerator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Final

from service_runtime.clock import Clock
from service_runtime.errors import ResourceExhausted, Unavailable
from vision_worker.decode.frame import Frame
from vision_worker.looking.drawing import render
from vision_worker.looking.names import Names
from vision_worker.looking.picture_thread import PictureThread
from vision_worker.looking.scene import DrawnPicture, Form, Scene, ShownFace, Zone

MOST: Final = 8
"""Viewers of a camera at a time."""
FIRST_PICTURE_S: Final = 12.0
"""How long a camera that is starting, or looks seldom, may take to show something."""
OUTAGE_S: Final = 30.0
"""How long who looks may wait for a source that is away."""
_SENTENCES: Final = {
    "backoff": "It is tried again by itself.",
    "failed": "Its models cannot be used; its settings say which are wanted.",
    "stopped": "Its recording was played to the end; try the camera again to see it anew.",
    "stopping": "It is being stopped.",
}
SIDES: Final = (320, 640, 960, 1280, 1920, 3840)


@dataclass(frozen=True, slots=True, kw_only=True)
class Trouble:
    """Why a camera shows nothing: a word of the closed list, and a sentence.

    ``final`` says that waiting is of no use: it is not watched any more.
    """

    reason: str
    sentence: str
    final: bool = False


@dataclass(slots=True, kw_only=True, eq=False)
class _Viewer:
    form: Form
    pause_s: float  # between two pictures
    due_at: float = 0.0
    picture: DrawnPicture | None = None
    news: asyncio.Event = field(default_factory=asyncio.Event)

    def give(self, picture: DrawnPicture) -> None:
        self.picture = picture
        self.news.set()

    def take(self) -> DrawnPicture | None:
        picture, self.picture = self.picture, None
        self.news.clear()
        return picture


class Onlookers:
    """Who looks at one camera.

    Args:
        thread: Where pictures are drawn.
        clock: Where time comes from.
    """

    def __init__(self, *, thread: PictureThread, clock: Clock) -> None:
        self._thread = thread
        self._clock = clock
        self._viewers: list[_Viewer] = []
        self._newest: Scene | None = None
        self._fresh = asyncio.Event()
        self._drawing: asyncio.Task[None] | None = None
        self._trouble: Trouble | None = None
        self.zones: tuple[Zone, ...] = ()
        self.names: Names | None = None
        self.drawn = 0
        """Pictures encoded so far."""

    @property
    def here(self) -> bool:
        """Whether anybody looks."""
        return bool(self._viewers)

    def show(self, frame: Frame, faces: tuple[ShownFace, ...]) -> None:
        """Show what the camera sees now; a newer frame pushes out one that nobody drew yet."""
        self._trouble = None
        self._newest = Scene(frame=frame, faces=faces, zones=self.zones)
        self._fresh.set()

    def miss(self, trouble: Trouble | None) -> None:
        """Take note of why there are no pictures; None where there are, or may be soon."""
        self._trouble = trouble
        if trouble is not None and trouble.final:
            for viewer in self._viewers:
                viewer.news.set()
            return
        if trouble is None or self._newest is None or self._newest.notice:
            return
        since = self._newest.frame.captured_at.strftime("%H:%M:%S UTC")
        notice = f"No picture since {since}: {trouble.reason}"
        self._newest = replace(self._newest, notice=notice, faces=())
        self._fresh.set()

    async def snapshot(self, form: Form) -> DrawnPicture:
        """Return the next picture.

        Raises:
            Unavailable: ``NO_PICTURE``: the camera shows none.
            ResourceExhausted: ``TOO_MANY_VIEWERS``.
        """
        with self._look(form, fps=0) as viewer:
            return await self._first(viewer)

    async def watch(self, form: Form, fps: float) -> AsyncGenerator[DrawnPicture]:
        """Yield pictures, the newest each time, ``fps`` a second at most; 0 is all there are.

        Raises:
            Unavailable: ``NO_PICTURE``: the camera shows none at first, or not for too long.
            ResourceExhausted: ``TOO_MANY_VIEWERS``.
        """
        with self._look(form, fps=fps) as viewer:
            picture = await self._first(viewer)
            live_at = self._clock.monotonic()
            while True:
                if picture.live:
                    live_at = self._clock.monotonic()
                yield picture
                picture = await self._next(viewer, until=live_at + OUTAGE_S)

    async def _first(self, viewer: _Viewer) -> DrawnPicture:
        until = self._clock.monotonic() + FIRST_PICTURE_S
        while True:
            if self._trouble is not None:
                raise self._no_picture()
            picture = await self._next(viewer, until=until)
            if picture.live:
                return picture

    async def _next(self, viewer: _Viewer, *, until: float) -> DrawnPicture:
        """Wait for a picture until a monotonic time."""
        while (picture := viewer.take()) is None:
            left_s = until - self._clock.monotonic()
            drawing = self._drawing
            is_over = self._trouble is not None and self._trouble.final
            if left_s <= 0 or drawing is None or is_over:
                raise self._no_picture()
            news = asyncio.create_task(viewer.news.wait())
            patience = asyncio.create_task(self._clock.sleep(left_s))
            try:
                await asyncio.wait({news, patience, drawing}, return_when=asyncio.FIRST_COMPLETED)
            finally:
                news.cancel()
                patience.cancel()
            if drawing.done():
                drawing.result()  # it never ends by itself: raise what ended it
        return picture

    async def _named(self, scene: Scene) -> Scene:
        people = {face.person_id for face in scene.faces if face.person_id is not None}
        if self.names is None or not people:
            return scene
        names = await self.names.of(people)
        named = (replace(one, name=names.get(one.person_id or "", "")) for one in scene.faces)
        return replace(scene, faces=tuple(named))

    def _no_picture(self) -> Unavailable:
        trouble = self._trouble or Trouble(
            reason="starting", sentence="Its first picture has not come yet; try again shortly."
        )
        return Unavailable(
            "NO_PICTURE",
            f"The camera shows no picture now ({trouble.reason}). {trouble.sentence}",
            failure_reason=trouble.reason,
        )

    @contextmanager
    def _look(self, form: Form, *, fps: float) -> Iterator[_Viewer]:
        if len(self._viewers) >= MOST:
            raise ResourceExhausted(
                "TOO_MANY_VIEWERS",
                f"{MOST} people look at this camera, which is the most; try again when one left.",
            )
        viewer = _Viewer(form=form, pause_s=1 / fps if fps > 0 else 0.0)
        self._viewers.append(viewer)
        if self._drawing is None:
            self._drawing = asyncio.create_task(self._draw_for_ever(), name="draw pictures")
        try:
            yield viewer
        finally:
            self._viewers.remove(viewer)
            if not self._viewers:
                self._drawing.cancel()
                self._drawing = None
                self._newest = None
                self._fresh.clear()
                if self.names is not None:
                    self.names.forget()

    async def _draw_for_ever(self) -> None:
        while True:
            await self._fresh.wait()
            self._fresh.clear()
            scene = self._newest
            if scene is None:
                continue
            scene = await self._named(scene)
            due = self._due(self._clock.monotonic(), at_once=bool(scene.notice))
            for form in dict.fromkeys(viewer.form for viewer in due):
                picture = await self._thread.run(partial(render, scene, form))
                self.drawn += 1
                for viewer in due:
                    if viewer.form == form:
                        viewer.give(picture)

    def _due(self, now: float, *, at_once: bool) -> list[_Viewer]:
        """Return who is to get the next picture, and note when they get the one after."""
        due = []
        for viewer in self._viewers:
            # frames come at their own pace: one that is a little early is better than none
            if at_once or now >= viewer.due_at - viewer.pause_s / 4:
                behind = now - viewer.due_at >= viewer.pause_s
                viewer.due_at = (now if behind else viewer.due_at) + viewer.pause_s
                due.append(viewer)
        return due


def trouble_of(worker_status: str, failure_reason: str) -> Trouble | None:
    """Return why a camera in this state shows nothing; None where it shows something, or may soon.

    The words are those of the worker's heartbeat.
    """
    sentence = _SENTENCES.get(worker_status)
    if sentence is None:
        return None
    reason = worker_status if failure_reason == "none" else failure_reason
    return Trouble(reason=reason, sentence=sentence, final=worker_status == "stopping")


def form_of(longest_side: int, *, default: int, annotated: bool) -> Form:
    """Return the form for a wish; sides are rounded up to a few, so that viewers share pictures."""
    wanted = longest_side or default
    return Form(
        longest_side=next((side for side in SIDES if side >= wanted), SIDES[-1]),
        annotated=annotated,
    )
