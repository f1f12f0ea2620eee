"""Shelly Gen2 and later: who is there, what devices answer and tell, and what they are told."""

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
    Stage,
)
from custom_components.firmware_hub.core.model import Device, DeviceFacts
from custom_components.firmware_hub.dialects.base import Message, Outgoing, Prober
from custom_components.firmware_hub.dialects.shelly import ShellyDialect
from custom_components.firmware_hub.dialects.shelly.topics import asked_at, sender_for

from .talk import Fault, fault, fixture, fleet_of, hear, message, only_device, order

SHELLY = ShellyDialect()
P = "shellyplus1-a8032abe1234"
SENDER = f"fwhub/shelly/{P}"
ID = "mac:A8032ABE1234"
URL = "http://192.168.1.2:8127/f/9f2c61/fw.zip"
PLUS_1 = fixture("shelly", "plus_1-1.3.3")
KNOWN = PLUS_1[:4]
INFO: dict[str, Any] = json.loads(PLUS_1[0].payload)["result"]


def answer(question: str, *, sender: str = SENDER, retained: bool = False, **members: Any) -> Message:
    frame = {"id": question, "src": P, "dst": sender, **members}
    return message(f"{sender}/rpc", frame, retained=retained)


def info(**changes: Any) -> Message:
    return answer("info", result={**INFO, **changes})


def status(retained: bool = False, **parts: Any) -> Message:
    return answer("status", result=parts, retained=retained)


def notified(method: str, retained: bool = False, **params: Any) -> Message:
    frame = {"src": P, "dst": f"{P}/events", "method": method, "params": params}
    return message(f"{P}/events/rpc", frame, retained=retained)


def event(word: str, component: str = "sys", **members: Any) -> Message:
    told = {"component": component, "event": word, "ts": 1.5, **members}
    return notified("NotifyEvent", ts=1.5, events=[told])


@pytest.fixture
def fleet() -> Fleet:
    """A Plus 1 that was asked who and how it is."""
    return fleet_of(SHELLY, *KNOWN)


@pytest.fixture
def plus_1(fleet: Fleet) -> Device:
    return only_device(fleet)


def facts_of(fleet: Fleet, told: Message) -> DeviceFacts:
    (item,) = [heard for heard in SHELLY.read(told, fleet) if isinstance(heard, DeviceReported)]
    return item.facts


def staged(fleet: Fleet, told: Message) -> InstallReported:
    (item,) = SHELLY.read(told, fleet)
    assert isinstance(item, InstallReported)
    return item


def health(fleet: Fleet, told: Message) -> HealthReported:
    (item,) = [heard for heard in SHELLY.read(told, fleet) if isinstance(heard, HealthReported)]
    return item


# --- strangers -------------------------------------------------------------------------------------------------------


def test_it_is_a_family_whose_strangers_are_asked() -> None:
    assert isinstance(SHELLY, Prober)


@pytest.mark.parametrize("prefix", [P, "shellies/kitchen", "home/first floor/küche"])
@pytest.mark.parametrize("payload", ["true", b"true"])
def test_whoever_says_to_be_there_is_suspected(prefix: str, payload: str | bytes) -> None:
    assert SHELLY.suspect(Message(f"{prefix}/online", payload, retained=True), Fleet()) == f"{prefix}/"


@pytest.mark.parametrize("payload", ["false", "", "1", "True", "on", '{"state":"online"}', b"\xff"])
def test_whoever_says_anything_else_is_not(payload: str | bytes) -> None:
    assert SHELLY.suspect(Message(f"{P}/online", payload), Fleet()) == ""


@pytest.mark.parametrize(
    "topic",
    [
        "online",
        "/online",
        "a//online",
        "a/b/c/d/online",
        f"{P}/status/online/x",
        f"{P}/isonline",
        "fwhub/shelly/online",
        "$SYS/online",
        "homeassistant/online",
        "zigbee2mqtt/lamp/online",
        "tasmota/x/online",
        "a+b/online",
        "a#b/online",
        "a%b/online",
        "a?b/online",
        "a\x00b/online",
        "a\u202eb/online",
        f"{'x' * 129}/online",
    ],
)
def test_a_topic_that_is_no_shellys_leads_nowhere(topic: str) -> None:
    assert SHELLY.suspect(Message(topic, "true"), Fleet()) == ""
    assert SHELLY.probe(topic.removesuffix("online")) == ()


