import datetime

from buf.validate import validate_pb2 as _validate_pb2
from google.protobuf import timestamp_pb2 as _timestamp_pb2
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class TelemetrySample(_message.Message):
    __slots__ = ("timestamp", "occupancy", "confidence", "zone", "entries", "exits")
    TIMESTAMP_FIELD_NUMBER: _ClassVar[int]
    OCCUPANCY_FIELD_NUMBER: _ClassVar[int]
    CONFIDENCE_FIELD_NUMBER: _ClassVar[int]
    ZONE_FIELD_NUMBER: _ClassVar[int]
    ENTRIES_FIELD_NUMBER: _ClassVar[int]
    EXITS_FIELD_NUMBER: _ClassVar[int]
    timestamp: _timestamp_pb2.Timestamp
    occupancy: int
    confidence: float
    zone: str
    entries: int
    exits: int
    def __init__(self, timestamp: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., occupancy: _Optional[int] = ..., confidence: _Optional[float] = ..., zone: _Optional[str] = ..., entries: _Optional[int] = ..., exits: _Optional[int] = ...) -> None: ...

class RejectedSample(_message.Message):
    __slots__ = ("index", "reason", "message")
    INDEX_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    MESSAGE_FIELD_NUMBER: _ClassVar[int]
    index: int
    reason: str
    message: str
    def __init__(self, index: _Optional[int] = ..., reason: _Optional[str] = ..., message: _Optional[str] = ...) -> None: ...

class TelemetryBucket(_message.Message):
    __slots__ = ("start", "samples", "occupancy_min", "occupancy_mean", "occupancy_max", "entries", "exits", "confidence_mean")
    START_FIELD_NUMBER: _ClassVar[int]
    SAMPLES_FIELD_NUMBER: _ClassVar[int]
    OCCUPANCY_MIN_FIELD_NUMBER: _ClassVar[int]
    OCCUPANCY_MEAN_FIELD_NUMBER: _ClassVar[int]
    OCCUPANCY_MAX_FIELD_NUMBER: _ClassVar[int]
    ENTRIES_FIELD_NUMBER: _ClassVar[int]
    EXITS_FIELD_NUMBER: _ClassVar[int]
    CONFIDENCE_MEAN_FIELD_NUMBER: _ClassVar[int]
    start: _timestamp_pb2.Timestamp
    samples: int
    occupancy_min: int
    occupancy_mean: float
    occupancy_max: int
    entries: int
    exits: int
    confidence_mean: float
    def __init__(self, start: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., samples: _Optional[int] = ..., occupancy_min: _Optional[int] = ..., occupancy_mean: _Optional[float] = ..., occupancy_max: _Optional[int] = ..., entries: _Optional[int] = ..., exits: _Optional[int] = ..., confidence_mean: _Optional[float] = ...) -> None: ...
