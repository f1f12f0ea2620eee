"""A whole house in one process: real Home Assistant core, real Mosquitto, real HTTP, simulated devices and vendor.

The limits on time are made short here, because waiting for the real ones proves nothing more; everything else is real.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

import pytest
from homeassistant.components import mqtt
from homeassistant.config_entries import ConfigEntryState, ConfigSubentryData
from homeassistant.core import Event, HomeAssistant, callback
from homeassistant.setup import async_setup_component
from pytest_homeassistant_custom_component.common import MockConfigEntry

from custom_components.firmware_hub.const import DOMAIN, EVENT_LIFECYCLE
from custom_components.firmware_hub.coordinator import FirmwareHubCoordinator
from custom_components.firmware_hub.core import install, limits
from custom_components.firmware_hub.core.inputs import ApproveRequested
from custom_components.firmware_hub.core.model import Install, InstallState
from custom_components.firmware_hub.core.view import DeviceView
from simulator.broker import Broker, free_port
from simulator.devices.base import SimulatedDevice
from simulator.devices.open import OpenDevice
from simulator.devices.zigbee2mqtt import ZigbeeDevice
from simulator.images import Image
from simulator.link import OwnLink
from simulator.tap import BrokerTap
from simulator.vendor import Vendor

OLD, NEW, MAKER = "1.0.0", "1.1.0", "Acme"
WHOLE_DAY = {"window_start": "00:00:00", "window_end": "00:00:00"}


@dataclass
class House:
    """What a test of a night works with."""

    hass: HomeAssistant
    broker: Broker
    tap: BrokerTap
    vendor: Vendor
    mqtt_entry: MockConfigEntry
    entry: MockConfigEntry
    stack: AsyncExitStack
    devices: dict[str, SimulatedDevice] = field(default_factory=dict)
    events: list[dict[str, Any]] = field(default_factory=list)

    @property
    def coordinator(self) -> FirmwareHubCoordinator:
        """The hub as it runs now; another one after each reload."""
        coordinator: FirmwareHubCoordinator = self.entry.runtime_data
        return coordinator

    async def open_device(self, name: str, model: str = "PLUG-S1", **options: Any) -> OpenDevice:
        """Switch on a device, and return when the hub knows it."""
        mac = f"02:00:00:00:00:{len(self.devices) + 1:02X}"
        device = OpenDevice(
            name=name,
            mac=mac,
            image=Image(MAKER, model, OLD, hardware="rev2"),
            link=self.link(),
            speed=options.pop("speed", 40.0),
            **options,
        )
        await self.switch_on(device)
        return device

    async def switch_on(self, device: SimulatedDevice) -> None:
        """Switch on a device of any family, and return when the hub knows it."""
        self.stack.push_async_callback(device.stop)
        self.devices[device.name] = device
        await device.start()
        await self.until(lambda: self.coordinator.device_view(self.device_id(device.name)) is not None)

    def link(self) -> OwnLink:
        """Return a way to the broker for one more device."""
        return OwnLink(self.broker.host, self.broker.port)

    def device_id(self, name: str) -> str:
        """Return the hub's name for a device."""
        device = self.devices[name]
        if isinstance(device, ZigbeeDevice):
            return f"ieee:{device.ieee}"
        return f"mac:{device.mac.replace(':', '')}"

    def view(self, name: str) -> DeviceView:
        """Return what the hub shows of a device."""
        view = self.coordinator.device_view(self.device_id(name))
        assert view is not None
        return view

    def install(self, name: str) -> Install | None:
        """Return the current install of a device, else its last."""
        view = self.view(name)
        return view.install or view.last

    async def approve(self, name: str) -> None:
        """Say yes, once there is an offer."""
        await self.until(lambda: self.view(name).offer is not None)
        await self.coordinator.async_ask(ApproveRequested(self.device_id(name), "test"))

    async def verdict(self, name: str, seconds: float = 30) -> Install:
        """Wait for the end of a device's install."""
        await self.until(lambda: (last := self.install(name)) is not None and last.state.is_end, seconds)
        install = self.install(name)
        assert install is not None
        return install

    async def reaches(self, name: str, state: InstallState, seconds: float = 20) -> None:
        """Wait until a device's install was in a state."""
        await self.until(lambda: (now := self.install(name)) is not None and now.state is state, seconds)

    async def until(self, fact: Callable[[], object], seconds: float = 20) -> None:
        """Wait for a fact by looking at each turn of the loop: it may be true for one turn only."""
        try:
            async with asyncio.timeout(seconds):
                while not fact():  # noqa: ASYNC110 - a state may last for one turn of the loop
                    await asyncio.sleep(0)
        except TimeoutError:
            known = [self.install(name) for name in self.devices]
            told = [(one.state.value, one.reason, one.attempt, one.deadline) for one in known if one is not None]
            raise TimeoutError(f"not within {seconds} s: {told}, {self.coordinator.hub_view()}") from None

    async def commands(self, name: str) -> int:
        """Count the install commands that the broker saw for a device."""
        await self.tap.settle()
        return len(self.tap.install_commands(name))


