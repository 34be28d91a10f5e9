"""What clients ask of the registry, checked and turned into values."""

import hashlib
from collections.abc import Callable
from typing import Any

from control_plane.cameras.connection_string import ConnectionRules, check_connection_string
from control_plane.cameras.mapping import checked_json, model_settings
from control_plane.cameras.model import (
    METADATA_BYTES,
    ZONE_CONFIG_BYTES,
    wanted_state,
)
from control_plane.cameras.registry import CameraChange, Connection, NewCamera
from control_plane.cameras.zones import check_zones
from dfip.control_plane.v1 import control_plane_service_pb2 as pb


def new_camera(request: pb.CreateCameraRequest, rules: ConnectionRules) -> NewCamera:
    """Return the camera to register; stopped, unless the request says otherwise.

    Raises:
        InvalidArgument: Something about it is not acceptable.
    """
    return NewCamera(
        name=request.name,
        connection=_connection(request.connection_string, rules),
        desired_state=wanted_state(status=request.status, desired_state=request.desired_state)
        or "stopped",
        location=request.location,
        description=request.description,
        metadata=_metadata(request),
        zone_config=_zone_config(request),
        model_settings=model_settings(request.model_config),
    )


def camera_change(request: pb.UpdateCameraRequest, rules: ConnectionRules) -> CameraChange:
    """Return what the request changes: the fields that are there.

    Raises:
        InvalidArgument: Something about it is not acceptable.
    """

    def given(field: str, read: Callable[[], Any]) -> Any:  # noqa: ANN401 - the field's type
        return read() if request.HasField(field) else None

    return CameraChange(
        name=given("name", lambda: request.name),
        connection=given(
            "connection_string", lambda: _connection(request.connection_string, rules)
        ),
        desired_state=wanted_state(status=request.status, desired_state=request.desired_state),
        location=given("location", lambda: request.location),
        description=given("description", lambda: request.description),
        metadata=given("metadata", lambda: _metadata(request)),
        zone_config=given("zone_config", lambda: _zone_config(request)),
        model_settings=given("model_config", lambda: model_settings(request.model_config)),
        etag=request.etag,
    )


def digest_of(request: pb.CreateCameraRequest) -> bytes:
    """Return a digest of the request, to tell a repeat from another one with the same id."""
    canonical = request.SerializeToString(deterministic=True)
    return hashlib.sha256(canonical).digest()


def _connection(text: str, rules: ConnectionRules) -> Connection:
    return Connection(text=text, scheme=check_connection_string(text, rules))


def _metadata(request: pb.CreateCameraRequest | pb.UpdateCameraRequest) -> dict[str, Any]:
    return checked_json("metadata", request.metadata, max_bytes=METADATA_BYTES)


def _zone_config(request: pb.CreateCameraRequest | pb.UpdateCameraRequest) -> dict[str, Any]:
    zones = checked_json("zone_config", request.zone_config, max_bytes=ZONE_CONFIG_BYTES)
    return check_zones(zones)
