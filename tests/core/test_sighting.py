"""What a device's word about itself means for its install."""

from __future__ import annotations

from typing import Any

import pytest

from custom_components.firmware_hub.core.install import Sighting
from custom_components.firmware_hub.core.model import InstallState as S
from custom_components.firmware_hub.core.sighting import sight

from .builders import commanded, device, install


@pytest.mark.parametrize(
    ("is_now", "sighting"),
    [
        ({}, Sighting.OLD),
        ({"version": "1.2.0"}, Sighting.NEW),
        ({"version": "1.1.0"}, Sighting.OTHER),
        ({"version": "2.0.0"}, Sighting.OTHER),
        ({"version": ""}, Sighting.OTHER),
        ({"version": "no version"}, Sighting.OTHER),
        ({"version": "1.2.0", "model": "LAMP-1"}, Sighting.WRONG_IDENTITY),
        ({"version": "1.2.0", "manufacturer": "Other"}, Sighting.WRONG_IDENTITY),
        ({"version": "1.2.0", "hardware": "rev2"}, Sighting.WRONG_IDENTITY),
        ({"version": "1.2.0", "variant": "us"}, Sighting.WRONG_IDENTITY),
        ({"version": "1.2.0", "helper": True}, Sighting.HELPER),
        ({"version": "1.2.0", "helper": True, "model": "LAMP-1"}, Sighting.HELPER),
    ],
)
def test_a_device_is_old_new_or_something_else(is_now: dict[str, Any], sighting: Sighting) -> None:
    assert sight(install(), device(**is_now)) is sighting


@pytest.mark.parametrize("sign", ["went_away", "restarted", "says_restart", "helper_seen"])
@pytest.mark.parametrize("state", [S.INSTALLING, S.REBOOTING])
def test_a_device_that_restarted_and_speaks_elsewhere_lost_its_settings(state: S, sign: str) -> None:
    signs: dict[str, Any] = {sign: True}
    changing = commanded(state=state, **signs)
    assert sight(changing, device(version="1.2.0"), moved=True) is Sighting.MOVED
    assert sight(changing, device(version="1.2.0")) is Sighting.NEW


def test_a_device_that_did_not_restart_was_renamed() -> None:
    assert sight(commanded(), device(version="1.2.0"), moved=True) is Sighting.NEW


@pytest.mark.parametrize("state", [S.APPROVED, S.VERIFYING, S.TIMED_OUT])
def test_a_device_that_is_not_being_changed_was_renamed(state: S) -> None:
    assert sight(commanded(state=state, went_away=True), device(version="1.2.0"), moved=True) is Sighting.NEW
