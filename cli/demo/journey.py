"""`dfip demo`: starts the mesh, enrols, registers a camera through REST, and shows sightings.

Ends at the first match where that was asked for, else on Ctrl-C. All that it knows of the mesh is
the REST API; `footage.py` says what is watched, `show.py` how it looks.
"""

import asyncio
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import aclosing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

from cli.demo.footage import Footage, Subject, footage_of
from cli.demo.rest import RestSite
from cli.demo.show import Show
from cli.failures import CommandFailed, ExitCode
from cli.output import Output
from cli.places import DEFAULT_PORT
from cli.supervisor.foreground import describe
from cli.supervisor.running import RunningMesh, prepare_pack_for, running_mesh, until_signal
from cli.supervisor.site import Site, SiteWish, listening_address, open_site
from cli.talk import Talk
from service_runtime.clock import SystemClock
from service_runtime.secret import Secret

_HOST = "127.0.0.1"
_PACK = "builtin"
_RECONNECT_S = 0.5


@dataclass(frozen=True, slots=True, kw_only=True)
class DemoWish:
    """What was asked for.

    Attributes:
        timeout_s: counted from the start of the command; None waits for ever.
        source: a URL, a file, `-` for standard input, or nothing for the demo's own clip.
        persons: NAME=PHOTO, each.
        data_dir: None takes a temporary folder.
        http_port: None takes 3001, or any free one where that is taken.
    """

    until_match: bool
    timeout_s: float | None
    source: str
    persons: tuple[str, ...]
    data_dir: Path | None
    http_port: int | None


def run_demo(wish: DemoWish, output: Output) -> None:
    """Run the demo to its end.

    Raises:
        CommandFailed: it could not be shown, or there was no match in time; with the reason.
    """
    clock = SystemClock()
    began = clock.monotonic()
    talk = Talk()
    with (
        footage_of(wish.source, wish.persons) as footage,
        _data_dir(wish.data_dir) as data_dir,
        open_site(
            SiteWish(
                data_dir=data_dir,
                host=_HOST,
                http_port=_port(wish.http_port),
                media_root=footage.media_root,
                pack_id=_PACK,
            )
        ) as site,
    ):
        if wish.until_match and not footage.subjects:
            raise CommandFailed(
                "Nobody is enrolled, so nobody can match; name somebody with --person NAME=PHOTO.",
                code=ExitCode.USAGE,
            )
        prepare_pack_for(_PACK, talk)
        deadline_s = None if wish.timeout_s is None else began + wish.timeout_s
        show = Show(site, talk, output=output, goes_on=not wish.until_match)
        demo = _Demo(site=site, footage=footage, show=show, until_match=wish.until_match)
        left_s = None if deadline_s is None else max(0.0, deadline_s - clock.monotonic())
        matched = asyncio.run(until_signal(demo.run(left_s)))
    if wish.until_match and not matched:
        raise CommandFailed(f"There was no match: {demo.reason}")


