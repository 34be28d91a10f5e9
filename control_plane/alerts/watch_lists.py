"""Watch lists in the database. A person who is on one can be erased; the list goes on without."""

from collections.abc import Collection, Sequence

from sqlalchemy import delete, func, select, tuple_
from sqlalchemy.ext.asyncio import AsyncSession

from control_plane.alerts import model
from control_plane.alerts.model import WatchList, WatchListChange
from control_plane.alerts.tables import AlertRuleRow, WatchListMemberRow, WatchListRow
from control_plane.database import Database, Transaction
from control_plane.people import store as people
from control_plane.people.model import fold, person_not_found, sort_key
from service_runtime.identifiers import new_id

NameKey = tuple[str, str]


class WatchListStore:
    """Keeps watch lists; each method that changes something is one transaction."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def create(
        self,
        *,
        name: str,
        description: str,
        person_ids: Sequence[str],
        request_id: str,
        request_digest: str,
    ) -> WatchList:
        """Make a watch list, or find the one that the same request made before.

        Raises:
            NotFound: A person is not there.
            AlreadyExists: ``REQUEST_ID_REUSED``.
            ResourceExhausted: There are as many lists as there can be.
        """

        async def make(tx: Transaction) -> WatchList:
            if request_id:
                query = select(WatchListRow).where(WatchListRow.request_id == request_id)
                earlier = await tx.session.scalar(query)
                if earlier is not None:
                    if earlier.request_digest != request_digest:
                        raise model.request_id_reused("watch list")
                    tx.audit_object("watch_list", earlier.id)
                    return (await _complete(tx.session, [earlier]))[0]
            count = await tx.session.scalar(select(func.count()).select_from(WatchListRow))
            if (count or 0) >= model.MOST_WATCH_LISTS:
                raise model.too_many("watch list", model.MOST_WATCH_LISTS)
            row = WatchListRow(
                id=new_id(),
                name=name,
                sort_key=sort_key(fold(name)),
                description=description,
                version=1,
                request_id=request_id or None,
                request_digest=request_digest if request_id else None,
                created_at=tx.now,
                updated_at=tx.now,
            )
            tx.audit_object("watch_list", row.id)
            tx.session.add(row)
            await tx.session.flush()
            await _add_members(tx, row.id, person_ids)
            return (await _complete(tx.session, [row]))[0]

        return await self._database.transact(make)

    async def get(self, watch_list_id: str) -> WatchList:
        """Return a watch list.

        Raises:
            NotFound: ``WATCH_LIST_NOT_FOUND``.
        """
        async with self._database.read() as session:
            row = await session.get(WatchListRow, watch_list_id)
            if row is None:
                raise model.watch_list_not_found(watch_list_id)
            return (await _complete(session, [row]))[0]

    async def page(self, *, after: NameKey | None, limit: int) -> list[tuple[NameKey, WatchList]]:
        """Return watch lists by name, each with the key that the next page starts after."""
        query = select(WatchListRow).order_by(WatchListRow.sort_key, WatchListRow.id).limit(limit)
        if after is not None:
            query = query.where(tuple_(WatchListRow.sort_key, WatchListRow.id) > after)
        async with self._database.read() as session:
            rows = (await session.scalars(query)).all()
            lists = await _complete(session, rows)
            return [((row.sort_key, row.id), found) for row, found in zip(rows, lists, strict=True)]

    async def update(self, watch_list_id: str, change: WatchListChange) -> WatchList:
        """Change what the change names.

        Raises:
            NotFound: The list, or a person, is not there.
            Aborted: ``ETAG_MISMATCH``.
        """

        async def change_it(tx: Transaction) -> WatchList:
            # people before what is theirs, as everywhere
            await people.held(tx, change.person_ids or ())
            row = await _locked(tx.session, watch_list_id)
            before = (await _complete(tx.session, [row]))[0]
            if change.etag and change.etag != before.etag:
                raise model.etag_mismatch("watch list")
            changed = False
            if change.name is not None and change.name != row.name:
                row.name, row.sort_key, changed = change.name, sort_key(fold(change.name)), True
            if change.description is not None and change.description != row.description:
                row.description, changed = change.description, True
            if change.person_ids is not None and set(change.person_ids) != set(before.person_ids):
                gone = set(before.person_ids) - set(change.person_ids)
                await tx.session.execute(
                    delete(WatchListMemberRow).where(
                        WatchListMemberRow.watch_list_id == watch_list_id,
                        WatchListMemberRow.person_id.in_(gone),
                    )
                )
                await _add_members(
                    tx, watch_list_id, set(change.person_ids) - set(before.person_ids)
                )
                changed = True
            if changed:
                row.version += 1
                row.updated_at = tx.now
                await tx.session.flush()
            return (await _complete(tx.session, [row]))[0]

        return await self._database.transact(change_it)

    async def delete(self, watch_list_id: str) -> None:
        """Remove a watch list.

        Raises:
            NotFound: ``WATCH_LIST_NOT_FOUND``.
            FailedPrecondition: ``WATCH_LIST_IN_USE``.
        """

        async def remove(tx: Transaction) -> None:
            row = await _locked(tx.session, watch_list_id)
            query = select(AlertRuleRow.name).where(AlertRuleRow.watch_list_id == watch_list_id)
            user = await tx.session.scalar(query.order_by(AlertRuleRow.sort_key).limit(1))
            if user is not None:
                raise model.watch_list_in_use(watch_list_id, user)
            await tx.session.delete(row)

        await self._database.transact(remove)


async def lists_of_people(
    session: AsyncSession, person_ids: Collection[str]
) -> dict[str, frozenset[str]]:
    """Return the watch lists that each of the people is on."""
    if not person_ids:
        return {}
    query = select(WatchListMemberRow).where(WatchListMemberRow.person_id.in_(person_ids))
    found: dict[str, set[str]] = {}
    for row in await session.scalars(query):
        found.setdefault(row.person_id, set()).add(row.watch_list_id)
    return {person_id: frozenset(lists) for person_id, lists in found.items()}


async def watch_list_names(session: AsyncSession, ids: Collection[str]) -> dict[str, str]:
    """Return the names of watch lists."""
    if not ids:
        return {}
    query = select(WatchListRow.id, WatchListRow.name).where(WatchListRow.id.in_(ids))
    return {row.id: row.name for row in await session.execute(query)}


async def take_person_from_lists(tx: Transaction, person_id: str) -> int:
    """Take a person from every watch list; return from how many."""
    taken = await tx.session.scalars(
        delete(WatchListMemberRow)
        .where(WatchListMemberRow.person_id == person_id)
        .returning(WatchListMemberRow.watch_list_id)
    )
    return len(taken.all())


async def give_memberships(tx: Transaction, *, gone: str, into: str) -> None:
    """Let a person be on every watch list that another one is on, and that one on none."""
    named = (await lists_of_people(tx.session, [gone])).get(gone, ())
    query = select(WatchListRow).where(WatchListRow.id.in_(named)).order_by(WatchListRow.id)
    rows = (await tx.session.scalars(query.with_for_update())).all()
    # once more, now that nobody else changes them
    lists = await lists_of_people(tx.session, [gone, into])
    for row in rows:
        if row.id not in lists.get(gone, ()):
            continue
        row.version += 1
        row.updated_at = tx.now
        if row.id not in lists.get(into, ()):
            tx.session.add(WatchListMemberRow(watch_list_id=row.id, person_id=into))
    await take_person_from_lists(tx, gone)
    await tx.session.flush()


async def _locked(session: AsyncSession, watch_list_id: str) -> WatchListRow:
    row = await session.get(WatchListRow, watch_list_id, with_for_update=True)
    if row is None:
        raise model.watch_list_not_found(watch_list_id)
    return row


async def _add_members(tx: Transaction, watch_list_id: str, person_ids: Collection[str]) -> None:
    missing = sorted(set(person_ids) - await people.held(tx, person_ids))
    if missing:
        raise person_not_found(missing[0])
    tx.session.add_all(
        WatchListMemberRow(watch_list_id=watch_list_id, person_id=person_id)
        for person_id in sorted(person_ids)
    )
    await tx.session.flush()


async def _complete(session: AsyncSession, rows: Sequence[WatchListRow]) -> list[WatchList]:
    members: dict[str, list[str]] = {row.id: [] for row in rows}
    if rows:
        query = (
            select(WatchListMemberRow)
            .where(WatchListMemberRow.watch_list_id.in_(members))
            .order_by(WatchListMemberRow.person_id)
        )
        for member in await session.scalars(query):
            members[member.watch_list_id].append(member.person_id)
    return [
        WatchList(
            id=row.id,
            name=row.name,
            description=row.description,
            person_ids=tuple(members[row.id]),
            created_at=row.created_at,
            updated_at=row.updated_at,
            version=row.version,
        )
        for row in rows
    ]
