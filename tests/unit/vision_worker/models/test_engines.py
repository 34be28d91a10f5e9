"""Models are loaded once for all who share them, and freed when the last lets go."""

import asyncio
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from face_engine.engine import FaceEngine
from face_engine.errors import PackError
from face_engine.onnx_session import Accelerator, OpenedModels
from face_engine.packs import resolve_pack
from vision_worker.models.engines import CameraModels, EngineKey, Engines

CPU = EngineKey(pack_id="builtin", accelerator="cpu", required=False)
AUTO = EngineKey(pack_id="builtin", accelerator="auto", required=False)


class CountedEngine(FaceEngine):
    """An engine without models that tells whether it was closed."""

    def __init__(self) -> None:
        self.pack = resolve_pack("builtin")
        self._models = OpenedModels(sessions={}, used="cpu", reason=None)
        self.closed = False

    def close(self) -> None:
        self.closed = True


class Loader:
    """Loads when it may; fails as often as it is told to."""

    def __init__(self) -> None:
        self.may = threading.Event()
        self.may.set()
        self.loaded: list[CountedEngine] = []
        self.failures = 0
        self.freed = 0

    def __call__(
        self, pack_id: str, *, accelerator: Accelerator, accelerator_required: bool
    ) -> FaceEngine:
        assert (pack_id, accelerator_required) == ("builtin", False)
        assert accelerator in {"cpu", "auto"}
        self.may.wait(10)
        if self.failures:
            self.failures -= 1
            raise PackError("not prepared")
        self.loaded.append(CountedEngine())
        return self.loaded[-1]

    def note_freed(self) -> None:
        assert any(engine.closed for engine in self.loaded)
        self.freed += 1


@contextmanager
def held_up(loader: Loader) -> Iterator[None]:
    loader.may.clear()
    try:
        yield
    finally:
        loader.may.set()


async def test_eight_cameras_that_ask_at_once_load_once_and_the_last_one_frees() -> None:
    loader = Loader()
    engines = Engines(loader, after_free=loader.note_freed)
    cameras = [CameraModels(engines, CPU) for _ in range(8)]
    got = await asyncio.gather(*(camera.engine() for camera in cameras))
    assert len(loader.loaded) == 1
    assert {id(engine) for engine in got} == {id(loader.loaded[0])}
    for camera in cameras[:-1]:
        camera.let_go()
        camera.let_go()  # once too often is as good as once
    await engines.close()
    assert (loader.loaded[0].closed, loader.freed, engines.loaded) == (False, 0, 1)
    cameras[-1].let_go()
    await engines.close()
    assert (loader.loaded[0].closed, loader.freed, engines.loaded) == (True, 1, 0)


async def test_another_accelerator_is_another_engine_and_a_freed_one_is_loaded_again() -> None:
    loader = Loader()
    engines = Engines(loader, after_free=loader.note_freed)
    one, other = CameraModels(engines, CPU), CameraModels(engines, AUTO)
    assert await one.engine() is not await other.engine()
    one.let_go()
    assert not one.loaded
    await engines.close()
    assert await one.engine() is loader.loaded[2]
    assert [engine.closed for engine in loader.loaded] == [True, False, False]


async def test_one_camera_that_asks_twice_at_once_holds_once() -> None:
    loader = Loader()
    engines = Engines(loader, after_free=loader.note_freed)
    camera = CameraModels(engines, CPU)
    await asyncio.gather(camera.engine(), camera.engine())
    camera.let_go()
    await engines.close()
    assert engines.loaded == 0


async def test_a_failure_is_told_to_all_who_waited_and_the_next_tries_again() -> None:
    loader = Loader()
    loader.failures = 1
    engines = Engines(loader, after_free=loader.note_freed)
    with held_up(loader):
        waiting = [asyncio.create_task(engines.hold(CPU)) for _ in range(3)]
        await asyncio.sleep(0)
    outcomes = await asyncio.gather(*waiting, return_exceptions=True)
    assert [type(outcome) for outcome in outcomes] == [PackError] * 3
    assert (engines.loaded, loader.freed) == (0, 0)
    assert await engines.hold(CPU) is loader.loaded[0]


@pytest.mark.parametrize("others", [0, 1])
async def test_who_gives_up_while_models_load_takes_them_from_nobody(others: int) -> None:
    loader = Loader()
    engines = Engines(loader, after_free=loader.note_freed)
    with held_up(loader):
        leaving = asyncio.create_task(engines.hold(CPU))
        staying = [asyncio.create_task(engines.hold(CPU)) for _ in range(others)]
        await asyncio.sleep(0)
        leaving.cancel()
        await asyncio.gather(leaving, return_exceptions=True)
    await asyncio.gather(*staying)
    await engines.close()
    assert loader.loaded[0].closed is (not others)
