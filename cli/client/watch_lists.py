"""What `dfip watch-lists …` does."""

import uuid
from collections.abc import Sequence

import grpc

from cli.client.access import Access, connected
from cli.client.lookup import is_id, only_one, person_id_of
from cli.client.pages import all_pages
from cli.output import Column, Output
from cli.talk import Talk
from dfip.control_plane.v1 import alert_pb2, alert_service_pb2, alert_service_pb2_grpc

WATCH_LIST: tuple[Column[alert_pb2.WatchList], ...] = (
    Column(title="id", value=lambda w: w.id),
    Column(title="name", value=lambda w: w.name),
    Column(
        title="people",
        value=lambda w: ",".join(w.person_ids),
        shown=lambda w: str(len(w.person_ids)),
    ),
    Column(title="description", value=lambda w: w.description, aside=True),
)


async def list_watch_lists(access: Access, output: Output) -> None:
    """Print every watch list."""
    async with connected(access) as channel:
        found = await _watch_lists(channel)
    output.listing(
        found,
        WATCH_LIST,
        empty="There is no watch list yet; make one with `dfip watch-lists create`.",
    )


async def create_watch_list(
    access: Access, output: Output, *, name: str, description: str, people: Sequence[str]
) -> None:
    """Make a watch list and print it."""
    async with connected(access) as channel:
        request = alert_service_pb2.CreateWatchListRequest(
            name=name,
            description=description,
            person_ids=[await person_id_of(channel, person) for person in people],
            request_id=str(uuid.uuid4()),
        )
        answer = await alert_service_pb2_grpc.AlertServiceStub(channel).CreateWatchList(request)
    output.record(answer.data, WATCH_LIST)


async def change_members(
    access: Access,
    output: Output,
    *,
    watch_list: str,
    added: Sequence[str] = (),
    removed: Sequence[str] = (),
) -> None:
    """Put people on a watch list or take them off, and print it.

    Raises:
        CommandFailed: somebody else changed the list at the same moment, among others.
    """
    async with connected(access) as channel:
        stub = alert_service_pb2_grpc.AlertServiceStub(channel)
        watch_list_id = await watch_list_id_of(channel, watch_list)
        plus = [await person_id_of(channel, person) for person in added]
        minus = {await person_id_of(channel, person) for person in removed}
        found = await stub.GetWatchList(
            alert_service_pb2.GetWatchListRequest(watch_list_id=watch_list_id)
        )
        members = [
            one for one in dict.fromkeys([*found.data.person_ids, *plus]) if one not in minus
        ]
        request = alert_service_pb2.UpdateWatchListRequest(
            watch_list_id=watch_list_id,
            members=alert_service_pb2.PersonIdList(person_ids=members),
            etag=found.data.etag,
        )
        answer = await stub.UpdateWatchList(request)
    output.record(answer.data, WATCH_LIST)


async def remove_watch_list(access: Access, output: Output, talk: Talk, *, watch_list: str) -> None:
    """Remove a watch list that no rule names."""
    async with connected(access) as channel:
        watch_list_id = await watch_list_id_of(channel, watch_list)
        await alert_service_pb2_grpc.AlertServiceStub(channel).DeleteWatchList(
            alert_service_pb2.DeleteWatchListRequest(watch_list_id=watch_list_id)
        )
    if output.as_json:
        output.text("", {"watch_list_id": watch_list_id})
    else:
        talk.say(f"The watch list {watch_list} is removed.")


async def watch_list_id_of(channel: grpc.aio.Channel, reference: str) -> str:
    """Return the id of the watch list with this id or exactly this name.

    Raises:
        CommandFailed: no list has this name, or several have.
    """
    if is_id(reference):
        return reference
    lists = await _watch_lists(channel)
    return only_one(
        reference, "watch list", lists, lambda w: w.name, lambda w: w.id, listing="watch-lists list"
    )


async def _watch_lists(channel: grpc.aio.Channel) -> list[alert_pb2.WatchList]:
    stub = alert_service_pb2_grpc.AlertServiceStub(channel)
    return await all_pages(stub.ListWatchLists, alert_service_pb2.ListWatchListsRequest())
