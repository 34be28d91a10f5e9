import datetime

from dfip.control_plane.v1 import alert_pb2 as _alert_pb2
from dfip.control_plane.v1 import face_pb2 as _face_pb2
from dfip.control_plane.v1 import person_pb2 as _person_pb2
from dfip.control_plane.v1 import runtime_pb2 as _runtime_pb2
from dfip.control_plane.v1 import sighting_pb2 as _sighting_pb2
from google.protobuf import struct_pb2 as _struct_pb2
from google.protobuf import timestamp_pb2 as _timestamp_pb2
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class Event(_message.Message):
    __slots__ = ("type", "camera_id", "camera", "timestamp", "runtime", "error", "sighting", "person_id", "person", "face", "face_id", "alert")
    TYPE_FIELD_NUMBER: _ClassVar[int]
    CAMERA_ID_FIELD_NUMBER: _ClassVar[int]
    CAMERA_FIELD_NUMBER: _ClassVar[int]
    TIMESTAMP_FIELD_NUMBER: _ClassVar[int]
    RUNTIME_FIELD_NUMBER: _ClassVar[int]
    ERROR_FIELD_NUMBER: _ClassVar[int]
    SIGHTING_FIELD_NUMBER: _ClassVar[int]
    PERSON_ID_FIELD_NUMBER: _ClassVar[int]
    PERSON_FIELD_NUMBER: _ClassVar[int]
    FACE_FIELD_NUMBER: _ClassVar[int]
    FACE_ID_FIELD_NUMBER: _ClassVar[int]
    ALERT_FIELD_NUMBER: _ClassVar[int]
    type: str
    camera_id: str
    camera: EventCamera
    timestamp: _timestamp_pb2.Timestamp
    runtime: _runtime_pb2.CameraRuntime
    error: WorkerError
    sighting: _sighting_pb2.Sighting
    person_id: str
    person: _person_pb2.Person
    face: _face_pb2.Face
    face_id: str
    alert: _alert_pb2.Alert
    def __init__(self, type: _Optional[str] = ..., camera_id: _Optional[str] = ..., camera: _Optional[_Union[EventCamera, _Mapping]] = ..., timestamp: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., runtime: _Optional[_Union[_runtime_pb2.CameraRuntime, _Mapping]] = ..., error: _Optional[_Union[WorkerError, _Mapping]] = ..., sighting: _Optional[_Union[_sighting_pb2.Sighting, _Mapping]] = ..., person_id: _Optional[str] = ..., person: _Optional[_Union[_person_pb2.Person, _Mapping]] = ..., face: _Optional[_Union[_face_pb2.Face, _Mapping]] = ..., face_id: _Optional[str] = ..., alert: _Optional[_Union[_alert_pb2.Alert, _Mapping]] = ...) -> None: ...

class EventCamera(_message.Message):
    __slots__ = ("id", "name", "connection_string", "status", "desired_state", "location", "description", "metadata", "created_at", "updated_at")
    ID_FIELD_NUMBER: _ClassVar[int]
    NAME_FIELD_NUMBER: _ClassVar[int]
    CONNECTION_STRING_FIELD_NUMBER: _ClassVar[int]
    STATUS_FIELD_NUMBER: _ClassVar[int]
    DESIRED_STATE_FIELD_NUMBER: _ClassVar[int]
    LOCATION_FIELD_NUMBER: _ClassVar[int]
    DESCRIPTION_FIELD_NUMBER: _ClassVar[int]
    METADATA_FIELD_NUMBER: _ClassVar[int]
    CREATED_AT_FIELD_NUMBER: _ClassVar[int]
    UPDATED_AT_FIELD_NUMBER: _ClassVar[int]
    id: str
    name: str
    connection_string: str
    status: str
    desired_state: str
    location: str
    description: str
    metadata: _struct_pb2.Struct
    created_at: _timestamp_pb2.Timestamp
    updated_at: _timestamp_pb2.Timestamp
    def __init__(self, id: _Optional[str] = ..., name: _Optional[str] = ..., connection_string: _Optional[str] = ..., status: _Optional[str] = ..., desired_state: _Optional[str] = ..., location: _Optional[str] = ..., description: _Optional[str] = ..., metadata: _Optional[_Union[_struct_pb2.Struct, _Mapping]] = ..., created_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., updated_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ...) -> None: ...

class WorkerError(_message.Message):
    __slots__ = ("reason", "message")
    REASON_FIELD_NUMBER: _ClassVar[int]
    MESSAGE_FIELD_NUMBER: _ClassVar[int]
    reason: str
    message: str
    def __init__(self, reason: _Optional[str] = ..., message: _Optional[str] = ...) -> None: ...
