"""One thing is one device, whatever becomes of its name, its topic and its insides; with a yes waiting for it."""

from __future__ import annotations

import pytest

from custom_components.firmware_hub.core.effects import Effect, IssueKind
from custom_components.firmware_hub.core.errors import Reason
from custom_components.firmware_hub.core.inputs import DeviceWithdrawn
from custom_components.firmware_hub.core.model import InstallState

from .builders import HOUR, LAMP, NOON, PLUG, cleared, raised
from .script import Script

S = InstallState


def approved() -> Script:
    """A plug that is approved at noon and waits for the night."""
    script = Script(NOON).ready()
    script.approve()
    assert script.state() is S.APPROVED
    return script


def at_night(script: Script) -> Script:
    script.wait(13 * HOUR)
    return script


def moved(script: Script, device_id: str, address: str) -> list[Effect]:
    """Let a device go, and come back on another topic."""
    script.online(online=False, device_id=device_id)
    return script.report(device_id=device_id, addresses=(address,))


def test_a_renamed_device_keeps_its_approval_and_is_installed() -> None:
    script = approved()
    script.answers[PLUG] |= {"name": "Kitchen"}
    script.report(name="Kitchen")
    assert [sent.device_id for sent in at_night(script).commands] == [PLUG]
    assert list(script.hub.device_ids()) == [PLUG]


def test_a_device_on_another_topic_keeps_its_approval_and_is_installed() -> None:
    script = approved()
    script.answers[PLUG] |= {"addresses": ("kitchen/",)}
    moved(script, PLUG, "kitchen/")
    assert [sent.device_id for sent in at_night(script).commands] == [PLUG]


def test_a_new_device_under_the_old_ones_name_inherits_no_approval() -> None:
    script = approved()
    moved(script, PLUG, "shelf/")
    script.report(device_id=LAMP, name="plug", addresses=(f"{PLUG}/",))
    assert (script.view(LAMP).install, script.view(PLUG).state) == (None, S.APPROVED)


def test_a_new_device_on_the_old_ones_topic_stops_everything_until_it_is_clear_who_speaks() -> None:
    script = approved()
    effects = script.report(device_id=LAMP, name="plug", addresses=(f"{PLUG}/",))
    assert raised(effects) == [IssueKind.TOPIC_CONFLICT] * 2
    script.answers[PLUG] |= {"addresses": (f"{PLUG}/",)}
    at_night(script)
    assert script.hold == (S.DEFERRED, Reason.TOPIC_CONFLICT)
    assert script.commands == []
    assert script.hub.at("open", f"{PLUG}/") is None
    assert cleared(moved(script, LAMP, "shelf/")) == [IssueKind.TOPIC_CONFLICT] * 2
    script.report()
    assert [sent.device_id for sent in script.commands] == [PLUG]


@pytest.mark.parametrize(
    "change",
    [{"manufacturer": "Other"}, {"model": "PLUG-S2"}, {"hardware": "rev9"}, {"variant": "us"}],
    ids=lambda change: next(iter(change)),
)
def test_other_insides_under_an_approval_void_it(change: dict[str, str]) -> None:
    script = approved()
    script.answers[PLUG] |= change
    script.report(**change)
    assert script.verdict == (S.CANCELED, Reason.IDENTITY_CHANGED)
    assert at_night(script).commands == []


@pytest.mark.parametrize("change", [{"hardware": "rev9"}, {"variant": "us"}], ids=lambda change: next(iter(change)))
def test_what_the_broker_kept_of_other_insides_is_asked_about_first(change: dict[str, str]) -> None:
    script = Script(NOON)
    script.report(retained=True)
    script.publish()
    script.approve()
    script.answers[PLUG] = {"version": "1.0.0"} | change
    script.report(retained=True, **change)
    assert script.verdict == (S.CANCELED, Reason.IDENTITY_CHANGED)


def test_a_device_that_fell_back_to_its_access_point_is_waited_for() -> None:
    script = approved()
    script.answers.clear()
    script.tell(DeviceWithdrawn(PLUG))
    script.online(online=False)
    at_night(script)
    assert script.hold == (S.DEFERRED, Reason.DEVICE_OFFLINE)
    assert script.commands == []
    script.answers[PLUG] = {"version": "1.0.0"}
    script.report()
    assert [sent.device_id for sent in script.commands] == [PLUG]
