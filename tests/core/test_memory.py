"""What the hub remembers over a restart, and what it does until what could not be written is written."""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from custom_components.firmware_hub.core.effects import (
    AuditRow,
    Effect,
    FetchArtifacts,
    IssueKind,
    ListenTo,
    Save,
    SendInstall,
    StopServing,
)
from custom_components.firmware_hub.core.errors import BadInput, Reason
from custom_components.firmware_hub.core.hub import Hub
from custom_components.firmware_hub.core.inputs import (
    ForgetRequested,
    InstallReported,
    LinkChanged,
    SaveFailed,
    SaveWorked,
    SettingsChanged,
    Stage,
    WokenUp,
)
from custom_components.firmware_hub.core.memory import keep_rollout, number, recall_rollout
from custom_components.firmware_hub.core.model import InstallState
from custom_components.firmware_hub.core.records import Snapshot
from custom_components.firmware_hub.core.rollout import Rollout
from custom_components.firmware_hub.core.settings import Settings
from custom_components.firmware_hub.core.turn import Turn

from .builders import (
    DAY,
    HOUR,
    LAMP,
    MINUTE,
    NIGHT,
    NOON,
    PLUG,
    Home,
    audited,
    capabilities,
    cleared,
    commanded,
    device,
    feed,
    install,
    of_kind,
    raised,
    saved,
    told,
)


def lose(home: Home, effects: list[Effect], *dropped: str) -> list[Effect]:
    """Let the transaction among these effects fail, and with it the orders of these installs."""
    return home.tell(SaveFailed(saved(effects), Reason.DISK_FULL, "no space left", dropped))


@pytest.fixture
def home() -> Home:
    """A plug on 1.0.0, to which 1.2.0 is offered, within the window."""
    home = Home(NIGHT)
    home.report(PLUG)
    home.publish()
    return home


class TestNumbers:
    @pytest.mark.parametrize(("text", "value"), [("7", 7), ("", 0), ("x", 0), ("-1", 0), ("٣", 0), ("1.5", 0)])
    def test_a_count_is_read_or_nought(self, text: str, value: int) -> None:
        assert number(text) == value


class TestTheRollout:
    def kept(self, rollout: Rollout) -> Mapping[str, str]:
        turn = Turn(NIGHT)
        keep_rollout(rollout, turn)
        save = turn.unsaved()
        return save.meta if save else {}

    def test_nothing_is_written_that_did_not_change(self) -> None:
        assert self.kept(Rollout()) == {}

    def test_it_is_written_once(self) -> None:
        rollout = Rollout()
        rollout.stop(install(), "", Reason.NO_RETURN)
        assert self.kept(rollout)
        assert self.kept(rollout) == {}

    def test_stops_and_durations_come_back(self) -> None:
        rollout = Rollout()
        rollout.stop(install(), "", Reason.NO_RETURN)
        rollout.stop(install(), "1.2.0", None)
        rollout.durations["Acme", "PLUG-S1"] = (60.0, 61.5)
        again = Rollout()
        recall_rollout(again, self.kept(rollout))
        assert (again.stops, again.durations) == (rollout.stops, rollout.durations)

    def test_a_stop_without_a_reason_comes_back(self) -> None:
        rollout, again = Rollout(), Rollout()
        rollout.stop(install(), "1.2.0", None)
        recall_rollout(again, self.kept(rollout))
        assert again.stops == rollout.stops

    @pytest.mark.parametrize(
        "meta",
        [
            {"stops": "{broken"},
            {"stops": "7"},
            {"stops": '[["Acme"]]'},
            {"stops": '[["Acme","M","","d","no verdict",null]]'},
            {"durations": '[["Acme"]]'},
            {"durations": '[["Acme","M","long"]]'},
            {"durations": '[["Acme","M",[]]]'},
        ],
        ids=lambda meta: next(iter(meta.values())),
    )
    def test_what_no_hub_wrote_is_bad_input(self, meta: dict[str, str]) -> None:
        hub = Hub({"open": capabilities()}, new_id=lambda: "new")
        with pytest.raises(BadInput) as error:
            hub.restore(Snapshot(meta=meta), NIGHT)
        assert (error.value.reason, error.value.path) == (Reason.MALFORMED, "meta")


