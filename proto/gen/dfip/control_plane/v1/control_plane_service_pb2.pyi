import datetime

from buf.validate import validate_pb2 as _validate_pb2
from dfip.control_plane.v1 import camera_pb2 as _camera_pb2
from dfip.control_plane.v1 import runtime_pb2 as _runtime_pb2
from dfip.options.v1 import policy_pb2 as _policy_pb2
from google.api import annotations_pb2 as _annotations_pb2
from google.protobuf import struct_pb2 as _struct_pb2
from google.protobuf import timestamp_pb2 as _timestamp_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class CreateCameraRequest(_message.Message):
    __slots__ = ("name", "connection_string", "status", "desired_state", "location", "description", "metadata", "zone_config", "model_config", "request_id")
    NAME_FIELD_NUMBER: _ClassVar[int]
    CONNECTION_STRING_FIELD_NUMBER: _ClassVar[int]
    STATUS_FIELD_NUMBER: _ClassVar[int]
    DESIRED_STATE_FIELD_NUMBER: _ClassVar[int]
    LOCATION_FIELD_NUMBER: _ClassVar[int]
    DESCRIPTION_FIELD_NUMBER: _ClassVar[int]
    METADATA_FIELD_NUMBER: _ClassVar[int]
    ZONE_CONFIG_FIELD_NUMBER: _ClassVar[int]
    MODEL_CONFIG_FIELD_NUMBER: _ClassVar[int]
    REQUEST_ID_FIELD_NUMBER: _ClassVar[int]
    name: str
    connection_string: str
    status: str
    desired_state: str
    location: str
    description: str
    metadata: _struct_pb2.Struct
    zone_config: _struct_pb2.Struct
    model_config: _camera_pb2.ModelConfig
    request_id: str
    def __init__(self, name: _Optional[str] = ..., connection_string: _Optional[str] = ..., status: _Optional[str] = ..., desired_state: _Optional[str] = ..., location: _Optional[str] = ..., description: _Optional[str] = ..., metadata: _Optional[_Union[_struct_pb2.Struct, _Mapping]] = ..., zone_config: _Optional[_Union[_struct_pb2.Struct, _Mapping]] = ..., model_config: _Optional[_Union[_camera_pb2.ModelConfig, _Mapping]] = ..., request_id: _Optional[str] = ...) -> None: ...

class CreateCameraResponse(_message.Message):
    __slots__ = ("success", "message", "data")
    SUCCESS_FIELD_NUMBER: _ClassVar[int]
    MESSAGE_FIELD_NUMBER: _ClassVar[int]
    DATA_FIELD_NUMBER: _ClassVar[int]
    success: bool
    message: str
    data: _camera_pb2.Camera
    def __init__(self, success: _Optional[bool] = ..., message: _Optional[str] = ..., data: _Optional[_Union[_camera_pb2.Camera, _Mapping]] = ...) -> None: ...

class ListCamerasRequest(_message.Message):
    __slots__ = ("status", "desired_state", "location", "page_size", "page_token")
    STATUS_FIELD_NUMBER: _ClassVar[int]
    DESIRED_STATE_FIELD_NUMBER: _ClassVar[int]
    LOCATION_FIELD_NUMBER: _ClassVar[int]
    PAGE_SIZE_FIELD_NUMBER: _ClassVar[int]
    PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    status: str
    desired_state: str
    location: str
    page_size: int
    page_token: str
    def __init__(self, status: _Optional[str] = ..., desired_state: _Optional[str] = ..., location: _Optional[str] = ..., page_size: _Optional[int] = ..., page_token: _Optional[str] = ...) -> None: ...

class GetCameraRequest(_message.Message):
    __slots__ = ("camera_id",)
    CAMERA_ID_FIELD_NUMBER: _ClassVar[int]
    camera_id: str
    def __init__(self, camera_id: _Optional[str] = ...) -> None: ...

class GetCameraResponse(_message.Message):
    __slots__ = ("success", "message", "data")
    SUCCESS_FIELD_NUMBER: _ClassVar[int]
    MESSAGE_FIELD_NUMBER: _ClassVar[int]
    DATA_FIELD_NUMBER: _ClassVar[int]
    success: bool
    message: str
    data: _camera_pb2.Camera
    def __init__(self, success: _Optional[bool] = ..., message: _Optional[str] = ..., data: _Optional[_Union[_camera_pb2.Camera, _Mapping]] = ...) -> None: ...

