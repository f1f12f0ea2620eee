"""The devices: identity, addresses, floods, and what is known of them just now."""

from __future__ import annotations

from dataclasses import replace

import pytest

from custom_components.firmware_hub.core import limits
from custom_components.firmware_hub.core.errors import Reason, Refused
from custom_components.firmware_hub.core.fleet import Fleet
from custom_components.firmware_hub.core.inputs import HealthReported

from .builders import FAN, LAMP, MINUTE, NIGHT, PLUG, SECOND, device, report


@pytest.fixture
def fleet() -> Fleet:
    """A plug that is known and spoke just now."""
    fleet = Fleet()
    fleet.merge(report(PLUG, addresses=("plug/",)), NIGHT)
    fleet.saw(PLUG, NIGHT)
    return fleet


def why_refused(fleet: Fleet, device_id: str, now: object = NIGHT) -> Reason:
    with pytest.raises(Refused) as refused:
        fleet.merge(report(device_id), now)  # type: ignore[arg-type]
    return refused.value.reason


class TestIdentity:
    def test_another_name_and_topic_are_the_same_device(self, fleet: Fleet) -> None:
        merge = fleet.merge(report(PLUG, name="Kitchen", addresses=("kitchen/",)), NIGHT)
        assert (len(fleet.devices), merge.moved, merge.fit_changed) == (1, True, False)

    def test_the_same_words_again_change_nothing(self, fleet: Fleet) -> None:
        merge = fleet.merge(report(PLUG, addresses=("plug/",)), NIGHT)
        assert merge.before is merge.device
        assert not merge.changed

    def test_settings_that_are_known_are_no_news(self, fleet: Fleet) -> None:
        fleet.merge(report(PLUG, settings={"url": "a", "option": "b"}), NIGHT)
        assert not fleet.merge(report(PLUG, settings={"url": "a"}), NIGHT).changed

    def test_what_a_message_does_not_say_stays(self, fleet: Fleet) -> None:
        fleet.merge(report(PLUG, hardware="rev2"), NIGHT)
        assert fleet.merge(report(PLUG), NIGHT).device.hardware == "rev2"

    def test_it_is_remembered_when_a_device_was_first_seen(self, fleet: Fleet) -> None:
        fleet.merge(report(PLUG, name="Kitchen"), NIGHT + MINUTE)
        assert fleet.devices[PLUG].first_seen == NIGHT

    def test_settings_are_gathered_from_several_messages(self, fleet: Fleet) -> None:
        fleet.merge(report(PLUG, settings={"url": "a"}), NIGHT)
        fleet.merge(report(PLUG, settings={"option": "b"}), NIGHT)
        assert fleet.devices[PLUG].settings == {"url": "a", "option": "b"}

    def test_what_the_broker_kept_does_not_outdate_the_devices_own_word(self, fleet: Fleet) -> None:
        fleet.merge(report(PLUG, "0.9.0", name="Kitchen", retained=True), NIGHT)
        assert (fleet.devices[PLUG].version, fleet.devices[PLUG].name) == ("1.0.0", "Kitchen")

    def test_what_the_broker_kept_counts_while_nothing_better_is_known(self) -> None:
        fleet = Fleet()
        fleet.merge(report(PLUG, "0.8.0", retained=True), NIGHT)
        fleet.merge(report(PLUG, "0.9.0", retained=True), NIGHT)
        assert fleet.devices[PLUG].version == "0.9.0"

    def test_another_image_has_not_passed_the_self_test_of_the_one_before(self, fleet: Fleet) -> None:
        fleet.health(HealthReported(PLUG, self_test="passed"), NIGHT)
        fleet.merge(report(PLUG, "1.2.0"), NIGHT)
        assert fleet.presence[PLUG].self_test is None

    def test_another_name_leaves_the_self_test_as_it_was(self, fleet: Fleet) -> None:
        fleet.health(HealthReported(PLUG, self_test="passed"), NIGHT)
        fleet.merge(report(PLUG, name="Kitchen"), NIGHT)
        assert fleet.presence[PLUG].self_test == "passed"


class TestKinds:
    def test_devices_of_one_kind_share_one_key(self, fleet: Fleet) -> None:
        fleet.merge(report(LAMP), NIGHT)
        assert list(fleet.by_fit.values()) == [{PLUG, LAMP}]

    def test_a_device_that_runs_something_else_is_of_another_kind(self, fleet: Fleet) -> None:
        fleet.merge(report(LAMP), NIGHT)
        fleet.merge(report(PLUG, "1.2.0"), NIGHT)
        assert sorted(map(sorted, fleet.by_fit.values())) == [[PLUG], [LAMP]]

    def test_a_kind_without_devices_is_gone(self, fleet: Fleet) -> None:
        fleet.forget(PLUG)
        assert fleet.by_fit == {}
        assert fleet.by_dialect["open"] == 0

    def test_stored_devices_are_known_and_not_seen(self) -> None:
        fleet = Fleet()
        assert fleet.restore([device(PLUG), device(LAMP)]) == frozenset()
        assert fleet.by_dialect["open"] == 2
        assert fleet.presence[PLUG].online is None


