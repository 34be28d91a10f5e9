"""Cameras of HTTP: motion JPEG, playlists, challenges, and the reason of every failure."""

import os
import threading
import traceback
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import av
import pytest

from face_engine.pictures import encode_jpeg
from tests.support.canary import Canary
from tests.support.clips import moving_pattern, write_clip
from tests.support.http_camera import HttpCamera, HttpRequest, Script, answer
from tests.support.rtsp_camera import PASSWORD
from tests.unit.vision_worker.sources.relay.conftest import (
    IMPATIENT,
    SHORT,
    USUAL,
    decoded,
    open_camera,
    policy,
    watch,
)
from vision_worker.sources.failure import SourceFailure

Start = Callable[..., HttpCamera]
PLAYLIST = "application/vnd.apple.mpegurl"
MULTIPART = "multipart/x-mixed-replace; boundary=frame"


@pytest.fixture
def http() -> Iterator[Start]:
    """Return a starter of cameras."""
    started: list[HttpCamera] = []

    def start(script: Script) -> HttpCamera:
        started.append(HttpCamera(script).start())
        return started[-1]

    yield start
    for camera in started:
        camera.close()


@pytest.fixture(scope="module")
def motion_jpeg() -> bytes:
    parts = [
        b"--frame\r\nContent-Type: image/jpeg\r\nContent-Length: %d\r\n\r\n" % len(jpeg) + jpeg
        for jpeg in map(encode_jpeg, moving_pattern(20))
    ]
    return b"\r\n".join(parts) + b"\r\n"


@pytest.fixture(scope="module")
def segments(tmp_path_factory: pytest.TempPathFactory) -> list[bytes]:
    """Return four segments of 25 pictures each, whose clocks go on."""
    folder = tmp_path_factory.mktemp("segments")
    out = []
    for number in range(4):
        pictures = moving_pattern(100)[25 * number : 25 * (number + 1)]
        stamps = [25 * number + n for n in range(25)]
        clip = write_clip(folder / f"{number}.ts", pictures, stamps=stamps)
        out.append(clip.read_bytes())
    return out


def opened_and_watched(port: int, rest: str = "/video", **rules: object) -> list[int]:
    return watch(open_camera(port, policy(**rules), scheme="http", rest=rest)).numbers  # type: ignore[arg-type]


def failure_of(port: int, rest: str = "/video", **rules: object) -> SourceFailure:
    with pytest.raises(SourceFailure) as caught:
        opened_and_watched(port, rest, **rules)
    assert PASSWORD not in "".join(traceback.format_exception(caught.value))
    return caught.value


@pytest.mark.parametrize("first", [b"", b"\r\n"])
def test_motion_jpeg(http: Start, motion_jpeg: bytes, first: bytes) -> None:
    head = f"HTTP/1.0 200 OK\r\nContent-Type: {MULTIPART}\r\n\r\n".encode()
    camera = http(lambda _: head + first + motion_jpeg)
    assert opened_and_watched(camera.port, "/video?n=1") == pytest.approx(range(20), abs=1)
    (request,) = camera.requests
    assert request.target == "/video?n=1"
    assert not request.authorization


@pytest.mark.parametrize(
    "challenge",
    ['Basic realm="x"', 'Digest realm="x", nonce="1", qop="auth"', 'Digest realm="x", nonce="1"'],
)
def test_a_challenge_is_answered_once(http: Start, motion_jpeg: bytes, challenge: str) -> None:
    def script(request: HttpRequest) -> bytes:
        if not request.authorization:
            return answer("401 No", headers=f"WWW-Authenticate: {challenge}\r\n")
        return answer(media_type=MULTIPART, body=motion_jpeg)

    camera = http(script)
    assert len(opened_and_watched(camera.port)) == 20
    assert [bool(one.authorization) for one in camera.requests] == [False, True]
    refusing = http(lambda _: answer("401 No", headers=f"WWW-Authenticate: {challenge}\r\n"))
    assert failure_of(refusing.port).reason == "unauthorized"
    assert len(refusing.requests) == 2


