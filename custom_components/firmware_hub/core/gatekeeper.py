"""Gathers all that is known when an install asks to go on, and puts it before the gate.

It holds what is the same for every install: the owner's settings, their window, and the state of the hub.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime, timedelta

from . import gate
from .errors import Reason
from .feeds import Feeds
from .fleet import Fleet
from .install import Context
from .lasting import LastingOrders
from .model import OFFERED, Device, Install
from .ports import Capabilities
from .published import still_published
from .rollout import Rollout
from .settings import Settings
from .window import Outlook, Window


class Gatekeeper:
    """Answers questions about installs; changes none of them and never raises."""

    def __init__(self, fleet: Fleet, feeds: Feeds, rollout: Rollout, capabilities: Mapping[str, Capabilities]) -> None:
        """Begin with the default settings, and not connected."""
        self.settings = Settings()
        self.window = Window(self.settings)
        self.state = gate.HubState(connected=False, clock_trusted=True, store_ok=True, paused=False, address_ok=True)
        self.lasting = LastingOrders()
        self._fleet = fleet
        self._feeds = feeds
        self._rollout = rollout
        self._capabilities = capabilities

    def set(self, settings: Settings) -> None:
        """Take over the owner's settings."""
        self.settings, self.window = settings, Window(settings)
        self.state = replace(self.state, paused=settings.paused)

    def may_start(self, install: Install, now: datetime) -> gate.No | None:
        """Say why an install may not start now; ``None`` if it may. What holds for all is not asked again."""
        return gate.device_says(self._asked(install), now) or self._window_says(install, self.window.outlook(now))

    def may_command(self, install: Install, now: datetime) -> gate.No | None:
        """Say why the command may not be sent now; ``None`` if it may. Others of its kind are looked at to the end."""
        reason = gate.hub_says(self.state) or self._rollout.blocked(install)
        if reason is not None:
            return gate.No(reason)
        return self.may_start(install, now) or gate.vendor_says(self._asked(install), now)

    def may_stay(self, install: Install, now: datetime) -> gate.No | None:
        """Say why a bridge may not wait for a device any longer; ``None`` if it may."""
        return self.may_command(replace(install, command_deadline=None), now)

    def can_wait_for(self, device: Device) -> bool:
        """Whether the device sleeps and its bridge is there and can wait for it to wake."""
        family = self._capabilities[device.dialect]
        return device.sleeps and family.schedules and not self._fleet.is_cut_off(device)

    def not_after(self, install: Install, now: datetime) -> datetime | None:
        """Say until when the command may still be published; ``None``: no limit."""
        closes = self.window.closes(now)
        if self.is_window_free(install) or closes is None:
            return None
        return max(now, closes - self.expected(install))

    def why_waiting(self, install: Install, outlook: Outlook) -> gate.No:
        """Say what a waiting install waits for, in the order in which a person would ask."""
        if (reason := gate.hub_says(self.state)) is not None:
            return gate.No(reason)
        if install.reason is not None and not self._rollout.is_ready(install.id):
            return gate.No(install.reason, install.reason_values, install.not_before)
        if (answer := self._window_says(install, outlook)) is not None:
            return answer
        return gate.No(self._rollout.blocked(install) or Reason.NETWORK_BUSY)

    def could_ever_fit(self, install: Install, now: datetime) -> bool:
        """Whether any window of the coming week is long enough."""
        return self.window.could_ever_fit(self.expected(install), now)

    def is_window_free(self, install: Install) -> bool:
        """Whether its owner said "now", or said "any time" for this device."""
        return install.approval.at_once or install.device_id in self.settings.any_time

    def expected(self, install: Install) -> timedelta:
        """How long an install takes."""
        family = self._capabilities[self._fleet.devices[install.device_id].dialect]
        return self._rollout.expected(install, family.default_minutes)

    def context(self, install: Install) -> Context:
        """What a step of the state table may know."""
        device = self._fleet.devices[install.device_id]
        return Context(
            self._capabilities[device.dialect],
            device.slots,
            device.sleeps,
            self.state.connected,
            self.expected(install),
        )

    def last_word(self, install: Install, now: datetime) -> datetime | None:
        """When the device last said what it runs; ``None``: not since the connection, or its last attempt's end.

        Whoever cannot be asked speaks when something changes: what it said last is what it would say now.
        """
        device = self._fleet.devices[install.device_id]
        presence = self._fleet.presence[device.id]
        spoke, over = presence.last_report, install.command_deadline
        if self._capabilities[device.dialect].answers:
            return spoke
        counts = presence.heard or spoke is not None if over is None else spoke is not None and spoke >= over
        return now if counts else None

    def knows_offer(self, install: Install, report: datetime) -> bool:
        """Whether the device said what its vendor offers it after it was asked: since before, that may have changed.

        ``report``: when it last said what it runs. Where the answer to a question does not name the offer, because the
        device tells it whenever it changes, what it said last is what it would say now.
        """
        presence = self._fleet.presence[install.device_id]
        family = self._capabilities[self._fleet.devices[install.device_id].dialect]
        said = presence.offered_at if OFFERED in family.tells else report
        return presence.last_query is not None and said is not None and min(said, report) >= presence.last_query

    def _window_says(self, install: Install, outlook: Outlook) -> gate.No | None:
        return gate.window_says(outlook, self.expected(install), window_free=self.is_window_free(install))

    def _asked(self, install: Install) -> gate.Asked:
        device = self._fleet.devices[install.device_id]
        return gate.Asked(
            install,
            device,
            self._fleet.presence[device.id],
            self._capabilities[device.dialect],
            self._fleet.in_conflict(device),
            self._feed_fault(install, device),
            self.lasting.over(device),
            self.can_wait_for(device),
        )

    def _feed_fault(self, install: Install, device: Device) -> Reason | None:
        """Say why its feed does not vouch for the release. What is withdrawn while it is tried is not tried again."""
        fault = self._feeds.fault(install.offer.feed_id)
        if fault is not None or not install.attempt:
            return fault  # what waits for its first attempt is voided as soon as its release is withdrawn
        return None if still_published(install, device, self._feeds) else Reason.OFFER_WITHDRAWN
