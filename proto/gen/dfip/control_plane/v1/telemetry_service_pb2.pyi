import datetime

from buf.validate import validate_pb2 as _validate_pb2
from dfip.control_plane.v1 import telemetry_pb2 as _telemetry_pb2
from dfip.options.v1 import policy_pb2 as _policy_pb2
from google.api import annotations_pb2 as _annotations_pb2
from google.protobuf import timestamp_pb2 as _timestamp_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class ReportTelemetryRequest(_message.Message):
    __slots__ = ("camera_id", "timestamp", "occupancy", "confidence", "zone", "entries", "exits", "report_id")
    CAMERA_ID_FIELD_NUMBER: _ClassVar[int]
    TIMESTAMP_FIELD_NUMBER: _ClassVar[int]
    OCCUPANCY_FIELD_NUMBER: _ClassVar[int]
    CONFIDENCE_FIELD_NUMBER: _ClassVar[int]
    ZONE_FIELD_NUMBER: _ClassVar[int]
    ENTRIES_FIELD_NUMBER: _ClassVar[int]
    EXITS_FIELD_NUMBER: _ClassVar[int]
    REPORT_ID_FIELD_NUMBER: _ClassVar[int]
    camera_id: str
    timestamp: _timestamp_pb2.Timestamp
    occupancy: int
    confidence: float
    zone: str
    entries: int
    exits: int
    report_id: str
    def __init__(self, camera_id: _Optional[str] = ..., timestamp: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., occupancy: _Optional[int] = ..., confidence: _Optional[float] = ..., zone: _Optional[str] = ..., entries: _Optional[int] = ..., exits: _Optional[int] = ..., report_id: _Optional[str] = ...) -> None: ...

class ReportTelemetryResponse(_message.Message):
    __slots__ = ("success", "message")
    SUCCESS_FIELD_NUMBER: _ClassVar[int]
    MESSAGE_FIELD_NUMBER: _ClassVar[int]
    success: bool
    message: str
    def __init__(self, success: _Optional[bool] = ..., message: _Optional[str] = ...) -> None: ...

class StreamTelemetryRequest(_message.Message):
    __slots__ = ("session_id", "sequence", "samples")
    SESSION_ID_FIELD_NUMBER: _ClassVar[int]
    SEQUENCE_FIELD_NUMBER: _ClassVar[int]
    SAMPLES_FIELD_NUMBER: _ClassVar[int]
    session_id: str
    sequence: int
    samples: _containers.RepeatedCompositeFieldContainer[_telemetry_pb2.TelemetrySample]
    def __init__(self, session_id: _Optional[str] = ..., sequence: _Optional[int] = ..., samples: _Optional[_Iterable[_Union[_telemetry_pb2.TelemetrySample, _Mapping]]] = ...) -> None: ...

class StreamTelemetryResponse(_message.Message):
    __slots__ = ("session_id", "sequence", "rejected")
    SESSION_ID_FIELD_NUMBER: _ClassVar[int]
    SEQUENCE_FIELD_NUMBER: _ClassVar[int]
    REJECTED_FIELD_NUMBER: _ClassVar[int]
    session_id: str
    sequence: int
    rejected: _containers.RepeatedCompositeFieldContainer[_telemetry_pb2.RejectedSample]
    def __init__(self, session_id: _Optional[str] = ..., sequence: _Optional[int] = ..., rejected: _Optional[_Iterable[_Union[_telemetry_pb2.RejectedSample, _Mapping]]] = ...) -> None: ...

class QueryTelemetryRequest(_message.Message):
    __slots__ = ("camera_id", "since", "until", "bucket_s", "zone")
    CAMERA_ID_FIELD_NUMBER: _ClassVar[int]
    SINCE_FIELD_NUMBER: _ClassVar[int]
    UNTIL_FIELD_NUMBER: _ClassVar[int]
    BUCKET_S_FIELD_NUMBER: _ClassVar[int]
    ZONE_FIELD_NUMBER: _ClassVar[int]
    camera_id: str
    since: _timestamp_pb2.Timestamp
    until: _timestamp_pb2.Timestamp
    bucket_s: int
    zone: str
    def __init__(self, camera_id: _Optional[str] = ..., since: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., until: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., bucket_s: _Optional[int] = ..., zone: _Optional[str] = ...) -> None: ...

class QueryTelemetryResponse(_message.Message):
    __slots__ = ("success", "message", "data", "since", "until", "bucket_s")
    SUCCESS_FIELD_NUMBER: _ClassVar[int]
    MESSAGE_FIELD_NUMBER: _ClassVar[int]
    DATA_FIELD_NUMBER: _ClassVar[int]
    SINCE_FIELD_NUMBER: _ClassVar[int]
    UNTIL_FIELD_NUMBER: _ClassVar[int]
    BUCKET_S_FIELD_NUMBER: _ClassVar[int]
    success: bool
    message: str
    data: _containers.RepeatedCompositeFieldContainer[_telemetry_pb2.TelemetryBucket]
    since: _timestamp_pb2.Timestamp
    until: _timestamp_pb2.Timestamp
    bucket_s: int
    def __init__(self, success: _Optional[bool] = ..., message: _Optional[str] = ..., data: _Optional[_Iterable[_Union[_telemetry_pb2.TelemetryBucket, _Mapping]]] = ..., since: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., until: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., bucket_s: _Optional[int] = ...) -> None: ...
