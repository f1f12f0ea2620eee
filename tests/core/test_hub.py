"""The hub as a whole: the order of effects, the clock, the window, and what the shell tells it."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta

import pytest

from custom_components.firmware_hub.core import limits
from custom_components.firmware_hub.core.effects import (
    CheckAddress,
    Effect,
    FetchArtifacts,
    FetchManifest,
    IssueKind,
    ListenTo,
    QueryDevice,
    RaiseIssue,
    RefreshDevices,
    RefreshHub,
    Save,
    SendInstall,
)
from custom_components.firmware_hub.core.errors import Reason
from custom_components.firmware_hub.core.hub import Hub
from custom_components.firmware_hub.core.inputs import (
    AddressChecked,
    ArtifactsFailed,
    ArtifactsReady,
    CommandNotSent,
    CommandSent,
    DeviceLinkChanged,
    DeviceWithdrawn,
    HealthReported,
    InstallReported,
    LinkChanged,
    MessageRefused,
    SettingsChanged,
    Stage,
    WokenUp,
)
from custom_components.firmware_hub.core.model import InstallState
from custom_components.firmware_hub.core.records import Snapshot
from custom_components.firmware_hub.core.settings import Settings

from .builders import (
    DAY,
    FAN,
    HOUR,
    LAMP,
    MINUTE,
    NIGHT,
    NOON,
    PLUG,
    SECOND,
    Home,
    audited,
    capabilities,
    cleared,
    commanded,
    device,
    of_kind,
    raised,
    saved,
    told,
)
from .statements import release

GENERIC = {"open": capabilities(), "generic": capabilities(generic=True)}


@pytest.fixture
def home() -> Home:
    """A plug on 1.0.0, to which 1.2.0 is offered; at noon."""
    home = Home(NOON)
    home.report(PLUG)
    home.publish()
    return home


@pytest.fixture
def night() -> Home:
    """The same within the window, approved: it downloads."""
    home = Home(NIGHT)
    home.report(PLUG)
    home.publish()
    home.approve()
    return home


def jump(home: Home, by: timedelta) -> list[Effect]:
    """Set the clock, and let it tick."""
    home.now += by
    return home.tell(WokenUp())


class TestTheOrderOfEffects:
    def test_what_changed_is_written_before_anything_is_done(self, night: Home) -> None:
        effects = night.fetched()
        (order,) = of_kind(effects, SendInstall)
        assert isinstance(effects[0], Save)
        assert [item.attempt_id for item in effects[0].installs] == [order.attempt_id]

    def test_it_is_one_transaction(self, night: Home) -> None:
        assert len(of_kind(night.fetched(), Save)) == 1

    def test_what_people_see_comes_last(self, home: Home) -> None:
        effects = home.approve()
        assert isinstance(effects[-2], RefreshDevices)
        assert isinstance(effects[-1], RefreshHub)

    def test_progress_alone_is_not_worth_a_write(self, night: Home) -> None:
        night.commanded()
        night.tell(InstallReported(PLUG, Stage.DOWNLOADING, 10))
        effects = night.tell(InstallReported(PLUG, Stage.DOWNLOADING, 20))
        assert of_kind(effects, Save) == []
        assert night.view().percent == 20

    def test_nothing_is_wanted_from_a_hub_that_was_told_nothing(self) -> None:
        hub = Hub({}, new_id=lambda: "new")
        assert hub.next_wakeup() is None


class TestTheWindow:
    def test_approved_installs_start_when_it_opens(self, home: Home) -> None:
        home.approve()
        assert of_kind(home.wait(12 * HOUR - SECOND), FetchArtifacts) == []
        assert len(of_kind(home.wait(SECOND), FetchArtifacts)) == 1

    def test_the_address_is_looked_at_when_it_opens(self, home: Home) -> None:
        assert of_kind(home.wait(12 * HOUR), CheckAddress)

    def test_its_end_is_counted_and_kept(self, home: Home) -> None:
        effects = home.wait(17 * HOUR)
        counts = [save.meta["windows_closed"] for save in of_kind(effects, Save) if "windows_closed" in save.meta]
        assert counts == ["1"]

    def test_a_device_that_misses_three_windows_is_worth_a_repair(self, home: Home) -> None:
        home.link(PLUG, online=False)
        home.approve()
        missed = [raised(home.wait(DAY)).count(IssueKind.WINDOWS_MISSED) for _ in range(4)]
        assert missed == [0, 0, 1, 1]

    def test_new_hours_count_at_once(self, home: Home) -> None:
        home.approve()
        now = replace(Settings(), window_start=NOON.time(), window_end=(NOON + HOUR).time())
        assert of_kind(home.tell(SettingsChanged(now)), FetchArtifacts)

    def test_a_pause_starts_nothing(self, home: Home) -> None:
        home.approve()
        home.tell(SettingsChanged(Settings(paused=True)))
        assert of_kind(home.wait(13 * HOUR), FetchArtifacts) == []
        assert home.view().reason is Reason.PAUSED

    def test_without_any_weekday_nothing_is_awaited(self, home: Home) -> None:
        home.tell(SettingsChanged(Settings(weekdays=frozenset())))
        home.approve()
        assert of_kind(home.wait(DAY), FetchArtifacts) == []

    def test_what_runs_is_not_cut_off(self, night: Home) -> None:
        night.commanded()
        night.tell(SettingsChanged(Settings(weekdays=frozenset())))
        night.succeed()
        assert night.last().state is InstallState.SUCCEEDED


class TestTheLink:
    def test_nothing_starts_while_the_broker_is_away(self, home: Home) -> None:
        home.approve()
        home.tell(LinkChanged(connected=False))
        assert of_kind(home.wait(13 * HOUR), FetchArtifacts) == []

    def test_what_waited_starts_when_it_is_back(self, home: Home) -> None:
        home.approve()
        home.tell(LinkChanged(connected=False))
        home.wait(13 * HOUR)
        assert of_kind(home.tell(LinkChanged(connected=True)), FetchArtifacts)

    def test_nobody_is_known_to_be_on_line_while_it_is_away(self, home: Home) -> None:
        home.tell(LinkChanged(connected=False))
        assert home.view().online is None

    def test_the_same_word_again_is_no_news(self, home: Home) -> None:
        assert home.tell(LinkChanged(connected=True)) == []

    def test_a_device_that_is_being_changed_is_asked_at_the_return(self, night: Home) -> None:
        night.commanded()
        night.tell(LinkChanged(connected=False))
        assert of_kind(night.tell(LinkChanged(connected=True)), QueryDevice) == [QueryDevice(PLUG)]


class TestTheAddress:
    def test_nothing_starts_while_devices_cannot_reach_us(self, home: Home) -> None:
        home.approve()
        effects = home.tell(AddressChecked(reachable=False, address="203.0.113.7"))
        assert raised(effects) == [IssueKind.ADDRESS_UNREACHABLE]
        assert of_kind(effects, RaiseIssue)[0].values == {"address": "203.0.113.7"}
        assert of_kind(home.wait(13 * HOUR), FetchArtifacts) == []

    def test_it_is_looked_at_again(self, home: Home) -> None:
        home.tell(AddressChecked(reachable=False))
        assert of_kind(home.wait(limits.SILENT_RETRY), CheckAddress)

    def test_it_is_not_looked_at_again_once_it_is_good(self, home: Home) -> None:
        home.tell(AddressChecked(reachable=False))
        assert IssueKind.ADDRESS_UNREACHABLE in cleared(home.tell(AddressChecked(reachable=True)))
        assert of_kind(home.wait(limits.SILENT_RETRY), CheckAddress) == []


class TestTheClock:
    def behind(self) -> Home:
        """Start a hub whose clock shows a day less than the latest time that it has seen."""
        return Home(NIGHT, snapshot=Snapshot((device(),), meta={"clock": (NIGHT + DAY).isoformat()}))

    def test_a_clock_that_is_behind_is_a_repair(self) -> None:
        home = self.behind()
        assert IssueKind.CLOCK_UNTRUSTED in raised(home.effects)
        assert not home.hub.hub_view(NIGHT).clock_trusted

    def test_nothing_starts_by_a_clock_that_is_not_believed(self) -> None:
        home = self.behind()
        home.report()
        home.publish()
        assert home.hub.device_view(PLUG, NIGHT) is not None
        assert of_kind(home.wait(HOUR), FetchArtifacts) == []

    def test_feeds_are_fetched_when_the_clock_is_right_again(self) -> None:
        home = self.behind()
        home.publish()
        effects = jump(home, DAY + MINUTE) + home.wait(limits.CLOCK_SETTLE + MINUTE)
        assert IssueKind.CLOCK_UNTRUSTED in cleared(effects)
        assert of_kind(effects, FetchManifest)
        assert home.hub.hub_view(home.now).clock_trusted

    def test_a_jump_forward_is_not_believed_at_once(self, home: Home) -> None:
        assert raised(jump(home, 3 * HOUR)) == [IssueKind.CLOCK_UNTRUSTED]
        assert IssueKind.CLOCK_UNTRUSTED in cleared(home.wait(limits.CLOCK_SETTLE + MINUTE))

    def test_the_mark_is_kept_every_quarter_of_an_hour(self, home: Home) -> None:
        effects = home.wait(2 * HOUR)
        assert len([save for save in of_kind(effects, Save) if "clock" in save.meta]) == 8

    def test_no_approval_expires_by_a_clock_that_is_not_believed(self, home: Home) -> None:
        home.link(PLUG, online=False)
        home.approve()
        jump(home, 40 * DAY)
        assert home.install().state.is_waiting
        home.wait(30 * MINUTE)
        assert home.last().reason is Reason.APPROVAL_EXPIRED

    def test_sleep_is_no_time_that_a_device_had(self, night: Home) -> None:
        night.commanded()
        jump(night, HOUR)
        assert night.install().state is InstallState.INSTALLING
        assert night.install().command_deadline == NIGHT + HOUR + 10 * MINUTE

    def test_a_clock_that_is_set_back_gives_no_device_more_time(self, night: Home) -> None:
        night.commanded()
        jump(night, -HOUR)
        assert night.install().command_deadline == NIGHT - HOUR + 10 * MINUTE

    def test_an_old_word_is_not_fresh_again_when_its_time_comes_by_again(self, night: Home) -> None:
        jump(night, -HOUR)
        night.wait(HOUR + 2 * MINUTE)
        night.now = NIGHT + 3 * SECOND
        night.fetched()
        assert of_kind(night.effects, SendInstall) == []
        assert of_kind(night.report(), SendInstall)

    def test_a_few_seconds_back_are_no_jump(self, night: Home) -> None:
        night.commanded()
        jump(night, -30 * SECOND)
        assert night.install().command_deadline == NIGHT + 10 * MINUTE

    def test_the_window_is_where_the_clock_says_after_a_jump(self, home: Home) -> None:
        home.approve()
        jump(home, 13 * HOUR)
        home.wait(limits.CLOCK_SETTLE + MINUTE)
        assert home.install().state is InstallState.DOWNLOADING

    @pytest.mark.parametrize("tick", [True, False])
    def test_a_jump_is_found_out_by_whatever_comes_first_after_it(self, home: Home, tick: bool) -> None:
        home.report()
        home.publish()
        home.approve()
        home.wait(2 * MINUTE)
        home.now += NIGHT - NOON
        effects = home.tell(WokenUp() if tick else HealthReported(PLUG, rssi_dbm=-60))
        assert IssueKind.CLOCK_UNTRUSTED in {issue.kind for issue in of_kind(effects, RaiseIssue)}
        assert not of_kind(effects, FetchArtifacts)
        assert home.view().reason is Reason.CLOCK_UNTRUSTED

    def test_the_time_after_an_ended_attempt_moves_with_the_clock(self, night: Home) -> None:
        night.commanded()
        night.fail()
        assert night.last().command_deadline == NIGHT + 10 * MINUTE
        jump(night, -HOUR)
        assert night.last().command_deadline == NIGHT - HOUR + 10 * MINUTE

    def test_an_end_without_a_command_has_no_time_to_move(self, night: Home) -> None:
        night.tell(ArtifactsFailed(night.install().id, Reason.DIGEST_MISMATCH))
        jump(night, HOUR)
        assert night.last().command_deadline is None


class TestArtifacts:
    def test_files_that_are_not_what_the_manifest_says_end_the_install(self, night: Home) -> None:
        effects = night.tell(ArtifactsFailed(night.install().id, Reason.DIGEST_MISMATCH, "ab"))
        assert (night.last().state, night.last().reason) == (InstallState.FAILED, Reason.DIGEST_MISMATCH)
        assert audited(effects)[0] == "artifacts_failed"

    def test_files_that_could_not_be_had_are_asked_for_again(self, night: Home) -> None:
        night.tell(ArtifactsFailed(night.install().id, Reason.UNREACHABLE))
        assert night.install().reason is Reason.UNREACHABLE
        assert of_kind(night.wait(5 * MINUTE), FetchArtifacts)

    @pytest.mark.parametrize(
        "item",
        [
            ArtifactsReady("nobody"),
            ArtifactsFailed("nobody", Reason.UNREACHABLE),
            CommandSent("nobody", "a"),
            CommandNotSent("nobody", "a", Reason.PAUSED),
            HealthReported(FAN, battery_percent=3),
            DeviceLinkChanged(FAN, True),
            DeviceWithdrawn(FAN),
        ],
        ids=lambda item: type(item).__name__,
    )
    def test_what_is_about_nobody_changes_nothing(self, night: Home, item: ArtifactsReady) -> None:
        assert night.tell(item) == []

    def test_files_are_ready_once(self, night: Home) -> None:
        night.fetched()
        assert night.tell(ArtifactsReady(night.install().id)) == []


class TestCommands:
    def test_that_a_command_left_is_recorded(self, night: Home) -> None:
        night.commanded()
        effects = night.tell(CommandSent(night.install().id, night.install().attempt_id))
        assert audited(effects) == ["command_sent"]

    def test_a_command_that_did_not_leave_still_counts_as_sent(self, night: Home) -> None:
        night.commanded()
        effects = night.tell(CommandNotSent(night.install().id, night.install().attempt_id, Reason.PAUSED))
        assert audited(effects) == ["command_not_sent"]
        assert night.install().state is InstallState.INSTALLING
        assert night.install().failure is Reason.NOT_SENT

    def test_a_word_about_another_attempt_changes_nothing(self, night: Home) -> None:
        night.commanded()
        assert night.tell(CommandNotSent(night.install().id, "another", Reason.PAUSED)) == []


class TestSettled:
    @pytest.fixture
    def pilot(self, night: Home) -> Home:
        """The first device came through; another one waits."""
        night.report(LAMP)
        night.approve(LAMP)
        night.commanded()
        night.succeed()
        return night

    def test_the_others_follow_after_the_settling_time(self, pilot: Home) -> None:
        pilot.wait(limits.PILOT_SETTLE - SECOND)
        assert pilot.install(LAMP).state is InstallState.APPROVED
        effects = pilot.wait(SECOND)
        assert pilot.install(LAMP).state is InstallState.DOWNLOADING
        assert "pilot_settled" in audited(effects)
        assert pilot.last().settle_until is None

    @pytest.mark.parametrize(
        ("version", "reason"), [("1.0.0", Reason.CAME_BACK_OLD), ("0.7.0", Reason.CAME_BACK_OTHER)]
    )
    def test_a_pilot_that_does_not_stay_on_its_version_stops_the_release(
        self, pilot: Home, version: str, reason: Reason
    ) -> None:
        pilot.report(PLUG, version)
        effects = pilot.wait(limits.PILOT_SETTLE)
        assert [issue.reason for issue in of_kind(effects, RaiseIssue)] == [reason]
        assert pilot.view(LAMP).reason is Reason.MODEL_STOPPED

    def test_a_pilot_that_is_gone_stops_the_release(self, pilot: Home) -> None:
        pilot.link(PLUG, online=False)
        effects = pilot.wait(limits.PILOT_SETTLE)
        assert [issue.reason for issue in of_kind(effects, RaiseIssue)] == [Reason.NO_RETURN]

    def test_a_pilot_that_is_not_well_stops_the_release(self, pilot: Home) -> None:
        pilot.health(PLUG, self_test="failed")
        effects = pilot.wait(limits.PILOT_SETTLE)
        assert [issue.reason for issue in of_kind(effects, RaiseIssue)] == [Reason.UNHEALTHY]

    def test_it_proves_nothing_after_a_restart_either(self, pilot: Home) -> None:
        pilot.link(PLUG, online=False)
        kept = saved(pilot.wait(limits.PILOT_SETTLE)).installs
        again = Home(NIGHT, snapshot=Snapshot((device(version="1.2.0"),), kept))
        assert again.hub.installer.rollout.pilots == {}

    def test_a_release_is_not_stopped_twice(self, pilot: Home) -> None:
        rollout = pilot.hub.installer.rollout
        rollout.stop(pilot.last(), "", Reason.NO_RETURN)
        pilot.link(PLUG, online=False)
        assert raised(pilot.wait(limits.PILOT_SETTLE)) == []


class TestFamilies:
    def test_the_native_family_takes_the_place_of_the_generic_one(self) -> None:
        home = Home(NOON, families=GENERIC)
        home.report(PLUG, dialect="generic", addresses=("a/",))
        effects = home.report(PLUG, addresses=("b/",))
        assert home.hub.fleet.devices[PLUG].dialect == "open"
        assert told(effects) == ["device_found"]
        assert home.hub.at("generic", "a/") is None

    def test_it_takes_its_place_in_a_flood_as_well(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(limits, "NEW_DEVICES_PER_MINUTE", 1)
        monkeypatch.setattr(limits, "NEW_DEVICES_BURST", 1)
        home = Home(NOON, families=GENERIC)
        home.report(PLUG, dialect="generic")
        home.report(PLUG)
        assert home.hub.fleet.devices[PLUG].dialect == "open"

    def test_nobody_takes_the_place_of_a_native_one(self) -> None:
        home = Home(NOON, families=GENERIC)
        home.report(PLUG)
        assert audited(home.report(PLUG, dialect="generic")) == ["identity_claimed"]
        assert audited(home.report(PLUG, dialect="generic")) == []
        assert home.hub.fleet.devices[PLUG].dialect == "open"
        assert home.hub.refused_messages == {"generic": 2}

    def test_nobody_takes_the_place_of_a_device_that_is_being_changed(self) -> None:
        home = Home(NIGHT, families=GENERIC)
        home.report(PLUG, dialect="generic")
        home.publish()
        home.approve()
        home.report(PLUG)
        assert home.hub.fleet.devices[PLUG].dialect == "generic"


class TestFloods:
    @pytest.fixture
    def flooded(self, monkeypatch: pytest.MonkeyPatch) -> Home:
        monkeypatch.setattr(limits, "NEW_DEVICES_BURST", 1)
        home = Home(NOON)
        home.report(PLUG)
        home.report(LAMP)
        return home

    def test_a_flood_is_a_repair_once(self, flooded: Home) -> None:
        assert raised(flooded.effects) == [IssueKind.DEVICE_FLOOD]
        assert raised(flooded.report(FAN)) == []
        assert flooded.hub.refused_messages == {"device_flood": 2}

    def test_the_repair_goes_away_when_it_is_over(self, flooded: Home) -> None:
        flooded.wait(30 * MINUTE)
        flooded.tell(WokenUp())
        assert cleared(flooded.wait(29 * MINUTE)) == []
        assert IssueKind.DEVICE_FLOOD in cleared(flooded.wait(2 * MINUTE))
        assert flooded.hub.refused_messages == {"device_flood": 0}

    def test_more_devices_than_there_is_room_for_are_another_repair(
        self, home: Home, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(limits, "MAX_DEVICES", 1)
        assert raised(home.report(LAMP)) == [IssueKind.TOO_MANY_DEVICES]


class TestTheAddressBook:
    def test_a_device_is_found_where_it_speaks(self, home: Home) -> None:
        home.report(PLUG, addresses=("plug/",))
        assert home.hub.at("open", "plug/") is home.hub.get(PLUG)
        assert home.hub.is_claimed("open", "plug/")

    def test_an_address_that_two_devices_claim_is_nobodys(self, home: Home) -> None:
        for name in (PLUG, LAMP):
            home.report(name, addresses=("plug/",))
        assert home.hub.at("open", "plug/") is None
        assert home.hub.is_claimed("open", "plug/")
        assert not home.hub.is_claimed("open", "lamp/")


class TestMessages:
    def test_refused_messages_are_counted_by_family(self, home: Home) -> None:
        for _ in range(2):
            home.tell(MessageRefused("open", Reason.MALFORMED, "a/b"))
        assert home.hub.refused_messages == {"open": 2}

    def test_a_new_device_is_listened_to_and_told(self, home: Home) -> None:
        effects = home.report(LAMP)
        assert of_kind(effects, ListenTo) == [ListenTo(LAMP)]
        assert told(effects) == ["device_found"]
        assert [item.id for item in saved(effects).devices] == [LAMP]

    def test_a_device_that_moves_is_listened_to_anew(self, home: Home) -> None:
        assert of_kind(home.report(PLUG, addresses=("new/",)), ListenTo) == [ListenTo(PLUG)]

    def test_a_cleared_announcement_is_no_proof_that_a_device_is_gone(self, home: Home) -> None:
        home.tell(DeviceWithdrawn(PLUG))
        assert home.view().online is False
        assert home.tell(DeviceWithdrawn(PLUG)) == []


@pytest.mark.parametrize("start", [NIGHT, NOON], ids=["night", "noon"])
def test_a_restart_in_the_middle_of_an_install_ends_in_its_verdict(start: datetime) -> None:
    snapshot = Snapshot((device(),), (commanded(at=start - MINUTE),))
    home = Home(start, snapshot=snapshot)
    home.publish(release())
    home.succeed()
    assert home.last().state is InstallState.SUCCEEDED
    assert of_kind(home.effects, SendInstall) == []
