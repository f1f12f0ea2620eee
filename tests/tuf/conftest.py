"""A repository on a real web server, and the hub's client of it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from ssl import SSLContext

import aiohttp
import pytest
from aiohttp import web

from custom_components.firmware_hub.core.model import Feed, Manifest, Trust
from custom_components.firmware_hub.download import Downloader
from custom_components.firmware_hub.download_route import Timeouts
from custom_components.firmware_hub.sources.tuf_repository import TufRepositorySource
from custom_components.firmware_hub.tuf_client import TufClient

from .repository import Repository, release

PLUG = "acme/plug-s1/1.2.0/plug.bin"


@pytest.fixture(autouse=True)
def _sockets(socket_enabled: None) -> None:
    """Real connections."""


@pytest.fixture
def repository() -> Repository:
    repository = Repository()
    repository.add(PLUG, custom=release())
    repository.publish()
    return repository


class Home:
    """The hub's side: its client, its disk, and the feed."""

    def __init__(self, client: TufClient, downloader: Downloader, url: str, folder: Path) -> None:
        self.client = client
        self.downloader = downloader
        self.url = url
        self.folder = folder

    def feed(self, repository: Repository, **changes: str) -> Feed:
        values = {"root": repository.first_root, "url": self.url} | changes
        return Feed("makers", "tuf_repository", "Makers", trust=Trust.SIGNED, **values)  # type: ignore[arg-type]

    async def refresh(self, repository: Repository, **changes: str) -> Manifest:
        feed = self.feed(repository, **changes)
        return TufRepositorySource().read(await self.client.async_refresh(feed), feed)

    async def reload(self, repository: Repository) -> Manifest:
        feed = self.feed(repository)
        return TufRepositorySource().read(await self.client.async_reload(feed), feed)


type Serve = Callable[[Repository], "asyncio.Future[Home]"]


@pytest.fixture
async def home(repository: Repository, tmp_path: Path) -> AsyncIterator[Home]:
    async for home in serving(repository, tmp_path):
        yield home


async def serving(repository: Repository, tmp_path: Path, *, tls: SSLContext | None = None) -> AsyncIterator[Home]:
    app = web.Application()
    app.router.add_get("/tuf/{name:.*}", repository.answer)
    runner = web.AppRunner(app, shutdown_timeout=0.05)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0, ssl_context=tls)
    await site.start()
    assert site._server is not None
    port = site._server.sockets[0].getsockname()[1]  # type: ignore[attr-defined]
    quick = Timeouts(connect=5, idle=5, feed=5, artifact=5)
    async with aiohttp.ClientSession() as session:
        downloader = Downloader(session, tmp_path / "cache", 10_000_000, asyncio.to_thread, timeouts=quick)
        folder = tmp_path / "tuf"
        url = f"{'https' if tls else 'http'}://127.0.0.1:{port}/tuf"
        yield Home(TufClient(downloader, folder, asyncio.to_thread), downloader, url, folder)
    await runner.cleanup()
