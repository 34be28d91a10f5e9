"""What a call leaves behind for whoever asks later who did what.

The contracts say for each RPC what it is worth: nothing, a change, or a look. The interceptor chain
puts the call into ``current_change`` while a change is handled, and tells an ``AuditTrail`` of
looks and of refused calls. A service with a database writes rows (the control plane's
``audit`` topic, where a change and its row are one transaction); the others write log lines.

A call is described by names and ids alone: never by what a field holds, which may be a name, a note
or an address with a password.
"""

import re
from collections.abc import Iterator
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any, Final, Protocol, TypeGuard

from google.api import annotations_pb2
from google.protobuf.descriptor import FieldDescriptor, MethodDescriptor
from google.protobuf.message import Message

from service_runtime.authentication import Caller
from service_runtime.errors import PermissionDenied, ServiceError, Superseded, Unauthenticated
from service_runtime.structured_logging import get_logger

CLIENT_ADDRESS_KEY: Final = "x-dfip-client-address"  # the edge alone can say it: see deploy/envoy
_VARIABLE = re.compile(r"\{([a-z0-9_]+)\}")
_WORD = re.compile(r"[A-Z][a-z0-9]*")
_LONGEST_ID = 64
_NO_OBJECTS = frozenset({"request_id", "report_id", "session_id"})
_NO_CHANGES = frozenset({"etag", "request_id"})

_log = get_logger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditObject:
    """What a call is about: ``camera`` and its id."""

    kind: str
    id: str


@dataclass(slots=True, kw_only=True)
class AuditedCall:
    """A call that is let in and leaves a trace.

    Attributes:
        action: ``camera.update`` for ``UpdateCamera``.
        caller: Who made it.
        request_id: Leads to its log lines.
        client_address: Where it came from, as the edge says; empty where it did not pass the edge.
        objects: What the request names, the most particular last.
        fields: Names of the fields that the request fills.
        written: Whether its row is there; set by whoever committed it.
    """

    action: str
    caller: Caller
    request_id: str
    client_address: str
    objects: tuple[AuditObject, ...]
    fields: tuple[str, ...]
    written: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Refusal:
    """A call that was not let in. Equal refusals are counted, not listed."""

    reason: str
    action: str = ""
    subject: str = ""
    role: str = ""
    token_id: str = ""
    client_address: str = ""


class AuditTrail(Protocol):
    """Where calls leave their traces."""

    async def changed(self, call: AuditedCall) -> None:
        """Make sure that a change which succeeded has its trace, before it is answered."""
        ...

    async def looked(self, call: AuditedCall) -> None:
        """Leave the trace of a look; when this raises, nothing is shown."""
        ...

    def refused(self, refusal: Refusal, *, request_id: str) -> None:
        """Note a refused call; must neither wait nor fail, whatever a flood of them does."""
        ...


class LoggedTrail:
    """The trail of a service without a database: a log line for each change and look.

    Refused calls are not told here one by one: a stranger could fill the disk with them. They are
    in the metrics (``dfip_rpc_total``), and those of people in the control plane's audit.
    """

    async def changed(self, call: AuditedCall) -> None:
        """Write a line."""
        self._line("audit.change", call)

    async def looked(self, call: AuditedCall) -> None:
        """Write a line."""
        self._line("audit.look", call)

    def refused(self, refusal: Refusal, *, request_id: str) -> None:
        """Do nothing: refusals are counted by the metrics."""

    def _line(self, event: str, call: AuditedCall) -> None:
        _log.info(
            event,
            action=call.action,
            subject=call.caller.subject,
            token_id=call.caller.token_id,
            objects=[f"{one.kind}:{one.id}" for one in call.objects],
            fields=list(call.fields),
            client_address=call.client_address,
        )


_current: ContextVar[AuditedCall | None] = ContextVar("dfip_audited_change", default=None)


def current_change() -> AuditedCall | None:
    """Return the change that is being handled in this task, if its trace is still to be left."""
    call = _current.get()
    return None if call is None or call.written else call


def set_current_change(call: AuditedCall | None) -> None:
    """Remember the change for the rest of this task; the interceptor chain calls it."""
    _current.set(call)


def action_of(method: str) -> str:
    """Return what an RPC does as an audit row names it: ``camera_status.set``."""
    verb, *noun = (word.lower() for word in _WORD.findall(method))
    return f"{'_'.join(noun)}.{verb}" if noun else verb


def objects_of(method: MethodDescriptor, request: Message) -> tuple[AuditObject, ...]:
    """Return what a request names: by the variables of its path, else by its ``…_id`` fields."""
    names = list(_path_variables(method)) or [
        field.name
        for field in request.DESCRIPTOR.fields
        if field.name.endswith("_id") and field.name not in _NO_OBJECTS
    ]
    found = []
    for name in names:
        field = request.DESCRIPTOR.fields_by_name.get(name)
        if field is None or field.type != FieldDescriptor.TYPE_STRING or field.is_repeated:
            continue
        value: str = getattr(request, name)
        if value:
            kind = name.removesuffix("_id")
            found.append(AuditObject(kind=kind, id=value[:_LONGEST_ID].lower()))
    return tuple(found)


def fields_of(method: MethodDescriptor, request: Message) -> tuple[str, ...]:
    """Return the names of the fields that a request fills, without those that name its object."""
    left_out = _NO_CHANGES | set(_path_variables(method))
    return tuple(field.name for field, _ in request.ListFields() if field.name not in left_out)


def is_refusal(error: Exception) -> TypeGuard[ServiceError]:
    """Tell whether a call failed because of who made it."""
    return isinstance(error, Unauthenticated | PermissionDenied | Superseded)


def _path_variables(method: MethodDescriptor) -> Iterator[str]:
    options: Any = method.GetOptions()  # the generated types do not know extensions
    rule = options.Extensions[annotations_pb2.http]
    template: str = getattr(rule, rule.WhichOneof("pattern") or "get")
    yield from _VARIABLE.findall(template)
