"""The list of revoked tokens, in the file where every service of the site looks for it.

Written at once by whoever revokes, before the call is answered; the task follows the change feed
for what other replicas and other calls did: new epochs replace workers' tokens. Services on other
machines read the file as they read the public keys beside it.
"""

import asyncio
import contextlib
from pathlib import Path
from typing import Final

from control_plane.atomic_files import write_atomically
from control_plane.database import Database
from control_plane.events.feed import ChangeFeed
from control_plane.events.types import EPOCH_ISSUED, TOKENS_REVOKED
from control_plane.tokens.records import TokenRecords
from service_runtime.errors import OutOfRange
from service_runtime.revocations import FILE_NAME
from service_runtime.structured_logging import get_logger

_TELLING: Final = frozenset({EPOCH_ISSUED, TOKENS_REVOKED, "camera.deleted"})
_log = get_logger(__name__)


class RevocationPublication:
    """Writes the list; ``run`` is its root task.

    Args:
        database: Where revocations stand.
        feed: Tells of those of others.
        jwks_file: The site's public keys; the list goes beside them.
    """

    def __init__(self, database: Database, feed: ChangeFeed, jwks_file: Path) -> None:
        self._database = database
        self._feed = feed
        self._records = TokenRecords(database)
        self._file = jwks_file.with_name(FILE_NAME)
        self._writing = asyncio.Lock()
        self._written: bytes | None = None

    async def publish(self) -> None:
        """Write the list as it is now, where it is another one than before.

        Raises:
            OSError: The folder is full or not ours.
        """
        async with self._writing:
            content = (await self._records.revocations()).encode()
            if content != self._written:
                await asyncio.to_thread(write_atomically, self._file, content)
                self._written = content

    async def run(self) -> None:
        """Publish whenever something was revoked, until the feed is closed."""
        while True:
            with contextlib.suppress(OutOfRange):  # after a restore the feed is another one
                await self._follow()

    async def _follow(self) -> None:
        async with self._database.read() as session:
            after = await self._feed.head(session)
        await self._publish_or_tell()
        batches = self._feed.subscribe(after)
        async with contextlib.aclosing(batches):
            async for batch in batches:
                if any(event.type in _TELLING for event in batch.events):
                    await self._publish_or_tell()

    async def _publish_or_tell(self) -> None:
        try:
            await self.publish()
        except OSError as error:
            # the next revocation, or the next start, tries again
            _log.error("revocations.not_written", errno=error.errno)
