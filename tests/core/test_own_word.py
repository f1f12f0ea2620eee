"""Families whose devices are the only ones who say what their vendor offers, and those that cannot be asked."""

from __future__ import annotations

from typing import Any

from custom_components.firmware_hub.core.effects import SendInstall
from custom_components.firmware_hub.core.errors import Reason
from custom_components.firmware_hub.core.inputs import FeedsChanged, LinkChanged, RetryRequested
from custom_components.firmware_hub.core.model import DEVICE_ITSELF, Install, InstallState, OfferedNotes, Trust
from custom_components.firmware_hub.core.ports import Capabilities
from custom_components.firmware_hub.core.records import Snapshot

from .builders import MINUTE, NIGHT, PLUG, Home, capabilities, device, feed, of_kind
from .statements import artifact, release

S = InstallState
ASKED = capabilities(chooses_artifact=False, vendor_chooses=True, offers_itself=True, tells=("offered",))
MUTE = capabilities(chooses_artifact=False, vendor_chooses=True, offers_itself=True, answers=False)


def home(family: Capabilities = MUTE, offered: str = "1.2.0", **changes: Any) -> Home:
    """Have a plug that says itself what its vendor offers it; there is no feed."""
    made = Home(families={"open": family}, feeds=())
    made.report(settings={"offered": offered}, **changes)
    return made


def commanded(**changes: Any) -> Home:
    made = home(**changes)
    made.now += MINUTE
    made.approve()
    assert made.install().state is S.INSTALLING
    return made


# --- what there is to read about it -----------------------------------------------------------------------------------


def noted(version: str) -> dict[str, str]:
    notes = OfferedNotes(version, "https://acme.example/notes", "Fewer restarts")
    return {"offered": "1.2.0", **notes.to_settings()}


def test_what_a_device_says_of_its_offer_is_shown_with_it() -> None:
    made = home()
    made.report(settings=noted("1.2.0"))
    offer = made.view().offer
    assert offer is not None
    assert (offer.release.summary, offer.release.notes_url) == ("Fewer restarts", "https://acme.example/notes")
    assert offer.notes == (("1.2.0", "Fewer restarts"),)


def test_what_it_said_of_an_earlier_offer_is_not_shown_with_this_one() -> None:
    made = home()
    made.report(settings=noted("1.1.0"))
    offer = made.view().offer
    assert offer is not None
    assert (offer.release.summary, offer.release.notes_url, offer.notes) == ("", "", ())


def test_other_words_about_the_same_version_do_not_void_its_approval() -> None:
    made = home()
    made.approve()
    made.report(settings=noted("1.2.0"))
    assert made.install().state in {S.APPROVED, S.DEFERRED, S.INSTALLING, S.DOWNLOADED}
    assert made.install().reason is not Reason.OFFER_MOVED


# --- offers ----------------------------------------------------------------------------------------------------------


def test_a_devices_own_word_is_an_offer_of_trust_level_vendor() -> None:
    offer = home(hardware="rev2", variant="eu").view().offer
    assert offer is not None
    assert (offer.version, offer.trust, offer.feed_id, offer.digest) == ("1.2.0", Trust.VENDOR, DEVICE_ITSELF, "")


def test_an_older_version_or_one_that_cannot_be_compared_is_none() -> None:
    assert [home(offered=word).view().offer for word in ("0.9.0", "1.0.0", "latest", "")] == [None] * 4


def test_of_other_families_it_is_none() -> None:
    assert home(capabilities(vendor_chooses=True)).view().offer is None


def test_what_a_feed_says_of_the_same_version_is_preferred() -> None:
    made = Home(families={"open": MUTE}, feeds=[feed(trust=Trust.VENDOR)])
    made.report(settings={"offered": "1.2.0"})
    made.publish(release(artifacts=(artifact(sha256=""),)), trust=Trust.VENDOR)
    offer = made.view().offer
    assert offer is not None
    assert offer.feed_id == "acme"


def test_it_outlives_a_change_of_the_feeds() -> None:
    made = home(ASKED)
    made.now += 2 * MINUTE
    made.approve()
    made.tell(FeedsChanged((feed(),)))
    assert made.install().offer.feed_id == DEVICE_ITSELF


