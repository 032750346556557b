"""Fetching by URL: what may not be reached is not reached, and what comes is bounded in size and time."""

from __future__ import annotations

import http.server
import socket
import ssl
import subprocess
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpcore2
import pytest
from httpcore2 import NetworkStream

from clipsearch.config import Settings, read_settings
from clipsearch.errors import ClipSearchError, FetchFailed, NotAllowed, TooLarge, UrlNotAllowed
from clipsearch.fetching import Fetched, Network, fetch_image, fetch_images
from clipsearch.fetching.addresses import is_public
from clipsearch.fetching.urls import read_url

PUBLIC = "93.184.215.14"
OTHER_PUBLIC = "2606:2800:21f:cb07:6820:80da:af6b:8b2c"
LIMIT = 50_000
PICTURE = b"\x89PNG" + bytes(range(256)) * 20

NOT_PUBLIC = [
    "0.0.0.0", "0.1.2.3", "10.0.0.1", "10.255.255.255", "100.64.0.1", "100.127.255.254", "127.0.0.1", "127.1.2.3",
    "169.254.169.254", "172.16.0.1", "172.31.255.254", "192.0.0.8", "192.0.0.170", "192.0.2.1", "192.88.99.1",
    "192.168.1.1", "198.18.0.1", "198.19.255.254", "198.51.100.7", "203.0.113.9", "224.0.0.1", "239.255.255.250",
    "240.0.0.1", "255.255.255.255", "::", "::1", "::127.0.0.1", "::ffff:127.0.0.1", "::ffff:10.0.0.1",
    "::ffff:169.254.169.254", "::ffff:0:127.0.0.1", "64:ff9b::7f00:1", "64:ff9b::a00:1", "64:ff9b:1::1", "100::1",
    "2001::1", "2001:0:4136:e378:8000:63bf:3fff:fdd2", "2001:2::1", "2001:10::1", "2001:20::1", "2001:db8::1",
    "2002:7f00:1::", "2002:a00:1::1", "2002:a9fe:a9fe::", "3fff::1", "3ffe::1", "4000::1", "5f00::1", "fc00::1",
    "fd00:ec2::254", "fe80::1", "fe80::1%eth0", "fec0::1", "ff02::1", "ff0e::1",
    "2606:4700::5efe:a00:1", "2606:4700::200:5efe:a00:1", "nonsense", "", "127.1", "2130706433",
]  # fmt: skip
PUBLIC_ONES = ["1.1.1.1", "8.8.8.8", "93.184.215.14", "172.15.0.1", "172.32.0.1", "100.63.0.1", "100.128.0.1",
               "192.0.1.1", "198.17.0.1", "223.255.255.254", "2606:4700::1111", "2a00:1450:4001::1", "2001:4860::8888",
               "2003::1"]  # fmt: skip

REFUSED_URLS = [
    "", "photo.jpg", "//example.org/a", "file:///etc/passwd", "ftp://example.org/a", "gopher://example.org:80/_x",
    "data:image/png;base64,AAAA", "javascript:alert(1)", "dict://example.org:80/", "jar:http://example.org!/a",
    "http://", "http:///a", "https://:443/", "http://user@example.org/", "http://user:word@example.org/",
    "http://example.org@127.0.0.1/", "http://@example.org/", "http://example.org:22/", "http://example.org:0/",
    "http://example.org:8080/", "http://example.org:65536/", "http://example.org:-80/", "http://example.org:8o/",
    "http://127.1/", "http://127.0.1/", "http://2130706433/", "http://0x7f000001/", "http://0x7f.0.0.1/",
    "http://0177.0.0.1/", "http://127.0.0.01/", "http://0/", "http://1.2.3.4.5/", "http://example.1/",
    "http://256.1.1.1/", "http://[::1/", "http://[::g]/", "http://[fe80::1%25eth0]:22/", "http://::1/",
    "http://exa mple.org/", "http://example.org/a b", "http://example.org\\@127.0.0.1/",
    "http://example.org/\r\nHost: x",
    "http://example.org/\x00", "http://example.org\t/", "http://ⓛocalhost/", "http://127。0。0。1/", "http://１２７.0.0.1/",
    "http://bücher.example/", "http://-example.org/", "http://example..org/", "http://.example.org/",
    "http://exam%70le.org/", "http://%31%32%37.0.0.1/", "http://example.org/`id`", "http://example.org/{a}",
    "http://" + "a" * 64 + ".org/", "http://example.org/" + "a" * 2_000,
]  # fmt: skip
# The host is what it seems; only its address tells.
REFUSED_BY_ADDRESS = [
    "http://127.0.0.1/", "https://10.1.2.3/a.jpg", "http://169.254.169.254/latest/meta-data/", "http://0.0.0.0/",
    "http://[::1]/", "http://[::ffff:127.0.0.1]/", "http://[::ffff:7f00:1]/", "http://[64:ff9b::7f00:1]/",
    "http://[2002:7f00:1::]/", "http://[5f00::1]/", "http://224.0.0.1/", "http://192.0.0.8/", "http://[fd00::1]:80/",
    "http://[::]/", "http://255.255.255.255/",
]  # fmt: skip


