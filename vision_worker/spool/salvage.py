"""Taking out of a damaged file what can still be read, row by row.

A row counts where its checksum is right. Sightings may be sent anew: the control plane knows them
by their id and revision. Samples that were under way may have been counted, so they are taken only
with the whole of their batch, which goes out under its old name; where it cannot be told which
samples were under way, those that may have been are given up.
"""

import sqlite3
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

from vision_worker.spool.model import Kind, SpoolLimits
from vision_worker.spool.schema import checksum_of

_AT_ONCE: Final = 20
_COLUMNS: Final = {
    Kind.SIGHTINGS: "number, added_s, id, revision, report, checksum",
    Kind.TELEMETRY: "number, added_s, samples, portion, checksum",
}
_Row = tuple[Any, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Salvaged:
    """How much came out of a file, and how many samples were given up for not counting twice."""

    sightings: int = 0
    samples: int = 0
    given_up: int = 0


NOTHING: Final = Salvaged()


def salvage(damaged: Path, into: Path, *, camera_id: str, limits: SpoolLimits) -> Salvaged:
    """Copy what can be read into a fresh spool.

    Raises:
        sqlite3.Error: The fresh one cannot be written.
    """
    try:
        source = sqlite3.connect(damaged, isolation_level=None, timeout=0)
        source.execute("PRAGMA locking_mode = EXCLUSIVE").fetchall()
    except sqlite3.Error:
        return NOTHING
    target = sqlite3.connect(into, isolation_level=None, timeout=0)
    try:
        target.execute("PRAGMA synchronous = FULL").fetchall()
        target.execute("BEGIN IMMEDIATE")
        outcome = _copy(source, target, camera_id, limits)
        target.execute("COMMIT")
        return outcome
    finally:
        source.close()
        target.close()


def _copy(
    source: sqlite3.Connection, target: sqlite3.Connection, camera_id: str, limits: SpoolLimits
) -> Salvaged:
    counted = NOTHING
    for row in _rows(source, Kind.SIGHTINGS):
        number, _, id_, revision, report, checksum = row
        if checksum == checksum_of(camera_id, number, id_, revision, report):
            target.execute("INSERT INTO sightings VALUES (?, ?, ?, ?, ?, ?)", row)
            counted = replace(counted, sightings=counted.sightings + 1)
    for row in _rows(source, Kind.TELEMETRY):
        number, _, samples, portion, checksum = row
        if checksum == checksum_of(camera_id, number, samples, portion):
            target.execute("INSERT INTO telemetry VALUES (?, ?, ?, ?, ?)", row)
            counted = replace(counted, samples=counted.samples + samples)
    given_up = _follow_batches(source, target, camera_id, limits)
    return replace(counted, samples=counted.samples - given_up, given_up=given_up)


def _follow_batches(
    source: sqlite3.Connection, target: sqlite3.Connection, camera_id: str, limits: SpoolLimits
) -> int:
    """Copy the batches of telemetry that are whole; return the samples of the others."""
    columns = "number, session_id, kind, sequence, first, last, rows, checksum"
    try:
        batches = source.execute(f"SELECT {columns} FROM batches ORDER BY number").fetchall()  # noqa: S608 a constant
        intact = all(row[-1] == checksum_of(camera_id, *row[:-1]) for row in batches)
    except sqlite3.Error:
        batches, intact = [], False
    if not intact:
        return _give_up(target, limits.telemetry_under_way * limits.batch_samples)
    given_up = 0
    for row in batches:
        _, _, kind, _, first, last, rows, _ = row
        if kind != Kind.TELEMETRY.value:
            continue  # its sightings wait again
        found, samples = target.execute(
            "SELECT count(*), ifnull(sum(samples), 0) FROM telemetry WHERE number BETWEEN ? AND ?",
            (first, last),
        ).fetchone()
        if found == rows:
            target.execute("INSERT INTO batches VALUES (?, ?, ?, ?, ?, ?, ?, ?)", row)
        else:
            target.execute("DELETE FROM telemetry WHERE number BETWEEN ? AND ?", (first, last))
            given_up += samples
    return given_up


def _give_up(target: sqlite3.Connection, most: int) -> int:
    """Delete the oldest samples, as many as may have been under way; return how many."""
    given_up = 0
    for number, samples in target.execute(
        "SELECT number, samples FROM telemetry ORDER BY number"
    ).fetchmany(most):
        if given_up >= most:
            break
        target.execute("DELETE FROM telemetry WHERE number = ?", (number,))
        given_up += samples
    return given_up


def _rows(source: sqlite3.Connection, kind: Kind) -> Iterator[_Row]:
    """Yield what can be read of a table: from its start to the damage, and from its end back."""
    reached = 0
    for row in _walk(source, kind, "number > ? ORDER BY number", 0):
        reached = row[0]
        yield row
    for row in _walk(source, kind, "number < ? ORDER BY number DESC", 2**63 - 1):
        if row[0] <= reached:
            return
        yield row


def _walk(source: sqlite3.Connection, kind: Kind, where: str, start: int) -> Iterator[_Row]:
    query = f"SELECT {_COLUMNS[kind]} FROM {kind.value} NOT INDEXED WHERE {where} LIMIT ?"  # noqa: S608 constants
    at, most = start, _AT_ONCE
    while True:
        found, most = _some(source, query, at, most)
        if not found:
            return
        yield from found
        at = found[-1][0]


def _some(source: sqlite3.Connection, query: str, at: int, most: int) -> tuple[Sequence[_Row], int]:
    """Return the next rows, one by one where not all of them can be read."""
    while most:
        try:
            return source.execute(query, (at, most)).fetchall(), most
        except (sqlite3.Error, OverflowError, UnicodeDecodeError):
            most = 1 if most > 1 else 0
    return [], 0
