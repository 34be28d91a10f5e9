"""Camera rows as the contract's messages, and the contract's JSON objects as Python's."""

from datetime import datetime
from typing import Any

from google.protobuf.struct_pb2 import ListValue, Struct, Value

from control_plane.cameras.model import (
    DEFAULT_ACCELERATOR,
    DEFAULT_MIN_FACE_PX,
    DEFAULT_SAMPLE_FPS,
    STATUS_OF,
    check_json,
    check_pack_id,
    json_too_large,
)
from control_plane.cameras.tables import CameraRow
from control_plane.runtime.mapping import runtime_message, timestamp
from control_plane.runtime.model import current_health
from control_plane.runtime.tables import CameraRuntimeRow
from dfip.control_plane.v1 import camera_pb2, control_plane_service_pb2, runtime_pb2


def camera_message(
    row: CameraRow, runtime: CameraRuntimeRow, *, site_pack: str
) -> camera_pb2.Camera:
    """Return a camera as clients see it: without its connection string."""
    message = camera_pb2.Camera(
        id=row.id,
        name=row.name,
        status=STATUS_OF[row.desired_state],
        desired_state=row.desired_state,
        location=row.location,
        description=row.description,
        metadata=json_message(row.extra),
        zone_config=json_message(row.zone_config),
        model_config=effective_model_config(row.model_settings, site_pack=site_pack),
        created_at=timestamp(row.created_at),
        updated_at=timestamp(row.updated_at),
        etag=etag_of(row),
    )
    if runtime.last_contact is not None:
        message.last_contact.CopyFrom(timestamp(runtime.last_contact))
    return message


def summary_message(
    row: CameraRow, runtime: CameraRuntimeRow, *, now: datetime
) -> camera_pb2.CameraSummary:
    """Return a camera as it stands in the bare list."""
    return camera_pb2.CameraSummary(
        id=row.id,
        name=row.name,
        status=health_of(runtime, now=now),
        desired_state=row.desired_state,
    )


def with_runtime_message(
    row: CameraRow, runtime: CameraRuntimeRow, *, now: datetime
) -> runtime_pb2.CameraWithRuntime:
    """Return a camera with what is observed of it."""
    return runtime_pb2.CameraWithRuntime(
        id=row.id,
        name=row.name,
        status=STATUS_OF[row.desired_state],
        location=row.location,
        created_at=timestamp(row.created_at),
        runtime=runtime_message(runtime, now=now),
        desired_state=row.desired_state,
    )


def state_message(
    row: CameraRow, runtime: CameraRuntimeRow, *, now: datetime
) -> control_plane_service_pb2.CameraState:
    """Return a camera as the manager needs it."""
    return control_plane_service_pb2.CameraState(
        camera_id=row.id,
        name=row.name,
        desired_state=row.desired_state,
        generation=row.generation,
        epoch=runtime.epoch,
        runtime=runtime_message(runtime, now=now),
        retry_counter=runtime.retry_counter,
    )


def health_of(runtime: CameraRuntimeRow, *, now: datetime) -> str:
    """Return the health of a camera as a reader should see it."""
    return current_health(
        worker_status=runtime.worker_status,
        health_status=runtime.health_status,
        last_sign_at=runtime.last_sign_at,
        now=now,
    )


def etag_of(row: CameraRow) -> str:
    """Return the version of a camera's configuration as an opaque word."""
    return f"v{row.version}"


def model_settings(message: camera_pb2.ModelConfig) -> dict[str, Any]:
    """Return model settings as they are stored: what was left open stays open.

    Raises:
        InvalidArgument: The pack's name cannot be one.
    """
    return {
        "pack_id": check_pack_id(message.pack_id),
        "sample_fps": message.sample_fps,
        "min_face_px": message.min_face_px,
        "accelerator": message.accelerator,
        "accelerator_required": message.accelerator_required,
    }


def effective_model_config(settings: dict[str, Any], *, site_pack: str) -> camera_pb2.ModelConfig:
    """Return model settings with the defaults filled in."""
    return camera_pb2.ModelConfig(
        pack_id=settings["pack_id"] or site_pack,
        sample_fps=settings["sample_fps"] or DEFAULT_SAMPLE_FPS,
        min_face_px=settings["min_face_px"] or DEFAULT_MIN_FACE_PX,
        accelerator=settings["accelerator"] or DEFAULT_ACCELERATOR,
        accelerator_required=settings["accelerator_required"],
    )


def json_message(value: dict[str, Any]) -> Struct:
    """Return a JSON object as a message."""
    message = Struct()
    message.update(value)
    return message


# `0, ` in a list is the JSON that grows most: 3 bytes of text, 11 as a message
_MOST_BYTES_A_BYTE = 4


def checked_json(field: str, message: Struct, *, max_bytes: int) -> dict[str, Any]:
    """Return a message as a JSON object of at most so many bytes.

    To read a large one takes long, and nobody else is answered meanwhile: one that cannot be small
    enough is refused by the size of its message.

    Raises:
        InvalidArgument: ``JSON_INVALID``.
    """
    if message.ByteSize() > max_bytes * _MOST_BYTES_A_BYTE:
        raise json_too_large(field, max_bytes)
    return check_json(field, json_object(message), max_bytes=max_bytes)


def json_object(message: Struct) -> dict[str, Any]:
    """Return a message as a JSON object; numbers that are whole come as integers."""
    return {key: _json_value(value) for key, value in message.fields.items()}


def _json_value(value: Value) -> Any:  # noqa: ANN401 - any JSON
    kind = value.WhichOneof("kind")
    if kind == "struct_value":
        return json_object(value.struct_value)
    if kind == "list_value":
        return _json_list(value.list_value)
    if kind == "number_value":
        number = value.number_value
        return int(number) if number.is_integer() and abs(number) < 2**53 else number
    if kind == "string_value":
        return value.string_value
    return value.bool_value if kind == "bool_value" else None


def _json_list(message: ListValue) -> list[Any]:
    return [_json_value(item) for item in message.values]
