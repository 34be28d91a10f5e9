"""The registry over the wire: envelopes, rules, conditional and repeated requests."""

import asyncio
import json
from typing import Any

import grpc
import pytest
from google.protobuf.json_format import MessageToDict, ParseDict
from google.protobuf.struct_pb2 import Struct

from dfip.control_plane.v1 import camera_pb2
from dfip.control_plane.v1 import control_plane_service_pb2 as pb
from tests.integration.control_plane.conftest import RTSP, Site
from tests.support.refusals import refused

NOBODY = "1b4e28ba-2fa1-41d4-883f-0016d3cca427"

INVALID = grpc.StatusCode.INVALID_ARGUMENT


def as_json(message: Any) -> dict[str, Any]:
    return MessageToDict(
        message, preserving_proto_field_name=True, always_print_fields_with_no_presence=True
    )


def struct(value: dict[str, Any]) -> Struct:
    return ParseDict(value, Struct())


async def names(site: Site, **filters: Any) -> list[str]:
    call = site.cameras().ListCameras(pb.ListCamerasRequest(**filters))
    return [camera.name async for camera in call]


async def test_creates_a_camera_as_documented(site: Site) -> None:
    created = await site.cameras().CreateCamera(
        pb.CreateCameraRequest(
            name="Front Door Camera",
            connection_string=RTSP,
            status="disabled",
            location="Front Entrance",
            description="Main entrance monitoring",
            metadata=struct({"floor": 2, "tags": ["a"]}),
        )
    )
    answer = as_json(created)
    assert answer["success"] is True
    assert answer["message"] == "Camera created successfully"
    data = answer["data"]
    assert data | {"id": "-", "etag": "-"} == {
        "id": "-",
        "name": "Front Door Camera",
        "status": "disabled",
        "desired_state": "stopped",
        "location": "Front Entrance",
        "description": "Main entrance monitoring",
        "metadata": {"floor": 2, "tags": ["a"]},
        "zone_config": {},
        "model_config": {
            "pack_id": "builtin",
            "sample_fps": 5.0,
            "min_face_px": 40,
            "accelerator": "auto",
            "accelerator_required": False,
        },
        "created_at": "2026-01-01T00:00:00Z",
        "updated_at": "2026-01-01T00:00:00Z",
        "etag": "-",
    }
    read = await site.cameras("viewer").GetCamera(pb.GetCameraRequest(camera_id=data["id"]))
    assert as_json(read)["data"] == data


def nested(depth: int) -> dict[str, Any]:
    """Return JSON that is so many objects deep."""
    inside: dict[str, Any] = {}
    for _ in range(depth - 1):
        inside = {"a": inside}
    return inside


async def test_a_camera_is_created_stopped_unless_it_says_otherwise(site: Site) -> None:
    for status, expected in (("", "stopped"), ("enabled", "running")):
        request = pb.CreateCameraRequest(name="a", connection_string=RTSP, status=status)
        assert (await site.cameras().CreateCamera(request)).data.desired_state == expected


BAD_CAMERAS: tuple[tuple[dict[str, Any], str], ...] = (
    ({"connection_string": "ftp://canary-pass@host/"}, "CONNECTION_STRING_INVALID"),
    ({"connection_string": "rtsp://u:canary-pass@host:0/"}, "CONNECTION_STRING_INVALID"),
    ({"connection_string": "file:///etc/canary-pass"}, "CONNECTION_STRING_INVALID"),
    ({"status": "enabled", "desired_state": "stopped"}, "STATE_CONTRADICTION"),
    ({"status": "on"}, "REQUEST_INVALID"),
    ({"name": ""}, "REQUEST_INVALID"),
    ({"name": "x" * 201}, "REQUEST_INVALID"),
    ({"metadata": struct({"a": "x" * 20_000})}, "JSON_INVALID"),
    ({"metadata": struct(nested(17))}, "JSON_INVALID"),
    ({"metadata": struct({"a": float("inf")})}, "JSON_INVALID"),
    ({"zone_config": struct({"a": "x" * 70_000})}, "JSON_INVALID"),
    ({"zone_config": struct({"zones": [{"name": "a", "polygon": []}]})}, "ZONES_INVALID"),
    ({"model_config": camera_pb2.ModelConfig(pack_id="../x")}, "PACK_ID_INVALID"),
    ({"model_config": camera_pb2.ModelConfig(sample_fps=1000)}, "REQUEST_INVALID"),
    ({"model_config": camera_pb2.ModelConfig(sample_fps=float("nan"))}, "REQUEST_INVALID"),
)


