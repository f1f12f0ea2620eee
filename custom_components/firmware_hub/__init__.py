"""Firmware Hub: keeps the firmware of the home's MQTT devices current, by approval, at night, and with proof."""

from __future__ import annotations

import logging
import shutil
from functools import partial
from pathlib import Path
from typing import Final

from homeassistant.config_entries import ConfigEntryState
from homeassistant.const import EVENT_CORE_CONFIG_UPDATE, EVENT_HOMEASSISTANT_FINAL_WRITE, EVENT_HOMEASSISTANT_STOP
from homeassistant.core import Event, HomeAssistant
from homeassistant.exceptions import ConfigEntryNotReady
from homeassistant.helpers import config_validation as cv, device_registry as dr
from homeassistant.helpers.aiohttp_client import async_get_clientsession
from homeassistant.helpers.storage import STORAGE_DIR
from homeassistant.helpers.typing import ConfigType
from homeassistant.util.hass_dict import HassKey

from . import issues, services
from .artifact_server import async_get_server, async_remove_server
from .backup import is_backup_running
from .config_values import broker_address, feeds_from_entry, serving_address, settings_from_entry
from .const import CONF_TRANSPORT, DOMAIN, PLATFORMS, TRANSPORT_HA_MQTT
from .coordinator import FirmwareHubConfigEntry, FirmwareHubCoordinator
from .core import inputs as i
from .core.effects import IssueKind, RaiseIssue, Severity
from .core.errors import OutsideFailed, Reason
from .device_link import own_device_id
from .download import Downloader
from .executor import Outside
from .store import Store
from .transport.base import Transport
from .transport.broker import BrokerTransport
from .transport.ha_mqtt import HaMqttTransport, async_is_set_up

_LOGGER = logging.getLogger(__name__)
_CACHE_BYTES: Final = 1 << 30
_DOWNLOADER: HassKey[Downloader] = HassKey(f"{DOMAIN}_downloader")

CONFIG_SCHEMA = cv.config_entry_only_config_schema(DOMAIN)


async def async_setup(hass: HomeAssistant, _config: ConfigType) -> bool:
    """Register the actions."""
    services.async_setup_services(hass)
    return True


async def async_setup_entry(hass: HomeAssistant, entry: FirmwareHubConfigEntry) -> bool:
    """Build the parts, wire them, start."""
    if entry.data[CONF_TRANSPORT] == TRANSPORT_HA_MQTT and not await async_is_set_up(hass):
        raise ConfigEntryNotReady(translation_domain=DOMAIN, translation_key="mqtt_unavailable")
    transport = _transport(hass, entry)
    store = await _async_open_store(hass, entry)
    entry.async_on_unload(store.async_close)
    server = async_get_server(hass)
    server.set_port(serving_address(entry)[1], entry.entry_id)
    coordinator = FirmwareHubCoordinator(hass, entry, Outside(store, transport, _downloader(hass), server))
    entry.runtime_data = coordinator
    entry.async_on_unload(coordinator.async_stop)
    await coordinator.async_restore(
        await store.async_load(),
        i.SettingsChanged(settings_from_entry(hass, entry)),
        i.FeedsChanged(feeds_from_entry(entry)),
    )
    await hass.config_entries.async_forward_entry_setups(entry, PLATFORMS)
    try:
        await coordinator.async_start()
    except OutsideFailed as failed:
        await hass.config_entries.async_unload_platforms(entry, PLATFORMS)
        key = "certificate_unusable" if failed.reason is Reason.TLS_FAILED else "mqtt_unavailable"
        raise ConfigEntryNotReady(translation_domain=DOMAIN, translation_key=key) from failed
    connection = dict(entry.data)

    async def changed(hass: HomeAssistant, entry: FirmwareHubConfigEntry) -> None:
        if entry.data == connection:
            await _async_settings_changed(hass, entry)
        else:
            hass.config_entries.async_schedule_reload(entry.entry_id)

    entry.async_on_unload(entry.add_update_listener(changed))

    async def zone_changed(_event: Event) -> None:
        await _async_settings_changed(hass, entry)

    async def last_write(_event: Event) -> None:
        await coordinator.async_stop()
        await store.async_close()

    entry.async_on_unload(hass.bus.async_listen(EVENT_CORE_CONFIG_UPDATE, zone_changed))
    entry.async_on_unload(hass.bus.async_listen_once(EVENT_HOMEASSISTANT_FINAL_WRITE, last_write))
    return True


