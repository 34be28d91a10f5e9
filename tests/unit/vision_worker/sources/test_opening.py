"""Sources against real files and sockets: what opens, and the honest reason of what does not."""

import asyncio
import re
import socket
import threading
import traceback
from collections.abc import Callable, Iterator
from contextlib import closing, suppress
from pathlib import Path
from urllib.parse import quote

import pytest

from face_engine.pictures import encode_jpeg
from service_runtime.secret import Secret
from tests.support.canary import Canary
from tests.support.clips import moving_pattern, write_clip
from vision_worker.decode.newest_frames import NewestFrames
from vision_worker.decode.reader import DecodeSettings, FrameReader
from vision_worker.decode.thread_clock import SystemThreadClock
from vision_worker.sources.failure import SourceFailure
from vision_worker.sources.opening import OpenedSource, Sources
from vision_worker.sources.policy import SourcePolicy, camera_addresses

CANARY = "canary-password"


@pytest.fixture(scope="module")
def media(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("media")
    write_clip(root / "clip.mp4", moving_pattern(30))
    return root


def sources(media: Path) -> Sources:
    return Sources(SourcePolicy(media_root=media, addresses=camera_addresses("127.0.0.0/8")))


def open_address(address: str, media: Path) -> OpenedSource:
    return sources(media).source_for(Secret(address)).open()


def test_a_recording_opens_paced_and_from_an_open_file(media: Path) -> None:
    with closing(open_address("file:///clip.mp4", media)) as opened:
        assert (opened.paced, opened.stamped) == (True, True)
        assert sum(1 for _ in opened.container.decode(video=0)) == 30


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("text.mp4", "no video at all\n" * 100),
        ("concat.mp4", "ffconcat version 1.0\nfile {clip}\n"),
        ("list.mp4", "#EXTM3U\n#EXT-X-TARGETDURATION:2\n#EXTINF:1.2,\n{clip}\n#EXT-X-ENDLIST\n"),
        ("dash.mp4", '<?xml version="1.0"?><MPD><Period/></MPD>'),
        ("empty.mp4", ""),
    ],
)
def test_a_file_that_only_calls_itself_a_video(media: Path, name: str, content: str) -> None:
    (media / name).write_text(content.format(clip=media / "clip.mp4"))
    with pytest.raises(SourceFailure) as caught:
        open_address(f"file:///{name}", media)
    assert caught.value.reason == "not_a_stream"


@pytest.mark.parametrize("name", ["x.mp4", "x.m3u8", "x.ffconcat", "x.mpd", "x.sdp", "x.ts"])
@pytest.mark.parametrize(
    "content",
    [
        "#EXTM3U\n#EXT-X-TARGETDURATION:2\n#EXTINF:2,\nhttp://127.0.0.1:{port}/x.ts\n",
        "ffconcat version 1.0\nfile http://127.0.0.1:{port}/x.mp4\n",
        '<?xml version="1.0"?><MPD><BaseURL>http://127.0.0.1:{port}/</BaseURL></MPD>',
        "v=0\nc=IN IP4 127.0.0.1\nm=video {port} RTP/AVP 96\na=rtpmap:96 H264/90000\n",
    ],
    ids=["hls", "concat", "dash", "sdp"],
)
def test_a_file_that_names_others_leads_nowhere(
    media: Path, canary: Canary, name: str, content: str
) -> None:
    (media / name).write_text(content.format(port=canary.port))
    with pytest.raises(SourceFailure) as caught:
        open_address(f"file:///{name}", media)
    assert caught.value.reason == "not_a_stream"


@pytest.mark.parametrize(
    "path",
    ["concat:{clip}|{clip}", "subfile,,start,0,end,0,,:{clip}", "lavfi:testsrc", "pipe:0",
     "http://127.0.0.1:{port}/x", "crypto:{clip}", "data:video/mp4;base64,AAAA"],
)  # fmt: skip
def test_a_path_is_a_path_and_no_protocol(media: Path, canary: Canary, path: str) -> None:
    named = quote(path.format(clip=media / "clip.mp4", port=canary.port))
    with pytest.raises(SourceFailure) as caught:
        open_address(f"file:///{named}", media)
    assert caught.value.reason == "not_found"


def test_a_recording_cut_off_before_its_index_is_no_stream(media: Path) -> None:
    whole = (media / "clip.mp4").read_bytes()
    (media / "cut.mp4").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(SourceFailure) as caught:
        open_address("file:///cut.mp4", media)
    assert caught.value.reason == "not_a_stream"


Server = Callable[[bytes], int]


@pytest.fixture
def server() -> Iterator[Server]:
    """Return a starter of servers that give one answer to every request."""
    listeners: list[socket.socket] = []
    threads: list[threading.Thread] = []

    def serve(listener: socket.socket, answer: bytes) -> None:
        while True:
            try:
                peer, _ = listener.accept()
            except OSError:
                return
            with peer:
                _answer_all(peer, answer)

    def start(answer: bytes) -> int:
        listener = socket.create_server(("127.0.0.1", 0))
        listeners.append(listener)
        thread = threading.Thread(target=serve, args=(listener, answer), daemon=True)
        threads.append(thread)
        thread.start()
        return int(listener.getsockname()[1])

    yield start
    for listener in listeners:
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()
    for thread in threads:
        thread.join(5)


