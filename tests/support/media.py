"""Finds the real photographs, clips and models that some tests need.

They are not part of the project. ``DFIP_TEST_MEDIA`` names a folder with ``data/`` and ``models/``;
without it the folder ``shared`` beside the project is tried. A test whose file is absent is listed
as not run, with the reason, so that nobody mistakes absence for success.
"""

import os
from pathlib import Path

import pytest

_DEFAULT_ROOT = Path(__file__).resolve().parents[3] / "shared"


def media_root() -> Path:
    """Return the folder that holds the test media, whether or not it exists."""
    return Path(os.environ.get("DFIP_TEST_MEDIA", str(_DEFAULT_ROOT)))


def media_path(relative: str) -> Path:
    """Return the path of one media file, or skip the calling test when it is absent."""
    path = media_root() / relative
    if not path.is_file():
        pytest.skip(f"test media {relative} not found below {media_root()} (set DFIP_TEST_MEDIA)")
    return path
