"""Makes Envoy's routes out of the contracts' RPCs.

An RPC has a route for each REST spelling and one for gRPC, because what they are granted differs:
time, body size, retries, and who rewrites the answer. The transcoder runs on REST routes alone and
is strict there, so that nothing untranscoded ever reaches a service. Behind them stand the routes
that answer by themselves: 405 where a path has other methods, 404 everywhere else.
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any

from deploy.envoy.contracts import EdgeMethod, RestBinding
from deploy.envoy.path_templates import path_match, specificity

TRANSCODER = "envoy.filters.http.grpc_json_transcoder"
LUA = "envoy.filters.http.lua"
BUFFER = "envoy.filters.http.buffer"
HEADER_MUTATION = "envoy.filters.http.header_mutation"
REST_ANSWERS = "rest_answers"

BODY_LIMIT = 1 << 20
PICTURE_LIMIT = 11 << 20
_RESPONSE_LIMIT = 32 << 20
_UNARY_S = 15
_PICTURE_S = 30
# From the first byte of the request to the last of the answer, so that no body trickles in.
_UPLOAD_S = 30
_PICTURE_UPLOAD_S = 120

# Answers of gRPC's own services, spoken by every server; the control plane's is the one to ask.
# Of health only the question that ends: it is open to everybody, and a watch holds a call for ever.
_GRPC_OWN = ({"prefix": "/grpc.reflection."}, {"path": "/grpc.health.v1.Health/Check"})
_SPEAKER_OF_GRPC_OWN = "control_plane"

_IS_GRPC = {"name": "content-type", "string_match": {"prefix": "application/grpc"}}
_IS_NOT_GRPC = {**_IS_GRPC, "invert_match": True, "treat_missing_header_as_empty": True}

TICKET_PARAMETER = "ticket"
TICKET_HEADER = "x-dfip-ticket"  # removed from what comes in: see the listener
HEALTH_PATH = "/healthz"
OPEN_PATHS = (HEALTH_PATH, "/grpc.health.v1.Health/Check")
# No id has a slash, and readers of a path differ in what they take an escaped one for.
_ESCAPED_SLASH = {"safe_regex": {"regex": "(?i).*%(2f|5c).*"}}

# Envoy joins a header that stands twice with a comma, which no token has, and its check reads the
# first of them: somebody behind it might read the second.
_TWO_TOKENS = {"name": "authorization", "string_match": {"contains": ","}}

_NO_FILTER = {
    "@type": "type.googleapis.com/envoy.config.route.v3.FilterConfig",
    "config": {},
    "disabled": True,
}


def routes(methods: Sequence[EdgeMethod], descriptor_file: str) -> list[dict[str, Any]]:
    """List the routes of all RPCs in the order in which they must be tried."""
    return [
        # The health filter answers before the router; the route has the answer stripped.
        _answer({"path": HEALTH_PATH}, 503),
        _answer({"prefix": "/", "headers": [_TWO_TOKENS, _IS_GRPC]}, 401, rest=False),
        _answer({"prefix": "/", "headers": [_TWO_TOKENS]}, 401),
        _answer({**_ESCAPED_SLASH, "headers": [_IS_GRPC]}, 404, rest=False),
        _answer(_ESCAPED_SLASH, 404),
        *_rest_routes(methods, descriptor_file),
        *_grpc_routes(methods),
        *_refusals(methods),
    ]


def transcoding(
    methods: Sequence[EdgeMethod],
    descriptor_file: str,
    *,
    body_limit: int = BODY_LIMIT,
    lines: bool = False,
) -> dict[str, Any]:
    """Configure the transcoder; `lines` prints a stream as one JSON object a line."""
    return {
        "@type": "type.googleapis.com/"
        "envoy.extensions.filters.http.grpc_json_transcoder.v3.GrpcJsonTranscoder",
        "proto_descriptor": descriptor_file,
        "services": sorted({method.service for method in methods if method.bindings}),
        "match_incoming_request_route": True,
        "convert_grpc_status": True,
        "case_insensitive_enum_parsing": True,
        "max_request_body_size": body_limit,
        "max_response_body_size": _RESPONSE_LIMIT,
        "print_options": {
            "preserve_proto_field_names": True,
            "always_print_primitive_fields": True,
            "stream_newline_delimited": lines,
        },
        "request_validation_options": {
            "reject_unknown_method": True,
            "reject_unknown_query_parameters": True,
            "reject_binding_body_field_collisions": True,
        },
    }


def ticket_matches(methods: Sequence[EdgeMethod]) -> list[dict[str, Any]]:
    """List what is asked for with a ticket in the query, where one does for a token."""
    return [
        _match(binding) | _WITH_TICKET
        for method in methods
        if method.takes_tickets
        for binding in method.bindings
    ]


def _rest_routes(methods: Sequence[EdgeMethod], descriptor_file: str) -> list[dict[str, Any]]:
    spellings = [
        (method, binding, ticket)
        for method in methods
        for binding in method.bindings
        for ticket in ([True, False] if method.takes_tickets else [False])
    ]
    spellings.sort(key=lambda one: (specificity(one[1].template), one[1].verb, not one[2]))
    return [
        {
            "name": f"{method.service}/{method.name}",
            "match": _match(binding) | (_WITH_TICKET if ticket else {}),
            "route": _action(method),
            "request_headers_to_remove": _OF_GRPC_ALONE,
            "typed_per_filter_config": _rest_filters(
                method, binding, methods, descriptor_file, ticket=ticket
            ),
        }
        for method, binding, ticket in spellings
    ]


def _match(binding: RestBinding) -> dict[str, Any]:
    return {
        **path_match(binding.template),
        "headers": [
            {"name": ":method", "string_match": {"exact": binding.verb}},
            _IS_NOT_GRPC,
        ],
    }


def _rest_filters(
    method: EdgeMethod,
    binding: RestBinding,
    methods: Sequence[EdgeMethod],
    descriptor_file: str,
    *,
    ticket: bool,
) -> dict[str, Any]:
    """Say how the answer is rewritten, and where the transcoder needs other limits than usual."""
    lines = method.endless and not method.raw_response
    answer: dict[str, Any] = {"created": method.creates(binding)}
    if lines:
        answer["content_type"] = "application/x-ndjson"
    filters = {LUA: _rest_answer(answer), BUFFER: _whole_body(_body_limit(method))}
    mutations = (_NO_GRPC_TRAILERS if method.server_streaming else {}) | (
        _TICKET_OUT_OF_THE_QUERY if ticket else {}
    )
    if mutations:
        filters[HEADER_MUTATION] = {"@type": _MUTATION, "mutations": mutations}
    if lines or method.raw_request:
        filters[TRANSCODER] = transcoding(
            methods,
            descriptor_file,
            body_limit=_body_limit(method),
            lines=lines,
        )
    return filters


def _grpc_routes(methods: Sequence[EdgeMethod]) -> list[dict[str, Any]]:
    """Route each RPC by its own path; gRPC-Web arrives with a content type of the same start."""
    found = [
        {
            "name": f"{method.service}/{method.name}",
            "match": {"path": method.grpc_path, "headers": [_IS_GRPC]},
            "route": _action(method),
            "typed_per_filter_config": _grpc_filters(method),
        }
        for method in methods
    ]
    if any(method.room == _SPEAKER_OF_GRPC_OWN for method in methods):
        found += [
            {
                "match": {**path, "headers": [_IS_GRPC]},
                "route": {"cluster": _SPEAKER_OF_GRPC_OWN, **_ENDLESS},
                "typed_per_filter_config": {TRANSCODER: _NO_FILTER},
            }
            for path in _GRPC_OWN
        ]
    return found


def _grpc_filters(method: EdgeMethod) -> dict[str, Any]:
    """Hold a request back until all of it is there; else it holds a call of the service's few.

    The service reads a single request before it looks at the token, so half of one sent by a
    stranger would count against everybody's bound. Streams of requests are let in or not at once.
    """
    filters = {TRANSCODER: _NO_FILTER}
    if not method.client_streaming:
        filters[BUFFER] = _whole_body(_body_limit(method))
    return filters


def _refusals(methods: Sequence[EdgeMethod]) -> list[dict[str, Any]]:
    """Answer what is not served: UNIMPLEMENTED to gRPC, else 405, 415 or 404."""
    verbs: Mapping[str, set[str]] = defaultdict(set)
    for method in methods:
        for binding in method.bindings:
            verbs[binding.template].add(binding.verb)
    refused = [_answer({"prefix": "/", "headers": [_IS_GRPC]}, 404, rest=False)]
    refused += [
        _answer(path_match(template), 405, {"allow": ", ".join(sorted(verbs[template]))})
        for template in sorted(verbs, key=specificity)
    ]
    services = sorted({method.service for method in methods})
    refused += [_answer({"prefix": f"/{service}/"}, 415) for service in services]
    return [*refused, _answer({"prefix": "/"}, 404)]


def _answer(
    match: Mapping[str, Any],
    status: int,
    headers: Mapping[str, str] = MappingProxyType({}),
    *,
    rest: bool = True,
) -> dict[str, Any]:
    """Answer by ourselves; `deploy.envoy.local_replies` writes the body."""
    filters = {TRANSCODER: _NO_FILTER}
    if rest:
        filters[LUA] = _rest_answer({})
    return {
        "match": match,
        "direct_response": {"status": status},
        "response_headers_to_add": [
            {"header": {"key": name, "value": value}} for name, value in headers.items()
        ],
        "typed_per_filter_config": filters,
    }


# On REST the transcoder speaks gRPC for the caller, who has no say in it.
_OF_GRPC_ALONE = ["grpc-timeout", "grpc-encoding", "grpc-accept-encoding"]

_MUTATION = (
    "type.googleapis.com/envoy.extensions.filters.http.header_mutation.v3.HeaderMutationPerRoute"
)
_NO_GRPC_TRAILERS = {
    "response_trailers_mutations": [
        {"remove_on_match": {"key_matcher": {"safe_regex": {"regex": ".*"}}}}
    ]
}

# A ticket stands where a browser can put it until it was checked; then it goes where the service
# looks, so that nobody behind the check has it in a path.
_WITH_TICKET = {"query_parameters": [{"name": TICKET_PARAMETER, "present_match": True}]}
_TICKET_OUT_OF_THE_QUERY = {
    "request_mutations": [
        {
            "append": {
                "header": {"key": TICKET_HEADER, "value": f"%QUERY_PARAM({TICKET_PARAMETER})%"},
                "append_action": "OVERWRITE_IF_EXISTS_OR_ADD",
            }
        }
    ],
    "query_parameter_mutations": [{"remove": TICKET_PARAMETER}],
}


def _body_limit(method: EdgeMethod) -> int:
    return PICTURE_LIMIT if method.raw_request else BODY_LIMIT


def _whole_body(limit: int) -> dict[str, Any]:
    """Pass a request on once its body is complete; 413 where that is more than the limit."""
    return {
        "@type": "type.googleapis.com/envoy.extensions.filters.http.buffer.v3.BufferPerRoute",
        "buffer": {"max_request_bytes": limit},
    }


_ENDLESS: Mapping[str, Any] = {"timeout": "0s", "idle_timeout": "0s"}


def _action(method: EdgeMethod) -> dict[str, Any]:
    """Grant time and retries: streams last, and only what may be repeated is sent twice."""
    action: dict[str, Any] = {"cluster": method.cluster}
    if method.endless:
        action |= _ENDLESS
        if method.idle_s:
            action["idle_timeout"] = f"{method.idle_s}s"
    else:
        seconds = _PICTURE_S if method.raw_request else _UNARY_S
        upload = _PICTURE_UPLOAD_S if method.raw_request else _UPLOAD_S
        action["timeout"] = f"{seconds}s"
        action["max_stream_duration"] = {"max_stream_duration": f"{upload + seconds}s"}
    if not method.client_streaming:
        action["retry_policy"] = {
            # A connection that failed carried nothing, so any request may try the next one; a
            # picture is looked at once, because looking is what costs.
            "retry_on": (
                "connect-failure,refused-stream,unavailable"
                if method.repeatable and not method.raw_request
                else "connect-failure"
            ),
            "num_retries": 5,
            "retry_back_off": {"base_interval": "0.1s", "max_interval": "1s"},
        }
    return action


def _rest_answer(context: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "@type": "type.googleapis.com/envoy.extensions.filters.http.lua.v3.LuaPerRoute",
        "name": REST_ANSWERS,
        "filter_context": context,
    }