def _answer_all(peer: socket.socket, answer: bytes) -> None:
    """Answer every request of one connection, an RTSP one with its own number."""
    peer.settimeout(10)
    with suppress(OSError):
        while request := peer.recv(65536):
            number = re.search(rb"CSeq: (\d+)", request)
            peer.sendall(answer.replace(b"CSeq: 1", b"CSeq: " + number[1]) if number else answer)
            if not answer.startswith(b"RTSP"):
                peer.shutdown(socket.SHUT_WR)


def rtsp(status: str, headers: str = "") -> bytes:
    return f"RTSP/1.0 {status}\r\nCSeq: 1\r\n{headers}\r\n".encode()


def http(status: str, headers: str = "", body: str = "") -> bytes:
    length = f"Content-Length: {len(body)}\r\n"
    return f"HTTP/1.1 {status}\r\nConnection: close\r\n{length}{headers}\r\n{body}".encode()


@pytest.mark.parametrize(
    ("scheme", "answer", "reason"),
    [
        ("rtsp", rtsp("401 Unauthorized", 'WWW-Authenticate: Basic realm="x"\r\n'), "unauthorized"),
        ("rtsp", rtsp("404 Not Found"), "not_found"),
        ("rtsp", b"SSH-2.0-OpenSSH_9.2\r\n", "not_a_stream"),
        ("http", http("401 Unauthorized", 'WWW-Authenticate: Basic realm="x"\r\n'), "unauthorized"),
        ("http", http("403 Forbidden"), "unauthorized"),
        ("http", http("404 Not Found"), "not_found"),
        ("http", http("200 OK", "Content-Type: text/html\r\n", "<html/>"), "not_a_stream"),
        (
            "http",
            http("200 OK", "Content-Type: application/vnd.apple.mpegurl\r\n", "#EXTM3U\nx.ts\n"),
            "not_a_stream",
        ),
    ],
)
def test_what_a_camera_answers(
    media: Path, server: Server, scheme: str, answer: bytes, reason: str
) -> None:
    port = server(answer)
    with pytest.raises(SourceFailure) as caught:
        open_address(f"{scheme}://user:{CANARY}@127.0.0.1:{port}/{CANARY}", media)
    assert caught.value.reason == reason
    assert CANARY not in "".join(traceback.format_exception(caught.value))


def test_a_redirect_is_not_followed(media: Path, server: Server) -> None:
    reached = threading.Event()
    target = socket.create_server(("127.0.0.1", 0))
    port = target.getsockname()[1]
    redirecting = server(http("302 Found", f"Location: http://127.0.0.1:{port}/x\r\n"))
    with pytest.raises(SourceFailure):
        open_address(f"http://127.0.0.1:{redirecting}/x", media)
    target.setblocking(False)
    try:
        target.accept()
        reached.set()
    except BlockingIOError:
        pass
    finally:
        target.close()
    assert not reached.is_set()


def test_a_closed_port_is_refused(media: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as gone:
        port = gone.getsockname()[1]
    for scheme in ("rtsp", "http"):
        with pytest.raises(SourceFailure) as caught:
            open_address(f"{scheme}://user:{CANARY}@127.0.0.1:{port}/x", media)
        assert caught.value.reason == "refused"


def test_a_name_that_does_not_resolve(media: Path) -> None:
    with pytest.raises(SourceFailure) as caught:
        open_address(f"rtsp://user:{CANARY}@camera.invalid/x", media)
    assert caught.value.reason == "dns"


@pytest.mark.parametrize(
    "host", ["169.254.169.254", "2852039166", "0", "[fe80::1]", "[::ffff:169.254.1.1]", "224.0.0.1"]
)
def test_places_where_no_camera_may_be(media: Path, host: str) -> None:
    with pytest.raises(SourceFailure) as caught:
        open_address(f"http://{host}/latest/meta-data", media)
    assert caught.value.reason == "forbidden_address"


def test_a_recording_over_http_is_read(media: Path, server: Server) -> None:
    body = (media / "clip.mp4").read_bytes()
    head = f"HTTP/1.1 200 OK\r\nContent-Length: {len(body)}\r\nConnection: close\r\n\r\n"
    port = server(head.encode() + body)
    with closing(open_address(f"http://127.0.0.1:{port}/clip.mp4", media)) as opened:
        assert (opened.paced, opened.stamped) == (True, True)
        assert sum(1 for _ in opened.container.decode(video=0)) == 30


async def test_a_motion_jpeg_camera_plays_until_it_hangs_up(media: Path, server: Server) -> None:
    parts = [
        f"--frame\r\nContent-Type: image/jpeg\r\nContent-Length: {len(jpeg)}\r\n\r\n".encode()
        + jpeg
        for jpeg in (encode_jpeg(picture) for picture in moving_pattern(40))
    ]
    head = b"HTTP/1.0 200 OK\r\nContent-Type: multipart/x-mixed-replace;boundary=frame\r\n\r\n"
    port = server(head + b"\r\n".join(parts) + b"\r\n")
    source = sources(media).source_for(Secret(f"http://u:{CANARY}@127.0.0.1:{port}/video"))
    frames = NewestFrames(asyncio.get_running_loop(), capacity=100)
    reader = FrameReader(source, frames, DecodeSettings(), SystemThreadClock())
    reader.start()
    seen: set[tuple[int, ...]] = set()
    with pytest.raises(SourceFailure) as caught:
        async for frame in frames:
            seen.add(frame.image.shape)
    assert caught.value.reason == "ended"
    assert await asyncio.to_thread(reader.join, 10)
    assert seen == {(64, 96, 3)}
    assert reader.counts.decoded >= 35