@dataclass
class Answer:
    """What the server says to one path."""

    body: bytes = PICTURE
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    announced: int | None = None
    chunked: bool = False
    pause: float = 0.0
    drip_headers: bool = False


class _Server(http.server.ThreadingHTTPServer):
    daemon_threads = True
    answers: dict[str, Answer]
    seen: list[tuple[str, dict[str, str]]]


class _Speaker(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: _Server

    def do_GET(self) -> None:
        self.server.seen.append((self.path, dict(self.headers)))
        answer = self.server.answers[self.path.partition("?")[0]]
        try:
            self._say(answer)
        except OSError:
            self.close_connection = True

    def _say(self, answer: Answer) -> None:
        self.close_connection = True
        if answer.drip_headers:
            for byte in b"HTTP/1.1 200 OK\r\nX-Slow: " + b"a" * 1_000:
                self.wfile.write(bytes([byte]))
                time.sleep(0.05)
            return
        self.send_response(answer.status)
        for name, value in answer.headers.items():
            self.send_header(name, value)
        if answer.chunked:
            self.send_header("Transfer-Encoding", "chunked")
        else:
            self.send_header("Content-Length", str(len(answer.body) if answer.announced is None else answer.announced))
        self.end_headers()
        for start in range(0, len(answer.body), 1_000):
            piece = answer.body[start : start + 1_000]
            self.wfile.write(b"%x\r\n%b\r\n" % (len(piece), piece) if answer.chunked else piece)
            time.sleep(answer.pause)
        if answer.chunked:
            self.wfile.write(b"0\r\n\r\n")

    def log_message(self, *_arguments: Any) -> None:
        pass


@dataclass
class Web:
    """A server on the loopback that stands for the whole internet, and the names that lead to it."""

    server: _Server
    names: dict[str, list[list[str]]]
    connected: list[tuple[str, int]] = field(default_factory=list)
    looked_up: list[str] = field(default_factory=list)
    tls: ssl.SSLContext | None = None
    hosts_named: list[str] = field(default_factory=list)

    def resolve(self, host: str, _port: int, _seconds: float) -> list[str]:
        self.looked_up.append(host)
        if host not in self.names:
            return [host]
        turns = self.names[host]
        return turns.pop(0) if len(turns) > 1 else turns[0]

    def connect(self, address: str, port: int, seconds: float) -> NetworkStream:
        self.connected.append((address, port))
        return httpcore2.SyncBackend().connect_tcp("127.0.0.1", self.server.server_address[1], timeout=seconds)

    @property
    def network(self) -> Network:
        tls = self.tls
        return Network(self.resolve, self.connect, (lambda: tls) if tls is not None else None)

    def answer(self, path: str, **parts: Any) -> None:
        self.server.answers[path] = Answer(**parts)


@pytest.fixture
def web() -> Iterator[Web]:
    server = _Server(("127.0.0.1", 0), _Speaker)
    server.answers, server.seen = {}, []
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield Web(server, {"photos.example": [[PUBLIC]], "other.example": [[PUBLIC, OTHER_PUBLIC]]})
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return read_settings(data_dir=tmp_path, fetch_urls=True, max_upload_bytes=LIMIT)


@pytest.mark.parametrize("address", NOT_PUBLIC)
def test_an_address_that_is_not_public_is_told(address: str) -> None:
    assert not is_public(address)


@pytest.mark.parametrize("address", PUBLIC_ONES)
def test_a_public_address_passes(address: str) -> None:
    assert is_public(address)


@pytest.mark.parametrize("url", REFUSED_URLS)
def test_a_url_that_is_none_or_hides_its_host_is_refused_before_anyone_is_asked(
    url: str, web: Web, settings: Settings
) -> None:
    with pytest.raises(UrlNotAllowed):
        fetch_image(settings, url, network=web.network)
    assert not web.looked_up
    assert not web.connected


@pytest.mark.parametrize("url", REFUSED_BY_ADDRESS)
def test_a_url_of_a_private_address_is_refused_unconnected(url: str, web: Web, settings: Settings) -> None:
    with pytest.raises(UrlNotAllowed):
        fetch_image(settings, url, network=web.network)
    assert not web.connected


def test_the_real_way_out_refuses_this_machine(settings: Settings) -> None:
    with socket.create_server(("127.0.0.1", 0)), pytest.raises(UrlNotAllowed):
        fetch_image(settings, "http://localhost/")


def test_nothing_is_fetched_unless_the_setting_says_so(web: Web, tmp_path: Path) -> None:
    off = read_settings(data_dir=tmp_path)
    with pytest.raises(NotAllowed, match="CLIPSEARCH_FETCH_URLS"):
        fetch_image(off, "http://photos.example/cat.png", network=web.network)
    with pytest.raises(NotAllowed):
        fetch_images(off, ["http://photos.example/cat.png"], network=web.network)
    assert not web.looked_up


def test_an_image_comes_with_the_name_its_url_gives_it(web: Web, settings: Settings) -> None:
    web.answer("/a/my%20cat.png")
    fetched = fetch_image(settings, "http://Photos.Example/a/my%20cat.png?size=large#top", network=web.network)
    assert fetched == Fetched(PICTURE, "my cat.png")
    assert web.connected == [(PUBLIC, 80)]
    ((path, headers),) = web.server.seen
    assert path == "/a/my%20cat.png?size=large"
    assert headers["Host"] == "photos.example"
    assert headers["Accept-Encoding"] == "identity"
    assert {"Cookie", "Authorization", "Referer"}.isdisjoint(headers)


def test_a_url_without_a_file_name_gives_one(web: Web, settings: Settings) -> None:
    web.answer("/")
    assert fetch_image(settings, "http://photos.example", network=web.network).name == "image"


def test_a_proxy_of_the_environment_is_not_asked(web: Web, settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("http_proxy", "HTTP_PROXY", "https_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    web.answer("/cat.png")
    assert fetch_image(settings, "http://photos.example/cat.png", network=web.network).data == PICTURE
    assert web.connected == [(PUBLIC, 80)]


def test_one_private_address_among_public_ones_refuses_the_host(web: Web, settings: Settings) -> None:
    web.names["mixed.example"] = [[PUBLIC, "10.0.0.1"]]
    web.names["nowhere.example"] = [[]]
    for host in ("mixed.example", "nowhere.example"):
        with pytest.raises(UrlNotAllowed):
            fetch_image(settings, f"http://{host}/cat.png", network=web.network)
    assert not web.connected


def test_a_name_is_looked_up_once_so_that_a_second_answer_leads_nowhere(web: Web, settings: Settings) -> None:
    web.names["rebinding.example"] = [[PUBLIC], ["127.0.0.1"]]
    web.answer("/cat.png")
    assert fetch_image(settings, "http://rebinding.example/cat.png", network=web.network).data == PICTURE
    assert web.looked_up == ["rebinding.example"]
    assert web.connected == [(PUBLIC, 80)]


def test_a_redirection_is_looked_up_and_checked_anew(web: Web, settings: Settings) -> None:
    web.names["rebinding.example"] = [[PUBLIC], ["127.0.0.1"]]
    web.answer("/cat.png", status=302, headers={"Location": "/other.png"})
    web.answer("/other.png")
    with pytest.raises(UrlNotAllowed):
        fetch_image(settings, "http://rebinding.example/cat.png", network=web.network)
    assert web.connected == [(PUBLIC, 80)]


@pytest.mark.parametrize(
    "place",
    [
        "http://127.0.0.1/", "http://169.254.169.254/latest/", "//10.0.0.1/a", "http://[::1]/", "file:///etc/passwd",
        "gopher://photos.example/", "http://photos.example:6379/", "http://u:p@photos.example/", "http://[::1", "http://2130706433/",
    ],
)  # fmt: skip
def test_a_redirection_to_what_may_not_be_reached_is_refused(place: str, web: Web, settings: Settings) -> None:
    web.answer("/cat.png", status=301, headers={"Location": place})
    with pytest.raises(UrlNotAllowed):
        fetch_image(settings, "http://photos.example/cat.png", network=web.network)
    assert web.connected == [(PUBLIC, 80)]


def test_three_redirections_are_followed_and_a_fourth_is_not(web: Web, settings: Settings) -> None:
    web.answer("/0.png", status=307, headers={"Location": "1.png"})
    web.answer("/1.png", status=308, headers={"Location": "//other.example/2.png"})
    web.answer("/2.png", status=303, headers={"Location": "http://photos.example/3.png"})
    web.answer("/3.png")
    assert fetch_image(settings, "http://photos.example/0.png", network=web.network) == Fetched(PICTURE, "3.png")
    assert web.looked_up == ["photos.example", "photos.example", "other.example", "photos.example"]
    web.answer("/3.png", status=302, headers={"Location": "/4.png"})
    web.answer("/4.png")
    with pytest.raises(FetchFailed, match="redirected"):
        fetch_image(settings, "http://photos.example/0.png", network=web.network)


@pytest.mark.parametrize(
    "answer",
    [
        {"body": bytes(LIMIT + 1)},
        {"body": bytes(LIMIT * 4), "chunked": True},
        {"body": b"", "announced": 10**15},
    ],
    ids=["announced", "streamed", "boasted"],
)
def test_more_bytes_than_an_image_may_have_are_not_taken(answer: dict[str, Any], web: Web, settings: Settings) -> None:
    web.answer("/large.png", **answer)
    with pytest.raises(TooLarge):
        fetch_image(settings, "http://photos.example/large.png", network=web.network)


def test_as_many_bytes_as_an_image_may_have_are_taken(web: Web, settings: Settings) -> None:
    web.answer("/large.png", body=bytes(LIMIT), chunked=True)
    assert len(fetch_image(settings, "http://photos.example/large.png", network=web.network).data) == LIMIT


@pytest.mark.parametrize(
    "answer",
    [
        {"status": 404},
        {"status": 206},
        {"status": 302},
        {"headers": {"Content-Encoding": "gzip"}},
        {"headers": {"Content-Encoding": "br"}},
        {"body": PICTURE[:100], "announced": len(PICTURE)},
    ],
    ids=["missing", "part", "redirected nowhere", "gzip", "brotli", "cut"],
)
def test_an_answer_that_is_no_whole_image_is_not_taken(answer: dict[str, Any], web: Web, settings: Settings) -> None:
    web.answer("/cat.png", **answer)
    with pytest.raises(FetchFailed):
        fetch_image(settings, "http://photos.example/cat.png", network=web.network)


@pytest.mark.parametrize(
    "answer", [{"body": bytes(40_000), "pause": 0.05}, {"drip_headers": True}], ids=["body", "head"]
)
def test_a_drip_of_bytes_ends_at_the_deadline(answer: dict[str, Any], web: Web, settings: Settings) -> None:
    web.answer("/slow.png", **answer)
    started = time.monotonic()
    with pytest.raises(FetchFailed, match="in time"):
        fetch_image(settings, "http://photos.example/slow.png", network=web.network, seconds=0.4)
    assert time.monotonic() - started < 2.0


def test_a_server_that_cannot_be_reached_is_told_without_its_url(web: Web, settings: Settings) -> None:
    def refuse(_address: str, _port: int, _seconds: float) -> NetworkStream:
        raise httpcore2.ConnectError("no")

    with pytest.raises(FetchFailed) as caught:
        fetch_image(settings, "http://photos.example/a?token=secret", network=Network(web.resolve, refuse))
    assert "photos.example" in caught.value.message
    assert "secret" not in caught.value.message


def test_the_next_address_is_tried_where_one_does_not_answer(web: Web, settings: Settings) -> None:
    def lame(address: str, port: int, seconds: float) -> NetworkStream:
        if address == PUBLIC:
            raise httpcore2.ConnectTimeout("no")
        return web.connect(address, port, seconds)

    web.answer("/cat.png")
    fetched = fetch_image(settings, "http://other.example/cat.png", network=Network(web.resolve, lame))
    assert fetched.data == PICTURE
    assert web.connected == [(OTHER_PUBLIC, 80)]


def test_an_encrypted_server_is_asked_by_its_name_and_must_prove_it(
    web: Web, settings: Settings, tmp_path: Path
) -> None:
    key, certificate = tmp_path / "key.pem", tmp_path / "cert.pem"
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes",
         "-keyout", key, "-out", certificate, "-days", "2", "-subj", "/CN=photos.example",
         "-addext", "subjectAltName=DNS:photos.example"],
        check=True, capture_output=True,
    )  # fmt: skip
    serving = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    serving.load_cert_chain(certificate, key)
    serving.sni_callback = lambda _socket, name, _context: web.hosts_named.append(str(name))
    web.server.socket = serving.wrap_socket(web.server.socket, server_side=True, do_handshake_on_connect=False)
    web.tls = ssl.create_default_context(cafile=str(certificate))
    web.answer("/cat.png")
    assert fetch_image(settings, "https://photos.example/cat.png", network=web.network).data == PICTURE
    assert web.hosts_named == ["photos.example"]
    assert web.connected == [(PUBLIC, 443)]
    with pytest.raises(FetchFailed, match="certificate"):
        fetch_image(settings, "https://other.example/cat.png", network=web.network)
    web.tls = None  # the system's own authorities, who know nothing of it
    with pytest.raises(FetchFailed, match="certificate"):
        fetch_image(settings, "https://photos.example/cat.png", network=web.network)


def test_several_images_come_in_their_order_and_a_bad_one_costs_itself(web: Web, settings: Settings) -> None:
    for number in range(6):
        web.answer(f"/{number}.png", body=PICTURE + bytes([number]))
    urls = [f"http://photos.example/{number}.png" for number in range(6)]
    urls.insert(2, "http://127.0.0.1/")
    found = fetch_images(settings, urls, network=web.network)
    assert isinstance(found.pop(2), UrlNotAllowed)
    assert found == [Fetched(PICTURE + bytes([number]), f"{number}.png") for number in range(6)]


def test_several_images_may_not_be_too_large_together(web: Web, settings: Settings) -> None:
    web.answer("/large.png", body=bytes(LIMIT))
    found = fetch_images(settings, ["http://photos.example/large.png"] * 6, network=web.network)
    assert sorted(type(one).__name__ for one in found) == ["Fetched"] * 4 + ["TooLarge"] * 2


def test_every_refusal_is_an_error_of_ours_that_repeats_no_url() -> None:
    for url in REFUSED_URLS:
        with pytest.raises(ClipSearchError) as caught:
            read_url(url)
        assert len(url) < 8 or url not in caught.value.message