@pytest.fixture
def short_limits(monkeypatch: pytest.MonkeyPatch) -> None:
    """Make waiting short."""
    for name, seconds in {
        "PREFLIGHT_TIMEOUT": 1,
        "SILENT_RETRY": 1,
        "VERIFY_SETTLE": 0.3,
        "VERIFY_DEADLINE": 6,
        "COMMIT_RETRY": 0.3,
        "ROLLBACK_DEADLINE": 4,
        "RESTART_GRACE": 1.5,
        "RETRY_DELAY": 1,
        "QUERY_SPACING": 0.2,
        "STRANGER_AGAIN": 0.3,
        "TICK": 1,
    }.items():
        monkeypatch.setattr(limits, name, timedelta(seconds=seconds))
    # An install is expected to take a minute at least, and its command has twice that: two seconds of it will do here.
    monkeypatch.setattr(install.Context, "command_time", timedelta(seconds=4))
    monkeypatch.setattr(install.Context, "answer_time", timedelta(seconds=1.5))
    monkeypatch.setattr(limits, "FETCH_RETRY", (timedelta(seconds=0.5), timedelta(seconds=0.5)))


@pytest.fixture
def expected_lingering_timers() -> bool:
    """Home Assistant's own MQTT client leaves a timer behind when the test ends while it is connected."""
    return True


@pytest.fixture
def mqtt_options() -> dict[str, Any]:
    """How Home Assistant's own MQTT is set up: it shows nothing of what devices announce, unless a test wants that."""
    return {"birth_message": {}, "discovery": False}


@pytest.fixture
async def house(
    hass: HomeAssistant,
    enable_custom_integrations: None,
    mock_hass_config: None,
    socket_enabled: None,
    short_limits: None,
    mqtt_options: dict[str, Any],
) -> AsyncIterator[House]:
    """Build the house, with a window that is open all day."""
    async with AsyncExitStack() as stack:
        broker = stack.enter_context(Broker())
        tap = await stack.enter_async_context(broker.tap())
        vendor = await stack.enter_async_context(Vendor(MAKER))
        mqtt_entry = MockConfigEntry(
            domain="mqtt",
            data={"broker": broker.host, "port": broker.port, "protocol": "5"},
            options=mqtt_options,
            version=mqtt.CONFIG_ENTRY_VERSION,
            minor_version=mqtt.CONFIG_ENTRY_MINOR_VERSION,
        )
        mqtt_entry.add_to_hass(hass)
        assert await hass.config_entries.async_setup(mqtt_entry.entry_id)
        assert await async_setup_component(hass, "homeassistant", {})
        entry = MockConfigEntry(
            domain=DOMAIN,
            title="Firmware Hub",
            data={"transport": "ha_mqtt"},
            options={
                **WHOLE_DAY,
                "parallel_installs": 5,
                "settle_minutes": 0,
                "serving": {"address": "127.0.0.1", "port": free_port()},
                "public_sources": {
                    "tasmota_enabled": False,
                    "shelly_mirror": vendor.shelly_url,
                    "shelly_gen1_mirror": vendor.shelly_gen1_url,
                    "zigbee_ota_mirror": vendor.zigbee_url,
                },
            },
            subentries_data=[
                ConfigSubentryData(
                    data={"url": vendor.manifest_url, "vendor": MAKER, "keys": [vendor.public_jwk]},
                    subentry_type="feed",
                    title=MAKER,
                    unique_id=None,
                )
            ],
        )
        house = House(hass, broker, tap, vendor, mqtt_entry, entry, stack)

        @callback
        def heard(event: Event) -> None:
            house.events.append(dict(event.data))

        hass.bus.async_listen(EVENT_LIFECYCLE, heard)
        for model in ("PLUG-S1", "LIGHT-D2"):
            dual = model == "LIGHT-D2"
            vendor.add_release(Image(MAKER, model, NEW, hardware="rev2"), dual_bank=dual, install_minutes=1)
        entry.add_to_hass(hass)
        assert await hass.config_entries.async_setup(entry.entry_id)
        await house.until(lambda: mqtt.is_connected(hass))
        yield house
        for one in (entry, mqtt_entry):
            if one.state is ConfigEntryState.LOADED:
                await hass.config_entries.async_unload(one.entry_id)
