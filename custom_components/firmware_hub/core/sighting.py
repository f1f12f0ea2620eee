"""What a device's present word about itself means for an install (invariants 4 and 7)."""

from __future__ import annotations

from .install import Sighting
from .model import Device, Install, InstallState
from .version import Order, compare

_CHANGING = frozenset({InstallState.INSTALLING, InstallState.REBOOTING})


def sight(install: Install, device: Device, *, moved: bool = False) -> Sighting:
    """Say what a device's present version means for an install. Never raises.

    ``moved``: it speaks elsewhere than before. That is a reset of its settings only if it restarted in between; a
    device that is renamed is the same device.
    """
    if device.helper:
        return Sighting.HELPER
    if device.identity != install.identity:
        return Sighting.WRONG_IDENTITY
    restarted = install.went_away or install.restarted or install.says_restart or install.helper_seen
    if moved and restarted and install.state in _CHANGING:
        return Sighting.MOVED
    release = install.offer.release
    if compare(device.version, release.version, release.version_scheme) is Order.SAME:
        return Sighting.NEW
    return Sighting.OLD if device.version == install.from_version else Sighting.OTHER
