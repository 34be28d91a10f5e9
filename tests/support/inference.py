"""An engine in a thread, as a camera's pipeline sees it, for tests and benchmarks."""

from collections.abc import Iterator
from contextlib import contextmanager

from face_engine.engine import FaceEngine
from vision_worker.models.inference import MEASURED_AT, CameraInference
from vision_worker.models.inference_thread import InferenceThread


@contextmanager
def inference_with(engine: FaceEngine, *, min_face_px: int = 40) -> Iterator[CameraInference]:
    """Run a thread for one camera."""
    thread = InferenceThread()
    thread.start()

    async def loaded() -> FaceEngine:
        return engine

    try:
        yield CameraInference(
            lane=thread.open_lane(),
            pack=engine.pack,
            working_side=engine.working_side(MEASURED_AT, min_face_px=min_face_px),
            engine=loaded,
        )
    finally:
        thread.close()
