"""Turns what a handler raises into a status that a caller may see.

A ``ServiceError`` keeps its code, reason and sentence. Everything else is a defect of ours: it is
logged with its traceback, and the caller is told no more than the request id.
"""

from typing import Any

import grpc
from google.protobuf import any_pb2
from google.rpc import code_pb2, error_details_pb2, status_pb2
from grpc_status import rpc_status

from service_runtime.errors import ServiceError
from service_runtime.structured_logging import get_logger

_log = get_logger(__name__)


def status_of(error: Exception, *, room: str, request_id: str) -> status_pb2.Status:
    """Return the rich status for whatever a handler raised."""
    details: list[Any] = []
    if isinstance(error, ServiceError):
        number, sentence = error.code.value[0], error.sentence
        details.append(
            error_details_pb2.ErrorInfo(
                reason=error.reason, domain=f"dfip.{room}", metadata=error.metadata
            )
        )
        if error.violations:
            details.append(_bad_request(error))
    else:
        _log.error("rpc.crashed", exc_info=error)
        number = code_pb2.INTERNAL
        sentence = "Something went wrong on our side; the log has it under the request id."
        details.append(error_details_pb2.ErrorInfo(reason="INTERNAL", domain=f"dfip.{room}"))
    details.append(error_details_pb2.RequestInfo(request_id=request_id))
    return status_pb2.Status(code=number, message=sentence, details=[_pack(d) for d in details])


async def abort(context: "grpc.aio.ServicerContext[Any, Any]", status: status_pb2.Status) -> None:
    """End the call with the status."""
    call_status = rpc_status.to_status(status)
    await context.abort(call_status.code, call_status.details, call_status.trailing_metadata)


def _bad_request(error: ServiceError) -> error_details_pb2.BadRequest:
    return error_details_pb2.BadRequest(
        field_violations=[
            error_details_pb2.BadRequest.FieldViolation(field=v.field, description=v.description)
            for v in error.violations
        ]
    )


def _pack(message: Any) -> any_pb2.Any:  # noqa: ANN401 any detail message
    packed = any_pb2.Any()
    packed.Pack(message)
    return packed
