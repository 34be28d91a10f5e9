import datetime

from buf.validate import validate_pb2 as _validate_pb2
from dfip.options.v1 import policy_pb2 as _policy_pb2
from google.protobuf import timestamp_pb2 as _timestamp_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class GetWorkerStatusRequest(_message.Message):
    __slots__ = ("camera_id",)
    CAMERA_ID_FIELD_NUMBER: _ClassVar[int]
    camera_id: str
    def __init__(self, camera_id: _Optional[str] = ...) -> None: ...

class GetWorkerStatusResponse(_message.Message):
    __slots__ = ("camera_id", "epoch", "worker_status", "failure_reason", "started_at", "fps", "frames_decoded", "frames_sampled", "frames_dropped", "faces_detected", "embeddings", "sightings_acknowledged", "sightings_pending", "sightings_dropped", "stages", "accelerator_asked", "accelerator_used", "cameras", "capacity", "memory_bytes", "engines", "spool")
    CAMERA_ID_FIELD_NUMBER: _ClassVar[int]
    EPOCH_FIELD_NUMBER: _ClassVar[int]
    WORKER_STATUS_FIELD_NUMBER: _ClassVar[int]
    FAILURE_REASON_FIELD_NUMBER: _ClassVar[int]
    STARTED_AT_FIELD_NUMBER: _ClassVar[int]
    FPS_FIELD_NUMBER: _ClassVar[int]
    FRAMES_DECODED_FIELD_NUMBER: _ClassVar[int]
    FRAMES_SAMPLED_FIELD_NUMBER: _ClassVar[int]
    FRAMES_DROPPED_FIELD_NUMBER: _ClassVar[int]
    FACES_DETECTED_FIELD_NUMBER: _ClassVar[int]
    EMBEDDINGS_FIELD_NUMBER: _ClassVar[int]
    SIGHTINGS_ACKNOWLEDGED_FIELD_NUMBER: _ClassVar[int]
    SIGHTINGS_PENDING_FIELD_NUMBER: _ClassVar[int]
    SIGHTINGS_DROPPED_FIELD_NUMBER: _ClassVar[int]
    STAGES_FIELD_NUMBER: _ClassVar[int]
    ACCELERATOR_ASKED_FIELD_NUMBER: _ClassVar[int]
    ACCELERATOR_USED_FIELD_NUMBER: _ClassVar[int]
    CAMERAS_FIELD_NUMBER: _ClassVar[int]
    CAPACITY_FIELD_NUMBER: _ClassVar[int]
    MEMORY_BYTES_FIELD_NUMBER: _ClassVar[int]
    ENGINES_FIELD_NUMBER: _ClassVar[int]
    SPOOL_FIELD_NUMBER: _ClassVar[int]
    camera_id: str
    epoch: int
    worker_status: str
    failure_reason: str
    started_at: _timestamp_pb2.Timestamp
    fps: float
    frames_decoded: int
    frames_sampled: int
    frames_dropped: int
    faces_detected: int
    embeddings: int
    sightings_acknowledged: int
    sightings_pending: int
    sightings_dropped: int
    stages: _containers.RepeatedCompositeFieldContainer[StageTiming]
    accelerator_asked: str
    accelerator_used: str
    cameras: _containers.RepeatedCompositeFieldContainer[CameraWork]
    capacity: int
    memory_bytes: int
    engines: int
    spool: SpoolState
    def __init__(self, camera_id: _Optional[str] = ..., epoch: _Optional[int] = ..., worker_status: _Optional[str] = ..., failure_reason: _Optional[str] = ..., started_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., fps: _Optional[float] = ..., frames_decoded: _Optional[int] = ..., frames_sampled: _Optional[int] = ..., frames_dropped: _Optional[int] = ..., faces_detected: _Optional[int] = ..., embeddings: _Optional[int] = ..., sightings_acknowledged: _Optional[int] = ..., sightings_pending: _Optional[int] = ..., sightings_dropped: _Optional[int] = ..., stages: _Optional[_Iterable[_Union[StageTiming, _Mapping]]] = ..., accelerator_asked: _Optional[str] = ..., accelerator_used: _Optional[str] = ..., cameras: _Optional[_Iterable[_Union[CameraWork, _Mapping]]] = ..., capacity: _Optional[int] = ..., memory_bytes: _Optional[int] = ..., engines: _Optional[int] = ..., spool: _Optional[_Union[SpoolState, _Mapping]] = ...) -> None: ...