def test_whoever_is_known_is_no_stranger(fleet: Fleet) -> None:
    assert SHELLY.suspect(Message(f"{P}/online", "true"), fleet) == ""


def test_an_address_that_two_devices_claim_is_not_asked_again(fleet: Fleet) -> None:
    hear(SHELLY, fleet, info(mac="A8032ABE9999", id="shellyplus1-a8032abe9999"))
    assert fleet.at("shelly", f"{P}/") is None
    assert SHELLY.suspect(Message(f"{P}/online", "true"), fleet) == ""


def test_a_stranger_is_asked_one_question_that_changes_nothing() -> None:
    assert SHELLY.probe("shellies/kitchen/") == (
        Outgoing(
            "shellies/kitchen/rpc",
            '{"id":"info","src":"fwhub/shelly/shellies~2Fkitchen","method":"Shelly.GetDeviceInfo"}',
        ),
    )


@pytest.mark.parametrize("address", [f"{P}/", "shellies/kitchen/", "a~b/", "~2F/", "home/first floor/küche/", "💡/"])
def test_an_answer_leads_back_to_the_prefix_that_was_asked(address: str) -> None:
    sender = sender_for(address)
    assert asked_at(sender) == address
    assert "/" not in sender.removeprefix("fwhub/shelly/")
    assert "%" not in sender


@pytest.mark.parametrize(
    "encoded",
    ["", "a~2fb", "~41", "a%2Fb", "a~", "a~zz", "~FF", "a~2F~2Fb", "~24SYS", "a~2Bb", "fwhub~2Fx", "a b", "a:b"],
)
def test_an_answer_to_a_sender_that_we_never_are_is_refused(encoded: str) -> None:
    sender = f"fwhub/shelly/{encoded}"
    told = answer("info", sender=sender, result=INFO)
    assert fault(SHELLY, Fleet(), told) == Fault("malformed", "topic")


# --- who it is -------------------------------------------------------------------------------------------------------


def test_the_answer_says_who_the_device_is() -> None:
    device = only_device(fleet_of(SHELLY, PLUS_1[0]))
    assert replace(device, first_seen=None) == Device(
        ID,
        "shelly",
        name="Kitchen",
        manufacturer="Shelly",
        model="Plus1",
        hardware="SNSW-001X16EU",
        version="1.3.3",
        slots=2,
        mac="A8032ABE1234",
        addresses=(f"{P}/",),
        channel={"command": f"{P}/rpc"},
    )


def test_a_device_without_a_name_is_called_by_its_id() -> None:
    assert facts_of(Fleet(), info(name=None)).name == P


def test_a_build_for_another_radio_is_another_model() -> None:
    assert facts_of(Fleet(), info(app="Plus1ZB")).model == "Plus1ZB"


def test_a_prefix_with_slashes_is_one_address() -> None:
    device = only_device(fleet_of(SHELLY, *fixture("shelly", "power_strip_gen4-1.7.99")))
    assert (device.addresses, device.channel) == (
        ("shellies/office/strip/",),
        {"command": "shellies/office/strip/rpc"},
    )
    assert (device.name, device.model, device.version) == ("Büro", "PowerStrip", "1.7.99-powerstripg4prod1")


def test_a_device_that_was_given_another_prefix_is_the_same_one(fleet: Fleet) -> None:
    moved = answer("info", sender="fwhub/shelly/shellies~2Fnew", result=INFO)
    hear(SHELLY, fleet, moved)
    assert only_device(fleet).addresses == ("shellies/new/",)


@pytest.mark.parametrize(
    ("changes", "path"),
    [
        ({"mac": "a8032abe1234"}, "result.mac"),
        ({"mac": "A8032ABE12"}, "result.mac"),
        ({"mac": "000000000000"}, "result.mac"),
        ({"mac": "A9032ABE1234"}, "result.mac"),
        ({"mac": None}, "result.mac"),
        ({"gen": 1}, "result.gen"),
        ({"gen": None}, "result.gen"),
        ({"app": ""}, "result.app"),
        ({"model": 7}, "result.model"),
        ({"ver": "x" * 300}, "result.ver"),
        ({"auth_en": "no"}, None),
    ],
)
def test_who_cannot_say_who_it_is_is_refused(changes: dict[str, Any], path: str | None) -> None:
    refused = fault(SHELLY, Fleet(), info(**changes))
    assert (refused and refused.path) == path


