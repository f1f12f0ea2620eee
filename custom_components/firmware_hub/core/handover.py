"""Which installs wait at a bridge for their device to wake, and when they are taken back from there.

Whether a bridge may go on waiting is asked anew at each tick and whenever the owner or a verdict may have changed the
answer; it is never inferred from an earlier one (design section 4, "Time"). While a bridge waits it transfers nothing,
so the others of its network may go on; as soon as something is transferred, whoever else waits there is taken back, so
that no more devices than allowed can begin.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace

from .effects import Effect, TakeBack
from .errors import Reason
from .fleet import Fleet
from .gatekeeper import Gatekeeper
from .install import Hold, Sighting
from .model import DeviceId, Install, InstallState
from .rollout import Rollout
from .sighting import sight
from .turn import Turn

type Happen = Callable[[Install, Hold, Turn], None]


class Handover:
    """The installs that bridges hold. Never raises."""

    def __init__(
        self,
        fleet: Fleet,
        rollout: Rollout,
        keeper: Gatekeeper,
        current: Mapping[DeviceId, Install],
        happen: Happen,
    ) -> None:
        """Begin with none."""
        self.look_due = False
        self._fleet = fleet
        self._rollout = rollout
        self._keeper = keeper
        self._current = current
        self._happen = happen
        self._waiting: dict[DeviceId, None] = {}

    def suits(self, install: Install) -> bool:
        """Whether the install's device sleeps, its bridge can wait for it, and it ran the old version when last heard.

        What it runs when it wakes it tells its bridge, which begins from an older version only.
        """
        device = self._fleet.devices[install.device_id]
        can = self._keeper.can_wait_for(device) and not install.offer.vendor_chooses
        return can and sight(install, device) is Sighting.OLD

    def follow(self, before: Install, after: Install, turn: Turn) -> bool:
        """Take in a step of an install; whether it made room for another one in its network."""
        if after.state is InstallState.SCHEDULED:
            self._waiting[after.device_id] = None
        else:
            self._waiting.pop(after.device_id, None)
        network = self._fleet.devices[after.device_id].network
        if after.state.is_handed_over or self._rests(after):
            return self._rollout.yields(after)
        if before.state.is_handed_over and after.state.is_commanded:
            self._rollout.began(after, network)
        if after.state is InstallState.INSTALLING and before.state is not InstallState.INSTALLING:
            self._make_room(network, turn)
        return False

    def addressed(self, effect: Effect) -> Effect:
        """Add to a recall whom it is about: a device that is being removed is not known any more when it is sent."""
        if isinstance(effect, TakeBack):
            return replace(effect, device=self._fleet.get(effect.device_id))
        return effect

    @staticmethod
    def woke(before: Install, after: Install) -> bool:
        """Whether a step is the first sign that a device that was waited for woke and began."""
        first = before.state.is_handed_over and before.command_at is None
        return first and after.state is InstallState.INSTALLING

    def _rests(self, install: Install) -> bool:
        """Whether nothing is transferred any more to a device that can say only when it wakes again what it runs."""
        done = install.restarted or install.failure is not None
        return install.state.is_at_work and done and self._keeper.context(install).is_waited_for

    def _make_room(self, network: str, turn: Turn) -> None:
        if self._rollout.has_place(network, self._keeper.settings.parallel_installs):
            return
        for device_id in [name for name in self._waiting if self._fleet.devices[name].network == network]:
            self._happen(self._current[device_id], Hold(Reason.NETWORK_BUSY), turn)

    def look(self, turn: Turn) -> None:
        """Take back whatever may not wait any longer. Cost: the number of those that wait, at each tick."""
        if not (self.look_due or turn.woken):
            return
        self.look_due = False
        for device_id in list(self._waiting):
            install = self._current[device_id]
            answer = self._keeper.may_stay(install, turn.now)
            if answer is not None:
                self._happen(install, Hold(answer.reason, answer.values), turn)
