"""Zigbee2MQTT: what bridges and devices say, and what bridges are told."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest

from custom_components.firmware_hub.core.errors import Reason, Refused
from custom_components.firmware_hub.core.fleet import Fleet
from custom_components.firmware_hub.core.inputs import (
    DeviceInput,
    DeviceLinkChanged,
    DeviceReported,
    DeviceWithdrawn,
    HealthReported,
    InstallReported,
    NetworkReported,
    Stage,
)
from custom_components.firmware_hub.core.model import Device, DeviceFacts, VersionScheme
from custom_components.firmware_hub.dialects.base import InstallOrder, Message, Outgoing
from custom_components.firmware_hub.dialects.zigbee2mqtt import Zigbee2MqttDialect

from .talk import NOW, Fault, fault, fixture, fleet_of, hear, message, order, release

Z2M = Zigbee2MqttDialect()
BASE = "zigbee2mqtt"
IEEE = "0x000d6f0000000002"
BULB = f"ieee:{IEEE}"
OLD, NEW = "268435456", "536870912"
REQUEST = f"{BASE}/bridge/request/device/ota_update/"
CAPTURED = fixture(BASE, "ikea_led1545g12-2.14.1")
LISTED, SHOWN, CHECKED = CAPTURED[0], CAPTURED[4], CAPTURED[5]
URL = "http://192.168.1.2:8127/f/9f2c61/image.ota"


def bridge(word: str, payload: Any, *, base: str = BASE, retained: bool = False) -> Message:
    return message(f"{base}/bridge/{word}", payload, retained=retained)


def entry(ieee: str = IEEE, name: str = "bulb", **changes: Any) -> dict[str, Any]:
    plain = {
        "ieee_address": ieee,
        "friendly_name": name,
        "type": "Router",
        "power_source": "Mains (single phase)",
        "manufacturer": "IKEA of Sweden",
        "model_id": "TRADFRI bulb",
        "definition": {"supports_ota": True},
    }
    return {**plain, **changes}


COORDINATOR = {"ieee_address": "0x00124b0000000001", "friendly_name": "Coordinator", "type": "Coordinator"}


def listed(*entries: dict[str, Any], base: str = BASE, retained: bool = True) -> Message:
    return bridge("devices", [COORDINATOR, *entries], base=base, retained=retained)


def state(update: Any, topic: str = f"{BASE}/bulb", *, retained: bool = False, **more: Any) -> Message:
    return message(topic, {"linkquality": 120, "update": update, **more}, retained=retained)


def shows(version: Any, word: str = "idle", **more: Any) -> Message:
    return state(
        {"state": word, "installed_version": version, "latest_version": version, "latest_source": None, **more}
    )


def answer(word: str, attempt: str = "a-7", error: str | None = None, **changes: Any) -> Message:
    said = {"status": "ok", "data": {"id": IEEE}} if error is None else {"status": "error", "data": {}, "error": error}
    body = {**said, "transaction": f"{attempt}@{IEEE}", **changes}
    return bridge(f"response/device/ota_update/{word}", body)


def read(fleet: Fleet, told: Message) -> tuple[DeviceInput, ...]:
    return Z2M.read(told, fleet)


@pytest.fixture
def fleet() -> Fleet:
    """A bulb that was listed and has answered a check."""
    return fleet_of(Z2M, *CAPTURED[:6])


@pytest.fixture
def bulb(fleet: Fleet) -> Device:
    return fleet.devices[BULB]


def device_of(*told: Message) -> Device:
    (device,) = fleet_of(Z2M, *told).devices.values()
    return device


# --- the list of devices ---------------------------------------------------------------------------------------------


def test_a_listed_device_says_who_it_is_and_where_it_speaks() -> None:
    expected = Device(
        BULB,
        "zigbee2mqtt",
        name="bulb",
        manufacturer="IKEA of Sweden",
        model="TRADFRI bulb E27 WS opal 980lm",
        network="zigbee2mqtt",
        addresses=("zigbee2mqtt/bulb/",),
        channel={"command": REQUEST, "build": "1.0.0", "build_date": "20250101"},
    )
    assert replace(device_of(LISTED), first_seen=None) == expected


def test_the_list_says_who_is_there_before_it_says_anything_else() -> None:
    first, *rest = read(Fleet(), LISTED)
    assert first == NetworkReported("zigbee2mqtt", BASE, device_ids=frozenset({BULB}), retained=True)
    assert [type(item) for item in rest] == [DeviceReported]


def test_a_list_without_news_says_who_is_there_and_nothing_else(fleet: Fleet) -> None:
    assert read(fleet, LISTED) == (NetworkReported("zigbee2mqtt", BASE, device_ids=frozenset({BULB}), retained=True),)


def test_a_list_of_many_tells_only_of_the_one_that_is_new() -> None:
    old = [entry(f"0x{number:016x}", f"d{number}") for number in range(1, 200)]
    known = fleet_of(Z2M, listed(*old))
    _, *news = read(known, listed(*old, entry(name="new")))
    assert [item.device_id for item in news if isinstance(item, DeviceReported)] == [BULB]


def test_a_cleared_list_leaves_nobody_there() -> None:
    cleared = bridge("devices", b"", retained=True)
    assert read(Fleet(), cleared) == (NetworkReported("zigbee2mqtt", BASE, device_ids=frozenset(), retained=True),)


def test_a_renamed_device_is_the_same_device_elsewhere(fleet: Fleet) -> None:
    hear(Z2M, fleet, listed(entry(name="kitchen lamp")))
    device = fleet.devices[BULB]
    assert (device.name, device.addresses) == ("kitchen lamp", ("zigbee2mqtt/kitchen lamp/",))


def test_a_renamed_device_keeps_what_was_learnt_of_it(fleet: Fleet) -> None:
    hear(Z2M, fleet, listed(entry(name="kitchen lamp")))
    channel = fleet.devices[BULB].channel
    assert (channel["shown"], channel["takes_url"]) == (OLD, "yes")


def test_a_device_at_another_bridge_has_everything_to_be_learnt_anew(fleet: Fleet) -> None:
    hear(Z2M, fleet, listed(entry(), base="upstairs"))
    device = fleet.devices[BULB]
    assert (device.network, device.addresses) == ("upstairs", ("upstairs/bulb/",))
    assert not {"shown", "takes_url"} & device.channel.keys()


def test_a_name_may_hold_slashes() -> None:
    device = device_of(listed(entry(name="ground floor/kitchen/lamp")))
    assert device.addresses == ("zigbee2mqtt/ground floor/kitchen/lamp/",)


@pytest.mark.parametrize(
    "name", ["a/+/b", "#", "/a", "a/", "a//b", "bridge/x", "a/bridge/b", "bridge", "a\x00b", "a\u202eb", "x" * 250, ""]
)
def test_a_name_that_is_no_topic_leads_nowhere(name: str) -> None:
    assert device_of(listed(entry(name=name))).addresses == ()


def test_a_device_without_a_name_is_called_by_its_identity() -> None:
    assert device_of(listed(entry(name=""))).name == BULB


@pytest.mark.parametrize(
    ("power", "kind", "battery", "sleeps"),
    [
        ("Battery", "EndDevice", True, True),
        ("Battery", "Router", True, False),
        ("DC Source", "EndDevice", False, False),
        (None, "EndDevice", False, False),
    ],
)
def test_battery_and_sleep_are_told_by_power_and_kind(
    power: str | None, kind: str, battery: bool, sleeps: bool
) -> None:
    device = device_of(listed(entry(power_source=power, type=kind)))
    assert (device.battery_powered, device.sleeps) == (battery, sleeps)


@pytest.mark.parametrize(
    "changes",
    [
        {"type": "GreenPower"},
        {"type": "Unknown"},
        {"type": None},
        {"disabled": True},
        {"definition": None},
        {"definition": {"supports_ota": False}},
        {"definition": {}},
        {"ieee_address": "0x0000000000000000"},
        {"ieee_address": "0xffffffffffffffff"},
        {"ieee_address": "0x000d6f000000000"},
        {"ieee_address": "000d6f0000000002"},
    ],
    ids=str,
)
def test_what_cannot_be_updated_is_not_listed(changes: dict[str, Any]) -> None:
    assert read(Fleet(), listed(entry(**changes))) == (
        NetworkReported("zigbee2mqtt", BASE, device_ids=frozenset(), retained=True),
    )


def test_the_identity_is_written_small() -> None:
    assert device_of(listed(entry("0x000D6F0000000002"))).id == BULB


@pytest.mark.parametrize(
    "changes",
    [
        {"ieee_address": 7},
        {"type": ["Router"]},
        {"disabled": "no"},
        {"definition": "x"},
        {"definition": {"supports_ota": 1}},
    ],
    ids=str,
)
def test_an_entry_that_cannot_be_read_does_not_hide_its_neighbours(changes: dict[str, Any]) -> None:
    heard = read(Fleet(), listed(entry("0x0000000000000009", **changes), entry()))
    assert [item.device_id for item in heard if isinstance(item, DeviceReported)] == [BULB]


def test_a_garbled_entry_is_still_a_device_that_is_there() -> None:
    first, *rest = read(Fleet(), listed(entry(manufacturer=7)))
    assert isinstance(first, NetworkReported)
    assert (first.device_ids, rest) == (frozenset({BULB}), [])


@pytest.mark.parametrize(
    ("payload", "expected"),
    [
        ("{", Fault("malformed", "$")),
        ("{}", Fault("malformed", "$")),
        ("[]", Fault("malformed", "$")),
        ("[1]", Fault("malformed", "[0]")),
        (json.dumps([entry()]), Fault("malformed", "$")),
        (json.dumps([{}] * 1001), Fault("too_large", "$")),
    ],
    ids=["no JSON", "an object", "empty", "numbers", "no coordinator", "too many"],
)
def test_a_list_of_nobody_is_refused(payload: str, expected: Fault) -> None:
    assert fault(Z2M, Fleet(), bridge("devices", payload)) == expected


# --- bases -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("base", ["zigbee2mqtt", "my home/zigbee", "a/b/c/d", "bridge", "home/bridge", "z_2"])
def test_a_bridge_may_have_any_base(base: str) -> None:
    device = device_of(listed(entry(), base=base))
    assert (device.network, device.addresses) == (base, (f"{base}/bulb/",))
    assert device.channel["command"] == f"{base}/bridge/request/device/ota_update/"


@pytest.mark.parametrize(
    "base",
    ["", "/z", "z/", "a//b", "+", "a/#", "$SYS", "homeassistant", "fwhub/device", "tasmota/discovery/x", "a/b/c/d/e"],
)
def test_a_base_that_leads_elsewhere_is_nobodys(base: str) -> None:
    assert read(Fleet(), listed(entry(), base=base)) == ()


def test_a_base_beyond_all_bounds_is_nobodys() -> None:
    assert read(Fleet(), listed(entry(), base="z" * 300)) == ()


def test_two_bridges_with_devices_of_the_same_name_are_told_apart() -> None:
    fleet = fleet_of(Z2M, listed(entry()), listed(entry("0x0000000000000009"), base="upstairs"))
    hear(Z2M, fleet, shows(int(OLD)), state({"installed_version": 5}, "upstairs/bulb"))
    assert fleet.devices[BULB].version == OLD
    assert fleet.devices["ieee:0x0000000000000009"].version == "5"


def test_devices_share_their_filters(fleet: Fleet, bulb: Device) -> None:
    neighbour = replace(bulb, id="ieee:0x1", addresses=("zigbee2mqtt/plug/",))
    assert Z2M.filters_for(bulb) == Z2M.filters_for(neighbour)
    assert set(Z2M.filters_for(bulb)) == {
        "zigbee2mqtt/+",
        "zigbee2mqtt/+/availability",
        "zigbee2mqtt/bridge/state",
        "zigbee2mqtt/bridge/event",
        "zigbee2mqtt/bridge/response/device/ota_update/check",
        "zigbee2mqtt/bridge/response/device/ota_update/update",
        "zigbee2mqtt/bridge/response/device/ota_update/schedule",
        "zigbee2mqtt/bridge/response/device/ota_update/unschedule",
    }


def test_a_device_in_a_folder_shares_its_filters_with_that_folder(bulb: Device) -> None:
    lamp = replace(bulb, addresses=("zigbee2mqtt/ground floor/lamp/",))
    assert Z2M.filters_for(lamp)[:2] == ("zigbee2mqtt/ground floor/+", "zigbee2mqtt/ground floor/+/availability")


def test_a_device_whose_name_leads_nowhere_is_heard_through_its_bridge_only(bulb: Device) -> None:
    assert all("/bridge/" in wanted for wanted in Z2M.filters_for(replace(bulb, addresses=())))


def test_a_device_of_no_bridge_has_no_filters() -> None:
    assert Z2M.filters_for(Device("x", "zigbee2mqtt")) == ()


# --- the bridge itself -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("version", ["2.8.0", "2.14.1", "3.0.0-dev"])
def test_a_bridge_that_takes_addresses_is_fine(version: str) -> None:
    assert read(Fleet(), bridge("info", {"version": version, "zigbee_herdsman": {}})) == ()


@pytest.mark.parametrize("version", ["1.42.0", "2.7.2"])
def test_a_bridge_that_would_install_what_it_likes_is_refused(version: str) -> None:
    info = bridge("info", {"version": version, "zigbee_herdsman": {}})
    assert fault(Z2M, Fleet(), info) == Fault("unsupported_spec", "version")


@pytest.mark.parametrize("version", ["two", None, 2])
def test_a_bridge_without_a_version_is_refused(version: Any) -> None:
    assert fault(Z2M, Fleet(), bridge("info", {"version": version, "zigbee_herdsman": {}})) == Fault(
        "malformed", "version"
    )


@pytest.mark.parametrize("payload", ["", {"version": "1.0"}])
def test_information_of_other_bridges_is_passed_over(payload: Any) -> None:
    assert read(Fleet(), bridge("info", payload)) == ()


@pytest.mark.parametrize("payload", [{"state": "online"}, "online"])
def test_a_bridge_that_is_there_says_so_for_all(payload: Any) -> None:
    told = bridge("state", payload, retained=True)
    assert read(Fleet(), told) == (NetworkReported("zigbee2mqtt", BASE, online=True, retained=True),)


def test_a_bridge_that_dies_loses_what_it_was_doing() -> None:
    (item,) = read(Fleet(), bridge("state", {"state": "offline"}))
    assert isinstance(item, NetworkReported)
    assert (item.network, item.online, item.lost.split(":")[0]) == (BASE, False, "bridge_died")


@pytest.mark.parametrize(("payload", "path"), [({"state": "ill"}, "state"), ("ill", "$"), ({}, "state"), ("{", "$")])
def test_a_state_that_is_none_is_refused(payload: Any, path: str) -> None:
    assert fault(Z2M, Fleet(), bridge("state", payload)) == Fault("malformed", path)


@pytest.mark.parametrize("word", ["state", "event", "info", "response/device/ota_update/update"])
def test_a_cleared_topic_of_a_bridge_says_nothing(fleet: Fleet, word: str) -> None:
    assert read(fleet, bridge(word, b"")) == ()


@pytest.mark.parametrize("word", ["logging", "groups", "request/restart", "response/device/rename", ""])
def test_the_rest_of_a_bridge_is_passed_over_unread(fleet: Fleet, word: str) -> None:
    assert read(fleet, bridge(word, "{")) == ()


def event(kind: str, **data: Any) -> Message:
    return bridge("event", {"type": kind, "data": {"friendly_name": "bulb", "ieee_address": IEEE, **data}})


def test_a_device_that_leaves_is_withdrawn(fleet: Fleet) -> None:
    assert read(fleet, event("device_leave")) == (DeviceWithdrawn(BULB),)


def test_a_device_that_announces_itself_is_there_and_has_started(fleet: Fleet) -> None:
    assert read(fleet, event("device_announce")) == (
        DeviceLinkChanged(BULB, online=True),
        InstallReported(BULB, Stage.RESTARTED),
    )


def test_a_device_that_was_interviewed_is_there(fleet: Fleet) -> None:
    assert read(fleet, event("device_interview", status="successful")) == (DeviceLinkChanged(BULB, online=True),)


@pytest.mark.parametrize(
    "told",
    [
        event("device_interview", status="started"),
        event("device_interview", status="failed"),
        event("device_joined"),
        event("device_leave", ieee_address="0x0000000000000009"),
        event("device_leave", ieee_address="bulb"),
        bridge("event", {"type": "device_leave"}),
        replace(event("device_leave"), retained=True),
        bridge("event", {"type": "device_leave", "data": {"ieee_address": IEEE}}, base="upstairs"),
    ],
)
def test_other_events_say_nothing(fleet: Fleet, told: Message) -> None:
    assert read(fleet, told) == ()


@pytest.mark.parametrize(("payload", "path"), [({"type": 1}, "type"), ({"type": "x", "data": []}, "data"), ("[]", "$")])
def test_an_event_that_is_none_is_refused(fleet: Fleet, payload: Any, path: str) -> None:
    assert fault(Z2M, fleet, bridge("event", payload)) == Fault("malformed", path)


# --- availability ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("retained", [True, False])
@pytest.mark.parametrize(
    ("payload", "online"),
    [({"state": "online"}, True), ({"state": "offline"}, False), ("online", True), ("offline", False)],
)
def test_availability_is_told_in_both_spellings(fleet: Fleet, payload: Any, online: bool, retained: bool) -> None:
    told = message(f"{BASE}/bulb/availability", payload, retained=retained)
    assert read(fleet, told) == (DeviceLinkChanged(BULB, online=online, retained=retained),)


def test_another_word_for_availability_is_refused(fleet: Fleet) -> None:
    assert fault(Z2M, fleet, message(f"{BASE}/bulb/availability", {"state": "x"})) == Fault("malformed", "state")


def test_availability_of_a_stranger_is_nothing(fleet: Fleet) -> None:
    assert read(fleet, message(f"{BASE}/plug/availability", "x")) == ()


def test_a_device_may_be_called_availability() -> None:
    fleet = fleet_of(Z2M, listed(entry(name="availability")))
    assert read(fleet, state({"installed_version": 5}, f"{BASE}/availability")) != ()


# --- what a state shows ----------------------------------------------------------------------------------------------


def test_a_state_shows_a_version_which_is_not_the_devices_own_word() -> None:
    known = fleet_of(Z2M, LISTED)
    learnt, second_hand = read(known, SHOWN)
    assert isinstance(learnt, DeviceReported)
    assert learnt.facts.version is None
    assert learnt.facts.channel == {**known.devices[BULB].channel, "shown": OLD, "takes_url": "yes"}
    assert second_hand == DeviceReported(BULB, "zigbee2mqtt", DeviceFacts(version=OLD), retained=True)


def test_a_check_makes_it_the_devices_own_word(fleet: Fleet) -> None:
    assert read(fleet, CHECKED) == (DeviceReported(BULB, "zigbee2mqtt", DeviceFacts(version=OLD)),)


def test_a_state_without_news_says_nothing(fleet: Fleet) -> None:
    assert read(fleet, SHOWN) == ()


@pytest.mark.parametrize("version", [-1, None, "None", 0xFFFFFFFF])
def test_an_unknown_version_is_none(fleet: Fleet, version: Any) -> None:
    assert read(fleet, shows(version)) == ()


def test_a_missing_version_is_none(fleet: Fleet) -> None:
    assert read(fleet, state({"state": "idle"})) == ()


@pytest.mark.parametrize("version", ["1.0", 1.5, -2, 2**32, True, [], {}])
def test_a_version_that_is_none_is_refused(fleet: Fleet, version: Any) -> None:
    assert fault(Z2M, fleet, shows(version)) == Fault("malformed", "update.installed_version")


def test_version_zero_is_a_version(fleet: Fleet) -> None:
    hear(Z2M, fleet, shows(0))
    assert fleet.devices[BULB].version == "0"


def test_a_bridge_that_was_made_older_is_not_given_addresses_any_more(fleet: Fleet) -> None:
    hear(Z2M, fleet, state({"state": "idle", "installed_version": int(OLD), "latest_version": int(OLD)}))
    assert "takes_url" not in fleet.devices[BULB].channel


def test_the_retain_flag_of_a_state_is_kept() -> None:
    heard = read(fleet_of(Z2M, LISTED), replace(SHOWN, retained=True))
    assert all(item.retained for item in heard if isinstance(item, DeviceReported))


@pytest.mark.parametrize("told", [state(None), message(f"{BASE}/bulb", {}), message(f"{BASE}/bulb", b"")])
def test_a_state_without_an_update_says_nothing(fleet: Fleet, told: Message) -> None:
    assert read(fleet, told) == ()


def test_the_state_of_a_stranger_is_nothing(fleet: Fleet) -> None:
    assert read(fleet, message(f"{BASE}/plug", "{")) == ()


@pytest.mark.parametrize(
    ("payload", "path"), [("[]", "$"), ({"update": 7}, "update"), ({"update": {"state": 1}}, "update.state")]
)
def test_a_state_that_is_none_of_a_device_is_refused(fleet: Fleet, payload: Any, path: str) -> None:
    assert fault(Z2M, fleet, message(f"{BASE}/bulb", payload)) == Fault("malformed", path)


SENSOR = listed(entry(power_source="Battery", type="EndDevice"))


@pytest.mark.parametrize(("battery", "percent"), [(81, 81), (80.5, 80), (0, 0), (100, 100)])
def test_a_battery_is_told(battery: float, percent: int) -> None:
    told = message(f"{BASE}/bulb", {"battery": battery})
    assert read(fleet_of(Z2M, SENSOR), told) == (HealthReported(BULB, battery_percent=percent),)


@pytest.mark.parametrize("battery", [None, "low", 254, -1])
def test_another_word_for_a_battery_is_passed_over(battery: Any) -> None:
    assert read(fleet_of(Z2M, SENSOR), message(f"{BASE}/bulb", {"battery": battery})) == ()


def test_the_battery_of_a_device_on_the_mains_is_of_no_interest(fleet: Fleet) -> None:
    assert read(fleet, message(f"{BASE}/bulb", {"battery": 81})) == ()


# --- progress --------------------------------------------------------------------------------------------------------


def updating(**more: Any) -> Message:
    return shows(int(OLD), "updating", **more)


@pytest.mark.parametrize(
    ("progress", "remaining", "expected"),
    [
        (0, 4, InstallReported(BULB, Stage.DOWNLOADING, 0, detail="4 s left")),
        (33.87, 600, InstallReported(BULB, Stage.DOWNLOADING, 33, detail="600 s left")),
        (99.99, 1, InstallReported(BULB, Stage.DOWNLOADING, 99, detail="1 s left")),
        (100, 0, InstallReported(BULB, Stage.INSTALLING, 100, detail="0 s left")),
        (None, None, InstallReported(BULB, Stage.DOWNLOADING)),
    ],
)
def test_progress_is_told_with_what_remains(
    fleet: Fleet, progress: float | None, remaining: int | None, expected: InstallReported
) -> None:
    assert read(fleet, updating(progress=progress, remaining=remaining)) == (expected,)


@pytest.mark.parametrize(
    "wrong", [{"progress": 101}, {"progress": "50"}, {"remaining": -1}, {"remaining": 1.5}], ids=str
)
def test_progress_that_is_none_is_refused(fleet: Fleet, wrong: dict[str, Any]) -> None:
    assert fault(Z2M, fleet, updating(**wrong)) == Fault("malformed", f"update.{next(iter(wrong))}")


def test_an_update_that_runs_says_nothing_of_versions(fleet: Fleet) -> None:
    heard = read(fleet, shows(int(NEW), "updating", progress=0))
    assert not any(isinstance(item, DeviceReported) and item.facts.version for item in heard)


# --- answers ---------------------------------------------------------------------------------------------------------


def test_success_is_a_claim_and_the_version_shown_with_it_is_forgotten(fleet: Fleet, bulb: Device) -> None:
    channel = {key: value for key, value in bulb.channel.items() if key != "shown"}
    assert read(fleet, answer("update")) == (
        DeviceReported(BULB, "zigbee2mqtt", DeviceFacts(channel=channel)),
        InstallReported(BULB, Stage.RESTARTED, attempt_id="a-7"),
    )


def test_a_check_after_the_claim_needs_a_state_of_its_own(fleet: Fleet) -> None:
    hear(Z2M, fleet, shows(int(NEW)), answer("update"))
    assert read(fleet, CHECKED) == ()
    hear(Z2M, fleet, shows(int(OLD)))
    assert read(fleet, CHECKED) == (DeviceReported(BULB, "zigbee2mqtt", DeviceFacts(version=OLD)),)


FAILURES = [
    ("OTA update or check for update already in progress for 'bulb'", "not_begun", "busy"),
    ("OTA update of 'bulb' failed (Device didn't respond to OTA request)", "not_begun", "asleep"),
    (
        "OTA update of 'bulb' failed (Device 0x0 did not start/finish firmware download after being notified. (…))",
        "failed",
        "stalled",
    ),
    (
        "OTA update of 'bulb' failed (OTA update of 0x000d6f0000000002 failed with reason: INVALID_IMAGE)",
        "rejected",
        "invalid_image",
    ),
    ("OTA update of 'bulb' failed (OTA update of 0x000d6f0000000002 failed with reason: ABORT)", "failed", "given_up"),
    ("OTA update of 'bulb' failed (OTA for device 0x000d6f0000000002 was aborted)", "failed", "aborted"),
    ("Update of 'bulb' failed (No image currently available)", "failed", "no_image"),
    ("Device 'nope' does not exist", "failed", "unknown_device"),
    ("Device 'bulb' does not support OTA updates", "failed", "unsupported"),
    ("OTA update of 'bulb' failed (No endpoint found with OTA cluster support for 0x0)", "failed", "unsupported"),
    ("OTA update of 'bulb' failed (OTA upgrade end response failed: timeout)", "failed", "no_goodbye"),
    ("OTA update of 'bulb' failed (something new)", "failed", "other"),
    ("", "failed", "other"),
]


@pytest.mark.parametrize(("sentence", "stage", "kind"), FAILURES, ids=[kind for _, _, kind in FAILURES])
def test_every_failure_is_told_apart(fleet: Fleet, sentence: str, stage: str, kind: str) -> None:
    detail = f"{kind}: {sentence[:200]}"
    expected = InstallReported(BULB, Stage(stage), attempt_id="a-7", detail=detail)
    assert read(fleet, answer("update", error=sentence)) == (expected,)


def test_a_hostile_sentence_is_one_short_line(fleet: Fleet) -> None:
    (item,) = read(fleet, answer("update", error="a\nb\x1b[31m\u202e" + "x" * 10_000))
    assert isinstance(item, InstallReported)
    assert item.detail == "other: a b [31m " + "x" * 191


def test_an_update_that_waits_for_its_device_is_accepted(fleet: Fleet) -> None:
    assert read(fleet, answer("schedule")) == (InstallReported(BULB, Stage.ACCEPTED, attempt_id="a-7"),)


def test_an_update_that_cannot_wait_is_not_begun(fleet: Fleet) -> None:
    (item,) = read(fleet, answer("schedule", error="OTA update or check for update already in progress for 'bulb'"))
    assert isinstance(item, InstallReported)
    assert (item.stage, item.detail.split(":")[0]) == (Stage.NOT_BEGUN, "busy")


@pytest.mark.parametrize("error", ["Failed to check if OTA update available for 'bulb' (fetch failed)", ""])
def test_a_check_that_failed_says_nothing(fleet: Fleet, error: str) -> None:
    assert read(fleet, answer("check", "check", error=error)) == ()


def test_a_check_of_which_nothing_was_shown_says_nothing() -> None:
    assert read(fleet_of(Z2M, LISTED), CHECKED) == ()


def test_a_check_by_a_bridge_that_would_install_what_it_likes_is_refused() -> None:
    known = fleet_of(Z2M, LISTED, state({"state": "idle", "installed_version": 5}))
    assert fault(Z2M, known, CHECKED) == Fault("unsupported_spec", "update.latest_source")


OTHERS: list[Any] = [None, "", "abc", 7, {}, f"a-7@{IEEE}/abort", f"@{IEEE}", "a-7@0x0000000000000009", f"a 7@{IEEE}"]


@pytest.mark.parametrize("word", ["check", "update", "schedule", "unschedule"])
@pytest.mark.parametrize("transaction", OTHERS, ids=str)
def test_answers_to_others_are_passed_over(fleet: Fleet, word: str, transaction: Any) -> None:
    assert read(fleet, answer(word, transaction=transaction)) == ()
    assert read(fleet, answer(word, error="x", transaction=transaction)) == ()


@pytest.mark.parametrize(("word", "attempt"), [("check", "a-7"), ("update", "check")])
def test_an_answer_on_the_wrong_topic_is_passed_over(fleet: Fleet, word: str, attempt: str) -> None:
    assert read(fleet, answer(word, attempt)) == ()


def test_an_answer_of_another_bridge_is_passed_over(fleet: Fleet) -> None:
    told = answer("update")
    assert read(fleet, replace(told, topic=told.topic.replace(BASE, "upstairs"))) == ()


@pytest.mark.parametrize(
    ("payload", "path"), [("x", "$"), ({"status": "maybe"}, "status"), ({"status": None}, "status")]
)
@pytest.mark.parametrize("word", ["check", "update", "schedule"])
def test_an_answer_that_is_none_is_refused(fleet: Fleet, word: str, payload: Any, path: str) -> None:
    body = {"transaction": f"check@{IEEE}", **payload} if isinstance(payload, dict) else payload
    assert fault(Z2M, fleet, bridge(f"response/device/ota_update/{word}", body)) == Fault("malformed", path)


# --- orders ----------------------------------------------------------------------------------------------------------


def body_of(sent: tuple[Outgoing, ...]) -> dict[str, Any]:
    (command,) = sent
    body: dict[str, Any] = json.loads(command.payload)
    return body


def topic_of(sent: tuple[Outgoing, ...]) -> str:
    (command,) = sent
    return command.topic


def zigbee_order(device: Device, version: str = NEW, **changes: Any) -> InstallOrder:
    image = replace(release(version=version), version_scheme=VersionScheme.INTEGER)
    return order(device, URL, release=image, **changes)


def test_the_version_is_asked_for_by_a_check(bulb: Device) -> None:
    assert Z2M.query(bulb) == (Outgoing(f"{REQUEST}check", f'{{"id":"{IEEE}","transaction":"check@{IEEE}"}}'),)


def test_an_install_names_device_address_and_attempt(bulb: Device) -> None:
    sent = Z2M.install(zigbee_order(bulb))
    assert topic_of(sent) == f"{REQUEST}update"
    assert body_of(sent) == {"id": IEEE, "url": URL, "transaction": f"a-7@{IEEE}"}


def test_the_answer_to_an_install_is_known_again(fleet: Fleet, bulb: Device) -> None:
    sent = body_of(Z2M.install(zigbee_order(bulb, attempt_id="9f2c61d0a1b2c3d4")))
    told = answer("update", transaction=sent["transaction"])
    assert InstallReported(BULB, Stage.RESTARTED, attempt_id="9f2c61d0a1b2c3d4") in read(fleet, told)


def test_an_older_image_is_ordered_as_such(bulb: Device) -> None:
    assert topic_of(Z2M.install(zigbee_order(bulb, "5"))) == f"{REQUEST}update/downgrade"


def test_a_sleeping_device_can_be_given_an_order_for_later(bulb: Device) -> None:
    sent = Z2M.schedule(zigbee_order(bulb))
    assert topic_of(sent) == f"{REQUEST}schedule"
    assert body_of(sent) == {"id": IEEE, "url": URL, "transaction": f"a-7@{IEEE}"}
    assert topic_of(Z2M.schedule(zigbee_order(bulb, "5"))) == f"{REQUEST}schedule/downgrade"


def test_an_order_for_later_can_be_taken_back(bulb: Device) -> None:
    sent = Z2M.unschedule(bulb, "a-7")
    assert topic_of(sent) == f"{REQUEST}unschedule"
    assert body_of(sent) == {"id": IEEE, "transaction": f"a-7@{IEEE}/unschedule"}


def test_a_transfer_can_be_stopped(bulb: Device) -> None:
    sent = Z2M.abort(bulb, "a-7")
    assert topic_of(sent) == f"{REQUEST}update/abort"
    assert body_of(sent)["id"] == IEEE


def test_an_abort_that_came_too_late_fails_no_install(fleet: Fleet, bulb: Device) -> None:
    transaction = body_of(Z2M.abort(bulb, "a-7"))["transaction"]
    told = answer("update", error="No OTA in progress to abort for device 'bulb'", transaction=transaction)
    assert read(fleet, told) == ()


def test_a_device_that_no_bridge_has_listed_is_left_alone() -> None:
    stranger = Device(BULB, "zigbee2mqtt")
    assert (Z2M.query(stranger), Z2M.abort(stranger, "a"), Z2M.unschedule(stranger, "a")) == ((), (), ())
    with pytest.raises(Refused) as refused:
        Z2M.install(zigbee_order(stranger))
    assert refused.value.reason is Reason.DEVICE_SILENT


def test_a_bridge_that_was_not_seen_to_take_addresses_gets_no_install() -> None:
    with pytest.raises(Refused) as refused:
        Z2M.install(zigbee_order(device_of(LISTED)))
    assert refused.value.reason is Reason.UNSUPPORTED_SPEC


@pytest.mark.parametrize(
    ("url", "reason"),
    [
        ("http://h/index.json", Reason.MALFORMED),
        ("http://h/INDEX.JSON", Reason.MALFORMED),
        ("http://h/image.ota?t=1", Reason.MALFORMED),
        ("http://h/image.ota#x", Reason.MALFORMED),
        ("http://h/a b", Reason.MALFORMED),
        ("http://h/ä", Reason.MALFORMED),
        ("/data/image.ota", Reason.MALFORMED),
        ("image.ota", Reason.MALFORMED),
        ("", Reason.MALFORMED),
        (f"http://h/{'x' * 2040}", Reason.TOO_LARGE),
    ],
)
def test_an_address_that_would_be_misread_is_refused(bulb: Device, url: str, reason: Reason) -> None:
    with pytest.raises(Refused) as refused:
        Z2M.install(replace(zigbee_order(bulb), url=url))
    assert (refused.value.reason, refused.value.path) == (reason, "url")


def test_the_image_is_served_under_a_name_that_is_no_index() -> None:
    image = release()
    assert Z2M.serve_as(image) == {"image.ota": image.main}


def test_there_is_nothing_to_give_back_to_commit_or_to_roll_back(bulb: Device) -> None:
    assert Z2M.borrows(bulb) == {}
    assert (Z2M.restore(bulb, {"x": "y"}), Z2M.commit(bulb, "a"), Z2M.rollback(bulb, "a")) == ((), (), ())


def test_one_device_of_a_bridge_is_installed_at_a_time() -> None:
    assert Z2M.capabilities.parallel == 1


# --- captured from a real bridge, message by message -----------------------------------------------------------------


def replay(name: str) -> list[DeviceInput]:
    """Everything of a conversation but who is there and what was learnt on the way."""
    fleet = Fleet()
    fleet.expect_burst(NOW)
    heard = hear(Z2M, fleet, *fixture(BASE, f"ikea_led1545g12-2.14.1-{name}"))
    quiet = [item for item in heard if not isinstance(item, NetworkReported)]
    return [item for item in quiet if not (isinstance(item, DeviceReported) and item.facts.version is None)]


def version(number: str, *, retained: bool = False) -> DeviceReported:
    return DeviceReported(BULB, "zigbee2mqtt", DeviceFacts(version=number), retained=retained)


def test_a_real_install_that_went_well() -> None:
    assert replay("install_ok") == [
        DeviceLinkChanged(BULB, online=False),
        DeviceLinkChanged(BULB, online=True),
        version(OLD, retained=True),
        version(OLD),
        InstallReported(BULB, Stage.DOWNLOADING, 0, detail="4 s left"),
        InstallReported(BULB, Stage.INSTALLING, 100, detail="0 s left"),
        version(NEW, retained=True),
        DeviceLinkChanged(BULB, online=True),
        InstallReported(BULB, Stage.RESTARTED),
        InstallReported(BULB, Stage.RESTARTED, attempt_id="install-1"),
        DeviceLinkChanged(BULB, online=True),
    ]


def test_a_real_install_of_a_bad_image() -> None:
    sentence = "OTA update of 'bulb' failed (OTA update of 0x000d6f0000000002 failed with reason: INVALID_IMAGE)"
    assert replay("install_bad_image") == [
        DeviceLinkChanged(BULB, online=True, retained=True),
        DeviceLinkChanged(BULB, online=True),
        InstallReported(BULB, Stage.DOWNLOADING, 0, detail="4 s left"),
        InstallReported(BULB, Stage.REJECTED, attempt_id="install-2", detail=f"invalid_image: {sentence}"),
    ]


def test_a_real_install_that_stalled() -> None:
    *before, failed = replay("install_stall")
    assert before == [
        DeviceLinkChanged(BULB, online=True, retained=True),
        DeviceLinkChanged(BULB, online=True),
        InstallReported(BULB, Stage.DOWNLOADING, 0, detail="4 s left"),
    ]
    assert isinstance(failed, InstallReported)
    assert (failed.stage, failed.attempt_id, failed.detail.split(":")[0]) == (Stage.FAILED, "install-3", "stalled")


@pytest.mark.parametrize(
    ("name", "links"),
    [("install_ok", [True, False]), ("install_bad_image", [False, True, False]), ("install_stall", [False, True])],
)
def test_a_real_bridge_that_comes_and_goes(name: str, links: list[bool]) -> None:
    heard = hear(Z2M, Fleet(), *fixture(BASE, f"ikea_led1545g12-2.14.1-{name}"))
    assert [item.online for item in heard if isinstance(item, NetworkReported) and item.online is not None] == links


def test_the_build_that_a_person_reads_is_kept_beside_the_version() -> None:
    fleet = fleet_of(Z2M, *fixture(BASE, "ikea_led1545g12-2.14.1-install_ok"))
    channel = fleet.devices[BULB].channel
    assert (channel["build"], channel["build_date"]) == ("2.0.0", "20260101")
