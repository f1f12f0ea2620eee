"""What both ways to a broker promise: what arrives, what leaves, and what never does."""

import asyncio
from contextlib import suppress

import pytest
from homeassistant.components.mqtt import client as mqtt_client

from custom_components.firmware_hub.core.errors import OutsideFailed, Reason
from custom_components.firmware_hub.dialects.base import Message, Outgoing
from custom_components.firmware_hub.transport.base import Transport
from simulator.broker import Broker, BrokerTap

from .conftest import Heard, Start

COMMAND = Outgoing("fwhub/device/plug/command", '{"command":"install"}')


async def test_a_message_arrives_as_it_was_sent(transport: Transport, tap: BrokerTap, heard: Heard) -> None:
    await transport.async_subscribe(["fwhub/device/+/info"])
    await tap.publish("fwhub/device/plug/info", b'{"version":"1.0.0"}')
    message = await heard.message(b'{"version":"1.0.0"}')
    assert message == Message("fwhub/device/plug/info", b'{"version":"1.0.0"}', retained=False)


async def test_a_message_that_is_no_text_keeps_none_from_arriving(
    transport: Transport, tap: BrokerTap, heard: Heard
) -> None:
    await transport.async_subscribe(["raw/#"])
    await tap.publish("raw/1", b"\xff\xfe\x00")
    await tap.publish("raw/1", "text")
    assert (await heard.message(b"text")).topic == "raw/1"


async def test_what_lay_in_the_broker_is_marked_as_old_and_what_is_said_now_is_not(
    transport: Transport, tap: BrokerTap, heard: Heard
) -> None:
    await tap.publish("lying/here", "old", retain=True)
    await tap.settle()
    await transport.async_subscribe(["lying/#"])
    assert (await heard.message(b"old")).retained
    await tap.publish("lying/here", "new", retain=True)
    assert not (await heard.message(b"new")).retained


async def test_a_cleared_topic_arrives_as_an_empty_message(transport: Transport, tap: BrokerTap, heard: Heard) -> None:
    await transport.async_subscribe(["lying/#"])
    await tap.publish("lying/here", b"", retain=True)
    await heard.until(lambda heard: any((one.topic, one.payload) == ("lying/here", b"") for one in heard.messages))


async def test_a_filter_that_is_asked_for_twice_brings_each_message_once(
    transport: Transport, tap: BrokerTap, heard: Heard
) -> None:
    await transport.async_subscribe(["once/#", "once/#"])
    await transport.async_subscribe(["once/#"])
    await tap.publish("once/1", "a")
    await tap.publish("once/1", "last")
    await heard.message(b"last")
    assert [one.payload for one in heard.messages if one.topic == "once/1"] == [b"a", b"last"]


async def test_a_command_leaves_once_unretained_and_with_qos_0(transport: Transport, tap: BrokerTap) -> None:
    await transport.async_publish(COMMAND)
    seen = await tap.wait_for_message(lambda seen: seen.topic == COMMAND.topic)
    await tap.settle()
    assert [(one.text, one.qos, one.retain) for one in tap.on(COMMAND.topic)] == [(COMMAND.payload, 0, False)]
    assert seen.text == COMMAND.payload


async def test_clearing_a_topic_takes_away_what_lies_there_and_nothing_else(
    transport: Transport, broker: Broker, tap: BrokerTap, heard: Heard
) -> None:
    for topic in ("lying/here", "lying/there"):
        await tap.publish(topic, "old", retain=True)
    await tap.settle()
    await transport.async_subscribe(["lying/#"])
    await heard.until(lambda heard: len(heard.messages) == 2)
    await transport.async_clear("lying/here")
    await heard.message(b"")
    async with broker.tap() as later:
        await later.wait_for(lambda later: later.on("lying/there"))
        await later.settle()
        assert later.on("lying/here") == []


async def test_a_topic_is_cleared_by_one_empty_message_that_is_to_be_kept(
    transport: Transport, tap: BrokerTap, heard: Heard
) -> None:
    await transport.async_clear(COMMAND.topic)
    await tap.wait_for_message(lambda seen: seen.topic == COMMAND.topic)
    await tap.settle()
    assert [(one.text, one.qos, one.retain) for one in tap.on(COMMAND.topic)] == [("", 0, True)]


