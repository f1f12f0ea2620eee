"""A bridge with devices that sleep, for stories told to a real hub: it holds orders until a device wakes and asks.

It does what Zigbee2MQTT does: what it holds it begins at each wake, if the file is there; a try that failed it repeats
at the next; it does not let go of an order while it carries it out. Whenever a device begins, that is held against the
promises of design section 3.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import Any, override

from custom_components.firmware_hub.core.effects import Effect, SendInstall, StopServing, TakeBack
from custom_components.firmware_hub.core.inputs import (
    CommandSent,
    HealthReported,
    Input,
    InstallReported,
    NetworkReported,
    Stage,
)
from custom_components.firmware_hub.core.settings import Settings
from custom_components.firmware_hub.core.window import Window

from .builders import MINUTE, NIGHT, PLUG, SECOND
from .script import Script

NETWORK = "attic"


class Bridge(Script):
    """``held`` is what the bridge holds for whom; ``tries`` counts how often it began."""

    def __init__(self, now: datetime = NIGHT, *, settings: Settings | None = None) -> None:
        self.held: dict[str, SendInstall] = {}
        self.about: dict[str, dict[str, Any]] = {}
        self.busy: set[str] = set()
        self.served: set[str] = set()
        self.taken_back: list[str] = []
        self.tries = 0
        self.hears = True
        super().__init__(now, settings=settings, dialect="sleepy")

    @override
    def _answer(self, effect: Effect) -> Iterable[Input]:
        match effect:
            case SendInstall():
                self.served.add(effect.install_id)
                sent = self._publish(effect)
                yield sent
                if effect.when_awake and isinstance(sent, CommandSent) and self.hears:
                    self.held[effect.device_id] = effect
                    yield InstallReported(effect.device_id, Stage.ACCEPTED, attempt_id=effect.attempt_id)
            case StopServing(install_id):
                self.served.discard(install_id)
            case TakeBack(_, attempt_id, device_id):
                yield from self._let_go(device_id, attempt_id)
            case _:
                yield from super()._answer(effect)

    def _let_go(self, device_id: str, attempt_id: str) -> Iterable[Input]:
        self.taken_back.append(attempt_id)
        if self.connected and self.hears and device_id not in self.busy:
            self.held.pop(device_id, None)
            self._last_sent.pop(device_id, None)  # it is certain that nothing of it is at work
            yield InstallReported(device_id, Stage.TAKEN_BACK, attempt_id=attempt_id)

    # --- the sleepers ------------------------------------------------------------------------------------------------

    def sleeper(self, device_id: str = PLUG, **about: Any) -> None:
        """Have a device that was awake once and sleeps by now."""
        self.about[device_id] = {"network": NETWORK, "sleeps": True, "battery_powered": True, **about}
        self.report("1.0.0", device_id, **self.about[device_id])
        self.tell(HealthReported(device_id, battery_percent=80))
        self.now += 2 * MINUTE

    def scheduled(self, **approval: Any) -> Bridge:
        """Have the plug's install handed over."""
        self.sleeper()
        self.publish()
        self.approve(**approval)
        return self

    def wake(self, device_id: str = PLUG) -> bool:
        """Let a device wake and ask for an image; whether it begins."""
        order = self.held.get(device_id)
        if order is None or order.install_id not in self.served:
            return False
        install = self.disk.install(order.install_id)
        expected = MINUTE * (install.offer.release.install_minutes or 30)
        window_free = install.approval.at_once or device_id in self.settings.any_time
        closes = Window(self.settings).closes(self.now)
        assert window_free or (closes is not None and self.now + expected <= closes), "outside the window"
        assert not self.busy, "two at once"
        self.begin(device_id)
        return True

    def begin(self, device_id: str = PLUG) -> None:
        """Let the bridge begin, whatever is promised: it had the file already."""
        self.busy.add(device_id)
        self.tries += 1
        self.tell(InstallReported(device_id, Stage.DOWNLOADING, 0))

    def done(self, device_id: str = PLUG) -> None:
        """Let the transfer end well, as far as the bridge can tell."""
        self.now += 10 * MINUTE
        self.busy.discard(device_id)
        self.held.pop(device_id, None)
        self.tell(InstallReported(device_id, Stage.INSTALLING, 100), InstallReported(device_id, Stage.RESTARTED))

    def stumbles(self, device_id: str = PLUG) -> None:
        """Let the transfer fail: the bridge waits for the next try."""
        self.busy.discard(device_id)
        self.tell(InstallReported(device_id, Stage.SCHEDULED, detail="try_failed"))

    def proves(self, device_id: str = PLUG, version: str = "1.2.0") -> None:
        """Let a device say twice what it runs, with its settling time in between."""
        self.report(version, device_id, **self.about[device_id])
        self.now += 11 * SECOND
        self.report(version, device_id, **self.about[device_id])

    def dies(self) -> None:
        """Let the bridge go away; what it was doing is lost, what it holds may come back with it."""
        self.hears = False
        self.busy.clear()
        self.tell(NetworkReported(self.dialect, NETWORK, online=False, lost="bridge_died"))

    def returns(self) -> None:
        self.hears = True
        self.tell(NetworkReported(self.dialect, NETWORK, online=True))
