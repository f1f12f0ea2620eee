"""One tap on "Update all" in a large home: one action call with every update entity in it."""

import asyncio
import json
from itertools import pairwise

import pytest
from pytest_homeassistant_custom_component.common import async_fire_mqtt_message

from custom_components.firmware_hub.core import limits
from simulator.images import Image
from tests.ha.home import Home, until

MANY, SOME = 1000, 60
"""A large home, and one in which every model is there more than once."""
MODELS = tuple(f"PLUG-S{number}" for number in range(10))
AT_ONCE = 3
"""How many are installed at a time in one network, where the owner says nothing else."""

pytestmark = pytest.mark.timeout(240)


def model_of(name: str) -> str:
    """Return the model of a device: they take turns."""
    return MODELS[int(name.rpartition("-")[2]) % len(MODELS)]


async def filled(home: Home, devices: int) -> list[str]:
    """Let devices of ten models move in; return their update entities once each has an offer."""
    for model in MODELS:
        home.vendor.add_release(Image("Acme", model, "1.1.0"))
    names = [f"plug-{number}" for number in range(devices)]
    for name in names:
        info = {"protocol": 1, "manufacturer": "Acme", "model": model_of(name), "version": "1.0.0", "name": name}
        async_fire_mqtt_message(home.hass, f"fwhub/device/{name}/info", json.dumps(info), 0, retain=True)
        async_fire_mqtt_message(home.hass, f"fwhub/device/{name}/availability", "online", 0, retain=True)
    await until(lambda: home.hub.hub_view().devices == len(names), 60)
    await until(lambda: None not in {home.entity_id(f"open:{name}") for name in names}, 60)
    await home.reread()
    entities = [entity_id for name in names if (entity_id := home.entity_id(f"open:{name}")) is not None]
    await until(lambda: all((state := home.hass.states.get(one)) and state.state == "on" for one in entities), 60)
    return entities


def published(home: Home, command: str) -> list[str]:
    """Return the devices to which a command went, in order."""
    found = []
    for call in home.mqtt.async_publish.call_args_list:
        topic = str(call.args[0]).split("/")
        if topic[-1] == "command" and json.loads(call.args[1])["command"] == command:
            found.append(topic[2])
    return found


def announced(home: Home, name: str, version: str) -> None:
    """Let a device say anew what it runs."""
    info = {"protocol": 1, "manufacturer": "Acme", "model": model_of(name), "version": version, "name": name}
    async_fire_mqtt_message(home.hass, f"fwhub/device/{name}/info", json.dumps(info))


async def sent(home: Home, count: int) -> list[str]:
    """Let every device answer what it is asked, until so many got their install command; return them."""
    answered = 0
    async with asyncio.timeout(60):
        while len(published(home, "install")) < count:
            asked = published(home, "report")
            for name in asked[answered:]:
                announced(home, name, "1.0.0")
            answered = len(asked)
            await asyncio.sleep(0.01)
    return published(home, "install")


async def quiet(home: Home) -> None:
    """Return when the hub has nothing more to do before something happens."""
    for _ in range(3):
        await home.hass.async_block_till_done()
        await home.hub.store.async_head()


async def test_by_day_all_are_approved_in_slices_and_none_is_started(home: Home) -> None:
    entities = await filled(home, MANY)
    waiting: list[int] = []

    async def look() -> None:
        while True:
            waiting.append(home.hub.hub_view().waiting)
            await asyncio.sleep(0)

    looking = asyncio.create_task(look())
    await home.call("update.install", entity_id=entities)
    looking.cancel()
    await quiet(home)
    assert waiting[0] == 0
    assert max(after - before for before, after in pairwise(waiting)) <= limits.APPROVALS_PER_TURN
    assert home.hub.hub_view().waiting == MANY
    assert home.hub.hub_view().running == 0
    assert {home.state(entity_id).attributes["reason"] for entity_id in entities} == {"waits_for_window"}
    assert published(home, "install") == []


async def test_approvals_are_written_down_before_the_answer(home: Home) -> None:
    entities = await filled(home, SOME)
    await home.call("update.install", entity_id=entities)
    await home.hass.config_entries.async_reload(home.entry.entry_id)
    assert home.hub.hub_view().waiting == SOME


async def test_a_second_tap_changes_nothing(home: Home) -> None:
    entities = await filled(home, SOME)
    await home.call("update.install", entity_id=entities)
    before = await home.hub.store.async_history(limit=1)
    await home.call("update.install", entity_id=entities)
    assert await home.hub.store.async_history(limit=1) == before
    assert home.hub.hub_view().waiting == SOME


async def test_by_night_no_more_run_than_are_allowed_and_the_first_of_each_kind_alone(night: Home) -> None:
    entities = await filled(night, MANY)
    await night.call("update.install", entity_id=entities)
    first = await sent(night, AT_ONCE)
    await quiet(night)
    assert len(published(night, "install")) == AT_ONCE
    assert len({model_of(name) for name in first}) == AT_ONCE
    assert night.hub.hub_view().running == AT_ONCE


async def test_what_ends_makes_room_for_the_first_of_another_kind(night: Home) -> None:
    entities = await filled(night, SOME)
    await night.call("update.install", entity_id=entities)
    first = await sent(night, AT_ONCE)
    attempt = next(
        json.loads(call.args[1])["id"]
        for call in night.mqtt.async_publish.call_args_list
        if call.args[0] == f"fwhub/device/{first[0]}/command" and json.loads(call.args[1])["command"] == "install"
    )
    await night.say(first[0], "status", {"id": attempt, "state": "failed", "reason": "no room"})
    announced(night, first[0], "1.0.0")
    after = await sent(night, AT_ONCE + 1)
    await quiet(night)
    assert len(published(night, "install")) == AT_ONCE + 1
    assert model_of(after[-1]) not in {model_of(name) for name in first}
