"""Orders to install that somebody left lying on the broker: what is found, what is not, in every family."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given, strategies as st

from custom_components.firmware_hub.core.fleet import Fleet
from custom_components.firmware_hub.core.inputs import LastingOrderSeen
from custom_components.firmware_hub.core.lasting import LastingOrders
from custom_components.firmware_hub.dialects import BY_NAME, DIALECTS
from custom_components.firmware_hub.dialects.base import Dialect, Message

from .talk import every_fixture, matches
from .test_every_dialect import install_order, known, the_device

FAMILIES = [pytest.param(dialect, id=dialect.name) for dialect in DIALECTS]
LISTENED = [pytest.param(dialect, id=dialect.name) for dialect in DIALECTS if dialect.order_filters]
SAID = [told for each in DIALECTS for told in every_fixture(each.name) if "/bridge/request/" not in told.topic]
"""Everything in the fixtures but requests to bridges, which stand there for what follows."""

GATEWAY_ORDERS = "commands/MQTTtoSYS/firmware_update"
FOUND = [
    ("open", "fwhub/device/plug-1/command", '{"command":"install","url":"http://x/"}', "install"),
    ("open", "fwhub/device/plug-1/command", '{"command":"commit"}', "commit"),
    ("open", "fwhub/device/plug-1/command", '{"command":"rollback"}', "rollback"),
    ("tasmota", "cmnd/plug/Upgrade", "1", "Upgrade"),
    ("tasmota", "cmnd/plug/UPGRADE", "1", "Upgrade"),
    ("tasmota", "plug/cmnd/upgrade", "14.5.0", "Upgrade"),
    ("tasmota", "plug/cmnd/Upload", "1", "Upload"),
    ("tasmota", "cmnd/plug/OtaUrl", "http://x/t.bin", "OtaUrl"),
    ("tasmota", "cmnd/plug/Backlog", "Power 1; otaurl http://x/;Upgrade 1", "Backlog OtaUrl"),
    ("tasmota", "cmnd/plug/Backlog0", "UPGRADE 1", "Backlog Upgrade"),
    ("shelly", "shellyplus1-a8032abe1234/rpc", '{"id":1,"method":"Shelly.Update"}', "Shelly.Update"),
    ("shelly", "kitchen/rpc", '{"id":1,"method":"shelly.update","params":{"stage":"beta"}}', "Shelly.Update"),
    ("shelly_gen1", "shellies/shelly1-A4CF12/command", "update_fw", "update_fw"),
    ("zigbee2mqtt", "zigbee2mqtt/bridge/request/device/ota_update/update", "bulb", "ota_update/update"),
    ("zigbee2mqtt", "home/zigbee/bridge/request/device/ota_update/schedule", '{"id":"x"}', "ota_update/schedule"),
    ("zigbee2mqtt", "z/bridge/request/device/ota_update/update/downgrade", "bulb", "ota_update/update/downgrade"),
    ("esphome", "garage/update/firmware/command", "INSTALL", "INSTALL"),
    ("esphome", "home/garage/update/firmware/command", "INSTALL", "INSTALL"),
    ("openbeken", "cmnd/obk1/ota_http", "http://x/OpenBK7231T.rbl", "ota_http"),
    ("openbeken", "cmnd/obk1/OTA_HTTP", "http://x/OpenBK7231T.rbl", "ota_http"),
    ("openbeken", "cmnd/obk1/backlog", "setChannel 1 1; OTA_http http://x/a.rbl", "Backlog ota_http"),
    ("openmqttgateway", f"home/gate/{GATEWAY_ORDERS}", '{"version":"latest"}', "firmware_update"),
    (
        "openmqttgateway",
        f"home/gate/{GATEWAY_ORDERS}",
        '{"version":"test","password":"secret","url":"http://x/a.bin"}',
        "firmware_update",
    ),
]
TO_ALL = [
    ("tasmota", "cmnd/tasmotas/Upgrade", "1"),
    ("tasmota", "sonoffs/cmnd/Upgrade", "1"),
    ("shelly_gen1", "shellies/command", "update_fw"),
    ("openbeken", "cmnd/bekens_n/ota_http", "http://x/OpenBK7231N.rbl"),
]
HARMLESS = [
    ("open", "fwhub/device/plug-1/command", '{"command":"report"}'),
    ("open", "fwhub/device/plug-1/command", "install"),
    ("open", "fwhub/device/plug-1/info", '{"command":"install"}'),
    ("open", "elsewhere/plug-1/command", '{"command":"install"}'),
    ("tasmota", "cmnd/plug/Upgrade", " "),
    ("tasmota", "cmnd/plug/POWER", "Upgrade 1"),
    ("tasmota", "cmnd/plug/Backlog", "Power 1; Rule1 upgrade"),
    ("tasmota", "stat/plug/Upgrade", "1"),
    ("tasmota", "plug/cmnd", "Upgrade 1"),
    ("shelly", "shellyplus1-a8032abe1234/rpc", '{"id":1,"method":"Switch.Set"}'),
    ("shelly", "shellyplus1-a8032abe1234/rpc", "Shelly.Update"),
    ("shelly", "shellyplus1-a8032abe1234/rpc", '{"method":{}}'),
    ("shelly", "shellyplus1-a8032abe1234/events", '{"id":1,"method":"Shelly.Update"}'),
    ("shelly_gen1", "shellies/shelly1-A4CF12/command", "update"),
    ("shelly_gen1", "elsewhere/command", "update_fw"),
    ("zigbee2mqtt", "zigbee2mqtt/bridge/request/device/ota_update/check", "bulb"),
    ("zigbee2mqtt", "zigbee2mqtt/bridge/request/device/ota_update/update", ""),
    ("zigbee2mqtt", "zigbee2mqtt/bridge/response/device/ota_update/update", "bulb"),
    ("zigbee2mqtt", "$x/bridge/request/device/ota_update/update", "bulb"),
    ("esphome", "garage/update/firmware/command", "install"),
    ("esphome", "garage/update/firmware/state", "INSTALL"),
    ("esphome", "garage/switch/relay/command", "INSTALL"),
    ("openbeken", "cmnd/obk1/ota_http", " "),
    ("openbeken", "cmnd/obk1/STATUS", "ota_http http://x/"),
    ("openbeken", "cmnd/obk1/backlog", "echo ota_http http://x/"),
    ("openbeken", "stat/obk1/ota_http", "http://x/"),
    ("openmqttgateway", f"home/gate/{GATEWAY_ORDERS}", "latest"),
    ("openmqttgateway", f"home/gate/{GATEWAY_ORDERS}", '{"url":"http://x/a.bin"}'),
    ("openmqttgateway", f"gate/{GATEWAY_ORDERS}", '{"version":"latest"}'),
    ("openmqttgateway", "home/gate/commands/MQTTtoSYS/config", '{"version":"latest"}'),
    ("openmqttgateway", "home/gate/RLStoMQTT", '{"version":"latest"}'),
]


def kept(topic: str, payload: str | bytes) -> Message:
    return Message(topic, payload, retained=True)


@pytest.mark.parametrize(("name", "topic", "payload", "what"), FOUND)
def test_an_order_is_found_and_named_in_the_familys_word(name: str, topic: str, payload: str, what: str) -> None:
    found = LastingOrderSeen(name, topic, what, empty_asks=name == "tasmota")
    assert BY_NAME[name].lasting_order(kept(topic, payload), Fleet()) == found
    assert BY_NAME[name].lasting_order(kept(topic, payload.encode()), Fleet()) == found


@pytest.mark.parametrize(("name", "topic", "payload"), TO_ALL)
def test_an_order_to_all_is_one_to_all(name: str, topic: str, payload: str) -> None:
    found = BY_NAME[name].lasting_order(kept(topic, payload), Fleet())
    assert found is not None
    assert found.to_all


@pytest.mark.parametrize(("name", "topic", "payload"), HARMLESS)
def test_what_installs_nothing_is_no_order(name: str, topic: str, payload: str) -> None:
    assert BY_NAME[name].lasting_order(kept(topic, payload), Fleet()) is None


@pytest.mark.parametrize(("name", "topic"), [*[each[:2] for each in FOUND], *[each[:2] for each in TO_ALL]])
def test_what_can_be_found_is_listened_for(name: str, topic: str) -> None:
    dialect = BY_NAME[name]
    assert any(matches(wanted, topic) for wanted in dialect.order_filters)


@pytest.mark.parametrize("dialect", LISTENED)
def test_the_order_that_the_hub_itself_gives_would_be_found(dialect: Dialect) -> None:
    device = the_device(dialect)
    (command,) = dialect.install(install_order(dialect, device))
    assert any(matches(wanted, command.topic) for wanted in dialect.order_filters)
    found = dialect.lasting_order(kept(command.topic, command.payload), Fleet())
    assert found is not None
    assert found.topic.startswith(device.channel["command"])


@pytest.mark.parametrize("dialect", FAMILIES)
def test_wherever_the_hub_orders_an_install_an_order_that_was_left_is_found(dialect: Dialect) -> None:
    device = the_device(dialect)
    (command,) = dialect.install(install_order(dialect, device))
    listened = (*dialect.order_filters, *dialect.filters_for(device))
    assert any(matches(wanted, command.topic) for wanted in listened)
    orders = LastingOrders()
    found = dialect.lasting_order(kept(command.topic, command.payload), known(dialect))
    assert found is not None
    assert orders.put(found)
    assert orders.over(device) == command.topic


@pytest.mark.parametrize("dialect", FAMILIES)
def test_filters_are_few_and_name_a_place(dialect: Dialect) -> None:
    assert len(dialect.order_filters) <= 2
    for name in dialect.order_filters:
        levels = name.removesuffix("/#").split("/")
        assert all("#" not in level and ("+" not in level or level == "+") for level in levels)
        assert any(level != "+" for level in levels)


@pytest.mark.parametrize("dialect", FAMILIES)
def test_nothing_that_devices_say_comes_by_twice(dialect: Dialect) -> None:
    for told in SAID:
        assert not any(matches(name, told.topic) for name in dialect.order_filters)


@pytest.mark.parametrize("dialect", FAMILIES)
def test_nothing_that_devices_say_is_taken_for_an_order(dialect: Dialect) -> None:
    for told in SAID:
        assert dialect.lasting_order(replace(told, retained=True), Fleet()) is None


@pytest.mark.parametrize("dialect", LISTENED)
@given(payload=st.one_of(st.binary(max_size=200), st.text(max_size=200)))
def test_whatever_lies_there_breaks_nothing(dialect: Dialect, payload: str | bytes) -> None:
    for name in dialect.order_filters:
        found = dialect.lasting_order(kept(name.replace("+", "x").replace("#", "update"), payload), Fleet())
        assert found is None or len(found.what) <= 40
