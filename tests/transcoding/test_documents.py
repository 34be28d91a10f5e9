"""Each camera example of the two documents, through Envoy, against the real control plane.

An example is compared key by key: every key of the document is there with the value or the kind of
value that it shows. Keys beyond the document are those that the contracts add, and no others.
"""

import asyncio
import json
import re
import uuid
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import httpx
import pytest
import pytest_asyncio

from dfip.control_plane.v1 import control_plane_service_pb2, control_plane_service_pb2_grpc
from tests.support.control_plane import RunningControlPlane, running_control_plane
from tests.support.edge import running_edge

pytestmark = pytest.mark.asyncio(loop_scope="module")

UUID = object()
TIME = object()
CAMERA_EXTRAS = {"desired_state", "zone_config", "model_config", "etag", "last_contact"}
RUNTIME_EXTRAS = {
    "failure_reason", "next_retry_at", "observed_generation", "last_contact", "epoch",
    "failure_message", "accelerator_asked", "accelerator_used", "decoder",
}  # fmt: skip
CREATE = {
    "name": "Front Door Camera",
    "connection_string": "rtsp://user:pass@192.168.1.100:554/stream",
    "status": "disabled",
    "location": "Front Entrance",
    "description": "Main entrance monitoring",
    "metadata": {},
}
CAMERA = {
    "id": UUID,
    "name": "Front Door Camera",
    "status": "disabled",
    "location": "Front Entrance",
    "description": "Main entrance monitoring",
    "metadata": {},
    "created_at": TIME,
    "updated_at": TIME,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Site:
    control_plane: RunningControlPlane
    client: httpx.AsyncClient

    async def create(self, **changes: object) -> str:
        response = await self.client.post("/cameras", json=CREATE | changes)
        assert response.status_code == 201, response.text
        camera_id: str = response.json()["data"]["id"]
        return camera_id


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def site(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Site]:
    folder = tmp_path_factory.mktemp("site")
    async with (
        running_control_plane(folder) as control_plane,
        running_edge(folder, clusters={"control_plane": control_plane.target}) as edge,
        edge.client(control_plane.token("operator").reveal()) as client,
    ):
        yield Site(control_plane=control_plane, client=client)


def bearer(site: Site, role: str) -> dict[str, str]:
    return {"authorization": f"Bearer {site.control_plane.token(role).reveal()}"}


def agrees(example: Any, actual: Any, *, extras: Mapping[str, set[str]], where: str = "") -> None:
    """Compare with a document's example; `extras` names keys that an object may have besides."""
    if example is UUID:
        assert str(uuid.UUID(actual)) == actual, where
    elif example is TIME:
        assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z", actual), where
    elif isinstance(example, dict):
        assert isinstance(actual, dict), where
        assert example.keys() <= actual.keys(), where
        assert actual.keys() <= example.keys() | extras.get(where, set()), where
        for key, value in example.items():
            agrees(value, actual[key], extras=extras, where=f"{where}.{key}".lstrip("."))
    elif isinstance(example, list):
        assert isinstance(actual, list), where
        assert len(actual) == len(example), where
        for one, other in zip(example, actual, strict=True):
            agrees(one, other, extras=extras, where=f"{where}[]")
    else:
        assert (type(actual), actual) == (type(example), example), where


async def test_create_camera(site: Site) -> None:
    response = await site.client.post("/cameras", json=CREATE)
    assert response.status_code == 201
    expected = {"success": True, "message": "Camera created successfully", "data": CAMERA}
    agrees(expected, response.json(), extras={"data": CAMERA_EXTRAS})
    assert "connection_string" not in response.text
    assert "user:pass" not in response.text


async def test_create_camera_needs_a_name_and_an_address_alone(site: Site) -> None:
    wanted = {"name": "South Gate", "connection_string": "rtsp://user:pass@10.0.0.5:554/stream"}
    response = await site.client.post("/cameras", json=wanted)
    assert response.status_code == 201
    data = response.json()["data"]
    assert (data["status"], data["desired_state"]) == ("disabled", "stopped")


async def test_create_camera_is_for_operators(site: Site) -> None:
    viewer = {"authorization": f"Bearer {site.control_plane.token('viewer').reveal()}"}
    assert (await site.client.post("/cameras", json=CREATE, headers=viewer)).status_code == 403
    none = {"authorization": ""}
    assert (await site.client.post("/cameras", json=CREATE, headers=none)).status_code == 401


async def test_update_camera_status(site: Site) -> None:
    camera_id = await site.create()
    for status in ("enabled", "disabled"):
        response = await site.client.patch(f"/cameras/{camera_id}/status", json={"status": status})
        assert response.status_code == 200
        expected = {
            "success": True,
            "message": "Camera status updated successfully",
            "data": CAMERA | {"id": camera_id, "status": status},
        }
        agrees(expected, response.json(), extras={"data": CAMERA_EXTRAS})
    wrong = await site.client.patch(f"/cameras/{camera_id}/status", json={"status": "on"})
    assert wrong.status_code == 400


async def test_heartbeat_and_cameras_with_runtime(site: Site) -> None:
    camera_id = await site.create(name="Lobby", status="enabled")
    manager = control_plane_service_pb2_grpc.ControlPlaneServiceStub(
        site.control_plane.channel("manager")
    )
    opened = await manager.IssueWorkerToken(
        control_plane_service_pb2.IssueWorkerTokenRequest(camera_id=camera_id)
    )
    report = control_plane_service_pb2.RuntimeReport(
        camera_id=camera_id,
        epoch=opened.epoch,
        worker_status="starting",
        health_status="unknown",
        failure_reason="none",
        pod_name=f"camera-worker-{camera_id}",
    )
    await manager.ReportRuntimes(control_plane_service_pb2.ReportRuntimesRequest(reports=[report]))

    heartbeat = await site.client.post(
        f"/cameras/{camera_id}/heartbeat",
        json={
            "status": "running",
            "health_info": {"fps": 1.0, "memory_usage": "256MB", "cpu_usage": "15%"},
        },
        headers={"authorization": f"Bearer {opened.token}"},
    )
    assert heartbeat.status_code == 200
    assert heartbeat.json() == {"success": True, "message": "Heartbeat received"}

    response = await site.client.get("/cameras/runtime")
    assert response.status_code == 200
    body = response.json()
    body["data"] = [entry for entry in body["data"] if entry["id"] == camera_id]
    expected = {
        "success": True,
        "message": "Cameras with runtime status retrieved successfully",
        "data": [
            {
                "id": camera_id,
                "name": "Lobby",
                "status": "enabled",
                "location": "Front Entrance",
                "created_at": TIME,
                "runtime": {
                    "camera_id": camera_id,
                    "pod_name": f"camera-worker-{camera_id}",
                    "worker_status": "running",
                    "last_heartbeat": TIME,
                    "health_status": "healthy",
                    "error_count": 0,
                },
            }
        ],
    }
    extras = {
        "": {"next_page_token"},
        "data[]": {"desired_state"},
        "data[].runtime": RUNTIME_EXTRAS,
    }
    agrees(expected, body, extras=extras)
    listed = {camera["id"]: camera for camera in (await site.client.get("/cameras")).json()}
    assert listed[camera_id]["status"] == "healthy"


async def test_a_heartbeat_is_taken_from_its_worker_alone(site: Site) -> None:
    camera_id = await site.create()
    path = f"/cameras/{camera_id}/heartbeat"
    assert (await site.client.post(path, json={"status": "running"})).status_code == 403


async def test_get_cameras_is_the_documents_bare_list(site: Site) -> None:
    camera_id = await site.create(name="North Lot Entrance", status="enabled")
    response = await site.client.get("/cameras")
    assert response.status_code == 200
    (entry,) = [camera for camera in response.json() if camera["id"] == camera_id]
    expected = {
        "id": UUID,
        "name": "North Lot Entrance",
        "status": "unknown",
        "desired_state": "running",
    }
    agrees(expected, entry, extras={})


async def test_scenario_a_new_camera_installation(site: Site) -> None:
    zones = {"zones": [{"name": "gate", "kind": "area", "polygon": [[0, 0], [1, 0], [1, 0.5]]}]}
    wanted = {
        "name": "South Gate",
        "connection_string": "rtsp://user:pass@10.0.0.5:554/stream",
        "zone_config": zones,
    }
    created = await site.client.post("/cameras", json=wanted)
    assert created.status_code == 201
    camera_id = created.json()["data"]["id"]
    agrees(UUID, camera_id, extras={})
    stored = (await site.client.get(f"/cameras/{camera_id}")).json()["data"]
    assert stored["desired_state"] == "stopped"
    assert stored["zone_config"] == zones
    refused = await site.client.post("/cameras", json=wanted | {"connection_string": "10.0.0.5"})
    assert refused.status_code == 400
    assert refused.json()["code"] == 3


async def test_scenario_b_operator_pauses_a_camera(site: Site) -> None:
    camera_id = await site.create(status="enabled")
    assert (await site.client.get(f"/cameras/{camera_id}")).json()["data"][
        "desired_state"
    ] == "running"
    paused = await site.client.patch(f"/cameras/{camera_id}", json={"desired_state": "stopped"})
    assert paused.status_code == 200
    data = (await site.client.get(f"/cameras/{camera_id}")).json()["data"]
    assert (data["desired_state"], data["status"]) == ("stopped", "disabled")
    assert data["name"] == "Front Door Camera"


async def test_scenario_c_worker_reporting(site: Site) -> None:
    camera_id = await site.create(name="North Lot", status="enabled")
    issued = await site.client.post(
        "/tokens",
        json={"role": "worker", "camera_id": camera_id},
        headers=bearer(site, "admin"),
    )
    worker = {"authorization": f"Bearer {issued.json()['data']['token']}"}
    path = f"/telemetry/{camera_id}"
    began = datetime.now(UTC).replace(microsecond=0)
    sample = {"timestamp": f"{began:%Y-%m-%dT%H:%M:%SZ}", "occupancy": 5, "confidence": 0.95}

    response = await site.client.post(path, json=sample, headers=worker)
    assert response.status_code == 200
    assert response.json() == {"success": True, "message": "Telemetry received"}

    heard = (await site.client.get(f"/cameras/{camera_id}")).json()["data"]["last_contact"]
    assert datetime.fromisoformat(heard) >= began
    listed = {c["id"]: c for c in (await site.client.get("/cameras/runtime")).json()["data"]}
    assert listed[camera_id]["runtime"]["last_contact"] == heard

    stored = await site.client.get(path, params={"bucket_s": 1})
    assert stored.status_code == 200
    expected = {
        "success": True,
        "message": "Telemetry retrieved successfully",
        "data": [],
        "since": TIME,
        "until": TIME,
        "bucket_s": 1,
    }
    agrees(expected | {"data": stored.json()["data"]}, stored.json(), extras={})
    bucket = {
        "start": sample["timestamp"],
        "samples": 1,
        "occupancy_min": 5,
        "occupancy_mean": 5,
        "occupancy_max": 5,
        "entries": 0,
        "exits": 0,
        "confidence_mean": 0.95,
    }
    assert stored.json()["data"] == [bucket]


async def test_telemetry_is_taken_from_the_cameras_own_worker_alone(site: Site) -> None:
    mine, other = await site.create(name="mine"), await site.create(name="other")
    worker = site.control_plane.token("worker", camera_id=mine, epoch=0).reveal()
    headers = {"authorization": f"Bearer {worker}"}
    sample = {"timestamp": f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ}", "occupancy": 1}
    for camera_id, sender, status in (
        (mine, headers, 200),
        (other, headers, 403),
        ("nope", headers, 404),
        (mine, {}, 403),
        (mine, {"authorization": ""}, 401),
    ):
        response = await site.client.post(f"/telemetry/{camera_id}", json=sample, headers=sender)
        assert response.status_code == status, response.text
    assert (await site.client.get(f"/telemetry/{mine}", headers=headers)).status_code == 403


@pytest.mark.parametrize(
    "changes",
    [
        {"timestamp": "2024-01-01T12:00:00Z"},
        {"timestamp": "1970-01-01T00:00:00Z"},
        {"timestamp": "2100-01-01T00:00:00Z"},
        {"timestamp": "2024-01-01T12:00:00"},
        {"timestamp": None},
        {"occupancy": -1},
        {"occupancy": 1_000_001},
        {"occupancy": 1.5},
        {"occupancy": "NaN"},
        {"occupancy": None},
        {"confidence": 1.1},
        {"confidence": "NaN"},
        {"confidence": "Infinity"},
        {"zone": "x" * 201},
        {"zone": "a\u0000b"},
        {"entries": -1},
    ],
)
async def test_a_sample_that_breaks_a_rule_is_400(site: Site, changes: dict[str, Any]) -> None:
    camera_id = await site.create(name="ruled")
    worker = site.control_plane.token("worker", camera_id=camera_id, epoch=0).reveal()
    sample = {"timestamp": f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ}", "occupancy": 1} | changes
    response = await site.client.post(
        f"/telemetry/{camera_id}", json=sample, headers={"authorization": f"Bearer {worker}"}
    )
    assert response.status_code == 400, response.text
    assert response.json()["code"] == 3
    assert (await site.client.get(f"/telemetry/{camera_id}")).json()["data"] == []


async def test_events_have_the_documents_shape(site: Site) -> None:
    async with (
        asyncio.timeout(20),
        site.client.stream("GET", "/events", params={"types": "camera.enabled"}) as sse,
        site.client.stream("GET", "/events.ndjson", params={"types": "camera.enabled"}) as lines,
    ):
        events, objects = sse.aiter_lines(), lines.aiter_lines()
        assert "resume_token" in json.loads(await anext(objects))  # where the stream starts
        started = await anext(line async for line in events if line.startswith("id: "))
        camera_id = await site.create(name="Evented", status="disabled")
        await site.client.patch(f"/cameras/{camera_id}/status", json={"status": "enabled"})
        data = await anext(line async for line in events if line.startswith("data: "))
        told = json.loads(await anext(objects))
    expected = {
        "type": "camera.enabled",
        "camera_id": camera_id,
        "camera": {
            "id": camera_id,
            "name": "Evented",
            "connection_string": "rtsp://...",
            "status": "enabled",
        },
        "timestamp": TIME,
    }
    extras = {
        "camera": {
            "desired_state", "location", "description", "metadata", "created_at", "updated_at",
        }
    }  # fmt: skip
    agrees(expected, json.loads(data.removeprefix("data: ")), extras=extras)
    agrees(expected, told["event"], extras=extras)

    # A browser that comes back says what it saw last, and misses nothing.
    last_seen = {"last-event-id": started.removeprefix("id: ")}
    async with (
        asyncio.timeout(20),
        site.client.stream("GET", "/events", headers=last_seen) as sse,
    ):
        lines_again = sse.aiter_lines()
        types = [
            (await anext(line async for line in lines_again if line.startswith("event: ")))
            for _ in range(2)
        ]
    assert types == ["event: camera.created", "event: camera.enabled"]


@pytest.mark.parametrize("camera_id", ["nope", "00000000-0000-4000-8000-000000000000", "%20"])
async def test_an_id_that_is_no_camera_is_404(site: Site, camera_id: str) -> None:
    for method, path, body in (
        ("GET", "", None),
        ("PATCH", "", {"name": "x"}),
        ("PATCH", "/status", {"status": "enabled"}),
    ):
        response = await site.client.request(method, f"/cameras/{camera_id}{path}", json=body)
        assert response.status_code == 404, response.text
        assert response.json()["details"][0]["reason"] == "CAMERA_NOT_FOUND"
