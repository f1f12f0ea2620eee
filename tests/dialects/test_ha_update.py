"""Devices that announce an update to Home Assistant: what is read, what is refused, whose place they do not take."""

from __future__ import annotations

from typing import Any

import pytest

from custom_components.firmware_hub.core.errors import Reason, Refused
from custom_components.firmware_hub.core.fleet import Fleet
from custom_components.firmware_hub.core.inputs import (
    DeviceInput,
    DeviceLinkChanged,
    DeviceReported,
    DeviceWithdrawn,
    InstallReported,
    LastingOrderSeen,
    Stage,
)
from custom_components.firmware_hub.core.model import OFFERED, Device, DeviceFacts, OfferedNotes
from custom_components.firmware_hub.dialects.base import Message, Outgoing
from custom_components.firmware_hub.dialects.ha_update import HaUpdateDialect

from .talk import NOW, artifact, fault, fixture, fleet_of, message, only_device, order, release

DIALECT = HaUpdateDialect()
TOPIC = "homeassistant/update/lamp/config"
OTHER = "homeassistant/update/other/config"
WHOLE = "homeassistant/device/lamp/config"
DEVICE: dict[str, Any] = {"ids": ["lamp-1"], "name": "Lamp", "mf": "Acme", "mdl": "L1"}
PLAIN: dict[str, Any] = {
    "uniq_id": "lamp-1-fw",
    "stat_t": "lamp/1/state",
    "cmd_t": "lamp/1/install",
    "pl_inst": "GO",
    "dev": DEVICE,
}
COMPONENT: dict[str, Any] = {"p": "update", **{key: PLAIN[key] for key in ("uniq_id", "stat_t", "cmd_t", "pl_inst")}}


def lamp(**changes: Any) -> Fleet:
    """A fleet with the lamp that announced itself like this."""
    return fleet_of(DIALECT, message(TOPIC, PLAIN | changes))


def whole(**components: Any) -> dict[str, Any]:
    return {"dev": DEVICE, "o": {"name": "x"}, "cmps": components}


def said(fleet: Fleet, payload: Any, topic: str = "lamp/1/state", *, retained: bool = False) -> tuple[DeviceInput, ...]:
    return DIALECT.read(message(topic, payload, retained=retained), fleet)


def refused(config: Any, fleet: Fleet | None = None, topic: str = TOPIC) -> tuple[str, str]:
    found = fault(DIALECT, fleet or Fleet(), message(topic, config))
    assert found is not None
    return found.reason, found.path


# --- announcements ---------------------------------------------------------------------------------------------------


def test_a_component_says_who_and_where_the_device_is() -> None:
    device = only_device(fleet_of(DIALECT, *fixture("ha_update", "acme_a1-1.2.0")[:1]))
    assert device.id == "mac:02005E001234"
    assert (device.name, device.manufacturer, device.model, device.hardware) == ("Acme", "Acme", "A1", "rev2")
    assert device.version == ""
    assert device.channel == {
        "command": "acme/acme-1234/update/install",
        "install": "INSTALL",
        "state": "acme/acme-1234/update",
        "availability": "acme/acme-1234/LWT",
        "online": "online",
        "offline": "offline",
        "component": "acme-1234-fw",
    }


def test_a_device_says_it_with_all_its_components() -> None:
    device = only_device(fleet_of(DIALECT, *fixture("ha_update", "gate_box-v2.4.1")))
    assert (device.id, device.version, device.settings) == ("ha_update:gate-box-7f", "2.5.0", {OFFERED: "2.5.0"})
    assert device.channel["command"] == "gate/7f/do"
    assert set(DIALECT.filters_for(device)) == {"gate/7f/state", "gate/7f/latest", "gate/7f/status", "gate/7f/do"}


