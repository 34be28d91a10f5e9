"""The spool's one SQLite file, or the same in memory: what waits, what is under way.

Everything here runs on one thread, which alone has the connection. A change is one transaction. The
file is in WAL mode, because then a commit is one append and one sync: whatever ends the process,
SQLite takes a whole commit from the log or nothing of it. ``synchronous=FULL`` syncs each commit,
so that it outlives a loss of power too, as far as the disk keeps its word. The lock is exclusive:
there is no shared memory beside the file that a full disk could take away. A disk that lost the end
of the log all the same takes what was cut in it: samples may then count twice, sightings never,
because the control plane knows them by id and revision.

A batch is a range of rows. To cut one writes down where it ends; the rows stay as they are until it
is acknowledged, so it is the same whenever it is sent. Deleted content is overwritten
(``secure_delete``), and the log emptied soon after (``tidy``).
"""

import contextlib
import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from dfip.control_plane.v1 import worker_gateway_service_pb2 as gateway_pb2
from service_runtime.identifiers import new_id
from vision_worker.spool.model import (
    MIB,
    Batch,
    BatchName,
    Change,
    Holding,
    Kind,
    Outcome,
    Portion,
    Renewal,
    Sighting,
    SpoolLimits,
)
from vision_worker.spool.schema import checksum_of, damaged, prepare_schema

_LOG_BYTES: Final = 4 * MIB
_PAGES_GIVEN_BACK: Final = 4096
_DROPPED_AT_ONCE: Final = 16


@dataclass(frozen=True, slots=True, kw_only=True)
class _Line:
    """How far one kind is.

    Attributes:
        next_number: of the next row.
        cut: the last row that is under way, or was.
        sequence: the last batch of the session.
        waiting: sightings or samples in rows after ``cut``.
    """

    next_number: int = 1
    cut: int = 0
    sequence: int = 0
    waiting: int = 0


