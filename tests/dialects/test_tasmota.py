"""Tasmota: what devices say, and what they are told."""

from __future__ import annotations

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
    Stage,
)
from custom_components.firmware_hub.core.model import ArtifactRole, Device, DeviceFacts
from custom_components.firmware_hub.dialects.base import Message, Outgoing
from custom_components.firmware_hub.dialects.tasmota import TasmotaDialect

from .talk import Fault, artifact, fault, fixture, fleet_of, hear, message, only_device, order, release

TASMOTA = TasmotaDialect()
T = "tasmota_A1B2C3"
ID = "mac:8CAAB5A1B2C3"
OTA = "http://ota.tasmota.com/tasmota/release/tasmota.bin.gz"
URL = "http://192.168.1.2:8127/f/9f2c61/t.bin.gz"
BASIC = fixture("tasmota", "sonoff_basic-14.5.0")
KNOWN = BASIC[:8]


def told(word: str, payload: Any, *, retained: bool = False) -> Message:
    place = "tele" if word in {"LWT", "INFO1"} else "stat"
    return message(f"{place}/{T}/{word}", payload, retained=retained)


def firmware(version: str = "14.5.0(release-tasmota)", **changes: Any) -> Message:
    parts = {"Version": version, "SDK": "2.2.2-dev(38a443e)", "Hardware": "ESP8266EX", **changes}
    return told("STATUS2", {"StatusFWR": parts})


@pytest.fixture
def fleet() -> Fleet:
    """A Sonoff Basic that announced itself and answered all questions."""
    return fleet_of(TASMOTA, *KNOWN)


@pytest.fixture
def announced() -> Fleet:
    """A Sonoff Basic that announced itself and said nothing else."""
    return fleet_of(TASMOTA, BASIC[0])


@pytest.fixture
def basic(fleet: Fleet) -> Device:
    return only_device(fleet)


def facts_of(fleet: Fleet, each: Message) -> DeviceFacts:
    (item,) = [heard for heard in TASMOTA.read(each, fleet) if isinstance(heard, DeviceReported)]
    return item.facts


# --- discovery -------------------------------------------------------------------------------------------------------


def test_discovery_says_who_the_device_is_and_where_it_speaks(announced: Fleet) -> None:
    expected = Device(
        ID,
        "tasmota",
        name="Boiler",
        version="14.5.0",
        mac="8CAAB5A1B2C3",
        addresses=(f"stat/{T}/", f"tele/{T}/", f"cmnd/{T}/"),
        channel={
            "command": f"cmnd/{T}/",
            "topic": T,
            "online": "Online",
            "offline": "Offline",
            "stat_filter": "stat/+/",
            "tele_filter": "tele/+/",
        },
    )
    assert replace(only_device(announced), first_seen=None) == expected


def test_a_retained_discovery_does_not_tell_a_helper_image_from_the_whole_one() -> None:
    assert facts_of(Fleet(), BASIC[0]).helper is None


def test_a_live_discovery_comes_from_the_whole_image() -> None:
    assert facts_of(Fleet(), replace(BASIC[0], retained=False)).helper is False


def test_battery_and_deep_sleep_are_told() -> None:
    facts = facts_of(Fleet(), fixture("tasmota", "d1_mini_deep_sleep-14.5.0.3")[0])
    assert (facts.battery_powered, facts.sleeps, facts.version) == (True, True, "14.5.0.3")


def test_a_device_without_a_name_is_called_by_its_mac() -> None:
    assert facts_of(Fleet(), discovery(dn=None)).name == "8CAAB5A1B2C3"


def discovery(mac: str = "8CAAB5A1B2C3", **changes: Any) -> Message:
    config = {
        "dn": "Boiler",
        "hn": "tasmota-A1B2C3-4803",
        "mac": mac,
        "sw": "14.5.0",
        "t": T,
        "ft": "%prefix%/%topic%/",
        "tp": ["cmnd", "stat", "tele"],
        **changes,
    }
    return message(f"tasmota/discovery/{mac}/config", config, retained=True)


