"""Where a fetch may lead: every hop is judged by the address that is really connected to."""

import asyncio
import socket
import ssl
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from ipaddress import IPv4Address, IPv6Address, ip_address
from pathlib import Path
from typing import override

import aiohttp
import pytest
from aiohttp import ThreadedResolver
from aiohttp.abc import ResolveResult
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from homeassistant.core import HomeAssistant
from homeassistant.helpers.aiohttp_client import HomeAssistantTCPConnector
from yarl import URL

from custom_components.firmware_hub import download_route
from custom_components.firmware_hub.core.errors import OutsideFailed, Reason
from custom_components.firmware_hub.download import Downloader
from custom_components.firmware_hub.download_route import _Trail, is_local
from custom_components.firmware_hub.sources.base import FeedRequest

from .conftest import IMAGE, QUICK, Vendor, a_feed, answer, artifact


async def _fetch(downloader: Downloader, url: str, **headers: str) -> bytes:
    return (await downloader.async_fetch(FeedRequest(url, headers, 1_000))).body


async def _refused(downloader: Downloader, url: str) -> Reason:
    with pytest.raises(OutsideFailed) as caught:
        await _fetch(downloader, url)
    return caught.value.reason


def _moved(to: str, status: str = "302 Found") -> bytes:
    return answer(status, location=to)


# --- plain HTTP ---


@pytest.mark.parametrize("url", ["http://8.8.8.8/feed", "http://[2001:4860:4860::8888]/feed", "http://1.1.1.1:8080/"])
async def test_plain_http_does_not_leave_the_house(downloader: Downloader, url: str) -> None:
    assert await _refused(downloader, url) is Reason.INSECURE_URL


@pytest.mark.parametrize("url", ["ftp://127.0.0.1/x", "file:///etc/passwd", "//127.0.0.1/x", "http:///x", "feed", ""])
async def test_only_http_addresses_are_asked(downloader: Downloader, url: str) -> None:
    assert await _refused(downloader, url) is Reason.INSECURE_URL


async def test_an_address_that_is_none_has_a_reason(downloader: Downloader) -> None:
    assert await _refused(downloader, "http://127.0.0.1:99999/x") is Reason.HTTP_ERROR


# --- redirects ---


@pytest.mark.parametrize(
    "status", ["301 Moved", "302 Found", "303 See Other", "307 Temporary Redirect", "308 Permanent Redirect"]
)
async def test_a_redirect_is_followed(downloader: Downloader, vendor: Vendor, status: str) -> None:
    vendor.answers |= {"/old": _moved("/new", status), "/new": answer("200 OK", b"signed")}
    assert await _fetch(downloader, vendor.url("/old")) == b"signed"


async def test_five_redirects_are_followed_and_six_are_not(downloader: Downloader, vendor: Vendor) -> None:
    vendor.answers |= {f"/{number}": _moved(f"/{number + 1}") for number in range(6)}
    vendor.answers["/6"] = answer("200 OK", b"signed")
    assert await _fetch(downloader, vendor.url("/1")) == b"signed"
    assert await _refused(downloader, vendor.url("/0")) is Reason.HTTP_ERROR


async def test_a_circle_ends(downloader: Downloader, vendor: Vendor) -> None:
    vendor.answers["/round"] = _moved("/round")
    assert await _refused(downloader, vendor.url("/round")) is Reason.HTTP_ERROR
    assert len(vendor.requests) == 6


async def test_a_redirect_that_leads_nowhere_is_no_answer(downloader: Downloader, vendor: Vendor) -> None:
    vendor.answers["/old"] = answer("302 Found")
    assert await _refused(downloader, vendor.url("/old")) is Reason.HTTP_ERROR


@pytest.mark.parametrize("to", ["http://8.8.8.8/feed", "ftp://127.0.0.1/feed", "file:///etc/passwd"])
async def test_a_redirect_to_where_nobody_may_go_is_refused(downloader: Downloader, vendor: Vendor, to: str) -> None:
    vendor.answers["/old"] = _moved(to)
    assert await _refused(downloader, vendor.url("/old")) is Reason.INSECURE_REDIRECT


