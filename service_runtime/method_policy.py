"""Who may call which RPC and what trace a call leaves, read from the contracts.

Deny by default: an RPC that does not say both stops the service from starting.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from google.protobuf.descriptor import FieldDescriptor, MethodDescriptor, ServiceDescriptor

from dfip.options.v1 import policy_pb2

# people include the roles before theirs; machines stand alone
_ADMITS: Mapping[int, frozenset[int]] = {
    policy_pb2.ROLE_VIEWER: frozenset(
        {policy_pb2.ROLE_VIEWER, policy_pb2.ROLE_OPERATOR, policy_pb2.ROLE_ADMIN}
    ),
    policy_pb2.ROLE_OPERATOR: frozenset({policy_pb2.ROLE_OPERATOR, policy_pb2.ROLE_ADMIN}),
}


class MethodPolicyMissing(Exception):
    """A contract that does not say who may call one of its RPCs, or what trace a call leaves."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TicketRule:
    """Which tickets let in to an RPC: of this purpose, for what this field of the request names."""

    purpose: str
    object: str


@dataclass(frozen=True, slots=True, kw_only=True)
class MethodRule:
    """What the contract says of one RPC; ``path`` is ``/package.Service/Method``."""

    path: str
    descriptor: MethodDescriptor
    admitted: frozenset[int]
    audit: policy_pb2.Audit
    camera_scoped: bool
    ticket: TicketRule | None = None


def read_rules(services: Iterable[ServiceDescriptor]) -> dict[str, MethodRule]:
    """Return the rule of every RPC, by path.

    Raises:
        MethodPolicyMissing: An RPC names no role, or not what trace a call leaves.
    """
    rules = [_read(method) for service in services for method in _methods(service)]
    return {rule.path: rule for rule in rules}


def method_path(method: MethodDescriptor) -> str:
    """Return the path of an RPC on the wire."""
    return f"/{method.containing_service.full_name}/{method.name}"


def _methods(service: ServiceDescriptor) -> Iterable[MethodDescriptor]:
    methods: Any = service.methods
    return list(methods)


def _read(method: MethodDescriptor) -> MethodRule:
    options: Any = method.GetOptions()  # the generated types do not know extensions
    policy = options.Extensions[policy_pb2.policy]
    roles: list[int] = list(policy.roles)
    if not roles or policy_pb2.ROLE_UNSPECIFIED in roles:
        raise MethodPolicyMissing(
            f"{method.full_name} does not say who may call it; give it a dfip.options.v1.policy"
        )
    if policy.audit not in {policy_pb2.AUDIT_NONE, policy_pb2.AUDIT_CHANGE, policy_pb2.AUDIT_LOOK}:
        raise MethodPolicyMissing(
            f"{method.full_name} does not say what trace a call leaves; give its"
            " dfip.options.v1.policy an `audit`: AUDIT_NONE, AUDIT_CHANGE or AUDIT_LOOK"
        )
    if policy.audit != policy_pb2.AUDIT_NONE and method.client_streaming:
        raise MethodPolicyMissing(
            f"{method.full_name} takes a stream, whose messages leave no trace of their own;"
            " only an RPC with one request can be AUDIT_CHANGE or AUDIT_LOOK"
        )
    admitted: frozenset[int] = frozenset().union(
        *(_ADMITS.get(role, frozenset({role})) for role in roles)
    )
    return MethodRule(
        path=method_path(method),
        descriptor=method,
        admitted=admitted,
        audit=policy.audit,
        camera_scoped=policy.camera_scoped,
        ticket=_ticket(method, policy) if policy.HasField("ticket") else None,
    )


def _ticket(method: MethodDescriptor, policy: policy_pb2.MethodPolicy) -> TicketRule:
    object_field = method.input_type.fields_by_name.get(policy.ticket.object)
    is_text = object_field is not None and object_field.type == FieldDescriptor.TYPE_STRING
    if not policy.ticket.purpose or not is_text:
        raise MethodPolicyMissing(
            f"{method.full_name} takes tickets, but does not say what for, or of which object"
        )
    if method.client_streaming or not policy.camera_scoped:
        raise MethodPolicyMissing(
            f"{method.full_name} cannot take tickets: it must have one request, and keep to the"
            " cameras of the caller"
        )
    return TicketRule(purpose=policy.ticket.purpose, object=policy.ticket.object)
