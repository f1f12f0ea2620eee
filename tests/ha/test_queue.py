"""The queue of what the hub orders: nothing that goes wrong or takes its time keeps the rest from the disk."""

import asyncio
import json
import shutil
import threading
from collections.abc import Iterable
from datetime import datetime
from pathlib import Path

import pytest
from homeassistant.config_entries import ConfigEntryState
from pytest_homeassistant_custom_component.common import async_fire_mqtt_message

from custom_components.firmware_hub.const import DOMAIN
from custom_components.firmware_hub.core.effects import Effect, QueryDevice, Save
from custom_components.firmware_hub.core.errors import OutsideFailed, Reason
from custom_components.firmware_hub.core.inputs import ApproveRequested, CheckRequested, Input
from custom_components.firmware_hub.dialects.base import Outgoing
from simulator.tricks import Trick
from tests.ha.home import MAC, Home, fire_tasmota, tasmota_config, until
from tests.ha.test_night import started
from tests.ha.test_update_all import quiet

PLUG = "open:plug-1"


async def offered(home: Home) -> str:
    """Let there be an update for a plug; return its entity."""
    await home.publish("1.1.0")
    entity_id = await home.offered()
    await quiet(home)
    return entity_id


def order(home: Home, *effects: Effect) -> asyncio.Future[None]:
    """Order something as the hub does; return what tells how it ended."""
    done: asyncio.Future[None] = home.hass.loop.create_future()
    home.hub._executor.submit(list(effects), done)
    return done


# --- what cannot be written down -------------------------------------------------------------------------------------


async def test_one_save_that_no_database_takes_ends_nothing(home: Home) -> None:
    entity_id = await offered(home)
    with pytest.raises(OutsideFailed) as failed:
        await order(home, Save(meta={"odd": "\udcff"}))
    assert failed.value.reason is Reason.DISK_FAILED
    async with asyncio.timeout(10):
        await home.call("update.install", entity_id=entity_id)
    assert home.hub.hub_view().waiting == 1


