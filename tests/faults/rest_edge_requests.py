"""What strangers, and callers with a token and bad intent, ask of the edge.

Each fault is done to a ``Target`` (``rest_edge_target``), whoever runs it. ``rest_edge_bytes`` has
what is bad in how it is sent.
"""

import asyncio
import base64
import json
from typing import Any

from google.protobuf import descriptor_pool
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import seed as seeded

from deploy.envoy.contracts import edge_methods
from service_runtime.identifiers import new_id
from service_runtime.opaque_tokens import encode_opaque
from tests.faults.rest_edge_target import BEARER, Attack, Target
from tests.support import raw_http as raw
from tests.support.rest_requests import RestRequest, rest_requests


async def generated_requests(target: Target) -> None:
    count = target.many(15, 100)
    for request in _drawn(count, target.dice.getrandbits(32)):
        # the others' tokens are no matter of this row
        if "keys:rotate" not in request.path:
            await target.rest.send(request)
            target.figures["requests"] += 1


def _drawn(count: int, number: int) -> list[RestRequest]:
    found: list[RestRequest] = []

    @seeded(number)
    @settings(
        max_examples=count,
        database=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(request=rest_requests())
    def take(request: RestRequest) -> None:
        found.append(request)

    take()
    return found


async def json_bombs(target: Target) -> None:
    camera = '{"name": "bomb", "connection_string": "rtsp://c/", "metadata": %s}'
    bombs = [
        '{"a":' * 100_000,
        "[" * 500_000,
        '{"a":' * 50_000 + "1" + "}" * 50_000,
        camera % ('{"a":' * 5_000 + "1" + "}" * 5_000),
        camera % ("[" * 20_000 + "]" * 20_000),
        camera % ('{"n": ' + "9" * 500_000 + "}"),
        camera % '{"n": 1e999999}',
        camera % ('{"n": -' + "9" * 300_000 + ".5e308}"),
        camera % ("{" + ",".join(f'"k{i}": {i}' for i in range(40_000)) + "}"),
        camera % ("{" + ",".join('"same": 1' for _ in range(60_000)) + "}"),
        camera % ('{"s": "' + "\\u0000" * 100_000 + '"}'),
        camera % ('{"s": "' + "\\ud800" * 100_000 + '"}'),
        camera % '{"n": NaN}',
        '{"name": "' + "x" * 900_000 + '"}',
        '{"name": ["' + '","'.join(["x"] * 100_000) + '"]}',
        '{"zone_config": {"zones": [' + ",".join(['{"polygon": [[0,0]]}'] * 30_000) + "]}}",
    ]
    for bomb in bombs if target.thorough else target.dice.sample(bombs, 6):
        answer = await target.ask("POST", "/cameras", content=bomb)
        assert answer.status_code in {400, 413}, f"{answer.status_code} for {bomb[:80]}"
        target.figures["bombs"] += 1


async def forged_page_tokens(target: Target) -> None:
    """Of another list, changed, made up; and with the mark of the right list around any key."""
    lists = _lists()
    for path in lists if target.thorough else target.dice.sample(lists, 4):
        for token in await _tokens(target, path):
            answer = await target.ask("GET", path, params={"page_token": token})
            # a key that nobody gave out is a place in the list like any other, if it is one
            assert answer.status_code in {200, 400}, f"{path}: {answer.status_code}"
            target.figures["forged_page_tokens"] += 1
        unmarked = encode_opaque(["0" * 16, "x"]), encode_opaque(["0" * 16, "x", "x"])
        for token in (
            *unmarked,
            "x",
            "W10",
            "a" * 2048,
            "eyJhIjoxfQ",
            "\0",
            "../..",
            encode_opaque([1]),
        ):
            answer = await target.ask("GET", path, params={"page_token": token})
            assert answer.status_code == 400, f"{path}: {answer.status_code} for {token[:20]!r}"
            target.figures["forged_page_tokens"] += 1


def _lists() -> list[str]:
    pool = descriptor_pool.Default()
    return sorted(
        binding.template
        for method in edge_methods(("control_plane",))
        for binding in method.bindings
        if binding.verb == "GET"
        and "{" not in binding.template
        and "page_token"
        in pool.FindMethodByName(f"{method.service}.{method.name}").input_type.fields_by_name
    )


async def _tokens(target: Target, path: str) -> list[str]:
    """Return tokens that carry the right mark of this list, and keys that nobody has."""
    page = await target.ask("GET", path, params={"page_size": 1})
    body = page.json()
    given_out = page.headers.get("x-next-page-token") or (
        body.get("next_page_token") if isinstance(body, dict) else None
    )
    if not given_out:
        return []
    mark, *key = json.loads(base64.urlsafe_b64decode(given_out + "=" * (-len(given_out) % 4)))
    hostile = (
        "", "\0", "\U0001f600", "9" * 400, "-1", "NaN", "' OR 1=1 --", "2026-13-45", "x" * 900,
        "0001-01-01T00:00:00+00:00", "9999-12-31T23:59:59.999999+00:00", "\u202e", "null",
        "99999999999999999999", "2026-01-01T00:00:00+25:00",
    )  # fmt: skip
    made = [encode_opaque([mark, *([value] * len(key))]) for value in hostile]
    made += [encode_opaque([mark, *key[:-1], value]) for value in hostile]
    return [*made, encode_opaque([mark]), encode_opaque([mark, *key, "more"])]


async def request_id_with_another_body(target: Target) -> None:
    """The same request again is the same thing; another one under its id is a conflict."""
    kinds: dict[str, dict[str, Any]] = {
        "/cameras": {"connection_string": "rtsp://c/"},
        "/persons": {},
        "/watch-lists": {},
        "/alert-rules": {"kind": "worker_error"},
        "/webhooks": {"url": "https://receiver.example/hook"},
    }
    for path, fields in kinds.items():
        name = f"once {new_id()}"
        body = {"name": name, "request_id": new_id(), **fields}
        at_once = await asyncio.gather(*(target.ask("POST", path, json=body) for _ in range(5)))
        made = {answer.json()["data"]["id"] for answer in at_once}
        assert len(made) == 1, f"{path}: made {len(made)} times"
        other = await target.ask("POST", path, json=body | {"name": f"other {new_id()}"})
        told = other.json()
        assert other.status_code == 409, f"{path}: {other.status_code}"
        assert told["details"][0]["reason"] == "REQUEST_ID_REUSED"
        deleted = await target.ask("DELETE", f"{path}/{made.pop()}")
        assert deleted.status_code in {200, 204}


async def paths_that_lead_elsewhere(target: Target) -> None:
    for path in (
        "/..", "/../../etc/passwd", "/cameras/..%2f..%2fetc", "/%2e%2e/%2e%2e/", "//etc/passwd",
        "/cameras/%00", "/cameras;admin", "/cameras/../admin/keys", "/admin/keys/..;/", "/.git",
        "/cameras?page_size=1&page_size=2", "/cameras#x", "/cameras/" + "%41" * 1000, "*",
        "/dfip.control_plane.v1.AdminService/RotateKeys", "/healthz/../admin/keys",
    ):  # fmt: skip
        token = target.token("viewer").encode()
        text = b"GET " + path.encode() + b" HTTP/1.1\r\n" + BEARER % token + b"\r\n"
        answer = await raw.answer(*target.where, text)
        target.judge_raw(answer, 200, 400, 403, 404, 405, 415, 431)
        assert b"root:" not in answer.body
        assert not (answer.status == 200 and b"data_keys" in answer.body)


REQUESTS: tuple[Attack, ...] = (
    generated_requests,
    json_bombs,
    forged_page_tokens,
    request_id_with_another_body,
    paths_that_lead_elsewhere,
)
