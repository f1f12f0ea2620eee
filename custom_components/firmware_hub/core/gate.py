"""The gate: may this install start, and may its command be sent, at this moment?

Asked at each turn and again right before the command is ordered (design section 4, "Time"). Every no carries a reason
that a person can read, and when it is worth asking again. Nothing here changes anything, and nothing raises.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from . import limits
from .errors import Reason
from .model import OFFERED, SUPPLIED, ArtifactRole, Device, Install, Presence
from .ports import Capabilities
from .window import Outlook

OF_THE_HUB = frozenset(
    {
        Reason.DISK_FAILED,
        Reason.PAUSED,
        Reason.CLOCK_UNTRUSTED,
        Reason.BROKER_DISCONNECTED,
        Reason.ADDRESS_UNREACHABLE,
    }
)
"""Reasons that hold for every install alike: whoever waits for one of them is ready as soon as it is gone."""


@dataclass(frozen=True, slots=True)
class No:
    """Why not now. ``ask_again`` is ``None`` where the reason ends by something that the hub will be told."""

    reason: Reason
    values: Mapping[str, str] = field(default_factory=dict)
    ask_again: datetime | None = None


@dataclass(frozen=True, slots=True)
class HubState:
    """What holds for every install alike."""

    connected: bool
    clock_trusted: bool
    store_ok: bool
    paused: bool
    address_ok: bool


@dataclass(frozen=True, slots=True)
class Asked:
    """All that is known about one install when it asks.

    Attributes:
        feed_fault: why its feed does not vouch for the release just now.
        lasting: a topic on which the broker keeps an order that the device obeys.
        waited_for: it may sleep, because its bridge is there and can wait for it to wake.
    """

    install: Install
    device: Device
    presence: Presence
    capabilities: Capabilities
    conflict: bool
    feed_fault: Reason | None = None
    lasting: str = ""
    waited_for: bool = False


def hub_says(state: HubState) -> Reason | None:
    """Say what keeps everything from starting; ``None`` if nothing does."""
    if not state.store_ok:
        return Reason.DISK_FAILED
    if state.paused:
        return Reason.PAUSED
    if not state.clock_trusted:
        return Reason.CLOCK_UNTRUSTED
    if not state.connected:
        return Reason.BROKER_DISCONNECTED
    if not state.address_ok:
        return Reason.ADDRESS_UNREACHABLE
    return None


def window_says(outlook: Outlook, expected: timedelta, *, window_free: bool) -> No | None:
    """Judge the window (invariant 2): open, and long enough for this install to end inside it.

    ``expected``: how long it will take, from command to verdict. ``window_free``: its owner said "now", or said "any
    time" for this device.
    """
    if window_free or outlook.fits(expected):
        return None
    if outlook.closes is None:
        return No(Reason.WAITS_FOR_WINDOW, {}, outlook.opens)
    minutes = str(-(-expected // timedelta(minutes=1)))
    return No(Reason.DOES_NOT_FIT_WINDOW, {"minutes": minutes}, outlook.opens)


def device_says(asked: Asked, now: datetime) -> No | None:
    """Judge the approval, the device, and what must be known to undo the traces."""
    device = asked.device
    if asked.conflict:
        return No(Reason.TOPIC_CONFLICT)
    if asked.lasting:
        return No(Reason.LASTING_COMMAND, {"detail": asked.lasting})
    if (answer := _approval_says(asked, now)) is not None:
        return answer
    away = asked.presence.online is False and not asked.waited_for
    if away and (asked.install.fetched or not device.sleeps):
        return No(Reason.DEVICE_ASLEEP if device.sleeps else Reason.DEVICE_OFFLINE)
    if any(name not in device.settings for name in asked.capabilities.borrows):
        return No(Reason.NO_SETTINGS_KNOWN, {}, now + limits.SILENT_RETRY)
    if away:
        return _space_says(asked)  # how full its battery is it says when it wakes; until then its image is fetched
    return _battery_says(asked, now) or _space_says(asked)


def vendor_says(asked: Asked, now: datetime) -> No | None:
    """Judge what the device said just now of its vendor's offer, where that is what it would load.

    None at all may mean that it has not asked its vendor since it restarted. What looks at an address of the hub has to
    repeat what only the particulars of this very install name: that somebody read them there proves nothing.
    """
    if asked.capabilities.looks_up and not asked.install.offer.vendor_chooses:
        settings = asked.device.settings
        has_looked = settings.get(SUPPLIED) == asked.install.id
        if not has_looked or settings.get(OFFERED) != asked.install.offer.version:
            return No(Reason.WAITS_FOR_LOOK, {"version": asked.install.offer.version}, now + limits.SILENT_RETRY)
        return None
    if asked.install.offer.vendor_chooses and asked.device.settings.get(OFFERED) != asked.install.offer.version:
        return No(Reason.OFFER_WITHDRAWN, {"version": asked.install.offer.version}, now + limits.SILENT_RETRY)
    return None


def _approval_says(asked: Asked, now: datetime) -> No | None:
    """Judge the yes itself: still valid, its release still vouched for, and no earlier attempt at work."""
    install = asked.install
    if now >= install.approval.expires:
        return No(Reason.APPROVAL_EXPIRED)
    if install.command_deadline is not None and now < install.command_deadline:
        return No(Reason.WAITS_FOR_RETRY, {"attempt": str(install.attempt + 1)}, install.command_deadline)
    if asked.feed_fault is not None:
        return No(asked.feed_fault, {"version": install.offer.version})
    if install.offer.expires is not None and now >= install.offer.expires:
        return No(Reason.EXPIRED, {"version": install.offer.version})
    return None


def _battery_says(asked: Asked, now: datetime) -> No | None:
    if not asked.device.battery_powered:
        return None
    release = asked.install.offer.release
    needed = limits.MIN_BATTERY_PERCENT if release.min_battery_percent is None else release.min_battery_percent
    presence = asked.presence
    fresh = presence.health_at is not None and now - presence.health_at <= limits.BATTERY_MAX_AGE
    if needed == 0:
        return None
    if presence.battery_percent is None or not fresh:
        if asked.install.approval.at_once:
            # Many battery devices never say how full they are: their owner's "now" is the way out.
            return None
        return No(Reason.BATTERY_UNKNOWN, {"needed": str(needed)})
    if presence.battery_percent < needed:
        return No(Reason.LOW_BATTERY, {"percent": str(presence.battery_percent), "needed": str(needed)})
    return None


def _space_says(asked: Asked) -> No | None:
    artifacts = asked.install.offer.release.artifacts
    if any(artifact.role is ArtifactRole.HELPER for artifact in artifacts):
        # A helper image exists for the very device that has no room for the main one.
        return None
    free, size = asked.device.free_bytes, asked.install.offer.release.main.size
    if free is not None and free < size:
        return No(Reason.NOT_ENOUGH_SPACE, {"free": str(free), "needed": str(size)})
    return None