def test_somebody_else_with_the_same_way_of_calling_is_passed_over() -> None:
    unknown = answer("info", error={"code": 404, "message": "No handler for Shelly.GetDeviceInfo"})
    assert SHELLY.read(unknown, Fleet()) == ()


def test_an_answer_to_somebody_else_is_refused() -> None:
    told = message(f"{SENDER}/rpc", {"id": "info", "src": P, "dst": "hub-1", "result": INFO})
    assert fault(SHELLY, Fleet(), told) == Fault("malformed", "dst")


def test_an_answer_without_a_receiver_is_read() -> None:
    told = message(f"{SENDER}/rpc", {"id": "info", "src": P, "result": INFO})
    assert facts_of(Fleet(), told).version == "1.3.3"


@pytest.mark.parametrize("topic", ["fwhub/shelly", "fwhub/shelly/", f"{SENDER}/x", f"{SENDER}/rpc/x", f"{SENDER}/xrpc"])
def test_the_rest_of_our_topics_is_passed_over(fleet: Fleet, topic: str) -> None:
    assert SHELLY.read(message(topic, "{"), fleet) == ()


def test_an_empty_answer_is_nothing(fleet: Fleet) -> None:
    assert SHELLY.read(message(f"{SENDER}/rpc", b""), fleet) == ()


@pytest.mark.parametrize("question", ["status", "schedule", "install-a-7"])
def test_other_answers_of_a_stranger_are_passed_over(question: str) -> None:
    assert SHELLY.read(answer(question, result={}), Fleet()) == ()


def test_an_answer_to_a_question_that_nobody_asked_is_refused(fleet: Fleet) -> None:
    assert fault(SHELLY, fleet, answer("reboot", result=None)) == Fault("malformed", "id")


# --- how it is -------------------------------------------------------------------------------------------------------


def test_the_status_says_how_it_is(fleet: Fleet) -> None:
    assert health(fleet, KNOWN[2]) == HealthReported(ID, rssi_dbm=-58, uptime_s=86400)


def test_what_the_vendor_offers_is_kept(plus_1: Device) -> None:
    assert plus_1.settings["offered"] == "1.7.5"


def test_that_the_vendor_offers_nothing_is_kept_too(fleet: Fleet) -> None:
    assert facts_of(fleet, status(sys={"available_updates": {}})).settings == {"offered": ""}


def test_a_beta_alone_is_no_offer(fleet: Fleet) -> None:
    told = status(sys={"available_updates": {"beta": {"version": "2.0.0-beta3"}}})
    assert facts_of(fleet, told).settings == {"offered": ""}


def test_a_status_that_says_nothing_new_says_that_the_offer_still_stands(fleet: Fleet) -> None:
    told, health = SHELLY.read(KNOWN[2], fleet)
    assert isinstance(told, DeviceReported)
    assert told.facts.settings == {"offered": "1.7.5"}
    assert health == HealthReported(ID, rssi_dbm=-58, uptime_s=86400)


def test_a_status_without_a_word_about_the_system_is_empty(fleet: Fleet) -> None:
    assert SHELLY.read(status(), fleet) == (HealthReported(ID),)


def test_a_sensor_sleeps_and_has_a_battery() -> None:
    sensor = fixture("shelly", "ht_gen3-1.6.2")
    device = only_device(fleet_of(SHELLY, *sensor))
    assert (device.sleeps, device.battery_powered) == (True, True)
    assert health(fleet_of(SHELLY, *sensor), sensor[2]).battery_percent == 100


def test_power_from_outside_counts_for_the_battery_and_not_for_sleep() -> None:
    sensor = fleet_of(SHELLY, *fixture("shelly", "ht_gen3-1.6.2")[:1])
    power = {"battery": {"percent": 40}, "external": {"present": True}}
    sender = "fwhub/shelly/shellyhtg3-543204539b34"
    told = answer("status", sender=sender, result={"sys": {"wakeup_period": 600}, "devicepower:0": power})
    hear(SHELLY, sensor, told)
    assert (only_device(sensor).sleeps, only_device(sensor).battery_powered) == (True, False)
    assert health(sensor, told).battery_percent == 40


