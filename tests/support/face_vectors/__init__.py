"""Reads the reference vectors; README.md says how they were made."""

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray


def reference(name: str) -> dict[str, NDArray[Any]]:
    """Return the arrays of one file, such as "dlib_resnet"."""
    with np.load(Path(__file__).parent / f"{name}.npz", allow_pickle=False) as content:
        return {key: content[key] for key in content.files}
