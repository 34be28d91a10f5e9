from buf.validate import validate_pb2 as _validate_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable
from typing import ClassVar as _ClassVar, Optional as _Optional

DESCRIPTOR: _descriptor.FileDescriptor

class EmbeddingBatch(_message.Message):
    __slots__ = ("pack_id", "dimension", "vectors")
    PACK_ID_FIELD_NUMBER: _ClassVar[int]
    DIMENSION_FIELD_NUMBER: _ClassVar[int]
    VECTORS_FIELD_NUMBER: _ClassVar[int]
    pack_id: str
    dimension: int
    vectors: bytes
    def __init__(self, pack_id: _Optional[str] = ..., dimension: _Optional[int] = ..., vectors: _Optional[bytes] = ...) -> None: ...

class BoundingBox(_message.Message):
    __slots__ = ("x", "y", "width", "height")
    X_FIELD_NUMBER: _ClassVar[int]
    Y_FIELD_NUMBER: _ClassVar[int]
    WIDTH_FIELD_NUMBER: _ClassVar[int]
    HEIGHT_FIELD_NUMBER: _ClassVar[int]
    x: float
    y: float
    width: float
    height: float
    def __init__(self, x: _Optional[float] = ..., y: _Optional[float] = ..., width: _Optional[float] = ..., height: _Optional[float] = ...) -> None: ...

class FaceQuality(_message.Message):
    __slots__ = ("score", "width_px", "blur", "yaw", "pitch", "brightness", "verdict", "reasons", "occlusion")
    SCORE_FIELD_NUMBER: _ClassVar[int]
    WIDTH_PX_FIELD_NUMBER: _ClassVar[int]
    BLUR_FIELD_NUMBER: _ClassVar[int]
    YAW_FIELD_NUMBER: _ClassVar[int]
    PITCH_FIELD_NUMBER: _ClassVar[int]
    BRIGHTNESS_FIELD_NUMBER: _ClassVar[int]
    VERDICT_FIELD_NUMBER: _ClassVar[int]
    REASONS_FIELD_NUMBER: _ClassVar[int]
    OCCLUSION_FIELD_NUMBER: _ClassVar[int]
    score: float
    width_px: float
    blur: float
    yaw: float
    pitch: float
    brightness: float
    verdict: str
    reasons: _containers.RepeatedScalarFieldContainer[str]
    occlusion: float
    def __init__(self, score: _Optional[float] = ..., width_px: _Optional[float] = ..., blur: _Optional[float] = ..., yaw: _Optional[float] = ..., pitch: _Optional[float] = ..., brightness: _Optional[float] = ..., verdict: _Optional[str] = ..., reasons: _Optional[_Iterable[str]] = ..., occlusion: _Optional[float] = ...) -> None: ...

class Candidate(_message.Message):
    __slots__ = ("person_id", "person_name", "face_id", "score")
    PERSON_ID_FIELD_NUMBER: _ClassVar[int]
    PERSON_NAME_FIELD_NUMBER: _ClassVar[int]
    FACE_ID_FIELD_NUMBER: _ClassVar[int]
    SCORE_FIELD_NUMBER: _ClassVar[int]
    person_id: str
    person_name: str
    face_id: str
    score: float
    def __init__(self, person_id: _Optional[str] = ..., person_name: _Optional[str] = ..., face_id: _Optional[str] = ..., score: _Optional[float] = ...) -> None: ...