def test_a_battery_that_does_not_say_how_full_it_is_is_a_battery(fleet: Fleet) -> None:
    told = answer("status", result={"devicepower:0": {"id": 0}})
    assert facts_of(fleet, told).battery_powered is True
    assert health(fleet, told).battery_percent is None


def test_a_full_notification_is_a_whole_status(fleet: Fleet) -> None:
    hear(SHELLY, fleet, notified("NotifyFullStatus", sys={"uptime": 2, "wakeup_period": 7200}))
    assert only_device(fleet).sleeps is True


def test_a_partial_notification_does_not_deny_what_it_leaves_out() -> None:
    sensor = fleet_of(SHELLY, *fixture("shelly", "ht_gen3-1.6.2"))
    topic = "shellyhtg3-543204539b34/events/rpc"
    part = {"method": "NotifyStatus", "params": {"sys": {"available_updates": {"stable": {"version": "1.7.5"}}}}}
    hear(SHELLY, sensor, message(topic, part))
    device = only_device(sensor)
    assert (device.sleeps, device.battery_powered, device.settings["offered"]) == (True, True, "1.7.5")


def test_a_notification_about_something_else_is_not_even_parsed(fleet: Fleet) -> None:
    assert SHELLY.read(message(f"{P}/events/rpc", '{"method":"NotifyStatus",'), fleet) == ()


def test_a_notification_of_an_unknown_kind_is_passed_over(fleet: Fleet) -> None:
    assert SHELLY.read(notified("NotifySomething", about="NotifyEvent"), fleet) == ()


def test_notifications_are_read_as_text_too(fleet: Fleet) -> None:
    told = event("ota_begin")
    assert isinstance(told.payload, bytes)
    assert SHELLY.read(replace(told, payload=told.payload.decode()), fleet) == SHELLY.read(told, fleet)


# --- its own schedule ------------------------------------------------------------------------------------------------


def test_that_it_updates_itself_is_kept(plus_1: Device) -> None:
    assert plus_1.settings["auto_update"] == "stable 0 0 3 * * *"


def plan(**changes: Any) -> dict[str, Any]:
    call = {"method": "shelly.update", **changes.pop("call", {})}
    return {"enable": True, "timespec": "0 0 1 * * *", "calls": [call], **changes}


@pytest.mark.parametrize(
    ("jobs", "kept"),
    [
        ([], "off"),
        ([plan(enable=False)], "off"),
        ([plan(enable=None)], "off"),
        ([plan(call={"method": "Switch.Set"})], "off"),
        ([plan()], "stable 0 0 1 * * *"),
        ([plan(timespec=None)], "stable"),
        ([plan(call={"params": {"stage": "beta"}})], "beta 0 0 1 * * *"),
        ([plan(), plan(call={"params": {"stage": "beta"}})], "stable 0 0 1 * * *; beta 0 0 1 * * *"),
        ([plan(timespec="x" * 300)] * 9, f"stable {'x' * 248}"),
    ],
)
def test_every_way_to_write_the_schedule(fleet: Fleet, jobs: list[Any], kept: str) -> None:
    assert facts_of(fleet, answer("schedule", result={"jobs": jobs})).settings == {"auto_update": kept}


def test_a_schedule_that_is_known_is_no_news(fleet: Fleet) -> None:
    assert SHELLY.read(KNOWN[3], fleet) == ()


# --- passwords -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("code", [401, 429])
def test_a_device_that_wants_a_password_is_asked_no_more_than_its_version(fleet: Fleet, code: int) -> None:
    hear(SHELLY, fleet, answer("status", error={"code": code, "message": "x"}))
    asked = SHELLY.query(only_device(fleet))
    assert [json.loads(each.payload)["method"] for each in asked] == ["Shelly.GetDeviceInfo"]


def test_it_is_asked_everything_again_when_it_has_no_password_any_more(fleet: Fleet) -> None:
    hear(SHELLY, fleet, answer("schedule", error={"code": 401}), info(auth_en=True))
    assert only_device(fleet).settings["locked"] == "yes"
    hear(SHELLY, fleet, info(auth_en=False))
    assert only_device(fleet).settings["locked"] == "no"
    assert len(SHELLY.query(only_device(fleet))) == 3


@pytest.mark.parametrize("question", ["status", "schedule"])
def test_any_other_refusal_to_answer_is_nothing(fleet: Fleet, question: str) -> None:
    assert SHELLY.read(answer(question, error={"code": 404, "message": "No handler"}), fleet) == ()


