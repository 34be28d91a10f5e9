"""Where a watcher stands in a change feed, as opaque text."""

from dataclasses import dataclass
from typing import Self

from service_runtime.errors import InvalidArgument
from service_runtime.opaque_tokens import decode_opaque, encode_opaque


@dataclass(frozen=True, slots=True, kw_only=True)
class ResumeToken:
    """The last change seen of one feed.

    ``feed_id`` changes when the feed's history does (a restored database, say), so that a token of
    the old history cannot skip changes of the new one.
    """

    feed_id: str
    sequence: int

    def encode(self) -> str:
        """Return the token as text for the client."""
        return encode_opaque([self.feed_id, self.sequence])

    @classmethod
    def decode(cls, text: str) -> Self:
        """Read a token that a client sent.

        Raises:
            InvalidArgument: It is not one of ours.
        """
        values = decode_opaque(text, (str, int))
        if values is None or int(values[1]) < 0:
            raise InvalidArgument(
                "RESUME_TOKEN_INVALID", "The resume token is not valid; start without one."
            )
        return cls(feed_id=str(values[0]), sequence=int(values[1]))
