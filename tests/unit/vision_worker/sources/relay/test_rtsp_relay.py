"""Cameras of RTSP through the relay: real PyAV, real sockets, cameras that do what they like."""

import gc
import os
import socket
import threading
import traceback
from collections.abc import Callable
from contextlib import closing, suppress
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest

from tests.support.canary import Canary
from tests.support.rtsp_camera import PASSWORD, USER, Answer, Request, Script, answered, h264
from tests.unit.vision_worker.sources.relay.conftest import (
    IMPATIENT,
    SHORT,
    USUAL,
    Cameras,
    decoded,
    open_camera,
    policy,
    watch,
)
from vision_worker.sources.failure import SourceFailure
from vision_worker.sources.policy import SourcePolicy, camera_addresses

Units = list[list[bytes]]


@pytest.mark.parametrize("scheme", ["", "basic", "md5", "md5-old", "sha-256"])
def test_pictures_arrive_whole_and_in_order(cameras: Cameras, units: Units, scheme: str) -> None:
    camera = cameras(Script(pictures=units, scheme=scheme))
    seen = watch(open_camera(camera.port))
    assert seen.numbers == pytest.approx(list(range(40)), abs=1)
    assert seen.failure is not None
    assert seen.failure.reason == "ended"
    if scheme != "basic":
        assert PASSWORD.encode() not in bytes(camera.heard)


def test_libav_learns_neither_camera_nor_credentials(
    cameras: Cameras, units: Units, monkeypatch: pytest.MonkeyPatch
) -> None:
    told: list[str] = []
    really_open = av.open

    def listening(*args: Any, **options: Any) -> object:
        told.append(f"{args} {options}")
        return really_open(*args, **options)

    monkeypatch.setattr(av, "open", listening)
    camera = cameras(Script(pictures=units, scheme="md5"))
    assert watch(open_camera(camera.port)).numbers
    (one,) = told
    assert not any(word in one for word in (USER, PASSWORD, str(camera.port), "live"))
    assert "'protocol_whitelist': 'rtsp,tcp'" in one


def test_a_nonce_that_grows_old_is_renewed(cameras: Cameras, units: Units) -> None:
    camera = cameras(Script(pictures=units, scheme="md5", stale_after=2))
    assert len(watch(open_camera(camera.port)).numbers) == 40


def test_a_foreign_picture_before_and_sound_beside_are_left_out(
    cameras: Cameras, units: Units
) -> None:
    other = "m=audio 0 RTP/AVP 0\r\na=control:trackID=0"
    # media of a stream that nobody set up comes as well
    camera = cameras(
        Script(pictures=units, extra_media=other, between=b"$\x04\x00\x03abc$\x01\x00\x01x\r\n")
    )
    assert len(watch(open_camera(camera.port)).numbers) == 40
    assert [one.uri.rpartition("/")[2] for one in camera.requests if one.method == "SETUP"] == [
        "trackID=1"
    ]


@pytest.mark.parametrize(
    ("order", "wanted"),
    [
        (list, 40),
        (lambda packets: [packets[n ^ 1] if n ^ 1 < len(packets) else packets[n]
                          for n in range(len(packets))], 40),
        (lambda packets: [*packets, *packets[-3:]], 40),
    ],
    ids=["in order", "swapped in pairs", "repeated"],
)  # fmt: skip
def test_udp(
    cameras: Cameras, units: Units, order: Callable[[list[bytes]], list[bytes]], wanted: int
) -> None:
    camera = cameras(Script(pictures=units, shuffled=order))
    seen = watch(open_camera(camera.port, rest="/live#transport=udp"))
    assert seen.numbers == pytest.approx(list(range(wanted)), abs=1)
    setup = next(one for one in camera.requests if one.method == "SETUP")
    assert setup.uri.endswith("/live/trackID=1")
    assert "client_port=" in setup.headers["transport"]


def status(line: str, headers: str = "") -> Answer:
    def answer(request: Request) -> bytes:
        return answered(request, line, headers)

    return answer


def raw(data: bytes) -> Answer:
    return lambda _: data


