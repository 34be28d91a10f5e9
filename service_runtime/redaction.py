"""Takes credentials out of text before it is logged or sent.

Libraries put whole URLs into their messages (PyAV's exceptions hold the camera's password), so the
logging pipeline passes every value through here; domain code shows ``scheme_only``.
"""

import re
from collections.abc import Mapping
from typing import Any

# everything up to the last @ of a word: a password may itself hold @, / and #
_URL_USERINFO = re.compile(r"([a-zA-Z][a-zA-Z0-9+.\-]*://)[^\s\"'<>]*@")
_TOKEN = re.compile(r"\beyJ[A-Za-z0-9_\-]+\.[A-Za-z0-9_\-]+\.[A-Za-z0-9_\-]+")
_BEARER = re.compile(r"(?i)\b(bearer|basic|digest)\s+[^\s\"',]+")
_QUERY_SECRET = re.compile(
    r"(?i)([?&](?:user(?:name)?|pass(?:word|wd)?|pwd|token|ticket|key|secret|auth)=)[^&\s\"'<>]*"
)


def redact_text(text: str) -> str:
    """Return ``text`` without user names, passwords and tokens."""
    # the query first: an @ in a password there would look like the end of a user's
    text = _QUERY_SECRET.sub(r"\1***", text)
    text = _URL_USERINFO.sub(r"\1***@", text)
    text = _TOKEN.sub("***", text)
    return _BEARER.sub(r"\1 ***", text)


def redact_json(value: Any) -> Any:  # noqa: ANN401 any JSON
    """Return JSON, nested a bounded number of times, with its texts and names redacted."""
    if isinstance(value, str):
        return redact_text(value)
    if isinstance(value, Mapping):
        return {redact_text(str(name)): redact_json(inner) for name, inner in value.items()}
    if isinstance(value, list | tuple):
        return [redact_json(inner) for inner in value]
    return value


def scheme_only(url: str) -> str:
    """Return what may be shown of a connection string: ``rtsp://...``."""
    scheme, separator, _ = url.partition("://")
    if not separator or not re.fullmatch(r"[a-zA-Z][a-zA-Z0-9+.\-]*", scheme):
        return "..."
    return f"{scheme.lower()}://..."