def test_a_refusal_without_a_code_is_refused(fleet: Fleet) -> None:
    assert fault(SHELLY, fleet, answer("status", error={"message": "x"})) == Fault("malformed", "error.code")


# --- presence --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("online", [True, False])
def test_presence_is_passed_on(fleet: Fleet, online: bool) -> None:
    told = message(f"{P}/online", str(online).lower())
    assert SHELLY.read(told, fleet) == (DeviceLinkChanged(ID, online=online),)


def test_cleared_presence_withdraws_the_device(fleet: Fleet) -> None:
    assert SHELLY.read(message(f"{P}/online", ""), fleet) == (DeviceWithdrawn(ID),)


def test_presence_in_other_words_is_refused(fleet: Fleet) -> None:
    assert fault(SHELLY, fleet, message(f"{P}/online", "maybe")) == Fault("malformed", "$")


# --- updates ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("word", "members", "stage", "percent"),
    [
        ("ota_begin", {}, Stage.DOWNLOADING, None),
        ("ota_progress", {"progress_percent": 37}, Stage.DOWNLOADING, 37),
        ("ota_success", {}, Stage.CLAIMS_DONE, None),
        ("scheduled_restart", {"time_ms": 435}, Stage.REBOOTING, None),
        ("ota_error", {"msg": "no space"}, Stage.FAILED, None),
    ],
)
def test_every_event_of_an_update(
    fleet: Fleet, word: str, members: dict[str, Any], stage: Stage, percent: int | None
) -> None:
    expected = InstallReported(ID, stage, percent, detail=members.get("msg", ""))
    assert staged(fleet, event(word, **members)) == expected


def test_several_events_in_one_message_are_read_in_their_order(fleet: Fleet) -> None:
    both = [{"component": "sys", "event": word} for word in ("ota_success", "scheduled_restart")]
    heard = SHELLY.read(notified("NotifyEvent", events=both), fleet)
    assert [item.stage for item in heard if isinstance(item, InstallReported)] == [Stage.CLAIMS_DONE, Stage.REBOOTING]


@pytest.mark.parametrize("component", ["bthomedevice:200", "input:0", ""])
def test_updates_of_what_is_attached_are_not_its_own(fleet: Fleet, component: str) -> None:
    assert SHELLY.read(event("ota_progress", component, progress_percent=5), fleet) == ()


@pytest.mark.parametrize("word", ["brownout", "single_push", "ota_wait", ""])
def test_other_events_are_passed_over(fleet: Fleet, word: str) -> None:
    assert SHELLY.read(event(word), fleet) == ()


@pytest.mark.parametrize("percent", [-1, 101, 5.5, "5", True])
def test_progress_that_is_no_per_cent_is_refused(fleet: Fleet, percent: Any) -> None:
    refused = fault(SHELLY, fleet, event("ota_progress", progress_percent=percent))
    assert refused == Fault("malformed", "params.events[0].progress_percent")


def test_an_accepted_command_carries_its_attempt(fleet: Fleet) -> None:
    assert staged(fleet, answer("install-a-7", result=None)) == InstallReported(ID, Stage.ACCEPTED, attempt_id="a-7")


@pytest.mark.parametrize(
    ("code", "stage"), [(-114, Stage.NOT_BEGUN), (-103, Stage.FAILED), (401, Stage.FAILED), (404, Stage.FAILED)]
)
def test_a_command_that_is_not_accepted_is_told_of_its_attempt(fleet: Fleet, code: int, stage: Stage) -> None:
    told = answer("install-a-7", error={"code": code, "message": "Resource unavailable: Update is in progress"})
    detail = f"error {code}: Resource unavailable: Update is in progress"
    assert staged(fleet, told) == InstallReported(ID, stage, attempt_id="a-7", detail=detail)


@pytest.mark.parametrize("attempt", ["", "a b", "x" * 65, "ä"])
def test_an_attempt_that_is_none_is_refused(fleet: Fleet, attempt: str) -> None:
    assert fault(SHELLY, fleet, answer(f"install-{attempt}", result=None)) == Fault("malformed", "id")


