"""Pictures over UDP, as a real server sends them; libav reads them like all others."""

import pytest

from tests.cameras.gstreamer import PASSWORD, USER, RtspServer
from tests.support.reels import gradient, reel
from tests.support.watching import Watching


@pytest.mark.parametrize("guarded", [False, True])
async def test_a_camera_that_sends_over_udp(
    server: RtspServer, process: Watching, guarded: bool
) -> None:
    url = server.mount("wall", reel(gradient(50)), guarded=guarded)
    if guarded:
        url = url.replace("://", f"://{USER}:{PASSWORD}@")
    camera = await process.camera(f"{url}#transport=udp")
    assert await camera.sees() < 10
    await camera.sampled(15)
    assert camera.failures == []
    camera.mark()
    server.silence("wall")
    assert await camera.fails("stalled") < 10
    camera.mark()
    server.speak("wall")
    assert await camera.sees() < 10
