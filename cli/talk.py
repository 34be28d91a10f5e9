"""What the command says to people: on standard error, so that standard output is data alone."""

import sys
from typing import Literal

Tone = Literal["plain", "good", "warning", "error"]

_STYLES: dict[Tone, str] = {"plain": "", "good": "green", "warning": "yellow", "error": "bold red"}


class Talk:
    """Prints sentences on standard error; in colour on a terminal, unless NO_COLOR is set."""

    def say(self, text: str, tone: Tone = "plain") -> None:
        """Print one piece of talk. A terminal that is gone is no reason to stop working."""
        try:
            if sys.stderr.isatty():
                _print_styled(text, _STYLES[tone])
            else:
                print(text, file=sys.stderr, flush=True)  # noqa: T201 - this is the place for it
        except OSError:
            return


def _print_styled(text: str, style: str) -> None:
    from rich.console import Console
    from rich.text import Text

    console = Console(stderr=True, highlight=False, soft_wrap=True)
    console.print(Text(text, style=style))