class UpdateCameraRequest(_message.Message):
    __slots__ = ("camera_id", "name", "connection_string", "status", "desired_state", "location", "description", "metadata", "zone_config", "model_config", "etag")
    CAMERA_ID_FIELD_NUMBER: _ClassVar[int]
    NAME_FIELD_NUMBER: _ClassVar[int]
    CONNECTION_STRING_FIELD_NUMBER: _ClassVar[int]
    STATUS_FIELD_NUMBER: _ClassVar[int]
    DESIRED_STATE_FIELD_NUMBER: _ClassVar[int]
    LOCATION_FIELD_NUMBER: _ClassVar[int]
    DESCRIPTION_FIELD_NUMBER: _ClassVar[int]
    METADATA_FIELD_NUMBER: _ClassVar[int]
    ZONE_CONFIG_FIELD_NUMBER: _ClassVar[int]
    MODEL_CONFIG_FIELD_NUMBER: _ClassVar[int]
    ETAG_FIELD_NUMBER: _ClassVar[int]
    camera_id: str
    name: str
    connection_string: str
    status: str
    desired_state: str
    location: str
    description: str
    metadata: _struct_pb2.Struct
    zone_config: _struct_pb2.Struct
    model_config: _camera_pb2.ModelConfig
    etag: str
    def __init__(self, camera_id: _Optional[str] = ..., name: _Optional[str] = ..., connection_string: _Optional[str] = ..., status: _Optional[str] = ..., desired_state: _Optional[str] = ..., location: _Optional[str] = ..., description: _Optional[str] = ..., metadata: _Optional[_Union[_struct_pb2.Struct, _Mapping]] = ..., zone_config: _Optional[_Union[_struct_pb2.Struct, _Mapping]] = ..., model_config: _Optional[_Union[_camera_pb2.ModelConfig, _Mapping]] = ..., etag: _Optional[str] = ...) -> None: ...

class UpdateCameraResponse(_message.Message):
    __slots__ = ("success", "message", "data")
    SUCCESS_FIELD_NUMBER: _ClassVar[int]
    MESSAGE_FIELD_NUMBER: _ClassVar[int]
    DATA_FIELD_NUMBER: _ClassVar[int]
    success: bool
    message: str
    data: _camera_pb2.Camera
    def __init__(self, success: _Optional[bool] = ..., message: _Optional[str] = ..., data: _Optional[_Union[_camera_pb2.Camera, _Mapping]] = ...) -> None: ...

class SetCameraStatusRequest(_message.Message):
    __slots__ = ("camera_id", "status")
    CAMERA_ID_FIELD_NUMBER: _ClassVar[int]
    STATUS_FIELD_NUMBER: _ClassVar[int]
    camera_id: str
    status: str
    def __init__(self, camera_id: _Optional[str] = ..., status: _Optional[str] = ...) -> None: ...

class SetCameraStatusResponse(_message.Message):
    __slots__ = ("success", "message", "data")
    SUCCESS_FIELD_NUMBER: _ClassVar[int]
    MESSAGE_FIELD_NUMBER: _ClassVar[int]
    DATA_FIELD_NUMBER: _ClassVar[int]
    success: bool
    message: str
    data: _camera_pb2.Camera
    def __init__(self, success: _Optional[bool] = ..., message: _Optional[str] = ..., data: _Optional[_Union[_camera_pb2.Camera, _Mapping]] = ...) -> None: ...

class DeleteCameraRequest(_message.Message):
    __slots__ = ("camera_id",)
    CAMERA_ID_FIELD_NUMBER: _ClassVar[int]
    camera_id: str
    def __init__(self, camera_id: _Optional[str] = ...) -> None: ...

class DeleteCameraResponse(_message.Message):
    __slots__ = ("success", "message")
    SUCCESS_FIELD_NUMBER: _ClassVar[int]
    MESSAGE_FIELD_NUMBER: _ClassVar[int]
    success: bool
    message: str
    def __init__(self, success: _Optional[bool] = ..., message: _Optional[str] = ...) -> None: ...

