"""A TUF repository as a feed of a real hub: offers, attacks, outages and restarts."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from types import MappingProxyType

import pytest
from aiohttp import web
from homeassistant.config_entries import ConfigSubentry
from homeassistant.helpers import issue_registry as ir

from custom_components.firmware_hub.const import CONF_KIND, CONF_ROOT, CONF_URL, DOMAIN, KIND_TUF, SUBENTRY_FEED
from custom_components.firmware_hub.core.errors import Reason
from custom_components.firmware_hub.core.view import FeedView
from tests.ha.home import Home, until
from tests.tuf.repository import Repository, release

FEED = "makers"
PLUG = "acme/plug-s1/1.2.0/plug.bin"


@pytest.fixture
async def repository(home: Home) -> AsyncIterator[Repository]:
    """A repository on this machine, and a hub that asks it."""
    repository = Repository()
    repository.add(PLUG, custom=release())
    repository.publish()
    app = web.Application()
    app.router.add_get("/tuf/{name:.*}", repository.answer)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.05)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    port = runner.addresses[0][1]
    url = f"http://127.0.0.1:{port}/tuf"
    data = MappingProxyType({CONF_KIND: KIND_TUF, CONF_URL: url, CONF_ROOT: repository.first_root})
    subentry = ConfigSubentry(data=data, subentry_id=FEED, subentry_type=SUBENTRY_FEED, title="Makers", unique_id=url)
    home.hass.config_entries.async_add_subentry(home.entry, subentry)
    yield repository
    await runner.cleanup()


def feed(home: Home) -> FeedView:
    return next(item for item in home.hub.hub_view().feeds if item.feed_id == FEED)


def repairs(home: Home) -> list[str | None]:
    issues = ir.async_get(home.hass).issues.items()
    return [issue.translation_key for (domain, _), issue in issues if domain == DOMAIN and issue.active]


async def stored(home: Home) -> None:
    """Wait until what the repository said is written down."""
    async with asyncio.timeout(15):
        while FEED not in [row.feed_id for row in (await home.hub.store.async_load()).feeds]:  # noqa: ASYNC110
            await asyncio.sleep(0.01)


async def check(home: Home) -> None:
    await home.act("check")
    await home.hass.async_block_till_done()


async def test_a_target_is_offered_with_the_key_of_the_root(home: Home, repository: Repository) -> None:
    entity_id = await home.offered()
    assert home.state(entity_id).attributes["latest_version"] == "1.2.0"
    view = home.hub.device_view("open:plug-1")
    assert view is not None
    assert view.offer is not None
    assert (view.offer.feed_id, view.offer.key_id) == (FEED, repository.signers["root"][0].public_key.keyid)


async def test_nothing_new_is_no_news(home: Home, repository: Repository) -> None:
    await home.offered()
    before = feed(home)
    await check(home)
    await until(lambda: feed(home).fetched_at != before.fetched_at)
    assert (feed(home).releases, feed(home).last_error) == (before.releases, None)


async def test_an_attack_is_told_and_keeps_the_last_good_statement(home: Home, repository: Repository) -> None:
    old = repository.seen()
    repository.publish()
    entity_id = await home.offered()
    repository.files = old
    await check(home)
    await until(lambda: feed(home).last_error is Reason.ROLLBACK_DETECTED)
    assert home.state(entity_id).attributes["latest_version"] == "1.2.0"
    await until(lambda: repairs(home) == ["manifest_refused"])


async def test_an_outage_is_no_attack(home: Home, repository: Repository) -> None:
    await home.offered()
    repository.files.clear()
    await check(home)
    await until(lambda: feed(home).last_error is Reason.NOT_FOUND)
    assert feed(home).releases == 1


async def test_after_a_restart_what_was_fetched_is_verified_again_without_a_network(
    home: Home, repository: Repository
) -> None:
    await home.offered()
    await stored(home)
    repository.files.clear()
    await home.hass.config_entries.async_reload(home.entry.entry_id)
    await until(lambda: feed(home).releases == 1)


async def test_after_a_restart_what_was_changed_on_the_disk_is_not_believed(home: Home, repository: Repository) -> None:
    await home.offered()
    await stored(home)
    folder = Path(home.hass.config.path(".storage", f"{DOMAIN}.{home.entry.entry_id}.tuf"))
    assert await home.hass.config_entries.async_unload(home.entry.entry_id)
    (file,) = folder.glob("*/*/targets.json")
    file.write_bytes(file.read_bytes().replace(b"1.2.0", b"6.6.6"))
    repository.files.clear()
    assert await home.hass.config_entries.async_setup(home.entry.entry_id)
    await until(lambda: feed(home).last_error is Reason.NOT_FOUND)
    assert feed(home).releases == 0


async def test_a_hub_that_is_removed_leaves_nothing_of_a_repository(home: Home, repository: Repository) -> None:
    await home.offered()
    folder = Path(home.hass.config.path(".storage", f"{DOMAIN}.{home.entry.entry_id}.tuf"))
    assert folder.is_dir()
    await home.hass.config_entries.async_remove(home.entry.entry_id)
    await home.hass.async_block_till_done()
    assert not folder.exists()