class _Demo:
    """One run of the demo; `reason` says why there is no match yet."""

    def __init__(self, *, site: Site, footage: Footage, show: Show, until_match: bool) -> None:
        self._site = site
        self._footage = footage
        self._show = show
        self._until_match = until_match
        self.reason = "the services had not started."

    async def run(self, left_s: float | None) -> bool:
        """Return whether there was a match that ended the demo.

        Args:
            left_s: seconds until it is given up; None is never.
        """
        async with running_mesh(self._site, self._show.talk) as mesh:
            try:
                async with asyncio.timeout(left_s):
                    await mesh.start()
                    return await self._watch(mesh)
            except TimeoutError:
                return False

    async def _watch(self, mesh: RunningMesh) -> bool:
        token = Secret(self._site.admin_token_file.read_text(encoding="ascii").strip())
        async with RestSite(self._site.url, token) as rest:
            for subject in self._footage.subjects:
                self.reason = f"{subject.name} could not be enrolled."
                await enrol(rest, subject)
                self._show.enrolled(subject.name, len(subject.photos))
            self.reason = "the clip was not made yet."
            url = await self._url()
            self.reason = "the camera was not registered yet."
            camera_id = await register_camera(rest, self._footage.camera_name, url)
            self._show.ready(describe(self._site))
            following = asyncio.create_task(self._follow(rest, camera_id))
            broken = asyncio.create_task(mesh.until_broken())
            try:
                await rest.patch(f"/cameras/{camera_id}/status", {"status": "enabled"})
                await asyncio.wait({following, broken}, return_when=asyncio.FIRST_COMPLETED)
                if broken.done():
                    broken.result()
                return await following
            finally:
                following.cancel()
                broken.cancel()
                await self._explain(rest, camera_id)

    async def _follow(self, rest: RestSite, camera_id: str) -> bool:
        """Show what happens at the camera; return at the first match, if that ends the demo."""
        self.reason = "nobody was seen."
        resume_token = ""
        while True:
            async with aclosing(rest.events(resume_token, camera_id=camera_id)) as messages:
                async for message in messages:
                    resume_token = message.get("resume_token") or resume_token
                    sighting = self._show.event(message.get("event") or {})
                    if sighting is None:
                        continue
                    self.reason = self._show.best_so_far()
                    if sighting["decision"] == "match" and self._until_match:
                        return True
            await asyncio.sleep(_RECONNECT_S)

    async def _explain(self, rest: RestSite, camera_id: str) -> None:
        """Take the camera's own trouble as the reason, where it has any."""
        try:
            answer = await asyncio.wait_for(rest.get("/cameras/runtime"), 2.0)
        except (CommandFailed, TimeoutError):
            return
        for camera in answer["data"]:
            trouble = camera["runtime"]["failure_reason"]
            if camera["id"] == camera_id and trouble not in {"", "none"}:
                status = camera["runtime"]["worker_status"]
                self.reason = f"the camera's worker is {status} ({trouble})."

    async def _url(self) -> str:
        watched = self._footage.watched
        if isinstance(watched, str):
            return watched
        made = await asyncio.to_thread(watched.wait)
        placed = self._site.media_root / made.name
        if not placed.is_file():
            shutil.copyfile(made, placed)
        return placed.as_uri()


async def enrol(rest: RestSite, subject: Subject) -> None:
    """Register a person with photographs, unless somebody with the name has faces already.

    Raises:
        CommandFailed: a photograph is refused; the sentence says which and why.
    """
    found = await rest.get("/persons", name=subject.name)
    known = [p for p in found["data"] if p["name"] == subject.name and p["face_count"]]
    if known:
        return
    created = await rest.post("/persons", {"name": subject.name})
    path = f"/persons/{created['data']['id']}/faces"
    for photo in subject.photos:
        try:
            await rest.upload(path, photo.content_type, photo.data)
        except CommandFailed as failure:
            raise CommandFailed(
                f"{photo.path}: {failure.sentence}",
                code=failure.code,
                request_id=failure.request_id,
            ) from None


async def register_camera(rest: RestSite, name: str, url: str) -> str:
    """Register a camera, or give the one of this name the new address; returns its id."""
    for camera in await rest.get("/cameras"):
        if camera["name"] == name:
            body: dict[str, Any] = {"connection_string": url}
            await rest.patch(f"/cameras/{quote(camera['id'])}", body)
            return str(camera["id"])
    created = await rest.post("/cameras", {"name": name, "connection_string": url})
    return str(created["data"]["id"])


@contextmanager
def _data_dir(wished: Path | None) -> Iterator[Path]:
    if wished is not None:
        yield wished
        return
    with tempfile.TemporaryDirectory(prefix="dfip-demo-", ignore_cleanup_errors=True) as folder:
        yield Path(folder)


def _port(wished: int | None) -> int:
    if wished is not None:
        return wished
    try:
        return listening_address(_HOST, DEFAULT_PORT)[1]
    except CommandFailed:
        return 0