def test_a_cleared_discovery_withdraws_the_device(fleet: Fleet) -> None:
    assert TASMOTA.read(message("tasmota/discovery/8CAAB5A1B2C3/config", b""), fleet) == (DeviceWithdrawn(ID),)


def test_a_cleared_discovery_of_a_stranger_is_nothing() -> None:
    assert TASMOTA.read(message("tasmota/discovery/8CAAB5A1B2C3/config", ""), Fleet()) == ()


@pytest.mark.parametrize("rest", ["sensors", "config/x", ""])
def test_the_rest_of_discovery_is_passed_over(rest: str) -> None:
    assert TASMOTA.read(message(f"tasmota/discovery/8CAAB5A1B2C3/{rest}", "{"), Fleet()) == ()


@pytest.mark.parametrize("mac", ["", "8CAAB5A1B2", "8caab5a1b2c3", "x" * 12, "٨CAAB5A1B2C3"])
def test_a_topic_without_a_mac_is_refused(mac: str) -> None:
    assert fault(TASMOTA, Fleet(), discovery(mac)) == Fault("malformed", "topic")


def test_a_device_cannot_announce_another(fleet: Fleet) -> None:
    lie = replace(discovery("A4CF12D4E5F6"), topic="tasmota/discovery/8CAAB5A1B2C3/config")
    assert fault(TASMOTA, fleet, lie) == Fault("malformed", "mac")


@pytest.mark.parametrize(
    ("changes", "path"),
    [
        ({"sw": None}, "sw"),
        ({"sw": "newest"}, "sw"),
        ({"sw": 14}, "sw"),
        ({"dn": 5}, "dn"),
        ({"bat": 2}, "bat"),
        ({"dslp": True}, "dslp"),
        ({"onln": ["Online"]}, "onln"),
        ({"ofln": "Off\nline"}, "ofln"),
    ],
)
def test_a_discovery_that_makes_no_sense_is_refused_with_its_path(changes: dict[str, Any], path: str) -> None:
    assert fault(TASMOTA, Fleet(), discovery(**changes)) == Fault("malformed", path)


# --- version and hardware --------------------------------------------------------------------------------------------


def test_status2_says_version_image_and_chip(announced: Fleet) -> None:
    assert facts_of(announced, firmware()) == DeviceFacts(
        manufacturer="Tasmota",
        model="ESP8266",
        hardware="ESP8266EX",
        variant="tasmota",
        version="14.5.0",
        helper=False,
    )


@pytest.mark.parametrize(
    ("text", "version", "variant"),
    [
        ("14.5.0(tasmota)", "14.5.0", "tasmota"),
        ("14.5.0(release-sensors)", "14.5.0", "sensors"),
        ("14.5.0.3(85cff52-tasmota)", "14.5.0.3", "tasmota"),
        ("6.6.0(release-sensors)", "6.6.0", "sensors"),
        ("14.5.0(tasmota)-2_7_8", "14.5.0", "tasmota"),
        ("14.5.0(my build)", "14.5.0", "my build"),
        ("5.12.0", "5.12.0", ""),
    ],
)
def test_the_version_is_taken_apart(announced: Fleet, text: str, version: str, variant: str) -> None:
    facts = facts_of(announced, firmware(text))
    assert (facts.version, facts.variant) == (version, variant)


@pytest.mark.parametrize(
    "text", ["", "14", "release", "14.5.0(tasmota", "v14.5.0", "14.5.0()", "1.2.3.4.5.6.7", "14.5.0 ()"]
)
def test_what_is_no_version_is_refused_with_its_path(announced: Fleet, text: str) -> None:
    assert fault(TASMOTA, announced, firmware(text)) == Fault("malformed", "StatusFWR.Version")


