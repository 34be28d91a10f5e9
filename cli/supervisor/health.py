"""Asks the edge whether the whole site serves.

`GET /healthz` answers 200 once every service does. That the edge has read the keys of tokens, too,
shows in what it says to a token of nobody: no more that one should try again.
"""

import asyncio
import http.client

from service_runtime.clock import Clock

_TIMEOUT_S = 2.0
_POLL_S = 0.05
_OF_NOBODY = "e30.e30.e30"


async def is_healthy(host: str, port: int) -> bool:
    """Return whether the site says that it serves; a site that cannot be reached does not."""
    return await asyncio.to_thread(_ask, host, port)


async def until_healthy(host: str, port: int, clock: Clock) -> None:
    """Wait until the site serves."""
    while not await is_healthy(host, port):
        await clock.sleep(_POLL_S)


def _ask(host: str, port: int) -> bool:
    connection = http.client.HTTPConnection(host, port, timeout=_TIMEOUT_S)
    try:
        connection.request("GET", "/healthz")
        answer = connection.getresponse()
        answer.read()
        if answer.status != http.client.OK:
            return False
        connection.request("GET", "/", headers={"Authorization": f"Bearer {_OF_NOBODY}"})
        return connection.getresponse().status == http.client.UNAUTHORIZED
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()