class CameraWork(_message.Message):
    __slots__ = ("camera_id", "epoch", "worker_status", "failure_reason", "started_at", "ending", "fps", "frames_decoded", "frames_sampled", "frames_dropped", "faces_detected", "embeddings", "sightings_acknowledged", "sightings_pending", "sightings_dropped", "stages", "accelerator_asked", "accelerator_used", "models_loaded", "decoder", "decoder_reason", "spool")
    CAMERA_ID_FIELD_NUMBER: _ClassVar[int]
    EPOCH_FIELD_NUMBER: _ClassVar[int]
    WORKER_STATUS_FIELD_NUMBER: _ClassVar[int]
    FAILURE_REASON_FIELD_NUMBER: _ClassVar[int]
    STARTED_AT_FIELD_NUMBER: _ClassVar[int]
    ENDING_FIELD_NUMBER: _ClassVar[int]
    FPS_FIELD_NUMBER: _ClassVar[int]
    FRAMES_DECODED_FIELD_NUMBER: _ClassVar[int]
    FRAMES_SAMPLED_FIELD_NUMBER: _ClassVar[int]
    FRAMES_DROPPED_FIELD_NUMBER: _ClassVar[int]
    FACES_DETECTED_FIELD_NUMBER: _ClassVar[int]
    EMBEDDINGS_FIELD_NUMBER: _ClassVar[int]
    SIGHTINGS_ACKNOWLEDGED_FIELD_NUMBER: _ClassVar[int]
    SIGHTINGS_PENDING_FIELD_NUMBER: _ClassVar[int]
    SIGHTINGS_DROPPED_FIELD_NUMBER: _ClassVar[int]
    STAGES_FIELD_NUMBER: _ClassVar[int]
    ACCELERATOR_ASKED_FIELD_NUMBER: _ClassVar[int]
    ACCELERATOR_USED_FIELD_NUMBER: _ClassVar[int]
    MODELS_LOADED_FIELD_NUMBER: _ClassVar[int]
    DECODER_FIELD_NUMBER: _ClassVar[int]
    DECODER_REASON_FIELD_NUMBER: _ClassVar[int]
    SPOOL_FIELD_NUMBER: _ClassVar[int]
    camera_id: str
    epoch: int
    worker_status: str
    failure_reason: str
    started_at: _timestamp_pb2.Timestamp
    ending: str
    fps: float
    frames_decoded: int
    frames_sampled: int
    frames_dropped: int
    faces_detected: int
    embeddings: int
    sightings_acknowledged: int
    sightings_pending: int
    sightings_dropped: int
    stages: _containers.RepeatedCompositeFieldContainer[StageTiming]
    accelerator_asked: str
    accelerator_used: str
    models_loaded: bool
    decoder: str
    decoder_reason: str
    spool: SpoolState
    def __init__(self, camera_id: _Optional[str] = ..., epoch: _Optional[int] = ..., worker_status: _Optional[str] = ..., failure_reason: _Optional[str] = ..., started_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., ending: _Optional[str] = ..., fps: _Optional[float] = ..., frames_decoded: _Optional[int] = ..., frames_sampled: _Optional[int] = ..., frames_dropped: _Optional[int] = ..., faces_detected: _Optional[int] = ..., embeddings: _Optional[int] = ..., sightings_acknowledged: _Optional[int] = ..., sightings_pending: _Optional[int] = ..., sightings_dropped: _Optional[int] = ..., stages: _Optional[_Iterable[_Union[StageTiming, _Mapping]]] = ..., accelerator_asked: _Optional[str] = ..., accelerator_used: _Optional[str] = ..., models_loaded: _Optional[bool] = ..., decoder: _Optional[str] = ..., decoder_reason: _Optional[str] = ..., spool: _Optional[_Union[SpoolState, _Mapping]] = ...) -> None: ...

