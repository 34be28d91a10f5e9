"""The order of things for every RPC: name it, count it, let it in, check it, run it, note it.

grpc.aio hands an interceptor the handler of a call; we give back one of the same shape that does
all of it around the original. Our handlers of streams are async generators.
"""

import contextlib
import inspect
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

import grpc
from google.protobuf.message import Message

from dfip.options.v1 import policy_pb2
from service_runtime.audit import (
    CLIENT_ADDRESS_KEY,
    AuditedCall,
    AuditTrail,
    Refusal,
    action_of,
    fields_of,
    is_refusal,
    objects_of,
    set_current_change,
)
from service_runtime.authentication import Caller, TokenVerifier, role_name, set_current_caller
from service_runtime.errors import ServiceError
from service_runtime.interceptors.authorization import authenticate, authorize
from service_runtime.interceptors.errors import abort, status_of
from service_runtime.interceptors.patience import Patience
from service_runtime.interceptors.peers import PeerCheck
from service_runtime.interceptors.quota import CallQuota
from service_runtime.interceptors.request_id import REQUEST_ID_KEY, request_id_of
from service_runtime.interceptors.standing import StandingWatch
from service_runtime.interceptors.validation import telling_unreadable, validate_request
from service_runtime.media_tickets import require_object
from service_runtime.method_policy import MethodRule
from service_runtime.metrics import RPC_SECONDS, RPC_STREAMS, RPC_TOTAL
from service_runtime.structured_logging import name_call

_Context: TypeAlias = "grpc.aio.ServicerContext[Any, Any]"


_LONGEST_ADDRESS = 64


@dataclass(slots=True, kw_only=True)
class _Call:
    service: str
    method: str
    path: str
    request_id: str
    metadata: Mapping[str, str]
    caller: Caller | None = None  # once the token was checked

    @property
    def client_address(self) -> str:
        return self.metadata.get(CLIENT_ADDRESS_KEY, "")[:_LONGEST_ADDRESS]


