"""The index as its callers see it: a real server, real tokens, real models, on loopback."""

import asyncio
import io
from collections.abc import AsyncIterator

import grpc
import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from dfip.identity_index.v1 import embedding_pb2
from dfip.identity_index.v1 import identity_index_service_pb2 as index_pb2
from face_engine.packs import resolve_pack
from identity_index.embeddings import EmbeddingSpace
from tests.integration.identity_index.conftest import SPACE, ControlPlane, Index
from tests.integration.identity_index.refusals import error_info
from tests.support.media import media_path
from tests.unit.identity_index.vectors import faces_of, unit_vectors

FACES = faces_of(unit_vectors(60, 128), per_person=2)


def probes(*rows: int) -> embedding_pb2.EmbeddingBatch:
    return SPACE.write(np.stack([FACES[row].embedding for row in rows]))


def searching(*rows: int, k: int = 0, min_revision: int = 0) -> index_pb2.SearchRequest:
    return index_pb2.SearchRequest(probes=probes(*rows), k=k, min_revision=min_revision)


@pytest.fixture
async def ready(control_plane: ControlPlane, index: Index) -> Index:
    call = await control_plane.faces.next_call()
    call.tell(SPACE, added=FACES, revision=60)
    await index.search_loop.wait_for(60, patience_s=20)
    return index


async def test_search_answers_in_order_with_one_entry_a_person(ready: Index) -> None:
    answer = await ready.as_worker.Search(searching(40, 3, 11))
    assert answer.revision == 60
    assert [result.candidates[0].face_id for result in answer.results] == ["f40", "f3", "f11"]
    for result in answer.results:
        scores = [candidate.score for candidate in result.candidates]
        assert len(scores) == 5
        assert scores == sorted(scores, reverse=True)
        assert scores[0] == pytest.approx(1, abs=1e-5)
        assert len({candidate.person_id for candidate in result.candidates}) == 5
        assert {candidate.person_name for candidate in result.candidates} == {""}


async def test_k_is_honoured(ready: Index) -> None:
    answer = await ready.as_control_plane.Search(searching(0, k=100))
    assert len(answer.results[0].candidates) == 30
    answer = await ready.as_control_plane.Search(searching(0, k=2))
    assert len(answer.results[0].candidates) == 2


async def test_a_full_batch_of_256(ready: Index) -> None:
    rows = [at % 60 for at in range(256)]
    answer = await ready.as_worker.Search(searching(*rows, k=1))
    assert [result.candidates[0].face_id for result in answer.results] == [f"f{r}" for r in rows]


async def refused(call: "grpc.aio.Call") -> grpc.aio.AioRpcError:
    with pytest.raises(grpc.aio.AioRpcError) as error:
        await call
    return error.value


async def test_embeddings_of_another_pack_are_refused(ready: Index) -> None:
    batch = EmbeddingSpace(pack_id="other", dimension=128).write(FACES[0].embedding[None])
    error = await refused(ready.as_worker.Search(index_pb2.SearchRequest(probes=batch)))
    assert error.code() == grpc.StatusCode.FAILED_PRECONDITION
    assert error_info(error).reason == "PACK_MISMATCH"
    assert "one pack" in error.details()


@pytest.mark.parametrize("poison", [np.nan, np.inf, 0.0])
async def test_embeddings_without_a_direction_are_refused(ready: Index, poison: float) -> None:
    batch = SPACE.write(np.full((1, 128), poison, np.float32))
    error = await refused(ready.as_worker.Search(index_pb2.SearchRequest(probes=batch)))
    assert error.code() == grpc.StatusCode.INVALID_ARGUMENT
    assert error_info(error).reason == "EMBEDDING_INVALID"


async def test_a_search_without_probes_is_refused(ready: Index) -> None:
    error = await refused(ready.as_worker.Search(index_pb2.SearchRequest()))
    assert error.code() == grpc.StatusCode.INVALID_ARGUMENT


async def test_a_search_waits_for_the_revision_it_asks_for(
    control_plane: ControlPlane, index: Index
) -> None:
    call = await control_plane.faces.next_call()
    call.tell(SPACE, added=FACES[:59], revision=59)
    await index.search_loop.wait_for(59, patience_s=20)
    asked = index.as_control_plane.Search(searching(59, k=1, min_revision=60))
    before = await index.as_control_plane.Search(searching(59, k=1))
    assert before.results[0].candidates[0].face_id != "f59"
    call.tell(SPACE, added=FACES[59:], revision=60)
    answer = await asked
    assert answer.revision == 60
    assert answer.results[0].candidates[0].face_id == "f59"