@pytest.mark.parametrize(
    ("hardware", "model"),
    [
        ("ESP32-C3 v0.4", "ESP32-C3"),
        ("ESP32-D0WD-V3 v3.1", "ESP32"),
        ("ESP8285N08", "ESP8266"),
        ("", ""),
        ("RP2040", ""),
    ],
)
def test_the_chip_is_the_model(announced: Fleet, hardware: str, model: str) -> None:
    facts = facts_of(announced, firmware(Hardware=hardware))
    assert (facts.hardware, facts.model) == (hardware, model)


def test_a_chip_that_is_not_known_any_more_is_not_remembered(fleet: Fleet) -> None:
    hear(TASMOTA, fleet, firmware(Hardware="RP2040"))
    assert only_device(fleet).model == ""


def test_openbeken_answers_alike_and_is_not_tasmota() -> None:
    fleet = fleet_of(TASMOTA, *fixture("tasmota", "openbeken-1.18.0"))
    assert (only_device(fleet).manufacturer, only_device(fleet).model) == ("", "")


@pytest.mark.parametrize("image", ["minimal", "safeboot", "release-minimal", "tasmota-minimal", "tasmota32c3-safeboot"])
def test_a_helper_image_says_nothing_about_the_device_but_itself(announced: Fleet, image: str) -> None:
    facts = facts_of(announced, firmware(f"15.1.0({image})"))
    assert facts == DeviceFacts(manufacturer="Tasmota", version="15.1.0", helper=True)


def test_a_helper_image_keeps_the_identity_of_the_device(fleet: Fleet, basic: Device) -> None:
    hear(TASMOTA, fleet, firmware("15.1.0(minimal)"), told("INFO1", {"Info1": {"Version": "15.1.0(minimal)"}}))
    assert only_device(fleet).identity == basic.identity


def test_the_whole_image_ends_the_time_of_the_helper(fleet: Fleet) -> None:
    hear(TASMOTA, fleet, firmware("15.1.0(minimal)"), firmware("15.1.0(release-tasmota)"))
    assert only_device(fleet).helper is False


def test_a_retained_answer_is_passed_on_as_retained(announced: Fleet) -> None:
    (item,) = TASMOTA.read(replace(firmware(), retained=True), announced)
    assert isinstance(item, DeviceReported)
    assert item.retained


# --- boot ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("wrapped", [True, False], ids=["wrapped", "bare"])
def test_info1_is_a_report_after_a_boot(fleet: Fleet, wrapped: bool) -> None:
    inside = {"Module": "Sonoff Basic", "Version": "15.1.0(release-tasmota)"}
    heard = TASMOTA.read(told("INFO1", {"Info1": inside} if wrapped else inside), fleet)
    facts = DeviceFacts(version="15.1.0", variant="tasmota", helper=False)
    assert heard == (DeviceReported(ID, "tasmota", facts, rebooted=True),)


def test_info1_of_a_device_without_a_known_chip_leaves_the_variant_open(announced: Fleet) -> None:
    facts = facts_of(announced, told("INFO1", {"Version": "15.1.0(release-tasmota32)"}))
    assert facts == DeviceFacts(version="15.1.0", helper=False)


def test_info1_without_an_image_name_says_the_version_only(fleet: Fleet) -> None:
    assert facts_of(fleet, told("INFO1", {"Version": "5.12.0"})) == DeviceFacts(version="5.12.0")


def test_info1_of_a_helper_image_says_so(fleet: Fleet) -> None:
    facts = facts_of(fleet, told("INFO1", {"Info1": {"Version": "15.1.0(minimal)"}}))
    assert facts == DeviceFacts(version="15.1.0", helper=True)


def test_info1_without_a_version_is_refused_with_its_path(fleet: Fleet) -> None:
    assert fault(TASMOTA, fleet, told("INFO1", {"Info1": {"Version": 5}})) == Fault("malformed", "Info1.Version")


