"""Devices that look up by themselves what to install, at an address that may be the hub's."""

from __future__ import annotations

import pytest

from custom_components.firmware_hub.core.effects import FetchArtifacts, SendInstall, StopServing
from custom_components.firmware_hub.core.errors import Reason
from custom_components.firmware_hub.core.model import InstallState, Trust

from .builders import MINUTE, Home, capabilities, feed, of_kind
from .statements import release

S = InstallState
LOOKS = capabilities(chooses_artifact=False, vendor_chooses=True, offers_itself=True, looks_up=True)


def home(offered: str | None = None, supplied: str = "") -> Home:
    """Have a plug that looks at some address, and a signed feed with version 1.2.0 for it."""
    made = Home(families={"open": LOOKS}, feeds=[feed()])
    settings = {"supplied": supplied} if supplied else {}
    made.report(settings=settings if offered is None else settings | {"offered": offered})
    made.publish(release())
    return made


def looks(made: Home, install_id: str = "", offered: str = "1.2.0") -> None:
    """Let the plug say what it found, and for which install that is."""
    made.report(settings={"offered": offered, "supplied": install_id or made.install().id})


def waiting() -> Home:
    """Have approved what the plug has not looked up yet, in the window."""
    made = home()
    made.approve()
    made.fetched()
    assert (made.install().state, made.install().reason) == (S.DEFERRED, Reason.WAITS_FOR_LOOK)
    return made


@pytest.mark.parametrize(
    ("offered", "supplied", "trust"),
    [
        (None, "", Trust.SIGNED),
        ("", "", Trust.SIGNED),
        ("1.2.0", "", Trust.VENDOR),
        ("1.3.0", "", Trust.VENDOR),
        ("1.3.0", "i-1", Trust.SIGNED),
        ("1.2.0", "i-1", Trust.SIGNED),
    ],
    ids=["nothing yet", "nothing new", "elsewhere", "something else", "ours, once", "ours, now"],
)
def test_it_is_offered_what_it_would_find(offered: str | None, supplied: str, trust: Trust) -> None:
    offer = home(offered, supplied).view().offer
    assert offer is not None
    assert offer.trust is trust


def test_one_that_looks_at_the_hub_is_not_offered_what_a_vendor_has() -> None:
    made = Home(families={"open": LOOKS}, feeds=[feed(trust=Trust.VENDOR)])
    made.report(settings={"offered": "1.2.0", "supplied": "i-1"})
    made.publish(release(), trust=Trust.VENDOR)
    assert made.view().offer is None


def test_what_was_approved_is_fetched_and_waits_until_the_device_has_looked() -> None:
    made = home()
    made.approve()
    assert made.install().state is S.DOWNLOADING
    assert of_kind(made.fetched(), SendInstall) == []
    assert made.install().reason is Reason.WAITS_FOR_LOOK
    assert made.install().reason_values == {"version": "1.2.0"}


def test_it_is_looked_at_again_after_a_while() -> None:
    made = waiting()
    effects = made.wait(11 * MINUTE)
    assert of_kind(effects, FetchArtifacts)


def test_as_soon_as_it_says_what_it_found_the_install_goes_on() -> None:
    made = waiting()
    looks(made)
    assert made.install().state is S.DOWNLOADING
    assert of_kind(made.fetched(), SendInstall)
    assert made.install().state is S.INSTALLING


def test_one_that_looks_while_the_command_is_being_prepared_is_sent_it() -> None:
    made = home()
    made.approve()
    made.now += 2 * MINUTE
    made.fetched()
    assert of_kind(made.report(settings={"offered": "1.2.0", "supplied": made.install().id}), SendInstall)


@pytest.mark.parametrize(
    ("install_id", "offered"),
    [("another", "1.2.0"), ("", "1.1.0"), ("", "")],
    ids=["of an earlier install", "another version", "nothing new"],
)
def test_nothing_is_sent_to_one_that_would_install_something_else(install_id: str, offered: str) -> None:
    made = waiting()
    looks(made, install_id, offered)
    made.wait(11 * MINUTE)
    made.fetched()
    assert of_kind(made.report(), SendInstall) == []
    assert made.install().reason is Reason.WAITS_FOR_LOOK


def test_nothing_is_sent_to_one_that_found_the_same_version_elsewhere_after_it_looked() -> None:
    made = waiting()
    looks(made)
    assert made.install().state is S.DOWNLOADING
    made.report(settings={"offered": "1.2.0", "supplied": ""})
    assert of_kind(made.fetched(), SendInstall) == []
    assert made.install().reason is Reason.WAITS_FOR_LOOK


def test_somebody_elses_look_at_the_manifest_is_no_proof() -> None:
    """Whoever read it: the device found the approved version elsewhere, and so it names no install."""
    made = waiting()
    made.report(settings={"offered": "1.2.0", "supplied": ""})
    made.wait(11 * MINUTE)
    made.fetched()
    assert of_kind(made.report(), SendInstall) == []
    assert made.install().reason is Reason.WAITS_FOR_LOOK


def test_success_is_what_the_device_says_after_it_came_back() -> None:
    made = waiting()
    looks(made)
    made.fetched()
    made.succeed()
    assert made.last().state is S.SUCCEEDED


def test_between_two_attempts_there_is_no_image_for_whoever_else_orders_it() -> None:
    made = waiting()
    looks(made)
    made.fetched()
    deadline = made.install().deadline
    assert deadline is not None
    made.wait(deadline - made.now)
    effects = made.report() + made.wait(MINUTE)
    assert (made.install().state, made.install().reason) == (S.DEFERRED, Reason.WAITS_FOR_RETRY)
    assert of_kind(effects, StopServing) == [StopServing(made.install().id)]
    effects = made.wait(12 * MINUTE) + made.commanded()
    assert of_kind(effects, FetchArtifacts)
    assert of_kind(effects, SendInstall)


@pytest.mark.parametrize("supplied", ["", "another"])
def test_saying_it_again_without_having_looked_costs_no_fetch(supplied: str) -> None:
    made = waiting()
    effects = made.report(settings={"offered": "1.2.0", "supplied": supplied}) + made.report(
        settings={"offered": "1.2.0"}
    )
    assert of_kind(effects, FetchArtifacts) == []
    assert made.install().reason is Reason.WAITS_FOR_LOOK
