import datetime

from google.protobuf import timestamp_pb2 as _timestamp_pb2
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class CameraRuntime(_message.Message):
    __slots__ = ("camera_id", "pod_name", "worker_status", "last_heartbeat", "health_status", "error_count", "failure_reason", "next_retry_at", "observed_generation", "last_contact", "epoch", "failure_message", "accelerator_asked", "accelerator_used", "decoder")
    CAMERA_ID_FIELD_NUMBER: _ClassVar[int]
    POD_NAME_FIELD_NUMBER: _ClassVar[int]
    WORKER_STATUS_FIELD_NUMBER: _ClassVar[int]
    LAST_HEARTBEAT_FIELD_NUMBER: _ClassVar[int]
    HEALTH_STATUS_FIELD_NUMBER: _ClassVar[int]
    ERROR_COUNT_FIELD_NUMBER: _ClassVar[int]
    FAILURE_REASON_FIELD_NUMBER: _ClassVar[int]
    NEXT_RETRY_AT_FIELD_NUMBER: _ClassVar[int]
    OBSERVED_GENERATION_FIELD_NUMBER: _ClassVar[int]
    LAST_CONTACT_FIELD_NUMBER: _ClassVar[int]
    EPOCH_FIELD_NUMBER: _ClassVar[int]
    FAILURE_MESSAGE_FIELD_NUMBER: _ClassVar[int]
    ACCELERATOR_ASKED_FIELD_NUMBER: _ClassVar[int]
    ACCELERATOR_USED_FIELD_NUMBER: _ClassVar[int]
    DECODER_FIELD_NUMBER: _ClassVar[int]
    camera_id: str
    pod_name: str
    worker_status: str
    last_heartbeat: _timestamp_pb2.Timestamp
    health_status: str
    error_count: int
    failure_reason: str
    next_retry_at: _timestamp_pb2.Timestamp
    observed_generation: int
    last_contact: _timestamp_pb2.Timestamp
    epoch: int
    failure_message: str
    accelerator_asked: str
    accelerator_used: str
    decoder: str
    def __init__(self, camera_id: _Optional[str] = ..., pod_name: _Optional[str] = ..., worker_status: _Optional[str] = ..., last_heartbeat: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., health_status: _Optional[str] = ..., error_count: _Optional[int] = ..., failure_reason: _Optional[str] = ..., next_retry_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., observed_generation: _Optional[int] = ..., last_contact: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., epoch: _Optional[int] = ..., failure_message: _Optional[str] = ..., accelerator_asked: _Optional[str] = ..., accelerator_used: _Optional[str] = ..., decoder: _Optional[str] = ...) -> None: ...

class CameraWithRuntime(_message.Message):
    __slots__ = ("id", "name", "status", "location", "created_at", "runtime", "desired_state")
    ID_FIELD_NUMBER: _ClassVar[int]
    NAME_FIELD_NUMBER: _ClassVar[int]
    STATUS_FIELD_NUMBER: _ClassVar[int]
    LOCATION_FIELD_NUMBER: _ClassVar[int]
    CREATED_AT_FIELD_NUMBER: _ClassVar[int]
    RUNTIME_FIELD_NUMBER: _ClassVar[int]
    DESIRED_STATE_FIELD_NUMBER: _ClassVar[int]
    id: str
    name: str
    status: str
    location: str
    created_at: _timestamp_pb2.Timestamp
    runtime: CameraRuntime
    desired_state: str
    def __init__(self, id: _Optional[str] = ..., name: _Optional[str] = ..., status: _Optional[str] = ..., location: _Optional[str] = ..., created_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., runtime: _Optional[_Union[CameraRuntime, _Mapping]] = ..., desired_state: _Optional[str] = ...) -> None: ...
