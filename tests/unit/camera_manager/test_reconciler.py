"""The reconciler makes reality what is wanted, whatever happens meanwhile."""

import itertools
from datetime import timedelta

import pytest

from camera_manager.runtimes.port import EndKind
from service_runtime.errors import FailedPrecondition, NotFound
from service_runtime.identifiers import new_id
from tests.support.virtual_clock import settle
from tests.unit.camera_manager.site import Site, running_site

CAMERA, OTHER = new_id(), new_id()


async def crash(site: Site, camera_id: str = CAMERA, kind: EndKind = EndKind.CRASHED) -> None:
    site.place.end(camera_id, kind)
    await settle()


async def test_an_enabled_camera_gets_a_worker_in_a_new_epoch_and_the_record_says_so() -> None:
    async with running_site() as site:
        site.plane.put(CAMERA)
        await site.pass_time(0.1, beat=False)
        worker = site.place.living()[CAMERA]
        assert worker.epoch == site.plane.cameras[CAMERA].epoch == 1
        (_, spec), *more = site.place.started
        assert not more
        assert spec.token.reveal() == f"token-of-{CAMERA}-1"
        row = site.plane.cameras[CAMERA].row
        assert (row.worker_status, row.pod_name) == ("starting", f"camera-worker-{CAMERA}")
        assert row.observed_generation == 1


async def test_a_disabled_camera_loses_its_worker_and_the_record_says_so() -> None:
    async with running_site() as site:
        site.plane.put(CAMERA)
        await site.pass_time(20)
        site.plane.put(CAMERA, wanted=False)
        await site.pass_time(1)
        assert not site.place.living()
        assert site.status(CAMERA) == "stopped"
        assert site.place.stops == [(CAMERA, "stopped", 5.0)]


async def test_a_removed_camera_loses_its_worker_and_what_it_left() -> None:
    async with running_site() as site:
        site.plane.put(CAMERA)
        await site.pass_time(20)
        site.plane.remove(CAMERA)
        await site.pass_time(1)
        assert not site.place.held
        assert site.place.erased == [CAMERA]


async def test_a_camera_removed_while_the_manager_was_dead_is_erased_by_the_next() -> None:
    async with running_site() as site:
        site.plane.put(CAMERA)
        await site.pass_time(20)
        await site.kill_manager()
        site.plane.remove(CAMERA)
        await site.start_manager()
        await site.pass_time(1)
        assert not site.place.held
        assert site.place.erased == [CAMERA]


async def test_each_change_of_state_is_written_once() -> None:
    async with running_site() as site:
        site.plane.put(CAMERA)
        await settle()
        assert site.plane.writes == 2  # the epoch and `starting`
        await site.pass_time(20)
        await crash(site)
        assert site.plane.writes == 3  # `backoff`
        await site.pass_time(20)
        assert site.plane.writes == 5  # the epoch and `starting`
        site.plane.put(CAMERA, wanted=False)
        await site.pass_time(20)
        assert site.plane.writes <= 7  # `stopping` where there was time for it, and `stopped`
        assert site.status(CAMERA) == "stopped"


async def test_nothing_is_written_while_nothing_changes() -> None:
    async with running_site() as site:
        site.plane.put(CAMERA)
        site.plane.put(OTHER, wanted=False)
        await site.pass_time(30)
        writes = site.plane.writes
        await site.pass_time(3600)
        assert site.plane.writes == writes


async def test_nothing_is_written_while_a_failed_camera_waits() -> None:
    async with running_site() as site:
        site.plane.put(CAMERA)
        await site.pass_time(1)
        await crash(site, kind=EndKind.BAD_SETTINGS)
        await site.pass_time(1)
        writes = site.plane.writes
        await site.pass_time(3600)
        assert site.status(CAMERA) == "failed"
        assert site.plane.writes == writes
        assert len(site.place.started) == 1


