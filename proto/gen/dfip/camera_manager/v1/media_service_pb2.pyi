from buf.validate import validate_pb2 as _validate_pb2
from dfip.options.v1 import policy_pb2 as _policy_pb2
from google.api import annotations_pb2 as _annotations_pb2
from google.api import httpbody_pb2 as _httpbody_pb2
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from typing import ClassVar as _ClassVar, Optional as _Optional

DESCRIPTOR: _descriptor.FileDescriptor

class GetSnapshotRequest(_message.Message):
    __slots__ = ("camera_id", "longest_side", "annotated")
    CAMERA_ID_FIELD_NUMBER: _ClassVar[int]
    LONGEST_SIDE_FIELD_NUMBER: _ClassVar[int]
    ANNOTATED_FIELD_NUMBER: _ClassVar[int]
    camera_id: str
    longest_side: int
    annotated: bool
    def __init__(self, camera_id: _Optional[str] = ..., longest_side: _Optional[int] = ..., annotated: _Optional[bool] = ...) -> None: ...

class StreamLiveRequest(_message.Message):
    __slots__ = ("camera_id", "fps", "longest_side", "annotated")
    CAMERA_ID_FIELD_NUMBER: _ClassVar[int]
    FPS_FIELD_NUMBER: _ClassVar[int]
    LONGEST_SIDE_FIELD_NUMBER: _ClassVar[int]
    ANNOTATED_FIELD_NUMBER: _ClassVar[int]
    camera_id: str
    fps: float
    longest_side: int
    annotated: bool
    def __init__(self, camera_id: _Optional[str] = ..., fps: _Optional[float] = ..., longest_side: _Optional[int] = ..., annotated: _Optional[bool] = ...) -> None: ...
