"""The bodies of answers: read to their end within bounds, and looked at before they are believed to be firmware."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Final

import aiohttp

from .core import limits
from .core.errors import Reason, Refused
from .core.model import Artifact
from .download_route import FetchFailed, is_web_page

_FIRST_LOOK: Final = 512  # bytes that show whether this is a web page


async def bounded(response: aiohttp.ClientResponse, bound: int) -> bytes:
    """Read a body that has to end before the bound, whatever length it claims."""
    if (response.content_length or 0) > bound:
        raise FetchFailed(Reason.TOO_LARGE, f"{response.content_length} bytes")
    body = bytearray()
    async for some in response.content.iter_any():
        body += some
        if len(body) > bound:
            raise FetchFailed(Reason.TOO_LARGE, f"more than {bound} bytes")
    return bytes(body)


async def looked_at(response: aiohttp.ClientResponse, artifact: Artifact) -> AsyncIterator[bytes]:
    """Pass the body on, once its start and its length are what an artifact may have."""
    wrong_length = artifact.size != 0 and response.content_length not in {None, artifact.size}
    if not artifact.size:
        check_length(response.content_length or 0, artifact)
    start = b""
    try:
        async for some in response.content.iter_any():
            if len(start) >= _FIRST_LOOK:
                yield some
                continue
            start += some
            if len(start) >= _FIRST_LOOK:
                _check_start(start, response.content_length if wrong_length else None, artifact)
                yield start
    except aiohttp.ClientPayloadError as error:
        if wrong_length:
            raise Refused(Reason.SIZE_MISMATCH, f"{response.content_length} bytes, not {artifact.size}") from error
        raise
    if len(start) < _FIRST_LOOK:
        _check_start(start, response.content_length if wrong_length else None, artifact)
        yield start


def check_length(received: int, artifact: Artifact) -> None:
    """Refuse more than what is stated, or than any artifact may have."""
    if received > (artifact.size or limits.MAX_ARTIFACT_BYTES):
        reason = Reason.SIZE_MISMATCH if artifact.size else Reason.TOO_LARGE
        raise Refused(reason, f"more than {artifact.size or limits.MAX_ARTIFACT_BYTES} bytes")


def _check_start(start: bytes, wrong_length: int | None, artifact: Artifact) -> None:
    if is_web_page(start):
        raise FetchFailed(Reason.NOT_FIRMWARE, "a web page")
    if wrong_length is not None:
        raise Refused(Reason.SIZE_MISMATCH, f"{wrong_length} bytes, not {artifact.size}")
