"""A home by day, a home by night, and the people who live there."""

from collections.abc import AsyncIterator
from unittest.mock import MagicMock

import pytest
from homeassistant.config_entries import ConfigSubentryDataWithId
from homeassistant.core import HomeAssistant
from pytest_homeassistant_custom_component.common import MockConfigEntry

from custom_components.firmware_hub.const import (
    CONF_ADDRESS,
    CONF_KEYS,
    CONF_PORT,
    CONF_PUBLIC_SOURCES,
    CONF_SERVING,
    CONF_TRANSPORT,
    CONF_URL,
    CONF_VENDOR,
    DOMAIN,
    SUBENTRY_FEED,
    TRANSPORT_HA_MQTT,
)
from simulator.broker import free_port
from simulator.vendor import Vendor
from tests.ha.home import NOWHERE, Home, zone_where_it_is


@pytest.fixture(autouse=True)
def _hub_is_found(enable_custom_integrations: None) -> None:
    """Let Home Assistant see the integration."""


@pytest.fixture
def expected_lingering_timers() -> bool:
    """The harness's MQTT client leaves a timer behind."""
    return True


@pytest.fixture
async def vendor(socket_enabled: None) -> AsyncIterator[Vendor]:
    """A vendor that signs, on this machine."""
    async with Vendor() as running:
        yield running


@pytest.fixture
def entry(vendor: Vendor) -> MockConfigEntry:
    """An entry with the vendor's feed, and with no way to the internet."""
    feed = ConfigSubentryDataWithId(
        data={CONF_URL: vendor.manifest_url, CONF_VENDOR: vendor.name, CONF_KEYS: [vendor.public_jwk]},
        subentry_type=SUBENTRY_FEED,
        subentry_id="feed1",
        title="Acme feed",
        unique_id=vendor.manifest_url,
    )
    return MockConfigEntry(
        domain=DOMAIN,
        title="Firmware Hub",
        data={CONF_TRANSPORT: TRANSPORT_HA_MQTT},
        options={
            CONF_PUBLIC_SOURCES: {"tasmota_enabled": True, "tasmota_mirror": NOWHERE},
            CONF_SERVING: {CONF_ADDRESS: "127.0.0.1", CONF_PORT: free_port()},
        },
        subentries_data=[feed],
        unique_id=TRANSPORT_HA_MQTT,
    )


async def _home(hass: HomeAssistant, entry: MockConfigEntry, vendor: Vendor, mqtt: MagicMock, hour: int) -> Home:
    await hass.config.async_set_time_zone(zone_where_it_is(hour))
    home = Home(hass, entry, vendor, mqtt)
    entry.add_to_hass(hass)
    await home.set_up()
    return home


@pytest.fixture
async def home(hass: HomeAssistant, mqtt_mock: MagicMock, entry: MockConfigEntry, vendor: Vendor) -> Home:
    """A home at noon: approvals wait."""
    return await _home(hass, entry, vendor, mqtt_mock, 12)


@pytest.fixture
async def night(hass: HomeAssistant, mqtt_mock: MagicMock, entry: MockConfigEntry, vendor: Vendor) -> Home:
    """A home after one in the night: what is approved starts."""
    return await _home(hass, entry, vendor, mqtt_mock, 1)
