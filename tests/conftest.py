"""What every test starts from."""

import gc
from pathlib import Path

import pytest
from hypothesis import settings

from service_runtime.structured_logging import configure_logging
from tests.support.compiled_statements import share_compiled_statements
from tests.support.engines import database_engine, on_postgres, postgres
from tests.support.temporary import use_memory

__all__ = ["database_engine", "on_postgres", "postgres"]

_CAMERAS = Path(__file__).with_name("cameras")

# before pytest makes its own folder
use_memory()
share_compiled_statements()

# a busy machine is no defect of an example
settings.register_profile("dfip", deadline=None)
settings.load_profile("dfip")


@pytest.fixture(scope="session", autouse=True)
def _logging() -> None:
    configure_logging("test")


def pytest_collection_finish() -> None:
    """Have garbage collection leave alone what stays to the end, and look less often."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(50_000, 50, 100)


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """Leave out what needs packages of the system unless it is named: `make test-cameras`."""
    asked = any("cameras" in Path(argument).parts for argument in config.args)
    return True if collection_path == _CAMERAS and not asked else None
