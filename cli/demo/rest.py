"""The demo's side of the REST API: what anybody could do with curl, and nothing else."""

import json
from collections.abc import AsyncGenerator, Mapping
from types import TracebackType
from typing import Any, Self

import httpx

from cli.failures import CommandFailed, ExitCode
from service_runtime.secret import Secret

_CODES = {
    401: ExitCode.NOT_ALLOWED,
    403: ExitCode.NOT_ALLOWED,
    404: ExitCode.NOT_FOUND,
    409: ExitCode.CONFLICT,
    503: ExitCode.UNAVAILABLE,
    504: ExitCode.TIMED_OUT,
}
_ANSWER_S = 60.0


class RestSite:
    """A site, by REST. Failed calls raise `CommandFailed` with the site's own sentence."""

    def __init__(
        self, url: str, token: Secret, transport: httpx.AsyncBaseTransport | None = None
    ) -> None:
        self._client = httpx.AsyncClient(
            base_url=url,
            headers={"authorization": f"Bearer {token.reveal()}"},
            timeout=_ANSWER_S,
            transport=transport,
            trust_env=False,  # a proxy for the world has no business between us and this machine
        )

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self._client.aclose()

    async def get(self, path: str, **query: str) -> Any:  # noqa: ANN401 - whatever JSON says
        """Return the answer of a GET."""
        return self._answer(await self._send("GET", path, params=query))

    async def post(self, path: str, body: Mapping[str, Any]) -> Any:  # noqa: ANN401 - as above
        """Return the answer of a POST."""
        return self._answer(await self._send("POST", path, json=body))

    async def patch(self, path: str, body: Mapping[str, Any]) -> Any:  # noqa: ANN401 - as above
        """Return the answer of a PATCH."""
        return self._answer(await self._send("PATCH", path, json=body))

    async def upload(self, path: str, content_type: str, data: bytes) -> Any:  # noqa: ANN401
        """Return the answer of a POST whose body is a picture."""
        headers = {"content-type": content_type}
        return self._answer(await self._send("POST", path, content=data, headers=headers))

    async def events(self, resume_token: str, **query: str) -> AsyncGenerator[dict[str, Any], None]:
        """Yield the messages of the event stream until it ends or breaks."""
        query = {**query, "resume_token": resume_token} if resume_token else query
        try:
            async with self._client.stream(
                "GET", "/events.ndjson", params=query, timeout=httpx.Timeout(_ANSWER_S, read=None)
            ) as response:
                if response.status_code != httpx.codes.OK:
                    await response.aread()
                    self._answer(response)
                async for line in response.aiter_lines():
                    if line.strip():
                        yield json.loads(line)
        except (httpx.TransportError, ValueError):
            return

    async def _send(self, method: str, path: str, **arguments: Any) -> httpx.Response:  # noqa: ANN401
        try:
            return await self._client.request(method, path, **arguments)
        except httpx.TransportError as error:
            raise CommandFailed(
                f"DFIP does not answer ({type(error).__name__}); its logs say why.",
                code=ExitCode.UNAVAILABLE,
            ) from None

    def _answer(self, response: httpx.Response) -> Any:  # noqa: ANN401 - whatever JSON says
        try:
            body = response.json()
        except ValueError:
            body = {}
        if response.is_success:
            return body
        said = body.get("message") if isinstance(body, dict) else None
        raise CommandFailed(
            str(said or f"DFIP answered {response.status_code} to {response.request.url.path}."),
            code=_CODES.get(response.status_code, ExitCode.FAILED),
            request_id=response.headers.get("x-request-id", ""),
        )
