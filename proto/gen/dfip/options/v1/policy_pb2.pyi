from google.protobuf import descriptor_pb2 as _descriptor_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class Role(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    ROLE_UNSPECIFIED: _ClassVar[Role]
    ROLE_VIEWER: _ClassVar[Role]
    ROLE_OPERATOR: _ClassVar[Role]
    ROLE_ADMIN: _ClassVar[Role]
    ROLE_CONTROL_PLANE: _ClassVar[Role]
    ROLE_MANAGER: _ClassVar[Role]
    ROLE_WORKER: _ClassVar[Role]
    ROLE_INDEX: _ClassVar[Role]

class Audit(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    AUDIT_UNSPECIFIED: _ClassVar[Audit]
    AUDIT_NONE: _ClassVar[Audit]
    AUDIT_CHANGE: _ClassVar[Audit]
    AUDIT_LOOK: _ClassVar[Audit]
ROLE_UNSPECIFIED: Role
ROLE_VIEWER: Role
ROLE_OPERATOR: Role
ROLE_ADMIN: Role
ROLE_CONTROL_PLANE: Role
ROLE_MANAGER: Role
ROLE_WORKER: Role
ROLE_INDEX: Role
AUDIT_UNSPECIFIED: Audit
AUDIT_NONE: Audit
AUDIT_CHANGE: Audit
AUDIT_LOOK: Audit
POLICY_FIELD_NUMBER: _ClassVar[int]
policy: _descriptor.FieldDescriptor

class MethodPolicy(_message.Message):
    __slots__ = ("roles", "grpc_only", "audit", "camera_scoped", "ticket", "idle_s")
    ROLES_FIELD_NUMBER: _ClassVar[int]
    GRPC_ONLY_FIELD_NUMBER: _ClassVar[int]
    AUDIT_FIELD_NUMBER: _ClassVar[int]
    CAMERA_SCOPED_FIELD_NUMBER: _ClassVar[int]
    TICKET_FIELD_NUMBER: _ClassVar[int]
    IDLE_S_FIELD_NUMBER: _ClassVar[int]
    roles: _containers.RepeatedScalarFieldContainer[Role]
    grpc_only: bool
    audit: Audit
    camera_scoped: bool
    ticket: TicketUse
    idle_s: int
    def __init__(self, roles: _Optional[_Iterable[_Union[Role, str]]] = ..., grpc_only: _Optional[bool] = ..., audit: _Optional[_Union[Audit, str]] = ..., camera_scoped: _Optional[bool] = ..., ticket: _Optional[_Union[TicketUse, _Mapping]] = ..., idle_s: _Optional[int] = ...) -> None: ...

class TicketUse(_message.Message):
    __slots__ = ("purpose", "object")
    PURPOSE_FIELD_NUMBER: _ClassVar[int]
    OBJECT_FIELD_NUMBER: _ClassVar[int]
    purpose: str
    object: str
    def __init__(self, purpose: _Optional[str] = ..., object: _Optional[str] = ...) -> None: ...
