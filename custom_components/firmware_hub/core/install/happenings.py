"""What can happen to an install, and what a step may know and answers. The steps are in the files beside this one."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from typing import NamedTuple

from .. import limits
from ..effects import Effect
from ..errors import Reason
from ..inputs import Stage
from ..model import Install, InstallState
from ..ports import Capabilities


class Sighting(StrEnum):
    """What a device's own live report means for its install."""

    OLD = "old"
    NEW = "new"
    HELPER = "helper"
    OTHER = "other"
    WRONG_IDENTITY = "wrong_identity"
    MOVED = "moved"


@dataclass(frozen=True, slots=True)
class Context:
    """What a step may know of the device: its family, its slots, whether it sleeps, how long an install takes."""

    capabilities: Capabilities
    slots: int = 1
    sleeps: bool = False
    connected: bool = True
    expected: timedelta = timedelta(minutes=5)

    @property
    def has_trial(self) -> bool:
        """Whether a new image runs on trial until the hub commits it."""
        return self.capabilities.commits and self.slots > 1

    @property
    def answer_time(self) -> timedelta:
        """How long the device may take to answer a question."""
        return self.capabilities.answer_time or limits.PREFLIGHT_TIMEOUT

    @property
    def is_waited_for(self) -> bool:
        """Whether the device sleeps and its bridge can wait for it to wake."""
        return self.sleeps and self.capabilities.schedules

    @property
    def wake_time(self) -> timedelta:
        """How long a device has that woke and began: all that its family allows.

        What it runs then it can only say when it wakes again.
        """
        return self.capabilities.max_deadline

    @property
    def command_time(self) -> timedelta:
        """How long a device has after its command: clamp(2 x expected, 60 s, the family's maximum)."""
        return max(limits.DEADLINE_MIN, min(2 * self.expected, self.capabilities.max_deadline))


class Step(NamedTuple):
    """The install as it is from now on, and what is to be done."""

    install: Install
    effects: tuple[Effect, ...] = ()


@dataclass(frozen=True, slots=True)
class Approve:
    """Somebody's yes arrived."""


@dataclass(frozen=True, slots=True)
class Start:
    """It is this install's turn."""


@dataclass(frozen=True, slots=True)
class Hold:
    """It has to wait, with the reason a person reads."""

    reason: Reason
    values: Mapping[str, str] = field(default_factory=dict)
    not_before: datetime | None = None


@dataclass(frozen=True, slots=True)
class Freed:
    """What it was held for may be gone: it waits for its turn only, until somebody looks again."""


@dataclass(frozen=True, slots=True)
class Fetched:
    """All artifacts lie verified in the cache."""


@dataclass(frozen=True, slots=True)
class FetchFailed:
    """An artifact could not be had. ``final``: what came is not what the manifest says, so asking again is no use."""

    reason: Reason
    detail: str = ""
    final: bool = False


@dataclass(frozen=True, slots=True)
class Command:
    """The gate is open: order the install command under this attempt id, not to be published after ``not_after``.

    ``when_awake``: the device sleeps, and its bridge is to wait for it.
    """

    attempt_id: str
    not_after: datetime | None = None
    when_awake: bool = False


@dataclass(frozen=True, slots=True)
class NotSent:
    """The last look before publishing said no. ``written``: the command had been written down, so it counts as sent."""

    reason: Reason
    written: bool = True


@dataclass(frozen=True, slots=True)
class Sighted:
    """The device itself named its version, live. ``rebooted``: in a message that is only sent after a boot."""

    sighting: Sighting
    rebooted: bool = False
    version: str = ""


@dataclass(frozen=True, slots=True)
class Linked:
    """The device went on or off line."""

    online: bool


@dataclass(frozen=True, slots=True)
class Booted:
    """The device runs for a shorter time than since the command: it has restarted, whatever else it said."""


@dataclass(frozen=True, slots=True)
class Staged:
    """The device spoke about the transfer."""

    stage: Stage
    percent: int | None = None
    detail: str = ""


@dataclass(frozen=True, slots=True)
class Health:
    """The device's own self-test."""

    passed: bool


@dataclass(frozen=True, slots=True)
class Resumed:
    """The hub listens again after it could not: its connection is back, or (``restarted``) it was started anew."""

    restarted: bool = False


@dataclass(frozen=True, slots=True)
class TimeJumped:
    """The clock went on by this much (or back) without anybody listening in between."""

    by: timedelta


@dataclass(frozen=True, slots=True)
class DeadlinePassed:
    """The present state is over."""


@dataclass(frozen=True, slots=True)
class Cancel:
    """The install is not wanted any more: ``verdict`` is canceled, skipped, removed or already_installed."""

    verdict: InstallState
    reason: Reason | None = None


Happening = (
    Approve
    | Start
    | Hold
    | Freed
    | Fetched
    | FetchFailed
    | Command
    | NotSent
    | Sighted
    | Linked
    | Booted
    | Staged
    | Health
    | Resumed
    | TimeJumped
    | DeadlinePassed
    | Cancel
)
"""Everything that can happen to an install."""
