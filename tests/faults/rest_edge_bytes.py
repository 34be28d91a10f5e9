"""How strangers, and callers with a token and bad intent, send what they send to the edge.

Each fault is done to a ``Target`` (``rest_edge_target``), whoever runs it. ``rest_edge_requests``
has what is bad in what is asked for.
"""

import asyncio
import contextlib
import json

from service_runtime.identifiers import new_id
from tests.faults.rest_edge_target import BEARER, SMUGGLED, Attack, Target
from tests.support import raw_http as raw

CUT_OFF_WITHIN_S = 20


async def slow_headers(target: Target) -> None:
    head = b"GET /cameras HTTP/1.1\r\nhost: x\r\n"
    async with raw.connections(*target.where, target.many(30, 600)) as slow:
        for _, writer in slow:
            writer.write(head)
        for number in range(target.many(3, 5)):
            for _, writer in slow:
                writer.write(b"x-h%d: 1\r\n" % number)
            await target.others_go_on()
        if target.thorough:
            async with asyncio.timeout(CUT_OFF_WITHIN_S):
                for reader, _ in slow:
                    with contextlib.suppress(ConnectionError):
                        await reader.read()
                    target.figures["cut_off"] += 1


async def slow_bodies(target: Target) -> None:
    token = target.token().encode()
    head = b"POST /persons HTTP/1.1\r\n" + BEARER % token + b"content-length: 500\r\n\r\n{"
    async with raw.connections(*target.where, target.many(30, 600)) as slow:
        for _ in range(3):
            for _, writer in slow:
                writer.write(head)
            head = b" "
            await target.others_go_on()


async def readers_that_do_not_read(target: Target) -> None:
    token = target.token("viewer").encode()
    ask = b"GET /events HTTP/1.1\r\n" + BEARER % token + b"\r\n"
    async with raw.connections(*target.where, target.many(20, 90)) as deaf:
        for _, writer in deaf:
            writer.write(ask)
        for number in range(target.many(5, 20)):
            body = {"name": f"event {number} {new_id()}", "notes": "n" * 500}
            made = await target.ask("POST", "/persons", json=body)
            await target.ask("DELETE", f"/persons/{made.json()['data']['id']}")
        await target.others_go_on()


async def rapid_reset(target: Target) -> None:
    """Thousands of requests a connection, each taken back at once (CVE-2023-44487)."""
    token = target.token("viewer")
    block = raw.head("GET", "/cameras", [("authorization", f"Bearer {token}")])
    flags = raw.END_HEADERS | raw.END_STREAM
    for _ in range(target.many(1, 6)):
        async with raw.connections(*target.where, 1) as ((reader, writer),):
            writer.write(raw.PREFACE + raw.frame(raw.SETTINGS))
            with contextlib.suppress(ConnectionError):
                for stream in range(1, 4001, 2):
                    writer.write(raw.frame(raw.HEADERS, block, flags=flags, stream=stream))
                    cancel = (8).to_bytes(4, "big")
                    writer.write(raw.frame(raw.RST_STREAM, cancel, stream=stream))
                    target.figures["resets"] += 1
                    if stream % 100 == 1:
                        await writer.drain()
                # the edge hangs up on who does so, long before the end
                async with asyncio.timeout(CUT_OFF_WITHIN_S):
                    await reader.read()
        await target.others_go_on()


async def bombs_of_http2(target: Target) -> None:
    """Headers without end, tables that swell, and frames that ask for an answer each."""
    token = target.token("viewer")
    block = raw.head("GET", "/cameras", [("authorization", f"Bearer {token}")])
    start = raw.PREFACE + raw.frame(raw.SETTINGS)
    opened = raw.frame(raw.HEADERS, block, stream=1)
    more = raw.frame(raw.CONTINUATION, raw.kept("x-a", "1"), stream=1)
    swollen = block + raw.kept("x-big", "b" * 3000) + b"\xbe" * 20_000
    parts = [swollen[at : at + 16_000] for at in range(0, len(swollen), 16_000)]
    continued = b"".join(raw.frame(raw.CONTINUATION, part, stream=1) for part in parts[1:])
    many = target.many(5_000, 20_000)
    for bomb in (
        opened + more * many,
        raw.frame(raw.HEADERS, parts[0], stream=1) + continued,
        raw.frame(raw.PING, b"\0" * 8) * many,
        raw.frame(raw.SETTINGS) * many,
        raw.frame(raw.PRIORITY, b"\0\0\0\0\1", stream=1) * many,
        raw.frame(raw.WINDOW_UPDATE, (2**31 - 1).to_bytes(4, "big")) * 3,
        raw.frame(raw.HEADERS, b"\xff" * 100, flags=raw.END_HEADERS, stream=1),
        raw.frame(raw.DATA, b"x" * 100, stream=1),
    ):
        async with raw.connections(*target.where, 1) as ((_, writer),):
            writer.write(start + bomb)
            # the edge hangs up on most of them; the others must not feel any
            await target.others_go_on(2)
        target.figures["bombs"] += 1


