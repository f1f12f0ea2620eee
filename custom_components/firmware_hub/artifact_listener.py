"""A small HTTP listener for devices: few connections, each with little time to say what it wants."""

from __future__ import annotations

import asyncio
import logging
import socket
from collections import Counter
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Final, override

from aiohttp import web
from aiohttp.http import HttpProcessingError
from aiohttp.web_protocol import RequestHandler

_CONNECTIONS: Final = 128
_CONNECTIONS_PER_PEER: Final = 16  # a router or a container's bridge may stand for many devices
_SEND_BUFFER: Final = 131_072  # bytes in the kernel; what it holds counts as sent, so it must not hold a whole image
_PATIENCE: Final = 10  # seconds to send a request
_LINGER: Final = 60  # seconds to take the end of an answer


class _Quiet(logging.LoggerAdapter[logging.Logger]):
    """Tells what a client got wrong only to whoever debugs: anybody in the network could fill the log with it."""

    @override
    def exception(self, msg: object, *args: object, exc_info: Any = True, **kwargs: Any) -> None:
        tell = self.debug if isinstance(exc_info, HttpProcessingError) else self.error
        tell(msg, *args, exc_info=exc_info, **kwargs)


_LOGGER: Final = _Quiet(logging.getLogger(__name__))


@dataclass(frozen=True, slots=True)
class Access:
    """One GET that ended: `sent` is `size` when the device took all of it."""

    install_id: str
    name: str
    size: int
    sent: int
    peer: str


class Listener(web.Server):
    """Counts connections, and closes those that do not get on."""

    def __init__(self, answer: Callable[[web.BaseRequest], Awaitable[web.StreamResponse]]) -> None:
        self._answer = answer
        super().__init__(self._timed, access_log=None, logger=_LOGGER, keepalive_timeout=0, lingering_time=0)
        self._server: asyncio.Server | None = None
        self._peers: Counter[str] = Counter()
        self._timers: dict[asyncio.BaseTransport, asyncio.TimerHandle] = {}

    @classmethod
    async def async_open(
        cls, answer: Callable[[web.BaseRequest], Awaitable[web.StreamResponse]], host: str, port: int
    ) -> Listener:
        """Listen. Raises OSError."""
        listener = cls(answer)
        listener._server = await asyncio.get_running_loop().create_server(listener, host, port)
        return listener

    async def async_close(self) -> None:
        """Stop listening and cut what is still connected."""
        if self._server is not None:
            self._server.close()
            self._server.abort_clients()
        await self.shutdown(0)
        for timer in self._timers.values():
            timer.cancel()
        self._timers.clear()

    async def _timed(self, request: web.BaseRequest) -> web.StreamResponse:
        transport = request.transport
        if transport is not None:
            self._arm(transport, None)
        try:
            response = await self._answer(request)
            response.force_close()
        finally:
            if transport is not None and not transport.is_closing():
                self._arm(transport, _LINGER)
        return response

    def _arm(self, transport: asyncio.BaseTransport, seconds: float | None) -> None:
        """Cut this connection in so many seconds, or not."""
        if (timer := self._timers.pop(transport, None)) is not None:
            timer.cancel()
        if seconds is not None and isinstance(transport, asyncio.WriteTransport):
            self._timers[transport] = asyncio.get_running_loop().call_later(seconds, transport.abort)

    @override
    def connection_made(self, handler: RequestHandler, transport: asyncio.Transport) -> None:
        """Count a connection, or cut it when there are too many."""
        super().connection_made(handler, transport)
        peer = _peer(transport)
        self._peers[peer] += 1
        if self._peers.total() > _CONNECTIONS or self._peers[peer] > _CONNECTIONS_PER_PEER:
            transport.abort()
            return
        transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, _SEND_BUFFER)
        self._arm(transport, _PATIENCE)

    @override
    def connection_lost(self, handler: RequestHandler, exc: BaseException | None = None) -> None:
        """Forget a connection."""
        transport = self._connections.get(handler)
        if transport is not None:
            self._arm(transport, None)
            peer = _peer(transport)
            self._peers[peer] -= 1
            if self._peers[peer] <= 0:
                del self._peers[peer]
        super().connection_lost(handler, exc)


def _peer(transport: asyncio.BaseTransport) -> str:
    name = transport.get_extra_info("peername")
    return str(name[0]) if name else ""


def is_ours(address: str) -> bool:
    """Return whether an address belongs to an interface of this machine."""
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    with suppress(OSError), socket.socket(family, socket.SOCK_DGRAM) as probe:
        probe.bind((address, 0))
        return True
    return False


def every(address: str) -> str:
    """Return where to listen for devices of any network of the home."""
    return "::" if ":" in address else "0.0.0.0"  # noqa: S104


def base_address(address: str, port: int) -> str:
    """Return how all addresses of artifacts begin."""
    return f"http://{f'[{address}]' if ':' in address else address}:{port}/f"
