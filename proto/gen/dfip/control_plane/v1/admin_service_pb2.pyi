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

class RotateKeysRequest(_message.Message):
    __slots__ = ("which", "revoke")
    WHICH_FIELD_NUMBER: _ClassVar[int]
    REVOKE_FIELD_NUMBER: _ClassVar[int]
    which: str
    revoke: bool
    def __init__(self, which: _Optional[str] = ..., revoke: _Optional[bool] = ...) -> None: ...

class RotateKeysResponse(_message.Message):
    __slots__ = ("success", "message", "data")
    SUCCESS_FIELD_NUMBER: _ClassVar[int]
    MESSAGE_FIELD_NUMBER: _ClassVar[int]
    DATA_FIELD_NUMBER: _ClassVar[int]
    success: bool
    message: str
    data: KeyStatus
    def __init__(self, success: _Optional[bool] = ..., message: _Optional[str] = ..., data: _Optional[_Union[KeyStatus, _Mapping]] = ...) -> None: ...

class GetKeyStatusRequest(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class GetKeyStatusResponse(_message.Message):
    __slots__ = ("success", "message", "data")
    SUCCESS_FIELD_NUMBER: _ClassVar[int]
    MESSAGE_FIELD_NUMBER: _ClassVar[int]
    DATA_FIELD_NUMBER: _ClassVar[int]
    success: bool
    message: str
    data: KeyStatus
    def __init__(self, success: _Optional[bool] = ..., message: _Optional[str] = ..., data: _Optional[_Union[KeyStatus, _Mapping]] = ...) -> None: ...

class KeyStatus(_message.Message):
    __slots__ = ("master_key_id", "data_keys", "signing_keys", "sealed_values", "older_values")
    MASTER_KEY_ID_FIELD_NUMBER: _ClassVar[int]
    DATA_KEYS_FIELD_NUMBER: _ClassVar[int]
    SIGNING_KEYS_FIELD_NUMBER: _ClassVar[int]
    SEALED_VALUES_FIELD_NUMBER: _ClassVar[int]
    OLDER_VALUES_FIELD_NUMBER: _ClassVar[int]
    master_key_id: str
    data_keys: _containers.RepeatedCompositeFieldContainer[DataKey]
    signing_keys: _containers.RepeatedCompositeFieldContainer[SigningKey]
    sealed_values: int
    older_values: int
    def __init__(self, master_key_id: _Optional[str] = ..., data_keys: _Optional[_Iterable[_Union[DataKey, _Mapping]]] = ..., signing_keys: _Optional[_Iterable[_Union[SigningKey, _Mapping]]] = ..., sealed_values: _Optional[int] = ..., older_values: _Optional[int] = ...) -> None: ...

class DataKey(_message.Message):
    __slots__ = ("id", "state", "made_at", "values")
    ID_FIELD_NUMBER: _ClassVar[int]
    STATE_FIELD_NUMBER: _ClassVar[int]
    MADE_AT_FIELD_NUMBER: _ClassVar[int]
    VALUES_FIELD_NUMBER: _ClassVar[int]
    id: int
    state: str
    made_at: _timestamp_pb2.Timestamp
    values: int
    def __init__(self, id: _Optional[int] = ..., state: _Optional[str] = ..., made_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., values: _Optional[int] = ...) -> None: ...

class SigningKey(_message.Message):
    __slots__ = ("id", "state", "made_at", "ends_at")
    ID_FIELD_NUMBER: _ClassVar[int]
    STATE_FIELD_NUMBER: _ClassVar[int]
    MADE_AT_FIELD_NUMBER: _ClassVar[int]
    ENDS_AT_FIELD_NUMBER: _ClassVar[int]
    id: str
    state: str
    made_at: _timestamp_pb2.Timestamp
    ends_at: _timestamp_pb2.Timestamp
    def __init__(self, id: _Optional[str] = ..., state: _Optional[str] = ..., made_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., ends_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ...) -> None: ...

class GetRetentionPolicyRequest(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class GetRetentionPolicyResponse(_message.Message):
    __slots__ = ("success", "message", "data")
    SUCCESS_FIELD_NUMBER: _ClassVar[int]
    MESSAGE_FIELD_NUMBER: _ClassVar[int]
    DATA_FIELD_NUMBER: _ClassVar[int]
    success: bool
    message: str
    data: RetentionPolicy
    def __init__(self, success: _Optional[bool] = ..., message: _Optional[str] = ..., data: _Optional[_Union[RetentionPolicy, _Mapping]] = ...) -> None: ...

class SetRetentionPolicyRequest(_message.Message):
    __slots__ = ("event_days", "sighting_days", "telemetry_days", "audit_days", "run_now", "alert_days", "webhook_days", "etag")
    EVENT_DAYS_FIELD_NUMBER: _ClassVar[int]
    SIGHTING_DAYS_FIELD_NUMBER: _ClassVar[int]
    TELEMETRY_DAYS_FIELD_NUMBER: _ClassVar[int]
    AUDIT_DAYS_FIELD_NUMBER: _ClassVar[int]
    RUN_NOW_FIELD_NUMBER: _ClassVar[int]
    ALERT_DAYS_FIELD_NUMBER: _ClassVar[int]
    WEBHOOK_DAYS_FIELD_NUMBER: _ClassVar[int]
    ETAG_FIELD_NUMBER: _ClassVar[int]
    event_days: float
    sighting_days: float
    telemetry_days: float
    audit_days: float
    run_now: bool
    alert_days: float
    webhook_days: float
    etag: str
    def __init__(self, event_days: _Optional[float] = ..., sighting_days: _Optional[float] = ..., telemetry_days: _Optional[float] = ..., audit_days: _Optional[float] = ..., run_now: _Optional[bool] = ..., alert_days: _Optional[float] = ..., webhook_days: _Optional[float] = ..., etag: _Optional[str] = ...) -> None: ...

class SetRetentionPolicyResponse(_message.Message):
    __slots__ = ("success", "message", "data")
    SUCCESS_FIELD_NUMBER: _ClassVar[int]
    MESSAGE_FIELD_NUMBER: _ClassVar[int]
    DATA_FIELD_NUMBER: _ClassVar[int]
    success: bool
    message: str
    data: RetentionPolicy
    def __init__(self, success: _Optional[bool] = ..., message: _Optional[str] = ..., data: _Optional[_Union[RetentionPolicy, _Mapping]] = ...) -> None: ...

class RetentionPolicy(_message.Message):
    __slots__ = ("event_days", "sighting_days", "telemetry_days", "audit_days", "etag", "changed_at", "alert_days", "webhook_days")
    EVENT_DAYS_FIELD_NUMBER: _ClassVar[int]
    SIGHTING_DAYS_FIELD_NUMBER: _ClassVar[int]
    TELEMETRY_DAYS_FIELD_NUMBER: _ClassVar[int]
    AUDIT_DAYS_FIELD_NUMBER: _ClassVar[int]
    ETAG_FIELD_NUMBER: _ClassVar[int]
    CHANGED_AT_FIELD_NUMBER: _ClassVar[int]
    ALERT_DAYS_FIELD_NUMBER: _ClassVar[int]
    WEBHOOK_DAYS_FIELD_NUMBER: _ClassVar[int]
    event_days: float
    sighting_days: float
    telemetry_days: float
    audit_days: float
    etag: str
    changed_at: _timestamp_pb2.Timestamp
    alert_days: float
    webhook_days: float
    def __init__(self, event_days: _Optional[float] = ..., sighting_days: _Optional[float] = ..., telemetry_days: _Optional[float] = ..., audit_days: _Optional[float] = ..., etag: _Optional[str] = ..., changed_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., alert_days: _Optional[float] = ..., webhook_days: _Optional[float] = ...) -> None: ...

class CreateBackupRequest(_message.Message):
    __slots__ = ("with_keys",)
    WITH_KEYS_FIELD_NUMBER: _ClassVar[int]
    with_keys: bool
    def __init__(self, with_keys: _Optional[bool] = ...) -> None: ...

class CreateBackupResponse(_message.Message):
    __slots__ = ("success", "message", "data")
    SUCCESS_FIELD_NUMBER: _ClassVar[int]
    MESSAGE_FIELD_NUMBER: _ClassVar[int]
    DATA_FIELD_NUMBER: _ClassVar[int]
    success: bool
    message: str
    data: Backup
    def __init__(self, success: _Optional[bool] = ..., message: _Optional[str] = ..., data: _Optional[_Union[Backup, _Mapping]] = ...) -> None: ...

class ListBackupsRequest(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class ListBackupsResponse(_message.Message):
    __slots__ = ("success", "message", "data")
    SUCCESS_FIELD_NUMBER: _ClassVar[int]
    MESSAGE_FIELD_NUMBER: _ClassVar[int]
    DATA_FIELD_NUMBER: _ClassVar[int]
    success: bool
    message: str
    data: _containers.RepeatedCompositeFieldContainer[Backup]
    def __init__(self, success: _Optional[bool] = ..., message: _Optional[str] = ..., data: _Optional[_Iterable[_Union[Backup, _Mapping]]] = ...) -> None: ...

class Backup(_message.Message):
    __slots__ = ("id", "state", "made_at", "size_bytes", "files", "with_keys", "path", "reason")
    ID_FIELD_NUMBER: _ClassVar[int]
    STATE_FIELD_NUMBER: _ClassVar[int]
    MADE_AT_FIELD_NUMBER: _ClassVar[int]
    SIZE_BYTES_FIELD_NUMBER: _ClassVar[int]
    FILES_FIELD_NUMBER: _ClassVar[int]
    WITH_KEYS_FIELD_NUMBER: _ClassVar[int]
    PATH_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    id: str
    state: str
    made_at: _timestamp_pb2.Timestamp
    size_bytes: int
    files: int
    with_keys: bool
    path: str
    reason: str
    def __init__(self, id: _Optional[str] = ..., state: _Optional[str] = ..., made_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., size_bytes: _Optional[int] = ..., files: _Optional[int] = ..., with_keys: _Optional[bool] = ..., path: _Optional[str] = ..., reason: _Optional[str] = ...) -> None: ...