# --- on line, off line -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("word", "online"), [("Online", True), ("Offline", False)])
@pytest.mark.parametrize("retained", [True, False])
def test_the_last_will_is_passed_on(fleet: Fleet, word: str, online: bool, retained: bool) -> None:
    heard = TASMOTA.read(told("LWT", word, retained=retained), fleet)
    assert heard == (DeviceLinkChanged(ID, online, retained),)


def test_the_last_will_is_in_the_words_of_the_device() -> None:
    fleet = fleet_of(TASMOTA, discovery(onln="here", ofln="gone"))
    assert TASMOTA.read(told("LWT", "gone"), fleet) == (DeviceLinkChanged(ID, online=False),)
    assert TASMOTA.read(told("LWT", "Online"), fleet) == ()


def test_a_device_in_deep_sleep_is_not_off_line() -> None:
    fleet = fleet_of(TASMOTA, *fixture("tasmota", "d1_mini_deep_sleep-14.5.0.3")[:1])
    assert TASMOTA.read(message("tele/garden/LWT", "Offline"), fleet) == ()
    assert TASMOTA.read(message("tele/garden/LWT", "Online"), fleet) == (
        DeviceLinkChanged("mac:A4CF12D4E5F6", online=True),
    )


# --- settings, memory, health ----------------------------------------------------------------------------------------


def test_status1_says_the_address_of_updates_and_the_uptime(announced: Fleet) -> None:
    heard = TASMOTA.read(told("STATUS1", {"StatusPRM": {"OtaUrl": OTA, "Uptime": "1T02:03:04"}}), announced)
    assert heard == (
        DeviceReported(ID, "tasmota", DeviceFacts(settings={"OtaUrl": OTA})),
        HealthReported(ID, uptime_s=93_784),
    )


@pytest.mark.parametrize("uptime", ["", "12", "1T2:3:4", "x"])
def test_an_uptime_in_other_words_is_not_known(announced: Fleet, uptime: str) -> None:
    assert TASMOTA.read(told("STATUS1", {"StatusPRM": {"Uptime": uptime}}), announced) == (HealthReported(ID),)


def test_an_empty_address_of_updates_is_known_to_be_empty(announced: Fleet) -> None:
    assert facts_of(announced, told("STATUS1", {"StatusPRM": {"OtaUrl": ""}})).settings == {"OtaUrl": ""}


def test_an_address_of_updates_that_could_not_be_put_back_is_refused(announced: Fleet) -> None:
    each = told("STATUS1", {"StatusPRM": {"OtaUrl": "http://x/\u0000"}})
    assert fault(TASMOTA, announced, each) == Fault("malformed", "StatusPRM.OtaUrl")


def test_a_device_that_obeys_on_its_groups_topic_is_not_spoken_to(announced: Fleet) -> None:
    each = told("STATUS1", {"StatusPRM": {"OtaUrl": OTA, "GroupTopic": T}})
    assert fault(TASMOTA, announced, each) == Fault("malformed", "StatusPRM.GroupTopic")


def memory(free: object = 348, program: object = 654) -> Message:
    return told("STATUS4", {"StatusMEM": {"ProgramSize": program, "Free": free}})


def test_an_esp8266_has_room_beside_the_running_image(fleet: Fleet) -> None:
    assert facts_of(fleet, memory()) == DeviceFacts(free_bytes=348 * 1024)


def test_an_esp32_is_rewritten_by_its_safeboot_image(fleet: Fleet) -> None:
    hear(TASMOTA, fleet, firmware("15.1.0(tasmota32)", Hardware="ESP32-C3 v0.4"))
    assert facts_of(fleet, memory(894, 1985)) == DeviceFacts(free_bytes=2879 * 1024)


def test_room_means_nothing_before_the_chip_is_known(announced: Fleet) -> None:
    assert TASMOTA.read(memory(), announced) == ()


