"""What an attacker of the edge holds: an address, tokens, and what must be true of every answer.

The attacks (``rest_edge_requests``, ``rest_edge_bytes``) know no more than this, so the same ones
run beside the service (``rest_edge_world``) and in a process of their own
(``rest_edge_attackers``). Nothing is answered by a 5xx but by JSON that says "unavailable" while
the service is dead; an error is JSON; and nothing tells of our insides.
"""

import asyncio
import json
import random
from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any, TypeAlias

import httpx

from tests.support.raw_http import RawAnswer
from tests.support.rest_site import RestSite

SMUGGLED = "smuggled"
ANSWERED_WITHIN_S = 10.0
BEARER = b"host: x\r\nauthorization: Bearer %s\r\n"
_MOMENT_S = 0.2
_INSIDES = ("Traceback", 'File "/', "sqlalchemy", "sqlite3", "asyncpg", "grpc._cython", "upstream")


@dataclass(kw_only=True)
class Target:
    """An edge, and what is held against it. ``figures`` counts.

    Attributes:
        where: host and port of the edge.
        client: speaks to the edge, without a token.
        thorough: do all there is, not a few of each.
        may_be_away: the service is dead, and everybody knows.
    """

    where: tuple[str, int]
    client: httpx.AsyncClient
    rest: RestSite
    dice: random.Random
    thorough: bool
    may_be_away: bool = False
    figures: Counter[str] = field(default_factory=Counter)

    def many(self, quick: int, all_of_them: int) -> int:
        """Return how many: few in a test, the number itself in the bench."""
        return all_of_them if self.thorough else quick

    def token(self, role: str = "admin") -> str:
        """Return a token of a role."""
        return self.rest.token_of(role)

    def bearer(self, role: str = "admin") -> dict[str, str]:
        return {"authorization": f"Bearer {self.token(role)}"}

    async def ask(self, verb: str, path: str, **asked: Any) -> httpx.Response:
        """Ask as somebody with a token, and hold the answer against what holds of every one."""
        headers = self.bearer() | asked.pop("headers", {})
        async with asyncio.timeout(ANSWERED_WITHIN_S):
            answer = await self.client.request(verb, path, headers=headers, **asked)
        self.judge(answer.status_code, answer.text, f"{verb} {path[:200]}")
        return answer

    def judge_raw(self, answer: RawAnswer, *expected: int) -> None:
        """Hold an answer to raw bytes against what holds of every one."""
        text = answer.body.decode(errors="replace")
        self.judge(answer.status, text, f"raw bytes, answered by {answer.head.splitlines()[0]}")
        assert answer.status in expected, f"{answer.status}, not one of {expected}: {text[:300]}"

    def judge(self, status: int, text: str, asked: str) -> None:
        """Hold an answer against what holds of every one."""
        self.figures["requests"] += 1
        if status >= 400:
            assert json.loads(text).keys() == {"code", "message", "details"}, f"{asked}: {text}"
        if status == 503 and self.may_be_away:
            self.figures["unavailable"] += 1
        elif status >= 500:
            self.figures["server_errors"] += 1
            raise AssertionError(f"{asked}: {status} {text[:300]}")
        for word in _INSIDES:
            assert word not in text, f"{asked}: {text[:300]}"

    async def others_go_on(self, answers: int = 3) -> None:
        """Give the others, who are not of this process, a moment for so many answers."""
        await asyncio.sleep(_MOMENT_S * answers)


Attack: TypeAlias = Callable[[Target], Awaitable[None]]
