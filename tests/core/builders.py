"""Small, valid values of the core's nouns, changed by keyword. Releases and manifests are made in ``statements``."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from custom_components.firmware_hub.core.inputs import DeviceReported
from custom_components.firmware_hub.core.model import (
    Approval,
    Device,
    DeviceFacts,
    Feed,
    Identity,
    Install,
    Manifest,
    Offer,
    Release,
    Trust,
)
from custom_components.firmware_hub.core.ports import Capabilities
from custom_components.firmware_hub.core.settings import Settings

from .statements import artifact, manifest, release

__all__ = [
    "DAY",
    "FAMILIES",
    "HOUR",
    "MINUTE",
    "NIGHT",
    "NOON",
    "PLUG",
    "SECOND",
    "approval",
    "artifact",
    "capabilities",
    "device",
    "facts",
    "feed",
    "install",
    "manifest",
    "offer",
    "publication",
    "release",
    "report",
    "settings",
]

SECOND, MINUTE, HOUR, DAY = timedelta(seconds=1), timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)
NOON = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)
"""The window is shut, and opens twelve hours later."""
NIGHT = datetime(2026, 11, 24, 0, 30, tzinfo=UTC)
"""The window opened half an hour ago and shuts in four and a half hours."""
PLUG = "mac:A00000000001"


def capabilities(**changes: Any) -> Capabilities:
    """A family that is told which image to fetch, says that it restarted, and can do nothing else."""
    values: dict[str, Any] = {
        "chooses_artifact": True,
        "reports_progress": True,
        "reports_failure": True,
        "echoes_attempt": False,
        "rolls_back": False,
        "wakes_by_itself": False,
        "needs_plain_http": False,
        "commits": False,
        "announces_boot": True,
        "default_minutes": 5,
        "max_deadline": timedelta(minutes=30),
    }
    return Capabilities(**values | changes)


FAMILIES = {
    "plain": capabilities(),
    "mute": capabilities(announces_boot=False, reports_progress=False, reports_failure=False),
    "trial": capabilities(announces_boot=False, echoes_attempt=True, rolls_back=True, commits=True),
    "borrower": capabilities(borrows=("OtaUrl", "SetOption78")),
    "mesh": capabilities(announces_boot=False, parallel=1, wakes_by_itself=True, max_deadline=timedelta(hours=1)),
    "generic": capabilities(generic=True),
}
"""One family for each way of behaving that the core knows."""


def device(device_id: str = PLUG, dialect: str = "plain", **changes: Any) -> Device:
    """A plug that runs 1.0.0 and speaks on a topic of its own."""
    values: dict[str, Any] = {
        "id": device_id,
        "dialect": dialect,
        "name": "plug",
        "manufacturer": "Acme",
        "model": "PLUG-S1",
        "version": "1.0.0",
        "addresses": (f"{device_id}/",),
    }
    return Device(**values | changes)


def facts(device_id: str = PLUG, **changes: Any) -> DeviceFacts:
    """All that a plug says of itself at once."""
    values: dict[str, Any] = {
        "name": "plug",
        "manufacturer": "Acme",
        "model": "PLUG-S1",
        "version": "1.0.0",
        "addresses": (f"{device_id}/",),
    }
    return DeviceFacts(**values | changes)


def report(
    device_id: str = PLUG, dialect: str = "plain", *, retained: bool = False, rebooted: bool = False, **changes: Any
) -> DeviceReported:
    """A plug says all of itself."""
    return DeviceReported(device_id, dialect, facts(device_id, **changes), retained, rebooted)


def feed(feed_id: str = "acme", **changes: Any) -> Feed:
    """The maker's own feed."""
    values: dict[str, Any] = {
        "id": feed_id,
        "source": "signed_manifest",
        "title": "Acme",
        "url": f"https://{feed_id}.example/manifest.jws",
        "trust": Trust.SIGNED,
        "vendor": "Acme",
        "keys": ("{}",),
    }
    return Feed(**values | changes)


def publication(*releases: Release, **changes: Any) -> Manifest:
    """A manifest that is valid around ``NOON`` and ``NIGHT``; it offers 1.2.0 unless told otherwise."""
    return manifest(*(releases or (release(),)), **{"issued": NOON - DAY, "expires": NOON + 365 * DAY} | changes)


def offer(version: str = "1.2.0", **changes: Any) -> Offer:
    """A release of the maker, offered to a plug; keywords change the release."""
    return Offer(release(version, **changes), "acme", Trust.SIGNED, "Acme", "key")


def approval(at: datetime = NOON, **changes: Any) -> Approval:
    """The owner's yes."""
    values: dict[str, Any] = {"by": "owner", "at": at, "expires": at + 30 * DAY}
    return Approval(**values | changes)


def install(device_id: str = PLUG, **changes: Any) -> Install:
    """An install from 1.0.0 to 1.2.0."""
    values: dict[str, Any] = {
        "id": f"i-{device_id}",
        "device_id": device_id,
        "offer": offer(),
        "approval": approval(),
        "identity": Identity("Acme", "PLUG-S1", "", ""),
        "from_version": "1.0.0",
    }
    return Install(**values | changes)


def settings(**changes: Any) -> Settings:
    """The owner's settings: the quiet hours are 00:00 to 05:00 UTC."""
    return Settings(**changes)
