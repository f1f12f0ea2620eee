"""A small web server for one device: honest, or broken in the ways in which a download can break."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from types import TracebackType
from typing import Self

_MAX_HEAD = 16_384
_REQUEST_SECONDS = 30.0


@dataclass(frozen=True, slots=True)
class Page:
    """What is served: the body, and how much of it before the connection ends (``None``: all)."""

    body: bytes
    ends_after: int | None = None


@dataclass(slots=True)
class ImageServer:
    """Serves ``pages`` by path, and remembers which paths were asked for; ``on_asked`` is told of each."""

    host: str
    on_asked: Callable[[], None]
    port: int = 0
    pages: dict[str, Page] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)
    _server: asyncio.Server | None = None

    def offer(self, path: str, page: Page | None) -> str:
        """Serve a page, or nothing (404), under a path; return its address."""
        if page is not None:
            self.pages[path] = page
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"http://{host}:{self.port}{path}"

    async def __aenter__(self) -> Self:
        """Begin to listen."""
        self._server = await asyncio.start_server(self._answer, self.host, self.port, limit=_MAX_HEAD)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stop listening; a device that still reads is cut off."""
        if self._server is not None:
            self._server.close()

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            head = await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), _REQUEST_SECONDS)
            words = head.split(b"\r\n", 1)[0].decode("latin-1").split(" ")
            if len(words) == 3 and words[0] in {"GET", "HEAD"}:
                self._remember(words[0], words[1])
                await self._send(writer, words[0], words[1])
        except (asyncio.IncompleteReadError, asyncio.LimitOverrunError, TimeoutError, OSError):
            # The device went away, or speaks no HTTP: what it then says over MQTT is what counts.
            pass
        finally:
            writer.close()

    def _remember(self, method: str, path: str) -> None:
        if method == "GET":
            self.asked.append(path)
            self.on_asked()

    async def _send(self, writer: asyncio.StreamWriter, method: str, path: str) -> None:
        page = self.pages.get(path)
        status, body = ("200 OK", page.body) if page else ("404 Not Found", b"not here\n")
        head = f"HTTP/1.1 {status}\r\nContent-Length: {len(body)}\r\nContent-Type: application/octet-stream\r\n"
        writer.write(f"{head}Connection: close\r\n\r\n".encode())
        if method == "GET":
            writer.write(body if page is None else body[: page.ends_after])
        await writer.drain()
