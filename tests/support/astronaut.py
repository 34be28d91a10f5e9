"""The one photograph of a face that the project uses freely: NASA's, in scikit-image's wheel."""

import importlib.util
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from face_engine.pictures import decode_picture


def skimage_data(name: str) -> Path:
    """Return the path of a file of scikit-image's data, without importing scikit-image."""
    found = importlib.util.find_spec("skimage")
    assert found is not None
    assert found.submodule_search_locations is not None
    return Path(found.submodule_search_locations[0]) / "data" / name


def astronaut() -> NDArray[np.uint8]:
    """Return the photograph, (512, 512, 3) uint8 RGB; her face is 87 pixels wide."""
    return decode_picture(skimage_data("astronaut.png").read_bytes())
