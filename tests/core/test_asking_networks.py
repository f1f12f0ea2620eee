"""Questions to the devices of one network, each of which goes out by a radio that all of them share."""

from __future__ import annotations

from datetime import timedelta

from custom_components.firmware_hub.core.effects import QueryDevice
from custom_components.firmware_hub.core.inputs import ForgetRequested

from .builders import FAN, LAMP, MINUTE, PLUG, SECOND, Home, capabilities, of_kind

APART = 10 * SECOND
FAMILIES = {"mesh": capabilities(asks_apart=APART), "open": capabilities()}


def home(*device_ids: str, network: str = "a") -> Home:
    """Have devices of a mesh that do not say what they run, so that each is worth a question."""
    made = Home(families=FAMILIES)
    for device_id in device_ids:
        made.report(device_id, None, dialect="mesh", network=network)
    return made


def asked(made: Home) -> list[str]:
    return [effect.device_id for effect in of_kind(made.effects, QueryDevice)]


def test_devices_of_one_network_are_asked_one_after_the_other() -> None:
    made = home(PLUG, LAMP, FAN)
    assert asked(made) == [PLUG]
    made.wait(APART - SECOND)
    assert asked(made) == [PLUG]
    made.wait(SECOND)
    assert asked(made) == [PLUG, LAMP]
    made.wait(APART)
    assert asked(made) == [PLUG, LAMP, FAN]


def test_networks_do_not_wait_for_each_other() -> None:
    made = home(PLUG)
    made.report(LAMP, None, dialect="mesh", network="b")
    assert asked(made) == [PLUG, LAMP]


def test_families_without_a_radio_of_their_own_do_not_wait() -> None:
    made = home(PLUG, LAMP)
    made.report(FAN, None, network="a")
    assert asked(made) == [PLUG, FAN]


def test_a_device_that_was_removed_meanwhile_is_not_asked() -> None:
    made = home(PLUG, LAMP, FAN)
    made.tell(ForgetRequested(LAMP, "anna"))
    made.wait(APART)
    assert asked(made) == [PLUG, FAN]


def test_a_clock_that_was_set_back_silences_no_network() -> None:
    made = home(PLUG)
    made.now -= timedelta(days=1)
    made.report(LAMP, None, dialect="mesh", network="a")
    assert asked(made) == [PLUG, LAMP]


def test_nobody_is_waited_for_when_all_were_asked() -> None:
    made = home(PLUG, LAMP)
    made.wait(MINUTE)
    assert asked(made) == [PLUG, LAMP]
