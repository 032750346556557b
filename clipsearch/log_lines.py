"""How a line of the log looks, as text or as JSON, and what never stands in one: keys, passwords, authorizations."""

from __future__ import annotations

import json
import logging
import re
import sys
import time
from typing import Literal

LogFormat = Literal["text", "json"]
# What an access line says in JSON, each as a key of its own; see ``web.access_log``.
FIELDS = ("request_id", "route", "method", "status", "ms", "bytes", "key", "code")
# Those of them that a line of text does not say in its message.
BESIDE = ("bytes", "key", "code", "request_id")
HIDDEN = "***"

_SECRETS = (
    # A key of ours keeps its prefix, by which its owner finds it: cs_ab12cd34_… .
    (re.compile(r"\b(cs_[A-Za-z0-9]{1,16})_[A-Za-z0-9_\-]{4,}"), rf"\1_{HIDDEN}"),
    (re.compile(r"\bcs_[A-Za-z0-9\-]{17,}"), f"cs_{HIDDEN}"),
    # scheme://user:password@host; a password may hold an @ that somebody forgot to quote.
    (re.compile(r"(?P<user>\b[a-zA-Z][a-zA-Z0-9+.\-]*://[^\s:/@'\"]*):[^\s'\"]*@"), rf"\g<user>:{HIDDEN}@"),
    (re.compile(r"(?i)\b(Bearer|Basic|Digest)(\s+)[A-Za-z0-9+/=._~\-]{6,}"), rf"\1\2{HIDDEN}"),
    (
        re.compile(
            r"(?i)\b(proxy-authorization|authorization|x-api-key|set-cookie|cookie)(['\"]?\s*[:=]\s*['\"]?)"
            r"(?!Bearer\b|Basic\b|Digest\b)[^\s'\",;)]{2,}"
        ),
        rf"\1\2{HIDDEN}",
    ),
    (
        re.compile(r"(?i)\b(password|passwd|sslpassword|pgpassword|secret|api_?key|access_token)"
                   r"(['\"]?\s*[=:]\s*['\"]?)[^\s'\"&,;)]{2,}"),
        rf"\1\2{HIDDEN}",
    ),
)  # fmt: skip


def redacted(text: str) -> str:
    """The text without what would let its reader in: keys of ours, passwords in URLs, values of authorizations."""
    for pattern, instead in _SECRETS:
        text = pattern.sub(instead, text)
    return text


class TextLines(logging.Formatter):
    """``WARNING clipsearch.web: …`` with what an access line says behind it, and nothing secret."""

    def __init__(self) -> None:
        super().__init__("%(levelname)s %(name)s: %(message)s")

    def format(self, record: logging.LogRecord) -> str:
        """One record; a traceback stands below it."""
        more = [f" {name}={record.__dict__[name]}" for name in BESIDE if record.__dict__.get(name) is not None]
        return redacted(super().format(record) + "".join(more))


class JsonLines(logging.Formatter):
    """One JSON object on one line for each record: time (UTC), level, logger, message, and an access line's fields."""

    def format(self, record: logging.LogRecord) -> str:
        """One record; a traceback stands in ``exception``."""
        seconds, part = divmod(record.created, 1)
        line: dict[str, object] = {
            "time": time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(seconds)) + f".{int(part * 1000):03}Z",
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": redacted(record.getMessage()),
        }
        for name in FIELDS:
            if name in record.__dict__:
                value = record.__dict__[name]
                line[name] = redacted(value) if isinstance(value, str) else value
        if record.exc_info:
            line["exception"] = redacted(self.formatException(record.exc_info))
        return json.dumps(line, ensure_ascii=False)


def start_log(level: str, log_format: LogFormat = "text") -> None:
    """Write the log to stderr, ours from this level on, that of libraries from warnings on."""
    root = logging.getLogger()
    formatter = JsonLines() if log_format == "json" else TextLines()
    ours = next((one for one in root.handlers if isinstance(one.formatter, TextLines | JsonLines)), None)
    if ours is not None:
        ours.setFormatter(formatter)
    elif not root.handlers:
        handler = logging.StreamHandler(sys.stderr)
        handler.setFormatter(formatter)
        root.addHandler(handler)
        root.setLevel(logging.WARNING)
    logging.getLogger("clipsearch").setLevel(level.upper())