async def test_a_secret_header_stays_with_the_server_that_it_is_for(downloader: Downloader, vendor: Vendor) -> None:
    other = Vendor()
    await other.start()
    vendor.answers |= {"/old": _moved("/mid"), "/mid": _moved(other.url("/new"))}
    other.answers["/new"] = answer("200 OK", b"signed")
    await _fetch(downloader, vendor.url("/old"), Authorization="secret", Accept="text/plain")
    await other.stop()
    assert vendor.headers_of("/mid")["authorization"] == "secret"
    assert "authorization" not in other.headers_of("/new")
    assert other.headers_of("/new")["accept"] == "text/plain"


async def test_a_public_feed_cannot_point_into_the_house(downloader: Downloader, vendor: Vendor) -> None:
    vendor.answers["/plug.bin"] = answer("200 OK", IMAGE)
    with pytest.raises(OutsideFailed) as caught:
        await downloader.async_artifact(artifact(vendor.url()), feed=a_feed("https://8.8.8.8/feed"))
    assert caught.value.reason is Reason.INSECURE_URL
    assert vendor.requests == []


async def test_a_feed_in_the_house_can(downloader: Downloader, vendor: Vendor) -> None:
    vendor.answers["/plug.bin"] = answer("200 OK", IMAGE)
    path = await downloader.async_artifact(artifact(vendor.url()), feed=a_feed(vendor.url("/feed")))
    assert path.read_bytes() == IMAGE


@pytest.fixture
def names(monkeypatch: pytest.MonkeyPatch) -> dict[str, list[str]]:
    """What the names of vendors lead to, as their own name servers say it; it can change at any moment."""
    found: dict[str, list[str]] = {}
    really = download_route._addresses

    async def addresses(session: aiohttp.ClientSession, url: URL) -> list[IPv4Address | IPv6Address]:
        said = found.get(url.host or "")
        return await really(session, url) if said is None else [ip_address(each) for each in said]

    monkeypatch.setattr(download_route, "_addresses", addresses)
    return found


async def _artifact_of(downloader: Downloader, vendor: Vendor, origin: str) -> Reason | None:
    vendor.answers["/plug.bin"] = answer("200 OK", IMAGE)
    try:
        await downloader.async_artifact(artifact(vendor.url()), feed=a_feed(origin))
    except OutsideFailed as failed:
        return failed.reason
    return None


async def test_a_feed_with_one_address_outside_cannot_point_into_the_house(
    downloader: Downloader, vendor: Vendor, names: dict[str, list[str]]
) -> None:
    names["feed.vendor.example"] = ["8.8.8.8", "10.0.0.1"]
    assert await _artifact_of(downloader, vendor, "https://feed.vendor.example/m") is Reason.INSECURE_URL
    assert vendor.requests == []


