"""Partitions of a PostgreSQL table by ranges of time: made ahead, dropped as a whole.

Nobody waits for them. A partition is made by itself and then attached, which readers and writers
of the table do not notice, while ``CREATE TABLE … PARTITION OF`` would lock them all out. It goes
the same way: detached CONCURRENTLY, then dropped. That is two transactions, so a process that dies
in between leaves a partition that is pending or detached: the next round finds it by its name.
There is no default partition: it would have to be read through whenever one is attached.
"""

from collections.abc import Sequence
from typing import Final

from sqlalchemy import Table, text
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncSession

from control_plane.engines.port import Partition

ATTACHED, PENDING, DETACHED = "attached", "pending", "detached"
# in the name of a partition that holds whatever lies before the day that follows
BEFORE: Final = "before_"
_STATES: Final = text(
    "SELECT c.relname, i.inhparent IS NOT NULL AS attached,"
    " coalesce(i.inhdetachpending, false) AS pending"
    " FROM pg_class c LEFT JOIN pg_inherits i ON i.inhrelid = c.oid"
    " WHERE c.relkind = 'r' AND c.relnamespace = ("
    "SELECT relnamespace FROM pg_class WHERE oid = to_regclass(:parent))"
    " AND c.relname ~ :pattern"
)


async def states(connection: AsyncConnection, table: Table) -> dict[str, str]:
    """Return what has the name of a partition of the table, and whether it is one still."""
    found = await connection.execute(
        _STATES, {"parent": table.name, "pattern": f"^{table.name}_({BEFORE})?[0-9]{{8}}$"}
    )
    return {
        row.relname: PENDING if row.pending else ATTACHED if row.attached else DETACHED
        for row in found
    }


async def add(session: AsyncSession, table: Table, wanted: Sequence[Partition]) -> None:
    """Make the partitions that are not there yet."""
    present = await states(await session.connection(), table)
    for partition in wanted:
        if present.get(partition.name) == ATTACHED:
            continue
        name = partition.name
        await session.execute(
            text(f"CREATE TABLE IF NOT EXISTS {name} (LIKE {table.name} INCLUDING ALL)")
        )
        await session.execute(
            text(
                f"ALTER TABLE {table.name} ATTACH PARTITION {name}"
                f" FOR VALUES FROM ({partition.start}) TO ({partition.end})"
            )
        )


async def drop(
    connection: AsyncConnection, table: Table, names: Sequence[str], *, lock: int
) -> int:
    """Drop partitions, unless another process is at it; return how many went.

    Args:
        connection: Without a transaction around its statements.
        table: Whose partitions they are.
        names: Names of partitions.
        lock: Number of a lock to hold meanwhile.
    """
    key = {"name": f"partitions of {table.name}", "lock": lock}
    free = "SELECT pg_try_advisory_lock(hashtextextended(:name, :lock))"
    if not await connection.scalar(text(free), key):
        return 0
    # the connection is closed after this, and the lock goes with it
    present = await states(connection, table)
    gone = 0
    for name in names:
        state = present.get(name)
        if state is None:
            continue
        if state != DETACHED:
            how = "FINALIZE" if state == PENDING else "CONCURRENTLY"
            await connection.execute(
                text(f"ALTER TABLE {table.name} DETACH PARTITION {name} {how}")
            )
        await connection.execute(text(f"DROP TABLE {name}"))
        gone += 1
    return gone
