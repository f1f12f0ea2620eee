"""Whoever speaks last under a device's identity is not the device: it has to be gone from where it was known."""

from __future__ import annotations

import pytest

from custom_components.firmware_hub.core.effects import IssueKind, ListenTo, QueryDevice, RaiseIssue, SendInstall
from custom_components.firmware_hub.core.errors import Reason
from custom_components.firmware_hub.core.inputs import DeviceWithdrawn, ForgetRequested, Stage
from custom_components.firmware_hub.core.model import InstallState as S

from .builders import DAY, LAMP, MINUTE, PLUG, SECOND, Home, audited, capabilities, cleared, of_kind, raised
from .script import Script

VICTIM, EVIL = ("victim/",), ("evil/",)


@pytest.fixture
def home() -> Home:
    """A home with a plug that is there."""
    home = Home()
    home.report(addresses=VICTIM)
    home.publish()
    return home


def where(home: Home) -> tuple[str, ...]:
    return home.hub.fleet.devices[PLUG].addresses


def test_a_device_that_is_there_is_not_moved_by_somebody_elsewhere(home: Home) -> None:
    effects = home.report(version="1.2.0", addresses=EVIL)
    assert where(home) == VICTIM
    assert home.hub.fleet.devices[PLUG].version == "1.0.0"
    (issue,) = of_kind(effects, RaiseIssue)
    assert (issue.kind, issue.values["address"]) == (IssueKind.TOPIC_CONFLICT, "victim/, evil/")
    assert audited(effects) == ["identity_contested"]


def test_it_is_written_down_once_however_often_it_speaks(home: Home) -> None:
    home.report(addresses=EVIL)
    assert audited(home.report(addresses=EVIL)) == []


def test_nothing_is_sent_while_two_claim_one_identity(home: Home) -> None:
    home.report(addresses=EVIL)
    home.approve()
    home.report(addresses=VICTIM)
    assert not of_kind(home.effects, SendInstall)
    assert home.view().reason is Reason.TOPIC_CONFLICT


def test_a_success_is_not_believed_from_elsewhere() -> None:
    script = Script().commanded()
    for _ in range(2):
        script.now += 20 * SECOND
        script.report("1.2.0", addresses=EVIL)
    assert script.state() is S.INSTALLING


def test_nobody_moves_under_a_command_even_while_it_is_away() -> None:
    script = Script().commanded()
    script.stage(Stage.DOWNLOADING)
    script.online(online=False)
    script.report(None, addresses=EVIL)
    assert script.hub.fleet.devices[PLUG].addresses == (f"{PLUG}/",)
    assert script.hub.fleet.in_conflict(script.hub.fleet.devices[PLUG])


def test_one_that_restarted_and_was_heard_elsewhere_before_its_last_will_lost_its_settings() -> None:
    script = Script().commanded()
    script.report("1.2.0", addresses=("default/",))
    assert script.state() is S.INSTALLING
    script.online(online=False)
    assert script.verdict == (S.FAILED, Reason.SETTINGS_LOST)
    assert script.hub.fleet.devices[PLUG].addresses == ("default/",)


def test_one_that_only_goes_away_under_its_command_is_not_moved() -> None:
    script = Script().commanded()
    script.report(None, addresses=EVIL)
    script.online(online=False)
    assert script.state() is S.REBOOTING
    assert script.hub.fleet.devices[PLUG].addresses == (f"{PLUG}/",)


def test_a_device_that_left_may_speak_elsewhere(home: Home) -> None:
    home.link(online=False)
    effects = home.report(addresses=("new/",))
    assert where(home) == ("new/",)
    assert not raised(effects)


def test_a_device_whose_announcement_was_cleared_may_speak_elsewhere(home: Home) -> None:
    home.tell(DeviceWithdrawn(PLUG))
    home.report(addresses=("new/",))
    assert where(home) == ("new/",)


def test_what_was_said_before_the_last_will_came_counts_then_and_the_device_is_asked(home: Home) -> None:
    home.report(addresses=("new/",))
    home.now += MINUTE
    effects = home.link(online=False)
    assert where(home) == ("new/",)
    assert cleared(effects) == [IssueKind.TOPIC_CONFLICT]
    assert of_kind(effects, ListenTo)
    assert of_kind(effects, QueryDevice)
    assert not home.hub.fleet.in_conflict(home.hub.fleet.devices[PLUG])


def test_a_doubt_outlives_a_lost_connection(home: Home) -> None:
    home.report(addresses=EVIL)
    home.hub.fleet.forget_presence()
    home.report(addresses=EVIL)
    assert where(home) == VICTIM


def test_a_doubt_ends_a_day_after_the_last_word_from_elsewhere(home: Home) -> None:
    home.report(addresses=EVIL)
    home.now += DAY - SECOND
    assert not cleared(home.report(addresses=VICTIM))
    home.now += SECOND
    assert not cleared(home.report(addresses=VICTIM, retained=True))
    assert cleared(home.report(addresses=VICTIM)) == [IssueKind.TOPIC_CONFLICT]


def test_a_doubt_that_ends_leaves_the_conflict_about_an_address(home: Home) -> None:
    home.report(LAMP, addresses=VICTIM)
    home.report(addresses=EVIL)
    home.now += DAY
    assert not cleared(home.report(addresses=VICTIM))


def test_a_device_that_is_removed_is_not_doubted_when_it_comes_back(home: Home) -> None:
    home.report(addresses=EVIL)
    home.tell(ForgetRequested(PLUG, "anna"))
    home.report(addresses=VICTIM)
    assert not home.hub.fleet.in_conflict(home.hub.fleet.devices[PLUG])


def test_a_bridge_renames_its_own_devices_and_no_other_bridges(home: Home) -> None:
    home.report(LAMP, addresses=("z/old/",), network="z")
    home.report(LAMP, addresses=("z/new/",), network="z")
    assert home.hub.fleet.devices[LAMP].addresses == ("z/new/",)
    home.report(LAMP, addresses=("y/new/",), network="y")
    assert home.hub.fleet.devices[LAMP].addresses == ("z/new/",)


def test_a_family_that_is_told_of_others_devices_is_told_where_they_went() -> None:
    home = Home(families={"open": capabilities(generic=True)})
    home.report(addresses=VICTIM)
    home.report(addresses=("new/",))
    assert where(home) == ("new/",)
