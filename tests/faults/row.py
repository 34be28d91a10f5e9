"""What a row of faults is, so that `make test` and `bench/faults.py` run the same suites.

A row is a part of the mesh with all the faults that are put into it: "telemetry ingest", "watch".
It is a module of this folder, not named ``test_…``, that has a ``ROW``; ``rows`` finds it there, so
a new row needs no other change:

    ROW = Row(name="watch", faults=names(FAULTS) + ("sigkill",), run=run)

    async def run(seed: int, size: int) -> Figures: ...

``run`` builds a world of its own (folders, servers, databases; on SQLite and on PostgreSQL where
the row rests on what differs between them) and leaves nothing behind. ``seed`` decides everything
that is random. ``size`` is how often each fault of the row comes, at least; 1 is a quick look.
What it returns are figures to publish, flat and named by what they count (``changes``, ``lost``).
A promise that was broken is an assertion that fails, best a ``Violation``, which names the seed and
the steps that lead there again; ``inject`` raises it for a list of faults. A test module beside it
(``test_<row>.py``) runs the cheap part of the row, at least eight faults, and plants the bugs that
it must find.
"""

import importlib
import pkgutil
import random
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias, TypeVar

import pytest

Figures: TypeAlias = Mapping[str, int | float | str]
W = TypeVar("W")


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """A row: its name as people know it, what is done to it, and how to run all of it."""

    name: str
    faults: tuple[str, ...]
    run: Callable[[int, int], Awaitable[Figures]]


class Violation(AssertionError):
    """A promise was broken. ``steps`` led there, the last one broke it."""

    def __init__(self, *, row: str, seed: int, steps: Sequence[str], what: str) -> None:
        after = f", after {', '.join(steps)}" if steps else ""
        super().__init__(f"row {row!r}, seed {seed}{after}: {what}")
        self.row = row
        self.seed = seed
        self.steps = tuple(steps)
        self.what = what

    def reproducer(self) -> dict[str, Any]:
        """Return what it takes to see it again, as JSON has it."""
        return {
            "row": self.row,
            "seed": self.seed,
            "steps": list(self.steps),
            "what": self.what,
            "again": f"python -m bench.faults --row '{self.row}' --seed {self.seed}",
        }


async def inject(
    faults: Sequence[Callable[[W], Awaitable[None]]],
    world: W,
    check: Callable[[], Awaitable[None]],
    *,
    row: str,
    seed: int,
    rounds: int,
) -> int:
    """Put every fault into a world, each round in another order; return how many came.

    Args:
        faults: What to do to the world.
        world: What they are done to.
        check: Holds the world against its model; runs after each fault.
        row: Name of the row.
        seed: Decides the orders.
        rounds: How often each fault comes.

    Raises:
        Violation: A fault or a check after it failed.
    """
    dice = random.Random(seed)
    steps: list[str] = []
    for _ in range(rounds):
        for fault in dice.sample(faults, len(faults)):
            steps.append(_name(fault))
            try:
                await fault(world)
                await check()
            # pytest's own way to fail is no Exception
            except (Exception, pytest.fail.Exception) as error:
                what = f"{type(error).__name__}: {error}"
                raise Violation(row=row, seed=seed, steps=steps, what=what) from error
    return len(steps)


def names(faults: Sequence[Callable[..., object]]) -> tuple[str, ...]:
    """Return what faults are called."""
    return tuple(_name(fault) for fault in faults)


def rows() -> Iterator[Row]:
    """Find every row of this folder, in the order of their modules' names."""
    package = importlib.import_module("tests.faults")
    for module in sorted(pkgutil.iter_modules(package.__path__), key=lambda found: found.name):
        if not module.name.startswith("test_"):
            row = getattr(importlib.import_module(f"tests.faults.{module.name}"), "ROW", None)
            if isinstance(row, Row):
                yield row


def _name(fault: Callable[..., object]) -> str:
    return str(getattr(fault, "__name__", fault)).replace("_", " ")
