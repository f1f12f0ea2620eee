"""A vendor's web server that answers exactly what a test wants, byte for byte, and a real downloader."""

import asyncio
import hashlib
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import suppress
from pathlib import Path
from ssl import SSLContext
from typing import Any

import aiohttp
import pytest

from custom_components.firmware_hub.core.model import Artifact, ArtifactRole, Feed, Trust
from custom_components.firmware_hub.download import Downloader
from custom_components.firmware_hub.download_route import Timeouts

type Answer = bytes | Callable[[asyncio.StreamWriter], Awaitable[None]]
IMAGE = bytes(range(256)) * 1_024
QUICK = Timeouts(connect=5, idle=0.05, feed=30, artifact=30)


@pytest.fixture(autouse=True)
def _sockets(socket_enabled: None) -> None:
    """Real connections."""


def answer(status: str, body: bytes = b"", **headers: str | int | None) -> bytes:
    """Write an answer; its length is stated unless `content_length=None`."""
    lines = {"content-length": len(body), "connection": "close"}
    lines |= {name.replace("_", "-"): value for name, value in headers.items()}
    head = "".join(f"{name}: {value}\r\n" for name, value in lines.items() if value is not None)
    return f"HTTP/1.1 {status}\r\n{head}\r\n".encode() + body


class Vendor:
    """One web server; `answers` by path."""

    def __init__(self) -> None:
        self.answers: dict[str, Answer] = {}
        self.requests: list[tuple[str, dict[str, str]]] = []
        self.port = 0
        self._server: asyncio.Server | None = None
        self._serving: set[asyncio.Task[None]] = set()

    async def start(self, tls: SSLContext | None = None) -> None:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0, ssl=tls)
        self.port = self._server.sockets[0].getsockname()[1]

    async def stop(self) -> None:
        assert self._server is not None
        self._server.close()
        self._server.abort_clients()
        for task in self._serving:
            task.cancel()
        await asyncio.gather(*self._serving, return_exceptions=True)
        await self._server.wait_closed()

    def url(self, path: str = "/plug.bin", scheme: str = "http", host: str = "127.0.0.1") -> str:
        return f"{scheme}://{host}:{self.port}{path}"

    def headers_of(self, path: str) -> dict[str, str]:
        (found,) = [headers for asked, headers in self.requests if asked == path]
        return found

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._serving.add(task)
        task.add_done_callback(self._serving.discard)
        with suppress(OSError, asyncio.IncompleteReadError):
            head = (await reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
            path = head[0].split(" ")[1]
            self.requests.append((path, dict(line.lower().split(": ", 1) for line in head[1:] if line)))
            found = self.answers.get(path, answer("404 Not Found"))
            if isinstance(found, bytes):
                writer.write(found)
            else:
                await found(writer)
            await writer.drain()
            writer.close()
            await writer.wait_closed()


@pytest.fixture
async def vendor() -> AsyncIterator[Vendor]:
    vendor = Vendor()
    await vendor.start()
    yield vendor
    await vendor.stop()


@pytest.fixture
async def session() -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession() as session:
        yield session


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "cache"


@pytest.fixture
def downloader(session: aiohttp.ClientSession, folder: Path) -> Downloader:
    return Downloader(session, folder, 10_000_000, asyncio.to_thread, timeouts=QUICK)


def a_feed(url: str = "", **rules: Any) -> Feed:
    """Make a feed as far as fetching goes."""
    return Feed("acme", "signed_manifest", "Acme", url, Trust.SIGNED, **rules)


def artifact(url: str, content: bytes = IMAGE, *, size: int | None = None, sha256: str | None = None) -> Artifact:
    digest = hashlib.sha256(content).hexdigest() if sha256 is None else sha256
    return Artifact(ArtifactRole.MAIN, "plug.bin", url, len(content) if size is None else size, digest)
