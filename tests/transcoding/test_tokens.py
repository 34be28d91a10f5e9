"""The edge wants a token before anything else, and says what is wrong as the services do."""

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import grpc
import httpx
import pytest
import pytest_asyncio

from deploy.envoy.token_check import TokenIssuer
from tests.support.edge import RunningEdge, running_edge
from tests.support.identity_provider import TestProvider
from tests.support.tokens import TestAuthority
from tests.transcoding.rooms import Rooms

pytestmark = pytest.mark.asyncio(loop_scope="module")

PROVIDER_KINDS = ("RS256", "ES256", "EdDSA")


def told(response: httpx.Response) -> tuple[int, int, str]:
    body = response.json()
    assert body.keys() == {"code", "message", "details"}
    assert response.headers["content-type"] == "application/json"
    return response.status_code, body["code"], body["details"][0]["reason"]


async def get(edge: RunningEdge, path: str, *authorization: str) -> httpx.Response:
    async with edge.client() as client:
        return await client.get(path, headers=[("authorization", text) for text in authorization])


@pytest.mark.parametrize("path", ["/cameras", "/", "/nope", "/cameras/x%2Fy", "/healthz/x"])
async def test_whatever_is_asked_for_nobody_hears_of_it(edge: RunningEdge, path: str) -> None:
    assert told(await get(edge, path)) == (401, 16, "TOKEN_MISSING")


@pytest.mark.parametrize("token", [(), ("Bearer x",)])
async def test_the_challenge_does_not_repeat_what_was_asked_for(
    edge: RunningEdge, token: tuple[str, ...]
) -> None:
    response = await get(
        edge, "/cameras?connection_string=rtsp%3A%2F%2Fu%3Apw-in-a-query%40h", *token
    )
    assert response.headers.get_list("www-authenticate") == ["Bearer"]
    assert "pw-in-a-query" not in str(response.headers.multi_items()) + response.text


async def test_health_needs_no_token(edge: RunningEdge) -> None:
    assert (await get(edge, "/healthz")).status_code == 200


@pytest.mark.parametrize(
    ("wrong", "reason"),
    [
        ({"lifetime_s": -60}, "TOKEN_EXPIRED"),
        ({"iss": "other"}, "TOKEN_INVALID"),
        ({"aud": "other"}, "TOKEN_INVALID"),
        ({"nbf": 4_000_000_000}, "TOKEN_INVALID"),
        ({"headers": {"kid": "other"}}, "TOKEN_INVALID"),
        ({"headers": {"crit": ["exp"]}}, "TOKEN_INVALID"),
        ({"headers": {"jku": "https://evil.example/keys"}}, "TOKEN_INVALID"),
        ({"headers": {"jwk": {"kty": "oct", "k": "AA"}}}, "TOKEN_INVALID"),
        ({"headers": {"x5u": "https://evil.example/cert"}}, "TOKEN_INVALID"),
        ({"role": "emperor"}, "TOKEN_INVALID"),
    ],
)
async def test_a_wrong_token_is_401_with_the_services_reason(
    edge: RunningEdge, rooms: Rooms, wrong: Any, reason: str
) -> None:
    token = rooms.authority.token(**wrong)
    assert told(await get(edge, "/cameras", f"Bearer {token}")) == (401, 16, reason)


async def test_grpc_callers_get_the_bare_sentence(edge: RunningEdge, rooms: Rooms) -> None:
    path = "/dfip.control_plane.v1.ControlPlaneService/GetCamera"
    for token, sentence in (
        (None, "Send a token in the header"),
        (rooms.authority.token(lifetime_s=-60), "The token has expired"),
        (rooms.authority.token(aud="other"), "The token is not valid here"),
    ):
        metadata = [("authorization", f"Bearer {token}")] if token else []
        async with edge.channel() as channel:
            with pytest.raises(grpc.aio.AioRpcError) as caught:
                await channel.unary_unary(path)(b"", metadata=metadata)
        assert caught.value.code() is grpc.StatusCode.UNAUTHENTICATED
        assert str(caught.value.details()).startswith(sentence)


async def test_a_second_token_voids_the_first(edge: RunningEdge, rooms: Rooms) -> None:
    viewer, admin = (f"Bearer {rooms.authority.token(role)}" for role in ("viewer", "admin"))
    for both in ((viewer, admin), (admin, viewer), (admin, admin), (f"{admin}, {viewer}",)):
        assert (await get(edge, "/cameras", *both)).status_code == 401
    assert (await get(edge, "/cameras", viewer)).status_code == 200