@pytest.mark.parametrize(
    ("who", "identity"),
    [
        ({"ids": "AA-0A-00-11-22-33"}, "mac:AA0A00112233"),
        ({"ids": ["ab0A00112233"]}, "ha_update:ab0A00112233"),
        ({"ids": ["x"], "cns": [["bluetooth", "02:00:5e:00:12:34"], ["mac", "020a00112233"]]}, "mac:020A00112233"),
        ({"ids": ["zigbee2mqtt_0x00124B0024C1A2B3"]}, "ieee:0x00124b0024c1a2b3"),
        ({"ids": ["000000000000", "x"]}, "ha_update:000000000000"),
        ({"name": "nobody"}, "ha_update:lamp-1-fw"),
    ],
)
def test_identity_is_that_of_the_hardware_where_it_is_said(who: dict[str, Any], identity: str) -> None:
    assert only_device(lamp(dev=who)).id == identity


def test_without_a_device_it_is_known_by_its_unique_id() -> None:
    device = only_device(fleet_of(DIALECT, message(TOPIC, {**PLAIN, "name": "Bare", "dev": None})))
    assert (device.id, device.name, device.model) == ("ha_update:lamp-1-fw", "Bare", "")


def test_one_without_any_name_is_left_alone() -> None:
    assert lamp(dev=None, uniq_id=None).devices == {}


def test_a_component_without_a_unique_id_is_known_by_its_topic() -> None:
    assert only_device(lamp(uniq_id=None)).channel["component"] == TOPIC


@pytest.mark.parametrize("absent", ["cmd_t", "stat_t", "pl_inst"])
def test_what_cannot_be_installed_or_read_is_left_alone(absent: str) -> None:
    assert lamp(**{absent: None}).devices == {}


@pytest.mark.parametrize(
    "command", ["zigbee2mqtt/bridge/request/device/ota_update/update", "home/omg/commands/MQTTtoSYS/firmware_update"]
)
def test_what_another_family_says_better_is_left_to_it(command: str) -> None:
    assert lamp(cmd_t=command).devices == {}


def test_a_device_that_its_own_family_knows_is_left_to_it() -> None:
    fleet = Fleet()
    fleet.expect_burst(NOW)
    fleet.merge(DeviceReported("mac:02005E001234", "open", DeviceFacts(name="x")), NOW)
    assert DIALECT.read(fixture("ha_update", "acme_a1-1.2.0")[0], fleet) == ()


def test_a_second_update_of_one_device_is_refused() -> None:
    other = {**PLAIN, "uniq_id": "lamp-1-radio"}
    assert refused(other, lamp()) == ("unsupported_spec", "unique_id")


def test_of_several_components_the_firmware_is_meant() -> None:
    radio = {**COMPONENT, "uniq_id": "radio", "cmd_t": "lamp/1/radio"}
    told = message(WHOLE, whole(a=radio, b={**COMPONENT, "dev_cla": "firmware"}))
    assert only_device(fleet_of(DIALECT, told)).channel["command"] == "lamp/1/install"


def test_several_that_are_alike_are_refused() -> None:
    radio = {**COMPONENT, "uniq_id": "radio"}
    firmware = {"dev_cla": "firmware"}
    assert refused(whole(a=radio, b=COMPONENT), topic=WHOLE) == ("unsupported_spec", "components")
    assert refused(whole(a=radio | firmware, b=COMPONENT | firmware), topic=WHOLE)[0] == "unsupported_spec"


@pytest.mark.parametrize(
    "config",
    [
        {"dev": DEVICE},
        whole(),
        whole(a={"p": "sensor", "uniq_id": "x"}),
        whole(a={"p": "update"}),
        whole(a={"p": "update", "uniq_id": "x", "stat_t": "a/b"}),
    ],
)
def test_a_device_without_an_update_to_install_is_none_of_ours(config: dict[str, Any]) -> None:
    assert DIALECT.read(message(WHOLE, config), Fleet()) == ()


def test_a_component_that_is_no_object_is_refused() -> None:
    assert refused(whole(a="x"), topic=WHOLE) == ("malformed", "components.a")


def test_an_update_that_is_taken_out_of_a_device_withdraws_it() -> None:
    fleet = fleet_of(DIALECT, message(WHOLE, whole(a=COMPONENT)))
    assert DIALECT.read(message(WHOLE, whole(a={"p": "update"})), fleet) == (DeviceWithdrawn("ha_update:lamp-1"),)


