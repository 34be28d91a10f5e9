"""Texts that break naive programs, in every text field of every call: refused or kept, no crash.

The fields come from the descriptors, so that a new one is tried too. What else a call needs is
filled in as well as the rules of its fields tell; where that is not enough the call is refused,
which is an answer like another.
"""

import asyncio
import uuid
from collections.abc import Iterator, Mapping
from typing import Any

import grpc
from google.protobuf.descriptor import FieldDescriptor

from buf.validate import validate_pb2
from tests.integration.control_plane.conftest import RTSP, Site
from tests.integration.control_plane.test_conventions import (
    KINDS,
    METHODS,
    PACKAGE,
    Caller,
    code_of,
    message_of,
)

CRASHES = {grpc.StatusCode.INTERNAL, grpc.StatusCode.UNKNOWN, grpc.StatusCode.DATA_LOSS}
LONGEST = 4000
# anything in them is refused before the rest is looked at
LEFT_OUT = {"page_token", "etag"}
# folded it is three characters long, encoded six bytes
GROWING = "\u0390"


def rules_of(field: Any) -> Any:
    rules = field.GetOptions().Extensions[validate_pb2.field]
    return (rules.repeated.items if field.is_repeated else rules).string


def texts_of(descriptor: Any) -> Iterator[tuple[tuple[Any, ...], Any]]:
    """Return the path to each text field of a request, and of the messages right inside it."""
    for field in descriptor.fields:
        if field.type == FieldDescriptor.TYPE_STRING:
            yield (field,), field
        elif field.message_type and field.message_type.full_name.startswith("dfip."):
            for inner in field.message_type.fields:
                if inner.type == FieldDescriptor.TYPE_STRING:
                    yield (field, inner), inner


def likely(field: Any, ids: Mapping[str, str]) -> str:
    """Return a text that the field may hold; where it names something, the id of one."""
    if field.name in ids:
        return ids[field.name]
    rule = rules_of(field)
    allowed = [value for value in getattr(rule, "in") if value]
    if allowed:
        return str(allowed[0])
    if field.name == "connection_string":
        return RTSP
    return str(uuid.uuid4()) if field.name.endswith("_id") or rule.uuid else "x"


def put(message: Any, path: tuple[Any, ...], text: str) -> None:
    for field in path[:-1]:
        inside = getattr(message, field.name)
        message = inside.add() if field.is_repeated else inside
    if path[-1].is_repeated:
        getattr(message, path[-1].name).append(text)
    else:
        setattr(message, path[-1].name, text)


def requests(method: Any, ids: Mapping[str, str]) -> Iterator[tuple[str, Any]]:
    """Return a request for each text field and each hostile text in it."""
    for path, field in texts_of(method.input_type):
        if getattr(rules_of(field), "in"):
            continue  # one of a few words
        longest = min(rules_of(field).max_len or LONGEST, LONGEST)
        for what, text in (("NUL", "a\0b"), ("growing", GROWING * longest)):
            message = message_of(method.input_type)()
            for other in method.input_type.fields:
                has_value = other.type == FieldDescriptor.TYPE_STRING and not other.is_repeated
                if has_value and other is not path[0] and other.name not in LEFT_OUT:
                    setattr(message, other.name, likely(other, ids))
            put(message, path, text)
            yield f"{method.full_name} {'.'.join(one.name for one in path)} {what}", message


async def test_no_text_breaks_a_call(site: Site) -> None:
    channel = site.running.channel()
    ids = {}
    for noun, kind in KINDS.items():
        made = await Caller(site)(kind.create, kind.request("first"))
        ids[f"{noun.replace(' ', '_')}_id"] = str(made.data.id)
    done, crashed = 0, []
    for name, method in METHODS.items():
        if method.client_streaming or method.server_streaming:
            continue
        answer = message_of(method.output_type)
        call = channel.unary_unary(
            PACKAGE + name,
            request_serializer=lambda sent: sent.SerializeToString(),
            response_deserializer=answer.FromString,
        )
        told = list(requests(method, ids))
        codes = await asyncio.gather(*(code_of(call(message)) for _, message in told))
        done += codes.count(grpc.StatusCode.OK)
        crashed += [what for (what, _), code in zip(told, codes, strict=True) if code in CRASHES]
    assert not crashed
    # enough of them come through to the database, also where it keeps no NUL
    assert done > 25