async def test_a_worker_that_crashed_once_is_back_within_a_second() -> None:
    async with running_site() as site:
        site.plane.put(CAMERA)
        await site.pass_time(20)
        await crash(site, kind=EndKind.KILLED)
        row = site.plane.cameras[CAMERA].row
        assert (row.worker_status, row.failure_reason, row.error_count) == ("backoff", "killed", 1)
        assert site.clock.now() <= row.next_retry_at.ToDatetime(site.clock.now().tzinfo)
        await site.pass_time(1)
        assert site.place.living()[CAMERA].epoch == 2


async def test_a_worker_that_keeps_crashing_is_started_ever_more_rarely_but_never_given_up() -> (
    None
):
    async with running_site() as site:
        site.plane.put(CAMERA)
        for _ in range(4 * 360):
            await site.pass_time(10, beat=False)
            await crash(site)
        times = [at for at, _ in site.place.started]
        assert (
            4 * 3600 / 300 <= len(times) <= 160
        )  # at least one in 5 minutes, half of it on average
        assert times[-1] > 3.9 * 3600
        assert max(b - a for a, b in itertools.pairwise(times)) <= 300 + 10


async def test_ten_minutes_of_life_wipe_the_failures() -> None:
    async with running_site() as site:
        site.plane.put(CAMERA)
        await site.pass_time(1)
        for _ in range(8):
            await crash(site)
            while CAMERA not in site.place.living():
                await site.pass_time(5)
        await site.pass_time(601)
        await crash(site)
        assert site.plane.cameras[CAMERA].row.error_count == 1
        await site.pass_time(1)
        assert CAMERA in site.place.living()


async def test_retry_skips_the_wait() -> None:
    async with running_site() as site:
        site.plane.put(CAMERA)
        await site.pass_time(1)
        while True:
            await crash(site)
            await site.pass_time(1, beat=False)
            if CAMERA not in site.place.living():
                break
        site.plane.retry(CAMERA)
        await settle()
        assert CAMERA in site.place.living()


async def test_retry_gives_a_hopeless_camera_another_chance_and_so_does_a_new_configuration() -> (
    None
):
    async with running_site() as site:
        site.plane.put(CAMERA)
        await site.pass_time(1)
        await crash(site, kind=EndKind.BAD_SETTINGS)
        await site.pass_time(600)
        assert CAMERA not in site.place.living()
        site.plane.retry(CAMERA)
        await settle()
        assert CAMERA in site.place.living()
        await crash(site, kind=EndKind.BAD_SETTINGS)
        await site.pass_time(600)
        assert CAMERA not in site.place.living()
        site.plane.change(CAMERA, generation=2)
        await settle()
        assert site.place.living()[CAMERA].generation == 2


async def test_a_refused_token_is_replaced_at_once_but_not_for_ever() -> None:
    async with running_site() as site:
        site.plane.put(CAMERA)
        await settle()
        await crash(site, kind=EndKind.TOKEN_REFUSED)
        assert site.place.living()[CAMERA].epoch == 2
        for _ in range(60):
            await crash(site, kind=EndKind.TOKEN_REFUSED)
            await site.pass_time(1, beat=False)
        assert len(site.place.started) < 20


async def test_a_camera_in_trouble_does_not_delay_a_healthy_one() -> None:
    async with running_site() as site:
        site.plane.put(CAMERA)
        await settle()
        site.place.hung.add(CAMERA)
        site.plane.put(CAMERA, wanted=False)  # takes its grace of 5 s to end
        await settle()
        site.plane.put(OTHER)
        await settle()
        assert OTHER in site.place.living()
        assert CAMERA in site.place.living()
        await site.clock.advance(5)
        assert CAMERA not in site.place.living()


async def test_a_place_that_cannot_start_workers_is_a_failure_with_backoff() -> None:
    async with running_site() as site:
        site.place.start_error = OSError(11, "Resource temporarily unavailable")
        site.plane.put(CAMERA)
        await site.pass_time(60)
        row = site.plane.cameras[CAMERA].row
        assert row.worker_status == "backoff"
        assert 2 <= row.error_count <= 20
        site.place.start_error = None
        await site.pass_time(300)
        assert CAMERA in site.place.living()


