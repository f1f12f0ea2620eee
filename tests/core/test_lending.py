"""What an install changes on a device is put back, over failures, restarts and lost messages."""

from __future__ import annotations

from custom_components.firmware_hub.core import limits
from custom_components.firmware_hub.core.effects import RestoreSettings
from custom_components.firmware_hub.core.inputs import ForgetRequested, Stage
from custom_components.firmware_hub.core.model import Device, InstallState as S
from custom_components.firmware_hub.core.records import from_json

from .builders import HOUR, MINUTE, PLUG, SECOND, of_kind
from .script import Script

OWN = {"OtaUrl": "http://vendor/", "Option78": "0"}
OURS = {"OtaUrl": "http://hub/", "Option78": "1"}


def borrowed(script: Script) -> dict[str, str]:
    """What the disk says that the plug is owed."""
    return dict(from_json(Device, script.disk.devices[PLUG]).borrowed)


def ended() -> Script:
    """The install was refused, and the device still has our settings."""
    script = Script(dialect="borrower").commanded(settings=OWN)
    script.stage(Stage.REJECTED)
    script.report(settings=OURS)
    assert script.state() is S.REJECTED
    return script


def test_settings_are_noted_before_the_command() -> None:
    script = Script(dialect="borrower").commanded(settings=OWN)
    assert borrowed(script) == OWN


def test_settings_are_put_back_when_the_install_ended() -> None:
    script = ended()
    assert of_kind(script.effects, RestoreSettings) == [RestoreSettings(PLUG, OWN)]


def test_settings_are_put_back_when_an_install_waits_again() -> None:
    script = Script(dialect="borrower").commanded(settings=OWN)
    script.wait(10 * MINUTE)
    script.report(settings=OWN)
    script.wait(limits.PREFLIGHT_TIMEOUT)
    assert script.state() is S.DEFERRED
    assert of_kind(script.effects, RestoreSettings)


def test_settings_are_owed_until_the_device_was_seen_to_have_them() -> None:
    script = ended()
    script.wait(limits.RESTORE_RETRY)
    assert len(of_kind(script.effects, RestoreSettings)) == 2
    script.report(settings={"Option78": "0"})
    assert borrowed(script) == {"OtaUrl": "http://vendor/"}
    script.report(settings=OWN)
    assert borrowed(script) == {}
    script.wait(2 * limits.RESTORE_RETRY)
    assert len(of_kind(script.effects, RestoreSettings)) == 2


def test_what_the_broker_kept_is_no_sign_that_settings_are_back() -> None:
    script = ended()
    script.report(settings=OWN, retained=True)
    assert borrowed(script) == OWN


def test_while_an_install_runs_settings_only_look_untouched() -> None:
    script = Script(dialect="borrower").commanded(settings=OWN)
    script.report(settings=OWN)
    assert borrowed(script) == OWN


def test_nothing_is_put_back_while_an_install_runs() -> None:
    script = Script(dialect="borrower").commanded(settings=OWN)
    script.online(online=False)
    script.online()
    assert not of_kind(script.effects, RestoreSettings)


def test_a_device_that_is_away_gets_its_settings_when_it_is_back() -> None:
    script = Script(dialect="borrower").commanded(settings=OWN)
    script.online(online=False)
    script.wait(11 * MINUTE)
    assert script.state() is S.TIMED_OUT
    assert not of_kind(script.effects, RestoreSettings)
    script.online()
    assert of_kind(script.effects, RestoreSettings) == [RestoreSettings(PLUG, OWN)]


def test_settings_are_owed_over_a_restart() -> None:
    script = ended()
    script.effects.clear()
    script.restart(SECOND)
    script.online()
    assert of_kind(script.effects, RestoreSettings) == [RestoreSettings(PLUG, OWN)]


def test_after_a_restart_settings_are_put_back_without_waiting_for_a_word() -> None:
    script = ended()
    script.effects.clear()
    script.restart(SECOND)
    script.report(settings=OURS)
    script.wait(limits.RESTART_GRACE)
    assert of_kind(script.effects, RestoreSettings) == [RestoreSettings(PLUG, OWN)]


def test_a_second_attempt_does_not_take_our_settings_for_the_devices_own() -> None:
    script = Script(dialect="borrower").commanded(settings=OWN)
    script.wait(10 * MINUTE)
    script.report(settings=OURS)
    script.answers[PLUG] = {"version": "1.0.0", "settings": OURS}
    script.wait(limits.PREFLIGHT_TIMEOUT + limits.RETRY_DELAY)
    assert len(script.commands) == 2
    assert borrowed(script) == OWN


def test_nothing_is_owed_to_a_removed_device() -> None:
    script = ended()
    script.effects.clear()
    script.tell(ForgetRequested(PLUG, "anna"))
    script.wait(2 * HOUR)
    assert not of_kind(script.effects, RestoreSettings)


def test_a_family_without_such_settings_is_owed_nothing() -> None:
    script = Script().commanded()
    assert borrowed(script) == {}
