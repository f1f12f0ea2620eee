"""Approvals and installs: the states from somebody's yes to the verdict."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import NamedTuple

from ..errors import Reason
from .devices import DeviceId, Identity
from .publications import Offer


class InstallState(StrEnum):
    """Where an install stands. The values after ``ROLLING_BACK`` are ends: they are the verdicts."""

    AWAITING_APPROVAL = "awaiting_approval"
    APPROVED = "approved"
    DEFERRED = "deferred"
    DOWNLOADING = "downloading"
    DOWNLOADED = "downloaded"
    SCHEDULED = "scheduled"
    UNSCHEDULING = "unscheduling"
    INSTALLING = "installing"
    REBOOTING = "rebooting"
    VERIFYING = "verifying"
    ROLLING_BACK = "rolling_back"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    TIMED_OUT = "timed_out"
    REJECTED = "rejected"
    ROLLED_BACK = "rolled_back"
    ROLLBACK_FAILED = "rollback_failed"
    SKIPPED = "skipped"
    CANCELED = "canceled"
    ALREADY_INSTALLED = "already_installed"
    REMOVED = "removed"

    @property
    def is_end(self) -> bool:
        """Whether this state is a verdict."""
        return self in VERDICTS

    @property
    def is_waiting(self) -> bool:
        """Whether nothing of this install has been downloaded or sent yet."""
        return self in _WAITING

    @property
    def is_active(self) -> bool:
        """Whether something really runs: this is what a person sees as progress."""
        return self in _ACTIVE

    @property
    def is_commanded(self) -> bool:
        """Whether a command was written down, so that the device may be changing."""
        return self in _COMMANDED

    @property
    def is_at_work(self) -> bool:
        """Whether the device may be changing, so that nothing stops it any more."""
        return self in _AT_WORK

    @property
    def is_handed_over(self) -> bool:
        """Whether a bridge waits for the device to wake, or was told not to: nothing has begun as far as is known."""
        return self in _HANDED_OVER


VERDICTS = frozenset(
    {
        InstallState.SUCCEEDED,
        InstallState.FAILED,
        InstallState.TIMED_OUT,
        InstallState.REJECTED,
        InstallState.ROLLED_BACK,
        InstallState.ROLLBACK_FAILED,
        InstallState.SKIPPED,
        InstallState.CANCELED,
        InstallState.ALREADY_INSTALLED,
        InstallState.REMOVED,
    }
)
_WAITING = frozenset({InstallState.AWAITING_APPROVAL, InstallState.APPROVED, InstallState.DEFERRED})
_HANDED_OVER = frozenset({InstallState.SCHEDULED, InstallState.UNSCHEDULING})
_AT_WORK = frozenset(
    {InstallState.INSTALLING, InstallState.REBOOTING, InstallState.VERIFYING, InstallState.ROLLING_BACK}
)
_COMMANDED = _AT_WORK | _HANDED_OVER
_ACTIVE = _AT_WORK | {InstallState.DOWNLOADING, InstallState.DOWNLOADED}


class PilotKey(NamedTuple):
    """Invariant 8: the first device of each (model, hardware, variant, version) is installed alone."""

    manufacturer: str
    model: str
    hardware: str
    variant: str
    version: str


@dataclass(frozen=True, slots=True)
class Approval:
    """Somebody's yes, pinned to version and digest (invariant 1). ``by`` is a user id or ``policy:<name>``."""

    by: str
    at: datetime
    expires: datetime
    at_once: bool = False


@dataclass(frozen=True, slots=True)
class Install:
    """One device's run from approval to verdict. It carries its release, so that a later manifest cannot change it.

    Attributes:
        id: of the install; it never changes. ``attempt_id`` is new for each attempt and travels in the command.
        deadline: when the present state is over, whatever happens; ``None`` only while it waits for its turn.
        not_before: a deferred install is not looked at earlier.
        fetched: its artifacts were brought into the cache and verified once.
        command_deadline: no new attempt may start before this (invariant 6); a later install of the device inherits it.
        reacted: the device said or did something that only the command explains.
        failure, failure_detail: what the device itself said about a failure; its version decides what is believed.
        asked_last: the last question before a verdict was put.
        helper_seen: the device was seen in a helper image during this attempt.
        old_seen: the device itself named the old version after the command.
        went_away: the device left after the command, so that its return is a return.
        says_restart: it said that it is about to restart; ``restarted``: it did, by its own word or its uptime.
        healthy: its own self-test after the return; ``None`` while it has said nothing.
        returned_at: when it came back on the wanted version.
        verify_until: until when it must have proved itself.
        percent: 0 to 100, never falling within one attempt; ``None`` where the family reports none.
        windows_closed: the hub's count of closed windows when this install began to wait.
        settle_until: until when the first device of a release must stay well.
        handed_over: the command of this attempt went to a bridge that waits for the device to wake, and that has not
            confirmed yet that it does not wait any more. ``command_at`` is then when the device woke and began.
        hand_back_at: until when the device may begin by itself.
        ends_as: the verdict that it gets once it is certain that the device has not begun.
        retry: a person wants it although this very device failed with this release: the stop that its failure caused
            does not hold it up.
    """

    id: str
    device_id: DeviceId
    offer: Offer
    approval: Approval
    identity: Identity
    from_version: str
    state: InstallState = InstallState.AWAITING_APPROVAL
    reason: Reason | None = None
    reason_values: Mapping[str, str] = field(default_factory=dict)
    attempt: int = 0
    attempt_id: str = ""
    deadline: datetime | None = None
    not_before: datetime | None = None
    fetched: bool = False
    fetch_failures: int = 0
    command_at: datetime | None = None
    command_deadline: datetime | None = None
    reacted: bool = False
    failure: Reason | None = None
    failure_detail: str = ""
    asked_last: bool = False
    helper_seen: bool = False
    old_seen: bool = False
    went_away: bool = False
    says_restart: bool = False
    restarted: bool = False
    healthy: bool | None = None
    returned_at: datetime | None = None
    verify_until: datetime | None = None
    commits_sent: int = 0
    percent: int | None = None
    windows_closed: int = 0
    started_at: datetime | None = None
    ended_at: datetime | None = None
    settle_until: datetime | None = None
    retry: bool = False
    handed_over: bool = False
    hand_back_at: datetime | None = None
    ends_as: InstallState | None = None

    @property
    def pilot_key(self) -> PilotKey:
        """The key under which the first install goes alone (invariant 8)."""
        return PilotKey(
            self.identity.manufacturer,
            self.identity.model,
            self.identity.hardware,
            self.identity.variant,
            self.offer.version,
        )

    def may_be_at_work(self, now: datetime) -> bool:
        """Whether the time of the last command is not over: until then no other may be sent (invariant 6)."""
        return self.command_deadline is not None and self.command_deadline > now
