"""The one hierarchy of errors that a caller may see.

Domain code raises these; ``interceptors.errors`` turns them into a gRPC status with an ErrorInfo,
and the edge turns that into JSON. Anything else that escapes a handler is a defect: the caller sees
INTERNAL and a request id, never the text of an exception.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import grpc


@dataclass(frozen=True, slots=True, kw_only=True)
class FieldViolation:
    """One field of a request that breaks a rule."""

    field: str
    description: str


class ServiceError(Exception):
    """A refusal with a reason for programs and a sentence for people.

    Args:
        reason: Upper-case constant, such as ``CAMERA_NOT_FOUND``.
        sentence: What is wrong and what to do about it. Never holds a credential.
        violations: Fields that are wrong, where it is about fields.
        **metadata: Facts for programs, such as ids. Never a credential.
    """

    code: ClassVar[grpc.StatusCode] = grpc.StatusCode.INTERNAL

    def __init__(
        self,
        reason: str,
        sentence: str,
        *,
        violations: Sequence[FieldViolation] = (),
        **metadata: str,
    ) -> None:
        super().__init__(sentence)
        self.reason = reason
        self.sentence = sentence
        self.violations = tuple(violations)
        self.metadata = metadata


class InvalidArgument(ServiceError):
    """The request is wrong whatever the state of the system."""

    code = grpc.StatusCode.INVALID_ARGUMENT


class NotFound(ServiceError):
    """The object does not exist, or not for this caller."""

    code = grpc.StatusCode.NOT_FOUND


class AlreadyExists(ServiceError):
    """The object is there already."""

    code = grpc.StatusCode.ALREADY_EXISTS


class FailedPrecondition(ServiceError):
    """The state of the system does not allow it now."""

    code = grpc.StatusCode.FAILED_PRECONDITION


class Superseded(FailedPrecondition):
    """What the caller was entitled to has passed to somebody else; an audit row tells of it."""


class Aborted(ServiceError):
    """Somebody else changed the object meanwhile."""

    code = grpc.StatusCode.ABORTED


class OutOfRange(ServiceError):
    """The request points past what is kept."""

    code = grpc.StatusCode.OUT_OF_RANGE


class PermissionDenied(ServiceError):
    """The caller is known and may not."""

    code = grpc.StatusCode.PERMISSION_DENIED


class Unauthenticated(ServiceError):
    """The caller is not known."""

    code = grpc.StatusCode.UNAUTHENTICATED


class ResourceExhausted(ServiceError):
    """A bound was reached."""

    code = grpc.StatusCode.RESOURCE_EXHAUSTED


class Unavailable(ServiceError):
    """Something that is needed is away; trying again may help."""

    code = grpc.StatusCode.UNAVAILABLE


class DeadlineExceeded(ServiceError):
    """It took longer than the caller allowed."""

    code = grpc.StatusCode.DEADLINE_EXCEEDED
