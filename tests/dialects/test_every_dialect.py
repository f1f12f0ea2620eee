"""What every dialect promises, whatever its family says on the wire."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any
from unicodedata import bidirectional, category

import pytest
from hypothesis import given, strategies as st

from custom_components.firmware_hub.core import limits
from custom_components.firmware_hub.core.errors import Refused
from custom_components.firmware_hub.core.fleet import Fleet
from custom_components.firmware_hub.core.inputs import (
    DeviceInput,
    DeviceLinkChanged,
    DeviceReported,
    DeviceWithdrawn,
    HealthReported,
    InstallReported,
    NetworkReported,
)
from custom_components.firmware_hub.core.model import ArtifactRole, Device
from custom_components.firmware_hub.dialects import ANNOUNCERS, BY_NAME, DIALECTS
from custom_components.firmware_hub.dialects.base import Dialect, InstallOrder, Message, Outgoing
from custom_components.firmware_hub.dialects.scheduler import Scheduler

from .talk import (
    FIXTURES,
    artifact,
    as_text,
    every_fixture,
    fault,
    fixture,
    fixture_names,
    fleet_of,
    matches,
    message,
    order,
    release,
)

ROOT = Path(__file__).parents[2]
DEVICE_INPUTS = (
    DeviceReported,
    DeviceLinkChanged,
    HealthReported,
    InstallReported,
    DeviceWithdrawn,
    NetworkReported,
)
FAMILIES = [pytest.param(dialect, id=dialect.name) for dialect in DIALECTS]
WITHOUT_CHOICE = [
    pytest.param(dialect, id=dialect.name)
    for dialect in DIALECTS
    if not (dialect.capabilities.chooses_artifact or dialect.capabilities.looks_up)
]
MAIN_FIXTURE = {
    "esphome": "acme_garage-1.2.0",
    "ha_update": "acme_a1-1.2.0",
    "open": "acme_plug_s1-1.1.0",
    "openbeken": "bk7231t-1.18.150",
    "openmqttgateway": "esp32dev_ble-1.8.0",
    "shelly": "plus_1-1.3.3",
    "shelly_gen1": "shelly_1-1.11.8",
    "tasmota": "sonoff_basic-14.5.0",
    "zigbee2mqtt": "ikea_led1545g12-2.14.1",
}
"""The conversation that stands for a family: the announcement first, that is what says who the device is."""
SHORT_URL = "http://192.168.1.2:8127/f/9f2c61/t.bin"
CONVERSATIONS = [
    pytest.param(dialect, name, id=f"{dialect.name}-{name}")
    for dialect in DIALECTS
    for name in fixture_names(dialect.name)
]


def conversation(dialect: Dialect) -> list[Message]:
    return fixture(dialect.name, MAIN_FIXTURE[dialect.name])


def announcement(dialect: Dialect) -> Message:
    return conversation(dialect)[0]


def known(dialect: Dialect) -> Fleet:
    """A fleet with the device of the main fixture, all of whose messages have been read."""
    return fleet_of(dialect, *conversation(dialect))


def the_device(dialect: Dialect) -> Device:
    return next(iter(known(dialect).devices.values()))


def what_is_retained(dialect: Dialect) -> Message:
    """The first message of the conversation that stays on the broker when the device is gone."""
    return next(each for each in conversation(dialect) if each.retained)


def install_order(dialect: Dialect, device: Device) -> InstallOrder:
    """An order for the image at ``SHORT_URL``, or where the family leaves no choice for whatever its vendor offers."""
    chooses = dialect.capabilities.chooses_artifact
    return order(device, SHORT_URL if chooses else "", vendor_chooses=not chooses)


def about_devices(heard: tuple[DeviceInput, ...]) -> tuple[DeviceInput, ...]:
    """What was heard of single devices: what a bridge says for its whole network names nobody who is not known."""
    return tuple(item for item in heard if not isinstance(item, NetworkReported))


def withdraws(item: DeviceInput, device: Device) -> bool:
    listed = item.device_ids if isinstance(item, NetworkReported) else None
    return item == DeviceWithdrawn(device.id) or (listed is not None and device.id not in listed)


def topics(dialect: Dialect) -> list[str]:
    return list(dict.fromkeys(each.topic for each in conversation(dialect)))


def orders(dialect: Dialect, device: Device) -> list[Outgoing]:
    """Everything that the dialect can write to a device."""
    return [
        *dialect.query(device),
        *dialect.install(install_order(dialect, device)),
        *(dialect.schedule(install_order(dialect, device)) if isinstance(dialect, Scheduler) else ()),
        *(dialect.unschedule(device, "a-7") if isinstance(dialect, Scheduler) else ()),
        *dialect.restore(device, dialect.borrows(device)),
        *dialect.commit(device, "a-7"),
        *dialect.rollback(device, "a-7"),
    ]


def reads_or_refuses(dialect: Dialect, told: Message, fleet: Fleet) -> tuple[DeviceInput, ...]:
    """Read a message; a refusal counts as nothing read. Any other exception fails the test."""
    refusal = fault(dialect, fleet, told)
    if refusal is not None:
        assert refusal.reason in {"malformed", "too_large", "unsupported_spec"}
        assert refusal.path
        return ()
    heard = dialect.read(told, fleet)
    assert all(isinstance(item, DEVICE_INPUTS) for item in heard)
    return heard


# --- what a dialect is -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("dialect", FAMILIES)
def test_a_family_that_says_that_its_bridges_wait_can_tell_them(dialect: Dialect) -> None:
    assert dialect.capabilities.schedules is isinstance(dialect, Scheduler)


def test_names_are_unique() -> None:
    assert len(BY_NAME) == len(DIALECTS)


@pytest.mark.parametrize("dialect", FAMILIES)
def test_the_name_is_that_of_its_module_its_fixtures_and_its_page(dialect: Dialect) -> None:
    assert type(dialect).__module__.split(".dialects.")[1].split(".")[0] == dialect.name
    assert fixture_names(dialect.name)
    assert (ROOT / "docs" / "dialects" / f"{dialect.name}.md").is_file()


def test_every_folder_of_fixtures_belongs_to_a_dialect() -> None:
    assert {path.name for path in FIXTURES.iterdir()} == set(BY_NAME)


@pytest.mark.parametrize("dialect", FAMILIES)
def test_an_install_of_the_usual_length_fits_the_familys_longest(dialect: Dialect) -> None:
    capabilities = dialect.capabilities
    assert 0 < capabilities.default_minutes * 60 <= capabilities.max_deadline.total_seconds()


@pytest.mark.parametrize("dialect", FAMILIES)
def test_filters_are_filters(dialect: Dialect) -> None:
    for topic_filter in (*dialect.filters, *dialect.filters_for(the_device(dialect))):
        levels = topic_filter.split("/")
        assert all("#" not in level and ("+" not in level or level == "+") for level in levels)
        assert any(level not in ("+", "") for level in levels)


# --- conversations ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("dialect", "name"), CONVERSATIONS)
def test_every_fixture_is_read_without_a_refusal(dialect: Dialect, name: str) -> None:
    fleet = fleet_of(dialect, *fixture(dialect.name, name))
    assert len(fleet.devices) == 1


@pytest.mark.parametrize(("dialect", "name"), CONVERSATIONS)
def test_text_and_bytes_are_read_alike(dialect: Dialect, name: str) -> None:
    fleet = known(dialect)
    for told in fixture(dialect.name, name):
        assert isinstance(told.payload, bytes)
        assert dialect.read(replace(told, payload=told.payload.decode()), fleet) == dialect.read(told, fleet)


@pytest.mark.parametrize(("dialect", "name"), CONVERSATIONS)
def test_everything_that_is_read_is_subscribed(dialect: Dialect, name: str) -> None:
    told = fixture(dialect.name, name)
    fleet = fleet_of(dialect, *told)
    (device,) = fleet.devices.values()
    filters = (*dialect.filters, *dialect.filters_for(device))
    for each in told:
        assert not dialect.read(each, fleet) or any(matches(wanted, each.topic) for wanted in filters)


@pytest.mark.parametrize("dialect", FAMILIES)
def test_the_announcement_is_found_by_the_familys_own_filters(dialect: Dialect) -> None:
    assert any(matches(wanted, announcement(dialect).topic) for wanted in dialect.filters)


@pytest.mark.parametrize("retained", [True, False])
@pytest.mark.parametrize("dialect", FAMILIES)
def test_nothing_that_is_read_is_fresher_than_its_message(dialect: Dialect, retained: bool) -> None:
    fleet = known(dialect)
    for told in conversation(dialect):
        for item in dialect.read(replace(told, retained=retained), fleet):
            assert not isinstance(item, DeviceWithdrawn)
            assert item.retained or not retained


@pytest.mark.parametrize("dialect", FAMILIES)
def test_a_stranger_is_known_by_its_announcement_only(dialect: Dialect) -> None:
    for told in conversation(dialect)[1:]:
        assert told.topic == announcement(dialect).topic or about_devices(dialect.read(told, Fleet())) == ()


@pytest.mark.parametrize("dialect", FAMILIES)
def test_reading_changes_nothing(dialect: Dialect) -> None:
    fleet = known(dialect)
    for told in conversation(dialect):
        assert dialect.read(told, fleet) == dialect.read(told, fleet)


@pytest.mark.parametrize("dialect", FAMILIES)
def test_other_families_are_passed_over(dialect: Dialect) -> None:
    fleet = known(dialect)
    others = [told for other in DIALECTS if other is not dialect for told in every_fixture(other.name)]
    if dialect.capabilities.generic:
        # That they are announced in its words too is what makes it generic; the core lets their own families win.
        others = [told for told in others if not told.topic.startswith("homeassistant/")]
    assert others
    assert all(dialect.read(told, fleet) == () for told in others)


@pytest.mark.parametrize(
    "topic", ["", "/", "//", "a", "$SYS/broker/uptime", "homeassistant/status", "\x00", "a" * 65_535]
)
@pytest.mark.parametrize("dialect", FAMILIES)
def test_topics_of_nobody_are_passed_over(dialect: Dialect, topic: str) -> None:
    assert dialect.read(message(topic, "{"), known(dialect)) == ()


@pytest.mark.parametrize("dialect", FAMILIES)
def test_what_is_retained_of_a_device_withdraws_it_when_it_is_cleared(dialect: Dialect) -> None:
    cleared = replace(what_is_retained(dialect), payload=b"")
    (item,) = dialect.read(cleared, known(dialect))
    assert withdraws(item, the_device(dialect))
    assert about_devices(dialect.read(cleared, Fleet())) == ()


@dataclass
class CountingBook:
    """An address book that counts how often it is asked."""

    fleet: Fleet
    asked: int = 0

    def at(self, dialect: str, address: str) -> Device | None:
        self.asked += 1
        return self.fleet.at(dialect, address)

    def is_claimed(self, dialect: str, address: str) -> bool:
        self.asked += 1
        return self.fleet.is_claimed(dialect, address)

    def get(self, device_id: str) -> Device | None:
        self.asked += 1
        return self.fleet.get(device_id)


@pytest.mark.parametrize("dialect", FAMILIES)
def test_reading_asks_the_book_a_few_times_at_most(dialect: Dialect) -> None:
    for told in conversation(dialect):
        book = CountingBook(known(dialect))
        dialect.read(told, book)
        assert book.asked <= 2 * told.topic.count("/") + 2


# --- orders ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("dialect", FAMILIES)
def test_an_install_is_one_message_with_the_address_in_it(dialect: Dialect) -> None:
    (command,) = dialect.install(install_order(dialect, the_device(dialect)))
    assert (SHORT_URL in command.payload) is dialect.capabilities.chooses_artifact


@pytest.mark.parametrize("dialect", WITHOUT_CHOICE)
def test_a_family_that_takes_only_its_vendors_choice_refuses_an_image_of_ours(dialect: Dialect) -> None:
    with pytest.raises(Refused):
        dialect.install(order(the_device(dialect), SHORT_URL))


@pytest.mark.parametrize("dialect", FAMILIES)
def test_whoever_looks_up_what_to_install_can_be_told_and_nobody_else(dialect: Dialect) -> None:
    assert (dialect.name in ANNOUNCERS) is dialect.capabilities.looks_up


@pytest.mark.parametrize("dialect", FAMILIES)
def test_every_order_goes_to_the_devices_own_command_topic(dialect: Dialect) -> None:
    device = the_device(dialect)
    for command in orders(dialect, device):
        assert command.topic.startswith(device.channel["command"]) or command.topic == device.channel.get("ask")
        assert not re.search(r"[+#\x00]", command.topic)


@pytest.mark.parametrize("dialect", FAMILIES)
def test_the_hub_does_not_hear_its_own_orders(dialect: Dialect) -> None:
    device = the_device(dialect)
    shared = (*dialect.filters, *(name for name in dialect.filters_for(device) if "+" in name))
    for command in orders(dialect, device):
        assert not any(matches(wanted, command.topic) for wanted in shared)
        assert dialect.read(message(command.topic, command.payload), known(dialect)) == ()


@pytest.mark.parametrize("dialect", FAMILIES)
def test_a_device_of_which_nothing_is_known_is_left_alone(dialect: Dialect) -> None:
    stranger = Device("x:1", dialect.name)
    assert dialect.query(stranger) == ()
    assert dialect.commit(stranger, "a-7") == ()
    assert dialect.rollback(stranger, "a-7") == ()
    assert dialect.restore(stranger, {"OtaUrl": "x"}) == ()


@pytest.mark.parametrize("dialect", FAMILIES)
def test_what_is_borrowed_is_what_the_capabilities_say(dialect: Dialect) -> None:
    assert tuple(dialect.borrows(the_device(dialect))) == dialect.capabilities.borrows


@pytest.mark.parametrize("model", ["PLUG-S1", "ESP8266", "ESP32-C3"])
@pytest.mark.parametrize("dialect", FAMILIES)
def test_files_are_served_under_names_of_ours_with_the_main_one_first(dialect: Dialect, model: str) -> None:
    main = artifact()
    served = dialect.serve_as(release(artifact(ArtifactRole.HELPER), main, model=model))
    assert next(iter(served.values())) is main
    assert all(re.fullmatch(r"[a-z0-9][a-z0-9.-]{1,30}", name) for name in served)


# --- hostile input ---------------------------------------------------------------------------------------------------

HOSTILE: Mapping[str, str | bytes] = {
    "no JSON": "{",
    "nothing but space": "  ",
    "a list": "[]",
    "a number": "1",
    "a text": '"x"',
    "null": "null",
    "an empty object": "{}",
    "no UTF-8": b'{"a":"\xff\xfe"}',
    "a NUL": b"\x00",
    "half of a pair": '{"dn":"\\ud800"}',
    "a name twice": '{"protocol":1,"protocol":2}',
    "NaN": '{"uptime_s":NaN}',
    "a number beyond all bounds": '{"counter":' + "9" * 10_000 + "}",
    "an exponent beyond all bounds": '{"uptime_s":1e999999}',
    "deeper than the stack": "[" * 100_000 + "]" * 100_000,
    "deeper than allowed": '{"a":' * 40 + "1" + "}" * 40,
    "a megabyte and one byte": b'{"a":"' + b"x" * (limits.MAX_PAYLOAD_BYTES + 1) + b'"}',
    "a megabyte of brackets": b"[" * limits.MAX_PAYLOAD_BYTES,
    "a megabyte of text": b"x" * limits.MAX_PAYLOAD_BYTES,
}


@pytest.mark.parametrize("payload", HOSTILE.values(), ids=HOSTILE.keys())
@pytest.mark.parametrize("dialect", FAMILIES)
def test_a_hostile_payload_is_refused_on_every_topic(dialect: Dialect, payload: str | bytes) -> None:
    fleet = known(dialect)
    for topic in topics(dialect):
        for each in (payload, payload.encode() if isinstance(payload, str) else payload):
            heard = reads_or_refuses(dialect, Message(topic, each), fleet)
            assert not any(isinstance(item, DeviceReported) and item.facts.version for item in heard)


@pytest.mark.parametrize("payload", HOSTILE.values(), ids=HOSTILE.keys())
@pytest.mark.parametrize("dialect", FAMILIES)
def test_a_hostile_announcement_finds_no_device(dialect: Dialect, payload: str | bytes) -> None:
    assert reads_or_refuses(dialect, Message(announcement(dialect).topic, payload), Fleet()) == ()


def places(value: Any, path: tuple[str | int, ...] = ()) -> Iterator[tuple[str | int, ...]]:
    """Every place in a document."""
    yield path
    children = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, child in children:
        yield from places(child, (*path, key))


def at(document: Any, path: tuple[str | int, ...]) -> Any:
    """What stands in one place."""
    for step in path:
        document = document[step]
    return document


def changed(document: Any, path: tuple[str | int, ...], value: Any) -> Any:
    """The document with another value in one place."""
    if not path:
        return value
    copy: Any = document.copy()
    copy[path[0]] = changed(document[path[0]], path[1:], value)
    return copy


WRONG: list[Any] = [None, True, -1, 2**63, 1.5, "", "x", [], ["x"], {}, {"x": 1}, "x" * 10_000, "a\x00\x1b[31m\u202e"]


def _json_messages(dialect: Dialect) -> list[tuple[str, Any]]:
    found = [(each.topic, as_text(each)) for each in conversation(dialect)]
    return [(topic, json.loads(payload)) for topic, payload in found if payload.startswith(("{", "["))]


@pytest.mark.parametrize("wrong", WRONG, ids=lambda value: repr(value)[:20])
@pytest.mark.parametrize("dialect", FAMILIES)
def test_a_wrong_value_in_any_place_is_refused_or_harmless(dialect: Dialect, wrong: Any) -> None:
    fleet = known(dialect)
    for topic, document in _json_messages(dialect):
        for path in places(document):
            heard = reads_or_refuses(dialect, message(topic, changed(document, path, wrong)), fleet)
            assert all(is_bounded(item) for item in heard)


def is_bounded(item: DeviceInput) -> bool:
    """Whether no text that is kept is long or holds control or direction characters."""
    texts = [getattr(item, "detail", ""), getattr(item, "device_id", "")]
    if isinstance(item, DeviceReported):
        facts = item.facts
        texts += [facts.name, facts.manufacturer, facts.model, facts.hardware, facts.variant, facts.version, facts.mac]
        texts += [*(facts.addresses or ()), *(facts.channel or {}).values(), *(facts.settings or {}).values()]
    return all(len(text) <= limits.MAX_TEXT + 20 and not any(map(is_unwanted, text)) for text in texts if text)


def is_unwanted(letter: str) -> bool:
    """Whether a letter steers a terminal or the direction of writing; one that is not given out yet does not."""
    marks = letter in "\u200e\u200f" or bidirectional(letter) in DIRECTING
    return marks or category(letter) in {"Cc", "Cs", "Zl", "Zp"}


DIRECTING = {"LRE", "RLE", "LRO", "RLO", "PDF", "LRI", "RLI", "FSI", "PDI"}


NAMES = {
    "control characters": "a\x00b\x1b[31mc\nd",
    "direction characters": "abc\u202edef\u2066",
    "markdown": "[click](javascript:alert(1)) ![x](http://evil/x.png) **bold** `code` | <script>alert(1)</script>",
    "ten thousand characters": "x" * 10_000,
    "slashes and wildcards": "../+/#/$SYS/%prefix%/%topic%",
    "a template": "{{ states('lock.door') }}",
    "an emoji": "💡 Küche",
}
NAME_PLACE: Mapping[str, tuple[str | int, ...]] = {
    "esphome": ("friendly_name",),
    "ha_update": ("dev", "name"),
    "open": ("name",),
    "openbeken": ("Status", "DeviceName"),
    "openmqttgateway": ("env",),
    "shelly": ("result", "name"),
    "shelly_gen1": ("id",),
    "tasmota": ("dn",),
    "zigbee2mqtt": (1, "friendly_name"),
}
"""Where the announcement has the name that a person gave, or what is shown instead."""
SPEAKS_UNDER_ITS_NAME = {"zigbee2mqtt"}


@pytest.mark.parametrize("name", NAMES.values(), ids=NAMES.keys())
@pytest.mark.parametrize("dialect", FAMILIES)
def test_a_hostile_name_is_one_short_line_and_leads_nowhere(dialect: Dialect, name: str) -> None:
    plain = json.loads(announcement(dialect).payload)
    told = message(announcement(dialect).topic, changed(plain, NAME_PLACE[dialect.name], name))
    (item,) = about_devices(dialect.read(told, Fleet()))
    (honest,) = about_devices(dialect.read(announcement(dialect), Fleet()))
    assert isinstance(item, DeviceReported)
    assert isinstance(honest, DeviceReported)
    assert item.facts.name is not None
    assert is_bounded(item)
    assert (item.device_id, item.facts.channel) == (honest.device_id, honest.facts.channel)
    assert item.facts.addresses == honest.facts.addresses or dialect.name in SPEAKS_UNDER_ITS_NAME
    assert not any(re.search(r"[+#\x00-\x1f]|//", address) for address in item.facts.addresses or ())


OWN_WORDS = (
    "acme-1234",
    "garage",
    "obk5A3B11",
    "OMG_BLE",
    "plug-0a1b",
    "tasmota_A1B2C3",
    "8CAAB5A1B2C3",
    "shellyplus1-a8032abe1234",
    "shelly1-B929CC",
    "zigbee2mqtt",
)
"""What stands in the topics of the main fixtures for the device itself."""


def as_another(topic: str, word: str) -> str:
    for own in OWN_WORDS:
        topic = topic.replace(own, word)
    return topic


ODD_TOPICS: list[Callable[[str], str]] = [
    lambda topic: topic.replace("/", "//"),
    lambda topic: f"/{topic}",
    lambda topic: f"{topic}/",
    lambda topic: topic.upper(),
    lambda topic: as_another(topic, "+"),
    lambda topic: as_another(topic, "#"),
    lambda topic: as_another(topic, "A" * 60_000),
    lambda topic: as_another(topic, "8CAAB5A1B2\x00\x00"),
]


@pytest.mark.parametrize("number", range(len(ODD_TOPICS)))
@pytest.mark.parametrize("dialect", FAMILIES)
def test_a_hostile_topic_finds_no_device(dialect: Dialect, number: int) -> None:
    odd = ODD_TOPICS[number]
    for told in conversation(dialect):
        moved = replace(told, topic=odd(told.topic))
        assert moved.topic == told.topic or reads_or_refuses(dialect, moved, Fleet()) == ()


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=300),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=20), inner, max_size=4),
    max_leaves=8,
)


@pytest.mark.parametrize("dialect", FAMILIES)
@given(data=st.data())
def test_no_message_ever_raises_anything_but_bad_input(dialect: Dialect, data: st.DataObject) -> None:
    topic, document = data.draw(st.sampled_from(_json_messages(dialect)))
    path = data.draw(st.sampled_from(list(places(document))))
    told = message(topic, changed(document, path, data.draw(json_values)), retained=data.draw(st.booleans()))
    assert all(is_bounded(item) for item in reads_or_refuses(dialect, told, known(dialect)))


@pytest.mark.parametrize("dialect", FAMILIES)
@given(data=st.data())
def test_no_bytes_ever_raise_anything_but_bad_input(dialect: Dialect, data: st.DataObject) -> None:
    told = Message(data.draw(st.sampled_from(topics(dialect))), data.draw(st.binary(max_size=200)))
    reads_or_refuses(dialect, told, known(dialect))


@pytest.mark.parametrize("dialect", FAMILIES)
@given(data=st.data())
def test_whatever_a_device_announces_orders_stay_in_its_own_place(dialect: Dialect, data: st.DataObject) -> None:
    """Hostile words in every member of an announcement: what can be ordered goes to one topic without wildcards."""
    plain = json.loads(announcement(dialect).payload)
    words = st.text("abc/+#$% \x00", max_size=12) | st.sampled_from(
        ["%prefix%", "%topic%", "%id%/%hostname%", "fwhub/x"]
    )
    texts = [path for path in places(plain) if isinstance(at(plain, path), str)]
    told = message(announcement(dialect).topic, changed(plain, data.draw(st.sampled_from(texts)), data.draw(words)))
    for item in about_devices(reads_or_refuses(dialect, told, Fleet())):
        assert isinstance(item, DeviceReported)
        device = replace(Device(item.device_id, dialect.name), channel=item.facts.channel or {})
        for command in dialect.query(device):
            assert not re.search(r"[+#\s\x00]", command.topic)
            assert not command.topic.startswith("$")
            assert command.topic.startswith("fwhub/") == (dialect.name == "open")