@pytest.mark.parametrize(
    ("answers", "reason"),
    [
        ({"DESCRIBE": status("401 Unauthorized")}, "unauthorized"),
        ({"OPTIONS": status("401 Unauthorized", 'WWW-Authenticate: Basic realm="x"\r\n')},
         "unauthorized"),
        ({"DESCRIBE": status("401 No", 'WWW-Authenticate: Digest realm="x", nonce="1"\r\n')},
         "unauthorized"),
        ({"DESCRIBE": status("403 Forbidden")}, "unauthorized"),
        ({"DESCRIBE": status("404 Not Found")}, "not_found"),
        ({"OPTIONS": status("404 Not Found"), "DESCRIBE": status("404 Not Found")}, "not_found"),
        ({"SETUP": status("461 Unsupported Transport")}, "not_a_stream"),
        ({"SETUP": status("453 Not Enough Bandwidth")}, "refused"),
        ({"PLAY": status("404 Not Found")}, "not_found"),
        ({"PLAY": status("503 Busy")}, "refused"),
        ({"DESCRIBE": status("500 Broken")}, "not_a_stream"),
        ({"DESCRIBE": status("200 OK")}, "not_a_stream"),
        ({"OPTIONS": raw(b"HTTP/1.1 400 Bad Request\r\n\r\n")}, "not_a_stream"),
        ({"OPTIONS": raw(b"SSH-2.0-OpenSSH_9.2\r\n")}, "not_a_stream"),
        ({"OPTIONS": raw(bytes(range(256)))}, "not_a_stream"),
        ({"DESCRIBE": raw(b"RTSP/1.0 200 OK\r\nContent-Length: 9999999\r\n\r\n")}, "not_a_stream"),
        ({"DESCRIBE": raw(b"RTSP/1.0 200 OK\r\nX: " + b"x" * 70_000)}, "not_a_stream"),
        ({"DESCRIBE": raw(b"RTSP/1.0 200 OK\r\n" + b"X: y\r\n" * 12_000 + b"\r\n")},
         "not_a_stream"),
        ({"OPTIONS": None}, "timeout"),
        ({"DESCRIBE": None}, "timeout"),
        ({"SETUP": None}, "timeout"),
        ({"PLAY": None}, "timeout"),
    ],
)  # fmt: skip
def test_what_a_camera_answers_is_the_reason(
    cameras: Cameras, answers: dict[str, Answer | None], reason: str
) -> None:
    camera = cameras(Script(answers=answers))
    rules = policy(IMPATIENT) if reason == "timeout" else policy()
    with pytest.raises(SourceFailure) as caught:
        open_camera(camera.port, rules)
    assert caught.value.reason == reason
    assert PASSWORD not in "".join(traceback.format_exception(caught.value))


@pytest.mark.parametrize("method", ["OPTIONS", "DESCRIBE", "SETUP", "PLAY"])
@pytest.mark.parametrize("code", [301, 302, 305])
def test_a_redirect_leads_nowhere(cameras: Cameras, canary: Canary, method: str, code: int) -> None:
    place = f"Location: rtsp://127.0.0.1:{canary.port}/x\r\n"
    camera = cameras(Script(answers={method: status(f"{code} Moved", place)}, scheme="basic"))
    with pytest.raises(SourceFailure) as caught:
        open_camera(camera.port)
    assert caught.value.reason == "redirected"


def test_a_redirect_while_playing_ends_the_line(
    cameras: Cameras, canary: Canary, units: Units
) -> None:
    order = f"REDIRECT * RTSP/1.0\r\nCSeq: 9\r\nLocation: rtsp://127.0.0.1:{canary.port}/\r\n\r\n"
    moved = f"RTSP/1.0 302 Moved\r\nCSeq: 4\r\nLocation: rtsp://127.0.0.1:{canary.port}/\r\n\r\n"
    for between, reason in ((order, "redirected"), (moved, "ended")):
        camera = cameras(Script(pictures=units, between=between.encode()))
        with suppress(SourceFailure):
            seen = watch(open_camera(camera.port))
            assert seen.failure is not None
            assert seen.failure.reason == reason


def test_addresses_of_others_in_a_description_lead_nowhere(
    cameras: Cameras, canary: Canary, units: Units
) -> None:
    elsewhere = f"rtsp://{USER}@127.0.0.1:{canary.port}/x"
    for script in (
        Script(pictures=units, control=elsewhere),
        Script(pictures=units, content_base=f"{elsewhere}/"),
    ):
        camera = cameras(script)
        assert len(watch(open_camera(camera.port)).numbers) == 40
        assert any("/x" in one.uri for one in camera.requests)


@pytest.mark.parametrize("base", ["/live/", "nonsense", "*"])
def test_a_base_that_is_no_address_is_left_alone(cameras: Cameras, units: Units, base: str) -> None:
    camera = cameras(Script(pictures=units, content_base=base))
    assert len(watch(open_camera(camera.port, rest="/live")).numbers) == 40
    (setup,) = [one for one in camera.requests if one.method == "SETUP"]
    assert setup.uri == f"rtsp://127.0.0.1:{camera.port}/live/trackID=1"


@pytest.mark.parametrize("rtpmap", ["THEORA/90000", "X-SORENSON-VIDEO/90000", "QUICKTIME/90000"])
def test_a_codec_that_is_not_known_is_not_set_up(cameras: Cameras, rtpmap: str) -> None:
    camera = cameras(Script(rtpmap=rtpmap))
    with pytest.raises(SourceFailure) as caught:
        open_camera(camera.port)
    assert caught.value.reason == "unsupported_codec"
    assert "SETUP" not in [one.method for one in camera.requests]


@pytest.mark.parametrize(
    ("after", "reason"), [("hang-up", "ended"), ("silence", "stalled"), ("bye", None)]
)
def test_the_end_of_the_pictures(
    cameras: Cameras, units: Units, after: str, reason: str | None
) -> None:
    camera = cameras(Script(pictures=units, after=after))
    seen = watch(open_camera(camera.port, policy(SHORT if after == "silence" else USUAL)))
    assert len(seen.numbers) == 40
    assert (seen.failure and seen.failure.reason) == reason
    assert after == "hang-up" or camera.farewell.wait(10)  # the camera is told that it is over