@pytest.mark.parametrize(
    ("told", "reason"),
    [
        (answer("401 Unauthorized"), "unauthorized"),
        (answer("403 Forbidden"), "unauthorized"),
        (answer("404 Not Found"), "not_found"),
        (answer("500 Broken"), "not_a_stream"),
        (answer("503 Busy"), "refused"),
        (answer(media_type="text/html", body=b"<html>hello</html>"), "not_a_stream"),
        (answer(), "not_a_stream"),
        (b"SSH-2.0-OpenSSH_9.2\r\n", "not_a_stream"),
        (b"", "not_a_stream"),
        (b"HTTP/1.1 200 OK\r\nX: " + b"x" * 70_000 + b"\r\n\r\n", "not_a_stream"),
        (b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * 12_000 + b"\r\n", "not_a_stream"),
        (None, "timeout"),
        (b"HTTP/1.1 100 Continue\r\n\r\n" * 5, "not_a_stream"),
    ],
)
def test_what_a_camera_answers_is_the_reason(http: Start, told: bytes | None, reason: str) -> None:
    camera = http(lambda _: told)
    times = IMPATIENT if reason == "timeout" else USUAL
    assert failure_of(camera.port, times=times).reason == reason


@pytest.mark.parametrize("code", [301, 302, 303, 307, 308, 304])
def test_a_redirect_leads_nowhere(http: Start, canary: Canary, code: int) -> None:
    place = f"Location: http://127.0.0.1:{canary.port}/x\r\n"
    camera = http(lambda _: answer(f"{code} Moved", headers=place))
    assert failure_of(camera.port).reason == "redirected"
    assert len(camera.requests) == 1


@pytest.mark.parametrize("media_type", [PLAYLIST, "video/mp2t", "", MULTIPART])
@pytest.mark.parametrize(
    "body",
    [
        "#EXTM3U\n#EXT-X-TARGETDURATION:2\n#EXTINF:2,\nhttp://127.0.0.1:{port}/x.ts\n",
        "ffconcat version 1.0\nfile http://127.0.0.1:{port}/x.mp4\n",
        '<?xml version="1.0"?><MPD><BaseURL>http://127.0.0.1:{port}/</BaseURL></MPD>',
        "v=0\r\nm=video {port} RTP/AVP 96\r\nc=IN IP4 127.0.0.1\r\na=rtpmap:96 H264/90000\r\n",
        "[playlist]\nFile1=http://127.0.0.1:{port}/x\n",
    ],
    ids=["hls", "concat", "dash", "sdp", "pls"],
)
def test_a_list_in_place_of_pictures_leads_nowhere(
    http: Start, canary: Canary, media_type: str, body: str
) -> None:
    told = answer(media_type=media_type, body=body.format(port=canary.port).encode())
    assert failure_of(http(lambda _: told).port).reason == "not_a_stream"


