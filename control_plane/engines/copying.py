"""COPY in the transaction of a session: many rows in one message, without a statement for each.

asyncpg speaks it and SQLAlchemy does not, so this goes to the driver, and gives what fails there
the form in which SQLAlchemy tells of it. ``engines/postgres.py`` then says what it means.
"""

from collections.abc import Sequence
from typing import Any

import asyncpg
from sqlalchemy import Table
from sqlalchemy.exc import DBAPIError, IntegrityError, InterfaceError
from sqlalchemy.ext.asyncio import AsyncSession

from control_plane.engines.port import PartitionMissing
from control_plane.engines.sessions import to_its_end

_INTEGRITY = "23"
_NO_PARTITION = asyncpg.CheckViolationError.sqlstate


async def copy_rows(
    session: AsyncSession, table: Table, columns: Sequence[str], rows: Sequence[Any]
) -> None:
    """Write rows, tuples in the order of ``columns``.

    Raises:
        PartitionMissing: The table has no partition for one of the rows.
        DBAPIError: As SQLAlchemy tells of what a statement runs into.
    """
    connection = await session.connection()
    driver: Any = (await connection.get_raw_connection()).driver_connection
    # SQLAlchemy begins with its first statement; without, each COPY would commit by itself
    assert driver.is_in_transaction(), "nothing was done before"  # noqa: S101 - a defect
    statement = f"COPY {table.name}"
    try:
        await to_its_end(driver.copy_records_to_table(table.name, records=rows, columns=columns))
    except asyncpg.PostgresError as error:
        state = str(error.sqlstate or "")
        if state == _NO_PARTITION:
            raise PartitionMissing from error
        kind = IntegrityError if state.startswith(_INTEGRITY) else DBAPIError
        raise kind(statement, None, error, hide_parameters=True) from error
    except (asyncpg.InterfaceError, OSError) as error:
        raise InterfaceError(statement, None, error, hide_parameters=True) from error
