"""The note that a manager leaves beside each worker, so that its successor can adopt it.

A process is known by its id together with its time of creation, because ids come again. The note is
written in one step (a new file takes the old one's name), so a reader sees all of it or none.
"""

import json
import os
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path

RECORD_NAME = "worker.json"


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkerRecord:
    """Which process works for a camera.

    Attributes:
        pid: the process.
        create_time: the kernel's, in seconds (psutil).
        epoch: of the camera's assignment.
        generation: of its configuration.
        started_at: when.
        slot: which shared process it is; empty where it is the camera's own.
    """

    pid: int
    create_time: float
    epoch: int
    generation: int
    started_at: datetime
    slot: str = ""


def write_record(folder: Path, record: WorkerRecord) -> None:
    """Write the record of a camera's folder."""
    values = {**asdict(record), "started_at": record.started_at.isoformat()}
    replace_file(folder / RECORD_NAME, json.dumps(values))


def read_record(folder: Path) -> WorkerRecord | None:
    """Return the record of a camera's folder; None where there is none that can be read."""
    try:
        values = json.loads((folder / RECORD_NAME).read_text())
        return WorkerRecord(
            pid=int(values["pid"]),
            create_time=float(values["create_time"]),
            epoch=int(values["epoch"]),
            generation=int(values["generation"]),
            started_at=datetime.fromisoformat(values["started_at"]),
            slot=str(values.get("slot", "")),
        )
    except (OSError, ValueError, KeyError, TypeError):
        return None


def replace_file(path: Path, text: str) -> None:
    """Put a file that only its owner may read in the place of another, in one step."""
    fresh = path.with_name(f".{path.name}.new")
    fresh.unlink(missing_ok=True)
    descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w") as file:
        file.write(text)
    fresh.replace(path)