async def test_refuses_a_bad_camera(site: Site, subtests: pytest.Subtests) -> None:
    operators = site.cameras("operator")
    for fields, reason in BAD_CAMERAS:
        with subtests.test(reason, fields=str(fields)[:80]):
            request = pb.CreateCameraRequest(**({"name": "a", "connection_string": RTSP} | fields))
            with refused(INVALID, reason) as refusal:
                await operators.CreateCamera(request)
            assert "canary" not in refusal.sentence
    assert await names(site) == []


async def test_a_file_below_the_media_root_is_taken(site: Site) -> None:
    path = site.running.settings.media_root / "clip.mp4"
    assert await site.camera(connection_string=f"file://{path}")


async def test_a_repeated_request_makes_one_camera(site: Site) -> None:
    request = pb.CreateCameraRequest(name="a", connection_string=RTSP, request_id="r-1")
    cameras = site.cameras()
    answers = await asyncio.gather(*(cameras.CreateCamera(request) for _ in range(5)))
    assert len({answer.data.id for answer in answers}) == 1
    assert await names(site) == ["a"]
    other = pb.CreateCameraRequest(name="b", connection_string=RTSP, request_id="r-1")
    with refused(grpc.StatusCode.ALREADY_EXISTS, "REQUEST_ID_REUSED"):
        await cameras.CreateCamera(other)


async def test_changes_only_what_is_named(site: Site) -> None:
    camera_id = await site.camera(location="hall", description="old")
    cameras = site.cameras()
    before = (await cameras.GetCamera(pb.GetCameraRequest(camera_id=camera_id))).data
    await site.clock.advance(60)
    changed = await cameras.UpdateCamera(
        pb.UpdateCameraRequest(camera_id=camera_id, description="", desired_state="stopped")
    )
    assert changed.message == "Camera updated successfully"
    expected = as_json(before) | {
        "description": "",
        "status": "disabled",
        "desired_state": "stopped",
        "updated_at": "2026-01-01T00:01:00Z",
        "etag": changed.data.etag,
    }
    assert as_json(changed.data) == expected
    assert changed.data.etag != before.etag


async def test_a_change_that_changes_nothing_keeps_the_etag(site: Site) -> None:
    camera_id = await site.camera(metadata=struct({"a": 1}))
    cameras = site.cameras()
    before = (await cameras.GetCamera(pb.GetCameraRequest(camera_id=camera_id))).data
    await site.clock.advance(60)
    same = pb.UpdateCameraRequest(
        camera_id=camera_id, name=before.name, connection_string=RTSP, metadata=struct({"a": 1})
    )
    assert (await cameras.UpdateCamera(same)).data == before


async def test_an_old_etag_is_refused(site: Site) -> None:
    camera_id = await site.camera()
    cameras = site.cameras()
    etag = (await cameras.GetCamera(pb.GetCameraRequest(camera_id=camera_id))).data.etag

    async def rename(name: str) -> str:
        request = pb.UpdateCameraRequest(camera_id=camera_id, name=name, etag=etag)
        try:
            await cameras.UpdateCamera(request)
        except grpc.aio.AioRpcError as error:
            return str(error.code().name)
        return "OK"

    outcomes = await asyncio.gather(*(rename(f"name {number}") for number in range(5)))
    assert sorted(outcomes) == ["ABORTED"] * 4 + ["OK"]


async def test_sets_the_status_as_documented(site: Site) -> None:
    camera_id = await site.camera(desired_state="stopped")
    request = pb.SetCameraStatusRequest(camera_id=camera_id, status="enabled")
    for _ in range(2):
        answer = await site.cameras("operator").SetCameraStatus(request)
        assert (answer.success, answer.message) == (True, "Camera status updated successfully")
        assert (answer.data.status, answer.data.desired_state) == ("enabled", "running")


