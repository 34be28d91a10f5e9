"""Finds out that a connection of a pool is gone before a caller does, without asking every time.

SQLAlchemy's own ``pool_pre_ping`` asks the server before each transaction: a begin, a statement and
a rollback, as many steps as a short transaction has. A server that stops closes its connections,
which the driver knows without asking; what nobody hears of, a server that is gone from the network,
shows on connections that nobody used for a while. So only those are asked. One that goes in the
meantime fails its transaction, as it would after any ping.
"""

from typing import Any, Final

from sqlalchemy import event
from sqlalchemy.exc import InvalidatePoolError
from sqlalchemy.ext.asyncio import AsyncEngine

from service_runtime.clock import Clock

ASK_AFTER_S: Final = 1.0
_RETURNED: Final = "dfip_returned"


def watch_connections(engine: AsyncEngine, clock: Clock) -> None:
    """Replace an engine's connections when one of them turns out to be gone, before it is used."""
    drivers_error = engine.dialect.loaded_dbapi.Error

    def returned(_connection: object, record: Any) -> None:  # noqa: ANN401 - the pool's
        record.info[_RETURNED] = clock.monotonic()

    def taken(connection: Any, record: Any, _proxy: object) -> None:  # noqa: ANN401 - the driver's
        since = record.info.get(_RETURNED)
        if connection.driver_connection.is_closed():
            raise InvalidatePoolError
        if since is None or clock.monotonic() - since < ASK_AFTER_S:
            return
        try:
            connection.ping()
        except drivers_error:
            raise InvalidatePoolError from None

    event.listen(engine.sync_engine, "checkin", returned)
    event.listen(engine.sync_engine, "checkout", taken)