class Store:
    """Reports of one camera; ``open_store`` makes it."""

    def __init__(
        self,
        connection: sqlite3.Connection,
        *,
        limits: SpoolLimits,
        most_bytes: int,
        lines: dict[Kind, _Line],
        camera_id: str,
    ) -> None:
        self._connection = connection
        self._camera_id = camera_id
        self._limits = limits
        self._most_bytes = most_bytes
        self._lines = lines
        self._page_bytes = _pragma(connection, "page_size")
        self.session_id = new_id()
        # rows whose content was not what was written, so far
        self.damaged = 0

    def holding(self) -> Holding:
        """Return what waits, and the size of the file."""
        return Holding(
            sightings=self._lines[Kind.SIGHTINGS].waiting,
            samples=self._lines[Kind.TELEMETRY].waiting,
            bytes=_pragma(self._connection, "page_count") * self._page_bytes,
        )

    def commit(self, change: Change) -> Outcome:
        """Make a change; when this returns, it is durable.

        Raises:
            sqlite3.Error: It is not, and nothing was changed.
        """
        before, session_before = dict(self._lines), self.session_id
        try:
            self._connection.execute("BEGIN IMMEDIATE")
            outcome = self._apply(change)
            self._connection.execute("COMMIT")
        except BaseException:
            self._lines, self.session_id = before, session_before
            with contextlib.suppress(sqlite3.Error):
                self._connection.execute("ROLLBACK")
            raise
        return outcome

    def drop_older(self, before_s: float) -> Outcome:
        """Drop what waits since before a time, sightings under way with it.

        Raises:
            sqlite3.Error: Nothing was dropped.
        """
        before = dict(self._lines)
        execute = self._connection.execute
        try:
            execute("BEGIN IMMEDIATE")
            old = (int(before_s),)
            sightings = execute("DELETE FROM sightings WHERE added_s < ?", old).rowcount
            cut = self._lines[Kind.TELEMETRY].cut
            old_samples = "FROM telemetry WHERE added_s < ? AND number > ?"
            (samples,) = execute(
                f"SELECT ifnull(sum(samples), 0) {old_samples}", (*old, cut)
            ).fetchone()
            execute(f"DELETE {old_samples}", (*old, cut))
            # those of a sighting's batch that are left go under its number: the control plane takes
            # reports by their id and revision
            execute(
                "DELETE FROM batches WHERE kind = ? AND NOT EXISTS"
                " (SELECT 1 FROM sightings WHERE sightings.number BETWEEN first AND last)",
                (Kind.SIGHTINGS.value,),
            )
            for kind, line in self._lines.items():
                waiting = _waiting(self._connection, kind, line.cut)
                self._lines[kind] = replace(line, waiting=waiting)
            execute("COMMIT")
        except BaseException:
            self._lines = before
            with contextlib.suppress(sqlite3.Error):
                execute("ROLLBACK")
            raise
        return Outcome(holding=self.holding(), dropped_sightings=sightings, dropped_samples=samples)

    def tidy(self) -> None:
        """Empty the log into the file, and give back space that is not needed."""
        execute = self._connection.execute
        if _pragma(self._connection, "freelist_count") > _PAGES_GIVEN_BACK or not self._has_rows():
            execute(f"PRAGMA incremental_vacuum({_PAGES_GIVEN_BACK})").fetchall()
        execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()

    def under_way(self) -> list[Batch]:
        """Return the batches that nobody has acknowledged, in the order in which they were cut.

        A batch of telemetry that is not whole is given up: it may have been counted already.

        Raises:
            sqlite3.DatabaseError: It cannot be told what is under way.
        """
        rows = self._connection.execute(
            "SELECT number, session_id, kind, sequence, first, last, rows, checksum FROM batches"
            " ORDER BY number"
        ).fetchall()
        batches = []
        for *values, checksum in rows:
            if checksum != self._checksum(*values):
                raise damaged("what is under way cannot be told")
            number, session_id, kind, sequence, first, last, count = values
            name = BatchName(session_id=session_id, kind=Kind(kind), sequence=sequence)
            data = self._sound(name.kind, first, last)
            if data and (len(data) == count or name.kind is Kind.SIGHTINGS):
                batches.append(batch_of(name, data))
            else:
                self._give_up(name.kind, number, first, last)
        return batches

    def _give_up(self, kind: Kind, batch: int, first: int, last: int) -> None:
        range_ = (first, last)
        execute = self._connection.execute
        execute("BEGIN IMMEDIATE")
        gone = execute(f"DELETE FROM {kind.value} WHERE number BETWEEN ? AND ?", range_).rowcount  # noqa: S608 an enum
        execute("DELETE FROM batches WHERE number = ?", (batch,))
        execute("COMMIT")
        self.damaged += gone

    def begin_session(self) -> None:
        """Number the batches to come anew."""
        self.session_id = new_id()
        self._lines = {kind: replace(line, sequence=0) for kind, line in self._lines.items()}

    def waiting(self) -> tuple[list[Sighting], list[Portion]]:
        """Return all that is not under way; for stores in memory, which are small."""
        sightings = [
            Sighting(id=id_, revision=revision, data=data)
            for id_, revision, data in self._connection.execute(
                "SELECT id, revision, report FROM sightings WHERE number > ? ORDER BY number",
                (self._lines[Kind.SIGHTINGS].cut,),
            )
        ]
        portions = [
            Portion(samples=samples, data=data)
            for samples, data in self._connection.execute(
                "SELECT samples, portion FROM telemetry WHERE number > ? ORDER BY number",
                (self._lines[Kind.TELEMETRY].cut,),
            )
        ]
        return sightings, portions

    def close(self) -> None:
        """Empty the log into the file and let go of it."""
        self._connection.close()

    def _apply(self, change: Change) -> Outcome:
        if change.renewal is not None:
            self._renew(change.renewal)
        for name in change.acknowledged:
            self._forget(name)
        for sighting in change.sightings:
            self._add_sighting(sighting, int(change.now_s))
        for portion in change.portions:
            self._add_portion(portion, int(change.now_s))
        damaged_before = self.damaged
        dropped_sightings, dropped_samples = self._make_room()
        batches = [batch for kind in Kind for batch in self._cut(kind, change.cut.get(kind, 0))]
        return Outcome(
            holding=self.holding(),
            batches=batches,
            dropped_sightings=dropped_sightings,
            dropped_samples=dropped_samples,
            damaged=self.damaged - damaged_before,
        )

    def _renew(self, renewal: Renewal) -> None:
        self.session_id = renewal.session_id
        for name, number in renewal.moves:
            found = self._connection.execute(
                "SELECT number, first, last, rows FROM batches"
                " WHERE session_id = ? AND kind = ? AND sequence = ?",
                (name.session_id, name.kind.value, name.sequence),
            ).fetchone()
            if found is None:
                continue  # it is of a store that is no more
            row, *range_ = found
            values = (row, renewal.session_id, name.kind.value, number, *range_)
            self._connection.execute(
                "UPDATE batches SET session_id = ?, sequence = ?, checksum = ? WHERE number = ?",
                (renewal.session_id, number, self._checksum(*values), row),
            )
        for kind, line in self._lines.items():
            self._lines[kind] = replace(line, sequence=renewal.last(kind))

    def _forget(self, name: BatchName) -> None:
        of_it = "session_id = ? AND kind = ? AND sequence <= ?"
        values = (name.session_id, name.kind.value, name.sequence)
        execute = self._connection.execute
        (last,) = execute(f"SELECT max(last) FROM batches WHERE {of_it}", values).fetchone()  # noqa: S608 a constant
        if last is None:
            return
        execute(f"DELETE FROM {name.kind.value} WHERE number <= ?", (last,))  # noqa: S608 an enum
        execute(f"DELETE FROM batches WHERE {of_it}", values)  # noqa: S608 a constant

    def _add_sighting(self, sighting: Sighting, now_s: int) -> None:
        line = self._lines[Kind.SIGHTINGS]
        execute = self._connection.execute
        older = execute(
            "SELECT number, revision FROM sightings WHERE id = ? AND number > ?",
            (sighting.id, line.cut),
        ).fetchone()
        if older is not None:
            number, revision = older
            if sighting.revision > revision:
                checksum = self._checksum(number, sighting.id, sighting.revision, sighting.data)
                execute(
                    "UPDATE sightings SET added_s = ?, revision = ?, report = ?, checksum = ?"
                    " WHERE number = ?",
                    (now_s, sighting.revision, sighting.data, checksum, number),
                )
            return
        number, values = line.next_number, (sighting.id, sighting.revision, sighting.data)
        execute(
            "INSERT INTO sightings (number, added_s, id, revision, report, checksum)"
            " VALUES (?, ?, ?, ?, ?, ?)",
            (number, now_s, *values, self._checksum(number, *values)),
        )
        self._lines[Kind.SIGHTINGS] = replace(
            line, next_number=line.next_number + 1, waiting=line.waiting + 1
        )

    def _add_portion(self, portion: Portion, now_s: int) -> None:
        line = self._lines[Kind.TELEMETRY]
        number, values = line.next_number, (portion.samples, portion.data)
        self._connection.execute(
            "INSERT INTO telemetry (number, added_s, samples, portion, checksum)"
            " VALUES (?, ?, ?, ?, ?)",
            (number, now_s, *values, self._checksum(number, *values)),
        )
        self._lines[Kind.TELEMETRY] = replace(
            line, next_number=line.next_number + 1, waiting=line.waiting + portion.samples
        )

    def _make_room(self) -> tuple[int, int]:
        """Drop what is oldest, telemetry first, until the rest fits; never what is under way."""
        sightings = samples = 0
        while self._used() > self._most_bytes:
            if (dropped := self._drop_oldest(Kind.TELEMETRY)) > 0:
                samples += dropped
            elif (dropped := self._drop_oldest(Kind.SIGHTINGS)) > 0:
                sightings += dropped
            else:
                break
        return sightings, samples

    def _drop_oldest(self, kind: Kind) -> int:
        line = self._lines[kind]
        records = "samples" if kind is Kind.TELEMETRY else "1"
        rows = self._connection.execute(
            f"SELECT number, {records} FROM {kind.value}"  # noqa: S608 constants
            " WHERE number > ? ORDER BY number LIMIT ?",
            (line.cut, _DROPPED_AT_ONCE),
        ).fetchall()
        if not rows:
            return 0
        self._connection.execute(
            f"DELETE FROM {kind.value} WHERE number > ? AND number <= ?",  # noqa: S608 an enum
            (line.cut, rows[-1][0]),
        )
        dropped = sum(int(count) for _, count in rows)
        self._lines[kind] = replace(line, waiting=line.waiting - dropped)
        return dropped

    def _cut(self, kind: Kind, most: int) -> list[Batch]:
        batches: list[Batch] = []
        while len(batches) < most and self._lines[kind].waiting:
            if (batch := self._cut_one(kind)) is not None:
                batches.append(batch)
        return batches

    def _cut_one(self, kind: Kind) -> Batch | None:
        """Put the next rows under way; None where none of them is what was written."""
        line = self._lines[kind]
        first, last = line.cut + 1, self._end_of_batch(kind, line.cut)
        damaged_before = self.damaged
        data = self._sound(kind, first, last)
        waiting = _waiting(self._connection, kind, last) if self.damaged > damaged_before else None
        if not data:
            self._lines[kind] = replace(line, cut=last, waiting=waiting or 0)
            return None
        name = BatchName(session_id=self.session_id, kind=kind, sequence=line.sequence + 1)
        batch = batch_of(name, data)
        number = self._connection.execute(
            "INSERT INTO batches (session_id, kind, sequence, first, last, rows)"
            " VALUES (?, ?, ?, ?, ?, ?)",
            (name.session_id, kind.value, name.sequence, first, last, len(data)),
        ).lastrowid
        checksum = self._checksum(
            number or 0, name.session_id, kind.value, name.sequence, first, last, len(data)
        )
        self._connection.execute(
            "UPDATE batches SET checksum = ? WHERE number = ?", (checksum, number)
        )
        self._lines[kind] = replace(
            line,
            cut=last,
            sequence=name.sequence,
            waiting=line.waiting - batch.records if waiting is None else waiting,
        )
        return batch

    def _end_of_batch(self, kind: Kind, after: int) -> int:
        """Return the last row of the next batch; there is one."""
        most, bytes_, count = self._limits.batch_sightings, 0, 0
        query = "SELECT number, 1, length(report) FROM sightings"
        if kind is Kind.TELEMETRY:
            most = self._limits.batch_samples
            query = "SELECT number, samples, length(portion) FROM telemetry"
        last = after
        for number, records, size in self._connection.execute(
            f"{query} WHERE number > ? ORDER BY number", (after,)
        ):
            count, bytes_ = count + records, bytes_ + size
            if last > after and (count > most or bytes_ > self._limits.batch_bytes):
                break
            last = int(number)
        return last

    def _sound(self, kind: Kind, first: int, last: int) -> list[bytes]:
        """Return the rows that are what was written, and delete the others."""
        columns = "id, revision, report" if kind is Kind.SIGHTINGS else "samples, portion"
        rows = self._connection.execute(
            f"SELECT number, {columns}, checksum FROM {kind.value}"  # noqa: S608 constants
            " WHERE number BETWEEN ? AND ? ORDER BY number",
            (first, last),
        ).fetchall()
        sound: list[bytes] = []
        for *values, checksum in rows:
            if checksum == self._checksum(*values):
                sound.append(values[-1])
            else:
                self.damaged += 1
                self._connection.execute(
                    f"DELETE FROM {kind.value} WHERE number = ?",  # noqa: S608 an enum
                    (values[0],),
                )
        return sound

    def _checksum(self, *values: int | str | bytes) -> int:
        return checksum_of(self._camera_id, *values)

    def _used(self) -> int:
        free = _pragma(self._connection, "freelist_count")
        return (_pragma(self._connection, "page_count") - free) * self._page_bytes

    def _has_rows(self) -> bool:
        found = self._connection.execute(
            "SELECT EXISTS (SELECT 1 FROM sightings) OR EXISTS (SELECT 1 FROM telemetry)"
        ).fetchone()
        return bool(found[0])


