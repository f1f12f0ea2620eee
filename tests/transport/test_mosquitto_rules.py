"""The access control file that we recommend, in a real Mosquitto: who may order an update, and who still works."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import aiomqtt
import pytest

from custom_components.firmware_hub.dialects import BY_NAME
from simulator.broker import HOST, Broker, BrokerTap
from simulator.link import ROUND_TRIP

RULES = Path(__file__).parents[2] / "docs" / "mosquitto.acl"
USERS = (
    *("homeassistant", "zigbee2mqtt", "tasmota", "shelly", "esphome", "openbeken", "openmqttgateway", "gateway"),
    *("nodered", "plug-1", "plug-2"),
)

ORDERS_OF = {
    "open": ("fwhub/device/plug-1/command",),
    "tasmota": ("cmnd/tasmota_A1B2C3/Upgrade", "cmnd/tasmota_A1B2C3/OtaUrl", "cmnd/tasmota_A1B2C3/Backlog"),
    "zigbee2mqtt": ("zigbee2mqtt/bridge/request/device/ota_update/update",),
    "shelly": ("shellyplus1-a8032abe1234/rpc",),
    "shelly_gen1": ("shellies/shelly1-A4CF12/command", "shellies/command"),
    "esphome": ("garage/update/firmware/command",),
    "openbeken": ("cmnd/obk1/ota_http",),
    "openmqttgateway": ("home/gate/commands/MQTTtoSYS/firmware_update",),
    "ha_update": ("gateway/7f/install",),
}
ORDERS = tuple(topic for topics in ORDERS_OF.values() for topic in topics)
DAILY_WORK = (
    ("plug-1", "fwhub/device/plug-1/info"),
    ("plug-1", "fwhub/device/plug-1/status"),
    ("tasmota", "tele/tasmota_A1B2C3/LWT"),
    ("tasmota", "stat/tasmota_A1B2C3/STATUS2"),
    ("tasmota", "tasmota/discovery/8CAAB5A1B2C3/config"),
    ("zigbee2mqtt", "zigbee2mqtt/bridge/devices"),
    ("zigbee2mqtt", "homeassistant/light/lamp/config"),
    ("shelly", "shellyplus1-a8032abe1234/online"),
    ("shelly", "fwhub/shelly/shellyplus1-a8032abe1234/rpc"),
    ("shelly", "shellies/announce"),
    ("esphome", "esphome/discover/garage"),
    ("esphome", "homeassistant/update/garage/firmware/config"),
    ("esphome", "garage/status"),
    ("esphome", "garage/update/firmware/state"),
    ("openbeken", "stat/obk1/STATUS"),
    ("openbeken", "obk1/connected"),
    ("openbeken", "obk1/build"),
    ("openmqttgateway", "home/gate/SYStoMQTT"),
    ("openmqttgateway", "home/gate/LWT"),
    ("openmqttgateway", "home/gate/RLStoMQTT"),
    ("openmqttgateway", "homeassistant/update/gate/config"),
    ("gateway", "homeassistant/device/gate/config"),
    ("gateway", "gateway/7f/state"),
    ("nodered", "cmnd/tasmota_A1B2C3/POWER"),
    ("nodered", "zigbee2mqtt/lamp/set"),
)
LISTENERS = (
    ("plug-1", "fwhub/device/plug-1/command"),
    ("tasmota", "cmnd/tasmota_A1B2C3/Upgrade"),
    ("zigbee2mqtt", "zigbee2mqtt/bridge/request/device/ota_update/update"),
    ("shelly", "shellyplus1-a8032abe1234/rpc"),
    ("shelly", "shellies/shelly1-A4CF12/command"),
    ("esphome", "garage/update/firmware/command"),
    ("openbeken", "cmnd/obk1/ota_http"),
    ("openmqttgateway", "home/gate/commands/MQTTtoSYS/firmware_update"),
    ("gateway", "gateway/7f/install"),
)


@pytest.fixture
async def guarded() -> AsyncIterator[Broker]:
    async with Broker(users={user: f"secret of {user}" for user in USERS}, rules=RULES) as broker:
        yield broker


@pytest.fixture
async def owner(guarded: Broker) -> AsyncIterator[BrokerTap]:
    """Home Assistant, who hears everything."""
    async with guarded.tap() as tap:
        yield tap


def client(broker: Broker, user: str) -> aiomqtt.Client:
    return aiomqtt.Client(HOST, broker.port, username=user, password=f"secret of {user}")


async def say(broker: Broker, user: str, *topics: str) -> None:
    """Publish as this user, and return when the broker has judged it. For what is forbidden it may hang up."""
    for topic in topics:
        with suppress(aiomqtt.MqttError):
            async with client(broker, user) as speaker:
                said = asyncio.gather(speaker.publish(topic, f"from {user}"), speaker.unsubscribe(ROUND_TRIP))
                cut = asyncio.ensure_future(anext(speaker.messages))
                both: list[asyncio.Future[Any]] = [said, cut]
                await asyncio.wait(both, return_when=asyncio.FIRST_COMPLETED)
                for waiting in both:
                    waiting.cancel()
                await asyncio.gather(said, cut, return_exceptions=True)


def test_the_rules_are_about_every_family() -> None:
    assert ORDERS_OF.keys() == BY_NAME.keys()


@pytest.mark.parametrize("user", [user for user in USERS if user not in {"homeassistant", "zigbee2mqtt"}])
async def test_nobody_but_home_assistant_can_order_an_update(guarded: Broker, owner: BrokerTap, user: str) -> None:
    await say(guarded, user, *ORDERS)
    await owner.settle()
    assert [seen.topic for seen in owner.messages if seen.text == f"from {user}"] == []


async def test_a_bridge_can_order_updates_of_its_own_network_only(guarded: Broker, owner: BrokerTap) -> None:
    await say(guarded, "zigbee2mqtt", *ORDERS)
    await owner.settle()
    heard = [seen.topic for seen in owner.messages if seen.text == "from zigbee2mqtt"]
    assert heard == ["zigbee2mqtt/bridge/request/device/ota_update/update"]


@pytest.mark.parametrize(("user", "topic"), LISTENERS)
async def test_the_order_of_home_assistant_is_heard_by_whom_it_is_for(
    guarded: Broker, owner: BrokerTap, user: str, topic: str
) -> None:
    async with client(guarded, user) as device:
        await device.subscribe(topic, qos=1)
        await owner.publish(topic, "install", qos=1)
        assert (await anext(device.messages)).payload == b"install"


@pytest.mark.parametrize(("user", "topic"), DAILY_WORK)
async def test_daily_work_goes_on(guarded: Broker, owner: BrokerTap, user: str, topic: str) -> None:
    await say(guarded, user, topic)
    await owner.settle()
    assert [seen.topic for seen in owner.messages if seen.text == f"from {user}"] == [topic]


async def test_no_device_speaks_for_another(guarded: Broker, owner: BrokerTap) -> None:
    await say(guarded, "plug-2", "fwhub/device/plug-1/info", "fwhub/device/plug-1/status")
    await owner.settle()
    assert [seen.topic for seen in owner.messages if seen.text == "from plug-2"] == []
