"""What a dialect is besides, if a bridge can wait for its sleeping devices."""

from __future__ import annotations

from typing import Protocol, runtime_checkable

from ..core.model import Device
from .base import InstallOrder, Outgoing


@runtime_checkable
class Scheduler(Protocol):
    """A family with bridges that begin an install when its device wakes (``Capabilities.schedules``)."""

    def schedule(self, order: InstallOrder) -> tuple[Outgoing, ...]:
        """Write the one install command of an attempt, for a bridge that is to wait for the device.

        Raises:
            Refused: the device cannot take it (no channel known, address too long for the family).
        """
        ...

    def unschedule(self, device: Device, attempt_id: str) -> tuple[Outgoing, ...]:
        """Tell the bridge not to wait any more; what has begun goes on. Never raises."""
        ...