class TestAFullDisk:
    def test_a_person_hears_of_it(self, home: Home) -> None:
        effects = lose(home, home.report(LAMP))
        assert raised(effects) == [IssueKind.STORE_FAILED]
        assert not home.hub.hub_view(home.now).store_ok

    def test_nothing_starts_meanwhile(self, home: Home) -> None:
        home.report(LAMP, model="LAMP-1")
        lose(home, home.report(LAMP, name="Hall", model="LAMP-1"))
        home.approve()
        assert home.install().state is InstallState.APPROVED
        assert home.view().reason is Reason.DISK_FAILED

    def test_what_waited_starts_when_it_is_over(self, home: Home) -> None:
        lose(home, home.report(LAMP))
        home.approve()
        effects = home.tell(SaveWorked())
        assert home.install().state is InstallState.DOWNLOADING
        assert IssueKind.STORE_FAILED in cleared(effects)
        assert home.hub.hub_view(home.now).store_ok

    def test_that_writing_works_is_no_news_while_it_does(self, home: Home) -> None:
        assert home.tell(SaveWorked()) == []

    def test_what_was_lost_is_written_with_the_next_change(self, home: Home) -> None:
        lose(home, home.report(LAMP))
        save = saved(home.report(PLUG, name="Kitchen"))
        assert {item.id for item in save.devices} == {PLUG, LAMP}

    def test_what_was_lost_is_written_when_the_hub_is_woken(self, home: Home) -> None:
        lose(home, home.report(LAMP))
        assert [item.id for item in saved(home.tell(WokenUp())).devices] == [LAMP]

    def test_it_is_written_once(self, home: Home) -> None:
        lose(home, home.report(LAMP))
        home.tell(SaveWorked())
        assert [save.devices for save in of_kind(home.tell(WokenUp()), Save)] in ([], [()])

    def test_a_turn_that_writes_nothing_leaves_it_for_later(self, home: Home) -> None:
        lose(home, home.report(LAMP))
        assert of_kind(home.health(PLUG, battery_percent=3), Save) == []
        assert of_kind(home.tell(WokenUp()), Save)

    def test_a_device_is_written_as_it_is_by_then(self, home: Home) -> None:
        lose(home, home.report(LAMP))
        home.report(LAMP, name="Hall")
        home.tell(SaveWorked())
        last = of_kind(home.effects, Save)[-1]
        assert [item.name for item in last.devices] in ([], ["Hall"])
        assert home.hub.fleet.devices[LAMP].name == "Hall"

    def test_its_topics_are_listened_to_at_last(self, home: Home) -> None:
        lose(home, home.report(LAMP))
        assert LAMP in {order.device_id for order in of_kind(home.tell(SaveWorked()), ListenTo)}

    def test_a_device_that_was_forgotten_meanwhile_is_deleted(self, home: Home) -> None:
        effects = home.report(LAMP)
        home.tell(ForgetRequested(LAMP, "anna"))
        lose(home, effects)
        assert saved(home.tell(SaveWorked())).forget == (LAMP,)

    def test_the_lines_of_the_record_come_before_those_of_later(self, home: Home) -> None:
        lose(home, home.report(LAMP))
        assert audited(home.approve())[:2] == ["device_found", "approved"]

    def test_the_ledger_and_the_newest_answer_are_written_again(self, home: Home) -> None:
        lost = home.publish(sequence=43)
        lose(home, lost)
        save = saved(home.tell(SaveWorked()))
        assert [row.sequence for row in save.ledger] == [43]
        assert [row.feed_id for row in save.feeds] == ["acme"]

    def test_an_answer_that_was_followed_by_another_is_not_written_over_it(self, home: Home) -> None:
        lost = home.publish(sequence=43)
        home.now += MINUTE
        home.publish(sequence=44)
        lose(home, lost)
        save = saved(home.tell(SaveWorked()))
        assert [row.sequence for row in save.ledger] == [44]
        assert save.feeds == ()

    def test_small_values_are_written_again(self, home: Home) -> None:
        home.approve()
        home.commanded()
        lost = home.succeed()[-8:]
        home.tell(SaveFailed(of_kind(lost, Save)[-1], Reason.DISK_FULL))
        meta = saved(home.tell(SaveWorked())).meta
        assert {"clock", "windows_closed", "stops", "durations"} <= set(meta)


