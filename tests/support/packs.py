"""Prepared packs and loaded engines for tests, made once a machine in the user's usual cache.

A test folder that wants the fixtures imports them in its `conftest.py`.
"""

from collections.abc import Iterator

import pytest

from face_engine.engine import FaceEngine, open_engine
from face_engine.preparation import PreparedPack, prepare_pack
from tests.support.media import media_path


@pytest.fixture(scope="session")
def builtin_pack() -> PreparedPack:
    """Prepare the pack that needs nothing but the installed packages."""
    return prepare_pack("builtin")


@pytest.fixture(scope="session")
def builtin_engine(builtin_pack: PreparedPack) -> Iterator[FaceEngine]:
    """Load the builtin pack on the CPU."""
    with open_engine(builtin_pack.pack.pack_id, accelerator="cpu") as engine:
        yield engine


@pytest.fixture(scope="session")
def yunet_engine() -> Iterator[FaceEngine]:
    """Load the pack with YuNet, whose file is among the test media."""
    folder = media_path("models/face_detection_yunet_2023mar.onnx").parent
    prepared = prepare_pack("yunet-dlib", folders=[folder])
    with open_engine(prepared.pack.pack_id, accelerator="cpu") as engine:
        yield engine