def test_topics_may_be_shared_by_the_components_and_have_a_base() -> None:
    config = {**whole(a={"p": "update", "uniq_id": "x", "pl_inst": "GO", "stat_t": "~/s"}), "~": "b", "cmd_t": "do/~"}
    channel = only_device(fleet_of(DIALECT, message(WHOLE, config))).channel
    assert (channel["state"], channel["command"]) == ("b/s", "do/b")


@pytest.mark.parametrize(
    "topic", ["a/+", "a/#", "/a", "a/", "a//b", "$SYS/a", "fwhub/device/x/command", "homeassistant/x"]
)
def test_topics_that_are_nobodys_are_refused(topic: str) -> None:
    assert refused({**PLAIN, "cmd_t": topic}) == ("malformed", "command_topic")


def test_a_topic_that_is_no_text_is_refused() -> None:
    assert refused({**PLAIN, "~": "x", "cmd_t": 1}) == ("malformed", "command_topic")


def test_one_that_speaks_where_it_listens_is_refused() -> None:
    assert refused({**PLAIN, "stat_t": "lamp/1/install"}) == ("malformed", "command_topic")


@pytest.mark.parametrize("key", ["val_tpl", "l_ver_tpl"])
def test_a_template_that_is_a_program_is_refused(key: str) -> None:
    template = "{{ 'ON' if value_json.fw else 'OFF' }}"
    assert refused({**PLAIN, key: template})[0] == "unsupported_spec"


def test_two_devices_that_would_take_one_order_are_in_conflict() -> None:
    other = {**PLAIN, "dev": {"ids": ["other"]}, "stat_t": "lamp/2/state", "uniq_id": "o"}
    fleet = fleet_of(DIALECT, message(TOPIC, PLAIN), message("homeassistant/update/other/config", other))
    assert all(fleet.in_conflict(device) for device in fleet.devices.values())


def test_one_topic_for_commands_is_enough_where_the_orders_differ() -> None:
    other = {**PLAIN, "dev": {"ids": ["other"]}, "stat_t": "lamp/2/state", "uniq_id": "o", "pl_inst": "GO other"}
    fleet = fleet_of(DIALECT, message(TOPIC, PLAIN), message("homeassistant/update/other/config", other))
    assert not any(fleet.in_conflict(device) for device in fleet.devices.values())


# --- availability ----------------------------------------------------------------------------------------------------


def test_a_bridges_own_availability_is_left_to_one_device_and_is_no_conflict() -> None:
    shared = {"avty": [{"t": "lamp/bridge"}, {"t": "lamp/1/there"}]}
    other = {**PLAIN, "dev": {"ids": ["other"]}, "stat_t": "lamp/2/state", "cmd_t": "lamp/2/go", "uniq_id": "o"}
    fleet = fleet_of(
        DIALECT,
        message(TOPIC, PLAIN | {"avty_t": "lamp/bridge"}),
        message("homeassistant/update/other/config", other | {"avty_t": "lamp/bridge"}),
        message(TOPIC, PLAIN | shared),
        message(TOPIC, PLAIN | shared),
    )
    first, second = fleet.devices.values()
    assert first.channel["availability"] == "lamp/1/there"
    assert "availability" not in second.channel
    assert not fleet.in_conflict(first)


def test_availability_in_the_announcements_own_words() -> None:
    fleet = lamp(
        avty={"topic": "lamp/1/there", "pl_avail": "1", "pl_not_avail": "0", "val_tpl": "{{ value_json.a.b }}"}
    )
    device = only_device(fleet)
    assert said(fleet, {"a": {"b": "1"}}, "lamp/1/there") == (DeviceLinkChanged(device.id, True),)
    assert said(fleet, {"a": {"b": "0"}}, "lamp/1/there", retained=True) == (DeviceLinkChanged(device.id, False, True),)
    assert said(fleet, {"a": {"b": "?"}}, "lamp/1/there") == ()


def test_an_empty_word_for_it_means_nothing() -> None:
    fleet = lamp(avty_t="lamp/1/there", pl_avail="")
    assert said(fleet, "online", "lamp/1/there") == ()
    assert said(fleet, "offline", "lamp/1/there") == (DeviceLinkChanged("ha_update:lamp-1", False),)


