"""Events arrive one by one, in the form that a browser and a line reader expect."""

import asyncio
import json

import httpx
import pytest

from tests.transcoding.rooms import Rooms

pytestmark = pytest.mark.asyncio(loop_scope="module")


async def hung_up(rooms: Rooms) -> None:
    async with asyncio.timeout(5):
        await rooms.events.hung_up.wait()
    rooms.events.hung_up.clear()


async def test_sse_streams_message_by_message(client: httpx.AsyncClient, rooms: Rooms) -> None:
    rooms.events.queue.put_nowait("id: t1\ndata: {}")
    headers = {"last-event-id": "t0"}
    async with client.stream("GET", "/events?types=a&types=b", headers=headers) as response:
        assert response.status_code == 200
        assert response.headers["content-type"] == "text/event-stream"
        assert response.headers["cache-control"] == "no-store"
        chunks = response.aiter_raw()
        assert await anext(chunks) == b"id: t1\ndata: {}\n\n"
        rooms.events.queue.put_nowait("id: t2\ndata: {}")
        assert await anext(chunks) == b"id: t2\ndata: {}\n\n"
    await hung_up(rooms)
    assert rooms.recording.metadata["StreamEvents"]["last-event-id"] == "t0"
    assert rooms.recording.requests["StreamEvents"].types == ["a", "b"]


async def test_ndjson_is_one_object_a_line(client: httpx.AsyncClient, rooms: Rooms) -> None:
    rooms.events.queue.put_nowait("t1")
    async with client.stream("GET", "/events.ndjson") as response:
        assert response.headers["content-type"] == "application/x-ndjson"
        lines = response.aiter_lines()
        first = {"event": {"type": "camera.enabled"}, "resume_token": "t1", "events": []}
        assert json.loads(await anext(lines)) == first
        rooms.events.queue.put_nowait("t2")
        assert json.loads(await anext(lines))["resume_token"] == "t2"
    await hung_up(rooms)


async def test_a_stream_that_is_refused_is_an_error_as_any(client: httpx.AsyncClient) -> None:
    for path in ("/events", "/events.ndjson"):
        response = await client.get(path, headers={"authorization": "Bearer nonsense"})
        assert response.status_code == 401
        assert response.headers["content-type"] == "application/json"
        assert response.json()["code"] == 16
