"""Puts what a call to the site fails with into the parts of a failure and an exit code.

A service's own status carries the sentence, the reason with its facts, the fields that are wrong
and the request's id; a status without details comes from the way there.
"""

from collections.abc import Iterator
from contextlib import contextmanager

import grpc
from google.rpc import error_details_pb2, status_pb2
from grpc_status import rpc_status

from cli.failures import CommandFailed, ExitCode

_CODES = {
    grpc.StatusCode.NOT_FOUND: ExitCode.NOT_FOUND,
    grpc.StatusCode.PERMISSION_DENIED: ExitCode.NOT_ALLOWED,
    grpc.StatusCode.UNAUTHENTICATED: ExitCode.NOT_ALLOWED,
    grpc.StatusCode.ALREADY_EXISTS: ExitCode.CONFLICT,
    grpc.StatusCode.ABORTED: ExitCode.CONFLICT,
    grpc.StatusCode.UNAVAILABLE: ExitCode.UNAVAILABLE,
    grpc.StatusCode.RESOURCE_EXHAUSTED: ExitCode.UNAVAILABLE,
    grpc.StatusCode.DEADLINE_EXCEEDED: ExitCode.TIMED_OUT,
}


@contextmanager
def as_command_failures(server: str) -> Iterator[None]:
    """Turn the failure of any call in the block into a `CommandFailed`."""
    try:
        yield
    except grpc.aio.AioRpcError as error:
        raise command_failure(error, server) from None


def command_failure(error: grpc.aio.AioRpcError, server: str) -> CommandFailed:
    """Return what to tell about a failed call.

    A status with details comes from one of the site's services and carries its own sentence; one
    without comes from the way there.
    """
    code = _CODES.get(error.code(), ExitCode.FAILED)
    status = _rich_status(error)
    if status is None:
        sentence = _way_failure(error, server)
        return CommandFailed(sentence, code=code, why=_way_reason(error))
    reasons: list[str] = []
    info, violations = error_details_pb2.ErrorInfo(), error_details_pb2.BadRequest()
    request = error_details_pb2.RequestInfo()
    for detail in status.details:
        if detail.Unpack(violations):
            reasons += [
                f"{v.field}: {v.description}" if v.field else v.description
                for v in violations.field_violations
            ]
        elif detail.Unpack(info):
            facts = ", ".join(f"{key} {value}" for key, value in sorted(info.metadata.items()))
            reasons.insert(0, f"{info.reason} ({facts})" if facts else info.reason)
        else:
            detail.Unpack(request)
    return CommandFailed(
        status.message,
        code=code,
        why="\n".join(reasons),
        request_id=request.request_id or _request_id_header(error),
    )


def _request_id_header(error: grpc.aio.AioRpcError) -> str:
    """Return the id that the edge gave the request, where the service named none."""
    for metadata in (error.initial_metadata(), error.trailing_metadata()):
        for key, value in metadata or ():
            if key == "x-request-id" and isinstance(value, str):
                return value
    return ""


def _way_reason(error: grpc.aio.AioRpcError) -> str:
    """Return what the transport says; never an exception's text, which gRPC does not send on."""
    return f"{error.code().name}: {(error.details() or 'no details')[:200]}"


def _rich_status(error: grpc.aio.AioRpcError) -> status_pb2.Status | None:
    try:
        return rpc_status.from_call(error)
    except ValueError:  # the details do not belong to this status
        return None


def _way_failure(error: grpc.aio.AioRpcError, server: str) -> str:
    match error.code():
        case grpc.StatusCode.UNAVAILABLE:
            return (
                f"DFIP does not answer at {server}; start it with `dfip up`, "
                "or name another address with --server."
            )
        case grpc.StatusCode.DEADLINE_EXCEEDED:
            return f"DFIP at {server} took too long to answer; try again, or look at `dfip status`."
        case grpc.StatusCode.UNIMPLEMENTED:
            return f"{server} does not know this call; is it DFIP, and of this version?"
        case grpc.StatusCode.UNAUTHENTICATED:
            told = error.details() or "Send a token."
            return f"{told} Name its file with --token-file, or set DFIP_TOKEN."
        case code:
            return f"{server} refused the call ({code.name.lower()}): {error.details()}"