@pytest.mark.parametrize(("free", "program", "path"), [(-1, 1, "Free"), (1, "x", "ProgramSize"), (10**9, 1, "Free")])
def test_memory_that_makes_no_sense_is_refused_with_its_path(
    fleet: Fleet, free: object, program: object, path: str
) -> None:
    assert fault(TASMOTA, fleet, memory(free, program)) == Fault("malformed", f"StatusMEM.{path}")


def test_status11_says_how_the_device_is(fleet: Fleet) -> None:
    status = {"StatusSTS": {"Uptime": "0T00:00:10", "UptimeSec": 11, "Wifi": {"RSSI": 78, "Signal": -61}}}
    assert TASMOTA.read(told("STATUS11", status), fleet) == (HealthReported(ID, rssi_dbm=-61, uptime_s=11),)


@pytest.mark.parametrize(("told_percent", "percent"), [(0, 0), (31, 31), (100, 100), (101, None)])
def test_status11_says_how_full_the_battery_is(fleet: Fleet, told_percent: int, percent: int | None) -> None:
    status = told("STATUS11", {"StatusSTS": {"BatteryPercentage": told_percent}})
    assert TASMOTA.read(status, fleet) == (HealthReported(ID, battery_percent=percent),)


def test_status11_of_a_wired_device_has_no_signal(fleet: Fleet) -> None:
    assert TASMOTA.read(told("STATUS11", {"StatusSTS": {}}), fleet) == (HealthReported(ID),)


@pytest.mark.parametrize("word", ["STATUS1", "STATUS2", "STATUS4", "STATUS11"])
@pytest.mark.parametrize(
    "payload", ["{", "[]", "{}", '"x"', '{"StatusPRM":1,"StatusFWR":1,"StatusMEM":1,"StatusSTS":1}']
)
def test_an_answer_of_another_shape_is_refused(fleet: Fleet, word: str, payload: str) -> None:
    refusal = fault(TASMOTA, fleet, told(word, payload))
    assert refusal is not None
    assert refusal.reason == "malformed"


# --- an upgrade in its own words -------------------------------------------------------------------------------------

ACK = f"Version 14.5.0 from {URL}"


@pytest.mark.parametrize(
    ("word", "payload", "stage", "detail"),
    [
        ("RESULT", {"Upgrade": ACK}, Stage.ACCEPTED, ACK),
        ("UPGRADE", {"Upgrade": ACK}, Stage.ACCEPTED, ACK),
        ("UPGRADE", {"Upgrade": "Successful. Restarting"}, Stage.CLAIMS_DONE, "Successful. Restarting"),
        ("UPGRADE", "Successful. Restarting", Stage.CLAIMS_DONE, "Successful. Restarting"),
        ("UPGRADE", {"Upgrade": "Failed HTTP error: x"}, Stage.FAILED, "Failed HTTP error: x"),
        ("UPGRADE", "Failed Not Enough space", Stage.FAILED, "Failed Not Enough space"),
        ("UPGRADE", "Upgrade Failed", Stage.FAILED, "Upgrade Failed"),
        ("RESULT", {"Upgrade": "Version 1.0 from http://Failed/"}, Stage.ACCEPTED, "Version 1.0 from http://Failed/"),
    ],
)
def test_words_about_an_upgrade(fleet: Fleet, word: str, payload: Any, stage: Stage, detail: str) -> None:
    assert TASMOTA.read(told(word, payload), fleet) == (InstallReported(ID, stage, detail=detail),)


@pytest.mark.parametrize("text", ["1 or >14.5.0 to upgrade", "Safeboot", "", "x"])
def test_answers_to_other_orders_are_no_news_of_an_install(fleet: Fleet, text: str) -> None:
    assert TASMOTA.read(told("RESULT", {"Upgrade": text}), fleet) == ()


