"""Holds requests against the rules in the contracts (protovalidate)."""

import protovalidate
from google.protobuf.message import Message

from service_runtime.errors import FieldViolation, InvalidArgument

_validator = protovalidate.Validator()


def validate_request(request: Message) -> None:
    """Check one message.

    Raises:
        InvalidArgument: With one violation for each rule that is broken.
    """
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