async def test_a_token_in_the_query_is_none(edge: RunningEdge, rooms: Rooms) -> None:
    for name in ("access_token", "token", "authorization"):
        response = await get(edge, f"/cameras?{name}={rooms.authority.token()}")
        assert told(response) == (401, 16, "TOKEN_MISSING")


@pytest.mark.parametrize("scheme", ["Bearer", "bearer", "BEARER"])
async def test_the_scheme_may_be_written_in_any_case(
    edge: RunningEdge, rooms: Rooms, scheme: str
) -> None:
    token = rooms.authority.token()
    assert (await get(edge, "/cameras", f"{scheme} {token}")).status_code == 200


@pytest.mark.parametrize("path", ["/persons/x/faces", "/cameras"])
async def test_a_stranger_uploads_nothing(edge: RunningEdge, path: str) -> None:
    """The answer comes while the body is still on its way, so none of it is kept."""
    reader, writer = await asyncio.open_connection(edge.host, edge.port)
    try:
        head = f"POST {path} HTTP/1.1\r\nhost: x\r\ncontent-length: 10000000\r\n\r\nstart"
        writer.write(head.encode())
        async with asyncio.timeout(5):
            assert (await reader.readline()).startswith(b"HTTP/1.1 401")
    finally:
        writer.close()


@pytest_asyncio.fixture(scope="module", loop_scope="module", params=PROVIDER_KINDS)
async def provider(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> TestProvider:
    return TestProvider(tmp_path_factory.mktemp("provider"), algorithm=request.param)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def provided(rooms: Rooms, provider: TestProvider) -> AsyncIterator[RunningEdge]:
    issuer = TokenIssuer(
        issuer=provider.issuer, audiences=[provider.audience], jwks_file=provider.jwks_file
    )
    folder = provider.jwks_file.parent / "edge"
    async with running_edge(
        folder,
        clusters=rooms.clusters,
        jwks_file=rooms.authority.jwks_file,
        identity_provider=issuer,
    ) as running:
        yield running


async def test_a_providers_tokens_pass_the_edge_beside_the_sites(
    provided: RunningEdge, rooms: Rooms, provider: TestProvider
) -> None:
    """The rooms know no provider, so they refuse what the edge let through: both check."""
    site = f"Bearer {rooms.authority.token()}"
    assert (await get(provided, "/cameras", site)).status_code == 200
    response = await get(provided, "/cameras", f"Bearer {provider.token()}")
    assert told(response) == (401, 16, "TOKEN_INVALID")
    assert response.json()["details"][0]["domain"] == "dfip.control_plane"
    for wrong in (
        provider.token(aud="other"),
        provider.token(iss="dfip"),
        provider.token(lifetime_s=-60),
        rooms.authority.token(iss=provider.issuer, aud=provider.audience),
    ):
        response = await get(provided, "/cameras", f"Bearer {wrong}")
        assert response.status_code == 401
        assert response.json()["details"][0]["domain"] == "dfip.edge"


async def test_the_edge_starts_before_the_keys_and_follows_them(
    rooms: Rooms, tmp_path: Path
) -> None:
    """A key that is new, and one that is gone, are known within seconds, without a restart."""
    keys = tmp_path / "keys" / "jwks.json"
    first, second = (TestAuthority(_made(tmp_path / name)) for name in ("first", "second"))

    async def until(authority: TestAuthority, status: int) -> None:
        token = f"Bearer {authority.token()}"
        async with asyncio.timeout(10):
            # nothing else tells when another program has read a file
            while (response := await get(edge, "/nope", token)).status_code != status:  # noqa: ASYNC110
                await asyncio.sleep(0.02)
        assert response.headers["content-type"] == "application/json"

    async with running_edge(tmp_path, clusters=rooms.clusters, jwks_file=keys) as edge:
        assert told(await get(edge, "/cameras", f"Bearer {first.token()}")) == (
            503, 14, "KEYS_NOT_READY",
        )  # fmt: skip
        assert told(await get(edge, "/cameras")) == (401, 16, "TOKEN_MISSING")
        publish(keys, first)
        await until(first, 404)
        publish(keys, first, second)
        await until(second, 404)
        await until(first, 404)
        publish(keys, second)
        await until(first, 401)
        await until(second, 404)
    # asking itself for keys must not fail over and over beside what works
    assert "fetch" not in (tmp_path / "envoy.log").read_text()


def publish(keys: Path, *authorities: TestAuthority) -> None:
    documents = [json.loads(authority.jwks_file.read_text()) for authority in authorities]
    fresh = keys.with_name("fresh")
    fresh.write_text(json.dumps({"keys": [key for one in documents for key in one["keys"]]}))
    fresh.replace(keys)


def _made(folder: Path) -> Path:
    folder.mkdir()
    return folder