async def test_workers_live_on_while_the_control_plane_is_away() -> None:
    async with running_site() as site:
        site.plane.put(CAMERA)
        await site.pass_time(20)
        site.plane.set_away(away=True)
        await site.pass_time(3600)
        site.plane.set_away(away=False)
        await site.pass_time(60)
        assert site.place.living()[CAMERA].epoch == 1
        assert not site.place.stops


async def test_a_worker_that_dies_while_the_control_plane_is_away_is_healed_when_it_is_back() -> (
    None
):
    async with running_site() as site:
        site.plane.put(CAMERA)
        await site.pass_time(20)
        site.plane.set_away(away=True)
        await settle()
        await crash(site, kind=EndKind.KILLED)
        await site.pass_time(600)
        site.plane.set_away(away=False)
        await site.pass_time(10)
        assert site.place.living()[CAMERA].epoch == 2


async def test_a_silent_worker_is_killed_and_replaced() -> None:
    async with running_site() as site:
        site.plane.put(CAMERA)
        await site.pass_time(60)
        site.place.hung.add(CAMERA)
        await site.pass_time(44)
        assert not site.place.stops
        await site.pass_time(4)
        assert site.place.stops == [(CAMERA, "silent", 0.0)]
        assert site.place.living()[CAMERA].epoch == 2
        site.beat()
        await settle()
        assert site.status(CAMERA) == "running"


async def test_a_worker_that_was_never_heard_of_has_time_to_load_its_models() -> None:
    async with running_site() as site:
        site.plane.put(CAMERA)
        await settle()
        await site.pass_time(89, beat=False)
        assert not site.place.stops
        await site.pass_time(3, beat=False)
        assert site.place.stops == [(CAMERA, "silent", 0.0)]


async def test_heartbeats_that_the_watch_holds_back_do_not_kill_a_worker() -> None:
    async with running_site() as site:
        site.plane.pushes_heartbeats = False
        site.plane.put(CAMERA)
        await site.pass_time(1800)
        assert not site.place.stops
        assert site.place.living()[CAMERA].epoch == 1


async def test_a_restart_ends_the_worker_first_and_skips_every_wait() -> None:
    async with running_site() as site:
        site.plane.put(CAMERA)
        await site.pass_time(20)
        await site.reconciler.restart(CAMERA)
        assert CAMERA not in site.place.living()
        await settle()
        assert site.place.living()[CAMERA].epoch == 2
        await crash(site, kind=EndKind.BAD_SETTINGS)
        await site.reconciler.restart(CAMERA)
        await settle()
        assert site.place.living()[CAMERA].epoch == 3


async def test_a_restart_of_nothing_says_why() -> None:
    async with running_site() as site:
        site.plane.put(CAMERA, wanted=False)
        await settle()
        with pytest.raises(FailedPrecondition):
            await site.reconciler.restart(CAMERA)
        for unknown in (OTHER, "no-uuid", "../../etc"):
            with pytest.raises(NotFound):
                await site.reconciler.restart(unknown)


async def test_a_new_manager_adopts_what_lives() -> None:
    async with running_site() as site:
        site.plane.put(CAMERA)
        site.plane.put(OTHER)
        await site.pass_time(60)
        await site.kill_manager()
        site.plane.put(OTHER, wanted=False)
        await site.start_manager()
        await site.pass_time(120)
        assert site.place.living()[CAMERA].epoch == 1
        assert site.place.stops == [(OTHER, "stopped", 5.0)]


