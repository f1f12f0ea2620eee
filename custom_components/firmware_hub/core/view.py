"""What a person sees: snapshots that the shell renders. Texts are codes with values; the shell translates them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from .errors import Reason
from .model import Device, Install, InstallState, Offer, Trust


@dataclass(frozen=True, slots=True)
class DeviceView:
    """One device as Home Assistant shows it.

    Attributes:
        installed_version: ``None`` while unknown.
        latest_version: the version that is ``shown``; else the installed one.
        state: of the current install; ``AWAITING_APPROVAL`` when there is an offer and no install; else ``None``.
        reason, reason_values: why it waits or how it ended, with the numbers for the sentence.
        in_progress: something of this install really runs.
        starts_at: the opening of the window that it waits for, if it does.
        last: the last install that ended.
    """

    device: Device
    installed_version: str | None
    latest_version: str | None
    offer: Offer | None
    install: Install | None
    last: Install | None
    state: InstallState | None
    reason: Reason | None
    reason_values: Mapping[str, str] = field(default_factory=dict)
    in_progress: bool = False
    percent: int | None = None
    starts_at: datetime | None = None
    online: bool | None = None
    battery_percent: int | None = None

    @property
    def shown(self) -> Offer | None:
        """What a yes without a version is a yes to: what was approved already, else the current offer."""
        return self.install.offer if self.install is not None else self.offer


@dataclass(frozen=True, slots=True)
class FeedView:
    """One feed as diagnostics, system health and the proof text show it. ``age_s`` is of the last good manifest."""

    feed_id: str
    title: str
    trust: Trust
    url: str
    fetched_at: datetime | None
    expires: datetime | None
    sequence: int | None
    releases: int
    last_error: Reason | None
    active: bool


@dataclass(frozen=True, slots=True)
class HubView:
    """The hub as a whole."""

    devices: int
    offers: int
    waiting: int
    running: int
    window_open: bool
    next_opening: datetime | None
    next_closing: datetime | None
    connected: bool
    paused: bool
    clock_trusted: bool
    store_ok: bool
    stopped_models: tuple[str, ...]
    feeds: tuple[FeedView, ...]


@dataclass(frozen=True, slots=True)
class PlannedInstall:
    """One line of a night's plan."""

    device_id: str
    version: str
    starts_at: datetime | None
    ends_at: datetime | None
    reason: Reason | None
    reason_values: Mapping[str, str] = field(default_factory=dict)