class TestAddresses:
    def test_a_device_is_found_at_its_address(self, fleet: Fleet) -> None:
        assert fleet.at("open", "plug/") is fleet.get(PLUG)
        assert fleet.is_claimed("open", "plug/")

    def test_families_do_not_share_addresses(self, fleet: Fleet) -> None:
        assert fleet.at("other", "plug/") is None
        assert not fleet.is_claimed("other", "plug/")

    def test_nobody_is_found_at_an_address_that_was_given_up(self, fleet: Fleet) -> None:
        fleet.merge(report(PLUG, addresses=("kitchen/",)), NIGHT)
        assert not fleet.is_claimed("open", "plug/")

    def test_two_devices_at_one_address_are_in_conflict(self, fleet: Fleet) -> None:
        merge = fleet.merge(report(LAMP, addresses=("plug/",)), NIGHT)
        assert merge.conflicts == {PLUG, LAMP}
        assert fleet.at("open", "plug/") is None
        assert fleet.in_conflict(fleet.devices[PLUG])

    def test_the_third_one_at_an_address_is_the_only_news(self, fleet: Fleet) -> None:
        fleet.merge(report(LAMP, addresses=("plug/",)), NIGHT)
        assert fleet.merge(report(FAN, addresses=("plug/",)), NIGHT).conflicts == {FAN}

    def test_both_are_free_when_one_moves_away(self, fleet: Fleet) -> None:
        fleet.merge(report(LAMP, addresses=("plug/",)), NIGHT)
        assert fleet.merge(report(LAMP, addresses=("lamp/",)), NIGHT).resolved == {PLUG, LAMP}

    def test_two_of_three_are_still_in_conflict_when_one_moves_away(self, fleet: Fleet) -> None:
        for name in (LAMP, FAN):
            fleet.merge(report(name, addresses=("plug/",)), NIGHT)
        assert fleet.merge(report(FAN, addresses=("fan/",)), NIGHT).resolved == {FAN}

    def test_from_one_conflict_into_another_is_not_free(self, fleet: Fleet) -> None:
        fleet.merge(report(LAMP, addresses=("lamp/",)), NIGHT)
        fleet.merge(report(FAN, addresses=("plug/",)), NIGHT)
        merge = fleet.merge(report(FAN, addresses=("lamp/",)), NIGHT)
        assert merge.resolved == {PLUG}
        assert merge.conflicts == {FAN, LAMP}

    def test_a_device_that_shares_another_address_as_well_is_not_free(self, fleet: Fleet) -> None:
        fleet.merge(report(PLUG, addresses=("plug/", "hall/")), NIGHT)
        fleet.merge(report(LAMP, addresses=("plug/",)), NIGHT)
        fleet.merge(report(FAN, addresses=("hall/",)), NIGHT)
        assert fleet.merge(report(LAMP, addresses=("lamp/",)), NIGHT).resolved == {LAMP}

    def test_the_one_that_is_left_is_free_when_the_other_is_forgotten(self, fleet: Fleet) -> None:
        fleet.merge(report(LAMP, addresses=("plug/",)), NIGHT)
        assert fleet.forget(LAMP) == {PLUG}
        assert fleet.at("open", "plug/") is fleet.get(PLUG)

    def test_stored_devices_at_one_address_are_in_conflict(self) -> None:
        same = [replace(device(name), addresses=("plug/",)) for name in (PLUG, LAMP)]
        assert Fleet().restore(same) == {PLUG, LAMP}