async def test_a_topic_is_not_cleared_later_when_the_broker_is_away(
    transport: Transport, broker: Broker, tap: BrokerTap, heard: Heard
) -> None:
    await broker.async_stop()
    await heard.link(connected=False)
    with pytest.raises(OutsideFailed) as caught:
        await transport.async_clear(COMMAND.topic)
    assert caught.value.reason is Reason.BROKER_DISCONNECTED
    await broker.async_start()
    await heard.link(connected=True)
    await _nothing_was_said_later(transport, tap)


@pytest.mark.parametrize("topic", ["", "cmnd/#", "cmnd/+/Upgrade"])
async def test_only_one_topic_can_be_cleared(transport: Transport, topic: str) -> None:
    with pytest.raises(OutsideFailed) as caught:
        await transport.async_clear(topic)
    assert caught.value.reason is Reason.MALFORMED


async def test_what_is_said_while_the_broker_is_away_is_refused_and_never_said_later(
    transport: Transport, broker: Broker, tap: BrokerTap, heard: Heard
) -> None:
    await broker.async_stop()
    await heard.link(connected=False)
    with pytest.raises(OutsideFailed) as caught:
        await transport.async_publish(COMMAND)
    assert caught.value.reason is Reason.BROKER_DISCONNECTED
    await broker.async_start()
    await heard.link(connected=True)
    await _nothing_was_said_later(transport, tap)


async def _nothing_was_said_later(transport: Transport, tap: BrokerTap) -> None:
    await tap.settle()
    await transport.async_publish(Outgoing("after", "restart"))
    await tap.wait_for_message(lambda seen: seen.topic == "after")
    assert tap.on(COMMAND.topic) == []


@pytest.mark.parametrize("topic", ["", "no/#/wildcards", "no/+", "no\0zero", "x" * 70_000])
async def test_a_topic_that_is_none_is_refused(transport: Transport, topic: str) -> None:
    with pytest.raises(OutsideFailed) as caught:
        await transport.async_publish(Outgoing(topic, "x"))
    assert caught.value.reason is Reason.MALFORMED


@pytest.mark.parametrize("name", ["", "a#b", "a+/b", "a/#/b", "no\0zero"])
async def test_a_filter_that_is_none_is_refused_and_the_link_stays(
    transport: Transport, tap: BrokerTap, heard: Heard, name: str
) -> None:
    with pytest.raises(OutsideFailed) as caught:
        await transport.async_subscribe(["good/#", name])
    assert caught.value.reason is Reason.MALFORMED
    await transport.async_subscribe(["good/#"])
    await tap.publish("good/1", "a word")
    await heard.message(b"a word")
    assert heard.links == [True]


async def test_the_answer_to_a_question_that_is_asked_at_once_is_heard(
    transport: Transport, broker: Broker, heard: Heard
) -> None:
    async with broker.tap() as device:
        await transport.async_subscribe(["answer/#"])
        asking = asyncio.ensure_future(transport.async_publish(Outgoing("question", "?")))
        await device.wait_for_message(lambda seen: seen.topic == "question")
        await device.publish("answer/1", "at once")
        await heard.message(b"at once")
        await asking


async def test_a_restart_of_the_broker_is_told_and_survived(
    transport: Transport, broker: Broker, tap: BrokerTap, heard: Heard
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
    transport: Transport, broker: Broker, tap: BrokerTap, heard: Heard
) -> None:
    await tap.publish("lying/here", "old", retain=True)
    await tap.settle()
    await transport.async_subscribe(["lying/#"])
    await heard.message(b"old")
    await broker.async_restart()
    await heard.until(lambda heard: len([one for one in heard.messages if one.retained]) == 2)


async def test_filters_that_are_added_while_the_broker_is_away_count_when_it_is_back(
    transport: Transport, broker: Broker, tap: BrokerTap, heard: Heard
) -> None:
    await broker.async_stop()
    await heard.link(connected=False)
    await transport.async_subscribe(["later/#"])
    await broker.async_start()
    await heard.link(connected=True)
    await tap.publish("later/1", "a word")
    await heard.message(b"a word")