# --- states ----------------------------------------------------------------------------------------------------------


def reported(version: str | None, offered: str | None = None, *, retained: bool = False) -> DeviceReported:
    settings = None if offered is None else {OFFERED: offered}
    return DeviceReported("ha_update:lamp-1", "ha_update", DeviceFacts(version=version, settings=settings), retained)


@pytest.mark.parametrize(
    ("payload", "read"),
    [
        ("1.2.0", [reported("1.2.0")]),
        ("v1.2.0", [reported("1.2.0")]),
        ({"installed_version": "1.2.0", "latest_version": "v1.3.0"}, [reported("1.2.0", "1.3.0")]),
        ({"installed_version": 12, "latest_version": 13}, [reported("12", "13")]),
        ({"latest_version": "1.3.0"}, [reported(None, "1.3.0")]),
        ({"installed_version": "", "latest_version": None}, []),
        ({"title": "x"}, []),
        ({}, []),
        ("", []),
    ],
)
def test_states_are_read_as_home_assistant_reads_them(payload: Any, read: list[DeviceReported]) -> None:
    assert list(said(lamp(), payload)) == read


@pytest.mark.parametrize("payload", ["no version", "unknown", "1", "[]", "{", '{"installed_version":{}}'])
def test_words_that_are_no_version_are_refused(payload: str) -> None:
    found = fault(DIALECT, lamp(), message("lamp/1/state", payload))
    assert found is not None
    assert found.reason == "malformed"


NOTES = {"latest_version": "v1.3.0", "release_summary": "Opens faster", "release_url": "https://acme.example/1.3.0"}


@pytest.mark.parametrize(
    ("changes", "notes"),
    [
        ({}, OfferedNotes("1.3.0", "https://acme.example/1.3.0", "Opens faster")),
        ({"release_url": "javascript:alert(1)"}, OfferedNotes("1.3.0", "", "Opens faster")),
        ({"release_url": None, "release_summary": "two\nlines\u202e"}, OfferedNotes("1.3.0", "", "two lines")),
        ({"release_summary": None}, OfferedNotes("1.3.0", "https://acme.example/1.3.0", "")),
    ],
)
def test_what_there_is_to_read_about_an_offer_is_kept_with_its_version(
    changes: dict[str, Any], notes: OfferedNotes
) -> None:
    (item,) = said(lamp(), {"installed_version": "1.2.0"} | NOTES | changes)
    assert isinstance(item, DeviceReported)
    assert item.facts.settings == {OFFERED: "1.3.0", **notes.to_settings()}


def test_without_an_offer_there_is_nothing_to_read_about_it() -> None:
    (item,) = said(lamp(), {"installed_version": "1.2.0", "release_summary": "Opens faster"})
    assert isinstance(item, DeviceReported)
    assert item.facts.settings is None


def test_notes_that_are_no_text_are_refused() -> None:
    found = fault(DIALECT, lamp(), message("lamp/1/state", NOTES | {"release_summary": 1}))
    assert found is not None
    assert found.path == "release_summary"


@pytest.mark.parametrize(
    ("progress", "percent"),
    [
        ({"update_percentage": 41.7}, 41),
        ({"in_progress": True}, None),
        ({"in_progress": True, "update_percentage": 0}, 0),
    ],
)
def test_progress_is_that_it_works_and_how_far_it_is(progress: dict[str, Any], percent: int | None) -> None:
    assert said(lamp(), progress, retained=True) == (
        InstallReported("ha_update:lamp-1", Stage.DOWNLOADING, percent, retained=True),
    )


def test_no_progress_is_no_news() -> None:
    assert said(lamp(), {"in_progress": False, "update_percentage": None}) == ()


