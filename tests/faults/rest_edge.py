"""The row "REST edge": whatever is sent to the port, who asks properly is answered as ever.

``rest_edge_world`` has the honest callers and what must hold; here is what strangers, and callers
with a token and bad intent, do meanwhile.
"""

import asyncio
import base64
import contextlib
import json
import random
import tempfile
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import Any

import httpx
from google.protobuf import descriptor_pool
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import seed as seeded

from deploy.envoy.contracts import edge_methods
from service_runtime.identifiers import new_id
from service_runtime.opaque_tokens import encode_opaque
from tests.faults.rest_edge_world import SMUGGLED, World, running_world
from tests.faults.row import Figures, Row, inject, names
from tests.support import raw_http as raw
from tests.support.engines import POSTGRES, SQLITE, engine_for_all
from tests.support.rest_requests import RestRequest, rest_requests

NAME = "REST edge"
_CUT_OFF_WITHIN_S = 20
_HEAD = b"host: x\r\nauthorization: Bearer %s\r\n"

Fault = Callable[[World], Awaitable[None]]


# ---- what is asked for


async def generated_requests(world: World) -> None:
    count = world.many(30, 100)
    for request in _drawn(count, world.dice.getrandbits(32)):
        # the others' tokens are no matter of this row
        if "keys:rotate" not in request.path and "/subjects/" not in request.path:
            await world.rest.send(request)
            world.figures["requests"] += 1


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


async def json_bombs(world: World) -> None:
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
    for bomb in bombs if world.thorough else world.dice.sample(bombs, 6):
        answer = await world.ask("POST", "/cameras", content=bomb)
        assert answer.status_code in {400, 413}, f"{answer.status_code} for {bomb[:80]}"
        world.figures["bombs"] += 1


async def forged_page_tokens(world: World) -> None:
    """Of another list, changed, made up; and with the mark of the right list around any key."""
    lists = _lists()
    for path in lists if world.thorough else world.dice.sample(lists, 4):
        for token in await _tokens(world, path):
            answer = await world.ask("GET", path, params={"page_token": token})
            # a key that nobody gave out is a place in the list like any other, if it is one
            assert answer.status_code in {200, 400}, f"{path}: {answer.status_code}"
            world.figures["forged_page_tokens"] += 1
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
            answer = await world.ask("GET", path, params={"page_token": token})
            assert answer.status_code == 400, f"{path}: {answer.status_code} for {token[:20]!r}"
            world.figures["forged_page_tokens"] += 1


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


async def _tokens(world: World, path: str) -> list[str]:
    """Return tokens that carry the right mark of this list, and keys that nobody has."""
    page = await world.ask("GET", path, params={"page_size": 1})
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


async def request_id_with_another_body(world: World) -> None:
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
        at_once = await asyncio.gather(*(world.ask("POST", path, json=body) for _ in range(5)))
        made = {answer.json()["data"]["id"] for answer in at_once}
        assert len(made) == 1, f"{path}: made {len(made)} times"
        other = await world.ask("POST", path, json=body | {"name": f"other {new_id()}"})
        told = other.json()
        assert other.status_code == 409, f"{path}: {other.status_code}"
        assert told["details"][0]["reason"] == "REQUEST_ID_REUSED"
        deleted = await world.ask("DELETE", f"{path}/{made.pop()}")
        assert deleted.status_code in {200, 204}


# ---- how it is sent


async def slow_headers(world: World) -> None:
    head = b"GET /cameras HTTP/1.1\r\nhost: x\r\n"
    async with raw.connections(*world.where, world.many(100, 600)) as slow:
        for _, writer in slow:
            writer.write(head)
        for number in range(5):
            for _, writer in slow:
                writer.write(b"x-h%d: 1\r\n" % number)
            await world.others_go_on()
        if world.thorough:
            async with asyncio.timeout(_CUT_OFF_WITHIN_S):
                for reader, _ in slow:
                    with contextlib.suppress(ConnectionError):
                        await reader.read()
                    world.figures["cut_off"] += 1


async def slow_bodies(world: World) -> None:
    token = world.site.token().reveal().encode()
    head = b"POST /persons HTTP/1.1\r\n" + _HEAD % token + b"content-length: 500\r\n\r\n{"
    async with raw.connections(*world.where, world.many(100, 600)) as slow:
        for _ in range(3):
            for _, writer in slow:
                writer.write(head)
            head = b" "
            await world.others_go_on()


async def readers_that_do_not_read(world: World) -> None:
    token = world.site.token("viewer").reveal().encode()
    ask = b"GET /events HTTP/1.1\r\n" + _HEAD % token + b"\r\n"
    async with raw.connections(*world.where, world.many(20, 90)) as deaf:
        for _, writer in deaf:
            writer.write(ask)
        for number in range(world.many(5, 20)):
            body = {"name": f"event {number} {new_id()}", "notes": "n" * 500}
            made = await world.ask("POST", "/persons", json=body)
            await world.ask("DELETE", f"/persons/{made.json()['data']['id']}")
        await world.others_go_on()


