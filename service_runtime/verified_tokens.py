"""What was found out about a token by checking its signature, so that it is checked once.

A worker that reports sample by sample sends the same token each time, and checking it costs more
than writing the sample. What the signature covers cannot change; what can is asked at every use, by
``authentication.py``: the times, the key, revocation. A token is known by its SHA-256 alone, so
whoever reads this memory finds nothing to call with. Only tokens that passed are kept, so nobody
without one can push others out.
"""

import hashlib
from collections import OrderedDict
from dataclasses import dataclass
from typing import Final, Generic, TypeVar

import jwt

MOST: Final = 4096

CallerT = TypeVar("CallerT")


@dataclass(frozen=True, slots=True, kw_only=True)
class VerifiedToken(Generic[CallerT]):
    """A token whose signature was right.

    Attributes:
        caller: Whom it names.
        key_id: What its header calls its key.
        key: The key it was checked with.
        begins: When it begins to hold, in seconds since 1970.
        ends: When it ends, likewise.
    """

    caller: CallerT
    key_id: str
    key: jwt.PyJWK
    begins: float
    ends: float


class VerifiedTokens(Generic[CallerT]):
    """The tokens that were seen last; the one that was not seen for longest goes first."""

    def __init__(self, most: int = MOST) -> None:
        self._most = most
        self._found: OrderedDict[bytes, VerifiedToken[CallerT]] = OrderedDict()

    def find(self, token: str) -> VerifiedToken[CallerT] | None:
        """Return what is known of a token."""
        name = _name(token)
        found = self._found.get(name)
        if found is not None:
            self._found.move_to_end(name)
        return found

    def keep(self, token: str, verified: VerifiedToken[CallerT]) -> None:
        """Remember what is known of a token."""
        name = _name(token)
        self._found[name] = verified
        self._found.move_to_end(name)
        if len(self._found) > self._most:
            self._found.popitem(last=False)

    def forget(self, token: str) -> None:
        """Remember nothing of a token."""
        self._found.pop(_name(token), None)

    def __len__(self) -> int:
        """Return how many there are."""
        return len(self._found)


def _name(token: str) -> bytes:
    return hashlib.sha256(token.encode("utf-8", "surrogatepass")).digest()
