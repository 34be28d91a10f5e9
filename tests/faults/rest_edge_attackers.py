"""``python -m tests.faults.rest_edge_attackers HOST PORT SEED SECONDS``: attackers, far away.

They do to the edge what the row does, each kind again and again for at least so many seconds, and
rest after each, so that what it leaves behind is not put down to the next one. In life attackers
have machines of their own. Here they share one with what they attack, so they run at the lowest
priority: what others feel of them is what they do to the edge and to the service, not the processor
that they need to do it.

One JSON object on stdin holds their tokens by role. They print a line that they are ready, and wait
for another line; then they print a JSON object for each kind (``kind``, ``from_s`` and ``until_s``
by the monotonic clock that all processes of a machine share), and last one of ``figures``, or what
was ``broken`` of that which holds of every answer.
"""

import asyncio
import json
import os
import random
import sys
import time
from collections.abc import Mapping
from typing import Any

import httpx

from service_runtime.structured_logging import configure_logging
from tests.faults.rest_edge_bytes import BYTES
from tests.faults.rest_edge_requests import REQUESTS
from tests.faults.rest_edge_target import Attack, Target
from tests.faults.row import names
from tests.support.rest_requests import CANARY
from tests.support.rest_site import RestSite, furnish

ATTACKS: tuple[Attack, ...] = (*REQUESTS, *BYTES)
_LOWEST_PRIORITY = 19
_REST_S = 2.0


async def main(host: str, port: int, seed: int, each_s: float) -> int:
    """Attack, and tell what was done; return the status to end with."""
    tokens = json.loads(await asyncio.to_thread(sys.stdin.readline))

    def token_of(role: str) -> str:
        return f"e30.e30.{CANARY}" if role == "forged" else str(tokens.get(role, ""))

    dice = random.Random(seed)
    async with httpx.AsyncClient(
        base_url=f"http://{host}:{port}", trust_env=False, timeout=30
    ) as client:
        rest = RestSite(client=client, token_of=token_of)
        await furnish(rest)
        target = Target(where=(host, port), client=client, rest=rest, dice=dice, thorough=True)
        _tell({"ready": True})
        await asyncio.to_thread(sys.stdin.readline)
        for attack in dice.sample(ATTACKS, len(ATTACKS)):
            (kind,) = names([attack])
            from_s = time.monotonic()
            try:
                while time.monotonic() < from_s + each_s:
                    await attack(target)
            # the root of this process: whatever failed is told to whoever started it
            except Exception as error:  # noqa: BLE001  # a task's root
                _tell({"kind": kind, "broken": f"{type(error).__name__}: {error}"})
                return 1
            _tell({"kind": kind, "from_s": from_s, "until_s": time.monotonic()})
            await asyncio.sleep(_REST_S)
    _tell({"figures": target.figures})
    return 0


def _tell(what: Mapping[str, Any]) -> None:
    sys.stdout.write(f"{json.dumps(what)}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    os.nice(_LOWEST_PRIORITY)
    configure_logging("attackers", level="critical")
    sys.exit(asyncio.run(main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), float(sys.argv[4]))))
