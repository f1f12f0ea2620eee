"""The promises of design section 3, held against a hub to which anything may happen in any order.

A small home: four devices that do as chance wants, a vendor, an owner, a broker, a disk and a clock. The hub is judged
by what it orders and what it writes down, never by what it remembers. ``real`` is the time that really passed: the
clock on the wall may jump, an attempt's time may not.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any, override

from hypothesis import Phase, settings, strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from custom_components.firmware_hub.core import limits
from custom_components.firmware_hub.core.effects import (
    CheckAddress,
    Effect,
    FetchArtifacts,
    FetchManifest,
    QueryDevice,
    Save,
    SendCommit,
    SendInstall,
    SendRollback,
)
from custom_components.firmware_hub.core.errors import Reason, Refused
from custom_components.firmware_hub.core.hub import Hub
from custom_components.firmware_hub.core.inputs import (
    AddressChecked,
    ApproveRequested,
    ArtifactsFailed,
    ArtifactsReady,
    CheckRequested,
    CommandNotSent,
    CommandSent,
    DeviceLinkChanged,
    FeedsChanged,
    FetchFailed,
    ForgetRequested,
    HealthReported,
    Input,
    InstallReported,
    LinkChanged,
    ManifestRead,
    ModelReleased,
    RetryRequested,
    SaveFailed,
    SaveWorked,
    SettingsChanged,
    Stage,
    UnapproveRequested,
    WokenUp,
)
from custom_components.firmware_hub.core.model import Feed, Install, InstallState, Manifest, PilotKey
from custom_components.firmware_hub.core.settings import Settings
from custom_components.firmware_hub.core.window import Window

from .builders import DAY, HOUR, MINUTE, NIGHT, SECOND, capabilities, feed, report
from .script import Disk
from .statements import manifest, release

BEGIN = NIGHT - 35 * MINUTE
"""Five minutes before the window opens."""
PARALLEL = 2
FAMILIES = {
    "open": capabilities(default_minutes=5),
    "trial": capabilities(rolls_back=True, commits=True, echoes_attempt=True, default_minutes=5),
}
OLD, NEW, NEWER, STRANGE, HELPER = "1.0.0", "1.2.0", "1.3.0", "0.7.0", "helper"
VERSIONS = (NEW, NEWER)


@dataclass(frozen=True)
class Make:
    """What a device is, for good."""

    dialect: str
    model: str
    network: str = ""


MAKES = {
    "mac:a": Make("open", "PLUG-S1"),
    "mac:b": Make("open", "PLUG-S1"),
    "mac:c": Make("open", "PLUG-S1", "attic"),
    "mac:d": Make("trial", "FAN-1"),
}


@dataclass
class Box:
    """What a device does just now, and when it last said live what it runs."""

    version: str = OLD
    answers: bool = True
    online: bool = True
    told: dict[str, timedelta] = field(default_factory=dict)


@dataclass(frozen=True)
class Sent:
    """A command that was published, or may have been."""

    order: SendInstall
    version: str
    at: timedelta
    over: timedelta


@dataclass(frozen=True)
class Yes:
    """What a person has read and approved."""

    version: str
    digest: str
    at_once: bool


devices = st.sampled_from(sorted(MAKES))
minutes = st.sampled_from([1, 2, 5, 11, 21, 45])


class HubInAnyHome(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.now: datetime = BEGIN
        self.real = timedelta()
        self.disk = Disk()
        self.boxes: dict[str, Box] = {}
        self.settings = Settings(parallel_installs=PARALLEL)
        self.feeds: tuple[Feed, ...] = (feed(),)
        self.connected = False
        self.files: Reason | None = None
        self.dies_at_command = False
        self.died = False
        self.published: Manifest | None = None
        self.heard: Manifest | None = None  # while the clock is not believed, nothing that is published is
        self.sequence = 0
        self.raw: dict[bytes, Manifest] = {}
        self.ids = 0
        self.sent: list[Sent] = []
        self.yes: dict[str, Yes] = {}
        self.written: dict[str, Install] = {}
        self.proven: set[PilotKey] = set()
        self.stops: dict[str, tuple[str, str]] = {}

    # --- the shell ---------------------------------------------------------------------------------------------------

    @initialize()
    def begin(self) -> None:
        self.start()
        self.link(up=True)
        for device_id in sorted(MAKES):
            self.speak(device_id)
        self.publish([NEW], 60 * DAY)
        self.a_person_approves_everything(at_once=False)
        self.pass_time(6 * MINUTE)

    def new_id(self) -> str:
        self.ids += 1
        return f"id-{self.ids}"

    def start(self) -> None:
        """Start a hub as the coordinator does: settings, what was stored, feeds, stored manifests."""
        self.hub = Hub(FAMILIES, new_id=self.new_id)
        self.died = False
        self.connected = False
        self.heard = None
        self.tell(SettingsChanged(self.settings))
        snapshot = self.disk.read()
        self.carry(self.hub.restore(snapshot, self.now))
        assert len(self.sent) == len({item.order.attempt_id for item in self.sent})
        self.tell(FeedsChanged(self.feeds))
        for row in snapshot.feeds:
            self.tell(ManifestRead(row.feed_id, self.raw[row.raw], row.raw, "", row.fetched_at, from_store=True))

    def tell(self, item: Input) -> None:
        """Tell the hub, and whatever follows from that."""
        self.carry(self.hub.receive(item, self.now))
        if self.died:
            self.dies_at_command = False
            self.start()
            self.link(up=True)

    def link(self, *, up: bool) -> None:
        self.connected = up
        self.tell(LinkChanged(up))

    def carry(self, effects: list[Effect]) -> None:
        todo: deque[Input] = deque(self.act(effects))
        while todo and not self.died:
            todo.extend(self.act(self.hub.receive(todo.popleft(), self.now)))

    def act(self, effects: list[Effect]) -> list[Input]:
        assert not any(isinstance(effect, Save) for effect in effects[1:]), "a save that is not the first effect"
        save = effects[0] if effects and isinstance(effects[0], Save) else None
        for row in save.ledger if save is not None else ():
            self.heard = next(item for item in self.raw.values() if item.sequence == row.sequence)
        if save is not None and not self.disk.works:
            self.disk.failed = True
            begun = [effect.install_id for effect in effects if isinstance(effect, SendInstall | FetchArtifacts)]
            return [SaveFailed(save, Reason.DISK_FULL, "no space", tuple(begun))]
        answers: list[Input] = []
        if save is not None:
            self.wrote(save)
            if self.disk.failed:
                self.disk.failed = False
                answers.append(SaveWorked())
        for effect in effects:
            answers += self.answer(effect, save)
        return answers

    def answer(self, effect: Effect, save: Save | None) -> Iterable[Input]:
        match effect:
            case SendInstall():
                yield from self.command(effect, save)
            case FetchArtifacts(install_id) if self.files is not None:
                yield ArtifactsFailed(install_id, self.files, "no luck")
            case FetchArtifacts(install_id):
                yield ArtifactsReady(install_id)
            case CheckAddress():
                yield AddressChecked(reachable=True)
            case FetchManifest(feed_id) if self.published is None:
                yield FetchFailed(feed_id, Reason.UNREACHABLE)
            case FetchManifest(feed_id):
                assert self.published is not None
                yield ManifestRead(feed_id, self.published, self.published.digest.encode(), "", self.now)
            case QueryDevice(device_id) if self.hears(device_id):
                yield self.word(device_id)
            case SendCommit(_, attempt_id, device_id) if self.hears(device_id):
                yield InstallReported(device_id, Stage.COMMITTED, attempt_id=attempt_id)
            case SendRollback(_, attempt_id, device_id) if self.hears(device_id):
                self.boxes[device_id].version = OLD
                yield InstallReported(device_id, Stage.ROLLED_BACK, attempt_id=attempt_id)

    def hears(self, device_id: str) -> bool:
        box = self.boxes.get(device_id)
        return self.connected and box is not None and box.answers and box.online

    def word(self, device_id: str, version: str = "", **changes: Any) -> Input:
        """What a device says of itself; if it says so live, the time is noted."""
        make, box = MAKES[device_id], self.boxes[device_id]
        if not changes.get("retained"):
            box.told[box.version] = self.real
        values: dict[str, Any] = {
            "dialect": make.dialect,
            "model": make.model,
            "network": make.network,
            "slots": 2 if make.dialect == "trial" else 1,
            "addresses": (f"{device_id}/",),
        }
        return report(device_id, version or box.version, **values | changes)

    def speak(self, device_id: str) -> None:
        self.boxes.setdefault(device_id, Box())
        self.tell(self.word(device_id))

    # --- what is written ---------------------------------------------------------------------------------------------

    def wrote(self, save: Save) -> None:
        self.disk.write(save)
        for row in save.audit:
            if row.kind == "pilot_settled":
                self.proven |= {
                    install.pilot_key for install in self.written.values() if install.device_id == row.subject
                }
            elif row.kind == "model_stopped":
                self.stops[row.subject] = (row.values["version"], row.values["device"])
            elif row.kind == "model_released":
                self.stops.pop(row.subject, None)
        for install in save.installs:
            self.judge(install)
            self.written[install.id] = install
            if install.state.is_end:
                self.yes.pop(install.device_id, None)
        for device_id in save.forget:
            self.written = {name: item for name, item in self.written.items() if item.device_id != device_id}

    def judge(self, install: Install) -> None:
        """Every state that is not an end has a deadline, and success is only what the device itself reported."""
        assert install.state.is_end or install.state.is_waiting or install.deadline is not None
        before = self.written.get(install.id)
        if install.state is InstallState.SUCCEEDED and (before is None or before.state != install.state):
            first = min(item.at for item in self.sent if item.order.device_id == install.device_id)
            assert self.boxes[install.device_id].told[install.offer.version] >= first

    # --- the promises ------------------------------------------------------------------------------------------------

    def command(self, order: SendInstall, save: Save | None) -> Iterable[Input]:
        """Hold a command against the promises at the moment at which it would be published."""
        assert save is not None, "not written ahead"
        (install,) = [item for item in save.installs if item.id == order.install_id]
        assert (install.state, install.attempt_id) == (InstallState.INSTALLING, order.attempt_id)
        assert order.attempt_id not in {item.order.attempt_id for item in self.sent}, "one attempt sent twice"
        assert self.connected
        assert not self.settings.paused
        self.check_approval(install)
        self.check_window(install, order)
        self.check_earlier_attempt(install)
        self.check_others(install)
        assert install.command_deadline is not None
        over = self.real + (install.command_deadline - self.now)
        self.sent.append(Sent(order, install.offer.version, self.real, over))
        if self.dies_at_command:
            self.died = True
        else:
            yield CommandSent(order.install_id, order.attempt_id)

    def check_approval(self, install: Install) -> None:
        """Invariant 1, and the newest word of the vendor."""
        yes = self.yes.get(install.device_id)
        assert yes is not None, "nobody said yes"
        assert (install.offer.version, install.offer.digest) == (yes.version, yes.digest)
        assert install.approval.expires > self.now
        assert install.approval.at_once <= yes.at_once
        assert self.feeds, "its feed is gone"
        assert self.heard is not None, "its feed vouches for nothing"
        assert self.heard.expires is not None
        assert self.heard.expires > self.now
        assert yes.digest in {item.digest for item in self.heard.releases if item.version == yes.version}

    def check_window(self, install: Install, order: SendInstall) -> None:
        """Invariant 2."""
        if install.approval.at_once or install.device_id in self.settings.any_time:
            return
        closes = Window(self.settings).closes(self.now)
        assert closes is not None, "outside the window"
        assert order.not_after is not None
        assert self.now <= order.not_after <= closes

    def check_earlier_attempt(self, install: Install) -> None:
        """Invariant 6: the earlier deadline has passed, and then the device itself named its old version."""
        told = self.boxes[install.device_id].told
        # A person may try again a device that was left in a helper image, which then is what it comes from.
        begins = (install.from_version, HELPER) if install.retry else (install.from_version,)
        told_old = max(told[version] for version in begins if version in told)
        assert self.real - told_old <= limits.FRESH_REPORT
        earlier = [item for item in self.sent if item.order.device_id == install.device_id]
        if earlier:
            assert self.real >= earlier[-1].over, "an earlier command may still be at work"
            assert told_old >= earlier[-1].over, "it has not spoken since"

    def check_others(self, install: Install) -> None:
        """Invariant 8, and no more than the owner allows."""
        others = [item for item in self.written.values() if item.state.is_commanded and item.id != install.id]
        network = MAKES[install.device_id].network
        assert sum(MAKES[item.device_id].network == network for item in others) < PARALLEL
        if install.pilot_key not in self.proven:
            assert install.pilot_key not in {item.pilot_key for item in others}, "the first one is not alone"
            settling = {item.pilot_key for item in self.written.values() if item.settle_until is not None}
            assert install.pilot_key not in settling, "the first one has not settled"
        version, device_id = self.stops.get(f"Acme/{install.identity.model}", ("none", ""))
        if version in {"", install.offer.version}:
            assert device_id == install.device_id, "its model is stopped"
            assert install.retry

    # --- devices -----------------------------------------------------------------------------------------------------

    @rule(device_id=devices, version=st.sampled_from([OLD, OLD, NEW, NEW, NEWER, STRANGE]))
    def a_device_reports(self, device_id: str, version: str) -> None:
        if self.connected:
            self.boxes.setdefault(device_id, Box()).version = version
            self.speak(device_id)

    @rule(device_id=devices)
    def a_device_comes_back_on_what_it_was_sent(self, device_id: str) -> None:
        wanted = [item.version for item in self.sent if item.order.device_id == device_id]
        if wanted and self.connected and device_id in self.boxes:
            self.boxes[device_id].version = wanted[-1]
            self.boxes[device_id].online = True
            self.speak(device_id)
            self.pass_time(11 * SECOND)
            self.tell(HealthReported(device_id, self_test="passed"))
            self.speak(device_id)

    @rule(number=minutes)
    def a_good_hour_passes(self, number: int) -> None:
        """All that were sent something come back on it."""
        self.pass_time(number * MINUTE)
        for device_id in sorted({item.device_id for item in self.written.values() if item.state.is_commanded}):
            self.a_device_comes_back_on_what_it_was_sent(device_id)
        self.pass_time(limits.PILOT_SETTLE)

    @rule(device_id=devices)
    def a_device_is_in_a_helper_image(self, device_id: str) -> None:
        if self.connected and device_id in self.boxes:
            self.boxes[device_id].version = HELPER
            self.tell(self.word(device_id, helper=True))

    @rule(device_id=devices, version=st.sampled_from([OLD, NEW]))
    def the_broker_kept_an_old_word(self, device_id: str, version: str) -> None:
        if self.connected and device_id in self.boxes:
            self.tell(self.word(device_id, version, retained=True))

    @rule(device_id=devices, online=st.booleans())
    def a_device_comes_or_goes(self, device_id: str, online: bool) -> None:
        if self.connected and device_id in self.boxes:
            self.boxes[device_id].online = online
            self.tell(DeviceLinkChanged(device_id, online))

    @rule(device_id=devices, answers=st.booleans())
    def a_device_is_silent_or_not(self, device_id: str, answers: bool) -> None:
        if device_id in self.boxes:
            self.boxes[device_id].answers = answers

    @rule(device_id=devices, stage=st.sampled_from(list(Stage)), echo=st.booleans())
    def a_device_speaks_of_its_install(self, device_id: str, stage: Stage, echo: bool) -> None:
        ids = [item.order.attempt_id for item in self.sent if item.order.device_id == device_id]
        if self.connected:
            self.tell(InstallReported(device_id, stage, attempt_id=ids[-1] if echo and ids else None))

    @rule(
        device_id=devices,
        self_test=st.sampled_from([None, "passed", "failed"]),
        uptime_s=st.sampled_from([None, 0, 30, 10**6]),
    )
    def a_device_says_how_it_is(self, device_id: str, self_test: str | None, uptime_s: int | None) -> None:
        if self.connected:
            self.tell(HealthReported(device_id, self_test=self_test, uptime_s=uptime_s))

    # --- people ------------------------------------------------------------------------------------------------------

    def ask(self, item: Input) -> bool:
        try:
            self.tell(item)
        except Refused:
            return False
        return True

    @rule(device_id=devices, version=st.sampled_from(VERSIONS), at_once=st.booleans())
    def a_person_approves(self, device_id: str, version: str, at_once: bool) -> None:
        releases = self.published.releases if self.published else ()
        digests = [item.digest for item in releases if item.version == version]
        if not digests:
            return
        before = self.yes.get(device_id)
        said_now = before is not None and before.version == version and before.at_once
        self.yes[device_id] = Yes(version, digests[0], at_once or said_now)
        if not self.ask(ApproveRequested(device_id, "anna", version, at_once)):
            self.yes.pop(device_id, None)
            self.yes |= {device_id: before} if before else {}

    @rule(at_once=st.booleans())
    def a_person_approves_everything(self, at_once: bool) -> None:
        for device_id in sorted(MAKES):
            self.a_person_approves(device_id, NEW, at_once)

    @rule(device_id=devices, skip=st.booleans())
    def a_person_takes_it_back(self, device_id: str, skip: bool) -> None:
        self.ask(UnapproveRequested(device_id, "anna", skip))

    @rule(device_id=devices)
    def a_person_tries_again(self, device_id: str) -> None:
        ended = [item for item in self.written.values() if item.device_id == device_id and item.state.is_end]
        if ended and device_id not in self.yes:
            offer = ended[-1].offer
            self.yes[device_id] = Yes(offer.version, offer.digest, at_once=False)
            if not self.ask(RetryRequested(device_id, "anna")):
                self.yes.pop(device_id, None)

    @rule(device_id=devices)
    def a_person_lets_a_model_go_on(self, device_id: str) -> None:
        self.ask(ModelReleased(device_id, "anna"))

    @rule(device_id=devices)
    def a_person_removes_a_device(self, device_id: str) -> None:
        if self.ask(ForgetRequested(device_id, "anna")):
            self.yes.pop(device_id, None)

    @rule()
    def a_person_looks(self) -> None:
        self.tell(CheckRequested("anna"))
        for device_id in MAKES:
            self.hub.device_view(device_id, self.now)
        self.hub.hub_view(self.now)
        self.hub.plan(self.now)

    @rule(
        paused=st.sampled_from([False, False, True]),
        free=st.sets(devices, max_size=1),
        hours=st.sampled_from([1, 5, 24]),
    )
    def a_person_changes_the_settings(self, paused: bool, free: set[str], hours: int) -> None:
        end = (BEGIN.replace(hour=0, minute=0) + hours * HOUR).time()
        self.settings = Settings(parallel_installs=PARALLEL, paused=paused, any_time=frozenset(free), window_end=end)
        self.tell(SettingsChanged(self.settings))

    # --- the outside -------------------------------------------------------------------------------------------------

    @rule(
        versions=st.sampled_from([[NEW], [NEW], [NEW, NEWER], [NEW, NEWER], [NEWER], []]),
        valid=st.sampled_from([60 * DAY, 60 * DAY, DAY, HOUR]),
    )
    def the_vendor_publishes(self, versions: list[str], valid: timedelta) -> None:
        self.publish(versions, valid)

    def publish(self, versions: list[str], valid: timedelta) -> None:
        self.sequence += 1
        releases = [release(version, model=("PLUG-S1", "FAN-1")) for version in versions]
        self.published = manifest(
            *releases,
            sequence=self.sequence,
            digest=f"d{self.sequence}",
            issued=self.now - HOUR,
            expires=self.now + valid,
        )
        raw = self.published.digest.encode()
        self.raw[raw] = self.published
        self.tell(ManifestRead("acme", self.published, raw, "", self.now))

    @rule(off=st.booleans())
    def the_feed_is_switched(self, off: bool) -> None:
        self.feeds = () if off else (feed(),)
        self.tell(FeedsChanged(self.feeds))

    @rule(files=st.sampled_from([None, None, Reason.UNREACHABLE, Reason.DIGEST_MISMATCH]))
    def the_vendors_files_are_there_or_not(self, files: Reason | None) -> None:
        self.files = files

    @rule(works=st.booleans())
    def the_disk_is_full_or_not(self, works: bool) -> None:
        self.disk.works = works
        if works and self.disk.failed:
            self.disk.failed = False
            self.tell(SaveWorked())

    @rule(connected=st.booleans())
    def the_broker_comes_or_goes(self, connected: bool) -> None:
        self.link(up=connected)

    @rule(how_long=st.sampled_from([5 * SECOND, MINUTE, 7 * MINUTE, 3 * HOUR]))
    def the_process_is_killed(self, how_long: timedelta) -> None:
        self.now += how_long
        self.real += how_long
        self.start()
        self.link(up=True)

    @rule()
    def the_process_will_be_killed_at_a_command(self) -> None:
        self.dies_at_command = True

    @rule()
    def a_command_was_not_published(self) -> None:
        if self.sent:
            order = self.sent[-1].order
            self.tell(CommandNotSent(order.install_id, order.attempt_id, Reason.BROKER_DISCONNECTED))

    # --- time --------------------------------------------------------------------------------------------------------

    def pass_time(self, how_long: timedelta) -> None:
        until = self.real + how_long
        while self.real < until:
            wish = self.hub.next_wakeup()
            step = min(MINUTE, until - self.real)
            if wish is not None:
                step = min(step, max(wish - self.now, SECOND / 10))
            self.now += step
            self.real += step
            self.tell(WokenUp())

    @rule(number=minutes)
    def time_passes(self, number: int) -> None:
        self.pass_time(number * MINUTE)

    @rule(days=st.sampled_from([0, 1]))
    def the_next_night_comes(self, days: int) -> None:
        following = Window(self.settings).next_opening(self.now + days * DAY)
        assert following is not None
        self.pass_until(following.start + MINUTE)

    def pass_until(self, at: datetime) -> None:
        """Let hours pass in steps that are just short of a jump."""
        while self.now < at:
            step = min(limits.MISSED_TIME, at - self.now)
            self.now += step
            self.real += step
            self.tell(WokenUp())

    @rule(hours=st.sampled_from([-48, -3, -0.2, 0.2, 3, 30]))
    def the_clock_is_set(self, hours: float) -> None:
        self.now += hours * HOUR

    @rule(hours=st.sampled_from([0.2, 3]))
    def the_machine_sleeps(self, hours: float) -> None:
        self.now += hours * HOUR
        self.real += hours * HOUR

    @invariant()
    def at_most_one_install_of_a_device_is_under_way(self) -> None:
        open_ones = [item.device_id for item in self.written.values() if not item.state.is_end]
        assert len(open_ones) == len(set(open_ones)) or not self.disk.works or self.disk.failed

    @override
    def teardown(self) -> None:
        """Whatever happened: when all is well again, what was commanded comes to its end."""
        if not self.boxes:
            return
        self.the_disk_is_full_or_not(works=True)
        self.link(up=True)
        self.settings = replace(self.settings, paused=True)
        self.tell(SettingsChanged(self.settings))
        self.pass_time(3 * HOUR)
        assert [item.state for item in self.written.values() if item.state.is_commanded] == []


# A failure is told with all of its steps; to make them fewer takes minutes: add Phase.shrink for that.
HubInAnyHome.TestCase.settings = settings(max_examples=25, stateful_step_count=30, phases=[Phase.generate])
TestHubInAnyHome = HubInAnyHome.TestCase
