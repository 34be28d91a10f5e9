"""What waits for a worker is bounded: news of a kind replaces older news of it."""

import contextlib

import pytest

from control_plane.gateway.outbox import Outbox
from dfip.control_plane.v1.worker_gateway_service_pb2 import Assignment
from service_runtime.errors import Aborted


async def kinds_until_closed(outbox: Outbox) -> list[str | None]:
    return [message.WhichOneof("message") async for message in outbox.messages()]


async def test_news_replaces_older_news_of_its_kind() -> None:
    outbox = Outbox()
    for number in range(1, 1001):
        outbox.acknowledge(number)
        outbox.assign(Assignment(generation=number))
        outbox.retry()
    outbox.close()
    messages = [message async for message in outbox.messages()]
    assert [message.WhichOneof("message") for message in messages] == [
        "acknowledgement",
        "assignment",
        "retry",
    ]
    assert messages[0].acknowledgement.sequence == 1000
    assert messages[1].assignment.generation == 1000


async def test_an_acknowledgement_never_goes_back() -> None:
    outbox = Outbox()
    outbox.acknowledge(7)
    outbox.acknowledge(3)
    outbox.close()
    messages = [message async for message in outbox.messages()]
    assert [message.acknowledgement.sequence for message in messages] == [7]


async def test_drain_comes_last() -> None:
    outbox = Outbox()
    outbox.drain("stopped")
    outbox.acknowledge(1)
    outbox.close()
    assert await kinds_until_closed(outbox) == ["acknowledgement", "drain"]


async def test_nothing_is_said_twice() -> None:
    outbox = Outbox()
    outbox.acknowledge(1)
    async with contextlib.aclosing(outbox.messages()) as messages:
        assert (await anext(messages)).acknowledgement.sequence == 1
        outbox.retry()
        assert (await anext(messages)).WhichOneof("message") == "retry"


async def test_what_is_there_is_said_before_the_error() -> None:
    outbox = Outbox()
    outbox.acknowledge(1)
    outbox.close(Aborted("STREAM_REPLACED", "Another."))
    outbox.close()
    said = []
    with pytest.raises(Aborted):
        async for message in outbox.messages():
            said.append(message.acknowledgement.sequence)  # noqa: PERF401 - it ends in an error
    assert said == [1]