class ListCameraRuntimesRequest(_message.Message):
    __slots__ = ("page_size", "page_token")
    PAGE_SIZE_FIELD_NUMBER: _ClassVar[int]
    PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    page_size: int
    page_token: str
    def __init__(self, page_size: _Optional[int] = ..., page_token: _Optional[str] = ...) -> None: ...

class ListCameraRuntimesResponse(_message.Message):
    __slots__ = ("success", "message", "data", "next_page_token")
    SUCCESS_FIELD_NUMBER: _ClassVar[int]
    MESSAGE_FIELD_NUMBER: _ClassVar[int]
    DATA_FIELD_NUMBER: _ClassVar[int]
    NEXT_PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    success: bool
    message: str
    data: _containers.RepeatedCompositeFieldContainer[_runtime_pb2.CameraWithRuntime]
    next_page_token: str
    def __init__(self, success: _Optional[bool] = ..., message: _Optional[str] = ..., data: _Optional[_Iterable[_Union[_runtime_pb2.CameraWithRuntime, _Mapping]]] = ..., next_page_token: _Optional[str] = ...) -> None: ...

class ReportHeartbeatRequest(_message.Message):
    __slots__ = ("camera_id", "status", "health_info")
    CAMERA_ID_FIELD_NUMBER: _ClassVar[int]
    STATUS_FIELD_NUMBER: _ClassVar[int]
    HEALTH_INFO_FIELD_NUMBER: _ClassVar[int]
    camera_id: str
    status: str
    health_info: _struct_pb2.Struct
    def __init__(self, camera_id: _Optional[str] = ..., status: _Optional[str] = ..., health_info: _Optional[_Union[_struct_pb2.Struct, _Mapping]] = ...) -> None: ...

class ReportHeartbeatResponse(_message.Message):
    __slots__ = ("success", "message")
    SUCCESS_FIELD_NUMBER: _ClassVar[int]
    MESSAGE_FIELD_NUMBER: _ClassVar[int]
    success: bool
    message: str
    def __init__(self, success: _Optional[bool] = ..., message: _Optional[str] = ...) -> None: ...

class RetryCameraRequest(_message.Message):
    __slots__ = ("camera_id",)
    CAMERA_ID_FIELD_NUMBER: _ClassVar[int]
    camera_id: str
    def __init__(self, camera_id: _Optional[str] = ...) -> None: ...

class RetryCameraResponse(_message.Message):
    __slots__ = ("success", "message")
    SUCCESS_FIELD_NUMBER: _ClassVar[int]
    MESSAGE_FIELD_NUMBER: _ClassVar[int]
    success: bool
    message: str
    def __init__(self, success: _Optional[bool] = ..., message: _Optional[str] = ...) -> None: ...

class WatchCamerasRequest(_message.Message):
    __slots__ = ("resume_token",)
    RESUME_TOKEN_FIELD_NUMBER: _ClassVar[int]
    resume_token: str
    def __init__(self, resume_token: _Optional[str] = ...) -> None: ...

class WatchCamerasResponse(_message.Message):
    __slots__ = ("cameras", "removed_camera_ids", "snapshot_complete", "resume_token")
    CAMERAS_FIELD_NUMBER: _ClassVar[int]
    REMOVED_CAMERA_IDS_FIELD_NUMBER: _ClassVar[int]
    SNAPSHOT_COMPLETE_FIELD_NUMBER: _ClassVar[int]
    RESUME_TOKEN_FIELD_NUMBER: _ClassVar[int]
    cameras: _containers.RepeatedCompositeFieldContainer[CameraState]
    removed_camera_ids: _containers.RepeatedScalarFieldContainer[str]
    snapshot_complete: bool
    resume_token: str
    def __init__(self, cameras: _Optional[_Iterable[_Union[CameraState, _Mapping]]] = ..., removed_camera_ids: _Optional[_Iterable[str]] = ..., snapshot_complete: _Optional[bool] = ..., resume_token: _Optional[str] = ...) -> None: ...

