"""The loaded models of the process: each loaded once, shared by its cameras, freed by the last.

A hundred megabytes a pack and accelerator, so that no camera has models of its own. However many
cameras ask at the same moment, models are loaded once; a failure to load is told to all who waited
and tried again by whoever asks next. ``watching`` holds its share through ``CameraModels`` and lets
go of it while its source fails.
"""

import asyncio
import ctypes
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Protocol

from face_engine.engine import FaceEngine, open_engine
from face_engine.onnx_session import Accelerator
from service_runtime.structured_logging import get_logger

_log = get_logger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class EngineKey:
    """What makes two cameras share models.

    Attributes:
        pack_id: the model pack.
        accelerator: what was asked for.
        required: whether nothing else will do.
    """

    pack_id: str
    accelerator: Accelerator
    required: bool


class OpenEngine(Protocol):
    """Loads models; blocks. `face_engine.engine.open_engine`, or a count of it in a test."""

    def __call__(
        self, pack_id: str, *, accelerator: Accelerator, accelerator_required: bool
    ) -> FaceEngine:
        """Load a pack. Raises `PackError` and `AcceleratorUnavailable`."""
        ...


@dataclass(slots=True, kw_only=True, eq=False)
class _Shared:
    """One engine, or its loading; ``holders`` counts who waits for it or has it."""

    loading: asyncio.Task[FaceEngine]
    holders: int = 0


_FOR_CAMERAS: OpenEngine = partial(open_engine, keeps_memory=True)


class Engines:
    """All engines of the process.

    Args:
        load: Loads one.
        after_free: Called in a thread once models were freed.
    """

    def __init__(
        self,
        load: OpenEngine = _FOR_CAMERAS,
        *,
        after_free: Callable[[], None] | None = None,
    ) -> None:
        self._load = load
        self._after_free = after_free or return_freed_memory
        self._shared: dict[EngineKey, _Shared] = {}
        self._tidying: set[asyncio.Task[None]] = set()

    @property
    def loaded(self) -> int:
        """How many are loaded, or are being loaded."""
        return len(self._shared)

    async def hold(self, key: EngineKey) -> FaceEngine:
        """Return the engine, loaded if nobody holds it; give it back with `let_go`.

        Raises:
            PackError, AcceleratorUnavailable: It cannot be loaded; nothing is held.
        """
        shared = self._shared.get(key)
        if shared is None:
            shared = _Shared(loading=asyncio.create_task(self._loaded(key), name="load models"))
            self._shared[key] = shared
        shared.holders += 1
        try:
            return await asyncio.shield(shared.loading)
        except BaseException:
            self._leave(key, shared)
            raise

    def let_go(self, key: EngineKey) -> None:
        """Give back what `hold` returned; the last one frees it."""
        self._leave(key, self._shared[key])

    async def close(self) -> None:
        """Wait until what nobody holds is freed."""
        while self._tidying:
            await asyncio.gather(*self._tidying)

    async def _loaded(self, key: EngineKey) -> FaceEngine:
        return await asyncio.to_thread(
            self._load,
            key.pack_id,
            accelerator=key.accelerator,
            accelerator_required=key.required,
        )

    def _leave(self, key: EngineKey, shared: _Shared) -> None:
        shared.holders -= 1
        if shared.holders == 0:
            del self._shared[key]
            task = asyncio.create_task(self._free(key, shared), name="free models")
            self._tidying.add(task)
            task.add_done_callback(self._tidying.discard)

    async def _free(self, key: EngineKey, shared: _Shared) -> None:
        await asyncio.wait({shared.loading})
        if shared.loading.exception() is None:
            shared.loading.result().close()
            await asyncio.to_thread(self._after_free)
            _log.info("engine.freed", pack_id=key.pack_id)


class CameraModels:
    """One camera's share of an engine: taken when a frame needs it, let go of when none comes.

    Args:
        engines: The engines of the process.
        key: Which one.
    """

    def __init__(self, engines: Engines, key: EngineKey) -> None:
        self._engines = engines
        self._key = key
        self._engine: FaceEngine | None = None
        self._taking = asyncio.Lock()

    @property
    def loaded(self) -> bool:
        """Whether this camera holds its models now."""
        return self._engine is not None

    async def engine(self) -> FaceEngine:
        """Return the models, loaded if need be.

        Raises:
            PackError, AcceleratorUnavailable: They cannot be loaded.
        """
        async with self._taking:
            if self._engine is None:
                self._engine = await self._engines.hold(self._key)
            return self._engine

    def let_go(self) -> None:
        """Hold no models until a frame needs them; safe to call twice."""
        if self._engine is not None:
            self._engine = None
            self._engines.let_go(self._key)


def return_freed_memory() -> None:
    """Have the allocator give freed memory back to the system, where it knows how (glibc)."""
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if trim is not None:
        trim(0)
