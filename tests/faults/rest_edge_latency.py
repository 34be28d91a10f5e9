"""How long honest callers of the edge wait while it is attacked, against how long they wait alone.

Everybody has a process of his own: the control plane, Envoy, the honest callers
(``rest_edge_callers``) and the attackers (``rest_edge_attackers``), who get what processor time the
others leave; this process only waits. First nobody attacks, then each kind of attack has its turn.
What is measured is returned and never held against a limit; but who asks properly is answered with
200, whatever the others do.
"""

import asyncio
import contextlib
import json
import statistics
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

from bench.sites.control_plane import ControlPlaneSite, running_control_plane
from service_runtime.clients import FileToken, open_channel
from tests.faults.row import Violation
from tests.support.people import running_index

_ROOT = Path(__file__).resolve().parents[2]
_WARM_UP_S = 1.0
_QUIET_S = 2
_ISSUED = ("viewer", "operator", "admin", "worker")


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """An answer to an honest caller; ``took_s`` counts from when it was to be asked for."""

    moment_s: float
    took_s: float
    status: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Phase:
    """What happened from a moment to another one."""

    kind: str
    from_s: float
    until_s: float

    def times(self, answers: Sequence[Answer]) -> list[float]:
        """Return how long each answer took that was to be asked for in it, in s."""
        return [one.took_s for one in answers if self.from_s <= one.moment_s < self.until_s]


async def measured(row: str, *, seed: int, each_s: float) -> dict[str, int | float | str]:
    """Run quietly for twice as long as each kind of attack at least takes, then attack.

    Args:
        row: Name of the row.
        seed: Decides the order of the attacks and what is random in them.
        each_s: How long each kind of attack is repeated, in s; one lasts longer if it must.

    Raises:
        Violation: An honest caller was not answered with 200, or an attacker got an answer that
            nobody may get.
    """
    with tempfile.TemporaryDirectory(prefix="dfip-") as folder:
        async with (
            running_control_plane(Path(folder), database_url=None) as site,
            _indexed(site),
            site.edge() as where,
        ):
            camera, tokens = await _admitted(site, where)
            caller = {"camera": camera, "token": tokens.pop("caller")}
            async with (
                started("attackers", where, tokens, seed, each_s) as attackers,
                started("callers", where, caller) as callers,
            ):
                # from here on nobody starts any more
                await attackers.ready()
                await callers.ready()
                await asyncio.sleep(_WARM_UP_S)
                quiet = await _quiet(_QUIET_S * each_s)
                phases, done = await attackers.attack(row, seed)
                answers = await callers.answers()
    hold(answers, phases, row=row, seed=seed)
    return figures(answers, quiet, phases) | {
        "attack_requests": done["requests"] + done["resets"],
    }


def figures(
    answers: Sequence[Answer], quiet: Phase, phases: Sequence[Phase]
) -> dict[str, int | float | str]:
    """Return what to publish; times are in ms."""
    p50_quiet, p99_quiet = _p50_p99(quiet.times(answers))
    by_kind = {phase.kind: _p50_p99(phase.times(answers))[1] for phase in phases}
    attacked = [took for phase in phases for took in phase.times(answers)]
    p50_attacked, p99_attacked = _p50_p99(attacked)
    worst = max(by_kind, key=by_kind.__getitem__)
    return {
        "others_answers": len(answers),
        "others_not_200": sum(one.status != 200 for one in answers),
        "p50_quiet_ms": p50_quiet,
        "p99_quiet_ms": p99_quiet,
        "p50_attacked_ms": p50_attacked,
        "p99_attacked_ms": p99_attacked,
        "p99_ratio": round(p99_attacked / p99_quiet, 2),
        "worst_attack": worst,
        "worst_p99_ratio": round(by_kind[worst] / p99_quiet, 2),
        "attacked_s": round(sum(phase.until_s - phase.from_s for phase in phases), 1),
        **{f"p99_ms under {kind}": p99 for kind, p99 in by_kind.items()},
    }


def _p50_p99(times_s: Sequence[float]) -> tuple[float, float]:
    places = statistics.quantiles(times_s, n=100)
    return round(places[49] * 1000, 1), round(places[98] * 1000, 1)