async def rapid_reset(world: World) -> None:
    """Thousands of requests a connection, each taken back at once (CVE-2023-44487)."""
    token = world.site.token("viewer").reveal()
    block = raw.head("GET", "/cameras", [("authorization", f"Bearer {token}")])
    flags = raw.END_HEADERS | raw.END_STREAM
    for _ in range(world.many(2, 6)):
        async with raw.connections(*world.where, 1) as ((reader, writer),):
            writer.write(raw.PREFACE + raw.frame(raw.SETTINGS))
            with contextlib.suppress(ConnectionError):
                for stream in range(1, 4001, 2):
                    writer.write(raw.frame(raw.HEADERS, block, flags=flags, stream=stream))
                    cancel = (8).to_bytes(4, "big")
                    writer.write(raw.frame(raw.RST_STREAM, cancel, stream=stream))
                    world.figures["resets"] += 1
                    if stream % 100 == 1:
                        await writer.drain()
                # the edge hangs up on who does so, long before the end
                async with asyncio.timeout(_CUT_OFF_WITHIN_S):
                    await reader.read()
        await world.others_go_on()


async def bombs_of_http2(world: World) -> None:
    """Headers without end, tables that swell, and frames that ask for an answer each."""
    token = world.site.token("viewer").reveal()
    block = raw.head("GET", "/cameras", [("authorization", f"Bearer {token}")])
    start = raw.PREFACE + raw.frame(raw.SETTINGS)
    opened = raw.frame(raw.HEADERS, block, stream=1)
    more = raw.frame(raw.CONTINUATION, raw.kept("x-a", "1"), stream=1)
    swollen = block + raw.kept("x-big", "b" * 3000) + b"\xbe" * 20_000
    parts = [swollen[at : at + 16_000] for at in range(0, len(swollen), 16_000)]
    continued = b"".join(raw.frame(raw.CONTINUATION, part, stream=1) for part in parts[1:])
    for bomb in (
        opened + more * 10_000,
        raw.frame(raw.HEADERS, parts[0], stream=1) + continued,
        raw.frame(raw.PING, b"\0" * 8) * 20_000,
        raw.frame(raw.SETTINGS) * 20_000,
        raw.frame(raw.PRIORITY, b"\0\0\0\0\1", stream=1) * 20_000,
        raw.frame(raw.WINDOW_UPDATE, (2**31 - 1).to_bytes(4, "big")) * 3,
        raw.frame(raw.HEADERS, b"\xff" * 100, flags=raw.END_HEADERS, stream=1),
        raw.frame(raw.DATA, b"x" * 100, stream=1),
    ):
        async with raw.connections(*world.where, 1) as ((_, writer),):
            writer.write(start + bomb)
            # the edge hangs up on most of them; the others must not feel any
            await world.others_go_on(2)
        world.figures["bombs"] += 1


async def header_bombs(world: World) -> None:
    token = world.site.token().reveal().encode()
    start = b"GET /cameras HTTP/1.1\r\n" + _HEAD % token
    for bomb in (
        b"".join(b"h%d: 1\r\n" % number for number in range(120)),
        b"".join(b"h: %d\r\n" % number for number in range(5000)),
        b"a: " + b"a" * 9_000 + b"\r\n",
        b"a: " + b"a" * 1_000_000 + b"\r\n",
        b"a" * 60_000 + b": 1\r\n",
        b"cookie: " + b"a=b; " * 20_000 + b"\r\n",
    ):
        with contextlib.suppress(ConnectionError):  # hung up while we still wrote
            world.judge_raw(await raw.answer(*world.where, start + bomb + b"\r\n"), 431, 400)
        world.figures["bombs"] += 1
    long_path = b"GET /" + b"a" * 60_000 + b" HTTP/1.1\r\nhost: x\r\n\r\n"
    world.judge_raw(await raw.answer(*world.where, long_path), 431, 414, 400)


async def oversize_bodies(world: World) -> None:
    token = world.site.token().reveal().encode()
    length = b"POST /persons HTTP/1.1\r\n" + _HEAD % token + b"content-length: %d\r\n\r\n"
    chunked = b"POST /persons HTTP/1.1\r\n" + _HEAD % token + b"transfer-encoding: chunked\r\n\r\n"
    mebibyte = b"x" * (1 << 20)
    chunk = b"%x\r\n" % len(mebibyte) + mebibyte + b"\r\n"
    picture = b"POST /persons/%s/faces HTTP/1.1\r\n" % world.rest.known["persons"].encode()
    picture += _HEAD % token + b"content-type: image/jpeg\r\ncontent-length: %d\r\n\r\n"
    for parts in (
        [length % (3 << 20), *[mebibyte] * 3],
        [chunked, *[chunk] * 3, b"0\r\n\r\n"],
        [picture % (12 << 20), *[mebibyte] * 12],
    ):
        with contextlib.suppress(ConnectionError):
            world.judge_raw(await raw.answer(*world.where, *parts), 413)
        world.figures["oversize"] += 1


