"""The real server on 127.0.0.1, with files as the cache keeps them."""

import hashlib
import socket
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import aiohttp
import pytest
from homeassistant.core import HomeAssistant

from custom_components.firmware_hub.artifact_server import ArtifactServer, async_get_server

LOCAL = "127.0.0.1"
type Cached = Callable[[bytes], Path]


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@pytest.fixture(autouse=True)
def _sockets(socket_enabled: None) -> None:
    """Real connections."""


@pytest.fixture
def cached(tmp_path: Path) -> Cached:
    def write(content: bytes) -> Path:
        path = tmp_path / hashlib.sha256(content).hexdigest()
        path.write_bytes(content)
        return path

    return write


@pytest.fixture
async def server(hass: HomeAssistant) -> AsyncIterator[ArtifactServer]:
    server = async_get_server(hass)
    server.set_port(free_port())
    yield server
    await server.async_close()


@pytest.fixture
async def client() -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession(auto_decompress=False) as session:
        yield session