class InterceptorChain(grpc.aio.ServerInterceptor):
    """The one interceptor that our servers install."""

    def __init__(
        self,
        *,
        room: str,
        rules: Mapping[str, MethodRule],
        verifier: TokenVerifier,
        quota: CallQuota,
        trail: AuditTrail,
        standing: StandingWatch,
        patience: Patience,
        peers: PeerCheck | None,
    ) -> None:
        self._room = room
        self._rules = rules
        self._verifier = verifier
        self._quota = quota
        self._trail = trail
        self._standing = standing
        self._patience = patience
        self._peers = peers

    async def intercept_service(
        self,
        continuation: Callable[[grpc.HandlerCallDetails], Awaitable[grpc.RpcMethodHandler]],
        handler_call_details: grpc.HandlerCallDetails,
    ) -> grpc.RpcMethodHandler:
        """Wrap the handler of a call."""
        handler = await continuation(handler_call_details)
        if handler is None:
            return None
        path = handler_call_details.method
        metadata = _single_valued(handler_call_details.invocation_metadata)
        service, _, method = path.lstrip("/").partition("/")
        call = _Call(
            service=service,
            method=method,
            path=path,
            request_id=request_id_of(metadata),
            metadata=metadata,
        )
        return self._wrap(call, handler)

    def _wrap(self, call: _Call, handler: grpc.RpcMethodHandler) -> grpc.RpcMethodHandler:
        codecs = {
            "request_deserializer": telling_unreadable(handler.request_deserializer),
            "response_serializer": handler.response_serializer,
        }
        if handler.unary_unary:
            return grpc.unary_unary_rpc_method_handler(
                self._unary(call, handler.unary_unary), **codecs
            )
        if handler.stream_unary:
            return grpc.stream_unary_rpc_method_handler(
                self._unary(call, handler.stream_unary), **codecs
            )
        if handler.unary_stream:
            return grpc.unary_stream_rpc_method_handler(
                self._stream(call, handler.unary_stream), **codecs
            )
        return grpc.stream_stream_rpc_method_handler(
            self._stream(call, handler.stream_stream), **codecs
        )

    def _unary(self, call: _Call, handler: Callable[..., Awaitable[Any]]) -> Callable[..., Any]:
        async def answer(request: Any, context: _Context) -> Any:  # noqa: ANN401 any message
            started = time.perf_counter()
            async with self._guarded(call, context):
                with self._quota.hold(self._admit(call, context)):
                    sound = self._sound(call, request)
                    audited = self._audited(call, sound)
                    async with self._patience.for_an_answer():
                        response = await handler(sound, context)
                    await self._leave_trace(call, audited)
                RPC_SECONDS.labels(call.service, call.method).observe(time.perf_counter() - started)
                return response

        return answer

    def _stream(
        self, call: _Call, handler: Callable[..., AsyncIterator[Any]]
    ) -> Callable[..., Any]:
        async def answer(request: Any, context: _Context) -> AsyncIterator[Any]:  # noqa: ANN401
            gauge = RPC_STREAMS.labels(call.service, call.method)
            with gauge.track_inprogress():
                async with self._guarded(call, context):
                    caller = self._admit(call, context)
                    with self._quota.hold(caller):
                        sound = self._sound(call, request)
                        audited = self._audited(call, sound)
                        responses: Any = handler(sound, context)
                        if inspect.isawaitable(responses):
                            await responses  # gRPC's own health service writes to the context
                            return
                        async with contextlib.aclosing(responses):
                            async for response in self._while_it_holds(caller, responses):
                                if audited is not None and not audited.written:
                                    await self._leave_trace(call, audited)
                                yield response

        return answer

    async def _while_it_holds(
        self, caller: Caller | None, responses: AsyncIterator[Any]
    ) -> AsyncIterator[Any]:
        """Pass on what a handler yields while the caller's token holds."""
        if caller is None:
            async for response in responses:
                yield response
            return
        with self._standing.hold(caller) as stream:
            async with contextlib.aclosing(stream.guard(responses)) as guarded:
                async for response in guarded:
                    yield response

    def _sound(self, call: _Call, request: Any) -> Any:  # noqa: ANN401 a message or a stream
        """Validate the request, or each message of it as it comes."""
        if isinstance(request, AsyncIterator):
            return _validated(self._patience.with_a_first_message(request))
        validate_request(request)
        require_object(self._rules.get(call.path), call.caller, request)
        return request

    def _admit(self, call: _Call, context: _Context) -> Caller | None:
        """Return who calls, and may; None for health checks."""
        name_call(request_id=call.request_id, rpc=call.path)
        if self._peers is not None:
            self._peers.require(context)
        caller = call.caller = authenticate(call.path, call.metadata, self._verifier, self._rules)
        if caller is not None:
            name_call(request_id=call.request_id, rpc=call.path, subject=caller.subject)
            authorize(call.path, caller, self._rules)
            set_current_caller(caller)
        return caller

    def _audited(self, call: _Call, request: Any) -> AuditedCall | None:  # noqa: ANN401 any message
        """Return the call as the audit sees it; None where it leaves no trace."""
        set_current_change(None)
        rule = self._rules.get(call.path)
        if rule is None or call.caller is None or rule.audit == policy_pb2.AUDIT_NONE:
            return None
        audited = AuditedCall(
            action=action_of(call.method),
            caller=call.caller,
            request_id=call.request_id,
            client_address=call.client_address,
            objects=objects_of(rule.descriptor, request),
            fields=fields_of(rule.descriptor, request),
        )
        if rule.audit == policy_pb2.AUDIT_CHANGE:
            set_current_change(audited)
        return audited

    async def _leave_trace(self, call: _Call, audited: AuditedCall | None) -> None:
        """Have the trace there before the answer leaves; without it, there is no answer."""
        if audited is None or audited.written:
            return
        if self._rules[call.path].audit == policy_pb2.AUDIT_CHANGE:
            await self._trail.changed(audited)
        else:
            await self._trail.looked(audited)
        audited.written = True

    def _note_refusal(self, call: _Call, error: ServiceError) -> None:
        caller = call.caller
        # a path that is no RPC of ours is a stranger's own text
        known = call.path in self._rules
        self._trail.refused(
            Refusal(
                action=action_of(call.method) if known else "",
                reason=error.reason,
                subject=caller.subject if caller is not None else "",
                role=role_name(caller.role) if caller is not None else "",
                token_id=caller.token_id if caller is not None else "",
                client_address=call.client_address,
            ),
            request_id=call.request_id,
        )

    @contextlib.asynccontextmanager
    async def _guarded(self, call: _Call, context: _Context) -> AsyncIterator[None]:
        """Count the outcome and let nothing but a proper status out."""
        code = "OK"
        try:
            yield
        except grpc.aio.AbortError:
            code = _code_name(context)
            raise
        except GeneratorExit:
            code = "CANCELLED"  # the client left
            raise
        except Exception as error:  # noqa: BLE001 the one place that maps errors to statuses
            status = status_of(error, room=self._room, request_id=call.request_id)
            code = _NAMES.get(status.code, "UNKNOWN")
            if is_refusal(error):
                self._note_refusal(call, error)
            await abort(context, status)
        finally:
            RPC_TOTAL.labels(call.service, call.method, code).inc()


_NAMES: Mapping[int, str] = {code.value[0]: code.name for code in grpc.StatusCode}


def _code_name(context: _Context) -> str:
    code = context.code()
    return code.name if isinstance(code, grpc.StatusCode) else _NAMES.get(code, "UNKNOWN")


def _single_valued(pairs: Iterable[tuple[str, Any]]) -> dict[str, Any]:
    """Keep what stands once: a second header must not be able to override the first."""
    values: dict[str, Any] = {}
    for key, value in pairs:
        values[key] = "" if key in values else value
    return values


async def _validated(requests: AsyncIterator[Message]) -> AsyncIterator[Message]:
    async for request in requests:
        validate_request(request)
        yield request


__all__ = ["REQUEST_ID_KEY", "InterceptorChain"]
