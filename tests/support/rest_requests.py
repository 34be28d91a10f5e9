"""Requests over the whole REST surface, made by hypothesis from the contracts' descriptors.

Right requests, nearly right ones and nonsense: bodies of the right and the wrong types, huge
numbers, any text, deep nests, query parameters, headers, content types, ids of things that are
there, of other things, and of nothing. A new RPC or field is covered as soon as it is in the
contracts. ``rest_site.py`` sends them and judges the answers.

Ids are drawn as placeholders such as ``{cameras}`` and filled in when a request is sent, so that
the same draw is the same request on every site.
"""

import json
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

from google.protobuf import descriptor_pool
from google.protobuf.descriptor import Descriptor, FieldDescriptor
from hypothesis import strategies as st

from buf.validate import validate_pb2
from deploy.envoy.contracts import EdgeMethod, RestBinding, edge_methods

CANARY = "canary-9d1c"
"""Stands where a secret stands, in connection strings and tokens; no answer may hold it."""

NOBODY = "00000000-0000-4000-8000-000000000000"
_DEEPEST = 4
# seconds each: rare, for they would crowd out all others
_SLOW = {"CreateBackup", "RotateKeys"}
_COLLECTION = re.compile(r"/([^/:.]+)")
_Json = st.SearchStrategy[Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class RestRequest:
    """One request.

    Attributes:
        path: path and query; ``{persons}`` in it is an id that was made below ``/persons``.
        token: role whose token is sent; ``none`` sends none, ``forged`` one that nobody signed.
        endless: the answer does not end by itself.
    """

    verb: str
    path: str
    headers: tuple[tuple[str, str], ...]
    content: bytes | None
    token: str
    endless: bool

    def __str__(self) -> str:
        body = "" if self.content is None else f" {self.content[:300]!r}"
        return f"{self.verb} {self.path} as {self.token} {dict(self.headers)}{body}"


_LEAVES = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(),
    st.text(max_size=20),
    st.sampled_from([2**63, -(2**70), 10**400, "\0", "\ud800", "x" * 5000]),
)
_ANY_JSON: _Json = st.recursive(
    _LEAVES,
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4)
    ),
    max_leaves=10,
)


def rest_requests(rooms: Iterable[str] = ("control_plane",)) -> st.SearchStrategy[RestRequest]:
    """Return what draws a request for any REST spelling of the rooms' RPCs."""
    spellings = [(method, binding) for method in edge_methods(rooms) for binding in method.bindings]
    spellings.sort(key=lambda pair: (pair[1].template, pair[1].verb))
    collections = sorted({_collection(binding.template) for _, binding in spellings})
    # made once: drawing from a strategy is cheap, making it is not
    usual, slow = (
        st.one_of(
            [
                _request(method, binding, collections=collections)
                for method, binding in spellings
                if (method.name in _SLOW) == is_slow
            ]
        )
        for is_slow in (False, True)
    )
    # drawn twice, for of a wide range hypothesis likes the ends best; that is once in 400, and more
    # like once in 250 as it also likes to repeat what it drew
    return _mostly(usual, _mostly(usual, slow, of=20), of=20)


def _mostly(usual: _Json, odd: _Json, *, of: int) -> _Json:
    """Draw the odd once of so many times; ``one_of`` takes repeated branches for one."""
    return st.integers(1, of).flatmap(lambda number: odd if number == of else usual)


def _collection(template: str) -> str:
    return _COLLECTION.match(template)[1]  # type: ignore[index]  # every template begins so


def _request(
    method: EdgeMethod, binding: RestBinding, *, collections: Sequence[str]
) -> st.SearchStrategy[RestRequest]:
    pool = descriptor_pool.Default()
    message = pool.FindMethodByName(f"{method.service}.{method.name}").input_type
    has_body = binding.verb in {"POST", "PATCH", "PUT"}
    content: st.SearchStrategy[bytes | None] = st.none()
    if has_body:
        content = _picture() if method.raw_request else _body(message)
    return st.builds(
        RestRequest,
        verb=st.sampled_from([binding.verb] * 20 + ["PUT", "DELETE", "PATCH", "TRACE", "NONE"]),
        path=_path(binding.template, message, collections, has_body=has_body),
        headers=_headers(picture=method.raw_request),
        content=content,
        token=st.sampled_from(["admin"] * 20 + ["viewer", "operator", "worker", "none", "forged"]),
        endless=st.just(method.endless),
    )