async def test_what_is_said_before_the_loss_is_noticed_is_never_said_later(
    transport: Transport, broker: Broker, tap: BrokerTap, heard: Heard, monkeypatch: pytest.MonkeyPatch
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


@pytest.mark.no_fail_on_log_exception
async def test_a_fault_in_the_hub_does_not_end_the_listening(
    start: Start, tap: BrokerTap, heard: Heard, caplog: pytest.LogCaptureFixture
) -> None:
    def fail_once(message: Message) -> None:
        heard.on_message(message)
        if heard.messages[-1].payload == b"bad":
            raise RuntimeError("the hub stumbled")

    transport = await start(fail_once, heard.on_link)
    await heard.link(connected=True)
    await transport.async_subscribe(["fault/#"])
    await tap.publish("fault/1", "bad")
    await tap.publish("fault/1", "good")
    await heard.message(b"good")
    await transport.async_stop()
    assert "the hub stumbled" in caplog.text
    caplog.clear()


async def test_after_a_restart_too(start: Start, broker: Broker, tap: BrokerTap, heard: Heard) -> None:
    asking: list[asyncio.Future[None]] = []

    def ask_when_up(connected: bool) -> None:
        heard.on_link(connected)
        if connected and started:
            asking.append(asyncio.ensure_future(started[0].async_publish(Outgoing("question", "?"))))

    started: list[Transport] = []
    started.append(await start(heard.on_message, ask_when_up))
    await heard.link(connected=True)
    await started[0].async_subscribe(["answer/#"])
    await broker.async_restart()
    await tap.wait_for(lambda tap: tap.on("question"))
    await tap.publish("answer/1", "at once")
    await heard.message(b"at once")
    await asyncio.gather(*asking)


async def test_after_the_stop_nothing_is_told_and_nothing_is_said(
    transport: Transport, start: Start, tap: BrokerTap, heard: Heard
) -> None:
    await transport.async_subscribe(["end/#"])
    await transport.async_stop()
    before = (list(heard.messages), list(heard.links))

    others = Heard()
    witness = await start(others.on_message, others.on_link)
    await others.link(connected=True)
    await witness.async_subscribe(["end/+"])
    await tap.publish("end/1", "late")
    await others.message(b"late")
    assert (heard.messages, heard.links) == before
    await transport.async_stop()


async def test_it_can_be_stopped_and_followed_while_the_broker_is_away(
    transport: Transport, start: Start, broker: Broker, tap: BrokerTap, heard: Heard
) -> None:
    await broker.async_stop()
    await heard.link(connected=False)
    await transport.async_stop()
    await broker.async_start()
    later = Heard()
    second = await start(later.on_message, later.on_link)
    await later.link(connected=True)
    await second.async_subscribe(["again/#"])
    await tap.publish("again/1", "a word")
    await later.message(b"a word")


async def test_a_filter_that_is_given_up_brings_nothing_more(
    transport: Transport, broker: Broker, tap: BrokerTap, heard: Heard
) -> None:
    await transport.async_subscribe(["left/#", "kept/#"])
    await transport.async_unsubscribe(["left/#", "never/known"])
    await _broker_was_told(broker, "left/#")
    await tap.publish("left/1", "not heard")
    await tap.publish("kept/1", "heard")
    await heard.message(b"heard")
    assert [one.topic for one in heard.messages] == ["kept/1"]


async def test_a_filter_that_is_given_up_stays_so_after_the_connection_was_lost(
    transport: Transport, broker: Broker, tap: BrokerTap, heard: Heard
) -> None:
    await transport.async_subscribe(["left/#", "kept/#"])
    await broker.async_stop()
    await heard.link(connected=False)
    await transport.async_unsubscribe(["left/#"])
    await broker.async_start()
    await heard.link(connected=True)
    async with broker.tap() as later:
        await later.publish("left/1", "not heard")
        await later.publish("kept/1", "heard")
        await heard.message(b"heard")
    assert [one.topic for one in heard.messages] == ["kept/1"]


async def test_a_filter_that_is_asked_for_again_brings_again_what_lies_there(
    transport: Transport, tap: BrokerTap, heard: Heard
) -> None:
    await tap.publish("lying/here", "old", retain=True)
    await tap.settle()
    for _ in range(2):
        heard.messages.clear()
        await transport.async_subscribe(["lying/#"])
        assert (await heard.message(b"old")).retained
        await transport.async_unsubscribe(["lying/#"])


async def _broker_was_told(broker: Broker, filter_name: str) -> None:
    """Wait until somebody has unsubscribed: Home Assistant gathers such words for a moment."""
    async with asyncio.timeout(20):
        while f" {filter_name}" not in broker.log:  # noqa: ASYNC110 - a log has no event
            await asyncio.sleep(0.01)
