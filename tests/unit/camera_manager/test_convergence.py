"""Whatever happens, and in whatever order: once it is quiet, reality is what is wanted.

The place fails the test by itself when a second worker of a camera is started beside a living one.
"""

import asyncio
from collections.abc import Sequence

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from camera_manager.runtimes.port import EndKind
from service_runtime.identifiers import new_id
from tests.support.virtual_clock import settle
from tests.unit.camera_manager.site import Site

CAMERAS = [new_id() for _ in range(3)]
EVENTS = [
    "enable", "disable", "remove", "reconfigure", "retry", "restart",
    "crash", "kill", "drain", "refuse", "bad settings", "hang",
    "control plane away", "control plane back", "expire tokens", "steal epoch", "spoil record",
    "kill manager", "start manager", "no processes", "processes", "wait", "wait long",
]  # fmt: skip
ENDS = {
    "crash": EndKind.CRASHED,
    "kill": EndKind.KILLED,
    "drain": EndKind.DRAINED,
    "refuse": EndKind.TOKEN_REFUSED,
    "bad settings": EndKind.BAD_SETTINGS,
}

Event = tuple[str, int, int]


async def happen(  # noqa: PLR0912 one short branch an event
    site: Site, event: str, camera_id: str, *, managed: bool
) -> None:
    plane, place = site.plane, site.place
    known = camera_id in plane.cameras
    match event:
        case "enable" | "disable":
            plane.put(camera_id, wanted=event == "enable")
        case "remove" if known:
            plane.remove(camera_id)
        case "reconfigure" if known:
            plane.change(camera_id, generation=plane.cameras[camera_id].generation + 1)
        case "retry" if known:
            plane.retry(camera_id)
        case "restart" if known and managed:
            # whoever asks may be gone before the answer; both ways must be safe
            task = asyncio.create_task(site.reconciler.restart(camera_id))
            await settle(3)
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
        case _ if event in ENDS:
            place.end(camera_id, ENDS[event])
        case "hang":
            place.hung.update({camera_id} & place.living().keys())
        case "control plane away" | "control plane back":
            plane.set_away(away=event == "control plane away")
        case "expire tokens":
            plane.forget_feed()
        case "steal epoch" if known:
            plane.change(camera_id, epoch=plane.cameras[camera_id].epoch + 1)
        case "spoil record" if known:
            plane.heartbeat(camera_id, plane.cameras[camera_id].epoch)
        case "no processes":
            place.start_error = OSError(11, "Resource temporarily unavailable")
        case "processes":
            place.start_error = None
        case "wait":
            await site.pass_time(3)
        case "wait long":
            await site.pass_time(130)


async def play(events: Sequence[Event]) -> None:
    site = Site()
    await site.start_manager()
    managed = True
    try:
        for event, number, turns in events:
            if event == "kill manager" and managed:
                await site.kill_manager()
                managed = False
            elif event == "start manager" and not managed:
                await site.start_manager()
                managed = True
            else:
                await happen(site, event, CAMERAS[number], managed=managed)
            await settle(turns)  # 0: the next event comes before anybody has looked
        site.place.start_error = None
        site.plane.set_away(away=False)
        if not managed:
            await site.start_manager()
        for camera_id in site.plane.cameras:
            site.plane.retry(camera_id)  # a camera may have been given up rightly
        await site.pass_time(900)
        check(site)
        writes = site.plane.writes
        await site.pass_time(900)
        assert site.plane.writes == writes, "it writes although nothing changes"
        check(site)
    finally:
        await site.kill_manager()


def check(site: Site) -> None:
    living = site.place.living()
    wanted = {name for name, camera in site.plane.cameras.items() if camera.wanted}
    assert living.keys() == wanted
    for camera_id, camera in site.plane.cameras.items():
        if camera.wanted:
            assert living[camera_id].epoch == camera.epoch
        assert camera.row.worker_status == ("running" if camera.wanted else "stopped")


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    st.lists(
        st.tuples(st.sampled_from(EVENTS), st.integers(0, 2), st.sampled_from([0, 1, 5, 20])),
        max_size=40,
    )
)
def test_any_history_converges(events: list[Event]) -> None:
    asyncio.run(play(events))


async def test_a_known_hard_history_converges() -> None:
    await play(
        [
            ("enable", 0, 0), ("disable", 0, 0), ("enable", 0, 1), ("steal epoch", 0, 0),
            ("hang", 0, 0), ("kill manager", 0, 0), ("remove", 0, 0), ("enable", 0, 0),
            ("start manager", 0, 1), ("control plane away", 0, 1), ("kill", 0, 0),
            ("expire tokens", 0, 0), ("control plane back", 0, 0), ("wait", 0, 0),
        ]
    )  # fmt: skip