async def smuggling(world: World) -> None:
    """Requests in the body of others, where two readers might differ in where a body ends."""
    token = world.site.token().reveal().encode()
    body = json.dumps({"name": SMUGGLED}).encode()
    hidden = b"POST /persons HTTP/1.1\r\n" + _HEAD % token
    hidden += b"content-length: %d\r\n\r\n" % len(body) + body
    get = b"GET /nowhere HTTP/1.1\r\n" + _HEAD % token
    # whoever is served by the same connection next
    following = b"GET /nowhere HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n"
    post = b"POST /persons HTTP/1.1\r\n" + _HEAD % token
    encoded = b"transfer-encoding: chunked\r\n"
    ended = b"0\r\n\r\n" + hidden
    refused = (
        # both lengths, either way
        post + b"content-length: %d\r\n" % len(ended) + encoded + b"\r\n" + ended,
        post + encoded + b"content-length: 4\r\n\r\n" + b"5c\r\n" + hidden + b"\r\n0\r\n\r\n",
        # lengths that differ, lengths that are none
        post + b"content-length: 2\r\ncontent-length: %d\r\n\r\n{}" % (len(hidden) + 2) + hidden,
        post + b"content-length: +2\r\n\r\n{}" + hidden,
        post + b"content-length: 2, 2\r\n\r\n{}" + hidden,
        post + b"content-length: 0x2\r\n\r\n{}" + hidden,
        post + b"content-length: -1\r\n\r\n" + hidden,
        # an encoding that one reader knows and another does not
        post + b"transfer-encoding: xchunked\r\n\r\n" + ended,
        post + b"transfer-encoding: chunked, identity\r\n\r\n" + ended,
        post + b"transfer-encoding : chunked\r\n\r\n" + ended,
        post + b"transfer-encoding:\x0bchunked\r\n\r\n" + ended,
        post + b"transfer-encoding: chunked\r\ntransfer-encoding: cow\r\n\r\n" + ended,
        # ends of lines and of headers
        get + b"x: 1\rPOST /persons HTTP/1.1\r\n\r\n",
        get + b" folded: 1\r\n\r\n",
        get + b"x: a\0b\r\n\r\n",
        b"GET http://other/persons HTTP/1.1\r\nhost: x\r\nhost: y\r\n\r\n",
        # chunks whose size is none
        post + encoded + b"\r\n" + b"-1\r\n" + hidden + b"\r\n0\r\n\r\n",
        post + encoded + b"\r\n" + b"fffffffffffffffff\r\n" + hidden,
    )
    for attempt in refused if world.thorough else world.dice.sample(refused, 6):
        for answer in await raw.answers(*world.where, attempt, following):
            world.judge_raw(answer, 400, 401, 404, 411, 413, 415)
        world.figures["smuggling_attempts"] += 1
    # by HTTP/2, whose frames say where a body ends, with headers of HTTP/1.1 that say otherwise
    for extra in (
        [("content-length", "0")],
        [("transfer-encoding", "chunked")],
        [("connection", "keep-alive")],
        [("x", "1\r\nhost: y")],
    ):
        block = raw.head(
            "POST", "/persons", [("authorization", f"Bearer {token.decode()}"), *extra]
        )
        flags = raw.END_HEADERS
        async with raw.connections(*world.where, 1) as ((reader, writer),):
            writer.write(
                raw.PREFACE
                + raw.frame(raw.SETTINGS)
                + raw.frame(raw.HEADERS, block, flags=flags, stream=1)
                + raw.frame(raw.DATA, body, flags=raw.END_STREAM, stream=1)
                + raw.frame(raw.PING, b"\0" * 8)
            )
            writer.write_eof()
            with contextlib.suppress(ConnectionError):
                async with asyncio.timeout(_CUT_OFF_WITHIN_S):
                    await reader.read()
        world.figures["smuggling_attempts"] += 1


async def callers_that_hang_up(world: World) -> None:
    token = world.site.token().reveal().encode()
    body = json.dumps({"name": "left", "request_id": new_id()}).encode()
    whole = b"POST /persons HTTP/1.1\r\n" + _HEAD % token
    whole += b"content-length: %d\r\n\r\n" % len(body) + body
    for _ in range(world.many(30, 200)):
        async with raw.connections(*world.where, 1) as ((_, writer),):
            writer.write(whole[: world.dice.randrange(len(whole) + 1)])
            await asyncio.sleep(0)
    answer = await world.ask("GET", "/persons?page_size=1000")
    assert [one["name"] for one in answer.json()["data"]].count("left") <= 1


