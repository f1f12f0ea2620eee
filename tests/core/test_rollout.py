"""Who is next: networks, pilots, stops and learnt durations."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from custom_components.firmware_hub.core import limits
from custom_components.firmware_hub.core.errors import Reason
from custom_components.firmware_hub.core.model import Identity, Install, InstallState
from custom_components.firmware_hub.core.rollout import PilotState, Rollout, Stop, has_failed, recovers

from .builders import FAN, LAMP, MINUTE, NIGHT, PLUG, commanded, install, offer
from .statements import release

ACME = ("Acme", "PLUG-S1")
SETTLE = 10 * MINUTE


@pytest.fixture
def rollout() -> Rollout:
    return Rollout()


def other(device_id: str = FAN, **changes: Any) -> Install:
    """Make an install of another model."""
    return install(device_id, **{"identity": Identity("Acme", "FAN-1", "", "")} | changes)


def ended(
    state: InstallState, device_id: str = PLUG, reason: Reason | None = None, after: timedelta = 2 * MINUTE
) -> Install:
    return commanded(device_id, state=state, reason=reason, deadline=None, ended_at=NIGHT + after)


def run(rollout: Rollout, item: Install, network: str = "") -> None:
    """Let an install begin and come to its end."""
    rollout.began(item, network)
    rollout.ended(item, SETTLE, NIGHT)


def prove(rollout: Rollout, device_id: str = FAN) -> None:
    """Let the first device of the release come through, and settle."""
    run(rollout, ended(InstallState.SUCCEEDED, device_id))
    settling = rollout.settling(f"i-{device_id[-1]}")
    assert settling is not None
    rollout.settled(replace(settling, settle_until=None), well=True)


def fail(rollout: Rollout, device_id: str = PLUG, state: InstallState = InstallState.TIMED_OUT) -> Stop | None:
    rollout.began(commanded(device_id), "")
    return rollout.ended(ended(state, device_id), SETTLE, NIGHT)


def names(rollout: Rollout, parallel: int = 3) -> list[str]:
    """Take all candidates as the hub does: each begins."""
    taken = []
    for item in rollout.candidates(parallel):
        rollout.began(item, "")
        taken.append(item.device_id)
    return taken


class TestTheQueue:
    def test_nobody_waits_at_the_beginning(self, rollout: Rollout) -> None:
        assert names(rollout) == []

    def test_first_come_first_served(self, rollout: Rollout) -> None:
        prove(rollout)
        for name in (LAMP, PLUG):
            rollout.add(install(name), "")
        assert names(rollout) == [LAMP, PLUG]

    def test_a_good_pilot_goes_ahead(self, rollout: Rollout) -> None:
        rollout.add(install(PLUG), "")
        rollout.add(install(LAMP), "", first=True)
        assert names(rollout) == [LAMP]

    def test_no_more_than_allowed_run_at_a_time(self, rollout: Rollout) -> None:
        prove(rollout)
        for name in (PLUG, LAMP, FAN):
            rollout.add(install(name), "")
        assert names(rollout, 2) == [PLUG, LAMP]
        assert rollout.running("") == 2

    def test_a_family_may_allow_fewer(self, rollout: Rollout) -> None:
        prove(rollout)
        rollout.limit("", 1)
        rollout.limit("", None)
        for name in (PLUG, LAMP):
            rollout.add(install(name), "")
        assert names(rollout) == [PLUG]

    def test_networks_have_places_of_their_own(self, rollout: Rollout) -> None:
        prove(rollout)
        rollout.add(install(PLUG), "a")
        rollout.add(install(LAMP), "b")
        taken = []
        for item in rollout.candidates(1):
            rollout.began(item, "a" if item.device_id == PLUG else "b")
            taken.append(item.device_id)
        assert taken == [PLUG, LAMP]

    def test_a_place_is_free_again_after_the_end(self, rollout: Rollout) -> None:
        run(rollout, ended(InstallState.CANCELED))
        assert rollout.running("") == 0

    def test_one_that_is_dropped_is_not_looked_at(self, rollout: Rollout) -> None:
        rollout.add(install(), "")
        rollout.drop("i-1")
        rollout.drop("i-1")
        assert not rollout.is_ready("i-1")
        assert names(rollout) == []

    def test_one_that_waits_again_is_not_counted_twice(self, rollout: Rollout) -> None:
        rollout.add(install(), "")
        rollout.add(install(), "attic")
        assert rollout.is_ready("i-1")
        assert names(rollout) == [PLUG]

    def test_one_that_the_caller_leaves_alone_is_not_yielded_again(self, rollout: Rollout) -> None:
        prove(rollout)
        for name in (PLUG, LAMP):
            rollout.add(install(name), "")
        assert [item.device_id for item in rollout.candidates(3)] == [PLUG, LAMP]

    def test_one_may_leave_while_another_is_looked_at(self, rollout: Rollout) -> None:
        rollout.add(install(PLUG), "")
        rollout.add(other(), "")
        taken = []
        for item in rollout.candidates(3):
            rollout.drop(other().id)
            taken.append(item.device_id)
        assert taken == [PLUG]

    def test_a_waiting_install_may_start_where_there_is_a_place(self, rollout: Rollout) -> None:
        assert not rollout.may_start(install(), "", 1)
        rollout.add(install(), "")
        assert rollout.may_start(install(), "", 1)
        rollout.began(other(), "")
        assert not rollout.may_start(install(), "", 1)


class TestPilots:
    def test_the_first_of_a_release_goes_alone(self, rollout: Rollout) -> None:
        for name in (PLUG, LAMP):
            rollout.add(install(name), "")
        assert names(rollout) == [PLUG]
        assert rollout.blocked(install(LAMP)) is Reason.WAITS_FOR_PILOT

    def test_the_others_wait_for_its_settling_time(self, rollout: Rollout) -> None:
        run(rollout, ended(InstallState.SUCCEEDED))
        assert rollout.blocked(install(LAMP)) is Reason.PILOT_SETTLING
        settling = rollout.settling("i-1")
        assert settling is not None
        assert settling.settle_until == NIGHT + SETTLE

    def test_the_others_follow_when_it_is_proven(self, rollout: Rollout) -> None:
        prove(rollout)
        assert rollout.blocked(install(LAMP)) is None
        assert rollout.settling("i-3") is None

    def test_one_that_did_not_settle_leaves_its_place(self, rollout: Rollout) -> None:
        run(rollout, ended(InstallState.SUCCEEDED))
        rollout.settled(ended(InstallState.SUCCEEDED), well=False)
        assert rollout.pilots == {}

    def test_another_model_does_not_wait(self, rollout: Rollout) -> None:
        rollout.began(install(), "")
        assert rollout.blocked(other()) is None

    def test_another_hardware_is_another_release(self, rollout: Rollout) -> None:
        rollout.began(install(), "")
        rev2 = install(LAMP, identity=Identity("Acme", "PLUG-S1", "rev2", ""))
        assert rollout.blocked(rev2) is None

    def test_a_second_one_that_succeeds_is_not_the_pilot(self, rollout: Rollout) -> None:
        prove(rollout, FAN)
        run(rollout, ended(InstallState.SUCCEEDED, PLUG))
        assert [pilot.state for pilot in rollout.pilots.values()] == [PilotState.PROVEN]

    def test_a_pilot_that_is_canceled_leaves_its_place_to_another(self, rollout: Rollout) -> None:
        run(rollout, ended(InstallState.CANCELED))
        assert rollout.blocked(install(LAMP)) is None
        assert rollout.stops == {}

    def test_a_pilot_that_rests_leaves_its_place_to_another(self, rollout: Rollout) -> None:
        rollout.began(install(fetched=True), "")
        rollout.rests(install(fetched=True))
        assert rollout.blocked(install(LAMP)) is None
        assert rollout.running("") == 0

    def test_one_that_runs_after_all_takes_the_place_of_the_pilot(self, rollout: Rollout) -> None:
        rollout.began(install(PLUG, fetched=True), "")
        rollout.began(other(), "")
        rollout.began(install(LAMP), "attic")  # it was given up, and reacts late
        rollout.rests(install(PLUG, fetched=True))
        assert rollout.blocked(install(FAN)) is Reason.WAITS_FOR_PILOT
        rollout.ended(ended(InstallState.CANCELED, LAMP), SETTLE, NIGHT)
        assert rollout.blocked(install(FAN)) is None

    def test_a_pilot_that_could_not_be_fetched_keeps_its_place(self, rollout: Rollout) -> None:
        rollout.began(install(), "")
        rollout.rests(install())
        assert rollout.blocked(install(LAMP)) is Reason.WAITS_FOR_PILOT
        assert rollout.blocked(install()) is None

    def test_a_resting_pilot_may_go_on_before_the_others(self, rollout: Rollout) -> None:
        rollout.began(install(), "")
        rollout.rests(install())
        rollout.add(install(LAMP), "")
        rollout.add(install(), "")
        assert names(rollout) == [PLUG]

    def test_one_that_rests_and_is_no_pilot_changes_nothing(self, rollout: Rollout) -> None:
        prove(rollout)
        rollout.began(install(fetched=True), "")
        rollout.rests(install(fetched=True))
        assert len(rollout.pilots) == 1

    def test_a_success_from_before_a_restart_counts(self, rollout: Rollout) -> None:
        rollout.remember(ended(InstallState.SUCCEEDED))
        assert rollout.blocked(install(LAMP)) is None

    def test_a_success_that_did_not_stay_well_does_not_count(self, rollout: Rollout) -> None:
        rollout.remember(replace(ended(InstallState.SUCCEEDED), healthy=False))
        assert rollout.pilots == {}

    def test_a_settling_time_goes_on_after_a_restart(self, rollout: Rollout) -> None:
        rollout.remember(replace(ended(InstallState.SUCCEEDED), settle_until=NIGHT + MINUTE))
        assert rollout.blocked(install(LAMP)) is Reason.PILOT_SETTLING

    def test_one_proven_device_is_enough_after_a_restart(self, rollout: Rollout) -> None:
        rollout.remember(ended(InstallState.SUCCEEDED, LAMP))
        rollout.remember(replace(ended(InstallState.SUCCEEDED), settle_until=NIGHT + MINUTE))
        assert rollout.blocked(install(FAN)) is None

    def test_a_pilot_that_is_removed_before_it_settled_proved_nothing(self, rollout: Rollout) -> None:
        run(rollout, ended(InstallState.SUCCEEDED))
        rollout.forget(PLUG)
        assert rollout.pilots == {}

    def test_what_a_removed_device_proved_stays_proven(self, rollout: Rollout) -> None:
        prove(rollout, PLUG)
        rollout.forget(PLUG)
        rollout.forget(LAMP)
        assert len(rollout.pilots) == 1


class TestStops:
    def test_a_pilot_that_does_not_come_back_stops_its_model(self, rollout: Rollout) -> None:
        stop = fail(rollout)
        assert stop == Stop(*ACME, "", PLUG, InstallState.TIMED_OUT, None)
        newer = install(LAMP, offer=offer(release("1.3.0")))
        assert rollout.blocked(newer) is Reason.MODEL_STOPPED

    def test_a_pilot_that_fails_and_works_stops_its_release_only(self, rollout: Rollout) -> None:
        stop = fail(rollout, state=InstallState.FAILED)
        assert stop is not None
        assert stop.version == "1.2.0"
        assert rollout.blocked(install(LAMP)) is Reason.MODEL_STOPPED
        assert rollout.blocked(install(LAMP, offer=offer(release("1.3.0")))) is None

    def test_other_models_go_on(self, rollout: Rollout) -> None:
        fail(rollout)
        assert rollout.blocked(other()) is None

    def test_a_later_device_that_fails_and_works_stops_nobody(self, rollout: Rollout) -> None:
        prove(rollout)
        assert fail(rollout, state=InstallState.FAILED) is None

    def test_a_later_device_that_does_not_come_back_stops_its_model(self, rollout: Rollout) -> None:
        prove(rollout)
        assert fail(rollout) is not None

    def test_two_devices_that_refuse_an_image_stop_it(self, rollout: Rollout) -> None:
        prove(rollout)
        assert fail(rollout, PLUG, InstallState.REJECTED) is None
        assert fail(rollout, LAMP, InstallState.REJECTED) is not None

    def test_a_stop_is_told_once(self, rollout: Rollout) -> None:
        fail(rollout, PLUG)
        assert fail(rollout, LAMP) is None
        assert len(rollout.stops) == 1

    def test_a_release_is_not_stopped_twice(self, rollout: Rollout) -> None:
        fail(rollout, PLUG, InstallState.FAILED)
        assert rollout.stop(install(LAMP), "1.2.0", None) is None

    def test_a_device_that_tries_again_is_not_held_up_by_its_own_failure(self, rollout: Rollout) -> None:
        fail(rollout)
        assert rollout.blocked(install(retry=True)) is None
        assert rollout.blocked(install(LAMP, retry=True)) is Reason.MODEL_STOPPED

    def test_one_that_tries_again_is_found_behind_those_that_wait(self, rollout: Rollout) -> None:
        fail(rollout)
        rollout.add(install(LAMP, retry=True), "")
        rollout.add(install(retry=True), "")
        assert names(rollout) == [PLUG]

    def test_a_device_that_is_found_again_on_its_old_version_frees_its_model(self, rollout: Rollout) -> None:
        fail(rollout)
        stop = rollout.ended(ended(InstallState.ROLLED_BACK), SETTLE, NIGHT)
        assert stop is not None
        assert stop.version == "1.2.0"
        assert [item.version for item in rollout.stops.values()] == ["1.2.0"]

    def test_another_device_does_not_free_a_stopped_model(self, rollout: Rollout) -> None:
        fail(rollout)
        rollout.ended(ended(InstallState.FAILED, LAMP), SETTLE, NIGHT)
        assert [item.version for item in rollout.stops.values()] == [""]

    def test_a_stop_is_taken_back_with_its_count_of_refusals(self, rollout: Rollout) -> None:
        prove(rollout)
        for name in (PLUG, LAMP):
            fail(rollout, name, InstallState.REJECTED)
        (stop,) = rollout.stopped(ACME)
        rollout.release(stop)
        assert rollout.blocked(install(FAN)) is None
        assert fail(rollout, PLUG, InstallState.REJECTED) is None

    def test_refusals_of_another_model_are_still_counted(self, rollout: Rollout) -> None:
        prove(rollout)
        fail(rollout, PLUG, InstallState.REJECTED)
        rollout.release(Stop("Acme", "FAN-1", "", FAN, InstallState.FAILED, None))
        assert fail(rollout, LAMP, InstallState.REJECTED) is not None

    def test_stops_are_found_by_who_caused_them(self, rollout: Rollout) -> None:
        fail(rollout)
        assert [stop.device_id for stop in rollout.caused_by(PLUG)] == [PLUG]
        assert rollout.caused_by(LAMP) == []
        assert rollout.stopped(("Acme", "FAN-1")) == []


class TestVerdicts:
    @pytest.mark.parametrize("state", [InstallState.TIMED_OUT, InstallState.ROLLBACK_FAILED])
    def test_a_silent_device_is_not_known_to_work(self, state: InstallState) -> None:
        assert not recovers(ended(state))
        assert has_failed(ended(state))

    @pytest.mark.parametrize(
        "reason",
        [
            Reason.WRONG_IMAGE,
            Reason.SETTINGS_LOST,
            Reason.STUCK_IN_HELPER,
            Reason.CAME_BACK_OTHER,
            Reason.UNHEALTHY,
        ],
    )
    def test_a_device_that_is_not_what_it_was_does_not_work(self, reason: Reason) -> None:
        assert not recovers(ended(InstallState.FAILED, reason=reason))

    @pytest.mark.parametrize("state", [InstallState.FAILED, InstallState.REJECTED, InstallState.ROLLED_BACK])
    def test_a_device_on_its_old_version_works(self, state: InstallState) -> None:
        assert recovers(ended(state))
        assert has_failed(ended(state))

    @pytest.mark.parametrize(
        "state",
        [
            InstallState.SUCCEEDED,
            InstallState.SKIPPED,
            InstallState.CANCELED,
            InstallState.ALREADY_INSTALLED,
            InstallState.REMOVED,
        ],
    )
    def test_what_a_person_wanted_is_no_failure(self, state: InstallState) -> None:
        assert not has_failed(ended(state))


class TestDurations:
    def learn(self, rollout: Rollout, *minutes: float) -> timedelta:
        for number in minutes:
            run(rollout, ended(InstallState.SUCCEEDED, after=timedelta(minutes=number)))
        return rollout.expected(install(), 5)

    def test_the_family_knows_until_the_maker_does(self, rollout: Rollout) -> None:
        assert rollout.expected(install(), 5) == 5 * MINUTE

    def test_the_maker_knows_until_experience_does(self, rollout: Rollout) -> None:
        stated = install(offer=offer(release(install_minutes=8)))
        assert rollout.expected(stated, 5) == 8 * MINUTE

    def test_few_samples_are_no_experience(self, rollout: Rollout) -> None:
        assert self.learn(rollout, 1, 1, 1, 1) == 5 * MINUTE

    def test_five_samples_are_experience(self, rollout: Rollout) -> None:
        assert self.learn(rollout, 1, 2, 3, 1, 2) == 3 * MINUTE

    def test_of_twenty_samples_the_slowest_one_does_not_count(self, rollout: Rollout) -> None:
        assert self.learn(rollout, *[2] * 18, 3, 9) == 3 * MINUTE

    def test_only_the_last_samples_count(self, rollout: Rollout) -> None:
        assert self.learn(rollout, *[9] * 5, *[2] * 20) == 2 * MINUTE
        assert len(rollout.durations[ACME]) == 20

    def test_models_have_durations_of_their_own(self, rollout: Rollout) -> None:
        self.learn(rollout, 1, 1, 1, 1, 1)
        assert rollout.expected(other(), 5) == 5 * MINUTE

    @pytest.mark.parametrize("missing", ["command_at", "ended_at", "command_deadline"])
    def test_without_a_beginning_or_an_end_nothing_is_learnt(self, rollout: Rollout, missing: str) -> None:
        nothing: dict[str, Any] = {missing: None}
        run(rollout, replace(ended(InstallState.SUCCEEDED), **nothing))
        assert rollout.durations == {}
        assert not rollout.changed

    def test_how_long_a_lost_device_was_dark_is_not_learnt(self, rollout: Rollout) -> None:
        late = 10 * MINUTE + limits.VERIFY_DEADLINE
        run(rollout, ended(InstallState.SUCCEEDED, after=late))
        assert len(rollout.durations[ACME]) == 1
        run(rollout, ended(InstallState.SUCCEEDED, after=late + MINUTE))
        assert len(rollout.durations[ACME]) == 1