_ODD_IDS = [
    NOBODY, "x", "%00", "%ff", "%2e%2e", "a;b", "..;", "%e2%80%ae", ":", "a:b", "*", "%7Bid%7D",
    "%25", "~", "%2F", "a" * 1100, "%F0%9F%98%80", "-1", "null", "'%20or%201=1--",
]  # fmt: skip


def _path(
    template: str, message: Descriptor, collections: Sequence[str], *, has_body: bool
) -> st.SearchStrategy[str]:
    own = "{" + _collection(template) + "}"
    others = st.sampled_from([f"{{{name}}}" for name in collections])
    identifier = _mostly(st.just(own), others | st.sampled_from(_ODD_IDS), of=4)
    parts = re.split(r"\{[^}]+\}", template)
    names = re.findall(r"\{([^}]+)\}", template)
    query = _query(message, names) if not has_body else st.just("") | _query(message, names)

    def joined(found: tuple[list[str], str]) -> str:
        ids, asked = found
        path = "".join(part + filled for part, filled in zip(parts, [*ids, ""], strict=True))
        return f"{path}?{asked}" if asked else path

    drawn = st.lists(identifier, min_size=len(names), max_size=len(names))
    return st.tuples(drawn, query).map(joined)


_QUERY_VALUES = [
    "", "1", "0", "x", "-1", "%00", "%ff", "true", "[]", "9" * 30, "1e400", "NaN",
    "2026-01-01T00:00:00Z", "0001-01-01T00:00:00Z", "9999-12-31T23:59:59.999999999Z", "{cameras}",
    "a" * 3000, "%F0%9F%98%80", "..%2F..%2Fetc", "W10", "eyJhIjoxfQ",
]  # fmt: skip


def _query(message: Descriptor, in_path: Sequence[str]) -> st.SearchStrategy[str]:
    fields = [field for field in message.fields if field.name not in in_path]
    odd = st.sampled_from(["unknown", "pageToken", "a.b.c", "__proto__", "%00", *in_path])
    names = st.sampled_from([field.name for field in fields]) if fields else odd
    wrong = st.tuples(names | odd, st.sampled_from(_QUERY_VALUES) | _url_text())
    right = st.one_of(
        [
            _single(field, 0, right=True).map(lambda value, field=field: (field.name, value))  # type: ignore[misc]  # binds the field
            for field in fields
            if field.message_type is None
        ]
        or [wrong]
    )
    pairs = _mostly(st.lists(right, max_size=2), st.lists(right | wrong, max_size=3), of=3)
    return pairs.map(lambda found: "&".join(f"{name}={_in_url(v)}" for name, v in found))


def _in_url(value: object) -> str:
    return value if isinstance(value, str) and value.startswith("{") else _escaped(value)


def _escaped(value: object) -> str:
    text = str(value).lower() if isinstance(value, bool) else str(value)
    return text if "%" in text else quote(text, safe="")


def _url_text() -> st.SearchStrategy[str]:
    return st.text(st.characters(codec="ascii", categories=["L", "N"]), max_size=20)


