"""What every test starts from."""

import pytest

from service_runtime.structured_logging import configure_logging


@pytest.fixture(scope="session", autouse=True)
def _logging() -> None:
    configure_logging("test")