def test_a_retained_word_about_an_upgrade_is_passed_on_as_retained(fleet: Fleet) -> None:
    (item,) = TASMOTA.read(told("UPGRADE", "Failed x", retained=True), fleet)
    assert isinstance(item, InstallReported)
    assert item.retained


@pytest.mark.parametrize("word", ["RESULT", "OTAURL"])
def test_the_answer_to_a_new_address_is_evidence_of_the_setting(fleet: Fleet, word: str) -> None:
    heard = TASMOTA.read(told(word, {"OtaUrl": URL}), fleet)
    assert heard == (DeviceReported(ID, "tasmota", DeviceFacts(settings={"OtaUrl": URL})),)


def test_answers_about_lamps_are_passed_over_unread(fleet: Fleet) -> None:
    assert TASMOTA.read(told("RESULT", '{"POWER":"ON"'), fleet) == ()


def test_an_answer_may_come_as_text(fleet: Fleet) -> None:
    each = Message(f"stat/{T}/RESULT", '{"OtaUrl":"x"}')
    assert facts_of(fleet, each).settings == {"OtaUrl": "x"}


@pytest.mark.parametrize("word", ["RESULT", "OTAURL", "UPGRADE"])
def test_a_broken_answer_about_an_upgrade_is_refused(fleet: Fleet, word: str) -> None:
    assert fault(TASMOTA, fleet, told(word, '{"Upgrade":')) == Fault("malformed", "$")


def test_a_wrong_kind_of_answer_is_refused_with_its_path(fleet: Fleet) -> None:
    assert fault(TASMOTA, fleet, told("RESULT", {"Upgrade": 5})) == Fault("malformed", "Upgrade")


# --- whole conversations ---------------------------------------------------------------------------------------------


def stages(heard: list[DeviceInput]) -> list[Stage]:
    return [item.stage for item in heard if isinstance(item, InstallReported)]


def helpers(heard: list[DeviceInput]) -> list[bool]:
    return [
        item.facts.helper
        for item in heard
        if isinstance(item, DeviceReported) and item.facts.version and item.facts.helper is not None
    ]


def test_an_install_through_the_minimal_image() -> None:
    heard = hear(TASMOTA, Fleet(), *BASIC)
    assert stages(heard) == [Stage.ACCEPTED, Stage.CLAIMS_DONE, Stage.FAILED]
    assert helpers(heard) == [False, False, True, True]


def test_an_install_through_safeboot_with_answers_on_their_own_topics() -> None:
    fleet = Fleet()
    heard = hear(TASMOTA, fleet, *fixture("tasmota", "esp32_c3-15.1.0"))
    device = only_device(fleet)
    assert stages(heard) == [Stage.ACCEPTED, Stage.CLAIMS_DONE]
    assert helpers(heard) == [False, False, True, False]
    assert (device.model, device.variant, device.version) == ("ESP32-C3", "tasmota32", "15.2.0")
    assert device.settings == {"OtaUrl": "http://192.168.1.2:8127/f/77aa01/t32.bin"}


def test_firmware_of_2019_is_understood() -> None:
    fleet = Fleet()
    heard = hear(TASMOTA, fleet, *fixture("tasmota", "sonoff_s20-6.6.0"))
    device = only_device(fleet)
    assert stages(heard) == [Stage.FAILED, Stage.CLAIMS_DONE]
    assert (device.version, device.variant, device.model) == ("6.6.0", "sensors", "")


# --- orders ----------------------------------------------------------------------------------------------------------


def test_a_query_asks_for_the_version_last(basic: Device) -> None:
    assert TASMOTA.query(basic) == tuple(Outgoing(f"cmnd/{T}/STATUS", number) for number in ("1", "4", "2"))


def test_a_device_with_a_battery_is_asked_for_it_too() -> None:
    fleet = fleet_of(TASMOTA, *fixture("tasmota", "d1_mini_deep_sleep-14.5.0.3"))
    assert [each.payload for each in TASMOTA.query(only_device(fleet))] == ["1", "4", "11", "2"]


