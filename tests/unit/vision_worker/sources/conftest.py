"""A canary that must hear nothing."""

from collections.abc import Iterator
from contextlib import closing

import pytest

from tests.support.canary import Canary


@pytest.fixture
def canary() -> Iterator[Canary]:
    """Return a canary; at the end it has to have heard nothing."""
    with closing(Canary()) as one:
        yield one
        assert not one.heard()
