"""Root tasks that outlive an outage of the database server.

A root task whose database goes away is started again once it may be back; the service itself keeps
running and answers UNAVAILABLE meanwhile.
"""

from collections.abc import Awaitable, Callable
from typing import Final

from control_plane.engines.port import DatabaseBusy, DatabaseUnavailable
from service_runtime.clock import Clock
from service_runtime.structured_logging import get_logger

_AGAIN_S: Final = 1.0
_log = get_logger(__name__)


async def outliving_outages(name: str, work: Callable[[], Awaitable[None]], clock: Clock) -> None:
    """Run ``work`` to its end, starting over whenever the database was away."""
    while True:
        try:
            await work()
        except (DatabaseUnavailable, DatabaseBusy) as error:
            _log.warning("database.task_waits", task=name, reason=error.reason)
            await clock.sleep(_AGAIN_S)
        else:
            return