def test_a_whole_update_as_a_device_tells_it() -> None:
    fleet = fleet_of(SHELLY, *PLUS_1[:4])
    heard = hear(SHELLY, fleet, *PLUS_1[4:])
    assert [_short(item) for item in heard] == [
        "accepted None",
        "downloading None",
        "downloading 37",
        "downloading 99",
        "claims_done None",
        "rebooting None",
        "online False",
        "online True",
        "facts None",
        "uptime 2",
        "facts 1.7.5",
    ]


def _short(item: DeviceInput) -> str:
    match item:
        case InstallReported():
            return f"{item.stage} {item.percent}"
        case DeviceLinkChanged():
            return f"online {item.online}"
        case HealthReported():
            return f"uptime {item.uptime_s}"
        case DeviceReported():
            return f"facts {item.facts.version}"
        case _:
            return str(item)


def test_an_update_that_breaks_off_says_why() -> None:
    strip = fixture("shelly", "power_strip_gen4-1.7.99")
    heard = hear(SHELLY, fleet_of(SHELLY, *strip[:4]), *strip[4:])
    failed = [
        item for item in heard if isinstance(item, InstallReported) and item.stage.value in {"failed", "not_begun"}
    ]
    assert [(item.stage, item.attempt_id) for item in failed] == [(Stage.FAILED, None), (Stage.NOT_BEGUN, "b2")]
    assert failed[0].detail.startswith("Update failed (DATA_LOSS")


@pytest.mark.parametrize("told", [status(retained=True), notified("NotifyFullStatus", True, sys={"uptime": 5})])
def test_what_is_retained_is_said_to_be(fleet: Fleet, told: Message) -> None:
    heard = SHELLY.read(told, fleet)
    assert heard
    assert all(not isinstance(item, DeviceWithdrawn) and item.retained for item in heard)


# --- orders ----------------------------------------------------------------------------------------------------------


def test_it_is_asked_for_its_version_last(plus_1: Device) -> None:
    asked = [json.loads(each.payload) for each in SHELLY.query(plus_1)]
    assert [(each["id"], each["method"]) for each in asked] == [
        ("status", "Shelly.GetStatus"),
        ("schedule", "Schedule.List"),
        ("info", "Shelly.GetDeviceInfo"),
    ]
    assert {each["src"] for each in asked} == {SENDER}


def test_the_install_command_is_an_address_of_ours(plus_1: Device) -> None:
    (command,) = SHELLY.install(order(plus_1, URL))
    assert command.topic == f"{P}/rpc"
    assert json.loads(command.payload) == {
        "id": "install-a-7",
        "src": SENDER,
        "method": "Shelly.Update",
        "params": {"url": URL},
    }


def test_the_vendors_choice_is_ordered_only_where_it_was_approved(plus_1: Device) -> None:
    (command,) = SHELLY.install(order(plus_1, "", vendor_chooses=True))
    assert json.loads(command.payload)["params"] == {"stage": "stable"}


@pytest.mark.parametrize("url", ["", "https://hub/fw.zip", "http://hub/a b", 'http://hub/"', f"http://h/{'x' * 200}"])
def test_an_address_that_the_device_would_not_take_is_refused(plus_1: Device, url: str) -> None:
    with pytest.raises(Refused) as caught:
        SHELLY.install(order(plus_1, url))
    assert (caught.value.reason, caught.value.path) == (Reason.MALFORMED, "url")


def test_an_attempt_that_no_answer_could_carry_is_refused(plus_1: Device) -> None:
    with pytest.raises(Refused) as caught:
        SHELLY.install(order(plus_1, URL, attempt_id='"}'))
    assert (caught.value.reason, caught.value.path) == (Reason.MALFORMED, "attempt_id")


def test_a_device_that_has_not_said_who_it_is_gets_no_command() -> None:
    with pytest.raises(Refused) as caught:
        SHELLY.install(order(Device(ID, "shelly"), URL))
    assert caught.value.reason is Reason.DEVICE_SILENT


def test_devices_whose_prefixes_are_equally_deep_share_their_filters(plus_1: Device) -> None:
    assert SHELLY.filters_for(plus_1) == ("+/online", "+/events/rpc")
    deeper = replace(plus_1, addresses=("shellies/kitchen/",))
    assert SHELLY.filters_for(deeper) == ("+/+/online", "+/+/events/rpc")
    assert SHELLY.filters_for(Device(ID, "shelly")) == ()