async def test_a_feed_that_came_from_outside_stays_there_whatever_its_name_says_later(
    downloader: Downloader, vendor: Vendor, names: dict[str, list[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    feed = vendor.url("/feed", host="feed.vendor.example")
    vendor.answers["/feed"] = answer("200 OK", b"signed")
    with monkeypatch.context() as outside:
        outside.setattr(download_route, "is_local", lambda _: False)
        outside.setattr(_Trail, "refuses", lambda *_: None)
        names["feed.vendor.example"] = ["127.0.0.1"]
        await downloader.async_fetch(FeedRequest(feed), feed=a_feed(feed))
    names["feed.vendor.example"] = ["10.0.0.1"]
    assert await _artifact_of(downloader, vendor, feed) is Reason.INSECURE_URL
    vendor.answers["/feed"] = answer("304 Not Modified")
    names["feed.vendor.example"] = ["127.0.0.1"]
    await downloader.async_fetch(FeedRequest(feed), etag='"7"', feed=a_feed(feed))
    assert await _artifact_of(downloader, vendor, feed) is Reason.INSECURE_URL


@pytest.mark.parametrize(("status", "etag"), [("200 OK", ""), ("304 Not Modified", '"7"')])
async def test_a_feed_that_came_from_this_house_is_of_this_house_though_its_name_leads_outside_too(
    downloader: Downloader, vendor: Vendor, names: dict[str, list[str]], status: str, etag: str
) -> None:
    feed = vendor.url("/feed", host="nas.home.example")
    vendor.answers["/feed"] = answer(status, b"signed" if not etag else b"")
    names["nas.home.example"] = ["127.0.0.1", "2001:4860:4860::8888"]
    assert await _artifact_of(downloader, vendor, feed) is Reason.INSECURE_URL
    await downloader.async_fetch(FeedRequest(feed), etag=etag, feed=a_feed(feed))
    assert await _artifact_of(downloader, vendor, feed) is None


async def test_a_feed_behind_a_redirect_is_remembered_by_its_own_address(
    downloader: Downloader, vendor: Vendor, names: dict[str, list[str]]
) -> None:
    feed = vendor.url("/old", host="nas.home.example")
    names["nas.home.example"] = ["127.0.0.1"]
    vendor.answers |= {"/api": _moved("/new"), "/new": answer("200 OK", b"signed")}
    await downloader.async_fetch(FeedRequest(vendor.url("/api")), feed=a_feed(feed))
    names["nas.home.example"] = ["8.8.8.8"]
    assert await _artifact_of(downloader, vendor, feed) is None


_INSIDE, _OUTSIDE = IPv4Address("192.168.1.7"), IPv4Address("8.8.8.8")


@pytest.mark.parametrize(
    ("trail", "url", "address", "reason"),
    [
        (_Trail(), "https://x", _OUTSIDE, None),
        (_Trail(), "https://x", _INSIDE, None),
        (_Trail(), "http://x", _INSIDE, None),
        (_Trail(), "http://x", _OUTSIDE, Reason.INSECURE_URL),
        (_Trail(1, was_https=True, was_public=True), "https://x", _OUTSIDE, None),
        (_Trail(1, was_https=True, was_public=True), "https://x", _INSIDE, Reason.INSECURE_REDIRECT),
        (_Trail(1, was_https=True, was_public=True), "http://x", _INSIDE, Reason.INSECURE_REDIRECT),
        (_Trail(1, was_https=True, was_public=True), "http://x", _OUTSIDE, Reason.INSECURE_REDIRECT),
        (_Trail(1, was_https=True), "http://x", _INSIDE, Reason.INSECURE_REDIRECT),
        (_Trail(1, was_https=True), "https://x", _OUTSIDE, None),
        (_Trail(1), "http://x", _INSIDE, None),
        (_Trail(1), "http://x", _OUTSIDE, Reason.INSECURE_REDIRECT),
        (_Trail(1), "https://x", _OUTSIDE, None),
    ],
)
def test_the_rule_of_the_hops(trail: _Trail, url: str, address: IPv4Address, reason: Reason | None) -> None:
    assert trail.refuses(URL(url), address) is reason


def test_a_trail_remembers_the_strictest_of_its_hops() -> None:
    trail = _Trail().after(URL("https://x"), _OUTSIDE).after(URL("https://x"), _INSIDE)
    assert trail == _Trail(2, was_https=True, was_public=True)


@pytest.mark.parametrize(
    ("address", "local"),
    [
        ("127.0.0.1", True),
        ("10.0.0.1", True),
        ("100.64.0.1", True),
        ("169.254.1.1", True),
        ("::1", True),
        ("fd00::1", True),
        ("fe80::1%eth0", True),
        ("::ffff:127.0.0.1", True),
        ("0.0.0.0", True),
        ("::", True),
        ("::7f00:1", True),
        ("64:ff9b::c0a8:101", True),
        ("2002:c0a8:101::1", True),
        ("224.0.0.251", True),
        ("ff02::fb", True),
        ("64:ff9b::808:808", False),
        ("8.8.8.8", False),
        ("::ffff:8.8.8.8", False),
        ("2001:4860:4860::8888", False),
    ],
)
def test_what_counts_as_this_house(address: str, local: bool) -> None:
    assert is_local(ip_address(address)) is local


# --- names ---


async def test_a_name_is_looked_up_and_said_to_the_server(downloader: Downloader, vendor: Vendor) -> None:
    vendor.answers["/feed"] = answer("200 OK", b"signed")
    assert await _fetch(downloader, vendor.url("/feed", host="localhost")) == b"signed"
    assert vendor.headers_of("/feed")["host"] == f"localhost:{vendor.port}"


class Names(ThreadedResolver):
    """Home Assistant's connector with names that no network is asked for."""

    @override
    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        if host != "plugs.local":
            raise OSError(None, "DNS lookup failed")
        return await super().resolve("127.0.0.1", port, family)


@pytest.fixture
async def in_the_house(hass: HomeAssistant, folder: Path) -> AsyncIterator[Downloader]:
    connector = HomeAssistantTCPConnector(resolver=Names())
    async with aiohttp.ClientSession(connector=connector) as session:
        yield Downloader(session, folder, 1_000, hass.async_add_executor_job, timeouts=QUICK)


async def test_home_assistant_knows_names_of_the_house(in_the_house: Downloader, vendor: Vendor) -> None:
    vendor.answers["/feed"] = answer("200 OK", b"signed")
    assert await _fetch(in_the_house, vendor.url("/feed", host="plugs.local")) == b"signed"


async def test_a_name_that_nobody_knows_is_unreachable(in_the_house: Downloader) -> None:
    assert await _refused(in_the_house, "https://firmware.invalid/feed") is Reason.UNREACHABLE


# --- TLS ---


_USAGE = x509.KeyUsage(
    digital_signature=True,
    content_commitment=False,
    key_encipherment=False,
    data_encipherment=False,
    key_agreement=False,
    key_cert_sign=True,
    crl_sign=True,
    encipher_only=False,
    decipher_only=False,
)


class Authority:
    """Certificates of one's own."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "Test authority")])
        builder = self._builder(self._name, self._key)
        builder = builder.add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        builder = builder.add_extension(_USAGE, critical=True)
        identifier = x509.SubjectKeyIdentifier.from_public_key(self._key.public_key())
        self._certificate = builder.add_extension(identifier, critical=False).sign(self._key, hashes.SHA256())

    def _builder(self, subject: x509.Name, key: ec.EllipticCurvePrivateKey) -> x509.CertificateBuilder:
        now = datetime.now(UTC)
        return (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(self._name)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - timedelta(days=1))
            .not_valid_after(now + timedelta(days=1))
        )

    def server(self, *names: x509.GeneralName) -> ssl.SSLContext:
        key = ec.generate_private_key(ec.SECP256R1())
        builder = self._builder(x509.Name([]), key).add_extension(x509.SubjectAlternativeName(names), critical=True)
        issuer = x509.AuthorityKeyIdentifier.from_issuer_public_key(self._key.public_key())
        builder = builder.add_extension(issuer, critical=False)
        certificate = builder.sign(self._key, hashes.SHA256())
        pem = serialization.Encoding.PEM
        path = self._folder / "server.pem"
        path.write_bytes(
            key.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
            + certificate.public_bytes(pem)
        )
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        context.load_cert_chain(path)
        return context

    def client(self) -> ssl.SSLContext:
        text = self._certificate.public_bytes(serialization.Encoding.PEM).decode()
        return ssl.create_default_context(cadata=text)


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority(tmp_path)


@pytest.fixture
async def trusting(authority: Authority, folder: Path) -> AsyncIterator[Downloader]:
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(ssl=authority.client())) as session:
        yield Downloader(session, folder, 1_000_000, asyncio.to_thread, timeouts=QUICK)


@pytest.fixture
async def secure(authority: Authority) -> AsyncIterator[Vendor]:
    vendor = Vendor()
    names = x509.DNSName("localhost"), x509.IPAddress(IPv4Address("127.0.0.1"))
    await vendor.start(authority.server(*names))
    vendor.answers["/feed"] = answer("200 OK", b"signed")
    yield vendor
    await vendor.stop()


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1"])
async def test_a_certificate_for_the_name_that_was_asked_for_is_accepted(
    trusting: Downloader, secure: Vendor, host: str
) -> None:
    assert await _fetch(trusting, secure.url("/feed", "https", host)) == b"signed"


async def test_a_certificate_for_another_name_is_not(trusting: Downloader, authority: Authority) -> None:
    vendor = Vendor()
    await vendor.start(authority.server(x509.DNSName("vendor.example"), x509.IPAddress(IPv4Address("127.0.0.1"))))
    reason = await _refused(trusting, vendor.url("/feed", "https", "localhost"))
    await vendor.stop()
    assert reason is Reason.TLS_FAILED
    assert vendor.requests == []


async def test_a_certificate_of_somebody_unknown_is_not(downloader: Downloader, secure: Vendor) -> None:
    assert await _refused(downloader, secure.url("/feed", "https")) is Reason.TLS_FAILED
    assert secure.requests == []


async def test_a_server_that_speaks_no_tls_is_not(downloader: Downloader) -> None:
    async def greet(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"220 mail.example ESMTP\r\n")
        await writer.drain()
        await writer.wait_closed()

    server = await asyncio.start_server(greet, "127.0.0.1", 0)
    url = f"https://127.0.0.1:{server.sockets[0].getsockname()[1]}/feed"
    assert await _refused(downloader, url) is Reason.TLS_FAILED
    server.close()
    server.abort_clients()
    await server.wait_closed()


async def test_from_https_nobody_goes_back_to_plain_http(trusting: Downloader, secure: Vendor, vendor: Vendor) -> None:
    secure.answers["/feed"] = _moved(vendor.url("/feed"))
    assert await _refused(trusting, secure.url("/feed", "https")) is Reason.INSECURE_REDIRECT
    assert vendor.requests == []


async def test_from_plain_http_in_the_house_to_https_is_fine(
    trusting: Downloader, secure: Vendor, vendor: Vendor
) -> None:
    vendor.answers["/feed"] = _moved(secure.url("/feed", "https", "localhost"))
    assert await _fetch(trusting, vendor.url("/feed")) == b"signed"


# --- a feed's hosts ---


@pytest.mark.parametrize(
    ("hosts", "host", "allowed"),
    [
        ((), "localhost", True),
        (("localhost",), "localhost", True),
        (("localhost",), "LOCALHOST.", True),
        (("localhost",), "127.0.0.1", False),
        ((".localhost",), "files.localhost", True),
        ((".localhost",), "localhost", True),
        ((".localhost",), "evil-localhost", False),
        ((".localhost",), "localhost.example", False),
        (("api.localhost", ".files.localhost"), "other.localhost", False),
    ],
)
async def test_a_feed_that_says_where_it_is_is_nowhere_else(
    downloader: Downloader,
    vendor: Vendor,
    names: dict[str, list[str]],
    hosts: tuple[str, ...],
    host: str,
    allowed: bool,
) -> None:
    vendor.answers["/feed"] = answer("200 OK", b"signed")
    names |= {key: ["127.0.0.1"] for key in (host, host.lower())}
    fetching = downloader.async_fetch(FeedRequest(vendor.url("/feed", host=host)), feed=a_feed(hosts=hosts))
    (found,) = await asyncio.gather(fetching, return_exceptions=True)
    refused = isinstance(found, OutsideFailed) and found.reason is Reason.INSECURE_URL
    assert (refused, len(vendor.requests)) == (not allowed, int(allowed))


async def test_no_redirect_leads_away_from_a_feeds_hosts(
    downloader: Downloader, vendor: Vendor, names: dict[str, list[str]]
) -> None:
    names["files.vendor.example"] = ["127.0.0.1"]
    vendor.answers["/plug.bin"] = _moved(vendor.url("/moved", host="files.vendor.example"))
    vendor.answers["/moved"] = answer("200 OK", IMAGE)
    with pytest.raises(OutsideFailed) as caught:
        await downloader.async_artifact(artifact(vendor.url()), feed=a_feed(hosts=("127.0.0.1",)))
    assert caught.value.reason is Reason.INSECURE_REDIRECT
    assert [path for path, _ in vendor.requests] == ["/plug.bin"]
    both = a_feed(hosts=("127.0.0.1", ".vendor.example"))
    assert (await downloader.async_artifact(artifact(vendor.url()), feed=both)).read_bytes() == IMAGE
