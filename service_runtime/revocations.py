"""Which tokens hold no more, although they have not expired.

The control plane writes the list into a file beside the site's public keys; every service looks
whether it changed each time that it checks a token. A list is small: a token leaves it when it
would have expired, and workers' tokens are named by the epoch of their camera alone. Where there is
no file, nothing was revoked yet; a file that cannot be read leaves what was read last in force.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from service_runtime.structured_logging import get_logger

FILE_NAME: Final = "revoked.json"
_log = get_logger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class RevocationList:
    """What was revoked.

    Attributes:
        tokens: Ids of tokens.
        subjects: For a subject, the time (seconds since 1970) before which its tokens were issued
            that hold no more.
        ended: Ids of workers' tokens whose camera is gone.
        epochs: For a camera, the epoch in force; tokens of workers with a lower one were replaced.
    """

    tokens: frozenset[str] = frozenset()
    subjects: Mapping[str, int] = field(default_factory=dict)
    ended: frozenset[str] = frozenset()
    epochs: Mapping[str, int] = field(default_factory=dict)

    def encode(self) -> bytes:
        """Return the content of the file."""
        document = {
            "tokens": sorted(self.tokens),
            "subjects": dict(sorted(self.subjects.items())),
            "ended": sorted(self.ended),
            "epochs": dict(sorted(self.epochs.items())),
        }
        return json.dumps(document, separators=(",", ":")).encode()

    @classmethod
    def decode(cls, content: bytes) -> "RevocationList":
        """Read the content of the file.

        Raises:
            ValueError: It is no such list.
        """
        document: Any = json.loads(content)
        try:
            return cls(
                tokens=frozenset(str(one) for one in document["tokens"]),
                subjects={str(key): int(value) for key, value in document["subjects"].items()},
                ended=frozenset(str(one) for one in document["ended"]),
                epochs={str(key): int(value) for key, value in document["epochs"].items()},
            )
        except (KeyError, TypeError, AttributeError) as error:
            raise ValueError("not a revocation list") from error

    def names(self, *, token_id: str, subject: str, issued_at: float) -> bool:
        """Tell whether somebody revoked a token."""
        return token_id in self.tokens or issued_at < self.subjects.get(subject, 0)

    def replaces(self, *, token_id: str, camera_id: str | None, epoch: int | None) -> bool:
        """Tell whether a worker's token is that of a camera that is gone, or has another worker."""
        if camera_id is None:
            return False
        return token_id in self.ended or (epoch or 0) < self.epochs.get(camera_id, 0)


class RevocationFile:
    """The list as it stands in a file now."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._seen: tuple[int, int, int] | None = None
        self._list = RevocationList()

    def current(self) -> RevocationList:
        """Return the list; the file is read again when it is another one than before."""
        try:
            found = self._path.stat()
            seen = (found.st_mtime_ns, found.st_ino, found.st_size)
            if seen != self._seen:
                self._list = RevocationList.decode(self._path.read_bytes())
                self._seen = seen
        except FileNotFoundError:
            pass
        except (OSError, ValueError):
            _log.error("revocations.unreadable")
        return self._list
