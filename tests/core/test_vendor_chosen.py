"""Installs where the device takes what its vendor offers it: nothing is fetched, served or verified (invariant 1)."""

from __future__ import annotations

from typing import Any

import pytest

from custom_components.firmware_hub.core.effects import FetchArtifacts, QueryDevice, SendInstall, ServeAgain
from custom_components.firmware_hub.core.errors import Reason, Refused
from custom_components.firmware_hub.core.inputs import LinkChanged
from custom_components.firmware_hub.core.model import Install, InstallState, Trust
from custom_components.firmware_hub.core.ports import Capabilities
from custom_components.firmware_hub.core.records import Snapshot

from .builders import DAY, HOUR, MINUTE, NIGHT, PLUG, SECOND, Home, capabilities, feed, of_kind
from .statements import artifact, manifest, release

S = InstallState
OBEYS = capabilities(chooses_artifact=False, vendor_chooses=True)
EITHER = capabilities(vendor_chooses=True)
NEVER = capabilities()


def home(family: Capabilities = OBEYS, trust: Trust = Trust.VENDOR, offered: str | None = "1.2.0", **more: Any) -> Home:
    """Have a plug whose vendor publishes version 1.2.0 without a digest, and offers it this."""
    made = Home(families={"open": family}, feeds=[feed(trust=trust)], **more)
    made.report(settings=None if offered is None else {"offered": offered})
    made.publish(release(artifacts=(artifact(sha256=""),)), trust=trust)
    return made


def answer(made: Home, offered: str, version: str = "1.0.0") -> None:
    made.report(PLUG, version, settings={"offered": offered})


def commanded(**more: Any) -> Home:
    made = home(**more)
    made.approve()
    answer(made, "1.2.0")
    assert made.install().state is S.INSTALLING
    return made


# --- offers ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("family", "trust", "offered", "is_offered"),
    [
        (OBEYS, Trust.VENDOR, "1.2.0", True),
        (OBEYS, Trust.VENDOR, "1.3.0", False),
        (OBEYS, Trust.VENDOR, "", False),
        (OBEYS, Trust.VENDOR, None, False),
        (OBEYS, Trust.DIGEST, "1.2.0", False),
        (EITHER, Trust.VENDOR, "1.2.0", True),
        (EITHER, Trust.DIGEST, "1.3.0", True),
        (NEVER, Trust.VENDOR, "1.2.0", False),
        (NEVER, Trust.DIGEST, None, True),
    ],
)
def test_an_offer_is_one_that_the_device_can_be_told_to_take(
    family: Capabilities, trust: Trust, offered: str | None, is_offered: bool
) -> None:
    assert (home(family, trust, offered).view().offer is not None) is is_offered


def test_what_a_stronger_feed_says_does_not_hide_the_only_thing_that_a_device_takes() -> None:
    made = Home(families={"open": OBEYS}, feeds=[feed(), feed("vendor", trust=Trust.VENDOR)])
    made.report(settings={"offered": "1.2.0"})
    made.publish(release())
    made.publish(release(), feed_id="vendor", trust=Trust.VENDOR)
    offer = made.view().offer
    assert offer is not None
    assert (offer.feed_id, offer.vendor_chooses) == ("vendor", True)


def test_a_device_is_asked_what_it_is_offered_until_it_says_so() -> None:
    made = Home(families={"open": capabilities(vendor_chooses=True, tells=("offered",))})
    assert of_kind(made.report(), QueryDevice) == [QueryDevice(PLUG)]
    made.now += MINUTE
    assert of_kind(made.report(), QueryDevice) == [QueryDevice(PLUG)]
    made.now += MINUTE
    assert of_kind(made.report(settings={"offered": ""}), QueryDevice) == []


def test_an_approval_is_not_given_for_what_the_device_is_not_offered() -> None:
    with pytest.raises(Refused) as refused:
        home(offered="1.3.0").approve()
    assert refused.value.reason is Reason.NO_OFFER


# --- the install -----------------------------------------------------------------------------------------------------


def test_nothing_is_fetched_and_the_device_is_asked_at_once() -> None:
    made = home()
    made.now += SECOND
    effects = made.approve()
    assert of_kind(effects, FetchArtifacts) == []
    assert of_kind(effects, QueryDevice) == [QueryDevice(PLUG)]
    assert made.install().state is S.DOWNLOADED