async def async_unload_entry(hass: HomeAssistant, entry: FirmwareHubConfigEntry) -> bool:
    """Take the platforms down; what runs on devices goes on, and is found again at the next start."""
    # While nobody listens, nobody would hear that the topic is clear.
    issues.clear_all(hass, entry, (IssueKind.LASTING_COMMAND,))
    return await hass.config_entries.async_unload_platforms(entry, PLATFORMS)


async def async_remove_entry(hass: HomeAssistant, entry: FirmwareHubConfigEntry) -> None:
    """Delete the hub's memory and its repairs, and with the last hub what they shared."""
    issues.clear_all(hass, entry)
    await async_get_server(hass).async_forget(entry.entry_id)
    await hass.async_add_executor_job(_remove_store, _store_path(hass, entry))
    if not hass.config_entries.async_entries(DOMAIN):
        await async_remove_server(hass)
        hass.data.pop(_DOWNLOADER, None)
        await hass.async_add_executor_job(partial(shutil.rmtree, hass.config.cache_path(DOMAIN), ignore_errors=True))


async def async_remove_config_entry_device(
    _hass: HomeAssistant, entry: FirmwareHubConfigEntry, device: dr.DeviceEntry
) -> bool:
    """Let a person remove one of our own devices; it comes back when it announces itself again."""
    device_id = own_device_id(device)
    if device_id is None or entry.state is not ConfigEntryState.LOADED:
        return False
    if entry.runtime_data.hub.get(device_id) is not None:
        await entry.runtime_data.async_ask(i.ForgetRequested(device_id, "device_removed"))
    return True


async def _async_settings_changed(hass: HomeAssistant, entry: FirmwareHubConfigEntry) -> None:
    """Apply options, feeds and the time zone in place: a reload in the middle of an install would help nobody."""
    async_get_server(hass).set_port(serving_address(entry)[1], entry.entry_id)
    entry.runtime_data.send(i.SettingsChanged(settings_from_entry(hass, entry)))
    entry.runtime_data.send(i.FeedsChanged(feeds_from_entry(entry)))


def _downloader(hass: HomeAssistant) -> Downloader:
    """Return the one downloader of all hubs: what one of them installs, no other one may drop from the cache."""
    if _DOWNLOADER not in hass.data:
        folder = Path(hass.config.cache_path(DOMAIN))
        hass.data[_DOWNLOADER] = Downloader(
            async_get_clientsession(hass), folder, _CACHE_BYTES, hass.async_add_executor_job
        )
    return hass.data[_DOWNLOADER]


def _transport(hass: HomeAssistant, entry: FirmwareHubConfigEntry) -> Transport:
    """Return the way to the entry's broker."""
    if entry.data[CONF_TRANSPORT] == TRANSPORT_HA_MQTT:
        return HaMqttTransport(hass)
    transport = BrokerTransport(
        broker_address(entry.data),
        f"{DOMAIN}-{entry.entry_id}",
        hass.async_add_executor_job,
        lambda: entry.async_start_reauth(hass),
    )

    async def say_goodbye(_event: Event) -> None:
        await transport.async_stop()

    entry.async_on_unload(hass.bus.async_listen_once(EVENT_HOMEASSISTANT_STOP, say_goodbye))
    return transport


async def _async_open_store(hass: HomeAssistant, entry: FirmwareHubConfigEntry) -> Store:
    """Open the hub's memory. One that cannot be read is kept aside and told, never silently replaced."""
    path = _store_path(hass, entry)
    try:
        return await Store.async_open(path, held=is_backup_running(hass))
    except OutsideFailed as failed:
        if failed.reason is not Reason.STORE_UNREADABLE:
            raise ConfigEntryNotReady(translation_domain=DOMAIN, translation_key=failed.reason.value) from failed
        _LOGGER.warning("The memory of %s could not be read and was kept aside: %s", entry.title, failed.detail)
        values = {"path": failed.detail}
        issue = RaiseIssue(IssueKind.STORE_REPLACED, "", Severity.CRITICAL, True, failed.reason, values)
        issues.raise_issue(hass, entry, issue)
    return await Store.async_open(path, replace_unreadable=True, held=is_backup_running(hass))


def _store_path(hass: HomeAssistant, entry: FirmwareHubConfigEntry) -> Path:
    return Path(hass.config.path(STORAGE_DIR, f"{DOMAIN}.{entry.entry_id}.db"))


def _remove_store(path: Path) -> None:
    for suffix in ("", "-wal", "-shm"):
        path.with_name(path.name + suffix).unlink(missing_ok=True)
    # What the clients of TUF repositories verified.
    shutil.rmtree(path.with_suffix(".tuf"), ignore_errors=True)
