"""Repairs about installs that wait for ever: the owner can lengthen the window, wake the device or skip."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from . import limits
from .effects import IssueKind, RaiseIssue, Severity
from .model import Device, DeviceId, Install


def window_too_short(install: Install, device: Device) -> RaiseIssue:
    """Say that no window of the coming week is long enough; one repair for a whole model (invariant 2)."""
    values = {
        "model": f"{device.manufacturer} {device.model}",
        "device": device.name or device.id,
        "device_id": device.id,
        "minutes": install.reason_values.get("minutes", ""),
    }
    subject = f"{device.manufacturer}/{device.model}"
    return RaiseIssue(IssueKind.WINDOW_TOO_SHORT, subject, Severity.WARNING, True, install.reason, values)


def windows_missed(
    parked: Iterable[Install], devices: Mapping[DeviceId, Device], windows_closed: int
) -> Iterator[RaiseIssue]:
    """Say of each of these that its device kept it from starting for several windows (invariant 2)."""
    for install in parked:
        missed = windows_closed - install.windows_closed
        if missed >= limits.MISSED_WINDOWS_BEFORE_ISSUE:
            device = devices[install.device_id]
            values = {"device": device.name or device.id, "version": install.offer.version, "windows": str(missed)}
            yield RaiseIssue(IssueKind.WINDOWS_MISSED, device.id, Severity.WARNING, True, install.reason, values)