class SpoolState(_message.Message):
    __slots__ = ("telemetry_pending", "telemetry_acknowledged", "telemetry_dropped", "telemetry_rejected", "bytes", "trouble", "refusals", "set_aside", "damaged")
    TELEMETRY_PENDING_FIELD_NUMBER: _ClassVar[int]
    TELEMETRY_ACKNOWLEDGED_FIELD_NUMBER: _ClassVar[int]
    TELEMETRY_DROPPED_FIELD_NUMBER: _ClassVar[int]
    TELEMETRY_REJECTED_FIELD_NUMBER: _ClassVar[int]
    BYTES_FIELD_NUMBER: _ClassVar[int]
    TROUBLE_FIELD_NUMBER: _ClassVar[int]
    REFUSALS_FIELD_NUMBER: _ClassVar[int]
    SET_ASIDE_FIELD_NUMBER: _ClassVar[int]
    DAMAGED_FIELD_NUMBER: _ClassVar[int]
    telemetry_pending: int
    telemetry_acknowledged: int
    telemetry_dropped: int
    telemetry_rejected: int
    bytes: int
    trouble: str
    refusals: int
    set_aside: int
    damaged: int
    def __init__(self, telemetry_pending: _Optional[int] = ..., telemetry_acknowledged: _Optional[int] = ..., telemetry_dropped: _Optional[int] = ..., telemetry_rejected: _Optional[int] = ..., bytes: _Optional[int] = ..., trouble: _Optional[str] = ..., refusals: _Optional[int] = ..., set_aside: _Optional[int] = ..., damaged: _Optional[int] = ...) -> None: ...

class StageTiming(_message.Message):
    __slots__ = ("stage", "count", "seconds")
    STAGE_FIELD_NUMBER: _ClassVar[int]
    COUNT_FIELD_NUMBER: _ClassVar[int]
    SECONDS_FIELD_NUMBER: _ClassVar[int]
    stage: str
    count: int
    seconds: float
    def __init__(self, stage: _Optional[str] = ..., count: _Optional[int] = ..., seconds: _Optional[float] = ...) -> None: ...

class TakeCameraRequest(_message.Message):
    __slots__ = ("camera_id", "token")
    CAMERA_ID_FIELD_NUMBER: _ClassVar[int]
    TOKEN_FIELD_NUMBER: _ClassVar[int]
    camera_id: str
    token: str
    def __init__(self, camera_id: _Optional[str] = ..., token: _Optional[str] = ...) -> None: ...

class TakeCameraResponse(_message.Message):
    __slots__ = ("epoch",)
    EPOCH_FIELD_NUMBER: _ClassVar[int]
    epoch: int
    def __init__(self, epoch: _Optional[int] = ...) -> None: ...

class DropCameraRequest(_message.Message):
    __slots__ = ("camera_id", "reason")
    CAMERA_ID_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    camera_id: str
    reason: str
    def __init__(self, camera_id: _Optional[str] = ..., reason: _Optional[str] = ...) -> None: ...

class DropCameraResponse(_message.Message):
    __slots__ = ("held",)
    HELD_FIELD_NUMBER: _ClassVar[int]
    held: bool
    def __init__(self, held: _Optional[bool] = ...) -> None: ...

class GetSnapshotRequest(_message.Message):
    __slots__ = ("camera_id", "longest_side", "annotated")
    CAMERA_ID_FIELD_NUMBER: _ClassVar[int]
    LONGEST_SIDE_FIELD_NUMBER: _ClassVar[int]
    ANNOTATED_FIELD_NUMBER: _ClassVar[int]
    camera_id: str
    longest_side: int
    annotated: bool
    def __init__(self, camera_id: _Optional[str] = ..., longest_side: _Optional[int] = ..., annotated: _Optional[bool] = ...) -> None: ...

class GetSnapshotResponse(_message.Message):
    __slots__ = ("picture",)
    PICTURE_FIELD_NUMBER: _ClassVar[int]
    picture: Picture
    def __init__(self, picture: _Optional[_Union[Picture, _Mapping]] = ...) -> None: ...

class WatchFramesRequest(_message.Message):
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

class WatchFramesResponse(_message.Message):
    __slots__ = ("picture",)
    PICTURE_FIELD_NUMBER: _ClassVar[int]
    picture: Picture
    def __init__(self, picture: _Optional[_Union[Picture, _Mapping]] = ...) -> None: ...

class Picture(_message.Message):
    __slots__ = ("jpeg", "captured_at", "width", "height")
    JPEG_FIELD_NUMBER: _ClassVar[int]
    CAPTURED_AT_FIELD_NUMBER: _ClassVar[int]
    WIDTH_FIELD_NUMBER: _ClassVar[int]
    HEIGHT_FIELD_NUMBER: _ClassVar[int]
    jpeg: bytes
    captured_at: _timestamp_pb2.Timestamp
    width: int
    height: int
    def __init__(self, jpeg: _Optional[bytes] = ..., captured_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., width: _Optional[int] = ..., height: _Optional[int] = ...) -> None: ...

class DrainRequest(_message.Message):
    __slots__ = ("reason",)
    REASON_FIELD_NUMBER: _ClassVar[int]
    reason: str
    def __init__(self, reason: _Optional[str] = ...) -> None: ...

class DrainResponse(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...
