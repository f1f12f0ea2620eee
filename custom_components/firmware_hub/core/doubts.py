"""Questions on which a verdict waits, and that may have been lost: they are asked again, ever more seldom.

A device that said that it failed, or that restarted, is not at work any more, and its version decides. The question for
it can get lost: a bridge that has just started says so before it listens, and nobody answers for a device that is still
starting (dialects.md 1.6). What is at work is never asked again: a question could be in its way.
"""

from __future__ import annotations

from datetime import datetime, timedelta

from . import limits
from .agenda import Agenda
from .effects import Effect, QueryDevice
from .model import DeviceId, Install, InstallState

_MAY_BE_ASKED = frozenset({InstallState.INSTALLING, InstallState.REBOOTING})


class Doubts:
    """Who is asked again when. Never raises."""

    def __init__(self, agenda: Agenda) -> None:
        """Begin with nobody."""
        self._agenda = agenda
        self._waits: dict[DeviceId, timedelta] = {}

    def follow(self, install: Install, effects: tuple[Effect, ...], now: datetime) -> None:
        """Note a question that a step put, or that there is nothing left to ask."""
        if not _is_open(install):
            if self._waits.pop(install.device_id, None) is not None:
                self._agenda.set("again", install.device_id, None)
        elif any(isinstance(effect, QueryDevice) for effect in effects):
            self._waits[install.device_id] = limits.ASK_AGAIN
            self._agenda.set("again", install.device_id, now + limits.ASK_AGAIN)

    def asked(self, install: Install, now: datetime) -> None:
        """Note that it was asked again, and wait twice as long for the next time."""
        wait = self._waits[install.device_id] = 2 * self._waits[install.device_id]
        self._agenda.set("again", install.device_id, now + wait)


def _is_open(install: Install) -> bool:
    """Whether a verdict waits for what the device says, and the device is not at work."""
    return install.state in _MAY_BE_ASKED and (install.failure is not None or install.restarted)