@pytest.mark.parametrize(
    ("template", "payload"),
    [
        ("{{ value }}", "1.2.0"),
        ("{{value_json|tojson}}", {"installed_version": "1.2.0"}),
        ("{{ value_json.fw }}", {"fw": "1.2.0"}),
        ("{{ value_json['fw'][\"v\"] }}", {"fw": {"v": "1.2.0"}}),
        ("{{ value_json.update | to_json }}", {"update": {"installed_version": "1.2.0"}}),
    ],
)
def test_templates_that_are_a_path_are_understood(template: str, payload: Any) -> None:
    assert list(said(lamp(val_tpl=template), payload)) == [reported("1.2.0")]


def test_a_path_that_leads_nowhere_is_refused() -> None:
    found = fault(DIALECT, lamp(val_tpl="{{ value_json.a.b }}"), message("lamp/1/state", {"a": {}}))
    assert found is not None
    assert (found.reason, found.path) == ("malformed", "a.b")


def test_the_offer_may_have_a_topic_of_its_own() -> None:
    fleet = lamp(l_ver_t="lamp/1/latest", l_ver_tpl="{{ value_json.to }}")
    assert said(fleet, {"to": "v1.3.0"}, "lamp/1/latest", retained=True) == (reported(None, "1.3.0", retained=True),)
    assert said(fleet, {"to": {}}, "lamp/1/latest") == (reported(None, ""),)


def test_one_topic_for_both_is_the_state() -> None:
    assert "latest" not in only_device(lamp(l_ver_t="lamp/1/state")).channel


def test_a_strangers_state_is_passed_over() -> None:
    assert said(Fleet(), "1.2.0") == ()


# --- orders ----------------------------------------------------------------------------------------------------------


def test_an_install_is_the_announced_word() -> None:
    command = order(only_device(lamp()), "", vendor_chooses=True)
    assert DIALECT.install(command) == (Outgoing("lamp/1/install", "GO"),)


def test_it_takes_no_image_of_ours() -> None:
    with pytest.raises(Refused) as refusal:
        DIALECT.install(order(only_device(lamp())))
    assert refusal.value.reason is Reason.MANUAL_ONLY


def test_one_that_never_said_where_it_listens_is_sent_nothing() -> None:
    with pytest.raises(Refused) as refusal:
        DIALECT.install(order(Device("ha_update:x", "ha_update"), "", vendor_chooses=True))
    assert refusal.value.reason is Reason.DEVICE_SILENT


def test_it_cannot_be_asked_and_says_so() -> None:
    assert DIALECT.query(only_device(lamp())) == ()
    assert not DIALECT.capabilities.answers
    assert DIALECT.capabilities.generic


def test_its_image_has_a_name_of_ours() -> None:
    assert list(DIALECT.serve_as(release(artifact()))) == ["image.bin"]


# --- orders that were left on the broker -----------------------------------------------------------------------------


def left(payload: str, topic: str = "lamp/1/install") -> LastingOrderSeen | None:
    return DIALECT.lasting_order(message(topic, payload, retained=True), lamp())


def test_where_a_device_listens_is_listened_to_for_orders_that_were_left_there() -> None:
    assert DIALECT.order_filters == ()
    assert "lamp/1/install" in DIALECT.filters_for(only_device(lamp()))


@pytest.mark.parametrize("as_it_came", [str, str.encode])
def test_the_word_that_a_device_announced_is_an_order_where_it_listens(as_it_came: Any) -> None:
    found = DIALECT.lasting_order(Message("lamp/1/install", as_it_came("GO"), retained=True), lamp())
    assert found == LastingOrderSeen("ha_update", "lamp/1/install", "payload_install")


@pytest.mark.parametrize(
    ("payload", "topic"),
    [("STOP", "lamp/1/install"), ("GO", "lamp/2/install"), ("GO" * 1_000, "lamp/1/install")],
    ids=["another word", "where nobody listens", "longer than any"],
)
def test_anything_else_is_no_order(payload: str, topic: str) -> None:
    assert left(payload, topic) is None


def test_an_order_that_two_devices_would_take_is_one_all_the_same() -> None:
    both = fleet_of(DIALECT, message(TOPIC, PLAIN), message(OTHER, PLAIN | {"uniq_id": "b", "dev": {"ids": ["b"]}}))
    assert DIALECT.lasting_order(message("lamp/1/install", "GO", retained=True), both) is not None
