"""From an address to an open answer: which hops are allowed, and what the errors of the way mean.

Contract: only ``OutsideFailed`` escapes. Where a connection may lead is judged by the address that is really connected
to: names are resolved here, judged, and the request is pinned to an address that passed, so that a name that resolves
differently a moment later changes nothing.
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator, Collection, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from ipaddress import IPv4Address, IPv6Address, IPv6Network, ip_address
from socket import SOCK_STREAM
from typing import Final

import aiohttp
from aiohttp import hdrs
from homeassistant.helpers.aiohttp_client import HomeAssistantTCPConnector
from yarl import URL

from .core.errors import OutsideFailed, Reason

MAX_HOPS: Final = 5
_MAX_ADDRESSES: Final = 4  # of one name that are tried, one after the other
_MAX_RETRY_AFTER: Final = 86_400  # seconds; a server that asks for more is asked daily
_MAX_ETAG: Final = 256  # characters
_READ_BUFFER: Final = 262_144  # bytes
_REDIRECTS: Final = frozenset({301, 302, 303, 307, 308})
_HTML_STARTS: Final = (b"<!doctype html", b"<html", b"<head")

# IPv6 addresses that stand for an IPv4 address: mapped, compatible (RFC 4291, 2.5.5) and translated (RFC 6052, 2.1).
_HOLDS_IPV4: Final = tuple(map(IPv6Network, ("::ffff:0:0/96", "::/96", "64:ff9b::/96")))

type _Address = IPv4Address | IPv6Address


@dataclass(frozen=True, slots=True)
class Timeouts:
    """Seconds: for one connection, between two pieces of a body, for a whole feed, for a whole artifact."""

    connect: float = 10
    idle: float = 30
    feed: float = 120
    artifact: float = 1_800


class FetchFailed(OutsideFailed):
    """A fetch that failed; `retry_after_s` is what the server asked for."""

    def __init__(self, reason: Reason, detail: str = "", *, retry_after_s: int | None = None) -> None:
        super().__init__(reason, detail)
        self.retry_after_s = retry_after_s


@dataclass(frozen=True, slots=True)
class _Trail:
    """What the hops so far have in common with the next one."""

    hops: int = 0
    was_https: bool = False
    was_public: bool = False

    def refuses(self, url: URL, address: _Address) -> Reason | None:
        """Say why this address may not be connected to.

        Plain HTTP stays inside the local network and never follows HTTPS; nobody outside leads into the local network.
        """
        local = is_local(address)
        insecure = Reason.INSECURE_REDIRECT if self.hops else Reason.INSECURE_URL
        if url.scheme != "https" and (self.was_https or not local):
            return insecure
        return insecure if local and self.was_public else None

    def after(self, url: URL, address: _Address) -> _Trail:
        """Return the trail with this hop at its end."""
        return _Trail(self.hops + 1, self.was_https or url.scheme == "https", self.was_public or not is_local(address))


def is_local(address: _Address) -> bool:
    """Return whether an address lies in this network: anything that the internet does not route."""
    if any(address in network for network in _HOLDS_IPV4):
        address = IPv4Address(int(address) & 0xFFFFFFFF)
    return not address.is_global or address.is_multicast


@dataclass(frozen=True, slots=True)
class Opened:
    """An answer that is no redirect; `from_outside` if any hop of the way to it was outside the local network."""

    response: aiohttp.ClientResponse
    from_outside: bool


@asynccontextmanager
async def open_url(
    session: aiohttp.ClientSession,
    url: str,
    headers: Mapping[str, str],
    timeouts: Timeouts,
    *,
    from_outside: bool = False,
    tls: ssl.SSLContext | None = None,
    hosts: Collection[str] = (),
) -> AsyncIterator[Opened]:
    """Follow redirects to an answer that is none.

    Whoever named this address `from_outside` may not point into the local network. With `tls` every hop has to prove
    itself to it, and plain HTTP, which proves nothing, is not spoken in the local network either. With `hosts` no hop
    leads anywhere else (see ``Feed.hosts``).
    """
    with translated_errors():
        here = _parsed(URL(url), Reason.INSECURE_URL)
        trail = _Trail(was_https=tls is not None, was_public=from_outside)
        sent = dict(headers)
        while True:
            _check_host(here, hosts, Reason.INSECURE_REDIRECT if trail.hops else Reason.INSECURE_URL)
            response, address = await _request(session, here, sent, timeouts, trail, tls)
            trail = trail.after(here, address)
            async with response:
                if response.status not in _REDIRECTS:
                    yield Opened(response, trail.was_public)
                    return
                there = _next(here, response)
            if trail.hops > MAX_HOPS:
                raise FetchFailed(Reason.HTTP_ERROR, f"more than {MAX_HOPS} redirects")
            if there.origin() != here.origin():
                sent = {name: value for name, value in sent.items() if name.lower() in {"accept", "if-none-match"}}
            here = there


async def may_be_outside(session: aiohttp.ClientSession, url: str) -> bool:
    """Return whether any address of a host lies outside: all that is known of one that was not connected to yet."""
    with translated_errors():
        return not all(map(is_local, await _addresses(session, _parsed(URL(url), Reason.INSECURE_URL))))


def _next(here: URL, response: aiohttp.ClientResponse) -> URL:
    location = response.headers.get(hdrs.LOCATION, "")
    if not location:
        raise FetchFailed(Reason.HTTP_ERROR, f"status {response.status} that leads nowhere")
    return _parsed(here.join(URL(location)), Reason.INSECURE_REDIRECT)


def _check_host(url: URL, hosts: Collection[str], reason: Reason) -> None:
    host = (url.host or "").casefold().removesuffix(".")
    known = any(host == one.removeprefix(".") or (one.startswith(".") and host.endswith(one)) for one in hosts)
    if hosts and not known:
        raise FetchFailed(reason, f"{host} is none of the feed's hosts")


def _parsed(url: URL, reason: Reason) -> URL:
    if url.scheme not in {"http", "https"} or not url.host:
        raise FetchFailed(reason, f"not an HTTP address: {url}")
    return url.with_fragment(None)


async def _request(
    session: aiohttp.ClientSession,
    url: URL,
    headers: Mapping[str, str],
    timeouts: Timeouts,
    trail: _Trail,
    tls: ssl.SSLContext | None,
) -> tuple[aiohttp.ClientResponse, _Address]:
    """Ask the first address of the host that is allowed and answers."""
    found = await _addresses(session, url)
    allowed = [address for address in found if trail.refuses(url, address) is None]
    if not allowed:
        reason = trail.refuses(url, found[0])
        raise FetchFailed(reason or Reason.UNREACHABLE, f"{url.origin()} at {found[0]}")
    *others, last = allowed[:_MAX_ADDRESSES]
    for address in others:
        try:
            return await _pinned(session, url, address, headers, timeouts, tls), address
        except (aiohttp.ClientConnectorError, aiohttp.ConnectionTimeoutError) as error:
            if isinstance(error, aiohttp.ClientSSLError):
                raise
    return await _pinned(session, url, last, headers, timeouts, tls), last


async def _pinned(
    session: aiohttp.ClientSession,
    url: URL,
    address: _Address,
    headers: Mapping[str, str],
    timeouts: Timeouts,
    tls: ssl.SSLContext | None,
) -> aiohttp.ClientResponse:
    # Identity: a compressed body could unpack to anything, and a digest is of the bytes as they are published.
    sent = dict(headers)
    sent[hdrs.ACCEPT_ENCODING] = "identity"
    sent[hdrs.HOST] = url.host_port_subcomponent or ""
    return await session.get(
        url.with_host(str(address)),
        headers=sent,
        ssl=tls or True,
        server_hostname=url.raw_host if url.scheme == "https" else None,
        allow_redirects=False,
        auto_decompress=False,
        raise_for_status=False,
        read_bufsize=_READ_BUFFER,
        timeout=aiohttp.ClientTimeout(total=None, sock_connect=timeouts.connect, sock_read=timeouts.idle),
    )


async def _addresses(session: aiohttp.ClientSession, url: URL) -> list[_Address]:
    host = url.host or ""
    with suppress(ValueError):
        return [ip_address(host)]
    try:
        if isinstance(session.connector, HomeAssistantTCPConnector):
            # Home Assistant's resolver also knows the names that only exist in the local network.
            return [ip_address(found["host"]) for found in await session.connector.async_resolve_host(host)]
        found = await asyncio.get_running_loop().getaddrinfo(url.raw_host, url.port, type=SOCK_STREAM)
    except OSError as error:
        raise FetchFailed(Reason.UNREACHABLE, f"no such host: {host}") from error
    return [ip_address(place[0]) for *_, place in found]


@contextmanager
def translated_errors() -> Iterator[None]:
    """Turn whatever the way throws into a reason."""
    try:
        yield
    except (aiohttp.ClientSSLError, ssl.SSLError) as error:
        raise FetchFailed(Reason.TLS_FAILED, str(error)) from error
    except TimeoutError as error:
        raise FetchFailed(Reason.FETCH_TIMEOUT, str(error)) from error
    except (OSError, aiohttp.ClientConnectionError, aiohttp.ClientPayloadError) as error:
        raise FetchFailed(Reason.UNREACHABLE, str(error)) from error
    except (aiohttp.ClientError, ValueError) as error:
        raise FetchFailed(Reason.HTTP_ERROR, str(error)) from error


def check_status(response: aiohttp.ClientResponse) -> None:
    """Accept a 200 and name everything else."""
    if response.status == 200:
        return
    reason = {404: Reason.NOT_FOUND, 410: Reason.NOT_FOUND, 429: Reason.RATE_LIMITED}.get(response.status)
    if response.status == 403 and response.headers.get("X-RateLimit-Remaining") == "0":
        reason = Reason.RATE_LIMITED
    raise FetchFailed(
        reason or Reason.HTTP_ERROR, f"status {response.status}", retry_after_s=_retry_after(response.headers)
    )


def _retry_after(headers: Mapping[str, str]) -> int | None:
    """Read Retry-After (RFC 9110, 10.2.3), or the time that GitHub states instead of it."""
    now = datetime.now(UTC)
    text = headers.get(hdrs.RETRY_AFTER, "").strip()
    reset = headers.get("X-RateLimit-Reset", "").strip()
    try:
        if text.isdecimal():
            seconds = float(int(text))
        elif text:
            seconds = (parsedate_to_datetime(text).astimezone(UTC) - now).total_seconds()
        elif reset:
            seconds = int(reset) - now.timestamp()
        else:
            return None
    except ValueError, OverflowError:
        return None
    return int(min(max(seconds, 0), _MAX_RETRY_AFTER))


def etag_of(response: aiohttp.ClientResponse) -> str:
    """Return the validator of a body: short and printable, since it is stored and sent back; else nothing.

    Bytes beyond ASCII arrive as halves of surrogate pairs, which no database takes.
    """
    found = response.headers.get(hdrs.ETAG, "")
    return found if len(found) <= _MAX_ETAG and found.isascii() and found.isprintable() else ""


def is_web_page(start: bytes) -> bool:
    """Return whether a body begins like a page for people, such as a log-in or a captive portal."""
    return start[:512].lstrip(b"\xef\xbb\xbf \t\r\n").lower().startswith(_HTML_STARTS)
