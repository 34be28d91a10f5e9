import datetime

from buf.validate import validate_pb2 as _validate_pb2
from dfip.control_plane.v1 import camera_pb2 as _camera_pb2
from dfip.control_plane.v1 import sighting_pb2 as _sighting_pb2
from dfip.control_plane.v1 import telemetry_pb2 as _telemetry_pb2
from dfip.identity_index.v1 import embedding_pb2 as _embedding_pb2
from dfip.options.v1 import policy_pb2 as _policy_pb2
from google.protobuf import struct_pb2 as _struct_pb2
from google.protobuf import timestamp_pb2 as _timestamp_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class NamePeopleRequest(_message.Message):
    __slots__ = ("person_ids",)
    PERSON_IDS_FIELD_NUMBER: _ClassVar[int]
    person_ids: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, person_ids: _Optional[_Iterable[str]] = ...) -> None: ...

class NamePeopleResponse(_message.Message):
    __slots__ = ("names",)
    class NamesEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: str
        def __init__(self, key: _Optional[str] = ..., value: _Optional[str] = ...) -> None: ...
    NAMES_FIELD_NUMBER: _ClassVar[int]
    names: _containers.ScalarMap[str, str]
    def __init__(self, names: _Optional[_Mapping[str, str]] = ...) -> None: ...

class ConnectRequest(_message.Message):
    __slots__ = ("hello", "heartbeat", "sightings", "telemetry")
    HELLO_FIELD_NUMBER: _ClassVar[int]
    HEARTBEAT_FIELD_NUMBER: _ClassVar[int]
    SIGHTINGS_FIELD_NUMBER: _ClassVar[int]
    TELEMETRY_FIELD_NUMBER: _ClassVar[int]
    hello: WorkerHello
    heartbeat: WorkerHeartbeat
    sightings: SightingBatch
    telemetry: TelemetryBatch
    def __init__(self, hello: _Optional[_Union[WorkerHello, _Mapping]] = ..., heartbeat: _Optional[_Union[WorkerHeartbeat, _Mapping]] = ..., sightings: _Optional[_Union[SightingBatch, _Mapping]] = ..., telemetry: _Optional[_Union[TelemetryBatch, _Mapping]] = ...) -> None: ...

class WorkerHello(_message.Message):
    __slots__ = ("session_id", "camera_id", "pod_name")
    SESSION_ID_FIELD_NUMBER: _ClassVar[int]
    CAMERA_ID_FIELD_NUMBER: _ClassVar[int]
    POD_NAME_FIELD_NUMBER: _ClassVar[int]
    session_id: str
    camera_id: str
    pod_name: str
    def __init__(self, session_id: _Optional[str] = ..., camera_id: _Optional[str] = ..., pod_name: _Optional[str] = ...) -> None: ...

class WorkerHeartbeat(_message.Message):
    __slots__ = ("worker_status", "health_status", "failure_reason", "error_count", "next_retry_at", "observed_generation", "fps", "memory_bytes", "cpu_share", "accelerator_asked", "accelerator_used", "decoder")
    WORKER_STATUS_FIELD_NUMBER: _ClassVar[int]
    HEALTH_STATUS_FIELD_NUMBER: _ClassVar[int]
    FAILURE_REASON_FIELD_NUMBER: _ClassVar[int]
    ERROR_COUNT_FIELD_NUMBER: _ClassVar[int]
    NEXT_RETRY_AT_FIELD_NUMBER: _ClassVar[int]
    OBSERVED_GENERATION_FIELD_NUMBER: _ClassVar[int]
    FPS_FIELD_NUMBER: _ClassVar[int]
    MEMORY_BYTES_FIELD_NUMBER: _ClassVar[int]
    CPU_SHARE_FIELD_NUMBER: _ClassVar[int]
    ACCELERATOR_ASKED_FIELD_NUMBER: _ClassVar[int]
    ACCELERATOR_USED_FIELD_NUMBER: _ClassVar[int]
    DECODER_FIELD_NUMBER: _ClassVar[int]
    worker_status: str
    health_status: str
    failure_reason: str
    error_count: int
    next_retry_at: _timestamp_pb2.Timestamp
    observed_generation: int
    fps: float
    memory_bytes: float
    cpu_share: float
    accelerator_asked: str
    accelerator_used: str
    decoder: str
    def __init__(self, worker_status: _Optional[str] = ..., health_status: _Optional[str] = ..., failure_reason: _Optional[str] = ..., error_count: _Optional[int] = ..., next_retry_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., observed_generation: _Optional[int] = ..., fps: _Optional[float] = ..., memory_bytes: _Optional[float] = ..., cpu_share: _Optional[float] = ..., accelerator_asked: _Optional[str] = ..., accelerator_used: _Optional[str] = ..., decoder: _Optional[str] = ...) -> None: ...

