"""The demo's clip: a real camera file with a face most of the time, and seconds with nobody."""

import shutil
from pathlib import Path

import av
import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from cli.demo.clip_maker import DemoClipError, astronaut_photo, make_demo_clip


def read(clip: Path) -> tuple[list[NDArray[np.uint8]], list[float], list[bool]]:
    """Return frames (RGB), times in seconds and key-frame marks."""
    with av.open(str(clip)) as container:
        assert container.streams.video[0].codec_context.name == "h264"
        frames = list(container.decode(video=0))
    images = [np.asarray(frame.to_ndarray(format="rgb24"), np.uint8) for frame in frames]
    return images, [float(frame.time or 0.0) for frame in frames], [f.key_frame for f in frames]


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("clip") / "camera.mp4"
    make_demo_clip(astronaut_photo(), out, seconds=6.0, size=(320, 180), fps=10)
    return out


def test_it_is_an_even_stream_with_a_key_frame_every_second(clip: Path) -> None:
    images, times, keys = read(clip)
    assert len(images) == 60
    assert images[0].shape == (180, 320, 3)
    assert np.allclose(np.diff(times), 0.1, atol=0.005)
    assert [index for index, key in enumerate(keys) if key] == list(range(0, 60, 10))


def test_it_begins_and_ends_on_the_wall_and_shows_the_photo_between(clip: Path) -> None:
    images, _, _ = read(clip)

    def detail(image: NDArray[np.uint8]) -> float:
        blurred = cv2.GaussianBlur(cv2.cvtColor(image, cv2.COLOR_RGB2GRAY), (0, 0), 3)
        return float(blurred.std())

    wall = max(detail(image) for image in (*images[:8], *images[-8:]))
    photo = min(detail(image) for image in images[25:35])
    assert wall < 12
    assert photo > 30
    seam = np.abs(images[0].astype(int) - images[-1].astype(int)).mean()
    assert seam < 12


def test_it_moves_and_its_light_changes(clip: Path) -> None:
    images, _, _ = read(clip)
    steps = [np.abs(images[i].astype(int) - images[i + 1]).mean() for i in range(25, 35)]
    assert min(steps) > 1.0
    light = [float(image.mean()) for image in (*images[:8], *images[-8:])]
    assert max(light) - min(light) > 5


def test_the_same_arguments_give_the_same_file(tmp_path: Path) -> None:
    outs = [tmp_path / name for name in ("a.mp4", "b.mp4", "c.mp4")]
    for out, seed in zip(outs, (3, 3, 4), strict=True):
        make_demo_clip(astronaut_photo(), out, seconds=5.5, size=(64, 64), fps=5, seed=seed)
    assert outs[0].read_bytes() == outs[1].read_bytes() != outs[2].read_bytes()


def test_progress_is_told(tmp_path: Path) -> None:
    told: list[tuple[int, int]] = []
    make_demo_clip(
        astronaut_photo(),
        tmp_path / "out.mp4",
        seconds=5.6,
        size=(64, 64),
        fps=5,
        progress=lambda done, total: told.append((done, total)),
    )
    assert told == [(done, 28) for done in range(1, 29)]


def test_a_failure_says_why_and_leaves_nothing_behind(tmp_path: Path) -> None:
    text = tmp_path / "photo.jpg"
    text.write_text("no picture")
    for photo in (text, tmp_path / "missing.jpg", tmp_path):
        with pytest.raises(DemoClipError, match=r"^Cannot \w+ the photo .*\.$"):
            make_demo_clip(photo, tmp_path / "out.mp4")
    with pytest.raises(DemoClipError, match="Cannot write the clip"):
        make_demo_clip(astronaut_photo(), tmp_path / "no" / "out.mp4")
    with pytest.raises(DemoClipError, match="at least"):
        make_demo_clip(astronaut_photo(), tmp_path / "out.mp4", seconds=2)
    with pytest.raises(DemoClipError, match="even sides"):
        make_demo_clip(astronaut_photo(), tmp_path / "out.mp4", size=(641, 360))
    assert [path.name for path in tmp_path.iterdir()] == ["photo.jpg"]


def test_an_interrupted_run_leaves_the_old_clip(tmp_path: Path, clip: Path) -> None:
    out = tmp_path / "out.mp4"
    shutil.copyfile(clip, out)

    def interrupt(done: int, total: int) -> None:
        if done > total // 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        make_demo_clip(
            astronaut_photo(), out, seconds=5.5, size=(64, 64), fps=5, progress=interrupt
        )
    assert out.read_bytes() == clip.read_bytes()
    assert [path.name for path in tmp_path.iterdir()] == ["out.mp4"]
