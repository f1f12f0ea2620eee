"""One thing that two families see is one device, and its own family has it, whoever speaks first."""

from __future__ import annotations

import itertools

import pytest

from custom_components.firmware_hub.core.effects import ListenTo
from custom_components.firmware_hub.core.hub import Hub
from custom_components.firmware_hub.core.inputs import LinkChanged
from custom_components.firmware_hub.core.model import Device
from custom_components.firmware_hub.core.records import Snapshot
from custom_components.firmware_hub.dialects import BY_NAME, DIALECTS
from custom_components.firmware_hub.dialects.base import Message
from tests.dialects.talk import fixture, message

from .builders import NIGHT

SEEN_BY = {
    "esphome": "acme_garage-1.2.0",
    "openbeken": "bk7231t-1.18.150",
    "openmqttgateway": "esp32dev_ble-1.8.0",
    "shelly": "plus_1-1.3.3",
    "shelly_gen1": "shelly_1-1.11.8",
    "tasmota": "sonoff_basic-14.5.0",
    "zigbee2mqtt": "ikea_led1545g12-2.14.1",
}


def heard(*messages: Message) -> Hub:
    """A hub that has heard these messages through every dialect, in the order of the list."""
    ids = itertools.count()
    hub = Hub({name: dialect.capabilities for name, dialect in BY_NAME.items()}, new_id=lambda: f"id-{next(ids)}")
    hub.restore(Snapshot(), NIGHT)
    hub.receive(LinkChanged(connected=True), NIGHT)
    for each in messages:
        for dialect in DIALECTS:
            for item in dialect.read(each, hub):
                hub.receive(item, NIGHT)
    return hub


def natively(family: str) -> tuple[Message, Device]:
    """A family's announcement, and the device that it makes."""
    announcement = fixture(family, SEEN_BY[family])[0]
    (device,) = heard(announcement).fleet.devices.values()
    return announcement, device


def generically(device: Device) -> list[Message]:
    """The same thing as Home Assistant is told of it."""
    name = device.id.partition(":")[2]
    bridged = {
        "uniq_id": f"{name}-fw",
        "stat_t": f"elsewhere/{name}",
        "cmd_t": f"elsewhere/{name}/install",
        "pl_inst": "INSTALL",
        "dev": {"ids": [f"bridge_{name}" if device.id.startswith("ieee:") else name], "mdl": "Anything"},
    }
    state = {"installed_version": "0.1.0", "latest_version": "99.0.0"}
    return [
        message("homeassistant/update/elsewhere/config", bridged, retained=True),
        message(f"elsewhere/{name}", state, retained=True),
    ]


@pytest.mark.parametrize("family", SEEN_BY)
@pytest.mark.parametrize("generic_first", [True, False])
def test_its_own_family_has_it_whoever_speaks_first(family: str, generic_first: bool) -> None:
    announcement, device = natively(family)
    generic = generically(device)
    hub = heard(*generic, announcement, *generic) if generic_first else heard(announcement, *generic)
    assert list(hub.fleet.devices) == [device.id]
    found = hub.fleet.devices[device.id]
    assert (found.dialect, found.version, found.channel) == (family, device.version, device.channel)
    assert hub.refused_messages == {}


def test_until_then_it_is_a_device_like_any_other() -> None:
    _, device = natively("tasmota")
    hub = heard(*generically(device))
    assert hub.fleet.devices[device.id].dialect == "ha_update"
    assert hub.fleet.devices[device.id].version == "0.1.0"


def test_it_is_listened_to_where_its_own_family_speaks() -> None:
    announcement, device = natively("tasmota")
    hub = heard(*generically(device))
    (item,) = BY_NAME["tasmota"].read(announcement, hub)
    assert ListenTo(device.id) in hub.receive(item, NIGHT)
