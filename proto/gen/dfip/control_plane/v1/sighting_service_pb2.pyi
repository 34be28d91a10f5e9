import datetime

from buf.validate import validate_pb2 as _validate_pb2
from dfip.control_plane.v1 import sighting_pb2 as _sighting_pb2
from dfip.identity_index.v1 import embedding_pb2 as _embedding_pb2
from dfip.options.v1 import policy_pb2 as _policy_pb2
from google.api import annotations_pb2 as _annotations_pb2
from google.api import httpbody_pb2 as _httpbody_pb2
from google.protobuf import timestamp_pb2 as _timestamp_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class ListSightingsRequest(_message.Message):
    __slots__ = ("camera_id", "person_id", "decision", "since", "until", "page_size", "page_token")
    CAMERA_ID_FIELD_NUMBER: _ClassVar[int]
    PERSON_ID_FIELD_NUMBER: _ClassVar[int]
    DECISION_FIELD_NUMBER: _ClassVar[int]
    SINCE_FIELD_NUMBER: _ClassVar[int]
    UNTIL_FIELD_NUMBER: _ClassVar[int]
    PAGE_SIZE_FIELD_NUMBER: _ClassVar[int]
    PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    camera_id: str
    person_id: str
    decision: str
    since: _timestamp_pb2.Timestamp
    until: _timestamp_pb2.Timestamp
    page_size: int
    page_token: str
    def __init__(self, camera_id: _Optional[str] = ..., person_id: _Optional[str] = ..., decision: _Optional[str] = ..., since: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., until: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., page_size: _Optional[int] = ..., page_token: _Optional[str] = ...) -> None: ...

class ListSightingsResponse(_message.Message):
    __slots__ = ("success", "message", "data", "next_page_token")
    SUCCESS_FIELD_NUMBER: _ClassVar[int]
    MESSAGE_FIELD_NUMBER: _ClassVar[int]
    DATA_FIELD_NUMBER: _ClassVar[int]
    NEXT_PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    success: bool
    message: str
    data: _containers.RepeatedCompositeFieldContainer[_sighting_pb2.Sighting]
    next_page_token: str
    def __init__(self, success: _Optional[bool] = ..., message: _Optional[str] = ..., data: _Optional[_Iterable[_Union[_sighting_pb2.Sighting, _Mapping]]] = ..., next_page_token: _Optional[str] = ...) -> None: ...

class GetSightingRequest(_message.Message):
    __slots__ = ("sighting_id",)
    SIGHTING_ID_FIELD_NUMBER: _ClassVar[int]
    sighting_id: str
    def __init__(self, sighting_id: _Optional[str] = ...) -> None: ...

class GetSightingResponse(_message.Message):
    __slots__ = ("success", "message", "data")
    SUCCESS_FIELD_NUMBER: _ClassVar[int]
    MESSAGE_FIELD_NUMBER: _ClassVar[int]
    DATA_FIELD_NUMBER: _ClassVar[int]
    success: bool
    message: str
    data: _sighting_pb2.Sighting
    def __init__(self, success: _Optional[bool] = ..., message: _Optional[str] = ..., data: _Optional[_Union[_sighting_pb2.Sighting, _Mapping]] = ...) -> None: ...

class GetSightingImageRequest(_message.Message):
    __slots__ = ("sighting_id",)
    SIGHTING_ID_FIELD_NUMBER: _ClassVar[int]
    sighting_id: str
    def __init__(self, sighting_id: _Optional[str] = ...) -> None: ...

class GetSightingContextRequest(_message.Message):
    __slots__ = ("sighting_id",)
    SIGHTING_ID_FIELD_NUMBER: _ClassVar[int]
    sighting_id: str
    def __init__(self, sighting_id: _Optional[str] = ...) -> None: ...

class LabelSightingRequest(_message.Message):
    __slots__ = ("sighting_id", "label", "person_id")
    SIGHTING_ID_FIELD_NUMBER: _ClassVar[int]
    LABEL_FIELD_NUMBER: _ClassVar[int]
    PERSON_ID_FIELD_NUMBER: _ClassVar[int]
    sighting_id: str
    label: str
    person_id: str
    def __init__(self, sighting_id: _Optional[str] = ..., label: _Optional[str] = ..., person_id: _Optional[str] = ...) -> None: ...

class LabelSightingResponse(_message.Message):
    __slots__ = ("success", "message", "data")
    SUCCESS_FIELD_NUMBER: _ClassVar[int]
    MESSAGE_FIELD_NUMBER: _ClassVar[int]
    DATA_FIELD_NUMBER: _ClassVar[int]
    success: bool
    message: str
    data: _sighting_pb2.Sighting
    def __init__(self, success: _Optional[bool] = ..., message: _Optional[str] = ..., data: _Optional[_Union[_sighting_pb2.Sighting, _Mapping]] = ...) -> None: ...

