"""Through Home Assistant's MQTT: what only happens there."""

from collections.abc import AsyncIterator
from typing import Any

import pytest
from homeassistant.components import mqtt
from homeassistant.config_entries import ConfigEntryDisabler
from homeassistant.core import HomeAssistant, callback
from pytest_homeassistant_custom_component.common import MockConfigEntry

from custom_components.firmware_hub.core.errors import OutsideFailed, Reason
from custom_components.firmware_hub.dialects.base import Outgoing
from custom_components.firmware_hub.transport.ha_mqtt import HaMqttTransport
from simulator.broker import Broker, BrokerTap

from .conftest import Heard, connect, mqtt_entry

COMMAND = Outgoing("fwhub/device/plug/command", '{"command":"install"}')


@pytest.fixture
async def entry(hass: HomeAssistant, broker: Broker) -> MockConfigEntry:
    """Home Assistant is connected to the broker."""
    return await connect(hass, broker)


@pytest.fixture
async def transport(hass: HomeAssistant, entry: MockConfigEntry, heard: Heard) -> AsyncIterator[HaMqttTransport]:
    transport = HaMqttTransport(hass)
    await transport.async_start(heard.on_message, heard.on_link)
    yield transport
    await transport.async_stop()


@pytest.mark.parametrize("hub_first", [True, False], ids=["the hub first", "the hub last"])
@pytest.mark.parametrize("topics", [["both/#"], [f"both/{number}" for number in range(20)]], ids=["filter", "topics"])
async def test_whoever_reads_on_the_same_filter_gets_text(
    hass: HomeAssistant, transport: HaMqttTransport, tap: BrokerTap, heard: Heard, topics: list[str], hub_first: bool
) -> None:
    read: list[Any] = []

    @callback
    def other(message: Any) -> None:
        read.append(message.payload)

    if hub_first:
        await transport.async_subscribe(topics)
    others = [await mqtt.async_subscribe(hass, topic, other) for topic in topics]
    await transport.async_subscribe(topics)
    for number in range(20):
        await tap.publish(f"both/{number}", "größer")
    await heard.until(lambda heard: len(heard.messages) == len(read) == 20)
    assert set(read) == {"größer"}
    for unsubscribe in others:
        unsubscribe()


# --- the link ---


async def test_the_link_is_told_at_once(transport: HaMqttTransport, heard: Heard) -> None:
    assert heard.links == [True]
    assert transport.connected


# --- the MQTT integration itself ---


async def test_without_mqtt_there_is_no_start(hass: HomeAssistant, heard: Heard) -> None:
    transport = HaMqttTransport(hass)
    with pytest.raises(OutsideFailed) as caught:
        await transport.async_start(heard.on_message, heard.on_link)
    assert caught.value.reason is Reason.BROKER_DISCONNECTED
    assert not transport.connected
    with pytest.raises(OutsideFailed):
        await transport.async_subscribe(["x/#"])
    with pytest.raises(OutsideFailed):
        await transport.async_publish(COMMAND)
    await transport.async_stop()


async def test_a_reload_of_mqtt_is_told_and_survived(
    hass: HomeAssistant,
    entry: MockConfigEntry,
    transport: HaMqttTransport,
    tap: BrokerTap,
    heard: Heard,
) -> None:
    await transport.async_subscribe(["again/#"])
    assert await hass.config_entries.async_reload(entry.entry_id)
    await heard.until(lambda heard: heard.links == [True, False, True])
    await tap.publish("again/after", "a word")
    await heard.message(b"a word")
    await transport.async_publish(COMMAND)
    await tap.wait_for_message(lambda seen: seen.topic == COMMAND.topic)


async def test_while_mqtt_is_disabled_everything_is_refused_with_a_reason(
    hass: HomeAssistant, entry: MockConfigEntry, transport: HaMqttTransport, heard: Heard
) -> None:
    await hass.config_entries.async_set_disabled_by(entry.entry_id, ConfigEntryDisabler.USER)
    await heard.link(connected=False)
    assert not transport.connected
    with pytest.raises(OutsideFailed):
        await transport.async_subscribe(["x/#"])
    with pytest.raises(OutsideFailed):
        await transport.async_publish(COMMAND)


async def test_mqtt_that_is_removed_and_set_up_anew_is_used_again(
    hass: HomeAssistant,
    entry: MockConfigEntry,
    broker: Broker,
    transport: HaMqttTransport,
    tap: BrokerTap,
    heard: Heard,
) -> None:
    await transport.async_subscribe(["again/#"])
    await hass.config_entries.async_remove(entry.entry_id)
    await heard.link(connected=False)
    anew = mqtt_entry(broker)
    anew.add_to_hass(hass)
    assert await hass.config_entries.async_setup(anew.entry_id)
    await heard.link(connected=True)
    await tap.publish("again/after", "a word")
    await heard.message(b"a word")


# --- the end ---


@pytest.mark.parametrize("reloaded", [False, True])
async def test_after_the_stop_nothing_is_told(
    hass: HomeAssistant,
    entry: MockConfigEntry,
    transport: HaMqttTransport,
    broker: Broker,
    tap: BrokerTap,
    heard: Heard,
    reloaded: bool,
) -> None:
    await transport.async_subscribe(["end/#"])
    if reloaded:
        assert await hass.config_entries.async_reload(entry.entry_id)
        await heard.until(lambda heard: heard.links == [True, False, True])
    await transport.async_stop()
    before = (list(heard.messages), list(heard.links))

    witness = HaMqttTransport(hass)
    others = Heard()
    await witness.async_start(others.on_message, others.on_link)
    await witness.async_subscribe(["end/+"])
    await tap.publish("end/1", "late")
    await others.message(b"late")
    await broker.async_stop()
    await others.link(connected=False)
    await witness.async_stop()
    assert (heard.messages, heard.links) == before
    await transport.async_stop()


async def test_a_second_transport_can_follow_the_first(
    hass: HomeAssistant, transport: HaMqttTransport, tap: BrokerTap, heard: Heard
) -> None:
    await transport.async_subscribe(["again/#"])
    await transport.async_stop()
    second, later = HaMqttTransport(hass), Heard()
    await second.async_start(later.on_message, later.on_link)
    await second.async_subscribe(["again/#"])
    await tap.publish("again/1", "a word")
    await later.message(b"a word")
    await second.async_stop()
    assert not any(one.topic == "again/1" for one in heard.messages)
