"""Repairs about installs that wait for ever: the owner can lengthen the window, wake the device or skip."""

from __future__ import annotations

from .effects import IssueKind, RaiseIssue, Severity
from .model import Device, Install


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


def windows_missed(install: Install, device: Device, missed: int) -> RaiseIssue:
    """Say that a device kept its own install from starting for several windows (invariant 2)."""
    values = {"device": device.name or device.id, "version": install.offer.version, "windows": str(missed)}
    return RaiseIssue(IssueKind.WINDOWS_MISSED, device.id, Severity.WARNING, True, install.reason, values)
