"""What every test starts from."""

import pytest
from hypothesis import settings

from service_runtime.structured_logging import configure_logging
from tests.support.engines import database_engine, on_postgres, postgres
from tests.support.temporary import use_memory

__all__ = ["database_engine", "on_postgres", "postgres"]

# before pytest makes its own folder
use_memory()

# a busy machine is no defect of an example
settings.register_profile("dfip", deadline=None)
settings.load_profile("dfip")


@pytest.fixture(scope="session", autouse=True)
def _logging() -> None:
    configure_logging("test")
