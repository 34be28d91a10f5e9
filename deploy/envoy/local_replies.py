"""Gives the errors that Envoy itself makes the shape of the services' errors.

A caller sees `{"code", "message", "details"}` whoever refused: the transcoder, the router, a limit
or a service. The sentence is ours wherever Envoy's own would only speak about its insides. Callers
of gRPC get the bare sentence, which Envoy puts into `grpc-message`.
"""

from collections.abc import Mapping
from typing import Any

_ENVOYS_OWN = "%LOCAL_REPLY_BODY%"
# HTTP status to (canonical gRPC code, sentence).
_SENTENCES: Mapping[int, tuple[int, str]] = {
    400: (3, "This is not valid HTTP, or a header has an underscore in its name."),
    401: (16, "The token is not valid here; ask an administrator for one."),
    403: (7, "This is not allowed."),
    404: (5, "Nothing is served at this path; see the API in the README."),
    405: (12, "This path does not take this method; the Allow header lists those it takes."),
    408: (4, "The request took too long to arrive; send it again."),
    413: (8, "The body is too large: 1 MiB at most, 10 MiB for a picture."),
    415: (3, "This path speaks gRPC and gRPC-Web only; use the REST paths of the README for JSON."),
    426: (12, "This protocol is too old; use HTTP/1.1 or HTTP/2."),
    429: (8, "Too many requests; wait a moment and try again."),
    431: (8, "The headers are too large: 8 KiB and 100 headers at most."),
    500: (13, "The edge failed to handle the request; try again, and report it if it stays so."),
    502: (14, "The service broke off its answer; try again."),
    503: (14, "The service is not reachable now; try again in a moment."),
    504: (4, "The service took too long to answer; try again."),
}


# What the token check found wrong, in Envoy's words, to the services' reason and sentence.
_TOKEN_MISSING = (
    "TOKEN_MISSING",
    "Send a token in the header `Authorization: Bearer <token>`.",
)
_TOKEN_INVALID = ("TOKEN_INVALID", _SENTENCES[401][1])
_OF_TOKENS: Mapping[str, tuple[str, str]] = {
    "Jwt is missing": _TOKEN_MISSING,
    "Jwt is expired": ("TOKEN_EXPIRED", "The token has expired; ask for a new one."),
}
_KEYS_NOT_READY = "Jwks remote fetch is failed"

REFUSED_TOKEN = "refused"  # noqa: S105 - where the token check leaves what it found wrong
JWT_AUTHN = "envoy.filters.http.jwt_authn"


def local_replies() -> dict[str, Any]:
    """Return the connection manager's `local_reply_config`."""
    return {
        "mappers": [
            *_refused_tokens(),
            *(
                _mapper(status, _text(sentence), *_CALLED_BY_GRPC)
                for status, (_, sentence) in _SENTENCES.items()
            ),
            _mapper(200, _text("")),  # /healthz has nothing to add
            # a transfer coding that nobody knows: the caller's fault, and no defect of ours
            {**_mapper(501, _json(3, _SENTENCES[400][1])), "status_code": 400},
            _mapper(400, _json(3, _TWICE), *_QUERY_BESIDE_BODY),
            _mapper(400, _json(3, f"The request is not valid: {_ENVOYS_OWN}"), _READABLE),
            *(
                _mapper(status, _json(code, sentence))
                for status, (code, sentence) in _SENTENCES.items()
            ),
        ],
        "body_format": _json(2, _ENVOYS_OWN),
    }


def _header(name: str, **condition: Any) -> dict[str, Any]:  # noqa: ANN401 a condition of Envoy's
    return {"header_filter": {"header": {"name": name, **condition}}}


# The transcoder makes its requests look like gRPC too, but leaves the path that was asked for.
_CALLED_BY_GRPC = (
    _header("content-type", string_match={"prefix": "application/grpc"}),
    _header("x-envoy-original-path", present_match=True, invert_match=True),
)
# What the codec refused has no headers; what has them was refused by the transcoder, which says
# what is wrong with the JSON or the query.
_READABLE = _header(":path", present_match=True)