def _headers(*, picture: bool) -> st.SearchStrategy[tuple[tuple[str, str], ...]]:
    content_type = "image/jpeg" if picture else "application/json"
    types = [
        "application/x-www-form-urlencoded", "text/plain", "multipart/form-data; boundary=x",
        "application/json; charset=utf-16", "image/png", "", "application/grpc-web+json", "x" * 500,
    ]  # fmt: skip
    odd = [
        ("accept", "text/html"), ("accept-encoding", "gzip"), ("content-encoding", "gzip"),
        ("x-http-method-override", "DELETE"), ("x-forwarded-for", "127.0.0.1"),
        ("x-dfip-role", "admin"), ("last-event-id", "nonsense"), ("if-match", "*"),
        ("range", "bytes=0-1"), ("expect", "100-continue"), ("grpc-timeout", "1n"),
        ("grpc-encoding", "zzz"), ("cookie", "a=b;" * 50), ("origin", "null"), ("te", "trailers"),
        ("host", "metadata.internal"), ("x-request-id", "r" * 300), ("traceparent", "00-0-0-00"),
    ]  # fmt: skip
    chosen = st.sampled_from([content_type] * 30 + types)
    several = st.lists(st.sampled_from(odd), max_size=2, unique_by=lambda pair: pair[0])
    extra: st.SearchStrategy[list[tuple[str, str]]] = _mostly(st.just([]), several, of=4)
    return st.tuples(chosen, extra).map(lambda drawn: (("content-type", drawn[0]), *drawn[1]))


def _picture() -> st.SearchStrategy[bytes | None]:
    starts = st.sampled_from([b"", b"\xff\xd8\xff\xe0", b"\x89PNG\r\n\x1a\n", b"RIFF\0\0\0\0WEBP"])
    return st.tuples(starts, st.binary(max_size=300)).map(lambda parts: parts[0] + parts[1])


def _body(message: Descriptor) -> st.SearchStrategy[bytes | None]:
    right = _message(message, _DEEPEST, right=True).map(_encoded)
    nearly = _message(message, _DEEPEST).map(_encoded)
    bomb = st.integers(min_value=1, max_value=4000).map(lambda depth: b'{"a":' * depth)
    odd = st.one_of(
        _ANY_JSON.map(_encoded),
        st.binary(max_size=200),
        bomb,
        st.integers(min_value=1, max_value=4000).map(lambda depth: b"[" * depth),
        st.none(),
    )
    return _mostly(_mostly(right, nearly, of=3), odd, of=6)


def _encoded(value: object) -> bytes:
    # lone surrogates and infinities are written as Python's own JSON has them
    return json.dumps(value).encode()


def _message(message: Descriptor, depth: int, *, right: bool = False) -> _Json:
    """Draw a JSON object for a message; ``right``: every field is as it should be."""
    if message.full_name in _WELL_KNOWN:
        meant, odd = _WELL_KNOWN[message.full_name]
        return meant if right else meant | odd
    if depth == 0:
        return st.just({})
    fields = {field.name: _field(field, depth, right=right) for field in message.fields}
    # a name that people gave is seldom left out; everything else often is
    wanted = {name: drawn for name, drawn in fields.items() if name in _NEEDED}
    others = {name: drawn for name, drawn in fields.items() if name not in _NEEDED}
    whole = st.fixed_dictionaries(wanted, optional=others)
    if right:
        return whole
    return whole | st.fixed_dictionaries({}, optional=fields | {"unknown": _ANY_JSON})


_NEEDED = {"name", "connection_string", "timestamp", "occupancy", "role", "url"}
_ZONE = st.fixed_dictionaries(
    {
        "name": st.sampled_from(["door", "", "door\0", 1]),
        "polygon": st.lists(
            st.lists(st.sampled_from([0, 0.5, 1, -1, 2, "0", None]), max_size=3), max_size=5
        ),
    }
)
_AREA = {"zones": [{"name": "door", "polygon": [[0, 0], [1, 0], [1, 1]]}]}
_TIMES = [
    "2026-11-21T12:00:00+02:00", "0001-01-01T00:00:00Z", "9999-12-31T23:59:59Z", "2026-01-01", "",
    "now", "2026-01-01T00:00:60Z",
]  # fmt: skip
_WELL_KNOWN: dict[str, tuple[_Json, _Json]] = {
    "google.protobuf.Struct": (
        st.sampled_from([{}, _AREA, {"a": [1, None, {"b": "c"}]}]),
        st.fixed_dictionaries({"zones": st.lists(_ZONE, max_size=3)})
        | st.dictionaries(st.text(max_size=8), _ANY_JSON, max_size=4),
    ),
    "google.protobuf.Timestamp": (st.just("2026-01-01T00:00:00Z"), st.sampled_from(_TIMES)),
    "google.protobuf.Duration": (st.just("60s"), st.sampled_from(["-1s", "1e9s", "x", 5])),
    "google.protobuf.FieldMask": (st.just("name"), st.sampled_from(["", "a.b,c", "*"])),
    "google.api.HttpBody": (st.just({"data": "AAAA"}), st.just({"data": 1})),
}