def batch_of(name: BatchName, data: Sequence[bytes]) -> Batch:
    """Return the batch of these rows."""
    if name.kind is Kind.SIGHTINGS:
        sightings = gateway_pb2.SightingBatch(
            sequence=name.sequence,
            sightings=[gateway_pb2.SightingReport.FromString(one) for one in data],
        )
        message = gateway_pb2.ConnectRequest(sightings=sightings)
        return Batch(name=name, records=len(sightings.sightings), message=message)
    # the serialised portions, one after the other, are the serialised whole
    telemetry = gateway_pb2.TelemetryBatch.FromString(b"".join(data))
    telemetry.sequence = name.sequence
    message = gateway_pb2.ConnectRequest(telemetry=telemetry)
    return Batch(name=name, records=len(telemetry.samples), message=message)


def open_store(path: Path | None, *, camera_id: str, limits: SpoolLimits) -> Store:
    """Open the file, or a place in memory where there is none, with a new session.

    Raises:
        SpoolUnusable: The file is none to go on with.
        sqlite3.Error: It is damaged, or cannot be opened.
    """
    connection = sqlite3.connect(
        path if path is not None else ":memory:",
        isolation_level=None,
        check_same_thread=False,  # one thread has it, though not always the one that opened it
        timeout=0,
    )
    try:
        execute = connection.execute
        execute("PRAGMA locking_mode = EXCLUSIVE").fetchall()
        execute("PRAGMA auto_vacuum = INCREMENTAL").fetchall()
        execute("PRAGMA secure_delete = ON").fetchall()
        execute("PRAGMA cell_size_check = ON").fetchall()
        execute("PRAGMA trusted_schema = OFF").fetchall()
        if path is not None:
            execute("PRAGMA journal_mode = WAL").fetchall()
            execute("PRAGMA synchronous = FULL").fetchall()
            execute(f"PRAGMA journal_size_limit = {_LOG_BYTES}").fetchall()
        prepare_schema(connection, camera_id)
        lines = {kind: _line(connection, kind) for kind in Kind}
        most_bytes = limits.memory_bytes
        if path is not None:
            most_bytes = max(limits.disk_bytes - 2 * _LOG_BYTES, limits.disk_bytes // 2)
        return Store(
            connection, limits=limits, most_bytes=most_bytes, lines=lines, camera_id=camera_id
        )
    except BaseException:
        connection.close()
        raise


def _line(connection: sqlite3.Connection, kind: Kind) -> _Line:
    (cut,) = connection.execute(
        "SELECT ifnull(max(last), 0) FROM batches WHERE kind = ?", (kind.value,)
    ).fetchone()
    (last,) = connection.execute(f"SELECT max(number) FROM {kind.value}").fetchone()  # noqa: S608 an enum
    waiting = _waiting(connection, kind, cut)
    return _Line(next_number=max(last or 0, cut) + 1, cut=cut, waiting=waiting)


def _waiting(connection: sqlite3.Connection, kind: Kind, cut: int) -> int:
    records = "ifnull(sum(samples), 0)" if kind is Kind.TELEMETRY else "count(*)"
    (waiting,) = connection.execute(
        f"SELECT {records} FROM {kind.value} WHERE number > ?",  # noqa: S608 constants
        (cut,),
    ).fetchone()
    return int(waiting)


def _pragma(connection: sqlite3.Connection, name: str) -> int:
    return int(connection.execute(f"PRAGMA {name}").fetchone()[0])
