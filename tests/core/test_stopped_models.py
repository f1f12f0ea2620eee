"""What others of its model meet counts for an install until the moment of its command (invariant 8)."""

from __future__ import annotations

import pytest

from custom_components.firmware_hub.core.effects import SendInstall
from custom_components.firmware_hub.core.errors import Reason
from custom_components.firmware_hub.core.inputs import ModelReleased
from custom_components.firmware_hub.core.model import InstallState

from .builders import FAN, LAMP, MINUTE, PLUG, Home, of_kind


@pytest.fixture
def home() -> Home:
    """A home whose lamp and fan are fetched for at the same time, after the plug has proved their release."""
    home = Home()
    for device_id in (PLUG, LAMP, FAN):
        home.report(device_id)
    home.publish()
    home.approve(PLUG)
    home.commanded(PLUG)
    home.succeed(PLUG)
    home.wait(11 * MINUTE)
    home.approve(LAMP, FAN)
    assert home.install(FAN).state is InstallState.DOWNLOADING
    return home


def test_a_model_that_is_stopped_while_a_file_is_fetched_gets_no_command(home: Home) -> None:
    home.commanded(LAMP)
    home.report(LAMP, hardware="other")
    effects = home.fetched(FAN) + home.report(FAN)
    assert not of_kind(effects, SendInstall)
    assert (home.view(FAN).state, home.view(FAN).reason) == (InstallState.DEFERRED, Reason.MODEL_STOPPED)


def test_it_goes_on_as_soon_as_somebody_lets_its_model_go_on(home: Home) -> None:
    home.commanded(LAMP)
    home.report(LAMP, hardware="other")
    home.fetched(FAN)
    home.report(FAN)
    home.tell(ModelReleased(LAMP, "anna"))
    assert home.install(FAN).state is InstallState.DOWNLOADING
    effects = home.fetched(FAN) + home.report(FAN)
    assert [sent.device_id for sent in of_kind(effects, SendInstall)] == [FAN]