def _field(field: FieldDescriptor, depth: int, *, right: bool) -> _Json:
    single = _single(field, depth, right=right)
    if field.is_repeated:
        single = st.lists(single, max_size=3)
    return single if right else _mostly(single, _ANY_JSON, of=5)


def _single(field: FieldDescriptor, depth: int, *, right: bool) -> _Json:
    if field.message_type is not None:
        return _message(field.message_type, depth - 1, right=right)
    meant, odd = _scalar(field)
    return meant if right else _mostly(meant, odd, of=3)


def _scalar(field: FieldDescriptor) -> tuple[_Json, _Json]:
    """Return what a field is meant to hold, and what it might be sent."""
    kinds = FieldDescriptor
    match field.cpp_type:
        case kinds.CPPTYPE_BOOL:
            return st.booleans(), st.sampled_from(["true", 1, "x"])
        case kinds.CPPTYPE_FLOAT | kinds.CPPTYPE_DOUBLE:
            return st.floats(0, 1), st.sampled_from(["NaN", "Infinity", 1e308, -1.5])
        case kinds.CPPTYPE_ENUM:
            return st.just(1), st.sampled_from([0, 99, "nonsense"])
        case kinds.CPPTYPE_STRING if field.type == kinds.TYPE_BYTES:
            return st.just("AAAA"), st.sampled_from(["%", "A", "AAAA" * 2000])
        case kinds.CPPTYPE_STRING:
            return _text(field)
    odd = [-1, 2**31, 2**32, 2**63, 1.5, "7", "x"]
    return st.integers(1, 60), st.sampled_from(odd)


_ODD_TEXT = st.text(max_size=30) | st.sampled_from(["x" * 5000, "\0", "\u202e", "a\nb", "nonsense"])
_LOGIN = f"user:{CANARY}@"
_URLS = ["http://127.0.0.1/", "http://169.254.169.254/", "x", "file:///etc/passwd"]
_TOKENS = ["x", "W10", "eyJhIjoxfQ", "a" * 3000]
_OTHER_IDS = [NOBODY, "", "x"]
# ending of a field's name to what it is meant to hold, and what else it might be sent
_TEXTS: dict[str, tuple[list[str], list[str]]] = {
    "connection_string": (
        [f"rtsp://{_LOGIN}10.0.0.5/live", f"https://{_LOGIN}camera/stream"],
        [f"file:///{CANARY}.mp4", f"ftp://{_LOGIN}h/", f"rtsp://{_LOGIN}", CANARY],
    ),
    "secret": ([CANARY], [""]),
    "password": ([CANARY], [""]),
    "camera_id": (["{cameras}"], _OTHER_IDS),
    "person_id": (["{persons}"], _OTHER_IDS),
    "_id": ([""], _OTHER_IDS),
    "token": ([""], _TOKENS),
    "etag": ([""], _TOKENS),
    "url": (["https://example.org/hook"], _URLS),
}


def _text(field: FieldDescriptor) -> tuple[_Json, _Json]:
    rules: Any = field.GetOptions().Extensions[validate_pb2.field]  # type: ignore[index]  # untyped
    if words := list(getattr(rules.string, "in")):
        return st.sampled_from(words), _ODD_TEXT
    for ending, (meant, odd) in _TEXTS.items():
        if field.name.endswith(ending):
            return st.sampled_from(meant), st.sampled_from(odd)
    return st.sampled_from(["door", "Ada", "gr\u00fcn \u6b63"]), _ODD_TEXT
