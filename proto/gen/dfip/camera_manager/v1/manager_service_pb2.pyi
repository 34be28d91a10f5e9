import datetime

from buf.validate import validate_pb2 as _validate_pb2
from dfip.options.v1 import policy_pb2 as _policy_pb2
from google.api import annotations_pb2 as _annotations_pb2
from google.protobuf import timestamp_pb2 as _timestamp_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class GetManagerStatusRequest(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class GetManagerStatusResponse(_message.Message):
    __slots__ = ("success", "data")
    SUCCESS_FIELD_NUMBER: _ClassVar[int]
    DATA_FIELD_NUMBER: _ClassVar[int]
    success: bool
    data: ManagerStatus
    def __init__(self, success: _Optional[bool] = ..., data: _Optional[_Union[ManagerStatus, _Mapping]] = ...) -> None: ...

class ManagerStatus(_message.Message):
    __slots__ = ("is_running", "worker_count", "workers")
    IS_RUNNING_FIELD_NUMBER: _ClassVar[int]
    WORKER_COUNT_FIELD_NUMBER: _ClassVar[int]
    WORKERS_FIELD_NUMBER: _ClassVar[int]
    is_running: bool
    worker_count: int
    workers: _containers.RepeatedCompositeFieldContainer[Worker]
    def __init__(self, is_running: _Optional[bool] = ..., worker_count: _Optional[int] = ..., workers: _Optional[_Iterable[_Union[Worker, _Mapping]]] = ...) -> None: ...

class Worker(_message.Message):
    __slots__ = ("camera_id", "podName", "namespace", "image", "createdAt")
    CAMERA_ID_FIELD_NUMBER: _ClassVar[int]
    PODNAME_FIELD_NUMBER: _ClassVar[int]
    NAMESPACE_FIELD_NUMBER: _ClassVar[int]
    IMAGE_FIELD_NUMBER: _ClassVar[int]
    CREATEDAT_FIELD_NUMBER: _ClassVar[int]
    camera_id: str
    podName: str
    namespace: str
    image: str
    createdAt: _timestamp_pb2.Timestamp
    def __init__(self, camera_id: _Optional[str] = ..., podName: _Optional[str] = ..., namespace: _Optional[str] = ..., image: _Optional[str] = ..., createdAt: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ...) -> None: ...

class RestartWorkerRequest(_message.Message):
    __slots__ = ("camera_id",)
    CAMERA_ID_FIELD_NUMBER: _ClassVar[int]
    camera_id: str
    def __init__(self, camera_id: _Optional[str] = ...) -> None: ...

class RestartWorkerResponse(_message.Message):
    __slots__ = ("success", "message")
    SUCCESS_FIELD_NUMBER: _ClassVar[int]
    MESSAGE_FIELD_NUMBER: _ClassVar[int]
    success: bool
    message: str
    def __init__(self, success: _Optional[bool] = ..., message: _Optional[str] = ...) -> None: ...
