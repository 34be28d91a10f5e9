"""Frames that lie ready for the detector in a batch, with those of other cameras.

The models run in the inference thread, so the batch waits there until the first of its frames is
looked at; that look searches all of them at once, and the others take what is theirs.
`batch_thread.py` makes batches, `inference.py` asks.
"""

import threading
from dataclasses import dataclass

from face_engine.detectors.prepared import PreparedInput
from face_engine.engine import FaceEngine
from face_engine.values import Detections


class PreparedBatch:
    """Pictures of one working size.

    Args:
        inputs: of the detector; let go of once they were searched.
        working: width and height of the pictures.
        count: how many pictures.
    """

    def __init__(
        self, inputs: tuple[PreparedInput, ...], working: tuple[int, int], count: int
    ) -> None:
        self._inputs = inputs
        self._working = working
        self._count = count
        self._searching = threading.Lock()
        self._found: list[Detections] | None = None
        self._by: FaceEngine | None = None

    def found(self, engine: FaceEngine, row: int) -> Detections | None:
        """Return the faces of one picture in pixels of the working size.

        None where these inputs are not what this engine's detector wants, or another engine
        searched them already.
        """
        with self._searching:
            if self._found is None:
                wanted = engine.input_sizes(self._working)
                if not wanted or wanted != tuple(one.size for one in self._inputs):
                    return None
                self._found = engine.detect_prepared(self._inputs, self._working, self._count)
                self._by, self._inputs = engine, ()
            return self._found[row] if self._by is engine else None


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class PreparedRow:
    """One frame's place in a batch."""

    batch: PreparedBatch
    row: int

    def found(self, engine: FaceEngine) -> Detections | None:
        """Return the frame's faces in pixels of its image, if the batch can be searched."""
        return self.batch.found(engine, self.row)
