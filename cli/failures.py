"""How a command ends when it cannot do what was asked: one sentence and an exit code.

Everything below raises `CommandFailed`; `cli.__main__` alone prints it. The codes are part of the
command's contract, so that scripts can tell "not there" from "try again later".
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


class CommandFailed(Exception):
    """The command cannot do what was asked.

    Args:
        sentence: What is wrong and what to do about it; may hold several lines, one a problem.
        code: How the process ends.
        request_id: Names the request in the services' logs, where there was one.
    """

    def __init__(
        self, sentence: str, *, code: ExitCode = ExitCode.FAILED, request_id: str = ""
    ) -> None:
        super().__init__(sentence)
        self.sentence = sentence
        self.code = code
        self.request_id = request_id
