"""ESPHome nodes: who they are, which update is theirs, what is offered, what is ordered."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest

from custom_components.firmware_hub.core.errors import Reason, Refused
from custom_components.firmware_hub.core.fleet import Fleet
from custom_components.firmware_hub.core.inputs import DeviceInput, DeviceLinkChanged, DeviceReported, DeviceWithdrawn
from custom_components.firmware_hub.core.model import OFFERED, SUPPLIED, Device, DeviceFacts, OfferedNotes
from custom_components.firmware_hub.dialects.base import Outgoing
from custom_components.firmware_hub.dialects.esphome import EsphomeDialect

from .talk import artifact, fault, fixture, fleet_of, hear, message, only_device, order, release

DIALECT = EsphomeDialect()
TOPIC = "esphome/discover/node"
NODE: dict[str, Any] = {
    "name": "node",
    "version": "2026.10.0",
    "mac": "8caab5000001",
    "platform": "ESP32",
    "board": "c3",
}
IDENTITY = "mac:8CAAB5000001"
STATE = {"installed_version": "2026.10.0", "latest_version": "2026.11.0"}
CONFIG = {"stat_t": "there/node/update/fw/state", "cmd_t": "there/node/update/fw/command"}


def node(**changes: Any) -> Fleet:
    return fleet_of(DIALECT, message(TOPIC, NODE | changes))


def said(fleet: Fleet, topic: str, payload: Any, *, retained: bool = False) -> tuple[DeviceInput, ...]:
    return DIALECT.read(message(topic, payload, retained=retained), fleet)


def refused(fleet: Fleet, topic: str, payload: Any) -> tuple[str, str]:
    found = fault(DIALECT, fleet, message(topic, payload))
    assert found is not None
    return found.reason, found.path


# --- who it is -------------------------------------------------------------------------------------------------------


def test_a_node_with_a_project_is_of_its_maker() -> None:
    device = only_device(fleet_of(DIALECT, *fixture("esphome", "acme_garage-1.2.0")[:1]))
    assert (device.id, device.name, device.mac) == ("mac:8CAAB5E0F1A2", "Garage", "8CAAB5E0F1A2")
    assert (device.manufacturer, device.model, device.hardware, device.version) == ("acme", "garage", "ESP32", "1.2.0")


def test_any_other_is_a_board_with_esphome() -> None:
    device = only_device(node())
    assert (device.name, device.manufacturer, device.model, device.version) == ("node", "ESPHome", "c3", "2026.10.0")


@pytest.mark.parametrize(
    "mac", ["", "8CAAB5000001", "8c:aa:b5:00:00:01", "000000000000", "8daab5000001", "8caab500000"]
)
def test_one_without_a_mac_is_refused(mac: str) -> None:
    assert refused(Fleet(), TOPIC, NODE | {"mac": mac}) == ("malformed", "mac")


def test_a_cleared_announcement_withdraws_the_node() -> None:
    assert said(node(), TOPIC, "") == (DeviceWithdrawn(IDENTITY),)
    assert said(Fleet(), TOPIC, "") == ()


def test_a_node_that_was_renamed_speaks_elsewhere() -> None:
    fleet = node()
    hear(DIALECT, fleet, message("esphome/discover/hall", NODE | {"name": "hall"}))
    device = only_device(fleet)
    assert device.addresses == ("esphome/discover/hall/", "hall/")
    assert device.channel == {"prefix": "hall/", "ask": "esphome/ping/hall"}


# --- where it speaks -------------------------------------------------------------------------------------------------


def test_another_prefix_is_learnt_from_what_home_assistant_is_told() -> None:
    fleet = node()
    hear(DIALECT, fleet, message("homeassistant/update/node/fw/config", CONFIG), message(TOPIC, NODE))
    device = only_device(fleet)
    assert device.addresses == ("esphome/discover/node/", "there/node/")
    assert device.channel["command"] == "there/node/update/fw/command"
    assert DIALECT.filters_for(device) == ("+/+/status", "+/+/update/+/state")


def test_its_names_may_be_spelled_out() -> None:
    fleet = node()
    hear(DIALECT, fleet, message("homeassistant/update/node/fw/config", {"command_topic": "n/update/f/command"}))
    assert only_device(fleet).channel["command"] == "n/update/f/command"


def test_what_a_stranger_or_nobody_tells_home_assistant_is_passed_over() -> None:
    assert said(Fleet(), "homeassistant/update/node/fw/config", CONFIG) == ()
    assert said(node(), "homeassistant/update/node/fw/config", "") == ()


@pytest.mark.parametrize(
    "topic",
    ["x", "a//update/f/command", "zigbee2mqtt/update/f/command", "fwhub/x/update/f/command", "a/#/update/f/command"],
)
def test_a_command_topic_that_is_not_a_nodes_is_refused(topic: str) -> None:
    assert refused(node(), "homeassistant/update/node/fw/config", {"cmd_t": topic}) == ("malformed", "cmd_t")


def test_a_node_of_which_nothing_is_known_has_no_filters() -> None:
    assert DIALECT.filters_for(Device("x", "esphome")) == ()


# --- its update ------------------------------------------------------------------------------------------------------


def test_the_update_that_runs_what_the_node_runs_is_its_own() -> None:
    fleet = node()
    co_processor = {"installed_version": "2.7.0", "latest_version": "2.8.0"}
    hear(DIALECT, fleet, message("node/update/co/state", co_processor), message("node/update/fw/state", STATE))
    device = only_device(fleet)
    assert (device.channel["command"], device.settings) == (
        "node/update/fw/command",
        {OFFERED: "2026.11.0", SUPPLIED: ""},
    )
    assert said(fleet, "node/update/co/state", STATE) == ()


def test_what_is_installed_already_is_no_offer() -> None:
    fleet = node()
    (item,) = said(fleet, "node/update/fw/state", STATE | {"latest_version": "2026.10.0"}, retained=True)
    assert isinstance(item, DeviceReported)
    assert (item.facts.settings, item.retained) == ({OFFERED: ""}, True)


@pytest.mark.parametrize(
    ("address", "supplied"),
    [
        ("https://acme.example/1#fwhub-id-1", "id-1"),
        ("http://192.168.1.2:8127/#fwhub-id-1", "id-1"),
        ("https://acme.example/1", ""),
        ("https://acme.example/1#id-1", ""),
        ("https://acme.example/1#fwhub-", ""),
        ("https://acme.example/1#fwhub-id_1", ""),
        ("https://acme.example/1#fwhub-" + "1" * 65, ""),
        ("https://acme.example/" + "1" * 2048 + "#fwhub-id-1", ""),
    ],
)
def test_what_it_found_is_of_the_install_that_it_repeats_and_else_of_none(address: str, supplied: str) -> None:
    (item,) = said(node(), "node/update/fw/state", STATE | {"release_url": address})
    assert isinstance(item, DeviceReported)
    assert item.facts.settings is not None
    assert item.facts.settings[OFFERED] == "2026.11.0"
    assert item.facts.settings[SUPPLIED] == supplied


def test_the_mark_of_an_install_is_not_shown_as_an_address_to_read() -> None:
    fleet = node()
    told = STATE | {"release_url": "https://acme.example/1#fwhub-id-1", "release_summary": "Opens faster"}
    hear(DIALECT, fleet, message("node/update/fw/state", told))
    assert OfferedNotes.of(only_device(fleet).settings) is None


def test_what_it_found_elsewhere_is_not_of_the_install_that_it_knew_before() -> None:
    fleet = node()
    marked = STATE | {"release_url": "https://acme.example/1#fwhub-id-1"}
    hear(DIALECT, fleet, message("node/update/fw/state", marked), message("node/update/fw/state", STATE))
    assert only_device(fleet).settings[SUPPLIED] == ""


def test_a_state_without_a_version_makes_nothing_known() -> None:
    fleet = node()
    assert said(fleet, "node/update/fw/state", {}) == ()
    hear(DIALECT, fleet, message("node/update/fw/state", STATE))
    assert said(fleet, "node/update/fw/state", {}) == (
        DeviceReported(IDENTITY, "esphome", DeviceFacts(settings={OFFERED: ""})),
    )


def test_it_is_there_or_not() -> None:
    assert said(node(), "node/status", "offline") == (DeviceLinkChanged(IDENTITY, False),)
    assert said(node(), "node/status", "online", retained=True) == (DeviceLinkChanged(IDENTITY, True, True),)
    assert refused(node(), "node/status", "perhaps") == ("malformed", "$")


@pytest.mark.parametrize("topic", ["other/status", "other/update/fw/state", "node/light/x/state", "node/status/x"])
def test_topics_of_others_are_passed_over(topic: str) -> None:
    assert said(node(), topic, "{") == ()


def test_an_empty_word_says_nothing() -> None:
    assert said(node(), "node/status", "") == ()


# --- orders ----------------------------------------------------------------------------------------------------------


def test_an_install_is_one_word() -> None:
    device = only_device(fleet_of(DIALECT, *fixture("esphome", "acme_garage-1.2.0")))
    assert DIALECT.install(order(device, "", vendor_chooses=True)) == (
        Outgoing("garage/update/firmware/command", "INSTALL"),
    )


@pytest.mark.parametrize(
    ("vendor_chooses", "reason"), [(False, Reason.ADDRESS_UNREACHABLE), (True, Reason.DEVICE_SILENT)]
)
def test_what_cannot_be_ordered_is_refused(vendor_chooses: bool, reason: Reason) -> None:
    with pytest.raises(Refused) as refusal:
        DIALECT.install(order(only_device(node()), "", vendor_chooses=vendor_chooses))
    assert refusal.value.reason is reason


def test_an_image_of_the_hub_is_ordered_by_the_same_word() -> None:
    device = only_device(fleet_of(DIALECT, *fixture("esphome", "acme_garage-1.2.0")))
    assert DIALECT.install(order(device, "http://192.168.1.2:8127/f/x/firmware.bin")) == (
        Outgoing("garage/update/firmware/command", "INSTALL"),
    )


# --- what a node looks up --------------------------------------------------------------------------------------------

ADDRESS, MD5 = "http://192.168.1.2:8127/f/x/firmware.bin", "0" * 32


def manifest(device: Device, **changes: Any) -> dict[str, Any]:
    told = json.loads(DIALECT.announcement(device, replace(release(artifact()), **changes), ADDRESS, MD5, "id-1"))
    assert isinstance(told, dict)
    return told


@pytest.mark.parametrize(("platform", "chips"), [("ESP8266", ["ESP8266"]), ("ESP32", ["ESP32", "ESP32-C2"])])
def test_a_manifest_names_the_image_for_whichever_chip_of_the_platform_it_is(platform: str, chips: list[str]) -> None:
    told = manifest(replace(only_device(node()), hardware=platform), version="1.3.0")
    assert (told["name"], told["version"]) == ("node", "1.3.0")
    assert [build["chipFamily"] for build in told["builds"]][:2] == chips
    image = {"path": ADDRESS, "md5": MD5, "release_url": "http://192.168.1.2:8127/#fwhub-id-1"}
    assert all(build["ota"] == image for build in told["builds"])


def test_a_manifest_says_what_there_is_to_read() -> None:
    device = replace(only_device(node()), hardware="ESP8266")
    (build,) = manifest(device, summary="Opens faster", notes_url="https://acme.example/1")["builds"]
    assert build["ota"]["summary"] == "Opens faster"
    assert build["ota"]["release_url"] == "https://acme.example/1#fwhub-id-1"


@pytest.mark.parametrize(
    ("notes_url", "told"),
    [
        ("https://acme.example/1#changes", "https://acme.example/1#fwhub-id-1"),
        ("https://acme.example/" + "1" * 223, "https://acme.example/" + "1" * 223 + "#fwhub-id-1"),
        ("https://acme.example/" + "1" * 224, "http://192.168.1.2:8127/#fwhub-id-1"),
    ],
    ids=["it has a fragment", "just short enough", "too long to be repeated"],
)
def test_what_there_is_to_read_names_the_install_at_its_end(notes_url: str, told: str) -> None:
    build = manifest(replace(only_device(node()), hardware="ESP8266"), notes_url=notes_url)["builds"][0]
    assert build["ota"]["release_url"] == told


def test_a_node_that_repeats_what_it_read_names_the_install() -> None:
    told = manifest(replace(only_device(node()), hardware="ESP8266"), version="2026.11.0")
    state = STATE | {"release_url": told["builds"][0]["ota"]["release_url"]}
    (item,) = said(node(), "node/update/fw/state", state)
    assert isinstance(item, DeviceReported)
    assert item.facts.settings == {OFFERED: told["version"], SUPPLIED: "id-1"}


def test_of_a_platform_that_is_not_known_nothing_is_told() -> None:
    with pytest.raises(Refused) as refusal:
        DIALECT.announcement(replace(only_device(node()), hardware="BK72XX"), release(artifact()), ADDRESS, MD5, "i")
    assert refusal.value.reason is Reason.MANUAL_ONLY


def test_it_is_asked_to_announce_itself() -> None:
    assert DIALECT.query(only_device(node())) == (Outgoing("esphome/ping/node", ""),)


def test_its_image_has_a_name_of_ours() -> None:
    assert list(DIALECT.serve_as(release(artifact()))) == ["firmware.bin"]