def test_an_install_is_one_message(basic: Device) -> None:
    assert TASMOTA.install(order(basic, URL)) == (Outgoing(f"cmnd/{T}/Backlog", f"OtaUrl {URL}; Upgrade 1"),)


def test_a_second_attempt_needs_no_new_word_about_what_is_borrowed_already(announced: Fleet) -> None:
    device = replace(only_device(announced), borrowed={"OtaUrl": OTA})
    assert len(TASMOTA.install(order(device, URL))) == 1


def refused(device: Device, url: str = URL) -> Reason:
    with pytest.raises(Refused) as refusal:
        TASMOTA.install(order(device, url))
    return refusal.value.reason


def test_no_install_without_an_address_to_put_back(announced: Fleet) -> None:
    assert refused(only_device(announced)) is Reason.NO_SETTINGS_KNOWN


def test_no_install_before_it_is_known_where_the_device_listens() -> None:
    assert refused(Device(ID, "tasmota", settings={"OtaUrl": OTA})) is Reason.DEVICE_SILENT


def test_no_install_from_an_address_that_the_device_would_cut(basic: Device) -> None:
    assert refused(basic, "http://192.168.1.2/" + "a" * 82) is Reason.TOO_LARGE
    assert len(TASMOTA.install(order(basic, "http://192.168.1.2/" + "a" * 81))) == 1


@pytest.mark.parametrize(
    "url", ["http://a/;Reset", "http://a/ b", "http://a/%d", "http://a/{", "https://a/t.bin", "", "1"]
)
def test_no_install_from_an_address_that_a_backlog_cannot_hold(basic: Device, url: str) -> None:
    assert refused(basic, url) is Reason.MALFORMED


def test_an_install_borrows_the_address_of_updates(basic: Device) -> None:
    assert TASMOTA.borrows(basic) == {"OtaUrl": OTA}


def test_an_unknown_address_is_not_the_same_as_none(announced: Fleet) -> None:
    with pytest.raises(Refused) as refusal:
        TASMOTA.borrows(only_device(announced))
    assert refusal.value.reason is Reason.NO_SETTINGS_KNOWN


def test_the_address_of_updates_is_put_back(basic: Device) -> None:
    assert TASMOTA.restore(basic, {"OtaUrl": OTA}) == (Outgoing(f"cmnd/{T}/OtaUrl", OTA),)


def test_an_empty_address_goes_back_to_what_the_image_was_built_with(basic: Device) -> None:
    assert TASMOTA.restore(basic, {"OtaUrl": ""}) == (Outgoing(f"cmnd/{T}/OtaUrl", "1"),)


def test_nothing_is_put_back_that_was_not_borrowed(basic: Device) -> None:
    assert TASMOTA.restore(basic, {}) == ()
    assert TASMOTA.restore(Device(ID, "tasmota"), {"OtaUrl": OTA}) == ()


def test_there_is_no_trial_and_no_other_slot(basic: Device) -> None:
    assert TASMOTA.commit(basic, "a-7") == ()
    assert TASMOTA.rollback(basic, "a-7") == ()


def test_an_esp8266_finds_its_minimal_image_beside_the_whole_one() -> None:
    main, helper = artifact(), artifact(ArtifactRole.HELPER, "cd")
    served = TASMOTA.serve_as(release(helper, main, model="ESP8266"))
    assert list(served.items()) == [("t.bin.gz", main), ("t-minimal.bin.gz", helper)]


def test_an_esp32_gets_a_plain_image() -> None:
    main = artifact()
    assert TASMOTA.serve_as(release(main, model="ESP32-C3")) == {"t32.bin": main}


def test_the_names_hold_no_hyphen_that_a_device_would_cut_off() -> None:
    names = [next(iter(TASMOTA.serve_as(release(model=model)))) for model in ("ESP8266", "ESP32")]
    assert "-" not in "".join(names)
