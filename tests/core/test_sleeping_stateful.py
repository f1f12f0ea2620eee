"""What a bridge holds for sleepers, while anything may happen in any order: nothing begins that was not promised.

Each command is held against the promises by ``Script`` at its moment. Here two sleepers, their owner, their vendor, the
bridge, the broker and the clock do as chance wants, and after each step it is asked what could begin just now.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from hypothesis import Phase, settings, strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from custom_components.firmware_hub.core.errors import Refused
from custom_components.firmware_hub.core.inputs import (
    HealthReported,
    InstallReported,
    SettingsChanged,
    Stage,
    UnapproveRequested,
)
from custom_components.firmware_hub.core.model import InstallState as S
from custom_components.firmware_hub.core.settings import Settings
from custom_components.firmware_hub.core.window import Window

from .bridge import Bridge
from .builders import FAN, HOUR, MINUTE, NIGHT, PLUG, SECOND
from .statements import release

MODELS = {PLUG: "PLUG-S1", FAN: "FAN-1"}
EXPECTED, LONGEST = 30 * MINUTE, 8 * HOUR
sleepers = st.sampled_from(sorted(MODELS))


class SleepersInAnyNight(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.bridge = Bridge(NIGHT - HOUR)
        self.fetched: set[str] = set()
        self.since: dict[str, datetime] = {}
        self.sequence = 42

    @initialize()
    def begin(self) -> None:
        for device_id, model in MODELS.items():
            self.bridge.sleeper(device_id, model=model)
        self.vendor_publishes("1.2.0")
        for device_id in MODELS:
            self.owner_approves(device_id)
        self.time_passes(HOUR)

    # --- sleepers ----------------------------------------------------------------------------------------------------

    @rule(device_id=sleepers)
    def a_sleeper_asks_for_its_image(self, device_id: str) -> None:
        """The bridge fetches the file, and the hub hears of it later."""
        order = self.bridge.held.get(device_id)
        if self.bridge.hears and order is not None and order.install_id in self.bridge.served:
            self.bridge.busy.add(device_id)
            self.fetched.add(device_id)
            self.since[device_id] = self.bridge.now

    @rule(device_id=sleepers)
    def the_bridge_shows_it(self, device_id: str) -> None:
        if device_id in self.fetched and self.bridge.connected:
            self.fetched.discard(device_id)
            self.bridge.begin(device_id)

    @rule(device_id=sleepers, well=st.booleans())
    def a_transfer_ends(self, device_id: str, well: bool) -> None:
        if device_id in self.bridge.busy - self.fetched and self.bridge.connected:
            if well:
                self.bridge.done(device_id)
                self.bridge.proves(device_id)
                self.bridge.sleeper(device_id, model=MODELS[device_id])  # and is set back, to be done again
            else:
                self.bridge.stumbles(device_id)

    @rule(device_id=sleepers, percent=st.sampled_from([10, 60, 90]))
    def a_sleeper_says_how_full_its_battery_is(self, device_id: str, percent: int) -> None:
        if self.bridge.connected:
            self.bridge.tell(HealthReported(device_id, battery_percent=percent))

    @rule(
        device_id=sleepers, stage=st.sampled_from([Stage.NOT_BEGUN, Stage.SCHEDULED, Stage.RESTARTED, Stage.ACCEPTED])
    )
    def the_bridge_says_something(self, device_id: str, stage: Stage) -> None:
        if self.bridge.connected:
            self.bridge.tell(InstallReported(device_id, stage))

    # --- the bridge, the broker, the hub, the clock ------------------------------------------------------------------

    @rule()
    def the_bridge_dies(self) -> None:
        if self.bridge.connected:
            self.fetched.clear()
            self.bridge.dies()

    @rule()
    def the_bridge_returns(self) -> None:
        if self.bridge.connected:
            self.bridge.returns()

    @rule(up=st.booleans())
    def the_broker_comes_or_goes(self, up: bool) -> None:
        if up is not self.bridge.connected:
            self.bridge.link(up=up)

    @rule(after=st.sampled_from([SECOND, MINUTE, HOUR, 5 * HOUR]))
    def the_hub_restarts(self, after: timedelta) -> None:
        self.bridge.served.clear()
        self.bridge.restart(after)

    @rule(how_long=st.sampled_from([SECOND, 10 * MINUTE, HOUR, 4 * HOUR]))
    def time_passes(self, how_long: timedelta) -> None:
        self.bridge.wait(how_long, tick=4 * MINUTE)

    @rule()
    def the_machine_sleeps(self) -> None:
        self.bridge.sleep(HOUR)

    # --- people ------------------------------------------------------------------------------------------------------

    @rule(device_id=sleepers)
    def owner_approves(self, device_id: str) -> None:
        self.ask(lambda: self.bridge.approve(device_id))

    @rule(device_id=sleepers)
    def owner_takes_it_back(self, device_id: str) -> None:
        self.ask(lambda: self.bridge.tell(UnapproveRequested(device_id, "anna")))

    @rule(paused=st.booleans())
    def owner_pauses(self, paused: bool) -> None:
        self.bridge.tell(SettingsChanged(Settings(paused=paused)))

    @rule(version=st.sampled_from(["1.2.0", "1.3.0"]))
    def vendor_publishes(self, version: str) -> None:
        self.sequence += 1
        models = tuple(MODELS.values())
        self.bridge.publish(release(version, model=models), sequence=self.sequence)

    def ask(self, what: Any) -> None:
        try:
            what()
        except Refused:
            return

    # --- the promises ------------------------------------------------------------------------------------------------

    @invariant()
    def what_could_begin_just_now_is_scheduled_and_fits_the_window(self) -> None:
        installs = self.bridge.hub.installer.current
        for device_id, order in self.bridge.held.items():
            if order.install_id not in self.bridge.served:
                continue
            assert installs[device_id].state is S.SCHEDULED
            assert installs[device_id].attempt_id == order.attempt_id
            closes = Window(self.bridge.settings).closes(self.bridge.now)
            assert closes is not None
            assert self.bridge.now + EXPECTED <= closes

    @invariant()
    def nobody_is_said_to_have_called_off_what_runs(self) -> None:
        """No transfer takes longer than the family allows."""
        running = {name for name in self.bridge.busy if self.bridge.now - self.since[name] < LONGEST}
        for device_id in running & self.bridge.hub.installer.last.keys():
            last = self.bridge.hub.installer.last[device_id]
            current = self.bridge.hub.installer.current.get(device_id)
            assert current is not None or last.state is not S.CANCELED


TestSleepersInAnyNight = SleepersInAnyNight.TestCase
TestSleepersInAnyNight.settings = settings(max_examples=40, stateful_step_count=30, phases=[Phase.generate])