class TestInstallsOnAFullDisk:
    def test_a_download_that_was_not_ordered_is_tried_again_later(self) -> None:
        home = Home(NOON)
        home.report()
        home.publish()
        home.approve()
        effects = home.tell(SettingsChanged(Settings(any_time=frozenset({PLUG}))))
        lose(home, effects, home.install().id)
        assert (home.install().state, home.install().reason) == (InstallState.DEFERRED, Reason.DISK_FULL)
        home.tell(SaveWorked())
        assert of_kind(home.wait(6 * MINUTE), FetchArtifacts)

    def test_a_command_whose_writing_failed_was_never_sent(self, home: Home) -> None:
        home.approve()
        home.fetched()
        lose(home, home.report(), home.install().id)
        install = home.install()
        assert (install.state, install.attempt, install.attempt_id) == (InstallState.DEFERRED, 0, "")
        assert install.command_deadline is None

    def test_it_is_sent_under_another_id_later(self, home: Home) -> None:
        home.approve()
        home.fetched()
        effects = home.report()
        lose(home, effects, home.install().id)
        home.tell(SaveWorked())
        home.wait(11 * MINUTE)
        (again,) = of_kind(home.commanded(), SendInstall)
        assert again.attempt_id not in {order.attempt_id for order in of_kind(effects, SendInstall)}

    def test_an_install_that_is_not_known_was_not_dropped(self, home: Home) -> None:
        lose(home, home.report(LAMP), "nobody")
        assert home.hub.installer.current == {}

    def test_a_verdict_is_told_again(self, home: Home) -> None:
        home.approve()
        home.commanded()
        lost = home.succeed()
        home.tell(SaveFailed(of_kind(lost, Save)[-1], Reason.DISK_FULL))
        effects = home.tell(SaveWorked())
        assert told(effects) == ["install_ended"]
        assert [item.state for item in saved(effects).installs] == [InstallState.SUCCEEDED]
        assert of_kind(effects, StopServing)

    def test_a_failure_is_told_again_with_the_stop_that_it_caused(self, home: Home) -> None:
        home.report(LAMP)
        home.approve()
        home.commanded()
        lost = home.fail()
        home.tell(SaveFailed(of_kind(lost, Save)[-1], Reason.DISK_FULL))
        effects = home.tell(SaveWorked())
        assert told(effects) == ["model_stopped", "install_ended"]
        assert raised(effects) == [IssueKind.DEVICE_DARK, IssueKind.MODEL_STOPPED]

    def test_a_running_install_is_written_as_it_is_by_then(self, home: Home) -> None:
        home.approve()
        lost = home.commanded()
        home.tell(SaveFailed(of_kind(lost, Save)[0], Reason.DISK_FULL))
        home.tell(InstallReported(PLUG, Stage.REBOOTING))
        home.tell(SaveWorked())
        states = [item.state for save in of_kind(home.effects, Save) for item in save.installs]
        assert states[-1] is InstallState.REBOOTING

    def test_an_end_that_another_install_followed_is_still_written(self, home: Home) -> None:
        home.approve()
        first = home.install().id
        home.commanded()
        lost = of_kind(home.fail(), Save)[-1]
        home.tell(ForgetRequested(PLUG, "anna"))
        home.tell(SaveFailed(lost, Reason.DISK_FULL))
        kept = [item.id for save in of_kind(home.tell(SaveWorked()), Save) for item in save.installs]
        assert kept == [first]

    def test_a_step_of_an_install_that_is_long_over_is_not_written(self, home: Home) -> None:
        home.approve()
        lost = saved(home.fetched())
        home.report()
        home.fail()
        home.wait(HOUR)
        home.tell(ForgetRequested(PLUG, "anna"))
        home.tell(SaveFailed(lost, Reason.DISK_FULL))
        assert saved(home.tell(SaveWorked())).installs == ()

    def test_an_end_of_a_device_that_is_gone_stops_its_serving(self, home: Home) -> None:
        home.approve()
        home.commanded()
        lost = home.tell(ForgetRequested(PLUG, "anna"))
        home.tell(SaveFailed(saved(lost), Reason.DISK_FULL))
        effects = home.tell(SaveWorked())
        assert of_kind(effects, StopServing)
        assert told(effects) == []


class TestARestart:
    def test_nothing_is_sent_again(self) -> None:
        home = Home(NIGHT, snapshot=Snapshot((device(),), (commanded(),)))
        home.report()
        home.publish()
        home.wait(8 * MINUTE)
        assert of_kind(home.effects, SendInstall) == []

    def test_the_count_of_windows_goes_on(self) -> None:
        home = Home(NOON, snapshot=Snapshot(meta={"windows_closed": "7"}))
        assert home.hub.requests.windows_closed == 7

    def test_a_family_that_is_not_known_is_left_alone(self) -> None:
        home = Home(NOON, snapshot=Snapshot((device(dialect="newer"),), (install(),)))
        assert list(home.hub.device_ids()) == []
        assert home.hub.installer.current == {}

    def test_last_ends_come_back(self) -> None:
        done = commanded(state=InstallState.SUCCEEDED, ended_at=NIGHT, deadline=None)
        home = Home(NOON, snapshot=Snapshot((device(version="1.2.0"),), (done,)))
        assert home.last() == done

    def test_what_was_running_is_served_again_and_checked(self) -> None:
        hub = Hub({"open": capabilities()}, new_id=lambda: "new")
        effects = hub.restore(Snapshot((device(),), (commanded(),)), NIGHT + MINUTE)
        kinds = [type(effect).__name__ for effect in effects]
        assert "ServeAgain" in kinds
        assert "CheckAddress" in kinds
        assert "SendInstall" not in kinds

    def test_two_stored_devices_at_one_address_are_told(self) -> None:
        same = (device(PLUG, addresses=("hall/",)), device(LAMP, addresses=("hall/",)))
        hub = Hub({"open": capabilities()}, new_id=lambda: "new")
        assert raised(hub.restore(Snapshot(same), NIGHT)) == [IssueKind.TOPIC_CONFLICT] * 2


def test_the_link_survives_nothing() -> None:
    home = Home(NIGHT, feeds=(feed(),))
    home.report()
    home.tell(LinkChanged(connected=False))
    assert home.view().online is None


def test_rows_of_the_record_carry_their_own_time() -> None:
    row = AuditRow(NIGHT - DAY, "old", "")
    turn = Turn(NIGHT)
    turn.audit("new", "")
    turn.audit_again([row])
    save = turn.unsaved()
    assert save is not None
    assert [item.at for item in save.audit] == [NIGHT - DAY, NIGHT]