class SearchByPhotoRequest(_message.Message):
    __slots__ = ("image", "camera_id", "since", "until")
    IMAGE_FIELD_NUMBER: _ClassVar[int]
    CAMERA_ID_FIELD_NUMBER: _ClassVar[int]
    SINCE_FIELD_NUMBER: _ClassVar[int]
    UNTIL_FIELD_NUMBER: _ClassVar[int]
    image: _httpbody_pb2.HttpBody
    camera_id: str
    since: _timestamp_pb2.Timestamp
    until: _timestamp_pb2.Timestamp
    def __init__(self, image: _Optional[_Union[_httpbody_pb2.HttpBody, _Mapping]] = ..., camera_id: _Optional[str] = ..., since: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., until: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ...) -> None: ...

class SearchByPhotoResponse(_message.Message):
    __slots__ = ("success", "message", "data", "sightings_compared", "truncated")
    SUCCESS_FIELD_NUMBER: _ClassVar[int]
    MESSAGE_FIELD_NUMBER: _ClassVar[int]
    DATA_FIELD_NUMBER: _ClassVar[int]
    SIGHTINGS_COMPARED_FIELD_NUMBER: _ClassVar[int]
    TRUNCATED_FIELD_NUMBER: _ClassVar[int]
    success: bool
    message: str
    data: _containers.RepeatedCompositeFieldContainer[FoundFace]
    sightings_compared: int
    truncated: bool
    def __init__(self, success: _Optional[bool] = ..., message: _Optional[str] = ..., data: _Optional[_Iterable[_Union[FoundFace, _Mapping]]] = ..., sightings_compared: _Optional[int] = ..., truncated: _Optional[bool] = ...) -> None: ...

class FoundFace(_message.Message):
    __slots__ = ("box", "quality", "decision", "candidates", "sightings")
    BOX_FIELD_NUMBER: _ClassVar[int]
    QUALITY_FIELD_NUMBER: _ClassVar[int]
    DECISION_FIELD_NUMBER: _ClassVar[int]
    CANDIDATES_FIELD_NUMBER: _ClassVar[int]
    SIGHTINGS_FIELD_NUMBER: _ClassVar[int]
    box: _embedding_pb2.BoundingBox
    quality: _embedding_pb2.FaceQuality
    decision: str
    candidates: _containers.RepeatedCompositeFieldContainer[_embedding_pb2.Candidate]
    sightings: _containers.RepeatedCompositeFieldContainer[SimilarSighting]
    def __init__(self, box: _Optional[_Union[_embedding_pb2.BoundingBox, _Mapping]] = ..., quality: _Optional[_Union[_embedding_pb2.FaceQuality, _Mapping]] = ..., decision: _Optional[str] = ..., candidates: _Optional[_Iterable[_Union[_embedding_pb2.Candidate, _Mapping]]] = ..., sightings: _Optional[_Iterable[_Union[SimilarSighting, _Mapping]]] = ...) -> None: ...

class SimilarSighting(_message.Message):
    __slots__ = ("score", "sighting")
    SCORE_FIELD_NUMBER: _ClassVar[int]
    SIGHTING_FIELD_NUMBER: _ClassVar[int]
    score: float
    sighting: _sighting_pb2.Sighting
    def __init__(self, score: _Optional[float] = ..., sighting: _Optional[_Union[_sighting_pb2.Sighting, _Mapping]] = ...) -> None: ...

class WatchSightingsRequest(_message.Message):
    __slots__ = ("camera_id", "resume_token")
    CAMERA_ID_FIELD_NUMBER: _ClassVar[int]
    RESUME_TOKEN_FIELD_NUMBER: _ClassVar[int]
    camera_id: str
    resume_token: str
    def __init__(self, camera_id: _Optional[str] = ..., resume_token: _Optional[str] = ...) -> None: ...

class WatchSightingsResponse(_message.Message):
    __slots__ = ("sightings", "resume_token")
    SIGHTINGS_FIELD_NUMBER: _ClassVar[int]
    RESUME_TOKEN_FIELD_NUMBER: _ClassVar[int]
    sightings: _containers.RepeatedCompositeFieldContainer[_sighting_pb2.Sighting]
    resume_token: str
    def __init__(self, sightings: _Optional[_Iterable[_Union[_sighting_pb2.Sighting, _Mapping]]] = ..., resume_token: _Optional[str] = ...) -> None: ...
