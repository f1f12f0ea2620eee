"""Which topics of single devices are listened to, with both ways to a broker: those of the devices that there are."""

import asyncio
import json
from collections.abc import Coroutine, Iterable
from datetime import UTC, datetime
from typing import Any

import pytest

from custom_components.firmware_hub.core.effects import ForgetDevice, ListenTo
from custom_components.firmware_hub.core.hub import Hub
from custom_components.firmware_hub.core.inputs import ForgetRequested, Input, LastingOrderGone, LinkChanged
from custom_components.firmware_hub.dialects import DIALECTS
from custom_components.firmware_hub.dialects.base import Message, Outgoing
from custom_components.firmware_hub.hearing import hear
from custom_components.firmware_hub.listening import Listening
from custom_components.firmware_hub.transport.base import LinkHandler, MessageHandler, Transport
from simulator.broker import BrokerTap

from .conftest import Heard

NOW = datetime(2026, 11, 24, 0, 30, tzinfo=UTC)


class Counted:
    """A transport that also says which filters it was asked for and not told to give up."""

    def __init__(self, real: Transport) -> None:
        self._real = real
        self.names: set[str] = set()
        self.most = 0

    @property
    def connected(self) -> bool:
        return self._real.connected

    async def async_start(self, on_message: MessageHandler, on_link: LinkHandler) -> None:
        await self._real.async_start(on_message, on_link)

    async def async_subscribe(self, filters: Iterable[str]) -> None:
        asked = list(filters)
        self.names.update(asked)
        self.most = max(self.most, len(self.names))
        await self._real.async_subscribe(asked)

    async def async_unsubscribe(self, filters: Iterable[str]) -> None:
        asked = list(filters)
        self.names.difference_update(asked)
        await self._real.async_unsubscribe(asked)

    async def async_publish(self, message: Outgoing) -> None:
        await self._real.async_publish(message)

    async def async_clear(self, topic: str) -> None:
        await self._real.async_clear(topic)

    async def async_stop(self) -> None:
        await self._real.async_stop()


class House:
    """A hub that is told what its devices announce, and listens to them."""

    def __init__(self, transport: Transport) -> None:
        self.transport = Counted(transport)
        self.hub = Hub({dialect.name: dialect.capabilities for dialect in DIALECTS}, new_id=lambda: "id")
        self.listening = Listening(self.hub, self.transport, self._start)
        self._work: set[asyncio.Future[Any]] = set()
        self.take(LinkChanged(connected=True))

    def _start(self, work: Coroutine[Any, Any, None], _name: str) -> asyncio.Future[Any]:
        doing = asyncio.ensure_future(work)
        self._work.add(doing)
        doing.add_done_callback(self._work.discard)
        return doing

    def take(self, item: Input) -> None:
        """Tell the hub, and listen to whom it says."""
        effects = self.hub.receive(item, NOW)
        self.listening.listen(each.device_id for each in effects if isinstance(each, ListenTo | ForgetDevice))

    def announce(self, place: str, name: str = "lamp") -> None:
        """Let a device announce an update that speaks at a place."""
        config = {
            "uniq_id": name,
            "stat_t": f"{place}/state",
            "cmd_t": f"{place}/install",
            "pl_inst": "GO",
            "dev": {"ids": [name], "name": name},
        }
        topic = f"homeassistant/update/{name}/config"
        hear(Message(topic, json.dumps(config), retained=True), self.hub, self.take)

    async def settled(self) -> None:
        """Return when all that was asked for is done."""
        while self._work:
            await asyncio.wait(set(self._work))


class Nobody:
    """A transport without a broker, for what needs none."""

    connected = True

    async def async_start(self, on_message: MessageHandler, on_link: LinkHandler) -> None: ...

    async def async_subscribe(self, filters: Iterable[str]) -> None: ...

    async def async_unsubscribe(self, filters: Iterable[str]) -> None: ...

    async def async_publish(self, message: Outgoing) -> None: ...

    async def async_clear(self, topic: str) -> None: ...

    async def async_stop(self) -> None: ...


@pytest.fixture
async def house() -> House:
    return House(Nobody())


async def said(tap: BrokerTap, heard: Heard, *topics: str) -> list[str]:
    """Say something on each topic; return those on which it was heard."""
    heard.messages.clear()
    for topic in topics:
        await tap.publish(topic, "a word")
    await tap.publish("the/end", "the end")
    await heard.message(b"the end")
    return [one.topic for one in heard.messages if one.payload == b"a word"]


