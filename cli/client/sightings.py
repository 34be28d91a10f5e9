"""What `dfip sightings` does: lists what was seen, or follows it."""

import asyncio
from collections.abc import AsyncIterator

import grpc

from cli.client.access import Access, connected
from cli.client.lookup import camera_id_of, camera_names, person_id_of
from cli.client.pages import all_pages
from cli.client.times import full_time, short_time
from cli.output import Column, Output
from cli.talk import Talk
from dfip.control_plane.v1 import sighting_pb2, sighting_service_pb2, sighting_service_pb2_grpc

_RECONNECT_S = 1.0


def sighting_columns(names: dict[str, str]) -> tuple[Column[sighting_pb2.Sighting], ...]:
    """Return how sightings are shown; `names` has the name of each camera by its id."""
    return (
        Column(title="id", value=lambda s: s.id, aside=True),
        Column(
            title="seen",
            value=lambda s: full_time(s.started_at),
            shown=lambda s: short_time(s.started_at),
        ),
        Column(
            title="camera",
            value=lambda s: s.camera_id,
            shown=lambda s: names.get(s.camera_id, s.camera_id),
        ),
        Column(title="decision", value=lambda s: s.decision),
        Column(title="person id", value=lambda s: s.person_id, aside=True),
        Column(title="person", value=_person),
        Column(title="score", value=lambda s: f"{s.score:.3f}"),
        Column(title="threshold", value=lambda s: f"{s.threshold:.3f}"),
        Column(
            title="margin",
            value=lambda s: f"{s.margin:.3f}" if s.HasField("margin") else "",
            shown=lambda s: f"{s.margin:.3f}" if s.HasField("margin") else "-",
        ),
        Column(title="frames", value=lambda s: str(s.frames), aside=True),
        Column(title="quality", value=lambda s: f"{s.quality.score:.2f}", aside=True),
    )


def describe_sighting(sighting: sighting_pb2.Sighting, names: dict[str, str]) -> str:
    """Return a sighting as one line for people."""
    camera = names.get(sighting.camera_id, sighting.camera_id)
    margin = f"{sighting.margin:.3f}" if sighting.HasField("margin") else "-"
    return (
        f"{short_time(sighting.started_at)}  {camera:<16}  {sighting.decision:<7}  "
        f"{_person(sighting) or '-':<20}  score {sighting.score:.3f}  "
        f"threshold {sighting.threshold:.3f}  margin {margin}  frames {sighting.frames}  "
        f"id {sighting.id}"
    )


async def list_sightings(
    access: Access, output: Output, *, camera: str, person: str, limit: int
) -> None:
    """Print the newest sightings, newest first."""
    async with connected(access) as channel:
        stub = sighting_service_pb2_grpc.SightingServiceStub(channel)
        request = sighting_service_pb2.ListSightingsRequest(
            camera_id=await camera_id_of(channel, camera) if camera else "",
            person_id=await person_id_of(channel, person) if person else "",
        )
        found = await all_pages(stub.ListSightings, request, limit=limit)
        names = await camera_names(channel)
    output.listing(found, sighting_columns(names), empty="Nobody was seen yet.")


async def follow_sightings(
    access: Access, output: Output, talk: Talk, *, camera: str, person: str, limit: int | None
) -> None:
    """Print sightings as they come and change, a line each, until `limit` or for ever."""
    async with connected(access) as channel:
        camera_id = await camera_id_of(channel, camera) if camera else ""
        person_id = await person_id_of(channel, person) if person else ""
        names = await camera_names(channel)
        columns = sighting_columns(names)
        printed = 0
        async for sighting in _watch(channel, camera_id, talk):
            if person_id and sighting.person_id != person_id:
                continue
            if sighting.camera_id not in names:
                names.update(await camera_names(channel))
            output.line(sighting, columns, sentence=lambda s: describe_sighting(s, names))
            printed += 1
            if limit is not None and printed >= limit:
                return


async def _watch(
    channel: grpc.aio.Channel, camera_id: str, talk: Talk
) -> AsyncIterator[sighting_pb2.Sighting]:
    """Yield sightings for ever; a broken stream goes on where it ended."""
    stub = sighting_service_pb2_grpc.SightingServiceStub(channel)
    resume_token, was_there = "", False
    while True:
        request = sighting_service_pb2.WatchSightingsRequest(
            camera_id=camera_id, resume_token=resume_token
        )
        try:
            async for message in stub.WatchSightings(request):
                was_there = True
                resume_token = message.resume_token or resume_token
                for sighting in message.sightings:
                    yield sighting
        except grpc.aio.AioRpcError as error:
            if not was_there or error.code() is not grpc.StatusCode.UNAVAILABLE:
                raise
        if was_there:
            talk.say("The connection was lost; following goes on as soon as it is back.", "warning")
            was_there = bool(resume_token)
        await asyncio.sleep(_RECONNECT_S)


def _person(sighting: sighting_pb2.Sighting) -> str:
    return sighting.person_name or sighting.person_id