def test_the_command_follows_the_devices_own_word_on_its_offer() -> None:
    made = home()
    made.now += 2 * MINUTE
    made.approve()
    assert of_kind(made.effects, SendInstall) == []
    answer(made, "1.2.0")
    assert [order.device_id for order in of_kind(made.effects, SendInstall)] == [PLUG]
    made.now += MINUTE
    made.succeed()
    assert made.last().state is S.SUCCEEDED


def test_an_approval_lapses_when_the_device_is_offered_another_version() -> None:
    made = home()
    made.now += 2 * MINUTE
    made.approve()
    answer(made, "1.3.0")
    assert (made.last().state, made.last().reason) == (S.CANCELED, Reason.OFFER_MOVED)
    assert of_kind(made.effects, SendInstall) == []


def test_an_approval_waits_while_the_device_is_offered_nothing() -> None:
    made = home()
    made.now += 2 * MINUTE
    made.approve()
    answer(made, "")
    assert (made.install().state, made.install().reason) == (S.DEFERRED, Reason.OFFER_WITHDRAWN)
    made.wait(11 * MINUTE)
    answer(made, "1.2.0")
    assert made.install().state is S.INSTALLING


def test_an_approval_outlives_a_manifest_while_the_device_is_offered_nothing() -> None:
    made = home()
    made.now += 2 * MINUTE
    made.approve()
    answer(made, "")
    made.publish(release(artifacts=(artifact(sha256=""),)), trust=Trust.VENDOR)
    assert made.install().approval.at < made.now + DAY


def test_a_second_version_without_a_digest_is_not_taken_for_the_first() -> None:
    made = commanded()
    made.fail()
    made.publish(release(version="1.3.0", artifacts=(artifact(sha256=""),)), trust=Trust.VENDOR)
    answer(made, "1.3.0")
    made.tell(LinkChanged(connected=False))
    made.approve()
    assert made.install().attempt_id == ""


# --- restarts --------------------------------------------------------------------------------------------------------


def restarted(made: Home, install: Install) -> Home:
    snapshot = Snapshot(devices=(made.hub.fleet.devices[PLUG],), installs=(install,))
    again = Home(made.now, families={"open": OBEYS}, feeds=[feed(trust=Trust.VENDOR)], snapshot=snapshot)
    statement = manifest(release(artifacts=(artifact(sha256=""),)), trust=Trust.VENDOR)
    again.publish(*statement.releases, trust=Trust.VENDOR)
    return again


def test_nothing_is_served_again_after_a_restart() -> None:
    made = commanded()
    again = restarted(made, made.install())
    assert of_kind(again.effects, ServeAgain) == []
    assert QueryDevice(PLUG) in again.effects


def test_nothing_is_fetched_after_a_restart() -> None:
    made = home()
    made.now += 2 * MINUTE
    made.approve()
    again = restarted(made, made.install())
    assert of_kind(again.effects, FetchArtifacts) == []
    again.now += SECOND
    answer(again, "1.2.0")
    assert again.install().state is S.INSTALLING


def test_vendors_choice_waits_for_the_night_too() -> None:
    made = home(now=NIGHT - 2 * HOUR)
    made.approve()
    answer(made, "1.2.0")
    assert of_kind(made.effects, SendInstall) == []


TELLS = capabilities(chooses_artifact=False, vendor_chooses=True, tells=("offered",))


def test_a_version_alone_does_not_say_that_the_offer_still_stands() -> None:
    made = home(TELLS)
    made.wait(HOUR)
    made.approve()
    assert of_kind(made.report(), SendInstall) == []
    effects = made.report(PLUG, None, settings={"offered": "1.2.0"})
    assert len(of_kind(effects, SendInstall)) == 1


def test_an_offer_that_moved_is_found_out_although_the_version_came_first() -> None:
    made = home(TELLS)
    made.wait(HOUR)
    made.approve()
    made.report()
    assert not of_kind(made.report(PLUG, None, settings={"offered": "1.3.0"}), SendInstall)
    assert made.last().reason is Reason.OFFER_MOVED