async def gibberish(world: World) -> None:
    for _ in range(world.many(20, 100)):
        noise = world.dice.randbytes(world.dice.randint(1, 3000))
        tls = b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03"
        start = world.dice.choice((b"", tls, raw.PREFACE, b"GET / HTTP/1.1\r\n", b"GET "))
        async with raw.connections(*world.where, 1) as ((reader, writer),):
            writer.write(start + noise)
            writer.write_eof()
            with contextlib.suppress(ConnectionError):
                async with asyncio.timeout(_CUT_OFF_WITHIN_S):
                    await reader.read()


async def paths_that_lead_elsewhere(world: World) -> None:
    for path in (
        "/..", "/../../etc/passwd", "/cameras/..%2f..%2fetc", "/%2e%2e/%2e%2e/", "//etc/passwd",
        "/cameras/%00", "/cameras;admin", "/cameras/../admin/keys", "/admin/keys/..;/", "/.git",
        "/cameras?page_size=1&page_size=2", "/cameras#x", "/cameras/" + "%41" * 1000, "*",
        "/dfip.control_plane.v1.AdminService/RotateKeys", "/healthz/../admin/keys",
    ):  # fmt: skip
        token = world.site.token("viewer").reveal().encode()
        text = b"GET " + path.encode() + b" HTTP/1.1\r\n" + _HEAD % token + b"\r\n"
        answer = await raw.answer(*world.where, text)
        world.judge_raw(answer, 200, 400, 403, 404, 405, 415, 431)
        assert b"root:" not in answer.body
        assert not (answer.status == 200 and b"data_keys" in answer.body)


async def backend_dies_mid_stream(world: World) -> None:
    """Who asks gets 503 as JSON, half an answer is broken off; afterwards all is well."""
    async with world.client.stream("GET", "/events", headers=world.bearer("viewer")) as stream:
        assert stream.status_code == 200
        chunks = stream.aiter_raw()
        await anext(chunks)
        world.may_be_away = True
        await world.line.cut()
        asked = [world.ask("GET", f"/cameras/{world.own_camera}") for _ in range(10)]
        asked += [world.ask("POST", "/persons", json={"name": "away"}) for _ in range(10)]
        statuses = {answer.status_code for answer in await asyncio.gather(*asked)}
        assert statuses == {503}, f"answered by {statuses} while the service was away"
        try:
            async with asyncio.timeout(_CUT_OFF_WITHIN_S):
                async for _ in chunks:
                    pass
        except httpx.RemoteProtocolError:
            world.figures["broken_off"] += 1
        else:
            raise AssertionError("half an answer looked like a whole one")
    await world.line.mend()
    await world.until_back()
    world.may_be_away = False
    people = await world.ask("GET", "/persons?page_size=1000")
    assert "away" not in people.text, "503, and made all the same"
    world.figures["outages"] += 1


FAULTS: tuple[Fault, ...] = (
    generated_requests,
    json_bombs,
    forged_page_tokens,
    request_id_with_another_body,
    slow_headers,
    slow_bodies,
    readers_that_do_not_read,
    rapid_reset,
    bombs_of_http2,
    header_bombs,
    oversize_bodies,
    smuggling,
    callers_that_hang_up,
    gibberish,
    paths_that_lead_elsewhere,
    backend_dies_mid_stream,
)


async def put_in(world: World, faults: Sequence[Fault], *, seed: int, rounds: int) -> Counter[str]:
    """Put every fault into a world; return what was counted."""
    count = await inject(faults, world, world.check, row=NAME, seed=seed, rounds=rounds)
    world.figures["faults_injected"] += count
    return world.figures


async def run(seed: int, size: int) -> Figures:
    """Run the whole row; times are those on SQLite."""
    found: Counter[str] = Counter()
    times: dict[str, float] = {}
    with tempfile.TemporaryDirectory(prefix="dfip-") as folder:
        for engine in (SQLITE, POSTGRES):
            with engine_for_all(engine):
                async with running_world(
                    Path(folder) / engine, dice=random.Random(seed), thorough=True
                ) as world:
                    found += await put_in(world, FAULTS, seed=seed, rounds=size)
                    times = times or world.times()
    return {key: found[key] for key in FIGURES} | times


FIGURES = (
    "faults_injected", "requests", "server_errors", "unavailable", "outages", "broken_off",
    "resets", "bombs", "smuggling_attempts", "forged_page_tokens", "cut_off",
)  # fmt: skip
ROW = Row(name=NAME, faults=names(FAULTS), run=run)
