"""Home Assistant makes a backup while the hub works."""

import asyncio
import io
import tarfile
from pathlib import Path

import pytest
from homeassistant.components.backup.const import DATA_MANAGER
from homeassistant.components.backup.manager import BackupManager
from homeassistant.core import HomeAssistant
from homeassistant.setup import async_setup_component

from custom_components.firmware_hub.backup import async_post_backup, async_pre_backup, is_backup_running
from custom_components.firmware_hub.const import DOMAIN
from custom_components.firmware_hub.core.effects import Save
from custom_components.firmware_hub.store import Store
from tests.ha.home import Home


@pytest.fixture
async def manager(hass: HomeAssistant, home: Home) -> BackupManager:
    """Home Assistant's own, which has found the hub's hooks."""
    assert await async_setup_component(hass, "backup", {})
    await hass.async_block_till_done()
    manager = hass.data[DATA_MANAGER]
    assert DOMAIN in manager.platforms
    return manager


def _unpack(archive: Path, to: Path) -> Path:
    """Unpack the hub's files; the configuration is an archive within the archive."""
    with tarfile.open(archive) as outer:
        (name,) = [one for one in outer.getnames() if "homeassistant.tar" in one]
        inner = outer.extractfile(name)
        assert inner is not None
        with tarfile.open(fileobj=io.BytesIO(inner.read())) as whole:
            ours = [one for one in whole.getmembers() if f".storage/{DOMAIN}." in one.name]
            whole.extractall(to, ours, filter="data")
    (database,) = to.rglob("*.db")
    return database


async def test_the_archive_holds_what_the_hub_knows(
    hass: HomeAssistant, home: Home, manager: BackupManager, tmp_path: Path
) -> None:
    await home.find("plug-1")
    await manager.async_create_backup(
        agent_ids=["backup.local"],
        include_addons=None,
        include_all_addons=False,
        include_database=True,
        include_folders=None,
        include_homeassistant=True,
        name="night",
        password=None,
    )
    (archive,) = await asyncio.to_thread(lambda: list(Path(hass.config.path("backups")).glob("*.tar")))
    store = await Store.async_open(await asyncio.to_thread(_unpack, archive, tmp_path / "copy"))
    snapshot = await store.async_load()
    await store.async_close()
    assert [device.id for device in snapshot.devices] == ["open:plug-1"]
    assert not is_backup_running(hass)


async def test_while_a_backup_is_made_the_file_stands_still_and_the_hub_works(
    hass: HomeAssistant, home: Home, manager: BackupManager
) -> None:
    await home.find("plug-1")
    await manager.async_pre_backup_actions()
    before = await asyncio.to_thread(home.hub.store.path.read_bytes)
    await home.find("plug-2")
    assert await asyncio.to_thread(home.hub.store.path.read_bytes) == before
    await manager.async_post_backup_actions()


async def test_a_reload_in_the_middle_of_it_leaves_the_file_alone_too(
    hass: HomeAssistant, home: Home, manager: BackupManager
) -> None:
    await home.find("plug-1")
    path = home.hub.store.path
    await manager.async_pre_backup_actions()
    before = await asyncio.to_thread(path.read_bytes)
    assert await hass.config_entries.async_reload(home.entry.entry_id)
    # More than SQLite's own thousand pages, after which it would tidy up by itself.
    await home.hub.store.async_save(Save(meta={"while a backup runs": "x" * 5_000_000}))
    await home.hub.store.async_save(Save(meta={"while a backup runs": ""}))
    assert await asyncio.to_thread(path.read_bytes) == before
    await manager.async_post_backup_actions()
    assert home.hub.hub.get("open:plug-1") is not None


async def test_a_hook_never_stops_a_backup(hass: HomeAssistant, home: Home, caplog: pytest.LogCaptureFixture) -> None:
    await home.hub.store.async_close()
    await async_pre_backup(hass)
    assert "may miss the last changes" in caplog.text
    await async_post_backup(hass)


async def test_without_a_loaded_hub_there_is_nothing_to_do(hass: HomeAssistant) -> None:
    await async_pre_backup(hass)
    assert is_backup_running(hass)
    await async_post_backup(hass)
    assert not is_backup_running(hass)