def test_a_camera_that_plays_nothing_has_stalled(cameras: Cameras) -> None:
    camera = cameras(Script(after="silence"))
    seen = watch(open_camera(camera.port, policy(SHORT)))
    assert seen.failure is not None
    assert seen.failure.reason == "stalled"


def test_a_camera_that_loses_its_power(cameras: Cameras, units: Units) -> None:
    camera = cameras(Script(pictures=units, after="silence"))
    with closing(open_camera(camera.port)) as opened:
        packets = opened.packets(opened.container.streams.video[0])
        assert next(packets).size
        camera.kill()
        assert sum(1 for _ in packets) <= 40
        assert opened.failure is not None
        assert opened.failure.reason == "ended"


async def test_who_stops_watching_does_not_wait_for_a_silent_camera(
    cameras: Cameras, units: Units
) -> None:
    camera = cameras(Script(pictures=units, after="silence"))
    seen = await decoded(lambda: open_camera(camera.port), until=20)
    assert seen.failure is None
    assert seen.stopped_within_s < 3.0  # a stall takes 7 s


async def test_a_picture_that_grows_beyond_the_limit_is_not_decoded(
    cameras: Cameras, units: Units
) -> None:
    huge = h264([np.zeros((4400, 4096, 3), np.uint8)])
    camera = cameras(Script(pictures=[*units, *huge, *units]))
    seen = await decoded(lambda: open_camera(camera.port))
    assert set(seen.sizes) == {(320, 240)}
    assert len(seen.sizes) > 60
    assert seen.damaged > 0


def test_who_reads_slowly_slows_the_camera_and_loses_nothing(
    cameras: Cameras, units: Units
) -> None:
    padding = b"\x0c" + b"\xff" * 30_000
    many = [[*picture, padding] for picture in units * 15]  # more than all buffers hold
    camera = cameras(Script(pictures=many))
    with closing(open_camera(camera.port, policy(SHORT))) as opened:
        packets = opened.packets(opened.container.streams.video[0])
        assert next(packets).size
        threading.Event().wait(2 * SHORT.stall_s)  # nobody reads for longer than a stall
        assert opened.failure is None
        assert 1 + sum(1 for packet in packets if packet.size) == len(many)


def test_a_session_is_kept_alive(cameras: Cameras, units: Units) -> None:
    alive = threading.Event()

    def kept(request: Request) -> bytes:
        alive.set()
        return answered(request)

    camera = cameras(
        Script(
            pictures=units,
            after="silence",
            session="1;timeout=1",
            answers={"GET_PARAMETER": kept},
        )
    )
    with closing(open_camera(camera.port)):
        assert alive.wait(10)
    assert camera.requests[-1].method in ("GET_PARAMETER", "TEARDOWN")


def test_a_stranger_on_this_machine_gets_no_picture(
    cameras: Cameras, units: Units, monkeypatch: pytest.MonkeyPatch
) -> None:
    heard: list[bytes] = []

    def stranger(url: str, **_: Any) -> None:
        port = int(url.rpartition(":")[2].partition("/")[0])
        with socket.create_connection(("127.0.0.1", port), 5) as line:
            line.sendall(b"DESCRIBE rtsp://127.0.0.1/guess RTSP/1.0\r\nCSeq: 1\r\n\r\n")
            heard.append(line.recv(1000))
        raise ValueError

    monkeypatch.setattr(av, "open", stranger)
    camera = cameras(Script(pictures=units))
    with pytest.raises(SourceFailure):
        open_camera(camera.port)
    assert heard == [b""]
    assert "PLAY" not in [one.method for one in camera.requests]


def test_opening_again_and_again_leaves_nothing_behind(cameras: Cameras, units: Units) -> None:
    good = cameras(Script(pictures=units[:10]))
    refusing = cameras(Script(answers={"PLAY": status("404 Not Found")}))
    wrong = cameras(Script(answers={"DESCRIBE": status("401 No")}))

    def once() -> None:
        watch(open_camera(good.port))
        watch(open_camera(good.port, rest="/x#transport=udp"))
        for camera in (refusing, wrong):
            with pytest.raises(SourceFailure):
                open_camera(camera.port)

    def held() -> tuple[int, list[str]]:
        gc.collect()
        for camera in (good, refusing, wrong):
            camera.rest()
        names = sorted(one.name for one in threading.enumerate())
        return len(os.listdir("/proc/self/fd")), names  # noqa: PTH208 a list is all there is to see

    once()
    before = held()
    for _ in range(15):
        once()
    assert held() == before


@pytest.mark.parametrize("networks", ["", "10.0.0.0/8", "0.0.0.0/0"])
def test_an_address_that_is_not_allowed_hears_nothing(canary: Canary, networks: str) -> None:
    rules = SourcePolicy(media_root=Path("/nowhere"), addresses=camera_addresses(networks))
    for scheme in ("rtsp", "rtsps", "http", "https"):
        with pytest.raises(SourceFailure) as caught:
            open_camera(canary.port, rules, scheme=scheme)
        assert caught.value.reason == "forbidden_address"