def hold(answers: Sequence[Answer], phases: Sequence[Phase], *, row: str, seed: int) -> None:
    """Hold that whoever asks properly was answered, and rightly.

    Raises:
        Violation: Somebody was not; its steps are the attacks until then.
    """
    for one in answers:
        if one.status != 200:
            steps = [phase.kind for phase in phases if phase.from_s <= one.moment_s]
            what = f"somebody else was answered by {one.status or 'nothing right'}"
            raise Violation(row=row, seed=seed, steps=steps, what=what)


async def _quiet(seconds: float) -> Phase:
    from_s = time.monotonic()
    await asyncio.sleep(seconds)
    return Phase(kind="quiet", from_s=from_s, until_s=time.monotonic())


@contextlib.asynccontextmanager
async def _indexed(site: ControlPlaneSite) -> AsyncIterator[None]:
    """Run a small index, for what the control plane would answer 503 without."""
    token = FileToken(site.folder / "tokens" / "index.token")
    async with (
        open_channel(site.target, token=token) as channel,
        running_index(f"unix:{site.folder}/i", site.folder / "jwks.json", channel),
    ):
        yield


async def _admitted(site: ControlPlaneSite, where: tuple[str, int]) -> tuple[str, dict[str, str]]:
    """Return a camera for the callers, their token as ``caller``, and the attackers' by role."""
    host, port = where
    admin = (site.folder / "data" / "admin.token").read_text().strip()
    async with httpx.AsyncClient(
        base_url=f"http://{host}:{port}",
        headers={"authorization": f"Bearer {admin}"},
        trust_env=False,
    ) as client:

        async def made(path: str, body: dict[str, str]) -> dict[str, str]:
            answer = await client.post(path, json=body)
            answer.raise_for_status()
            data: dict[str, str] = answer.json()["data"]
            return data

        cameras = [
            (await made("/cameras", {"name": name, "connection_string": "rtsp://c/"}))["id"]
            for name in ("own", "theirs")
        ]
        tokens = {}
        for role in _ISSUED:
            asked = {"role": role, "subject": "attacker"}
            extra = {"camera_id": cameras[1]} if role == "worker" else {}
            tokens[role] = (await made("/tokens", asked | extra))["token"]
        issued = await made("/tokens", {"role": "viewer", "subject": "caller"})
    return cameras[0], tokens | {"caller": issued["token"]}


@dataclass(frozen=True, slots=True, kw_only=True)
class Party:
    """Attackers, or callers, in a process of their own."""

    process: asyncio.subprocess.Process
    stdin: asyncio.StreamWriter
    stdout: asyncio.StreamReader

    async def ready(self) -> None:
        """Wait until it has begun."""
        assert await self._next() == {"ready": True}

    async def attack(self, row: str, seed: int) -> tuple[list[Phase], dict[str, int]]:
        """Let it attack; return what it did when, and what it counted."""
        self.stdin.write(b"go\n")
        phases: list[Phase] = []
        while "figures" not in (told := await self._next()):
            if "broken" in told:
                steps = [*(phase.kind for phase in phases), told["kind"]]
                raise Violation(row=row, seed=seed, steps=steps, what=told["broken"])
            phases.append(Phase(**told))
        return phases, told["figures"]

    async def answers(self) -> list[Answer]:
        """Let it end; return all answers that it got."""
        self.stdin.close()
        return [
            Answer(moment_s=moment_s, took_s=took_s, status=status)
            for moment_s, took_s, status in json.loads(await self.stdout.read())
        ]

    async def _next(self) -> dict[str, Any]:
        """Return the next that it tells; it is an error that it ends before."""
        line = await self.stdout.readline()
        if not line:
            raise RuntimeError(f"ended with status {await self.process.wait()}")
        told: dict[str, Any] = json.loads(line)
        return told


@contextlib.asynccontextmanager
async def started(
    who: str, where: tuple[str, int], told: dict[str, str], *arguments: float
) -> AsyncIterator[Party]:
    """Start a party; what it must not show in a list of processes is told by its stdin."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", f"tests.faults.rest_edge_{who}"),
        *(str(argument) for argument in (*where, *arguments)),
        cwd=_ROOT,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
    )
    assert process.stdin is not None
    assert process.stdout is not None
    process.stdin.write(json.dumps(told).encode() + b"\n")
    try:
        yield Party(process=process, stdin=process.stdin, stdout=process.stdout)
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()
