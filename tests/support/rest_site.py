"""Sends made-up requests through a real Envoy to a real control plane, and judges every answer.

What must hold of each: it comes in time, it is no 5xx, an error is JSON with ``code``, ``message``
and ``details``, and it tells nothing of our insides and no secret.
"""

import asyncio
import contextlib
import json
import re
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from pathlib import Path

import httpx

from tests.support.control_plane import RunningControlPlane
from tests.support.edge import running_edge
from tests.support.people import running_people_site
from tests.support.rest_requests import CANARY, NOBODY, RestRequest

ANSWER_WITHIN_S = 10.0
_INSIDES = ("Traceback", 'File "/', "sqlalchemy", "sqlite3", "asyncpg", "grpc._cython", "0x7f")
_STREAMED_BYTES = 2000


@dataclass(slots=True, kw_only=True)
class RestSite:
    """A site behind its edge; ``statuses`` and ``seconds`` are of all answers so far."""

    client: httpx.AsyncClient = field(repr=False)
    token_of: Callable[[str], str] = field(repr=False)
    known: dict[str, str] = field(default_factory=dict)
    statuses: Counter[int] = field(default_factory=Counter, repr=False)
    seconds: list[float] = field(default_factory=list, repr=False)

    async def send(self, request: RestRequest) -> int:
        """Send a request and judge its answer; returns the status."""
        headers = dict(request.headers)
        if token := self.token_of(request.token):
            headers["authorization"] = f"Bearer {token}"
        content = request.content
        if content is not None:
            content = self._filled(content.decode("latin-1")).encode("latin-1")
        started = time.perf_counter()
        try:
            async with asyncio.timeout(ANSWER_WITHIN_S):
                async with self.client.stream(
                    request.verb, self._filled(request.path), headers=headers, content=content
                ) as response:
                    body = await _body(response, endless=request.endless)
        except TimeoutError:
            raise AssertionError(f"no answer within {ANSWER_WITHIN_S:.0f} s: {request}") from None
        self.seconds.append(time.perf_counter() - started)
        self.statuses[response.status_code] += 1
        judge(request, response, body)
        if response.status_code == 201:
            self._remember(request, body)
        return response.status_code

    def _filled(self, text: str) -> str:
        return re.sub(r"\{([a-z-]+)\}", lambda name: self.known.get(name[1], NOBODY), text)

    def _remember(self, request: RestRequest, body: bytes) -> None:
        made = json.loads(body).get("data", {})
        if isinstance(made, dict) and isinstance(made.get("id"), str):
            self.known[request.path.split("/")[1].split("?")[0]] = made["id"]


def judge(request: RestRequest, response: httpx.Response, body: bytes) -> None:
    """Hold an answer against what must hold of every answer."""
    text = body.decode(errors="replace")
    seen = f"{request}: {response.status_code} {text[:600]}"
    assert response.status_code < 500, seen
    for word in _INSIDES:
        assert word not in text, seen
    assert CANARY not in text, seen
    assert CANARY not in str(response.headers.multi_items()), seen
    # who says that gRPC is spoken is answered so, in words
    called_by_grpc = dict(request.headers).get("content-type", "").startswith("application/grpc")
    if response.status_code >= 400 and not called_by_grpc:
        assert response.headers.get("content-type") == "application/json", seen
        assert json.loads(text).keys() == {"code", "message", "details"}, seen


async def _body(response: httpx.Response, *, endless: bool) -> bytes:
    """Read an answer; of one that does not end, only that it begins."""
    if endless and response.status_code == httpx.codes.OK:
        return b""
    return await response.aread()


@contextlib.asynccontextmanager
async def running_rest_site(folder: Path) -> AsyncIterator[RestSite]:
    """Run Envoy, a control plane and a small index, with a camera and a person in it."""
    async with (
        running_people_site(folder) as people,
        running_edge(folder, clusters={"control_plane": people.site.target}) as edge,
        edge.client() as client,
    ):
        yield await furnished(people.site, client)
        assert not people.site.stopping, "a root task of the control plane has crashed"


async def furnished(site: RunningControlPlane, client: httpx.AsyncClient) -> RestSite:
    """Put a camera and a person into a site; ``client`` speaks to its edge."""

    def token_of(role: str) -> str:
        """Mint a token for each request: any of them may rotate the keys."""
        if role == "forged":
            return f"e30.e30.{CANARY}"
        if role == "worker":
            return site.token(role, camera_id=rest.known.get("cameras"), epoch=1).reveal()
        return "" if role == "none" else site.token(role).reveal()

    rest = RestSite(client=client, token_of=token_of)
    await furnish(rest)
    return rest


async def furnish(rest: RestSite) -> None:
    """Put a camera and a person into a site."""
    camera = {
        "name": "door",
        "connection_string": f"rtsp://user:{CANARY}@10.0.0.5/live",
        "status": "enabled",
    }
    for path, body in (("/cameras", camera), ("/persons", {"name": "Ada"})):
        await rest.send(
            RestRequest(
                verb="POST",
                path=path,
                headers=(("content-type", "application/json"),),
                content=json.dumps(body).encode(),
                token="admin",
                endless=False,
            )
        )
