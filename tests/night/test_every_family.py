"""One night over all families at once: every way to go wrong once, and every device ends as its script says.

What happened is read from the broker's traffic and from the devices themselves, never from the hub that is judged; from
the hub come its verdicts. Home Assistant's own MQTT and Tasmota integrations live in the same house.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import Any

import pytest
from homeassistant.const import EVENT_STATE_CHANGED
from homeassistant.core import Event, State, callback
from homeassistant.helpers import entity_registry as er, issue_registry as ir
from pytest_homeassistant_custom_component.common import MockConfigEntry

from custom_components.firmware_hub.const import DOMAIN, EVENT_LIFECYCLE
from custom_components.firmware_hub.core import install
from custom_components.firmware_hub.core.asking import Asking
from custom_components.firmware_hub.core.errors import Reason
from custom_components.firmware_hub.core.inputs import CheckRequested
from custom_components.firmware_hub.core.model import InstallState as S
from simulator.devices.base import DeviceState, SimulatedDevice
from simulator.devices.zigbee2mqtt import ZigbeeDevice
from simulator.families import FAMILIES, offered, publish
from simulator.fleet import ZIGBEE2MQTT, Fleet
from simulator.images import Image
from simulator.tap import InstallCommand
from simulator.vendor import ZIGBEE_PATH
from tests.night.conftest import House

SPEED = 60.0
AT_ONCE = 8
"""Installs that the owner allows at a time in the one network of the house; a bridge takes one."""
UPSTAIRS = "upstairs/zigbee"
COMMAND_TIME, ANSWER_TIME = timedelta(seconds=8), timedelta(seconds=3)
"""Longer than in the other nights: so many devices at once are slower."""
ON_ITS_WAY = timedelta(seconds=2)
"""What a busy machine may take to write a command down and send it."""
NIGHT = timedelta(hours=5)
IMAGE_TYPES = 0x2000
"""Types of Zigbee images: this and the following."""

WELL = (S.SUCCEEDED, None)
CAME_BACK_OLD = (S.FAILED, Reason.CAME_BACK_OLD)
DARK = (S.TIMED_OUT, Reason.NO_RETURN)
LOST = (S.FAILED, Reason.LOST_IN_TRANSFER)
NOT_BEGUN = (S.FAILED, Reason.NOT_BEGUN)
NO_REACTION = (S.FAILED, Reason.NO_REACTION)
OTHER_IMAGE = (S.FAILED, Reason.WRONG_IMAGE)
REFUSED = (S.REJECTED, Reason.IMAGE_REFUSED)
SAID_SO = (S.FAILED, Reason.DEVICE_REPORTED_FAILURE)
STUCK = (S.FAILED, Reason.STUCK_IN_HELPER)
STOPPED = (None, Reason.MODEL_STOPPED)
UNDONE = (S.ROLLED_BACK, Reason.ROLLED_BACK_UNHEALTHY)
UNDID_ITSELF = (S.ROLLED_BACK, Reason.SELF_ROLLBACK)


@dataclass(frozen=True, slots=True)
class Script:
    """What one device does, and how its night has to end.

    Attributes:
        wrong: how it misbehaves, in the words of its family; empty: not at all.
        ends: its verdict and why; no verdict: it waits to the end, and why.
        commands: how many install commands the broker sees for it.
        known_as: what it is called beside its family, if not by what is wrong with it.
        like: the device (its name) of whose very model it is; by default nobody else is.
        chip: a Tasmota device's.
        base: of the bridge that it is behind.
        after: the device (its name) for whose verdict its owner waits before saying yes.
        moves_on: in the end it runs the new version; by default exactly if it succeeds.
        options: of the simulated device.
    """

    family: str
    wrong: str = ""
    ends: tuple[S | None, Reason | None] = WELL
    commands: int = 1
    known_as: str = ""
    like: str = ""
    chip: str = ""
    base: str = ""
    after: str = ""
    moves_on: bool | None = None
    options: Mapping[str, Any] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """What the device is called, wherever it speaks."""
        return f"{self.family}-{self.known_as or self.wrong or 'well'}"

    @property
    def new(self) -> str:
        """The version that is published for it."""
        return FAMILIES[self.family].new

    @property
    def runs(self) -> str:
        """The version that it has to run in the end."""
        moves_on = self.ends == WELL if self.moves_on is None else self.moves_on
        return self.new if moves_on else FAMILIES[self.family].old.version


DUAL, ONE_STAGE = {"slots": 2}, {"safeboot": False}
SLOWER = {"speed": 12.0}
"""That such a device restarted shows in how long it runs, in whole seconds: not too fast."""
FASTER = {"speed": 200.0}
"""A gateway measures itself every two minutes, and there is no other way to ask it."""

# Models are their own, so that one that is stopped stops nobody else.
SCRIPTS = (
    # The radio: one at a time behind each bridge.
    Script("zigbee2mqtt", "never_returns", DARK, base=ZIGBEE2MQTT),
    Script("zigbee2mqtt", "stalls", SAID_SO, base=ZIGBEE2MQTT),
    Script("zigbee2mqtt", "refuses_image", REFUSED, base=ZIGBEE2MQTT),
    Script("zigbee2mqtt", "file_unusable", SAID_SO, base=ZIGBEE2MQTT),
    Script("zigbee2mqtt", "comes_back_old", CAME_BACK_OLD, base=ZIGBEE2MQTT),
    Script("zigbee2mqtt", base=ZIGBEE2MQTT),
    Script("zigbee2mqtt", "deaf_to_updates", NOT_BEGUN, commands=2, base=UPSTAIRS),
    Script("zigbee2mqtt", "overtaken", NOT_BEGUN, commands=2, base=UPSTAIRS),
    Script("zigbee2mqtt", "kills_bridge", SAID_SO, base=UPSTAIRS),
    Script("zigbee2mqtt", "gives_up", SAID_SO, base=UPSTAIRS),
    Script("zigbee2mqtt", "no_announce", base=UPSTAIRS),
    Script("zigbee2mqtt", known_as="upstairs", base=UPSTAIRS),
    # Tasmota's three ways to load an image, and what becomes of them.
    Script("tasmota", known_as="safeboot", chip="ESP32"),
    Script("tasmota", "old_words", like="tasmota-safeboot", chip="ESP32"),
    Script("tasmota", known_as="one_stage", chip="ESP32-C2", options=ONE_STAGE),
    Script("tasmota", "fails", SAID_SO, known_as="fails_in_safeboot", chip="ESP32-C3"),
    Script("tasmota", "fails", SAID_SO, chip="ESP32-S2", options=ONE_STAGE),
    Script("tasmota", "not_modified", CAME_BACK_OLD, chip="ESP32-S3", options=ONE_STAGE),
    Script("tasmota", "boots_other_image", OTHER_IMAGE, chip="ESP32-SOLO1", moves_on=True),
    Script("tasmota", "stuck_in_minimal", STUCK, chip="ESP8266", after="tasmota-two_stages", moves_on=True),
    # Two slots: the new image is on trial until the hub has seen that it is well.
    Script("open", known_as="two_slots", options=DUAL),
    Script("open", "fails_self_test", UNDONE, options=DUAL),
    Script("open", "fails_and_goes_back", UNDONE, options=DUAL),
    Script("open", "comes_back_old", UNDID_ITSELF, known_as="undoes_itself", options=DUAL),
    Script("open", "comes_back_old", CAME_BACK_OLD),
    Script("open", "reports_failed", SAID_SO),
    Script("open", "reports_rejected", REFUSED),
    Script("open", "lies_about_success", CAME_BACK_OLD),
    Script("open", "identity_changes", OTHER_IMAGE, moves_on=True),
    Script("open"),
    Script("open", known_as="twin", like="open-well"),
    Script(
        "open",
        known_as="of_a_lost_kind",
        ends=STOPPED,
        commands=0,
        like="open-never_returns",
        after="open-never_returns",
    ),
    Script("shelly"),
    Script("shelly", "fails", SAID_SO),
    Script("shelly", "no_notifications"),
    Script("shelly_gen1"),
    Script("shelly_gen1", "comes_back_old", CAME_BACK_OLD, options=SLOWER),
    Script("esphome"),
    Script("openbeken"),
    Script("openmqttgateway", options=FASTER),
    Script("ha_update"),
    Script("ha_update", "announces_whole"),
    Script("ha_update", "says_only_versions"),
    # Whoever takes longest to be judged.
    Script("open", "ignores_commands", NO_REACTION, commands=2),
    Script("esphome", "fails", NO_REACTION, commands=2),
    Script("openbeken", "does_nothing", NO_REACTION, commands=2),
    Script("openmqttgateway", "does_nothing", NO_REACTION, commands=2, options=FASTER),
    Script("shelly", "busy", NOT_BEGUN, commands=2),
    Script("shelly", "does_nothing", LOST),
    Script("openmqttgateway", "fails", CAME_BACK_OLD, options=SLOWER),
    Script("open", "stuck_at_zero", LOST),
    Script("tasmota", "bricks", DARK, chip="ESP32-C6"),
    Script("open", "never_returns", DARK),
    Script("esphome", "never_returns", DARK),
    Script("openbeken", "never_returns", DARK),
    Script("ha_update", "does_nothing", NO_REACTION),
    Script("ha_update", "fails", LOST),
    Script("tasmota", known_as="two_stages", chip="ESP8266"),
)
LATE = Script("open", known_as="after_the_window", ends=(None, Reason.WAITS_FOR_WINDOW), commands=0)
CAST = (*SCRIPTS, LATE)

SHOWN_BY_MQTT = frozenset({"esphome", "openmqttgateway", "ha_update", "zigbee2mqtt"})
"""Families whose updates Home Assistant's own MQTT shows as well."""
AT_WORK = frozenset({DeviceState.DOWNLOADING, DeviceState.FLASHING, DeviceState.REBOOTING, DeviceState.TRIAL})


