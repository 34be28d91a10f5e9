"""What a refused call says: its code, the reason for programs, and the facts beside it."""

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass, field

import grpc
import pytest
from google.rpc import error_details_pb2
from grpc_status import rpc_status


@dataclass(slots=True)
class Refusal:
    """Filled in when the block ends."""

    sentence: str = ""
    metadata: dict[str, str] = field(default_factory=dict)
    fields: list[str] = field(default_factory=list)


@contextlib.contextmanager
def refused(code: grpc.StatusCode, reason: str) -> Iterator[Refusal]:
    """Expect the call in the block to be refused with this code and reason."""
    refusal = Refusal()
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        yield refusal
    error = caught.value
    assert isinstance(error, grpc.aio.AioRpcError)
    status = rpc_status.from_call(error)
    info, bad_request = error_details_pb2.ErrorInfo(), error_details_pb2.BadRequest()
    for detail in status.details if status is not None else ():
        if detail.Unpack(info):
            refusal.metadata = dict(info.metadata)
        if detail.Unpack(bad_request):
            refusal.fields = [violation.field for violation in bad_request.field_violations]
    refusal.sentence = error.details() or ""
    assert (error.code(), info.reason) == (code, reason), refusal.sentence
