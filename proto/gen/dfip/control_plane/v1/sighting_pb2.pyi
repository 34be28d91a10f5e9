import datetime

from buf.validate import validate_pb2 as _validate_pb2
from dfip.identity_index.v1 import embedding_pb2 as _embedding_pb2
from google.protobuf import timestamp_pb2 as _timestamp_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class Sighting(_message.Message):
    __slots__ = ("id", "camera_id", "track_id", "decision", "person_id", "person_name", "unknown_id", "score", "threshold", "margin", "started_at", "ended_at", "frames", "box", "quality", "evidence", "label")
    ID_FIELD_NUMBER: _ClassVar[int]
    CAMERA_ID_FIELD_NUMBER: _ClassVar[int]
    TRACK_ID_FIELD_NUMBER: _ClassVar[int]
    DECISION_FIELD_NUMBER: _ClassVar[int]
    PERSON_ID_FIELD_NUMBER: _ClassVar[int]
    PERSON_NAME_FIELD_NUMBER: _ClassVar[int]
    UNKNOWN_ID_FIELD_NUMBER: _ClassVar[int]
    SCORE_FIELD_NUMBER: _ClassVar[int]
    THRESHOLD_FIELD_NUMBER: _ClassVar[int]
    MARGIN_FIELD_NUMBER: _ClassVar[int]
    STARTED_AT_FIELD_NUMBER: _ClassVar[int]
    ENDED_AT_FIELD_NUMBER: _ClassVar[int]
    FRAMES_FIELD_NUMBER: _ClassVar[int]
    BOX_FIELD_NUMBER: _ClassVar[int]
    QUALITY_FIELD_NUMBER: _ClassVar[int]
    EVIDENCE_FIELD_NUMBER: _ClassVar[int]
    LABEL_FIELD_NUMBER: _ClassVar[int]
    id: str
    camera_id: str
    track_id: int
    decision: str
    person_id: str
    person_name: str
    unknown_id: str
    score: float
    threshold: float
    margin: float
    started_at: _timestamp_pb2.Timestamp
    ended_at: _timestamp_pb2.Timestamp
    frames: int
    box: _embedding_pb2.BoundingBox
    quality: _embedding_pb2.FaceQuality
    evidence: SightingEvidence
    label: SightingLabel
    def __init__(self, id: _Optional[str] = ..., camera_id: _Optional[str] = ..., track_id: _Optional[int] = ..., decision: _Optional[str] = ..., person_id: _Optional[str] = ..., person_name: _Optional[str] = ..., unknown_id: _Optional[str] = ..., score: _Optional[float] = ..., threshold: _Optional[float] = ..., margin: _Optional[float] = ..., started_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., ended_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., frames: _Optional[int] = ..., box: _Optional[_Union[_embedding_pb2.BoundingBox, _Mapping]] = ..., quality: _Optional[_Union[_embedding_pb2.FaceQuality, _Mapping]] = ..., evidence: _Optional[_Union[SightingEvidence, _Mapping]] = ..., label: _Optional[_Union[SightingLabel, _Mapping]] = ...) -> None: ...

class SightingLabel(_message.Message):
    __slots__ = ("verdict", "labelled_by", "labelled_at")
    VERDICT_FIELD_NUMBER: _ClassVar[int]
    LABELLED_BY_FIELD_NUMBER: _ClassVar[int]
    LABELLED_AT_FIELD_NUMBER: _ClassVar[int]
    verdict: str
    labelled_by: str
    labelled_at: _timestamp_pb2.Timestamp
    def __init__(self, verdict: _Optional[str] = ..., labelled_by: _Optional[str] = ..., labelled_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ...) -> None: ...

class SightingEvidence(_message.Message):
    __slots__ = ("candidates", "pack_id", "threshold_version", "votes", "latency_ms")
    CANDIDATES_FIELD_NUMBER: _ClassVar[int]
    PACK_ID_FIELD_NUMBER: _ClassVar[int]
    THRESHOLD_VERSION_FIELD_NUMBER: _ClassVar[int]
    VOTES_FIELD_NUMBER: _ClassVar[int]
    LATENCY_MS_FIELD_NUMBER: _ClassVar[int]
    candidates: _containers.RepeatedCompositeFieldContainer[_embedding_pb2.Candidate]
    pack_id: str
    threshold_version: str
    votes: int
    latency_ms: float
    def __init__(self, candidates: _Optional[_Iterable[_Union[_embedding_pb2.Candidate, _Mapping]]] = ..., pack_id: _Optional[str] = ..., threshold_version: _Optional[str] = ..., votes: _Optional[int] = ..., latency_ms: _Optional[float] = ...) -> None: ...