async def test_a_new_manager_goes_on_with_the_wait_of_the_old_one() -> None:
    async with running_site(seed=3) as site:
        camera = site.plane.put(CAMERA)
        await settle()
        while camera.row.worker_status != "backoff" or camera.row.error_count < 9:
            await crash(site)
            await site.pass_time(1, beat=False)
        await site.kill_manager()
        due = camera.row.next_retry_at.ToDatetime(site.clock.now().tzinfo)
        left = (due - site.clock.now()).total_seconds()
        started = len(site.place.started)
        await site.start_manager()
        await site.clock.advance(left - 0.1)
        assert len(site.place.started) == started
        await site.clock.advance(0.2)
        assert len(site.place.started) == started + 1
        await crash(site)
        assert camera.row.error_count == 10


async def test_a_new_manager_starts_the_worker_of_a_failing_source_again_within_a_second() -> None:
    async with running_site() as site:
        camera = site.plane.put(CAMERA)
        await site.pass_time(20)
        camera.row.worker_status = "backoff"
        camera.row.failure_reason = "timeout"
        camera.row.error_count = 9
        camera.row.next_retry_at.FromDatetime(site.clock.now() + timedelta(minutes=20))
        await site.kill_manager()
        await crash(site)  # nobody looks
        await site.start_manager()
        assert (camera.row.failure_reason, camera.row.error_count) == ("crashed", 1)
        await site.clock.advance(1.1)
        assert site.place.living()[CAMERA].epoch == 2


async def test_errors_of_a_source_do_not_delay_its_workers_next_life() -> None:
    async with running_site() as site:
        camera = site.plane.put(CAMERA)
        await site.pass_time(20)
        camera.row.worker_status = "backoff"
        camera.row.failure_reason = "timeout"
        camera.row.error_count = 9
        await site.kill_manager()
        await site.start_manager()
        await crash(site)
        await site.clock.advance(1.1)
        assert site.place.living()[CAMERA].epoch == 2


async def test_a_worker_of_an_epoch_that_is_over_is_ended() -> None:
    async with running_site() as site:
        site.plane.put(CAMERA)
        await site.pass_time(20)
        site.plane.change(CAMERA, epoch=7)
        await site.pass_time(1)
        assert site.place.stops == [(CAMERA, "superseded", 5.0)]
        assert site.place.living()[CAMERA].epoch == 8


async def test_a_database_that_was_set_back_ends_workers_of_epochs_it_does_not_know() -> None:
    async with running_site() as site:
        camera = site.plane.put(CAMERA)
        await site.pass_time(20)
        await crash(site)
        await site.pass_time(20)
        assert site.place.living()[CAMERA].epoch == 2
        camera.epoch = 0
        site.plane.replace_database()
        site.plane.set_away(away=True)
        await site.pass_time(5)
        site.plane.set_away(away=False)
        await site.pass_time(10)
        assert site.place.living()[CAMERA].epoch == camera.epoch == 1


async def test_a_refused_report_makes_the_manager_read_anew() -> None:
    async with running_site() as site:
        camera = site.plane.put(CAMERA)
        await site.pass_time(20)
        lists = site.plane.lists
        camera.epoch = 5  # nobody told the watch
        await crash(site)
        await site.pass_time(1)
        assert site.plane.lists > lists
        await site.pass_time(5)
        assert site.place.living()[CAMERA].epoch == camera.epoch


async def test_a_record_that_a_late_heartbeat_spoiled_is_put_right() -> None:
    async with running_site() as site:
        site.plane.put(CAMERA)
        await site.pass_time(20)
        site.plane.put(CAMERA, wanted=False)
        await settle()
        site.plane.heartbeat(CAMERA, 1)
        await site.pass_time(11)
        assert site.status(CAMERA) == "stopped"


async def test_a_thousand_cameras_converge_in_one_go() -> None:
    async with running_site() as site:
        ids = [new_id() for _ in range(1000)]
        for camera_id in ids:
            site.plane.put(camera_id)
        for _ in range(200):
            if len(site.place.living()) == len(ids):
                break
            await settle()
        assert site.place.living().keys() == set(ids)
        assert site.clock.now() - site.clock.now().replace(hour=0, minute=0) == timedelta(0)