async def test_deletes_a_camera_and_all_that_is_its(site: Site) -> None:
    camera_id = await site.camera()
    await site.cameras().DeleteCamera(pb.DeleteCameraRequest(camera_id=camera_id))
    with refused(grpc.StatusCode.NOT_FOUND, "CAMERA_NOT_FOUND"):
        await site.cameras().GetCamera(pb.GetCameraRequest(camera_id=camera_id))
    with refused(grpc.StatusCode.NOT_FOUND, "CAMERA_NOT_FOUND"):
        await site.cameras().DeleteCamera(pb.DeleteCameraRequest(camera_id=camera_id))
    listed = await site.cameras().ListCameraRuntimes(pb.ListCameraRuntimesRequest())
    assert not listed.data


@pytest.mark.parametrize("camera_id", ["nonsense", "1", "../..", "' OR 1=1 --", NOBODY, "\u0663"])
async def test_an_id_of_nothing_is_not_found(site: Site, camera_id: str) -> None:
    cameras, status = site.cameras(), "enabled"
    for call in (
        cameras.GetCamera(pb.GetCameraRequest(camera_id=camera_id)),
        cameras.UpdateCamera(pb.UpdateCameraRequest(camera_id=camera_id, name="x")),
        cameras.SetCameraStatus(pb.SetCameraStatusRequest(camera_id=camera_id, status=status)),
        cameras.DeleteCamera(pb.DeleteCameraRequest(camera_id=camera_id)),
        cameras.RetryCamera(pb.RetryCameraRequest(camera_id=camera_id)),
    ):
        with refused(grpc.StatusCode.NOT_FOUND, "CAMERA_NOT_FOUND"):
            await call


async def test_lists_in_pages_with_the_token_in_the_metadata(site: Site) -> None:
    for name in ("c", "a", "B"):
        await site.camera(name)
    assert await names(site) == ["a", "B", "c"]
    first = site.cameras("viewer").ListCameras(pb.ListCamerasRequest(page_size=2))
    assert [camera.name async for camera in first] == ["a", "B"]
    token = dict(await first.initial_metadata())["x-next-page-token"]
    last = site.cameras().ListCameras(pb.ListCamerasRequest(page_size=2, page_token=token))
    assert [camera.name async for camera in last] == ["c"]
    assert "x-next-page-token" not in dict(await last.initial_metadata())
    with refused(INVALID, "PAGE_TOKEN_INVALID"):
        await names(site, page_size=2, page_token=token, location="hall")


async def test_lists_what_is_asked_for(site: Site) -> None:
    await site.camera("a", location="hall")
    await site.camera("b", desired_state="stopped")
    assert await names(site, desired_state="stopped") == ["b"]
    assert await names(site, location="hall") == ["a"]
    assert await names(site, status="unknown") == ["a", "b"]
    assert await names(site, status="healthy") == []


@pytest.mark.parametrize(
    ("role", "method", "request_"),
    [
        ("viewer", "CreateCamera", pb.CreateCameraRequest(name="a", connection_string=RTSP)),
        ("operator", "DeleteCamera", pb.DeleteCameraRequest(camera_id=NOBODY)),
        ("admin", "IssueWorkerToken", pb.IssueWorkerTokenRequest(camera_id=NOBODY)),
        ("worker", "GetCamera", pb.GetCameraRequest(camera_id=NOBODY)),
        ("manager", "DeleteCamera", pb.DeleteCameraRequest(camera_id=NOBODY)),
        ("admin", "ReportHeartbeat", pb.ReportHeartbeatRequest(camera_id="x", status="running")),
    ],
)
async def test_roles_are_held(site: Site, role: str, method: str, request_: Any) -> None:
    with refused(grpc.StatusCode.PERMISSION_DENIED, "ROLE_NOT_ALLOWED"):
        await getattr(site.cameras(role), method)(request_)


async def test_metadata_comes_back_as_it_went_in(site: Site) -> None:
    value = {"text": "\u00e4\u4e2d\U0001f600", "n": None, "f": 1.5, "b": True, "l": [1, {"x": []}]}
    camera_id = await site.camera(metadata=struct(value), zone_config=struct(value))
    read = (await site.cameras().GetCamera(pb.GetCameraRequest(camera_id=camera_id))).data
    for field in (read.metadata, read.zone_config):
        assert json.loads(json.dumps(as_json(field))) == value