class CameraState(_message.Message):
    __slots__ = ("camera_id", "name", "desired_state", "generation", "epoch", "runtime", "retry_counter")
    CAMERA_ID_FIELD_NUMBER: _ClassVar[int]
    NAME_FIELD_NUMBER: _ClassVar[int]
    DESIRED_STATE_FIELD_NUMBER: _ClassVar[int]
    GENERATION_FIELD_NUMBER: _ClassVar[int]
    EPOCH_FIELD_NUMBER: _ClassVar[int]
    RUNTIME_FIELD_NUMBER: _ClassVar[int]
    RETRY_COUNTER_FIELD_NUMBER: _ClassVar[int]
    camera_id: str
    name: str
    desired_state: str
    generation: int
    epoch: int
    runtime: _runtime_pb2.CameraRuntime
    retry_counter: int
    def __init__(self, camera_id: _Optional[str] = ..., name: _Optional[str] = ..., desired_state: _Optional[str] = ..., generation: _Optional[int] = ..., epoch: _Optional[int] = ..., runtime: _Optional[_Union[_runtime_pb2.CameraRuntime, _Mapping]] = ..., retry_counter: _Optional[int] = ...) -> None: ...

class ReportRuntimesRequest(_message.Message):
    __slots__ = ("reports", "lease_term")
    REPORTS_FIELD_NUMBER: _ClassVar[int]
    LEASE_TERM_FIELD_NUMBER: _ClassVar[int]
    reports: _containers.RepeatedCompositeFieldContainer[RuntimeReport]
    lease_term: int
    def __init__(self, reports: _Optional[_Iterable[_Union[RuntimeReport, _Mapping]]] = ..., lease_term: _Optional[int] = ...) -> None: ...

class RuntimeReport(_message.Message):
    __slots__ = ("camera_id", "epoch", "worker_status", "health_status", "failure_reason", "error_count", "next_retry_at", "pod_name", "observed_generation")
    CAMERA_ID_FIELD_NUMBER: _ClassVar[int]
    EPOCH_FIELD_NUMBER: _ClassVar[int]
    WORKER_STATUS_FIELD_NUMBER: _ClassVar[int]
    HEALTH_STATUS_FIELD_NUMBER: _ClassVar[int]
    FAILURE_REASON_FIELD_NUMBER: _ClassVar[int]
    ERROR_COUNT_FIELD_NUMBER: _ClassVar[int]
    NEXT_RETRY_AT_FIELD_NUMBER: _ClassVar[int]
    POD_NAME_FIELD_NUMBER: _ClassVar[int]
    OBSERVED_GENERATION_FIELD_NUMBER: _ClassVar[int]
    camera_id: str
    epoch: int
    worker_status: str
    health_status: str
    failure_reason: str
    error_count: int
    next_retry_at: _timestamp_pb2.Timestamp
    pod_name: str
    observed_generation: int
    def __init__(self, camera_id: _Optional[str] = ..., epoch: _Optional[int] = ..., worker_status: _Optional[str] = ..., health_status: _Optional[str] = ..., failure_reason: _Optional[str] = ..., error_count: _Optional[int] = ..., next_retry_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., pod_name: _Optional[str] = ..., observed_generation: _Optional[int] = ...) -> None: ...

class ReportRuntimesResponse(_message.Message):
    __slots__ = ("refused_camera_ids",)
    REFUSED_CAMERA_IDS_FIELD_NUMBER: _ClassVar[int]
    refused_camera_ids: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, refused_camera_ids: _Optional[_Iterable[str]] = ...) -> None: ...

class IssueWorkerTokenRequest(_message.Message):
    __slots__ = ("camera_id", "lease_term")
    CAMERA_ID_FIELD_NUMBER: _ClassVar[int]
    LEASE_TERM_FIELD_NUMBER: _ClassVar[int]
    camera_id: str
    lease_term: int
    def __init__(self, camera_id: _Optional[str] = ..., lease_term: _Optional[int] = ...) -> None: ...

class IssueWorkerTokenResponse(_message.Message):
    __slots__ = ("token", "epoch", "expires_at")
    TOKEN_FIELD_NUMBER: _ClassVar[int]
    EPOCH_FIELD_NUMBER: _ClassVar[int]
    EXPIRES_AT_FIELD_NUMBER: _ClassVar[int]
    token: str
    epoch: int
    expires_at: _timestamp_pb2.Timestamp
    def __init__(self, token: _Optional[str] = ..., epoch: _Optional[int] = ..., expires_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ...) -> None: ...