async def test_one_request_that_meets_a_mistake_of_ours_keeps_no_other_from_its_answer(
    home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    await offered(home)
    receive = home.hub.hub.receive

    def mistaken(item: Input, now: datetime) -> list[Effect]:
        if isinstance(item, CheckRequested):
            raise KeyError("a mistake")
        return receive(item, now)

    monkeypatch.setattr(home.hub.hub, "receive", mistaken)
    async with asyncio.timeout(10):
        asked = asyncio.gather(
            home.hub.async_ask(CheckRequested("anna")),
            home.hub.async_ask(ApproveRequested(PLUG, "anna")),
            return_exceptions=True,
        )
        mistake, answer = await asked
    assert isinstance(mistake, KeyError)
    assert answer is None
    assert home.hub.hub_view().waiting == 1


# --- what takes its time ---------------------------------------------------------------------------------------------


async def test_a_vendor_that_answers_slowly_after_a_restart_keeps_nobody_from_saying_yes(night: Home) -> None:
    await night.publish("1.1.0")
    await started(night)
    await night.hass.config_entries.async_unload(night.entry.entry_id)
    await night.hass.async_add_executor_job(shutil.rmtree, Path(night.hass.config.cache_path(DOMAIN)))
    artifact = next(name for name in night.vendor.files if name.startswith("plug"))
    night.vendor.misbehave(night.vendor.file_url(artifact), Trick.STALLED)
    await night.set_up()
    entity_id = await night.offered("plug-2")
    async with asyncio.timeout(10):
        await night.call("update.install", entity_id=entity_id)
    assert night.hub.hub_view().waiting == 1


class SlowBroker:
    """Stands between the hub and its transport, and keeps acknowledgements back."""

    def __init__(self, home: Home) -> None:
        transport = home.hub._outside.transport
        self.asked: list[list[str]] = []
        self.acknowledges = asyncio.Event()
        self._subscribe = transport.async_subscribe
        transport.async_subscribe = self.async_subscribe  # type: ignore[method-assign]

    async def async_subscribe(self, filters: Iterable[str]) -> None:
        """Subscribe, and then wait."""
        self.asked.append(list(filters))
        await self._subscribe(self.asked[-1])
        await self.acknowledges.wait()


def questions(home: Home) -> list[str]:
    """Return what was sent to the Tasmota plug."""
    topics = [str(call.args[0]) for call in home.mqtt.async_publish.call_args_list]
    return [topic for topic in topics if topic.startswith("cmnd/")]


async def test_while_a_broker_acknowledges_slowly_everything_else_goes_on(home: Home) -> None:
    entity_id = await offered(home)
    broker = SlowBroker(home)
    await fire_tasmota(home.hass, tasmota_config())
    await until(lambda: broker.asked)
    async with asyncio.timeout(10):
        await home.call("update.install", entity_id=entity_id)
    assert home.hub.hub_view().waiting == 1
    broker.acknowledges.set()


async def test_a_device_is_asked_only_once_it_can_be_heard_and_in_order(home: Home) -> None:
    await offered(home)
    broker = SlowBroker(home)
    await fire_tasmota(home.hass, tasmota_config())
    await until(lambda: broker.asked)
    device_id = next(name for name in home.hub.hub.device_ids() if MAC in name.upper())
    await order(home, QueryDevice(device_id))
    await quiet(home)
    assert questions(home) == []
    broker.acknowledges.set()
    await until(lambda: questions(home))


async def test_devices_that_are_found_together_are_subscribed_together(home: Home) -> None:
    await offered(home)
    broker = SlowBroker(home)
    await fire_tasmota(home.hass, tasmota_config())
    await until(lambda: broker.asked)
    for number in range(3):
        mac = f"8CAAB5A1B2D{number}"
        config = tasmota_config(mac=mac, ft=f"house{number}/%prefix%/%topic%/", t=f"tasmota_{number}")
        async_fire_mqtt_message(home.hass, f"tasmota/discovery/{mac}/config", config)
    await until(lambda: home.hub.hub_view().devices == 5)
    await quiet(home)
    broker.acknowledges.set()
    await until(lambda: len(broker.asked) == 2)
    assert {name.split("/")[0] for name in broker.asked[1]} == {"house0", "house1", "house2"}


async def test_one_topic_that_is_none_does_not_make_other_devices_mute(home: Home) -> None:
    await offered(home)
    transport = home.hub._outside.transport
    taken: set[str] = set()

    async def choosy(filters: Iterable[str]) -> None:
        if any(name.endswith("/STATUS") for name in filters):
            raise OutsideFailed(Reason.MALFORMED, "STATUS")
        taken.update(filters)

    transport.async_subscribe = choosy  # type: ignore[method-assign]
    await fire_tasmota(home.hass, tasmota_config())
    await until(lambda: any(name.startswith("tele/") for name in taken))
    assert any(name.startswith("stat/") for name in taken)


# --- the end ---------------------------------------------------------------------------------------------------------


async def reload_while_asked(home: Home, entity_id: str, disk: threading.Event | None = None) -> None:
    """Say yes, reload the hub before it is written down, and return when both have ended."""
    asked = asyncio.create_task(home.call("update.install", entity_id=entity_id))
    await until(lambda: home.hub.hub_view().waiting == 1)
    reload = asyncio.create_task(home.hass.config_entries.async_reload(home.entry.entry_id))
    if disk is not None:
        await until(lambda: home.entry.state is ConfigEntryState.UNLOAD_IN_PROGRESS)
        disk.set()
    async with asyncio.timeout(10):
        assert await reload
        await asked


async def test_a_yes_during_a_reload_is_kept_while_the_disk_is_slow(home: Home) -> None:
    entity_id = await offered(home)
    let_go = threading.Event()
    home.hub.store._pool.submit(let_go.wait, 10)
    await reload_while_asked(home, entity_id, let_go)
    assert home.hub.hub_view().waiting == 1


async def test_a_yes_during_a_reload_is_kept_while_something_else_is_carried_out(home: Home) -> None:
    entity_id = await offered(home)
    begun = asyncio.Event()

    async def never(message: Outgoing) -> None:
        begun.set()
        await asyncio.Event().wait()  # the message never leaves

    home.hub._outside.transport.async_publish = never  # type: ignore[method-assign]
    order(home, QueryDevice(PLUG))
    await begun.wait()
    await reload_while_asked(home, entity_id)
    assert home.hub.hub_view().waiting == 1


async def test_what_a_device_said_a_moment_before_the_end_is_kept(home: Home) -> None:
    await offered(home)
    info = {"protocol": 1, "manufacturer": "Acme", "model": "PLUG-S1", "version": "1.0.0", "name": "Hall"}
    async_fire_mqtt_message(home.hass, "fwhub/device/plug-1/info", json.dumps(info))
    await until(lambda: home.hub._executor._queue)
    assert await home.hass.config_entries.async_reload(home.entry.entry_id)
    view = home.hub.device_view(PLUG)
    assert view is not None
    assert view.device.name == "Hall"


async def test_who_asks_a_hub_that_stops_is_told_so(home: Home) -> None:
    await offered(home)
    early = asyncio.create_task(home.hub.async_ask(ApproveRequested(PLUG, "anna")))
    await asyncio.sleep(0)  # the request lies there, and nobody has looked at it
    await home.hub.async_stop()
    for asking in (early, home.hub.async_ask(ApproveRequested(PLUG, "anna"))):
        with pytest.raises(OutsideFailed) as failed:
            await asking
        assert failed.value.reason is Reason.HUB_STOPPED
    assert home.hub.hub_view().waiting == 0


async def test_what_is_ordered_of_a_hub_that_stopped_is_refused(home: Home) -> None:
    await home.hub.async_stop()
    with pytest.raises(OutsideFailed) as failed:
        await order(home, QueryDevice(PLUG))
    assert failed.value.reason is Reason.HUB_STOPPED