async def test_a_revision_that_does_not_come_is_told_within_the_callers_deadline(
    ready: Index,
) -> None:
    error = await refused(ready.as_worker.Search(searching(0, min_revision=61), timeout=0.5))
    assert error.code() == grpc.StatusCode.DEADLINE_EXCEEDED
    assert error_info(error).reason == "INDEX_BEHIND"
    assert error_info(error).metadata["revision"] == "60"


async def test_before_the_first_snapshot_nobody_is_unknown(
    control_plane: ControlPlane, index: Index
) -> None:
    await control_plane.faces.next_call()
    call = index.as_worker.Identify(timeout=0.5)  # a stream, because clients repeat unary calls
    await call.write(index_pb2.IdentifyRequest(search=searching(0)))
    error = await refused(call.read())
    assert error.code() == grpc.StatusCode.UNAVAILABLE
    assert error_info(error).reason == "INDEX_NOT_READY"


async def test_identify_answers_every_batch_in_order(ready: Index) -> None:
    async def batches() -> AsyncIterator[index_pb2.IdentifyRequest]:
        for number in range(200):
            yield index_pb2.IdentifyRequest(
                request_number=1000 - number, search=searching(number % 60, (number + 7) % 60, k=1)
            )

    answers = [answer async for answer in ready.as_worker.Identify(batches())]
    assert [answer.request_number for answer in answers] == [1000 - at for at in range(200)]
    assert [
        [result.candidates[0].face_id for result in answer.search.results] for answer in answers
    ] == [[f"f{at % 60}", f"f{(at + 7) % 60}"] for at in range(200)]


async def test_many_streams_at_once(ready: Index) -> None:
    async def one(stream: int) -> list[str]:
        async def batches() -> AsyncIterator[index_pb2.IdentifyRequest]:
            for number in range(20):
                yield index_pb2.IdentifyRequest(
                    request_number=number, search=searching((stream + number) % 60, k=1)
                )

        return [
            answer.search.results[0].candidates[0].face_id
            async for answer in ready.as_worker.Identify(batches())
        ]

    found = await asyncio.gather(*(one(stream) for stream in range(16)))
    assert found == [[f"f{(stream + at) % 60}" for at in range(20)] for stream in range(16)]


async def test_a_bad_batch_ends_its_stream_and_is_named(ready: Index) -> None:
    call = ready.as_worker.Identify()
    await call.write(index_pb2.IdentifyRequest(request_number=41, search=searching(0)))
    assert (await call.read()).request_number == 41
    bad = index_pb2.SearchRequest(probes=SPACE.write(np.zeros((1, 128), np.float32)))
    await call.write(index_pb2.IdentifyRequest(request_number=42, search=bad))
    error = await refused(call.read())
    assert error.code() == grpc.StatusCode.INVALID_ARGUMENT
    info = error_info(error)
    assert (info.reason, info.metadata["request_number"]) == ("EMBEDDING_INVALID", "42")
    assert "embedding 0 is not of unit length" in error.details()


async def test_a_stream_outlives_a_change_of_the_gallery(
    control_plane: ControlPlane, index: Index
) -> None:
    watch = await control_plane.faces.next_call()
    watch.tell(SPACE, added=FACES[:10], revision=10)
    call = index.as_worker.Identify()
    await call.write(index_pb2.IdentifyRequest(search=searching(3, k=1, min_revision=10)))
    assert (await call.read()).search.results[0].candidates[0].face_id == "f3"
    watch.tell(SPACE, removed=["f3"], revision=11)
    await call.write(index_pb2.IdentifyRequest(search=searching(3, k=1, min_revision=11)))
    assert (await call.read()).search.results[0].candidates[0].face_id != "f3"
    await call.done_writing()
    assert await call.read() == grpc.aio.EOF


async def test_status(control_plane: ControlPlane, index: Index) -> None:
    status = await index.as_operator.GetIndexStatus(index_pb2.GetIndexStatusRequest())
    assert (status.success, status.data.ready, status.data.faces) == (True, False, 0)
    call = await control_plane.faces.next_call()
    call.tell(SPACE, added=FACES, revision=60)
    await index.search_loop.wait_for(60, patience_s=20)
    status = await index.as_operator.GetIndexStatus(index_pb2.GetIndexStatusRequest())
    assert status.data == index_pb2.IndexStatus(
        pack_id="builtin",
        faces=60,
        persons=30,
        revision=60,
        engine="faiss-flat",
        accelerator="cpu",
        memory_bytes=60 * 128 * 4,
        ready=True,
    )