async def test_a_device_that_is_announced_elsewhere_is_heard_there_and_no_more_where_it_was(
    transport: Transport, tap: BrokerTap, heard: Heard
) -> None:
    house = House(transport)
    await transport.async_subscribe(["the/end"])
    house.announce("here")
    await house.settled()
    assert await said(tap, heard, "here/state", "there/state") == ["here/state"]
    house.announce("there")
    await house.settled()
    assert await said(tap, heard, "here/state", "there/state") == ["there/state"]
    assert house.transport.names == {"there/state", "there/install"}


async def test_one_that_comes_back_to_where_it_was_is_heard_there_again(
    transport: Transport, tap: BrokerTap, heard: Heard
) -> None:
    house = House(transport)
    await transport.async_subscribe(["the/end"])
    for place in ("here", "there", "here"):
        house.announce(place)
    await house.settled()
    assert await said(tap, heard, "here/state", "there/state") == ["here/state"]


async def test_a_device_that_is_forgotten_is_not_listened_to_any_more(house: House) -> None:
    house.announce("here")
    house.announce("there", "bulb")
    await house.settled()
    house.take(ForgetRequested("ha_update:lamp", by="owner"))
    await house.settled()
    assert house.transport.names == {"there/state", "there/install"}


async def test_what_two_devices_share_is_kept_until_both_are_gone(house: House) -> None:
    for place, name in (("esphome/discover/garage", "a1"), ("esphome/discover/attic", "a2")):
        who = {"mac": f"8caab5e0f1{name}", "platform": "ESP32", "board": "esp32dev", "version": "1.0.0", "name": "x"}
        hear(Message(place, json.dumps(who), retained=True), house.hub, house.take)
    await house.settled()
    shared = {"+/status", "+/update/+/state"}
    assert house.transport.names == shared
    house.take(ForgetRequested("mac:8CAAB5E0F1A1", by="owner"))
    await house.settled()
    assert house.transport.names == shared
    house.take(ForgetRequested("mac:8CAAB5E0F1A2", by="owner"))
    await house.settled()
    assert house.transport.names == set()


async def test_what_finds_devices_is_never_given_up(house: House) -> None:
    info = {"StatusFWR": {"Version": "OpenBK7231T_1.18.150", "SDK": "obk"}, "StatusNET": {"Mac": "8C:AA:B5:00:00:01"}}
    hear(Message("stat/obk1/STATUS", json.dumps(info)), house.hub, house.take)
    await house.settled()
    house.take(ForgetRequested("mac:8CAAB5000001", by="owner"))
    await house.settled()
    assert house.transport.names == {"+/build", "+/connected"}


async def test_whoever_announces_ever_new_topics_makes_the_hub_listen_to_no_more(house: House) -> None:
    for number in range(200):
        house.announce(f"place/{number}")
        if number % 20 == 0:
            await house.settled()
    await house.settled()
    assert house.transport.names == {"place/199/state", "place/199/install"}
    assert house.transport.most <= 4


async def test_where_an_order_was_left_is_listened_to_until_it_is_gone(house: House) -> None:
    house.announce("here")
    await house.settled()
    hear(Message("here/install", "GO", retained=True), house.hub, house.take)
    assert house.hub.keeps_order("here/install")
    house.announce("there")
    await house.settled()
    assert house.transport.names == {"there/state", "there/install", "here/install"}
    house.take(LastingOrderGone("here/install"))
    house.announce("elsewhere")
    await house.settled()
    assert house.transport.names == {"elsewhere/state", "elsewhere/install"}


async def test_what_is_said_to_a_device_waits_until_it_is_heard_where_it_is_now(
    house: House,
) -> None:
    told: list[set[str]] = []

    async def say() -> None:
        told.append(set(house.transport.names))

    house.announce("here")
    house.announce("there")
    assert house.listening.put_off("ha_update:lamp", say)
    await house.settled()
    assert told == [{"there/state", "there/install"}]


async def test_an_order_that_lies_where_a_device_listens_is_found(
    transport: Transport, tap: BrokerTap, heard: Heard
) -> None:
    await tap.publish("here/install", "GO", retain=True)
    await tap.settle()
    house = House(transport)
    house.announce("here")
    await house.settled()
    hear(await heard.message(b"GO"), house.hub, house.take)
    assert house.hub.keeps_order("here/install")
