"""A search for secrets in everything that a run leaves behind or shows.

    leaks = Leaks()
    leaks.secret("the camera's password", "canary-…")
    leaks.look("the log", text)
    leaks.look_below(folder)
    leaks.look_at_processes(processes)
    assert not leaks.found

A secret is looked for as it is, and as it looks when somebody has encoded it on the way: in a URL,
in JSON, in hex, in UTF-16, and in base64 wherever in a longer text it stands. Every secret costs a
walk over everything, so many of a kind share a word or a shape that is looked for once.
"""

import base64
import json
import re
from collections.abc import Collection, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final
from urllib.parse import quote

import psutil

TOKEN: Final = rb"eyJ[A-Za-z0-9_-]{10,}\.[A-Za-z0-9_-]{10,}\.[A-Za-z0-9_-]{40,}"
"""The shape of a signed token."""


@dataclass(slots=True, kw_only=True)
class Leaks:
    """What is looked for, how much was looked through, and where it was found."""

    bytes_searched: int = 0
    found: list[str] = field(default_factory=list)
    _forms: dict[bytes, str] = field(default_factory=dict, repr=False)
    _shapes: dict[str, re.Pattern[bytes]] = field(default_factory=dict, repr=False)
    _allowed: dict[str, set[Path]] = field(default_factory=dict, repr=False)

    def secret(self, name: str, value: str | bytes, *, allowed_in: Collection[Path] = ()) -> None:
        """Look for a secret from now on; ``allowed_in`` are the files whose purpose it is."""
        data = value.encode() if isinstance(value, str) else value
        for form in _forms(data):
            self._forms[form] = name
        self._allowed.setdefault(name, set()).update(allowed_in)

    def shape(self, name: str, pattern: bytes, *, allowed_in: Collection[Path] = ()) -> None:
        """Look for whatever has a shape, such as every token there is."""
        self._shapes[name] = re.compile(pattern)
        self._allowed.setdefault(name, set()).update(allowed_in)

    def look(self, where: str, content: str | bytes, *, file: Path | None = None) -> None:
        """Look through a text, or the content of a file."""
        data = content.encode(errors="surrogateescape") if isinstance(content, str) else content
        self.bytes_searched += len(data)
        hits = {name for form, name in self._forms.items() if form in data}
        hits |= {name for name, pattern in self._shapes.items() if pattern.search(data)}
        self.found += [
            f"{name} in {where}"
            for name in sorted(hits)
            if file is None or file not in self._allowed[name]
        ]

    def look_below(self, folder: Path) -> None:
        """Look through every file of a folder, its name too."""
        for path in sorted(folder.rglob("*")):
            self.look("the name of a file", str(path.relative_to(folder)))
            if path.is_file() and not path.is_symlink():
                try:
                    content = path.read_bytes()
                except FileNotFoundError:
                    continue  # it was there for a moment
                self.look(f"{path.relative_to(folder)}", content, file=path)

    def look_at_processes(self, processes: Iterable[psutil.Process]) -> None:
        """Look through what everybody may see of processes, and what their owner may."""
        for process in processes:
            try:
                shown = [*process.cmdline(), process.name()]
                shown += [f"{name}={value}" for name, value in process.environ().items()]
            except psutil.NoSuchProcess:
                continue
            self.look(f"process {shown[0] if shown else '?'}", "\0".join(shown))


def _forms(data: bytes) -> set[bytes]:
    found = {data, data.hex().encode(), data.hex().upper().encode()}
    for shift in range(3):
        for encode in (base64.b64encode, base64.urlsafe_b64encode):
            # the ends mix with what stands beside
            whole = encode(b"\0" * shift + data).rstrip(b"=")
            found.add(whole[(0, 2, 3)[shift] : -1])
    try:
        text = data.decode()
    except UnicodeDecodeError:
        return found
    found |= {quote(text, safe="").encode(), json.dumps(text)[1:-1].encode()}
    return found | {text.encode("utf-16-le"), json.dumps(text, ensure_ascii=False)[1:-1].encode()}