def _refused_tokens() -> list[dict[str, Any]]:
    """Say of a refused token what the services would; 401 whatever is wrong with it."""
    found = []
    for message, (reason, sentence) in _OF_TOKENS.items():
        found += _answers_to_token(_found_wrong(message), 401, 16, reason, sentence)
    unready = "The control plane has not published its keys yet; try again."
    found += _answers_to_token(_found_wrong(_KEYS_NOT_READY), 503, 14, "KEYS_NOT_READY", unready)
    found += _answers_to_token(_ANYTHING_WRONG, 401, 16, *_TOKEN_INVALID)
    # Where there are several issuers, the check leaves nothing about a token that is not there.
    missing = {"and_filter": {"filters": [_of_status(401), _NOT_TWO_TOKENS]}}
    found += _answers_to_token(missing, 401, 16, *_TOKEN_MISSING)
    return found + _answers_to_token(_of_status(401), 401, 16, *_TOKEN_INVALID)


def _answers_to_token(
    condition: Mapping[str, Any], status: int, code: int, reason: str, sentence: str
) -> list[dict[str, Any]]:
    detail = {
        "@type": "type.googleapis.com/google.rpc.ErrorInfo",
        "reason": reason,
        "domain": "dfip.edge",
        "metadata": {},
    }
    by_grpc = {"and_filter": {"filters": [condition, *_CALLED_BY_GRPC]}}
    answer = {"status_code": status, "headers_to_add": [_CHALLENGE]}
    return [
        {"filter": by_grpc, **answer, "body_format_override": _text(sentence)},
        {
            "filter": condition,
            **answer,
            "body_format_override": {
                "json_format": {"code": code, "message": sentence, "details": [detail]}
            },
        },
    ]


def _found_wrong(message: str) -> dict[str, Any]:
    return _of_token_check({"string_match": {"exact": message}})


def _of_token_check(value: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "metadata_filter": {
            "matcher": {
                "filter": JWT_AUTHN,
                "path": [{"key": REFUSED_TOKEN}, {"key": "message"}],
                "value": value,
            },
            "match_if_key_not_found": False,
        }
    }


# Envoy's own repeats the whole address that was asked for, a query with a secret in it too.
_CHALLENGE = {
    "header": {"key": "www-authenticate", "value": "Bearer"},
    "append_action": "OVERWRITE_IF_EXISTS",
}

_ANYTHING_WRONG = _of_token_check({"string_match": {"safe_regex": {"regex": ".+"}}})

_NOT_TWO_TOKENS = _header(
    "authorization",
    string_match={"contains": ","},
    invert_match=True,
    treat_missing_header_as_empty=True,
)

# Of a field that stands in both, the transcoder would repeat the value, a camera's password too.
_QUERY_BESIDE_BODY = (
    _header("x-envoy-original-path", string_match={"contains": "?"}),
    _header("x-envoy-original-method", string_match={"safe_regex": {"regex": "POST|PATCH|PUT"}}),
)
_TWICE = "The request is not valid; send each field once, in the body, and the types of the API."


def _mapper(status: int, body: Mapping[str, Any], *conditions: Mapping[str, Any]) -> dict[str, Any]:
    together = {"and_filter": {"filters": [_of_status(status), *conditions]}}
    return {
        "filter": together if conditions else _of_status(status),
        "body_format_override": body,
    }


def _of_status(status: int) -> dict[str, Any]:
    return {
        "status_code_filter": {
            "comparison": {
                "op": "EQ",
                "value": {"default_value": status, "runtime_key": "edge.local_reply_status"},
            }
        }
    }


def _text(sentence: str) -> dict[str, Any]:
    return {"text_format_source": {"inline_string": sentence}}


def _json(code: int, sentence: str) -> dict[str, Any]:
    return {"json_format": {"code": code, "message": sentence, "details": []}}