async def header_bombs(target: Target) -> None:
    token = target.token().encode()
    start = b"GET /cameras HTTP/1.1\r\n" + BEARER % token
    for bomb in (
        b"".join(b"h%d: 1\r\n" % number for number in range(120)),
        b"".join(b"h: %d\r\n" % number for number in range(5000)),
        b"a: " + b"a" * 9_000 + b"\r\n",
        b"a: " + b"a" * 1_000_000 + b"\r\n",
        b"a" * 60_000 + b": 1\r\n",
        b"cookie: " + b"a=b; " * 20_000 + b"\r\n",
    ):
        with contextlib.suppress(ConnectionError):  # hung up while we still wrote
            target.judge_raw(await raw.answer(*target.where, start + bomb + b"\r\n"), 431, 400)
        target.figures["bombs"] += 1
    long_path = b"GET /" + b"a" * 60_000 + b" HTTP/1.1\r\nhost: x\r\n\r\n"
    target.judge_raw(await raw.answer(*target.where, long_path), 431, 414, 400)


async def oversize_bodies(target: Target) -> None:
    token = target.token().encode()
    length = b"POST /persons HTTP/1.1\r\n" + BEARER % token + b"content-length: %d\r\n\r\n"
    chunked = b"POST /persons HTTP/1.1\r\n" + BEARER % token + b"transfer-encoding: chunked\r\n\r\n"
    mebibyte = b"x" * (1 << 20)
    chunk = b"%x\r\n" % len(mebibyte) + mebibyte + b"\r\n"
    picture = b"POST /persons/%s/faces HTTP/1.1\r\n" % target.rest.known["persons"].encode()
    picture += BEARER % token + b"content-type: image/jpeg\r\ncontent-length: %d\r\n\r\n"
    for parts in (
        [length % (3 << 20), *[mebibyte] * 3],
        [chunked, *[chunk] * 3, b"0\r\n\r\n"],
        [picture % (12 << 20), *[mebibyte] * 12],
    ):
        with contextlib.suppress(ConnectionError):
            target.judge_raw(await raw.answer(*target.where, *parts), 413)
        target.figures["oversize"] += 1


async def smuggling(target: Target) -> None:
    """Requests in the body of others, where two readers might differ in where a body ends."""
    token = target.token().encode()
    body = json.dumps({"name": SMUGGLED}).encode()
    hidden = b"POST /persons HTTP/1.1\r\n" + BEARER % token
    hidden += b"content-length: %d\r\n\r\n" % len(body) + body
    get = b"GET /nowhere HTTP/1.1\r\n" + BEARER % token
    # whoever is served by the same connection next
    following = b"GET /nowhere HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n"
    post = b"POST /persons HTTP/1.1\r\n" + BEARER % token
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
    attempts = refused if target.thorough else target.dice.sample(refused, 6)
    # at once: after an answer the edge leaves some of the connections open for a while
    for answers in await asyncio.gather(
        *(raw.answers(*target.where, attempt, following) for attempt in attempts)
    ):
        for answer in answers:
            target.judge_raw(answer, 400, 401, 404, 411, 413, 415)
        target.figures["smuggling_attempts"] += 1
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
        async with raw.connections(*target.where, 1) as ((reader, writer),):
            writer.write(
                raw.PREFACE
                + raw.frame(raw.SETTINGS)
                + raw.frame(raw.HEADERS, block, flags=flags, stream=1)
                + raw.frame(raw.DATA, body, flags=raw.END_STREAM, stream=1)
                + raw.frame(raw.PING, b"\0" * 8)
            )
            writer.write_eof()
            with contextlib.suppress(ConnectionError):
                async with asyncio.timeout(CUT_OFF_WITHIN_S):
                    await reader.read()
        target.figures["smuggling_attempts"] += 1


async def callers_that_hang_up(target: Target) -> None:
    token = target.token().encode()
    name = f"left {new_id()}"
    body = json.dumps({"name": name, "request_id": new_id()}).encode()
    whole = b"POST /persons HTTP/1.1\r\n" + BEARER % token
    whole += b"content-length: %d\r\n\r\n" % len(body) + body
    for _ in range(target.many(30, 200)):
        async with raw.connections(*target.where, 1) as ((_, writer),):
            writer.write(whole[: target.dice.randrange(len(whole) + 1)])
            await asyncio.sleep(0)
    answer = await target.ask("GET", "/persons?page_size=1000")
    assert [one["name"] for one in answer.json()["data"]].count(name) <= 1


async def gibberish(target: Target) -> None:
    for _ in range(target.many(20, 100)):
        noise = target.dice.randbytes(target.dice.randint(1, 3000))
        tls = b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03"
        start = target.dice.choice((b"", tls, raw.PREFACE, b"GET / HTTP/1.1\r\n", b"GET "))
        async with raw.connections(*target.where, 1) as ((reader, writer),):
            writer.write(start + noise)
            writer.write_eof()
            with contextlib.suppress(ConnectionError):
                async with asyncio.timeout(CUT_OFF_WITHIN_S):
                    await reader.read()


BYTES: tuple[Attack, ...] = (
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
)
