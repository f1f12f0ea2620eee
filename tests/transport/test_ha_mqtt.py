"""Through Home Assistant's MQTT: what arrives, what leaves, and what never does."""

import asyncio
from contextlib import suppress
from typing import Any

import pytest
from homeassistant.components import mqtt
from homeassistant.components.mqtt import client as mqtt_client
from homeassistant.config_entries import ConfigEntryDisabler
from homeassistant.core import HomeAssistant, callback
from pytest_homeassistant_custom_component.common import MockConfigEntry

from custom_components.firmware_hub.core.errors import OutsideFailed, Reason
from custom_components.firmware_hub.dialects.base import Message, Outgoing
from custom_components.firmware_hub.transport.ha_mqtt import HaMqttTransport
from simulator.broker import Broker, BrokerTap

from .conftest import Heard, mqtt_entry

COMMAND = Outgoing("fwhub/device/plug/command", '{"command":"install"}')


# --- arriving ---


async def test_a_message_arrives_as_it_was_sent(transport: HaMqttTransport, tap: BrokerTap, heard: Heard) -> None:
    await transport.async_subscribe(["fwhub/device/+/info"])
    await tap.publish("fwhub/device/plug/info", b'{"version":"1.0.0"}')
    message = await heard.message(b'{"version":"1.0.0"}')
    assert message == Message("fwhub/device/plug/info", b'{"version":"1.0.0"}', retained=False)


async def test_a_message_that_is_no_text_arrives_too(transport: HaMqttTransport, tap: BrokerTap, heard: Heard) -> None:
    await transport.async_subscribe(["raw/#"])
    await tap.publish("raw/1", b"\xff\xfe\x00")
    assert (await heard.message(b"\xff\xfe\x00")).topic == "raw/1"


async def test_where_somebody_reads_the_same_filter_as_text_it_may_arrive_as_text(
    hass: HomeAssistant, entry: MockConfigEntry, transport: HaMqttTransport, tap: BrokerTap, heard: Heard
) -> None:
    @callback
    def other(message: Any) -> None: ...

    unsubscribe = await mqtt.async_subscribe(hass, "both/#", other)
    await transport.async_subscribe(["both/#"])
    await tap.publish("both/1", "größer")
    await heard.until(lambda heard: any(one.topic == "both/1" for one in heard.messages))
    (message,) = [one for one in heard.messages if one.topic == "both/1"]
    assert message.payload in {"größer", "größer".encode()}
    assert isinstance(message.payload, str)
    await tap.publish("both/2", b"\xff")
    assert (await heard.message(b"\xff")).topic == "both/2"
    unsubscribe()


async def test_what_lay_in_the_broker_is_marked_as_old_and_what_is_said_now_is_not(
    transport: HaMqttTransport, tap: BrokerTap, heard: Heard
) -> None:
    await tap.publish("lying/here", "old", retain=True)
    await tap.settle()
    await transport.async_subscribe(["lying/#"])
    assert (await heard.message(b"old")).retained
    await tap.publish("lying/here", "new", retain=True)
    assert not (await heard.message(b"new")).retained


async def test_a_cleared_topic_arrives_as_an_empty_message(
    transport: HaMqttTransport, tap: BrokerTap, heard: Heard
) -> None:
    await transport.async_subscribe(["lying/#"])
    await tap.publish("lying/here", b"", retain=True)
    await heard.until(lambda heard: any((one.topic, one.payload) == ("lying/here", b"") for one in heard.messages))


async def test_a_filter_that_is_asked_for_twice_brings_each_message_once(
    transport: HaMqttTransport, tap: BrokerTap, heard: Heard
) -> None:
    await transport.async_subscribe(["once/#", "once/#"])
    await transport.async_subscribe(["once/#"])
    await tap.publish("once/1", "a")
    await tap.publish("once/1", "last")
    await heard.message(b"last")
    assert [one.payload for one in heard.messages if one.topic == "once/1"] == [b"a", b"last"]


async def test_a_fault_in_the_hub_does_not_end_the_listening(
    hass: HomeAssistant, entry: MockConfigEntry, tap: BrokerTap, heard: Heard, caplog: pytest.LogCaptureFixture
) -> None:
    def fail_once(message: Message) -> None:
        heard.on_message(message)
        if message.payload == b"bad":
            raise RuntimeError("the hub stumbled")

    transport = HaMqttTransport(hass)
    await transport.async_start(fail_once, heard.on_link)
    await transport.async_subscribe(["fault/#"])
    await tap.publish("fault/1", "bad")
    await tap.publish("fault/1", "good")
    await heard.message(b"good")
    await transport.async_stop()
    assert "the hub stumbled" in caplog.text
    caplog.clear()


# --- leaving ---


async def test_a_command_leaves_once_unretained_and_with_qos_0(transport: HaMqttTransport, tap: BrokerTap) -> None:
    await transport.async_publish(COMMAND)
    seen = await tap.wait_for_message(lambda seen: seen.topic == COMMAND.topic)
    await tap.settle()
    assert [(one.text, one.qos, one.retain) for one in tap.on(COMMAND.topic)] == [(COMMAND.payload, 0, False)]
    assert seen.text == COMMAND.payload


