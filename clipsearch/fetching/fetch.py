"""One image by its URL: redirections, sizes and time; knows what an answer must look like to be taken.

The bytes are not looked at: whether they are an image is said where they are decoded.
"""

from __future__ import annotations

import ssl
import threading
import urllib.parse
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Final

import httpcore2

from clipsearch import __version__
from clipsearch.config import Settings
from clipsearch.errors import ClipSearchError, FetchFailed, NotAllowed, TooLarge, UrlNotAllowed
from clipsearch.fetching.addresses import is_public
from clipsearch.fetching.network import INTERNET, CheckedBackend, Deadline, Network
from clipsearch.fetching.urls import Url, read_url

SECONDS: Final = 10.0
SECONDS_FOR_SEVERAL: Final = 20.0
REDIRECTIONS: Final = 3
AT_ONCE: Final = 4
# Several images of one request may have as many bytes together as this many of the largest size.
LARGEST_IMAGES: Final = 4
_REDIRECTED: Final = frozenset({301, 302, 303, 307, 308})
_TROUBLE = (
    httpcore2.NetworkError,
    httpcore2.ProtocolError,
    httpcore2.TimeoutException,
    ssl.SSLError,
    OSError,
)


@dataclass(frozen=True)
class Fetched:
    """What came: the bytes, and what the URL calls them (``image`` where it calls them nothing)."""

    data: bytes = field(repr=False)
    name: str


def check_fetching(settings: Settings) -> None:
    """Raises NotAllowed where URLs are not fetched."""
    if not settings.fetch_urls:
        raise NotAllowed(
            "this server fetches no URLs; send the image itself, or start it with CLIPSEARCH_FETCH_URLS=true"
        )


def fetch_image(settings: Settings, url: str, *, network: Network = INTERNET, seconds: float = SECONDS) -> Fetched:
    """Fetch an image, within ``seconds`` in all and of ``max_upload_bytes`` at most.

    Raises NotAllowed where ``fetch_urls`` is off, UrlNotAllowed for a URL, or a redirection, that leads elsewhere than
    to a public address, TooLarge, and FetchFailed for every other trouble.
    """
    check_fetching(settings)
    deadline = Deadline(seconds)
    where = read_url(url)
    for _ in range(REDIRECTIONS + 1):
        found = _ask(where, network, deadline, settings.max_upload_bytes)
        if isinstance(found, bytes):
            return Fetched(found, _file_name(where))
        where = found
    raise FetchFailed(f"the URL was redirected more than {REDIRECTIONS} times")


def fetch_images(
    settings: Settings, urls: Sequence[str], *, network: Network = INTERNET
) -> list[Fetched | ClipSearchError]:
    """Fetch several images at once; in the place of one that did not come stands the error that says why.

    Raises NotAllowed where ``fetch_urls`` is off.
    """
    check_fetching(settings)
    deadline = Deadline(SECONDS_FOR_SEVERAL)
    budget = _Budget(LARGEST_IMAGES * settings.max_upload_bytes)

    def fetch_one(url: str) -> Fetched | ClipSearchError:
        try:
            fetched = fetch_image(settings, url, network=network, seconds=min(SECONDS, deadline.left()))
            budget.spend(len(fetched.data))
        except ClipSearchError as error:
            return error
        return fetched

    with ThreadPoolExecutor(AT_ONCE, thread_name_prefix="fetch") as executor:
        return list(executor.map(fetch_one, urls))


class _Budget:
    """How many bytes several images may still have together."""

    def __init__(self, size: int) -> None:
        self._left = size
        self._lock = threading.Lock()

    def spend(self, size: int) -> None:
        """Raises TooLarge when there are not as many left."""
        with self._lock:
            if size > self._left:
                raise TooLarge("the images of one request are too large together; send them in several")
            self._left -= size


def _ask(where: Url, network: Network, deadline: Deadline, limit: int) -> bytes | Url:
    """The answer's bytes, or where it redirects to."""
    addresses = network.resolve(where.host, where.port, deadline.left())
    if not addresses or not all(is_public(one) for one in addresses):
        raise UrlNotAllowed(f"the host {where.host} is not one of the public internet")
    origin = httpcore2.Origin(where.scheme.encode(), where.host.encode(), where.port)
    tls = network.tls() if network.tls and where.scheme == "https" else None
    backend = CheckedBackend(network, addresses, deadline)
    try:
        # Closed with the block: nothing is kept alive, and nothing of the environment (proxies) is looked at.
        with httpcore2.HTTPConnection(origin, ssl_context=tls, network_backend=backend) as connection:
            response = connection.handle_request(_request(where))
            return _read(response, where, limit)
    except _TROUBLE as error:
        deadline.left()  # where the time is over, that is the reason
        raise FetchFailed(f"{where.host} gave no image: {_words(error)}") from error


def _request(where: Url) -> httpcore2.Request:
    url = httpcore2.URL(
        scheme=where.scheme.encode(), host=where.host.encode(), port=where.port, target=where.target.encode()
    )
    headers = {
        "Host": where.authority,
        "User-Agent": f"clipsearch/{__version__}",
        "Accept": "image/*",
        # A body that unfolds to a thousand times its size would pass any limit on what comes over the wire.
        "Accept-Encoding": "identity",
        "Connection": "close",
    }
    return httpcore2.Request("GET", url, headers=[(name.encode(), value.encode()) for name, value in headers.items()])


def _read(response: httpcore2.Response, where: Url, limit: int) -> bytes | Url:
    headers = {name.decode("latin-1").lower(): value.decode("latin-1") for name, value in response.headers}
    if response.status in _REDIRECTED and "location" in headers:
        try:
            return read_url(urllib.parse.urljoin(where.text, headers["location"]))
        except ValueError as error:
            raise UrlNotAllowed(f"{where.host} redirects to what is no URL") from error
    if response.status != 200:
        raise FetchFailed(f"{where.host} answered with {response.status} in the place of an image")
    if headers.get("content-encoding", "identity").strip().lower() not in {"", "identity"}:
        raise FetchFailed(f"{where.host} sent the image compressed, which was not asked for")
    too_large = TooLarge(f"an image may have {limit:,} bytes at most", limit=limit)
    announced = headers.get("content-length", "").strip()
    if announced.isdecimal() and len(announced) < 20 and int(announced) > limit:
        raise too_large
    data = bytearray()
    for piece in response.iter_stream():
        data += piece
        if len(data) > limit:
            raise too_large
    return bytes(data)


def _file_name(where: Url) -> str:
    name = "".join(character for character in where.name if character.isprintable() and character not in "/\\")
    return name[:200].strip() or "image"


def _words(error: Exception) -> str:
    """What went wrong with a connection, without what the other side wrote."""
    if isinstance(error, httpcore2.TimeoutException):
        return "it did not answer in time"
    if isinstance(error, ssl.SSLError) or isinstance(error.__cause__, ssl.SSLError):
        return "its certificate or encryption was not accepted"
    if isinstance(error, httpcore2.ProtocolError):
        return "its answer is no complete HTTP"
    return "it could not be reached"
