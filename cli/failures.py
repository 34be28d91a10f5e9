"""How a command ends when it cannot do what was asked: four parts and an exit code.

What is wrong, why, what to do about it, and the request that the services' logs name. Everything
below raises `CommandFailed`; `cli.__main__` alone prints it. The codes are part of the command's
contract, so that scripts can tell "not there" from "try again later".
"""

from enum import IntEnum


class ExitCode(IntEnum):
    """What the process says when it ends."""

    OK = 0
    FAILED = 1
    USAGE = 2
    NOT_FOUND = 3
    NOT_ALLOWED = 4
    CONFLICT = 5
    UNAVAILABLE = 6
    TIMED_OUT = 7
    INTERRUPTED = 130
    READER_GONE = 141


class CommandFailed(Exception):
    """The command cannot do what was asked.

    Args:
        sentence: What is wrong, and behind a semicolon what to do about it; may hold several lines,
            one a problem.
        code: How the process ends.
        request_id: Names the request in the services' logs, where there was one.
        why: What it came from, where the sentence does not say so; may hold several lines.
    """

    def __init__(
        self,
        sentence: str,
        *,
        code: ExitCode = ExitCode.FAILED,
        request_id: str = "",
        why: str = "",
    ) -> None:
        super().__init__(sentence)
        self.sentence = sentence
        self.code = code
        self.request_id = request_id
        self.why = why

    @property
    def what(self) -> str:
        """Return what is wrong, without what to do about it."""
        return self._parts()[0]

    @property
    def remedy(self) -> str:
        """Return what to do about it; nothing where the sentence leaves it open."""
        return self._parts()[1]

    def _parts(self) -> tuple[str, str]:
        what, semicolon, remedy = self.sentence.partition("; ")
        if not semicolon or "\n" in self.sentence:
            return self.sentence, ""
        return f"{what}.", remedy[:1].upper() + remedy[1:]


class ReaderGone(Exception):
    """Nobody reads standard output any more, as behind `| head`: stop, and say nothing."""
