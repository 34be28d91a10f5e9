"""How the demo looks: a line for each sighting on standard output, the rest as talk."""

import os
import shlex
import sys
from datetime import datetime
from typing import Any

from cli.output import Column, Output
from cli.supervisor.site import Site
from cli.talk import Talk

_TONES = {"match": "\033[32m", "review": "\033[33m", "unknown": "\033[2m"}
_PLAIN = "\033[0m"

_KEYS = (
    "id", "started_at", "camera_id", "decision", "person_id", "person_name", "score", "threshold",
    "frames",
)  # fmt: skip


def _column(key: str) -> Column[dict[str, Any]]:
    return Column(title=key, value=lambda sighting: str(sighting.get(key, "")))


SIGHTING = tuple(_column(key) for key in _KEYS)


class Show:
    """Shows what happens, and remembers the closest call.

    Args:
        site: where pictures can be fetched.
        talk: takes what is no data.
        output: prints sightings, one a line; as JSON they are what REST tells.
        goes_on: the site runs on after the first match, so that its picture can be fetched.
    """

    def __init__(self, site: Site, talk: Talk, *, output: Output, goes_on: bool) -> None:
        self.talk = talk
        self._site = site
        self._output = output
        self._shown: dict[str, str] = {}
        self._closest: dict[str, Any] | None = None
        self._linked = not goes_on
        self._trouble = ""

    def enrolled(self, name: str, photos: int) -> None:
        """Tell that somebody is known now."""
        pictures = "1 photograph" if photos == 1 else f"{photos} photographs"
        self.talk.say(f"{name} is enrolled from {pictures}.")

    def ready(self, whereabouts: str) -> None:
        """Tell where everything is."""
        self.talk.say("DFIP is running; Ctrl-C stops it.", "good")
        self.talk.say(whereabouts)
        self.talk.say("The camera starts; sightings follow.")

    def event(self, event: dict[str, Any]) -> dict[str, Any] | None:
        """Show one event of the camera; returns the sighting where it is about one."""
        kind = event.get("type", "")
        if kind == "worker.error":
            error = event.get("error") or {}
            trouble = f"{error.get('reason')} ({error.get('message')})"
            if trouble != self._trouble:  # each try of the worker tells it again
                self.talk.say(f"The camera's worker has trouble: {trouble}", "warning")
            self._trouble = trouble
            return None
        if not kind.startswith("sighting."):
            return None
        sighting: dict[str, Any] = event["sighting"]
        if self._closest is None or sighting["score"] > self._closest["score"]:
            self._closest = sighting
        # a sighting is updated as long as its track lives; only a new decision is news
        if self._shown.get(sighting["id"]) != sighting["decision"]:
            self._shown[sighting["id"]] = sighting["decision"]
            self._print(sighting)
        return sighting

    def best_so_far(self) -> str:
        """Return why nobody matched, in terms of the closest call."""
        if self._closest is None:
            return "nobody was seen."
        return (
            f"{_count(len(self._shown))} seen, the closest with score "
            f"{self._closest['score']:.3f} against a threshold of {self._closest['threshold']:.3f}."
        )

    def _print(self, sighting: dict[str, Any]) -> None:
        self._output.line(sighting, SIGHTING, sentence=_coloured)
        if self._output.as_json:
            return
        if not self._linked and sighting["decision"] == "match":
            self._linked = True
            token_file = shlex.quote(str(self._site.admin_token_file))
            self.talk.say(
                f'  its picture: curl -H "Authorization: Bearer $(cat {token_file})" '
                f"{self._site.url}/sightings/{sighting['id']}/image -o face.jpg"
            )


def _coloured(sighting: dict[str, Any]) -> str:
    line = describe_sighting(sighting)
    if sys.stdout.isatty() and not os.environ.get("NO_COLOR"):
        line = f"{_TONES.get(sighting['decision'], '')}{line}{_PLAIN}"
    return line


def _count(tracks: int) -> str:
    return "1 track was" if tracks == 1 else f"{tracks} tracks were"


def describe_sighting(sighting: dict[str, Any]) -> str:
    """Return a sighting, as REST tells it, in one line."""
    started = datetime.fromisoformat(sighting["started_at"]).astimezone()
    margin = sighting.get("margin")
    return (
        f"{started:%H:%M:%S}  {sighting['decision']:<7}  "
        f"{sighting.get('person_name') or '-':<20}  "
        f"score {sighting['score']:.3f}  threshold {sighting['threshold']:.3f}  "
        f"margin {'-' if margin is None else f'{margin:.3f}'}  frames {sighting['frames']}"
    )
