"""Clients that are slow, many, rude or gone."""

import asyncio
import logging
import socket
from pathlib import Path

import aiohttp
import pytest
from aiohttp import web

from custom_components.firmware_hub import artifact_listener, artifact_server
from custom_components.firmware_hub.artifact_listener import Access, Listener
from custom_components.firmware_hub.artifact_server import ArtifactServer

from .conftest import LOCAL, Cached, free_port

LARGE = bytes(4_000_000)


async def _connect(url: str) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    host, port = url.split("/")[2].split(":")
    return await asyncio.open_connection(host, int(port))


def _request(url: str) -> bytes:
    return f"GET /{url.split('/', 3)[3]} HTTP/1.1\r\nHost: hub\r\n\r\n".encode()


@pytest.fixture
async def url(server: ArtifactServer, cached: Cached) -> str:
    return (await server.async_serve("one", {"t.bin": cached(LARGE)}, LOCAL))["t.bin"]


async def test_one_peer_gets_only_so_many_connections(url: str, client: aiohttp.ClientSession) -> None:
    held = [await _connect(url) for _ in range(artifact_listener._CONNECTIONS_PER_PEER)]
    reader, writer = await _connect(url)
    assert await _end(reader) == b""
    writer.close()
    for _, waiting in held:
        waiting.close()
    await asyncio.gather(*(waiting.wait_closed() for _, waiting in held))
    assert await _until_served(client, url) == LARGE


async def _end(reader: asyncio.StreamReader) -> bytes:
    try:
        return await reader.read()
    except ConnectionResetError:
        return b""


async def _until_served(client: aiohttp.ClientSession, url: str) -> bytes:
    """Ask until the server has seen the others go; the test's own time limit is the only one."""
    while True:
        try:
            async with client.get(url) as answer:
                return await answer.read()
        except aiohttp.ClientConnectionError:
            await asyncio.sleep(0.01)


