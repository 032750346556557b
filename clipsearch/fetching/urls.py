"""Reads a URL to fetch into its parts, or says why it may not be fetched; nobody reads it a second time.

Two programs that read one URL differently are how guards are passed. So what is ambiguous is refused, and the request
is made of the parts that were checked here.
"""

from __future__ import annotations

import ipaddress
import re
import urllib.parse
from dataclasses import dataclass
from typing import Final

from clipsearch.errors import UrlNotAllowed

MAX_URL: Final = 2_000
PORTS: Final = {"http": 80, "https": 443}
_NAME: Final = re.compile(r"(?!-)[a-z0-9_-]{1,63}(?<!-)(\.(?!-)[a-z0-9_-]{1,63}(?<!-))*")
# As browsers have it: a name whose last part is a number is an address, in one of the many ways to write one.
_NUMBER: Final = re.compile(r"[0-9]+|0x[0-9a-f]*")
_UNESCAPED: Final = "%/:=&?~+!$,;'@()*[]-._"


@dataclass(frozen=True)
class Url:
    """The parts of a URL that may be fetched, as far as it says itself; ``host`` is in lower case, an IPv6 one bare."""

    scheme: str
    host: str
    port: int
    target: str

    @property
    def authority(self) -> str:
        """What the header Host says."""
        name = f"[{self.host}]" if ":" in self.host else self.host
        return name if self.port == PORTS[self.scheme] else f"{name}:{self.port}"

    @property
    def text(self) -> str:
        """The whole URL, for finding out what a redirection is relative to."""
        return f"{self.scheme}://{self.authority}{self.target}"

    @property
    def name(self) -> str:
        """The file's name, as the path calls it; empty where it calls it nothing."""
        path = self.target.partition("?")[0]
        return urllib.parse.unquote(path.rpartition("/")[2], errors="replace")


def read_url(text: str) -> Url:
    """The parts of a URL. Raises UrlNotAllowed; the message never repeats the URL, which may hold secrets."""
    if len(text) > MAX_URL:
        raise UrlNotAllowed(f"a URL may have {MAX_URL:,} characters at most")
    if any(character <= " " or character in '\\\x7f"<>^`{|}' for character in text):
        raise UrlNotAllowed("the URL holds spaces, control characters or others that must be written with %")
    try:
        parts = urllib.parse.urlsplit(text)
        host, port = parts.hostname or "", parts.port
    except ValueError as error:
        raise UrlNotAllowed("the text is no URL") from error
    scheme = parts.scheme
    if scheme not in PORTS:
        raise UrlNotAllowed("only URLs that begin with http:// or https:// are fetched")
    if "@" in parts.netloc:
        raise UrlNotAllowed("a URL with a user's name or password is not fetched")
    port = PORTS[scheme] if port is None else port
    if port not in PORTS.values():
        raise UrlNotAllowed("only the ports 80 and 443 are fetched from")
    _check_host(parts.netloc, host)
    path = urllib.parse.quote(parts.path or "/", safe=_UNESCAPED)
    query = f"?{urllib.parse.quote(parts.query, safe=_UNESCAPED)}" if parts.query else ""
    return Url(scheme, host, port, path + query)


def _check_host(authority: str, host: str) -> None:
    if not host.isascii():
        raise UrlNotAllowed("a host's name in other letters than ASCII is to be written as xn--…")
    if authority.startswith("["):
        try:
            ipaddress.IPv6Address(host)
        except ValueError as error:
            raise UrlNotAllowed("the URL's host is no IPv6 address") from error
        return
    if not _NAME.fullmatch(host) or len(host) > 253:
        raise UrlNotAllowed("the URL names no host that could be fetched from")
    if _NUMBER.fullmatch(host.rpartition(".")[2]):
        try:
            ipaddress.IPv4Address(host)
        except ValueError as error:
            raise UrlNotAllowed("an IPv4 address is to be written as four decimal numbers") from error
