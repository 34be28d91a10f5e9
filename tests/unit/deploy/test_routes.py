"""What each RPC is granted at the edge: time, size, retries, and who rewrites its answer."""

from typing import Any

import pytest

from deploy.envoy.contracts import edge_methods
from deploy.envoy.routes import BUFFER, LUA, PICTURE_LIMIT, TRANSCODER, routes

ROOMS = ("camera_manager", "control_plane", "identity_index")
METHODS = edge_methods(ROOMS)
ROUTES = routes(METHODS, "/contracts.binpb")


def rest(verb: str, path: str) -> dict[str, Any]:
    """The route of a REST spelling without variables, or with its pattern."""
    for route in ROUTES:
        match = route["match"]
        where = match.get("path") or match.get("safe_regex", {}).get("regex")
        headers = {header["name"]: header for header in match.get("headers", [])}
        verb_there = headers.get(":method", {}).get("string_match", {}).get("exact")
        if where == path and verb_there == verb:
            return route
    raise AssertionError(f"no route for {verb} {path}")


def grpc(name: str) -> dict[str, Any]:
    paths = {method.grpc_path for method in METHODS if method.name == name}
    (found,) = [route for route in ROUTES if route["match"].get("path") in paths]
    return found


@pytest.mark.parametrize("route", [rest("GET", "/events"), rest("GET", "/events.ndjson")])
def test_endless_streams_have_no_timeout(route: dict[str, Any]) -> None:
    assert route["route"]["timeout"] == "0s"
    assert route["route"]["idle_timeout"] == "0s"


@pytest.mark.parametrize("name", ["Connect", "WatchCameras", "WatchFaces", "Identify"])
def test_streams_of_grpc_have_no_timeout(name: str) -> None:
    assert grpc(name)["route"]["timeout"] == "0s"


def test_everything_that_ends_has_a_timeout_and_a_bound_on_its_upload() -> None:
    endless = {method.grpc_path for method in METHODS if method.endless}
    for route in ROUTES:
        action = route.get("route", {})
        if action.get("timeout") not in (None, "0s"):
            assert "max_stream_duration" in action
            assert "idle_timeout" not in action
            assert route["match"].get("path") not in endless
    assert rest("GET", "/cameras")["route"]["timeout"] == "15s"
    assert rest("POST", "/persons/[^/]+/faces")["route"]["timeout"] == "30s"


def test_only_pictures_may_be_large() -> None:
    filters = rest("POST", "/persons/[^/]+/faces")["typed_per_filter_config"]
    assert filters[TRANSCODER]["max_request_body_size"] == PICTURE_LIMIT
    assert filters[BUFFER]["buffer"]["max_request_bytes"] == PICTURE_LIMIT
    for route in ROUTES:
        filters = route["typed_per_filter_config"]
        if filters.get(TRANSCODER, {}).get("max_request_body_size") != PICTURE_LIMIT and (
            LUA in filters and "route" in route
        ):
            assert filters[BUFFER]["buffer"]["max_request_bytes"] == 1 << 20


def test_only_what_may_be_repeated_is_sent_twice() -> None:
    assert "unavailable" in rest("GET", "/cameras")["route"]["retry_policy"]["retry_on"]
    for route in (rest("POST", "/cameras"), grpc("IssueWorkerToken")):
        # Nothing was sent where no connection came about.
        assert route["route"]["retry_policy"]["retry_on"] == "connect-failure"
    assert "retry_policy" not in grpc("Connect")["route"]


def test_grpc_answers_are_left_alone() -> None:
    for method in METHODS:
        filters = grpc(method.name)["typed_per_filter_config"]
        assert filters.keys() <= {TRANSCODER, BUFFER}
        assert filters[TRANSCODER]["disabled"] is True


def test_half_a_request_reaches_no_service() -> None:
    for method in METHODS:
        filters = grpc(method.name)["typed_per_filter_config"]
        assert (BUFFER in filters) is not method.client_streaming
    for route in ROUTES:
        if "route" in route and LUA in route["typed_per_filter_config"]:
            assert BUFFER in route["typed_per_filter_config"]


def test_callers_of_rest_have_no_say_in_grpc() -> None:
    for route in ROUTES:
        if "route" in route and LUA in route["typed_per_filter_config"]:
            removed = set(route["request_headers_to_remove"])
            assert removed == {"grpc-timeout", "grpc-encoding", "grpc-accept-encoding"}


def test_the_last_route_answers_whatever_is_left() -> None:
    assert ROUTES[-1]["match"] == {"prefix": "/"}
    assert ROUTES[-1]["direct_response"] == {"status": 404}


def test_without_the_control_plane_nobody_answers_reflection() -> None:
    found = routes(edge_methods(["identity_index"]), "/contracts.binpb")
    assert not [r for r in found if r["match"].get("prefix", "").startswith("/grpc.")]
    assert {r["route"]["cluster"] for r in found if "route" in r} == {"identity_index"}