async def test_what_is_said_while_the_broker_is_away_is_refused_and_never_said_later(
    transport: HaMqttTransport, broker: Broker, tap: BrokerTap, heard: Heard
) -> None:
    await broker.async_stop()
    await heard.link(connected=False)
    with pytest.raises(OutsideFailed) as caught:
        await transport.async_publish(COMMAND)
    assert caught.value.reason is Reason.BROKER_DISCONNECTED
    await broker.async_start()
    await heard.link(connected=True)
    await _nothing_was_said_later(transport, tap)


async def _nothing_was_said_later(transport: HaMqttTransport, tap: BrokerTap) -> None:
    await tap.settle()
    await transport.async_publish(Outgoing("after", "restart"))
    await tap.wait_for_message(lambda seen: seen.topic == "after")
    assert tap.on(COMMAND.topic) == []


async def test_what_is_said_before_the_loss_is_noticed_is_never_said_later(
    transport: HaMqttTransport, broker: Broker, tap: BrokerTap, heard: Heard, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(mqtt_client, "TIMEOUT_ACK", 0.1)
    broker.kill()
    assert transport.connected
    with suppress(OutsideFailed):
        await transport.async_publish(COMMAND)
    await heard.link(connected=False)
    await broker.async_start()
    await heard.link(connected=True)
    await _nothing_was_said_later(transport, tap)


@pytest.mark.parametrize("topic", ["", "no/#/wildcards", "no/+", "no\0zero", "x" * 70_000])
async def test_a_topic_that_is_none_is_refused(transport: HaMqttTransport, topic: str) -> None:
    with pytest.raises(OutsideFailed) as caught:
        await transport.async_publish(Outgoing(topic, "x"))
    assert caught.value.reason is Reason.MALFORMED


@pytest.mark.parametrize("name", ["", "a#b", "a+/b", "a/#/b", "no\0zero"])
async def test_a_filter_that_is_none_is_refused_and_the_link_stays(
    transport: HaMqttTransport, tap: BrokerTap, heard: Heard, name: str
) -> None:
    with pytest.raises(OutsideFailed) as caught:
        await transport.async_subscribe(["good/#", name])
    assert caught.value.reason is Reason.MALFORMED
    await transport.async_subscribe(["good/#"])
    await tap.publish("good/1", "a word")
    await heard.message(b"a word")
    assert heard.links == [True]


async def test_the_answer_to_a_question_that_is_asked_at_once_is_heard(
    transport: HaMqttTransport, broker: Broker, heard: Heard
) -> None:
    async with broker.tap() as device:
        await transport.async_subscribe(["answer/#"])
        asking = asyncio.ensure_future(transport.async_publish(Outgoing("question", "?")))
        await device.wait_for_message(lambda seen: seen.topic == "question")
        await device.publish("answer/1", "at once")
        await heard.message(b"at once")
        await asking


async def test_after_a_restart_too(
    hass: HomeAssistant, entry: MockConfigEntry, broker: Broker, tap: BrokerTap, heard: Heard
) -> None:
    transport = HaMqttTransport(hass)
    asking: list[asyncio.Future[None]] = []

    def ask_when_up(connected: bool) -> None:
        heard.on_link(connected)
        if connected:
            asking.append(asyncio.ensure_future(transport.async_publish(Outgoing("question", "?"))))

    await transport.async_start(heard.on_message, ask_when_up)
    await transport.async_subscribe(["answer/#"])
    await broker.async_restart()
    await tap.wait_for(lambda tap: len(tap.on("question")) == 2)
    await tap.publish("answer/1", "at once")
    await heard.message(b"at once")
    await asyncio.gather(*asking)
    await transport.async_stop()


# --- the link ---


async def test_the_link_is_told_at_once(transport: HaMqttTransport, heard: Heard) -> None:
    assert heard.links == [True]
    assert transport.connected


async def test_a_restart_of_the_broker_is_told_and_survived(
    transport: HaMqttTransport, broker: Broker, tap: BrokerTap, heard: Heard
) -> None:
    await transport.async_subscribe(["again/#"])
    await broker.async_stop()
    await heard.link(connected=False)
    await broker.async_start()
    await heard.link(connected=True)
    await tap.publish("again/after", "a word")
    await heard.message(b"a word")
    assert heard.links == [True, False, True]


async def test_after_a_restart_what_lies_in_the_broker_is_told_again(
    transport: HaMqttTransport, broker: Broker, tap: BrokerTap, heard: Heard
) -> None:
    await tap.publish("lying/here", "old", retain=True)
    await tap.settle()
    await transport.async_subscribe(["lying/#"])
    await heard.message(b"old")
    await broker.async_restart()
    await heard.until(lambda heard: len([one for one in heard.messages if one.retained]) == 2)


async def test_filters_that_are_added_while_the_broker_is_away_count_when_it_is_back(
    transport: HaMqttTransport, broker: Broker, tap: BrokerTap, heard: Heard
) -> None:
    await broker.async_stop()
    await heard.link(connected=False)
    await transport.async_subscribe(["later/#"])
    await broker.async_start()
    await heard.link(connected=True)
    await tap.publish("later/1", "a word")
    await heard.message(b"a word")


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
