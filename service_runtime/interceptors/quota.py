"""How many calls a caller may have open at once, so that nobody takes the service from the others.

The server's own bound counts all calls alike: whoever opens that many streams shuts everybody out,
the workers' gateway included. So each token of a person or a worker, and each person of an identity
provider, has a share, and people together leave a part to the machines. The other machines are the
site's own and bounded by the server alone.
"""

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from dfip.options.v1 import policy_pb2
from service_runtime.authentication import Caller
from service_runtime.errors import ResourceExhausted

CALLS_OF_ONE: Final = 100
_SHARE_OF_PEOPLE: Final = 0.6

_PEOPLE = frozenset({policy_pb2.ROLE_VIEWER, policy_pb2.ROLE_OPERATOR, policy_pb2.ROLE_ADMIN})
_BOUNDED = _PEOPLE | {policy_pb2.ROLE_WORKER}


class CallQuota:
    """Counts the calls that are open; one for each server.

    Args:
        all_calls: What the server takes at once of everybody together.
    """

    def __init__(self, all_calls: int) -> None:
        self._of_people = int(all_calls * _SHARE_OF_PEOPLE)
        self._of_one = min(CALLS_OF_ONE, self._of_people)
        self._open: Counter[str] = Counter()
        self._people = 0

    @contextmanager
    def hold(self, caller: Caller | None) -> Iterator[None]:
        """Count a call while the block runs.

        Raises:
            ResourceExhausted: The caller, or people together, have as many as they may.
        """
        if caller is None or caller.role not in _BOUNDED:
            yield
            return
        is_person = caller.role in _PEOPLE
        if self._open[caller.principal] >= self._of_one:
            raise ResourceExhausted(
                "TOO_MANY_CALLS",
                f"This token has {self._of_one} calls open at once, which is the most; end some.",
            )
        if is_person and self._people >= self._of_people:
            raise ResourceExhausted(
                "TOO_MANY_CALLS", "Too many calls are open at once; try again in a moment."
            )
        self._open[caller.principal] += 1
        self._people += is_person
        try:
            yield
        finally:
            self._people -= is_person
            self._open[caller.principal] -= 1
            if not self._open[caller.principal]:
                del self._open[caller.principal]