async def test_all_peers_together_get_only_so_many(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(artifact_listener, "_CONNECTIONS", 2)
    held = [await _connect(url) for _ in range(2)]
    reader, writer = await _connect(url)
    assert await _end(reader) == b""
    for waiting in [writer, *(waiting for _, waiting in held)]:
        waiting.close()


@pytest.mark.parametrize("start", [b"", b"GET /f/x HTTP/1.1\r\nHost: "], ids=["silent", "half a request"])
async def test_who_does_not_say_what_he_wants_is_cut(url: str, monkeypatch: pytest.MonkeyPatch, start: bytes) -> None:
    monkeypatch.setattr(artifact_listener, "_PATIENCE", 0.02)
    reader, writer = await _connect(url)
    writer.write(start)
    assert await _end(reader) == b""
    writer.close()


async def test_who_does_not_take_what_he_asked_for_is_cut(
    server: ArtifactServer, url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(artifact_server, "_STALL", 0.02)
    heard: asyncio.Queue[Access] = asyncio.Queue()
    server.listen(heard.put_nowait)
    with socket.socket() as slow:
        slow.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4_096)
        slow.connect(("127.0.0.1", int(url.split("/")[2].split(":")[1])))
        slow.send(_request(url))
        access = await heard.get()
    assert access.sent < access.size


async def test_who_hangs_up_is_noted_with_what_he_took(server: ArtifactServer, url: str) -> None:
    heard: asyncio.Queue[Access] = asyncio.Queue()
    server.listen(heard.put_nowait)
    reader, writer = await _connect(url)
    writer.write(_request(url))
    await reader.readexactly(100)
    writer.transport.abort()
    access = await heard.get()
    assert access.sent < access.size


async def test_a_short_body_does_not_look_like_a_whole_one(server: ArtifactServer, url: str) -> None:
    reader, writer = await _connect(url)
    writer.write(_request(url))
    await reader.readexactly(100)
    await server.async_stop_serving("one")
    assert len(await _end(reader)) < len(LARGE)
    writer.close()


@pytest.mark.parametrize("garbage", [b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", b"HELO\r\n\r\n", b"\0" * 20_000])
async def test_what_is_not_http_is_answered_or_cut_and_others_go_on(
    url: str, client: aiohttp.ClientSession, garbage: bytes
) -> None:
    reader, writer = await _connect(url)
    writer.write(garbage)
    writer.write_eof()
    assert b" 200 " not in await _end(reader)
    writer.close()
    assert await _until_served(client, url) == LARGE


_MALFORMED = [
    b"GET /f/\xff/x HTTP/1.1\r\nHost: hub\r\n\r\n",
    b"GET /f/%ff/x HTTP/1.1\r\nHost: hub\r\n\r\n",
    b"GET http://[ HTTP/1.1\r\nHost: hub\r\n\r\n",
    b"GET * HTTP/1.1\r\nHost: hub\r\n\r\n",
    b"GET /f/x HTTP/9.9\r\nHost: hub\r\n\r\n",
    b"GET /f/x HTTP/1.1\r\nHost: hub\r\nContent-Length: -1\r\n\r\n",
    b"GET /f/x HTTP/1.1\r\nHost: hub\r\nTransfer-Encoding: x\r\nContent-Length: 3\r\n\r\n",
    b"GET /f/x HTTP/1.1\r\nHost: hub\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
    b"GET /" + b"x" * 20_000 + b" HTTP/1.1\r\nHost: hub\r\n\r\n",
    b"CONNECT hub:1 HTTP/1.1\r\nHost: hub\r\n\r\n",
    b"\x16\x03\x01\r\n\r\n",
]


@pytest.mark.parametrize("request_", _MALFORMED, ids=lambda raw: ascii(raw[:24]))
async def test_what_a_stranger_gets_wrong_does_not_fill_the_log(
    url: str, caplog: pytest.LogCaptureFixture, request_: bytes
) -> None:
    caplog.clear()
    reader, writer = await _connect(url)
    writer.write(request_)
    writer.write_eof()
    assert b" 200 " not in await _end(reader)
    writer.close()
    assert [record.getMessage() for record in caplog.records if record.levelno >= logging.INFO] == []


async def test_what_this_server_gets_wrong_is_told(
    caplog: pytest.LogCaptureFixture, client: aiohttp.ClientSession
) -> None:
    async def fail(_: web.BaseRequest) -> web.StreamResponse:
        raise LookupError("ours")

    port = free_port()
    listener = await Listener.async_open(fail, LOCAL, port)
    async with client.get(f"http://{LOCAL}:{port}/f/x") as answer:
        assert answer.status == 500
    await listener.async_close()
    (record,) = [record for record in caplog.records if record.levelno >= logging.INFO]
    assert record.name == artifact_listener.__name__
    assert record.exc_info is not None
    assert record.exc_info[0] is LookupError


async def test_many_fetch_at_once(url: str, client: aiohttp.ClientSession) -> None:
    async def fetch() -> int:
        async with client.get(url) as answer:
            return len(await answer.read())

    assert await asyncio.gather(*(fetch() for _ in range(10))) == [len(LARGE)] * 10


async def test_a_served_file_is_let_go_at_the_end(server: ArtifactServer, url: str, cached: Cached) -> None:
    path = cached(LARGE)
    assert _open_files(path) == 1
    await server.async_stop_serving("one")
    assert _open_files(path) == 0


async def test_a_file_that_stays_served_is_not_opened_twice(server: ArtifactServer, url: str, cached: Cached) -> None:
    path = cached(LARGE)
    await server.async_serve("one", {"t.bin": path}, LOCAL)
    assert _open_files(path) == 1
    await server.async_serve("one", {"other.bin": path}, LOCAL)
    assert _open_files(path) == 1


def _open_files(path: Path) -> int:
    return sum(one.resolve() == path for one in Path("/proc/self/fd").iterdir())
