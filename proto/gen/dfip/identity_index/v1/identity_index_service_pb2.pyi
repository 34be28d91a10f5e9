from buf.validate import validate_pb2 as _validate_pb2
from dfip.identity_index.v1 import embedding_pb2 as _embedding_pb2
from dfip.options.v1 import policy_pb2 as _policy_pb2
from google.api import annotations_pb2 as _annotations_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class AnalyzeFacesRequest(_message.Message):
    __slots__ = ("image", "min_face_px")
    IMAGE_FIELD_NUMBER: _ClassVar[int]
    MIN_FACE_PX_FIELD_NUMBER: _ClassVar[int]
    image: bytes
    min_face_px: int
    def __init__(self, image: _Optional[bytes] = ..., min_face_px: _Optional[int] = ...) -> None: ...

class AnalyzedFace(_message.Message):
    __slots__ = ("box", "score", "quality", "embedding", "portrait")
    BOX_FIELD_NUMBER: _ClassVar[int]
    SCORE_FIELD_NUMBER: _ClassVar[int]
    QUALITY_FIELD_NUMBER: _ClassVar[int]
    EMBEDDING_FIELD_NUMBER: _ClassVar[int]
    PORTRAIT_FIELD_NUMBER: _ClassVar[int]
    box: _embedding_pb2.BoundingBox
    score: float
    quality: _embedding_pb2.FaceQuality
    embedding: _embedding_pb2.EmbeddingBatch
    portrait: bytes
    def __init__(self, box: _Optional[_Union[_embedding_pb2.BoundingBox, _Mapping]] = ..., score: _Optional[float] = ..., quality: _Optional[_Union[_embedding_pb2.FaceQuality, _Mapping]] = ..., embedding: _Optional[_Union[_embedding_pb2.EmbeddingBatch, _Mapping]] = ..., portrait: _Optional[bytes] = ...) -> None: ...

class AnalyzeFacesResponse(_message.Message):
    __slots__ = ("faces", "pack_id", "match_threshold", "review_threshold", "margin")
    FACES_FIELD_NUMBER: _ClassVar[int]
    PACK_ID_FIELD_NUMBER: _ClassVar[int]
    MATCH_THRESHOLD_FIELD_NUMBER: _ClassVar[int]
    REVIEW_THRESHOLD_FIELD_NUMBER: _ClassVar[int]
    MARGIN_FIELD_NUMBER: _ClassVar[int]
    faces: _containers.RepeatedCompositeFieldContainer[AnalyzedFace]
    pack_id: str
    match_threshold: float
    review_threshold: float
    margin: float
    def __init__(self, faces: _Optional[_Iterable[_Union[AnalyzedFace, _Mapping]]] = ..., pack_id: _Optional[str] = ..., match_threshold: _Optional[float] = ..., review_threshold: _Optional[float] = ..., margin: _Optional[float] = ...) -> None: ...

class SearchRequest(_message.Message):
    __slots__ = ("probes", "k", "min_revision")
    PROBES_FIELD_NUMBER: _ClassVar[int]
    K_FIELD_NUMBER: _ClassVar[int]
    MIN_REVISION_FIELD_NUMBER: _ClassVar[int]
    probes: _embedding_pb2.EmbeddingBatch
    k: int
    min_revision: int
    def __init__(self, probes: _Optional[_Union[_embedding_pb2.EmbeddingBatch, _Mapping]] = ..., k: _Optional[int] = ..., min_revision: _Optional[int] = ...) -> None: ...

class SearchResult(_message.Message):
    __slots__ = ("candidates",)
    CANDIDATES_FIELD_NUMBER: _ClassVar[int]
    candidates: _containers.RepeatedCompositeFieldContainer[_embedding_pb2.Candidate]
    def __init__(self, candidates: _Optional[_Iterable[_Union[_embedding_pb2.Candidate, _Mapping]]] = ...) -> None: ...

class SearchResponse(_message.Message):
    __slots__ = ("results", "revision")
    RESULTS_FIELD_NUMBER: _ClassVar[int]
    REVISION_FIELD_NUMBER: _ClassVar[int]
    results: _containers.RepeatedCompositeFieldContainer[SearchResult]
    revision: int
    def __init__(self, results: _Optional[_Iterable[_Union[SearchResult, _Mapping]]] = ..., revision: _Optional[int] = ...) -> None: ...

class IdentifyRequest(_message.Message):
    __slots__ = ("request_number", "search")
    REQUEST_NUMBER_FIELD_NUMBER: _ClassVar[int]
    SEARCH_FIELD_NUMBER: _ClassVar[int]
    request_number: int
    search: SearchRequest
    def __init__(self, request_number: _Optional[int] = ..., search: _Optional[_Union[SearchRequest, _Mapping]] = ...) -> None: ...

class IdentifyResponse(_message.Message):
    __slots__ = ("request_number", "search")
    REQUEST_NUMBER_FIELD_NUMBER: _ClassVar[int]
    SEARCH_FIELD_NUMBER: _ClassVar[int]
    request_number: int
    search: SearchResponse
    def __init__(self, request_number: _Optional[int] = ..., search: _Optional[_Union[SearchResponse, _Mapping]] = ...) -> None: ...

class GetIndexStatusRequest(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class GetIndexStatusResponse(_message.Message):
    __slots__ = ("success", "message", "data")
    SUCCESS_FIELD_NUMBER: _ClassVar[int]
    MESSAGE_FIELD_NUMBER: _ClassVar[int]
    DATA_FIELD_NUMBER: _ClassVar[int]
    success: bool
    message: str
    data: IndexStatus
    def __init__(self, success: _Optional[bool] = ..., message: _Optional[str] = ..., data: _Optional[_Union[IndexStatus, _Mapping]] = ...) -> None: ...

class IndexStatus(_message.Message):
    __slots__ = ("pack_id", "faces", "persons", "revision", "engine", "accelerator", "memory_bytes", "ready")
    PACK_ID_FIELD_NUMBER: _ClassVar[int]
    FACES_FIELD_NUMBER: _ClassVar[int]
    PERSONS_FIELD_NUMBER: _ClassVar[int]
    REVISION_FIELD_NUMBER: _ClassVar[int]
    ENGINE_FIELD_NUMBER: _ClassVar[int]
    ACCELERATOR_FIELD_NUMBER: _ClassVar[int]
    MEMORY_BYTES_FIELD_NUMBER: _ClassVar[int]
    READY_FIELD_NUMBER: _ClassVar[int]
    pack_id: str
    faces: int
    persons: int
    revision: int
    engine: str
    accelerator: str
    memory_bytes: float
    ready: bool
    def __init__(self, pack_id: _Optional[str] = ..., faces: _Optional[int] = ..., persons: _Optional[int] = ..., revision: _Optional[int] = ..., engine: _Optional[str] = ..., accelerator: _Optional[str] = ..., memory_bytes: _Optional[float] = ..., ready: _Optional[bool] = ...) -> None: ...
