"""What the mesh promises, held under every fault of every row of ``tests/faults``.

    python -m bench.faults [--row NAME] [--seed N] [--size N] [--quick] [--save FOLDER]

Prints one JSON document: for each row its faults and its figures, such as changes made and events
lost. ``tests/faults/row.py`` says what a row is. A row that finds a broken promise shows the seed
and the steps that lead there, ends the program with status 1, and leaves them as a file with
``--save``; the other rows run all the same. ``--quick`` puts each fault in once, which is what
`make test` does with the cheap ones of them.
"""

import argparse
import asyncio
import json
import os
import platform
import sys
import time
from pathlib import Path
from typing import Any

from service_runtime.structured_logging import configure_logging
from tests.faults.row import Row, Violation, rows

_SIZE = 5


def main() -> int:
    """Run rows and print what they found."""
    known = list(rows())
    parser = argparse.ArgumentParser(prog="python -m bench.faults", description=__doc__)
    parser.add_argument("--row", action="append", choices=[row.name for row in known])
    parser.add_argument("--seed", type=int, default=1, help="decides what is random (default 1)")
    parser.add_argument("--size", type=int, default=_SIZE, help=f"rounds (default {_SIZE})")
    parser.add_argument("--quick", action="store_true", help="one round")
    parser.add_argument("--save", type=Path, help="folder for what leads to a broken promise")
    asked = parser.parse_args()
    configure_logging("bench", level="critical")
    size = 1 if asked.quick else asked.size
    chosen = [row for row in known if asked.row is None or row.name in asked.row]
    found = [run(row, asked.seed, size, asked.save) for row in chosen]
    document = {
        "benchmark": "faults",
        "machine": {"processor": platform.machine(), "cores": os.cpu_count()},
        "seed": asked.seed,
        "rows": found,
    }
    print(json.dumps(document, indent=2))
    return int(any("broken" in row for row in found))


def run(row: Row, seed: int, size: int, save: Path | None) -> dict[str, Any]:
    """Run a row on an event loop of its own and return what it found."""
    started = time.perf_counter()
    found: dict[str, Any] = {"row": row.name, "faults": list(row.faults), "size": size}
    try:
        found["figures"] = dict(asyncio.run(_figures(row, seed, size)))
    except AssertionError as error:
        violation = (
            error
            if isinstance(error, Violation)
            else Violation(row=row.name, seed=seed, steps=(), what=str(error))
        )
        found["broken"] = violation.reproducer()
        if save is not None:
            save.mkdir(parents=True, exist_ok=True)
            file = save / f"{row.name.replace(' ', '-')}-{seed}.json"
            file.write_text(json.dumps(found["broken"], indent=2))
    found["seconds"] = round(time.perf_counter() - started, 1)
    return found


async def _figures(row: Row, seed: int, size: int) -> dict[str, Any]:
    return dict(await row.run(seed, size))


if __name__ == "__main__":
    sys.exit(main())