def test_libav_is_given_no_address(
    http: Start, motion_jpeg: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    told: list[tuple[object, dict[str, str]]] = []
    really_open = av.open

    def listening(file: object, *args: object, **options: object) -> object:
        told.append((file, options["options"]))  # type: ignore[arg-type]
        return really_open(file, *args, **options)  # type: ignore[call-overload]

    monkeypatch.setattr(av, "open", listening)
    camera = http(lambda _: answer(media_type=MULTIPART, body=motion_jpeg))
    assert opened_and_watched(camera.port)
    ((file, options),) = told
    assert not isinstance(file, str | os.PathLike)
    assert options["protocol_whitelist"] == "none"


@pytest.mark.parametrize("drips", [False, True])
def test_a_camera_that_stops_or_drips_has_stalled(
    http: Start, motion_jpeg: bytes, drips: bool
) -> None:
    head = f"HTTP/1.1 200 OK\r\nContent-Type: {MULTIPART}\r\n\r\n".encode()
    camera = http(lambda _: head + motion_jpeg)
    camera.drip = threading.Event()
    if not drips:
        camera.drip_byte = b""
    try:
        assert failure_of(camera.port, times=SHORT).reason == "stalled"
    finally:
        camera.drip.set()


async def test_who_stops_watching_does_not_wait_for_a_silent_camera(
    http: Start, motion_jpeg: bytes
) -> None:
    head = f"HTTP/1.1 200 OK\r\nContent-Type: {MULTIPART}\r\n\r\n".encode()
    camera = http(lambda _: head + motion_jpeg)
    camera.drip, camera.drip_byte = threading.Event(), b""
    try:
        seen = await decoded(lambda: open_camera(camera.port, scheme="http"), until=10)
    finally:
        camera.drip.set()
    assert seen.failure is None
    assert seen.stopped_within_s < 3.0  # a stall takes 7 s


def media_list(*names: str, first: int = 0, ended: bool = True, more: str = "") -> bytes:
    lines = ["#EXTM3U", "#EXT-X-VERSION:3", "#EXT-X-TARGETDURATION:1",
             f"#EXT-X-MEDIA-SEQUENCE:{first}", *([more] if more else [])]  # fmt: skip
    for name in names:
        lines += ["#EXTINF:1.0,", name]
    return ("\n".join([*lines, *(["#EXT-X-ENDLIST"] if ended else [])]) + "\n").encode()


def test_a_finished_playlist_behind_a_list_of_variants(http: Start, segments: list[bytes]) -> None:
    def script(request: HttpRequest) -> bytes:
        match request.target:
            case "/video":
                return answer(
                    media_type=PLAYLIST,
                    body=b"#EXTM3U\n#EXT-X-STREAM-INF:BANDWIDTH=1000\nlow.m3u8\n"
                    b'#EXT-X-STREAM-INF:CODECS="avc1,mp4a",BANDWIDTH=5000\n/hd/list.m3u8?k=1\n',
                )
            case "/hd/list.m3u8?k=1":
                names = [f"{number}.ts" for number in range(4)]
                return answer(media_type=PLAYLIST, body=media_list(*names))
            case other:
                return answer(body=segments[int(other.removeprefix("/hd/")[0])])

    camera = http(script)
    with closing(open_camera(camera.port, policy(hls=True), scheme="http", rest="/video")) as one:
        assert one.paced
    seen = opened_and_watched(camera.port, hls=True)
    assert seen == pytest.approx(range(100), abs=1)


def test_a_live_playlist_is_followed_as_it_grows(http: Start, segments: list[bytes]) -> None:
    lists = iter([(0, 2, False), (0, 3, False), (1, 4, True)])

    def script(request: HttpRequest) -> bytes:
        if request.target == "/video":
            first, last, ended = next(lists)
            names = [f"{number}.ts" for number in range(first, last)]
            return answer(media_type=PLAYLIST, body=media_list(*names, first=first, ended=ended))
        return answer(body=segments[int(request.target[1])])

    camera = http(script)
    assert opened_and_watched(camera.port, hls=True) == pytest.approx(range(100), abs=1)
    asked = [one.target for one in camera.requests if one.target != "/video"]
    assert asked == [f"/{number}.ts" for number in range(4)]


def test_a_live_playlist_that_does_not_grow_has_stalled(http: Start, segments: list[bytes]) -> None:
    def script(request: HttpRequest) -> bytes:
        if request.target == "/video":
            return answer(media_type=PLAYLIST, body=media_list("0.ts", ended=False))
        return answer(body=segments[0])

    assert failure_of(http(script).port, hls=True, times=SHORT).reason == "stalled"


@pytest.mark.parametrize(
    ("lines", "reason"),
    [
        ("http://127.0.0.1:{port}/x.ts", "forbidden_address"),
        ("//127.0.0.1:{port}/x.ts", "forbidden_address"),
        ("https://127.0.0.1:{own}/x.ts", "forbidden_address"),
        ("http://user@127.0.0.1:{own}/x.ts", "forbidden_address"),
        ("http://127.0.0.1:{own}@127.0.0.1:{port}/x.ts", "forbidden_address"),
        ("file:///etc/passwd", "forbidden_address"),
        ("concat:/a|/b", "forbidden_address"),
        ("\\\\127.0.0.1:{port}/x.ts", "not_a_stream"),
        ('#EXT-X-MAP:URI="http://127.0.0.1:{port}/i"\n#EXTINF:1,\n/x.m4s', "forbidden_address"),
        ('#EXT-X-KEY:METHOD=AES-128,URI="http://127.0.0.1:{port}/k"\nx.ts', "not_a_stream"),
        ("#EXT-X-BYTERANGE:9@0\nx.ts", "not_a_stream"),
        ('#EXT-X-DEFINE:NAME="a",VALUE="127.0.0.1:{port}"\nhttp://{{$a}}/x', "not_a_stream"),
        ("#EXT-X-STREAM-INF:BANDWIDTH=1\nhttp://127.0.0.1:{port}/x.m3u8", "forbidden_address"),
        ("#EXT-X-STREAM-INF:BANDWIDTH=1\n/video", "not_a_stream"),
        ("x" * (2 << 20), "not_a_stream"),
        ("", "not_a_stream"),
    ],
)  # fmt: skip
def test_a_playlist_that_leads_elsewhere(
    http: Start, canary: Canary, lines: str, reason: str
) -> None:
    body = media_list()[: -len("#EXT-X-ENDLIST\n")].decode()
    ports: dict[str, int] = {"port": canary.port}

    def script(_: HttpRequest) -> bytes:
        return answer(media_type=PLAYLIST, body=(body + lines.format(**ports) + "\n").encode())

    camera = http(script)
    ports["own"] = camera.port
    assert failure_of(camera.port, hls=True).reason == reason
    assert {one.target for one in camera.requests} == {"/video"}


def test_a_segment_that_redirects_ends_it(
    http: Start, canary: Canary, segments: list[bytes]
) -> None:
    def script(request: HttpRequest) -> bytes:
        if request.target == "/video":
            return answer(media_type=PLAYLIST, body=media_list("0.ts", "1.ts"))
        if request.target == "/0.ts":
            return answer(body=segments[0])
        return answer("302 Moved", headers=f"Location: http://127.0.0.1:{canary.port}/\r\n")

    assert failure_of(http(script).port, hls=True).reason == "redirected"


def test_fragmented_mp4_with_its_beginning(http: Start, tmp_path: Path) -> None:
    options = {"movflags": "frag_keyframe+empty_moov+default_base_moof"}
    whole = _fragmented(tmp_path / "clip.mp4", options)
    start = whole.index(b"moof") - 4

    def script(request: HttpRequest) -> bytes:
        if request.target == "/video":
            listed = media_list("s1.m4s", more='#EXT-X-MAP:URI="init.mp4"')
            return answer(media_type=PLAYLIST, body=listed)
        return answer(body=whole[:start] if request.target == "/init.mp4" else whole[start:])

    camera = http(script)
    assert len(opened_and_watched(camera.port, hls=True)) == 50
    assert [one.target for one in camera.requests] == ["/video", "/init.mp4", "/s1.m4s"]


def _fragmented(path: Path, options: dict[str, str]) -> bytes:
    plain = write_clip(path.with_suffix(".src.mp4"), moving_pattern(50))
    with av.open(str(plain)) as source, av.open(str(path), "w", options=options) as out:
        stream = out.add_stream_from_template(source.streams.video[0])
        for packet in source.demux(video=0):
            if packet.dts is not None:
                packet.stream = stream
                out.mux(packet)
    return path.read_bytes()
