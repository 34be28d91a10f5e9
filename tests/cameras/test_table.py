"""What cameras do to a worker: every fault gets its name in time, and passes when its cause does.

A neighbour, another camera of the same process, is watched through all of it and must not notice.
"""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.cameras.gstreamer import PASSWORD, USER, RtspServer, rtsp_server
from tests.support.reels import Reel, gradient, reel
from tests.support.tcp_proxy import tcp_proxy
from tests.support.watching import WatchedCamera, Watching
from tests.support.wrong_peers import chattering_peer, closed_port, silent_peer

beside_a_neighbour = pytest.mark.usefixtures("neighbour")
NOTICED_S = 10.0
RECOVERED_S = 10.0


@pytest.fixture(scope="module")
def clip() -> Reel:
    return reel(gradient(50))


@pytest.fixture
async def neighbour(process: Watching, clip: Reel, tmp_path: Path) -> AsyncIterator[WatchedCamera]:
    """A camera of its own server that works all the time, and was never held up."""
    (tmp_path / "neighbour").mkdir()
    with rtsp_server(tmp_path / "neighbour") as server:
        camera = await process.camera(server.mount("garden", clip))
        await camera.sees()
        await camera.sampled(8)  # what was sent while the stream was probed comes all at once
        before = camera.watch.stats
        began = asyncio.get_running_loop().time()
        yield camera
        after, took_s = camera.watch.stats, asyncio.get_running_loop().time() - began
        assert camera.failures == []
        assert after.frames_dropped == before.frames_dropped
        looked_at = after.frames_sampled - before.frames_sampled
        assert looked_at >= 5 * took_s - 3, f"{looked_at} of {5 * took_s:.0f} frames"


def with_password(url: str, password: str = PASSWORD) -> str:
    return url.replace("://", f"://{USER}:{password}@")


@pytest.mark.parametrize("guarded", [False, True])
async def test_a_camera_that_works(
    server: RtspServer, process: Watching, clip: Reel, guarded: bool
) -> None:
    url = server.mount("wall", clip, guarded=guarded)
    camera = await process.camera(with_password(url) if guarded else url)
    assert await camera.sees() < NOTICED_S
    await camera.sampled(10)
    assert camera.failures == []


@pytest.mark.parametrize("url", ["{0}", "rtsp://viewer:wrong@{1}", "rtsp://nobody:x@{1}"])
@beside_a_neighbour
async def test_a_wrong_password(
    server: RtspServer, process: Watching, clip: Reel, url: str
) -> None:
    mounted = server.mount("wall", clip, guarded=True)
    camera = await process.camera(url.format(mounted, mounted.removeprefix("rtsp://")))
    assert await camera.fails("unauthorized") < NOTICED_S


@pytest.mark.parametrize("guarded", [False, True])
@beside_a_neighbour
async def test_an_unknown_path(
    server: RtspServer, process: Watching, clip: Reel, guarded: bool
) -> None:
    url = server.mount("wall", clip, guarded=guarded)
    camera = await process.camera(with_password(url) + "paper")
    assert await camera.fails("not_found") < NOTICED_S


@beside_a_neighbour
async def test_a_closed_port(process: Watching) -> None:
    camera = await process.camera(f"rtsp://127.0.0.1:{closed_port()}/wall")
    assert await camera.fails("refused") < NOTICED_S


@beside_a_neighbour
async def test_not_rtsp_at_all(process: Watching) -> None:
    async with chattering_peer() as port:
        camera = await process.camera(f"rtsp://127.0.0.1:{port}/wall")
        assert await camera.fails("not_a_stream") < NOTICED_S


@beside_a_neighbour
async def test_one_that_accepts_and_stays_silent(process: Watching) -> None:
    async with silent_peer() as port:
        camera = await process.camera(f"rtsp://127.0.0.1:{port}/wall")
        assert await camera.fails("timeout") < NOTICED_S


@beside_a_neighbour
async def test_the_camera_loses_power(
    process: Watching, clip: Reel, tmp_path: Path, servers: ExitStack
) -> None:
    server = servers.enter_context(rtsp_server(tmp_path))
    camera = await process.camera(server.mount("wall", clip))
    await camera.sees()
    camera.mark()
    server.kill()
    assert await camera.fails("ended") < NOTICED_S
    await camera.until(lambda state: state.failure_reason == "refused", what="refused")
    camera.mark()
    again = servers.enter_context(rtsp_server(tmp_path, ports=(server.port, server.guarded_port)))
    again.mount("wall", clip)
    assert await camera.sees() < RECOVERED_S


@beside_a_neighbour
async def test_the_camera_ends_the_stream(
    server: RtspServer, process: Watching, clip: Reel
) -> None:
    camera = await process.camera(server.mount("wall", clip))
    await camera.sees()
    camera.mark()
    server.finish("wall")
    assert await camera.fails("ended") < NOTICED_S
    camera.mark()
    server.begin("wall")
    assert await camera.sees() < RECOVERED_S


@beside_a_neighbour
async def test_the_camera_hangs_up(server: RtspServer, process: Watching, clip: Reel) -> None:
    camera = await process.camera(server.mount("wall", clip))
    await camera.sees()
    camera.mark()
    assert server.hang_up() == 1
    assert await camera.fails("ended") < NOTICED_S
    assert await camera.sees() < RECOVERED_S


@beside_a_neighbour
async def test_the_camera_stops_sending(server: RtspServer, process: Watching, clip: Reel) -> None:
    camera = await process.camera(server.mount("wall", clip))
    await camera.sees()
    camera.mark()
    server.silence("wall")
    assert await camera.fails("stalled") < NOTICED_S
    camera.mark()
    server.speak("wall")
    assert await camera.sees() < RECOVERED_S


@beside_a_neighbour
async def test_the_network_swallows_everything(
    server: RtspServer, process: Watching, clip: Reel
) -> None:
    url = server.mount("wall", clip)
    async with tcp_proxy(f"127.0.0.1:{server.port}") as network:
        camera = await process.camera(url.replace(f"127.0.0.1:{server.port}", network.target))
        await camera.sees()
        camera.mark()
        network.black_hole()
        assert await camera.fails("stalled") < NOTICED_S
        camera.mark()
        network.heal()
        assert await camera.sees() < RECOVERED_S


@beside_a_neighbour
async def test_the_network_breaks_the_connection(
    server: RtspServer, process: Watching, clip: Reel
) -> None:
    url = server.mount("wall", clip)
    async with tcp_proxy(f"127.0.0.1:{server.port}") as network:
        camera = await process.camera(url.replace(f"127.0.0.1:{server.port}", network.target))
        await camera.sees()
        camera.mark()
        network.reset()
        assert await camera.fails("ended") < NOTICED_S
        assert await camera.sees() < RECOVERED_S


@pytest.fixture
def servers() -> Iterator[ExitStack]:
    with ExitStack() as stack:
        yield stack
