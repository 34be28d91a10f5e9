"""Pictures pass the edge as they are, up to their limit."""

import hashlib
import random

import httpx
import pytest

from tests.transcoding.rooms import JPEG, Rooms

pytestmark = pytest.mark.asyncio(loop_scope="module")

MIB = 1 << 20


@pytest.mark.parametrize("size", [1, 3 * MIB, 10 * MIB])
async def test_a_raw_body_arrives_unchanged(
    client: httpx.AsyncClient, rooms: Rooms, size: int
) -> None:
    picture = random.Random(size).randbytes(size)
    response = await client.post(
        "/persons/p1/faces",
        content=picture,
        params={"face_index": 2, "force": "true"},
        headers={"content-type": "image/png"},
    )
    assert response.status_code == 201, response.text
    face = response.json()["data"]
    assert face["id"] == hashlib.sha256(picture).hexdigest()
    assert face["pack_id"] == "image/png"
    request = rooms.recording.requests["AddFace"]
    assert (request.person_id, request.face_index, request.force) == ("p1", 2, True)


async def test_a_picture_over_the_limit_is_413(client: httpx.AsyncClient) -> None:
    response = await client.post("/persons/p1/faces", content=bytes(12 * MIB))
    assert response.status_code == 413
    assert response.json()["code"] == 8
    assert response.json()["details"] == []


@pytest.mark.parametrize("shown", ["image", "context"])
async def test_a_picture_leaves_with_its_type(client: httpx.AsyncClient, shown: str) -> None:
    response = await client.get(f"/sightings/s1/{shown}")
    assert response.status_code == 200
    assert response.headers["content-type"] == "image/jpeg"
    assert response.content == JPEG
