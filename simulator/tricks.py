"""Everything that can be wrong with what a vendor's server answers."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from aiohttp import web

CHUNK = 4096
PAGE = b"<!DOCTYPE html><html><head><title>Sign in</title></head><body><form>Password</form></body></html>\n"


class Trick(StrEnum):
    """A way to answer wrongly. The first six forge the signed manifest; the others work on every path."""

    FORGED = "forged"
    """Signed by a stranger's key that claims the pinned key's id."""
    TAMPERED = "tampered"
    """The genuine signature under a payload that was changed afterwards."""
    UNSIGNED = "unsigned"
    """No signature at all, and the header says so."""
    OLDER_SEQUENCE = "older_sequence"
    """Genuinely signed, with a sequence number below the current one: an old manifest played again."""
    EXPIRED = "expired"
    """Genuinely signed, and expired yesterday."""
    EQUIVOCATION = "equivocation"
    """Genuinely signed, with the current sequence number and another content."""

    NOT_FOUND = "not_found"
    """404."""
    SERVER_ERROR = "server_error"
    """500."""
    RATE_LIMITED = "rate_limited"
    """429 with ``Retry-After: 120``."""
    NOT_MODIFIED = "not_modified"
    """304 though nobody asked a conditional question."""
    LOGIN_PAGE = "login_page"
    """200 with an HTML page, as a captive portal answers."""
    WRONG_LENGTH = "wrong_length"
    """The Content-Length is larger than the body, and then the connection ends."""
    NO_LENGTH = "no_length"
    """The right bytes without a Content-Length."""
    TRUNCATED = "truncated"
    """The connection ends after half of the body."""
    SHORT = "short"
    """A proper answer that holds only half of the bytes."""
    LONG = "long"
    """A proper answer that holds more bytes than it should."""
    ENDLESS = "endless"
    """The body never ends."""
    SLOW = "slow"
    """One byte at a time."""
    STALLED = "stalled"
    """Half of the body, then silence on an open connection."""
    REDIRECT_TO_PLAIN = "redirect_to_plain"
    """302 to plain ``http``."""
    REDIRECT_ELSEWHERE = "redirect_elsewhere"
    """302 to another host."""
    WRONG_BYTES = "wrong_bytes"
    """The right number of other bytes."""


MANIFEST_TRICKS = frozenset(list(Trick)[:6])


@dataclass(frozen=True, slots=True)
class Answer:
    """What an honest server would say."""

    body: bytes = b""
    status: int = 200
    content_type: str = "application/octet-stream"
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Redirects:
    """Where the redirecting tricks lead to, without the path."""

    plain: str
    elsewhere: str


async def send(
    request: web.Request, answer: Answer, trick: Trick | None, redirects: Redirects, ended: asyncio.Event
) -> web.StreamResponse:
    """Answer a request, honestly or not. Answers that take for ever are given up when ``ended`` is set."""
    match trick:
        case None:
            return _whole(answer)
        case Trick.NOT_FOUND | Trick.SERVER_ERROR | Trick.RATE_LIMITED | Trick.NOT_MODIFIED | Trick.LOGIN_PAGE:
            return _whole(_other(trick))
        case Trick.REDIRECT_TO_PLAIN | Trick.REDIRECT_ELSEWHERE:
            base = redirects.plain if trick is Trick.REDIRECT_TO_PLAIN else redirects.elsewhere
            return web.Response(status=302, headers={"Location": f"{base}{request.path_qs}"})
        case Trick.SHORT | Trick.LONG | Trick.WRONG_BYTES:
            return _whole(Answer(_spoil(answer.body, trick), answer.status, answer.content_type, answer.headers))
        case _:
            return await _stream(request, answer, trick, ended)


def _whole(answer: Answer) -> web.Response:
    return web.Response(
        body=answer.body, status=answer.status, content_type=answer.content_type, headers=dict(answer.headers)
    )


def _other(trick: Trick) -> Answer:
    match trick:
        case Trick.NOT_FOUND:
            return Answer(b"not found\n", 404, "text/plain")
        case Trick.SERVER_ERROR:
            return Answer(b"out of order\n", 500, "text/plain")
        case Trick.RATE_LIMITED:
            return Answer(b"too many requests\n", 429, "text/plain", {"Retry-After": "120"})
        case Trick.NOT_MODIFIED:
            return Answer(b"", 304)
        case _:
            return Answer(PAGE, 200, "text/html")


def _spoil(body: bytes, trick: Trick) -> bytes:
    if trick is Trick.SHORT:
        return body[: len(body) // 2]
    if trick is Trick.LONG:
        return body + bytes(1000)
    return body[:-1] + bytes([body[-1] ^ 0xFF]) if body else body


async def _stream(request: web.Request, answer: Answer, trick: Trick, ended: asyncio.Event) -> web.StreamResponse:
    response = web.StreamResponse(status=answer.status, headers=dict(answer.headers))
    response.content_type = answer.content_type
    response.content_length = _announced(answer, trick)
    await response.prepare(request)
    try:
        await _body(response, answer.body, trick, ended)
    except (ConnectionError, asyncio.CancelledError):
        return response
    if trick is not Trick.NO_LENGTH and request.transport is not None:
        request.transport.close()
    return response


def _announced(answer: Answer, trick: Trick) -> int | None:
    if trick in {Trick.NO_LENGTH, Trick.ENDLESS}:
        return None
    return len(answer.body) + (1000 if trick is Trick.WRONG_LENGTH else 0)


async def _body(response: web.StreamResponse, body: bytes, trick: Trick, ended: asyncio.Event) -> None:
    half = body[: len(body) // 2]
    match trick:
        case Trick.NO_LENGTH | Trick.WRONG_LENGTH:
            await response.write(body)
        case Trick.TRUNCATED:
            await response.write(half)
        case Trick.STALLED:
            await response.write(half)
            await ended.wait()
        case Trick.ENDLESS:
            while not ended.is_set():
                await response.write((body or PAGE)[:CHUNK].ljust(CHUNK, b"\0"))
        case _:
            await _trickle(response, body, ended)


async def _trickle(response: web.StreamResponse, body: bytes, ended: asyncio.Event) -> None:
    for position in range(len(body)):
        await response.write(body[position : position + 1])
        try:
            await asyncio.wait_for(ended.wait(), 0.05)
        except TimeoutError:
            continue
        return
