"""Holds requests against the contracts: that they can be read, and their rules (protovalidate).

grpc tells a caller the text of whatever a deserializer raises, before any interceptor sees it. So
ours raises nothing: it hands on a mark that ``validate_request`` refuses like any broken rule.
"""

from collections.abc import Callable
from typing import Any, Final

import protovalidate
from google.protobuf.message import DecodeError, Message

from service_runtime.errors import FieldViolation, InvalidArgument

_validator = protovalidate.Validator()


_UNREADABLE: Final = object()


def telling_unreadable(deserialize: Callable[[bytes], Any]) -> Callable[[bytes], Any]:
    """Wrap a deserializer so that bytes that are no such message become a mark."""

    def read(data: bytes) -> Any:  # noqa: ANN401 any message, or the mark
        try:
            return deserialize(data)
        except DecodeError:
            return _UNREADABLE

    return read


def validate_request(request: Message | object) -> None:
    """Check one message.

    Raises:
        InvalidArgument: It cannot be read, or one violation for each rule that is broken.
    """
    if not isinstance(request, Message):
        raise InvalidArgument(
            "REQUEST_UNREADABLE",
            "The request cannot be read; text must be UTF-8 and fields of the contract's types.",
        )
    violations = [
        FieldViolation(field=_path(violation), description=violation.proto.message)
        for violation in _validator.collect_violations(request)
    ]
    if violations:
        told = "; ".join(f"{v.field} {v.description}".strip() for v in violations[:3])
        raise InvalidArgument(
            "REQUEST_INVALID", f"The request is not valid: {told}.", violations=violations
        )


def _path(violation: protovalidate.Violation) -> str:
    path = violation.proto.field
    if path is None:
        return ""
    parts: list[str] = []
    for element in path.elements:
        index = element.subscript
        suffix = f"[{index.value}]" if index is not None else ""
        parts.append(f"{element.field_name}{suffix}")
    return ".".join(parts)