class TestFloods:
    def test_more_devices_than_home_assistant_can_hold_are_refused(
        self, fleet: Fleet, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(limits, "MAX_DEVICES", 1)
        assert why_refused(fleet, LAMP) is Reason.TOO_MANY_DEVICES

    def test_known_devices_are_heard_at_the_limit(self, fleet: Fleet, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(limits, "MAX_DEVICES", 1)
        assert fleet.merge(report(PLUG, name="Kitchen"), NIGHT).changed

    def test_too_many_new_devices_within_a_minute_are_a_flood(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(limits, "NEW_DEVICES_PER_MINUTE", 1)
        fleet = Fleet()
        fleet.merge(report(PLUG), NIGHT)
        assert why_refused(fleet, LAMP, NIGHT + 59 * SECOND) is Reason.DEVICE_FLOOD
        assert LAMP not in fleet.presence

    def test_the_next_minute_is_counted_anew(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(limits, "NEW_DEVICES_PER_MINUTE", 1)
        fleet = Fleet()
        fleet.merge(report(PLUG), NIGHT)
        assert fleet.merge(report(LAMP), NIGHT + MINUTE).changed

    def test_a_clock_that_was_set_back_begins_another_minute(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(limits, "NEW_DEVICES_PER_MINUTE", 1)
        fleet = Fleet()
        fleet.merge(report(PLUG), NIGHT)
        assert fleet.merge(report(LAMP), NIGHT - MINUTE).changed

    def test_all_retained_announcements_come_at_once_after_a_connection(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(limits, "NEW_DEVICES_PER_MINUTE", 1)
        fleet = Fleet()
        fleet.expect_burst(NIGHT)
        fleet.merge(report(PLUG), NIGHT)
        assert fleet.merge(report(LAMP), NIGHT).changed

    def test_the_burst_is_over_after_a_while(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(limits, "NEW_DEVICES_PER_MINUTE", 1)
        fleet = Fleet()
        fleet.expect_burst(NIGHT)
        late = NIGHT + limits.START_GRACE
        fleet.merge(report(PLUG), late)
        assert why_refused(fleet, LAMP, late) is Reason.DEVICE_FLOOD


class TestPresence:
    def test_a_device_that_speaks_is_on_line(self, fleet: Fleet) -> None:
        assert fleet.presence[PLUG].online is True
        assert fleet.presence[PLUG].last_report == NIGHT

    def test_going_off_line_is_news_once(self, fleet: Fleet) -> None:
        assert fleet.link(PLUG, online=False)
        assert not fleet.link(PLUG, online=False)

    def test_nothing_is_known_any_more_when_the_broker_is_gone(self, fleet: Fleet) -> None:
        fleet.bridge_link("open", "", online=False)
        fleet.forget_presence()
        presence = fleet.presence[PLUG]
        assert (presence.online, presence.last_report) == (None, None)
        assert not fleet.is_cut_off(fleet.devices[PLUG])

    def test_a_device_is_cut_off_while_its_bridge_is_away(self, fleet: Fleet) -> None:
        fleet.bridge_link("open", "", online=False)
        assert fleet.is_cut_off(fleet.devices[PLUG])
        fleet.bridge_link("open", "", online=True)
        assert not fleet.is_cut_off(fleet.devices[PLUG])

    def test_a_network_is_those_of_one_family_behind_one_bridge(self, fleet: Fleet) -> None:
        fleet.merge(report(LAMP, network="attic"), NIGHT)
        fleet.merge(report(FAN, network="attic", dialect="other"), NIGHT)
        assert [item.id for item in fleet.in_network("open", "attic")] == [LAMP]

    def test_a_health_report_keeps_what_it_does_not_say(self, fleet: Fleet) -> None:
        fleet.health(HealthReported(PLUG, battery_percent=80, rssi_dbm=-60, uptime_s=5, self_test="passed"), NIGHT)
        assert not fleet.health(HealthReported(PLUG), NIGHT)
        presence = fleet.presence[PLUG]
        assert (presence.battery_percent, presence.rssi_dbm, presence.uptime_s) == (80, -60, 5)
        assert presence.self_test == "passed"

    def test_another_charge_is_news(self, fleet: Fleet) -> None:
        assert fleet.health(HealthReported(PLUG, battery_percent=80), NIGHT)

    @pytest.mark.parametrize("percent", [-1, 101, 255])
    def test_a_charge_that_cannot_be_is_not_believed(self, fleet: Fleet, percent: int) -> None:
        fleet.health(HealthReported(PLUG, battery_percent=80), NIGHT)
        fleet.health(HealthReported(PLUG, battery_percent=percent), NIGHT)
        assert fleet.presence[PLUG].battery_percent == 80

    def test_a_retained_health_report_is_of_unknown_age(self, fleet: Fleet) -> None:
        fleet.health(HealthReported(PLUG, battery_percent=80, retained=True), NIGHT)
        assert fleet.presence[PLUG].health_at is None

    def test_it_is_remembered_when_a_device_was_asked(self, fleet: Fleet) -> None:
        fleet.asked(PLUG, NIGHT)
        assert fleet.presence[PLUG].last_query == NIGHT


class TestBorrowing:
    @pytest.fixture
    def lent(self, fleet: Fleet) -> Fleet:
        fleet.merge(report(PLUG, settings={"url": "mine", "other": "x"}), NIGHT)
        fleet.borrow(PLUG, ["url", "unknown"])
        return fleet

    def test_settings_that_are_known_are_noted(self, lent: Fleet) -> None:
        assert lent.devices[PLUG].borrowed == {"url": "mine"}

    def test_what_is_noted_already_is_not_replaced_by_what_we_set_ourselves(self, lent: Fleet) -> None:
        lent.merge(report(PLUG, settings={"url": "ours"}), NIGHT)
        lent.borrow(PLUG, ["url"])
        assert lent.devices[PLUG].borrowed == {"url": "mine"}

    def test_what_the_device_has_back_is_owed_no_more(self, lent: Fleet) -> None:
        assert lent.given_back(PLUG)
        assert lent.devices[PLUG].borrowed == {}

    def test_what_the_device_has_not_back_is_still_owed(self, lent: Fleet) -> None:
        lent.merge(report(PLUG, settings={"url": "ours"}), NIGHT)
        assert not lent.given_back(PLUG)
        assert lent.devices[PLUG].borrowed == {"url": "mine"}