async def test_roles(ready: Index) -> None:
    error = await refused(ready.as_operator.Search(searching(0)))
    assert error.code() == grpc.StatusCode.PERMISSION_DENIED
    error = await refused(ready.as_worker.AnalyzeFaces(index_pb2.AnalyzeFacesRequest(image=b"x")))
    assert error.code() == grpc.StatusCode.PERMISSION_DENIED


def jpeg(pixels: NDArray[np.uint8]) -> bytes:
    target = io.BytesIO()
    Image.fromarray(pixels).save(target, "JPEG", quality=95)
    return target.getvalue()


async def test_a_photograph_without_a_face(index: Index) -> None:
    grey = jpeg(np.full((240, 320, 3), 128, np.uint8))
    answer = await index.as_control_plane.AnalyzeFaces(
        index_pb2.AnalyzeFacesRequest(image=grey), timeout=60
    )
    assert list(answer.faces) == []
    assert answer.pack_id == "builtin"
    assert answer.match_threshold == pytest.approx(resolve_pack("builtin").thresholds.match)


@pytest.mark.parametrize(
    ("image", "reason"),
    [
        (b"Dear index, this is a letter.", "PICTURE_NOT_AN_IMAGE"),
        (b"GIF89a" + bytes(100), "PICTURE_UNSUPPORTED_FORMAT"),
        (jpeg(np.full((240, 320, 3), 128, np.uint8))[:-600], "PICTURE_TRUNCATED"),
    ],
)
async def test_what_is_no_photograph_is_refused_with_the_reason(
    index: Index, image: bytes, reason: str
) -> None:
    error = await refused(
        index.as_control_plane.AnalyzeFaces(index_pb2.AnalyzeFacesRequest(image=image), timeout=60)
    )
    assert error.code() == grpc.StatusCode.INVALID_ARGUMENT
    assert error_info(error).reason == reason
    assert error.details().endswith(".")


async def test_a_photograph_of_ten_mebibytes_passes_the_wire_and_one_more_byte_does_not(
    index: Index,
) -> None:
    small = jpeg(np.full((240, 320, 3), 128, np.uint8))
    most = 10 * 1024 * 1024
    padded = small + bytes(most - len(small))  # decoders ignore what follows the picture
    answer = await index.as_control_plane.AnalyzeFaces(
        index_pb2.AnalyzeFacesRequest(image=padded), timeout=60
    )
    assert list(answer.faces) == []
    error = await refused(
        index.as_control_plane.AnalyzeFaces(
            index_pb2.AnalyzeFacesRequest(image=padded + b"\0"), timeout=60
        )
    )
    assert error.code() == grpc.StatusCode.INVALID_ARGUMENT


@pytest.mark.media
async def test_a_photographed_face_is_found_again_by_another_photograph(
    control_plane: ControlPlane, index: Index
) -> None:
    faces = {}
    for name in ("obama_1", "obama_2", "biden_1"):
        image = media_path(f"data/{name}.jpg").read_bytes()
        answer = await index.as_control_plane.AnalyzeFaces(
            index_pb2.AnalyzeFacesRequest(image=image), timeout=60
        )
        assert len(answer.faces) >= 1
        faces[name] = answer.faces[0]
        box = faces[name].box
        assert 0 <= box.x < box.x + box.width <= 1 + 1e-6
        assert 0 <= box.y < box.y + box.height <= 1 + 1e-6
        with Image.open(io.BytesIO(faces[name].portrait)) as portrait:
            assert portrait.format == "JPEG"
            assert max(portrait.size) <= 512
            assert not portrait.getexif()
    call = await control_plane.faces.next_call()
    enrolled = SPACE.read(faces["obama_1"].embedding)
    call.tell(SPACE, added=faces_of(enrolled, prefix="obama"), revision=1)
    same = await index.as_worker.Search(
        index_pb2.SearchRequest(probes=faces["obama_2"].embedding, min_revision=1)
    )
    other = await index.as_worker.Search(
        index_pb2.SearchRequest(probes=faces["biden_1"].embedding, min_revision=1)
    )
    threshold = resolve_pack("builtin").thresholds.match
    assert same.results[0].candidates[0].score >= threshold
    assert other.results[0].candidates[0].score < threshold
