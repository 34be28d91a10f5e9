"""The demo's camera clip: made once from the astronaut's portrait, then kept in the cache.

Making it takes seconds of one core, so it happens in a process of its own while the services start:
`python -m cli.demo.clips OUT.mp4`. `make_clip_from` is the same for anybody's photograph.
"""

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path

from cli.failures import CommandFailed, ExitCode
from cli.places import cache_dir
from cli.supervisor.running import prepare_pack_for
from cli.talk import Talk

_CLIP = "astronaut-1.mp4"
"""Another number wherever the clip's maker draws another clip."""


@contextmanager
def demo_clip_in_the_making() -> Iterator["ClipInTheMaking"]:
    """Begin to make the demo's clip unless it is in the cache."""
    clip = cache_dir() / "demo" / _CLIP
    process = None
    if not clip.is_file():
        try:
            clip.parent.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise CommandFailed(
                f"The demo clip cannot be kept in {clip.parent} ({error.strerror}); "
                "name another cache in DFIP_CACHE_DIR."
            ) from None
        process = subprocess.Popen(
            [sys.executable, "-P", "-m", "cli.demo.clips", str(clip)],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
        )
    with process or nullcontext():
        try:
            yield ClipInTheMaking(clip, process)
        finally:
            if process is not None:
                process.kill()


class ClipInTheMaking:
    """A clip that another process may still be writing."""

    def __init__(self, path: Path, process: "subprocess.Popen[str] | None") -> None:
        self._path = path
        self._process = process

    def wait(self) -> Path:
        """Wait for the clip and return it.

        Raises:
            CommandFailed: it could not be made.
        """
        if self._process is not None:
            _, words = self._process.communicate()
            if self._process.returncode != 0:
                said = words.strip().splitlines() or ["its maker was killed."]
                raise CommandFailed(f"The demo clip cannot be made: {said[-1]}")
        return self._path


def make_clip_from(photo: Path, out: Path) -> None:
    """Make a camera clip of whoever is in a photograph; shows how far it is.

    Raises:
        CommandFailed: the photograph cannot be used, or the clip cannot be written.
    """
    talk = Talk()
    if not photo.is_file():
        raise CommandFailed(
            f"The photograph {photo} does not exist; check its name.", code=ExitCode.NOT_FOUND
        )
    if not out.parent.is_dir():
        raise CommandFailed(
            f"The folder {out.parent} does not exist; make it first.", code=ExitCode.NOT_FOUND
        )
    prepare_pack_for("builtin", talk)

    from cli.demo.clip_maker import DemoClipError, make_demo_clip
    from face_engine.engine import open_engine

    with open_engine("builtin") as engine:
        try:
            make_demo_clip(photo, out, engine=engine)
        except DemoClipError as error:
            raise CommandFailed(str(error)) from None
    talk.say(f"The clip is {out}.")


def _main(out: Path) -> None:
    from cli.demo.clip_maker import DemoClipError, astronaut_photo, make_demo_clip

    try:
        make_demo_clip(astronaut_photo(), out)
    except DemoClipError as error:
        sys.exit(str(error))


if __name__ == "__main__":
    _main(Path(sys.argv[1]))