def test_who_can_be_asked_is_asked_before_the_command() -> None:
    made = home(ASKED)
    made.now += 2 * MINUTE
    made.approve()
    assert of_kind(made.effects, SendInstall) == []
    made.report(settings={"offered": "1.2.0"})
    assert len(of_kind(made.effects, SendInstall)) == 1


# --- who cannot be asked ---------------------------------------------------------------------------------------------


def test_who_cannot_be_asked_is_taken_at_its_last_word() -> None:
    made = home()
    made.now += 60 * MINUTE
    made.approve()
    assert len(of_kind(made.effects, SendInstall)) == 1


def test_what_the_broker_keeps_is_its_last_word() -> None:
    made = home(retained=True)
    made.approve()
    assert len(of_kind(made.effects, SendInstall)) == 1


def test_what_was_said_before_the_connection_is_not() -> None:
    made = home()
    made.tell(LinkChanged(connected=False), LinkChanged(connected=True))
    made.approve()
    assert of_kind(made.effects, SendInstall) == []
    made.report(settings={"offered": "1.2.0"}, retained=True)
    made.wait(15 * MINUTE)
    assert len(of_kind(made.effects, SendInstall)) == 1


def test_a_command_before_a_restart_is_not_sent_again_on_its_last_word() -> None:
    made = commanded()
    last: Install = made.install()
    again = Home(
        NIGHT + 2 * MINUTE,
        families={"open": MUTE},
        feeds=(),
        snapshot=Snapshot(devices=(device(settings={"offered": "1.2.0"}),), installs=(last,)),
    )
    again.report(settings={"offered": "1.2.0"}, retained=True)
    again.wait(60 * MINUTE)
    assert of_kind(again.effects, SendInstall) == []


def test_it_succeeds_by_its_own_live_word() -> None:
    made = commanded()
    made.link(online=False)
    made.link(online=True)
    made.succeed()
    assert made.last().state is S.SUCCEEDED


def test_one_word_is_enough_when_it_stays() -> None:
    made = commanded()
    made.report(version="1.2.0", settings={"offered": "1.2.0"})
    made.wait(MINUTE)
    assert made.last().state is S.SUCCEEDED


def test_one_that_goes_again_before_it_has_proved_itself_has_not_returned() -> None:
    made = commanded()
    made.report(version="1.2.0", settings={"offered": "1.2.0"})
    made.link(online=False)
    made.wait(20 * MINUTE)
    assert (made.last().state, made.last().reason) == (S.TIMED_OUT, Reason.NO_RETURN)


def test_one_that_does_nothing_is_not_waited_for_in_vain() -> None:
    made = commanded()
    made.wait(20 * MINUTE)
    assert (made.last().state, made.last().reason) == (S.FAILED, Reason.NO_REACTION)


def test_it_is_tried_again_only_after_it_said_that_it_is_old() -> None:
    made = commanded()
    made.wait(20 * MINUTE)
    made.tell(RetryRequested(PLUG, "anna"))
    made.wait(20 * MINUTE)
    assert len(of_kind(made.effects, SendInstall)) == 1
    made.report(settings={"offered": "1.2.0"})
    made.wait(15 * MINUTE)
    assert len(of_kind(made.effects, SendInstall)) == 2


def test_one_that_goes_and_says_nothing_more_did_not_return() -> None:
    made = commanded()
    made.link(online=False)
    made.wait(20 * MINUTE)
    assert (made.last().state, made.last().reason) == (S.TIMED_OUT, Reason.NO_RETURN)


def test_what_it_said_before_it_went_is_not_its_return() -> None:
    made = commanded()
    made.report(settings={"offered": "1.2.0"})
    made.link(online=False)
    made.wait(20 * MINUTE)
    assert (made.last().state, made.last().reason) == (S.TIMED_OUT, Reason.NO_RETURN)


def test_one_that_comes_back_on_the_old_version_has_failed() -> None:
    made = commanded()
    made.link(online=False)
    made.link(online=True)
    made.report(settings={"offered": "1.2.0"})
    made.wait(20 * MINUTE)
    assert (made.last().state, made.last().reason) == (S.FAILED, Reason.NO_REACTION)
