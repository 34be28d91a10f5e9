"""Whoever refuses, service or Envoy: the status fits and the body is one shape of JSON."""

import httpx
import pytest

from tests.support.edge import RunningEdge
from tests.transcoding.rooms import Rooms

pytestmark = pytest.mark.asyncio(loop_scope="module")

NEW = {"name": "North Lot", "connection_string": "rtsp://10.0.0.5/stream"}


def refusal(response: httpx.Response) -> tuple[int, int, str]:
    """Status, code and message of an answer in the shape of errors."""
    assert response.headers["content-type"] == "application/json"
    body = response.json()
    assert body.keys() == {"code", "message", "details"}
    assert isinstance(body["details"], list)
    return response.status_code, body["code"], body["message"]


async def test_a_services_error_keeps_its_details(client: httpx.AsyncClient) -> None:
    response = await client.get("/cameras/00000000-0000-4000-8000-000000000000")
    assert refusal(response) == (
        404, 5, "No camera has this id; list them with GET /cameras.",
    )  # fmt: skip
    error_info, request_info = response.json()["details"]
    assert error_info == {
        "@type": "type.googleapis.com/google.rpc.ErrorInfo",
        "reason": "CAMERA_NOT_FOUND",
        "domain": "dfip.control_plane",
        "metadata": {"camera_id": "00000000-0000-4000-8000-000000000000"},
    }
    assert request_info["request_id"] == response.headers["x-request-id"]


async def test_a_conflict_is_409(client: httpx.AsyncClient) -> None:
    await client.post("/cameras", json=NEW)
    assert refusal(await client.post("/cameras", json=NEW))[:2] == (409, 6)


async def test_a_broken_rule_names_the_field(client: httpx.AsyncClient) -> None:
    response = await client.post("/cameras", json=NEW | {"name": ""})
    assert refusal(response)[:2] == (400, 3)
    (violation,) = response.json()["details"][1]["field_violations"]
    assert violation["field"] == "name"


async def test_no_token_is_401(edge: RunningEdge) -> None:
    async with edge.client() as nobody:
        assert refusal(await nobody.get("/cameras"))[:2] == (401, 16)


async def test_a_role_that_may_not_is_403(client: httpx.AsyncClient, rooms: Rooms) -> None:
    headers = {"authorization": f"Bearer {rooms.authority.token('viewer')}"}
    assert refusal(await client.post("/cameras", json=NEW, headers=headers))[:2] == (403, 7)


async def test_a_crash_tells_nothing(client: httpx.AsyncClient) -> None:
    created = (await client.post("/cameras", json=NEW | {"name": "crash"})).json()["data"]
    response = await client.post(f"/cameras/{created['id']}:retry")
    assert refusal(response)[:2] == (500, 13)
    assert "canary" not in response.text


@pytest.mark.parametrize("path", ["/", "/nope", "/cameras/", "/cameras/a/b/c", "/dfip"])
async def test_an_unknown_path_is_404(client: httpx.AsyncClient, path: str) -> None:
    status, code, message = refusal(await client.get(path))
    assert (status, code) == (404, 5)
    assert "Nothing is served" in message


@pytest.mark.parametrize("path", ["/cameras/a%2Fb", "/cameras/a%2fb", "/cameras/a%5Cb"])
async def test_an_escaped_slash_is_never_an_id(client: httpx.AsyncClient, path: str) -> None:
    assert refusal(await client.get(path))[:2] == (404, 5)


@pytest.mark.parametrize(
    ("method", "path", "allowed"),
    [
        ("PUT", "/cameras", "GET, POST"),
        ("DELETE", "/cameras/c1/status", "PATCH"),
        ("GET", "/cameras/c1:retry", "POST"),
        ("OPTIONS", "/persons", "GET, POST"),
    ],
)
async def test_another_method_is_405_and_says_which(
    client: httpx.AsyncClient, method: str, path: str, allowed: str
) -> None:
    response = await client.request(method, path)
    assert refusal(response)[:2] == (405, 12)
    assert response.headers["allow"] == allowed


@pytest.mark.parametrize(
    "body", [b'{"name":', b"", b"[]", b'{"name": 3}', b"\xff\xfe", b'{"metadata": "text"}']
)
async def test_bad_json_is_400(client: httpx.AsyncClient, body: bytes) -> None:
    assert refusal(await client.post("/cameras", content=body))[:2] == (400, 3)


@pytest.mark.parametrize("path", ["/cameras/%ff", "/cameras?page_token=%ff", "/cameras?status=%c0"])
async def test_what_is_not_utf8_is_400(client: httpx.AsyncClient, path: str) -> None:
    response = await client.get(path)
    assert refusal(response)[:2] == (400, 3)
    assert response.json()["details"][0]["reason"] == "REQUEST_UNREADABLE"


async def test_an_unknown_query_is_400_and_named(client: httpx.AsyncClient) -> None:
    status, code, message = refusal(await client.get("/cameras", params={"nonsense": 1}))
    assert (status, code) == (400, 3)
    assert "nonsense" in message


async def test_too_much_json_is_413(client: httpx.AsyncClient) -> None:
    response = await client.post("/cameras", json=NEW | {"description": "x" * (1 << 21)})
    assert refusal(response)[:2] == (413, 8)


async def test_json_on_a_path_of_grpc_is_415(client: httpx.AsyncClient) -> None:
    path = "/dfip.control_plane.v1.ControlPlaneService/CreateCamera"
    assert refusal(await client.post(path, json=NEW))[:2] == (415, 3)


@pytest.mark.parametrize("query", ["rtsp://a/b", "rtsp://user:canary@c/d", ""])
async def test_a_field_in_body_and_query_is_not_repeated(
    client: httpx.AsyncClient, query: str
) -> None:
    response = await client.post(
        "/cameras",
        params={"connection_string": query},
        json={"name": "n", "connection_string": "rtsp://user:canary@a/b"},
    )
    assert response.status_code == 400
    assert "canary" not in response.text
    assert "send each field once" in response.json()["message"]