class SightingBatch(_message.Message):
    __slots__ = ("sequence", "sightings")
    SEQUENCE_FIELD_NUMBER: _ClassVar[int]
    SIGHTINGS_FIELD_NUMBER: _ClassVar[int]
    sequence: int
    sightings: _containers.RepeatedCompositeFieldContainer[SightingReport]
    def __init__(self, sequence: _Optional[int] = ..., sightings: _Optional[_Iterable[_Union[SightingReport, _Mapping]]] = ...) -> None: ...

class SightingReport(_message.Message):
    __slots__ = ("id", "track_id", "revision", "decision", "person_id", "score", "threshold", "margin", "started_at", "ended_at", "frames", "box", "quality", "evidence", "embedding", "crop", "context")
    ID_FIELD_NUMBER: _ClassVar[int]
    TRACK_ID_FIELD_NUMBER: _ClassVar[int]
    REVISION_FIELD_NUMBER: _ClassVar[int]
    DECISION_FIELD_NUMBER: _ClassVar[int]
    PERSON_ID_FIELD_NUMBER: _ClassVar[int]
    SCORE_FIELD_NUMBER: _ClassVar[int]
    THRESHOLD_FIELD_NUMBER: _ClassVar[int]
    MARGIN_FIELD_NUMBER: _ClassVar[int]
    STARTED_AT_FIELD_NUMBER: _ClassVar[int]
    ENDED_AT_FIELD_NUMBER: _ClassVar[int]
    FRAMES_FIELD_NUMBER: _ClassVar[int]
    BOX_FIELD_NUMBER: _ClassVar[int]
    QUALITY_FIELD_NUMBER: _ClassVar[int]
    EVIDENCE_FIELD_NUMBER: _ClassVar[int]
    EMBEDDING_FIELD_NUMBER: _ClassVar[int]
    CROP_FIELD_NUMBER: _ClassVar[int]
    CONTEXT_FIELD_NUMBER: _ClassVar[int]
    id: str
    track_id: int
    revision: int
    decision: str
    person_id: str
    score: float
    threshold: float
    margin: float
    started_at: _timestamp_pb2.Timestamp
    ended_at: _timestamp_pb2.Timestamp
    frames: int
    box: _embedding_pb2.BoundingBox
    quality: _embedding_pb2.FaceQuality
    evidence: _sighting_pb2.SightingEvidence
    embedding: _embedding_pb2.EmbeddingBatch
    crop: bytes
    context: bytes
    def __init__(self, id: _Optional[str] = ..., track_id: _Optional[int] = ..., revision: _Optional[int] = ..., decision: _Optional[str] = ..., person_id: _Optional[str] = ..., score: _Optional[float] = ..., threshold: _Optional[float] = ..., margin: _Optional[float] = ..., started_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., ended_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., frames: _Optional[int] = ..., box: _Optional[_Union[_embedding_pb2.BoundingBox, _Mapping]] = ..., quality: _Optional[_Union[_embedding_pb2.FaceQuality, _Mapping]] = ..., evidence: _Optional[_Union[_sighting_pb2.SightingEvidence, _Mapping]] = ..., embedding: _Optional[_Union[_embedding_pb2.EmbeddingBatch, _Mapping]] = ..., crop: _Optional[bytes] = ..., context: _Optional[bytes] = ...) -> None: ...

