"""The documents' camera calls, as Envoy spells them: envelope, bare list, status codes, headers."""

import httpx
import pytest

from tests.transcoding.rooms import Rooms

pytestmark = pytest.mark.asyncio(loop_scope="module")

FRONT_DOOR = {
    "name": "Front Door Camera",
    "connection_string": "rtsp://user:pass@192.168.1.100:554/stream",
    "status": "disabled",
    "location": "Front Entrance",
    "description": "Main entrance monitoring",
    "metadata": {"floor": 1, "tags": ["a", {"deep": None}]},
}


@pytest.fixture(autouse=True)
def _no_cameras(rooms: Rooms) -> None:
    rooms.cameras.cameras.clear()


async def create(client: httpx.AsyncClient, **changes: object) -> dict[str, object]:
    response = await client.post("/cameras", json=FRONT_DOOR | changes)
    assert response.status_code == 201, response.text
    data: dict[str, object] = response.json()["data"]
    return data


async def test_a_created_camera_answers_201_and_the_envelope(client: httpx.AsyncClient) -> None:
    response = await client.post("/cameras", json=FRONT_DOOR)
    assert response.status_code == 201
    body = response.json()
    assert body.keys() == {"success", "message", "data"}
    assert body["success"] is True
    assert body["message"] == "Camera created successfully"
    data = body["data"]
    assert data["metadata"] == FRONT_DOOR["metadata"]
    assert data["created_at"] == data["updated_at"] == "2025-09-17T10:00:00Z"
    assert "connection_string" not in data
    expected = {key: FRONT_DOOR[key] for key in ("name", "status", "location", "description")}
    assert {key: data[key] for key in expected} == expected


async def test_no_cameras_are_an_empty_bare_list(client: httpx.AsyncClient) -> None:
    response = await client.get("/cameras")
    assert response.status_code == 200
    assert response.headers["content-type"] == "application/json"
    assert response.json() == []


async def test_the_list_of_cameras_is_bare_and_has_the_documents_keys(
    client: httpx.AsyncClient,
) -> None:
    first, second = await create(client), await create(client, name="South Gate")
    assert (await client.get("/cameras")).json() == [
        {"id": c["id"], "name": c["name"], "status": "healthy", "desired_state": "stopped"}
        for c in (first, second)
    ]


async def test_only_headers_for_clients_leave(client: httpx.AsyncClient) -> None:
    response = await client.get("/cameras", params={"page_size": 1})
    assert response.headers["x-next-page-token"] == "page-2"
    assert response.headers["x-request-id"]
    assert set(response.headers) == {
        "cache-control", "content-type", "date", "server", "transfer-encoding",
        "x-content-type-options", "x-next-page-token", "x-request-id", "content-security-policy",
    }  # fmt: skip


async def test_an_error_before_the_first_camera_keeps_its_status(
    client: httpx.AsyncClient,
) -> None:
    response = await client.get("/cameras", params={"page_token": "stale"})
    assert response.status_code == 400
    assert response.json()["details"][0]["reason"] == "PAGE_TOKEN_INVALID"


async def test_the_literal_path_wins_over_the_id(client: httpx.AsyncClient, rooms: Rooms) -> None:
    camera = await create(client)
    runtimes = await client.get("/cameras/runtime")
    assert [entry["runtime"]["worker_status"] for entry in runtimes.json()["data"]] == ["stopped"]
    one = await client.get(f"/cameras/{camera['id']}")
    assert one.json()["data"]["name"] == FRONT_DOOR["name"]
    assert rooms.recording.requests["GetCamera"].camera_id == camera["id"]


async def test_fields_that_are_zero_are_printed(client: httpx.AsyncClient) -> None:
    await create(client)
    (entry,) = (await client.get("/cameras/runtime")).json()["data"]
    assert entry["runtime"]["error_count"] == 0
    assert entry["runtime"]["pod_name"] == ""
    assert "last_heartbeat" not in entry["runtime"]


async def test_the_status_is_set_by_path_and_body(client: httpx.AsyncClient) -> None:
    camera = await create(client)
    response = await client.patch(f"/cameras/{camera['id']}/status", json={"status": "enabled"})
    assert response.status_code == 200
    assert response.json()["data"]["status"] == "enabled"


async def test_a_path_and_a_body_that_contradict_each_other_are_refused(
    client: httpx.AsyncClient,
) -> None:
    camera = await create(client)
    body = {"status": "enabled", "camera_id": "another"}
    response = await client.patch(f"/cameras/{camera['id']}/status", json=body)
    assert response.status_code == 400


async def test_manager_status_keeps_the_documents_mixed_case(client: httpx.AsyncClient) -> None:
    response = await client.get("/api/camera-manager/status")
    assert response.json() == {
        "success": True,
        "data": {
            "is_running": True,
            "worker_count": 1,
            "workers": [
                {
                    "camera_id": "c1",
                    "podName": "camera-worker-c1",
                    "namespace": "local",
                    "image": "process",
                    "createdAt": "2025-09-17T10:00:00Z",
                }
            ],
        },
    }


@pytest.mark.parametrize(
    ("path", "body"),
    [("/persons", {"name": "Ada"}), ("/tokens", {"role": "viewer"}), ("/persons/p/faces", None)],
)
async def test_every_other_create_answers_201(
    client: httpx.AsyncClient, path: str, body: object
) -> None:
    response = await client.post(path, json=body)
    assert response.status_code == 201, response.text
    assert response.json()["success"] is True


async def test_a_custom_verb_reaches_its_rpc(client: httpx.AsyncClient, rooms: Rooms) -> None:
    camera = await create(client)
    await client.post(f"/cameras/{camera['id']}:retry")
    assert rooms.recording.requests["RetryCamera"].camera_id == camera["id"]


async def test_an_id_is_percent_decoded_once(client: httpx.AsyncClient, rooms: Rooms) -> None:
    response = await client.get("/cameras/caf%C3%A9%20%252F")
    assert response.status_code == 404
    assert rooms.recording.requests["GetCamera"].camera_id == "café %2F"