@pytest.fixture
def mqtt_options(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """Let Home Assistant's own MQTT show what it finds, and load no integration whose libraries are not there."""

    async def no_other_integrations(_hass: Any) -> dict[str, list[str]]:
        return {}

    monkeypatch.setattr("homeassistant.components.mqtt.discovery.async_get_mqtt", no_other_integrations)
    return {"birth_message": {}, "discovery": True}


@pytest.fixture
def short_limits(short_limits: None, monkeypatch: pytest.MonkeyPatch) -> None:
    """Give a device more time than where it is alone; and questions by radio need no time between them."""
    monkeypatch.setattr(install.Context, "command_time", COMMAND_TIME)
    monkeypatch.setattr(install.Context, "answer_time", ANSWER_TIME)
    monkeypatch.setattr(Asking, "_take", lambda *_: None)


@pytest.fixture
def expected_lingering_tasks() -> bool:
    """The library behind the Tasmota integration asks for states after a second, and never takes that back."""
    return True


class Night:
    """The house with all devices in it, and what was seen of them."""

    def __init__(self, house: House) -> None:
        """Begin with nobody."""
        self.house = house
        self.fleet = Fleet(house.broker.host, house.broker.port, speed=SPEED)
        self.most: Counter[str] = Counter()
        """By network, how many devices were at work at the same time."""
        self.rested: dict[str, datetime] = {}
        """When a device was last seen to come to rest."""
        self._at_work: set[str] = set()
        self.opens = self.closes = datetime.max.replace(tzinfo=UTC)
        self.endings: dict[str, tuple[S | None, Reason | None]] = {}

    # --- setting the house up ----------------------------------------------------------------------------------------

    async def begin(self) -> None:
        """Publish, set up what shows devices beside the hub, and switch everybody on."""
        hass, vendor = self.house.hass, self.house.vendor
        await hass.config.async_set_time_zone("UTC")
        for script in CAST:
            if not script.like:
                publish(vendor, script.family, replace(image_of(script), version=script.new), **published_as(script))
        vendor.publish_again()
        sources = {**self.house.entry.options["public_sources"], "tasmota_mirror": vendor.releases_url}
        self.set_options(parallel_installs=AT_ONCE, public_sources={**sources, "tasmota_enabled": True})
        self.set_window(datetime.now(UTC) + NIGHT)
        await self.house.coordinator.async_ask(CheckRequested("test"))
        tasmota = MockConfigEntry(domain="tasmota", data={"discovery_prefix": "tasmota/discovery"})
        tasmota.add_to_hass(hass)
        assert await hass.config_entries.async_setup(tasmota.entry_id)
        for script in CAST:
            self.add(script)
        self.fleet.index = vendor.pages[ZIGBEE_PATH]
        await self.house.stack.enter_async_context(self.fleet)

    def add(self, script: Script) -> None:
        """Put a device into the house."""
        image = image_of(script)
        options = {"misbehaviours": [script.wrong] if script.wrong else [], **script.options}
        options |= offered(self.house.vendor, script.family, replace(image, version=script.new))
        if script.family == "zigbee2mqtt":
            options |= {"base": script.base, **published_as(script)}
        device: SimulatedDevice = getattr(self.fleet, script.family)(script.name, image, **options)
        self.house.devices[script.name] = device
        device.on_change(lambda: self._look(script, device))

    def _look(self, script: Script, device: SimulatedDevice) -> None:
        if device.state in AT_WORK and device.record.commands:
            self._at_work.add(script.name)
            now = Counter(other.base for other in CAST if other.name in self._at_work)
            self.most[script.base] = max(self.most[script.base], now[script.base])
        elif script.name in self._at_work:
            self._at_work.remove(script.name)
            self.rested[script.name] = datetime.now(UTC)

    def set_options(self, **options: Any) -> None:
        """Set the hub up anew, as its owner does."""
        entry = self.house.entry
        self.house.hass.config_entries.async_update_entry(entry, options={**entry.options, **options})

    def set_window(self, start: datetime) -> None:
        """Let the window open at this second, and close five hours later."""
        start, end = start.replace(microsecond=0), start + NIGHT
        self.set_options(window_start=f"{start:%H:%M:%S}", window_end=f"{end:%H:%M:%S}")

    # --- the night ---------------------------------------------------------------------------------------------------

    async def until(self, who: Iterable[Script], fact: Callable[[Script], object], seconds: float) -> None:
        """Wait until a fact holds for everybody, looking whenever Home Assistant shows or hears something new."""
        left, news = list(who), asyncio.Event()

        @callback
        def heard(_: Event[Any]) -> None:
            news.set()

        kinds = (EVENT_STATE_CHANGED, EVENT_LIFECYCLE)
        unsubscribe = [self.house.hass.bus.async_listen(kind, heard) for kind in kinds]
        try:
            async with asyncio.timeout(seconds):
                while left := [script for script in left if not fact(script)]:
                    news.clear()
                    await news.wait()
        except TimeoutError:
            known = [(script.name, self.ended(script), self.house.devices[script.name]) for script in left]
            raise TimeoutError(f"not within {seconds} s: {known}") from None
        finally:
            for stop in unsubscribe:
                stop()

    async def approve(self, who: Iterable[Script]) -> None:
        """Press "Install" for all of them in one call."""
        entities = [self.shown(script).entity_id for script in who]
        await self.house.hass.services.async_call("update", "install", {"entity_id": entities}, blocking=True)

    def is_known(self, script: Script) -> bool:
        """Whether the hub shows the device and has something for it."""
        view = self.house.coordinator.device_view(self.house.device_id(script.name))
        return view is not None and view.offer is not None

    def shown(self, script: Script) -> State:
        """Return the state of the hub's own entity of a device."""
        device_id = self.house.device_id(script.name)
        states = self.house.hass.states.async_all("update")
        return next(state for state in states if state.attributes.get("hub_device_id") == device_id)

    def ended(self, script: Script) -> tuple[S | None, Reason | None]:
        """Return a device's verdict and why, or why it waits."""
        view = self.house.coordinator.device_view(self.house.device_id(script.name))
        if view is None or view.install is not None or view.last is None:
            return (None, view.reason if view else None)
        return (view.last.state, view.last.reason)

    def is_over(self, script: Script) -> bool:
        """Whether there is a verdict, or an answer, where none is to come."""
        return self.ended(script)[0] is not None or (script.ends[0] is None and self.ended(script) == script.ends)

    def waits_for_window(self, script: Script) -> bool:
        """Whether a device's install waits for the night."""
        return self.ended(script) == (None, Reason.WAITS_FOR_WINDOW)

    async def approve_after(self, script: Script) -> None:
        """Say yes as soon as another device has its verdict."""
        await self.until([named(script.after)], self.is_over, 90)
        await self.approve([script])

    async def play(self) -> None:
        """Approve everything by day; the window opens by itself, and is closed again when all is over."""
        at_once = [script for script in SCRIPTS if not script.after]
        await self.until(CAST, self.is_known, 30)
        await self.approve(at_once)
        await self.until(at_once, self.waits_for_window, 10)
        self.opens = datetime.now(UTC).replace(microsecond=0) + timedelta(seconds=2)
        self.set_window(self.opens)
        async with asyncio.TaskGroup() as group:
            for script in SCRIPTS:
                if script.after:
                    group.create_task(self.approve_after(script))
            await self.until(SCRIPTS, self.is_over, 120)
        self.endings = {script.name: self.ended(script) for script in SCRIPTS}
        self.closes = datetime.now(UTC)
        self.set_window(self.closes + NIGHT)
        await self.approve([LATE])
        await self.until([LATE], self.waits_for_window, 10)
        self.endings[LATE.name] = self.ended(LATE)
        await self.house.tap.settle()

    # --- judging -----------------------------------------------------------------------------------------------------

    def commands(self, script: Script) -> list[InstallCommand]:
        """Return the install commands that the broker saw for a device."""
        device = self.house.devices[script.name]
        return self.house.tap.install_commands(device.ieee if isinstance(device, ZigbeeDevice) else device.name)

    def wrong_endings(self) -> Iterator[str]:
        """Tell who did not end as its script says."""
        for script in CAST:
            expected = (*script.ends, script.commands, script.runs)
            found = (*self.endings[script.name], len(self.commands(script)), self.house.devices[script.name].version)
            if found != expected:
                yield f"{script.name}: {found} instead of {expected}"

    def wrong_commands(self) -> Iterator[str]:
        """Tell which commands broke a promise, by what the broker saw and by what the devices took."""
        tap = self.house.tap
        for command in tap.outside(lambda at: self.opens <= at < self.closes):
            yield f"outside the window, {self.opens} to {self.closes}: {command}"
        for seen in tap.lasting_commands():
            yield f"retained, or with a QoS: {seen}"
        for script in CAST:
            record, commands = self.house.devices[script.name].record, self.commands(script)
            if record.late_commands:
                yield f"{script.name}: {record.late_commands}"
            if {command.dialect for command in commands} - {script.family}:
                yield f"{script.name}: another family's: {commands}"
            # Its time began when it was written down, which is before it was sent.
            if any(after.at - before.at < COMMAND_TIME - ON_ITS_WAY for before, after in pairwise(commands)):
                yield f"{script.name}: again before the time of the first was over: {commands}"
            attempts = [command.attempt for command in commands if script.family in NAMES_ATTEMPTS]
            if len(set(attempts)) < len(attempts):
                yield f"{script.name}: one attempt twice: {commands}"

    def too_many(self) -> Iterator[str]:
        """Tell where more devices were at work at a time than allowed, or one beside the first of its kind."""
        for network in ("", ZIGBEE2MQTT, UPSTAIRS):
            if not 0 < self.most[network] <= (1 if network else AT_ONCE):
                yield f"{self.most[network]} at work at a time in {network or 'the house'}"
            if network and (most := at_once_at(self.house, network)) != 1:
                yield f"{most} requests at a time at the bridge {network}"
        if self.most[""] < AT_ONCE // 2:
            yield f"only {self.most['']} were ever at work at a time"
        for script in SCRIPTS:
            if script.like and script.commands:
                first, second = sorted((script, named(script.like)), key=lambda each: self.commands(each)[0].at)
                if self.commands(second)[0].at < self.rested[first.name]:
                    yield f"{second.name} did not wait for {first.name}"

    def not_shown(self) -> Iterator[str]:
        """Tell whom Home Assistant's own integrations do not show beside the hub, on one device."""
        registry = er.async_get(self.house.hass)
        for script in CAST:
            ours = registry.async_get(self.shown(script).entity_id)
            assert ours is not None
            beside = er.async_entries_for_device(registry, str(ours.device_id))
            found = {entity.platform for entity in beside} - {DOMAIN}
            if found != shown_by(script):
                yield f"{script.name}: beside the hub {found}"
            updates = [entity.entity_id for entity in beside if (entity.domain, entity.platform) == ("update", "mqtt")]
            if script.family in SHOWN_BY_MQTT and (len(updates), script.ends) == (1, WELL):
                state = self.house.hass.states.get(updates[0])
                if state is None or str(state.attributes.get("installed_version")).removeprefix("v") != script.new:
                    yield f"{script.name}: MQTT shows {state}"
            elif script.family in SHOWN_BY_MQTT and len(updates) != 1:
                yield f"{script.name}: MQTT shows {updates}"


NAMES_ATTEMPTS = frozenset({"open", "shelly", "zigbee2mqtt"})
"""Families whose commands carry the id of their attempt."""


def named(name: str) -> Script:
    """Return a device's script."""
    return next(script for script in CAST if script.name == name)


def image_of(script: Script) -> Image:
    """Return what a device runs at first: of a model of its own, but for a chip that others have as well."""
    old = FAMILIES[script.family].old
    if script.chip:
        variants = {"ESP8266": "tasmota", "ESP32-SOLO1": "solo1"}
        return replace(old, model=script.chip, variant=variants.get(script.chip, "tasmota32"))
    return replace(old, model=f"{old.model}{number_of(script)}")


def number_of(script: Script) -> int:
    """Return the number of a device's model."""
    return CAST.index(named(script.like) if script.like else script)


def published_as(script: Script) -> dict[str, Any]:
    """Return what an image's publisher says of it beside the image."""
    if script.family == "zigbee2mqtt":
        return {"image_type": IMAGE_TYPES + number_of(script)}
    return {"dual_bank": True} if script.options == DUAL else {}


def shown_by(script: Script) -> set[str]:
    """Return the integrations of Home Assistant that show a device as well."""
    if script.family in SHOWN_BY_MQTT:
        return {"mqtt"}
    return {"tasmota"} if script.family == "tasmota" else set()


def at_once_at(house: House, base: str) -> int:
    """Count how many updates a bridge had been asked for at a time and had not answered, by the broker's traffic."""
    requests, answers = (f"{base}/bridge/{kind}/device/ota_update/update" for kind in ("request", "response"))
    open_requests: set[str] = set()
    most = 0
    for seen in house.tap.messages:
        if seen.topic == requests:
            open_requests.add(seen.json["transaction"])
        elif seen.topic == answers:
            open_requests.discard(seen.json.get("transaction"))
        elif seen.topic == f"{base}/bridge/state" and seen.json == {"state": "offline"}:
            open_requests.clear()
        most = max(most, len(open_requests))
    return most


@pytest.mark.timeout(240)
async def test_one_night_over_all_families_ends_as_every_script_says(house: House) -> None:
    night = Night(house)
    await night.begin()
    await night.play()
    assert len(CAST) >= 40
    assert {script.family for script in CAST} == set(FAMILIES)
    faults = [*night.wrong_endings(), *night.wrong_commands(), *night.too_many(), *night.not_shown()]
    assert not faults, "\n".join(faults)
    issues = ir.async_get(house.hass).issues
    assert any(domain == DOMAIN and issue_id.startswith("other_updater") for domain, issue_id in issues)
