"""Answers the challenges of a camera: Digest (RFC 7616, 2617 and 2069) and Basic (RFC 7617).

Pure but for the client's nonce. Nothing is sent that was not asked for; of several challenges the
strongest is answered. RTSP uses the same headers as HTTP (RFC 2326, appendix D), with the method
and the address of its own request. `rtsp_camera.py` and `http_camera.py` send the results.
"""

import base64
import hashlib
import itertools
import re
import secrets
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Final

from service_runtime.secret import Secret

_TOKEN = r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+"  # noqa: S105 RFC 9110's token
_PARTS: Final = re.compile(
    rf"(?P<name>{_TOKEN})(?:\s*=\s*(?:\"(?P<quoted>(?:[^\"\\]|\\.)*)\"|(?P<plain>[^\s,\"]*)))?"
)
_HASHES: Final[Mapping[str, Callable[[bytes], str]]] = {
    "sha-256": lambda data: hashlib.sha256(data).hexdigest(),
    # what most cameras know; the site may speak TLS to those that matter
    "md5": lambda data: hashlib.md5(data, usedforsecurity=False).hexdigest(),
}
_STRENGTH: Final = ("basic", "md5", "md5-sess", "sha-256", "sha-256-sess")
_MOST_CHALLENGES: Final = 16
_LONGEST_HEADER: Final = 4096


@dataclass(frozen=True, slots=True, kw_only=True)
class Credentials:
    """What the operator gave for a camera."""

    user: Secret
    password: Secret


@dataclass(frozen=True, slots=True, kw_only=True)
class Challenge:
    """One challenge of a ``WWW-Authenticate`` header.

    Attributes:
        scheme: in lower case.
        values: its parameters, names in lower case, as they stand between their quotes.
    """

    scheme: str
    values: Mapping[str, str]

    @property
    def strength(self) -> int:
        """Return how good it is, from 0; negative where it cannot be answered."""
        if self.scheme == "basic":
            return 0
        if self.scheme != "digest" or "nonce" not in self.values or self.qop is None:
            return -1
        return _STRENGTH.index(self.algorithm) if self.algorithm in _STRENGTH else -1

    @property
    def algorithm(self) -> str:
        """Return the name of the digest's algorithm, in lower case."""
        return self.values.get("algorithm", "MD5").lower()

    @property
    def qop(self) -> str | None:
        """Return ``auth``, nothing for the old form, None where the body would be part of it."""
        offered = [one.strip().lower() for one in self.values.get("qop", "").split(",")]
        return "auth" if "auth" in offered else "" if offered == [""] else None

    @property
    def stale(self) -> bool:
        """Return whether only the nonce was too old."""
        return self.values.get("stale", "").lower() == "true"


def parse_challenges(headers: Iterable[str]) -> list[Challenge]:
    """Return the challenges of all ``WWW-Authenticate`` headers of an answer."""
    found: list[tuple[str, dict[str, str]]] = []
    for header in itertools.islice(headers, _MOST_CHALLENGES):
        for part in _PARTS.finditer(header[:_LONGEST_HEADER]):
            value = part["quoted"] if part["quoted"] is not None else part["plain"]
            if value is None:
                found.append((part["name"].lower(), {}))
            elif found:
                found[-1][1].setdefault(part["name"].lower(), value)
    return [Challenge(scheme=scheme, values=values) for scheme, values in found[:_MOST_CHALLENGES]]


class Authorization:
    """The credentials of one camera, and its latest challenge."""

    def __init__(
        self,
        credentials: Credentials | None,
        client_nonce: Callable[[], str] = lambda: secrets.token_hex(16),
    ) -> None:
        self._credentials = credentials
        self._client_nonce = client_nonce
        self._challenge: Challenge | None = None
        self._uses = 0

    def challenged(self, headers: Iterable[str], *, answered: bool) -> bool:
        """Take the challenge of an answer 401; return whether the request is worth repeating.

        Args:
            headers: values of ``WWW-Authenticate``.
            answered: this request was repeated already with the answer to a fresh challenge.
        """
        best = max(parse_challenges(headers), key=lambda one: one.strength, default=None)
        if self._credentials is None or best is None or best.strength < 0:
            return False
        if answered and not best.stale:
            return False
        self._challenge, self._uses = best, 0
        return True

    def header(self, method: str, uri: str) -> str | None:
        """Return the value of ``Authorization`` for a request; None before any challenge."""
        if self._challenge is None or self._credentials is None:
            return None
        user, password = self._credentials.user.reveal(), self._credentials.password.reveal()
        if self._challenge.scheme == "basic":
            return "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()
        self._uses += 1
        return digest(
            self._challenge,
            user=user,
            password=password,
            method=method,
            uri=uri,
            client_nonce=self._client_nonce(),
            uses=self._uses,
        )


def digest(
    challenge: Challenge,
    *,
    user: str,
    password: str,
    method: str,
    uri: str,
    client_nonce: str,
    uses: int,
) -> str:
    """Return the answer to a challenge of Digest (RFC 7616, section 3.4)."""
    algorithm, session, _ = challenge.algorithm.partition("-sess")
    hashed = _HASHES[algorithm]

    def h(*parts: str) -> str:
        return hashed(":".join(parts).encode())

    realm, nonce = challenge.values.get("realm", ""), challenge.values["nonce"]
    secret = h(user, realm, password)
    if session:
        secret = h(secret, nonce, client_nonce)
    request = h(method, uri)
    quoted = {"username": _escaped(user), "realm": realm, "nonce": nonce, "uri": uri}
    plain: dict[str, str] = {}
    if challenge.qop:
        count = f"{uses:08x}"
        quoted["response"] = h(secret, nonce, count, client_nonce, challenge.qop, request)
        plain = {"qop": challenge.qop, "nc": count}
    else:
        quoted["response"] = h(secret, nonce, request)
    if challenge.qop or session:
        quoted["cnonce"] = client_nonce
    if "opaque" in challenge.values:
        quoted["opaque"] = challenge.values["opaque"]
    if "algorithm" in challenge.values:
        plain["algorithm"] = challenge.values["algorithm"]
    fields = [f'{name}="{value}"' for name, value in quoted.items()]
    return "Digest " + ", ".join(fields + [f"{name}={value}" for name, value in plain.items()])


def _escaped(text: str) -> str:
    return text.replace("\\", "\\\\").replace('"', '\\"')