class TelemetryBatch(_message.Message):
    __slots__ = ("sequence", "samples")
    SEQUENCE_FIELD_NUMBER: _ClassVar[int]
    SAMPLES_FIELD_NUMBER: _ClassVar[int]
    sequence: int
    samples: _containers.RepeatedCompositeFieldContainer[_telemetry_pb2.TelemetrySample]
    def __init__(self, sequence: _Optional[int] = ..., samples: _Optional[_Iterable[_Union[_telemetry_pb2.TelemetrySample, _Mapping]]] = ...) -> None: ...

class ConnectResponse(_message.Message):
    __slots__ = ("assignment", "acknowledgement", "drain", "retry", "telemetry_acknowledgement")
    ASSIGNMENT_FIELD_NUMBER: _ClassVar[int]
    ACKNOWLEDGEMENT_FIELD_NUMBER: _ClassVar[int]
    DRAIN_FIELD_NUMBER: _ClassVar[int]
    RETRY_FIELD_NUMBER: _ClassVar[int]
    TELEMETRY_ACKNOWLEDGEMENT_FIELD_NUMBER: _ClassVar[int]
    assignment: Assignment
    acknowledgement: Acknowledgement
    drain: Drain
    retry: Retry
    telemetry_acknowledgement: TelemetryAcknowledgement
    def __init__(self, assignment: _Optional[_Union[Assignment, _Mapping]] = ..., acknowledgement: _Optional[_Union[Acknowledgement, _Mapping]] = ..., drain: _Optional[_Union[Drain, _Mapping]] = ..., retry: _Optional[_Union[Retry, _Mapping]] = ..., telemetry_acknowledgement: _Optional[_Union[TelemetryAcknowledgement, _Mapping]] = ...) -> None: ...

class Assignment(_message.Message):
    __slots__ = ("camera_id", "epoch", "connection_string", "model_config", "zone_config", "generation")
    CAMERA_ID_FIELD_NUMBER: _ClassVar[int]
    EPOCH_FIELD_NUMBER: _ClassVar[int]
    CONNECTION_STRING_FIELD_NUMBER: _ClassVar[int]
    MODEL_CONFIG_FIELD_NUMBER: _ClassVar[int]
    ZONE_CONFIG_FIELD_NUMBER: _ClassVar[int]
    GENERATION_FIELD_NUMBER: _ClassVar[int]
    camera_id: str
    epoch: int
    connection_string: str
    model_config: _camera_pb2.ModelConfig
    zone_config: _struct_pb2.Struct
    generation: int
    def __init__(self, camera_id: _Optional[str] = ..., epoch: _Optional[int] = ..., connection_string: _Optional[str] = ..., model_config: _Optional[_Union[_camera_pb2.ModelConfig, _Mapping]] = ..., zone_config: _Optional[_Union[_struct_pb2.Struct, _Mapping]] = ..., generation: _Optional[int] = ...) -> None: ...

class Acknowledgement(_message.Message):
    __slots__ = ("sequence",)
    SEQUENCE_FIELD_NUMBER: _ClassVar[int]
    sequence: int
    def __init__(self, sequence: _Optional[int] = ...) -> None: ...

class TelemetryAcknowledgement(_message.Message):
    __slots__ = ("sequence", "rejected_samples")
    SEQUENCE_FIELD_NUMBER: _ClassVar[int]
    REJECTED_SAMPLES_FIELD_NUMBER: _ClassVar[int]
    sequence: int
    rejected_samples: int
    def __init__(self, sequence: _Optional[int] = ..., rejected_samples: _Optional[int] = ...) -> None: ...

class Drain(_message.Message):
    __slots__ = ("reason",)
    REASON_FIELD_NUMBER: _ClassVar[int]
    reason: str
    def __init__(self, reason: _Optional[str] = ...) -> None: ...

class Retry(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...
