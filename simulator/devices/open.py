"""A device that speaks the open device protocol, version 1 (docs/device-protocol.md)."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any, override

import jwt

from simulator.devices.base import DeviceState, Download, SimulatedDevice
from simulator.images import Image, NotAnImage, read_image
from simulator.link import Incoming, Link, Publication

ROOT = "fwhub/device"
FREE_BYTES = 64 * 1024 * 1024
LOW_BATTERY_PERCENT = 12
SELF_TEST_RUNS = ""


class OpenMisbehaviour(StrEnum):
    """Ways in which a device of this family can go wrong."""

    FAILS_SELF_TEST = "fails_self_test"
    """The new image finds itself unhealthy, says so, and waits on trial for what the hub decides."""
    FAILS_AND_GOES_BACK = "fails_and_goes_back"
    """The new image finds itself unhealthy and goes back by itself at once, saying ``rolled_back``."""
    COMES_BACK_OLD = "comes_back_old"
    """It reboots and is back on the old version without a word."""
    NEVER_RETURNS = "never_returns"
    """It reboots and is never heard of again."""
    REPORTS_FAILED = "reports_failed"
    """It downloads, then says ``failed`` with a reason and stays as it was."""
    REPORTS_REJECTED = "reports_rejected"
    """It says ``rejected`` with a reason as soon as it has read the command."""
    IGNORES_COMMANDS = "ignores_commands"
    """It does not react to install commands at all."""
    ASLEEP_AT_FIRST = "asleep_at_first"
    """It is a sleeping kind; once announced it sleeps for ``sleep_seconds`` or until ``wake``, then it stays awake."""
    PROGRESS_JUMPS_BACK = "progress_jumps_back"
    """Its per cents fall now and then."""
    STUCK_AT_ZERO = "stuck_at_zero"
    """It says ``downloading`` at 0 % and nothing more."""
    LIES_ABOUT_SUCCESS = "lies_about_success"
    """It says ``committed`` after the reboot while it runs the old version."""
    UPDATES_ITSELF = "updates_itself"
    """Somebody else updates it to ``other_image`` as soon as an install command arrives, which it does not answer."""
    LOW_BATTERY = "low_battery"
    """Its battery is nearly empty; it says so and rejects installs."""
    IDENTITY_CHANGES = "identity_changes"
    """After the reboot it announces another hardware revision."""
    CLAIMS_OTHER_ID = "claims_other_id"
    """It also announces itself under the id in ``other_id``, with its own facts."""
    FLOODS = "floods"
    """It announces itself under hundreds of invented ids, and repeats its health as often."""
    FLASHES_ANYTHING = "flashes_anything"
    """It does not look whether the image is for its hardware, and flashes older counters too."""
    DROPS_CONNECTION = "drops_connection"
    """It loses the broker in the middle of the download, comes back after a while and finishes."""
    TRANSFER_BREAKS = "transfer_breaks"
    """Its download ends in the middle; it says ``failed``."""
    SLOW = "slow"
    """Everything takes ten times as long."""
    NO_GOODBYE = "no_goodbye"
    """It reboots without saying ``offline`` first, so that only its last will tells."""
    IGNORES_ROLLBACK = "ignores_rollback"
    """It does not obey a rollback; on trial it goes back only when the trial is over."""
    LOSES_FIRST_COMMIT = "loses_first_commit"
    """The first commit of each trial never reaches it."""


class OpenDevice(SimulatedDevice):
    """A device with one slot, or with two and a trial.

    ``trial_seconds`` are real seconds whatever the speed, because the hub takes real time to decide. A device with
    ``trusted_keys`` (public JWKs) also checks the signed manifest that the command names. One that does not know the
    time (``knows_time=False``) cannot see that a command is late.
    """

    dialect = "open"

    def __init__(  # noqa: PLR0913  every option is named at the call
        self,
        *,
        name: str,
        image: Image,
        link: Link,
        mac: str = "",
        title: str = "",
        speed: float = 1.0,
        slots: int = 1,
        misbehaviours: Iterable[OpenMisbehaviour | str] = (),
        battery_percent: int | None = None,
        trusted_keys: Iterable[str] = (),
        knows_time: bool = True,
        trial_seconds: float = 300.0,
        sleep_seconds: float = 60.0,
        download_seconds: float = 10.0,
        other_image: Image | None = None,
        other_id: str = "",
    ) -> None:
        """Lie on the shelf; ``name`` is the device id in its topics."""
        super().__init__(name=name, mac=mac, image=image, link=link, speed=speed)
        self.misbehaviours = {OpenMisbehaviour(word) for word in misbehaviours}
        self.title = title
        self.slots = slots
        self.previous: Image | None = None
        self.battery_percent = battery_percent
        if self._does(OpenMisbehaviour.LOW_BATTERY):
            self.battery_percent = LOW_BATTERY_PERCENT
        if self._does(OpenMisbehaviour.SLOW):
            self.speed /= 10
        self.trusted_keys = [jwt.PyJWK.from_json(key) for key in trusted_keys]
        self.knows_time = knows_time
        self.trial_seconds = trial_seconds
        self.sleep_seconds = sleep_seconds
        self.download_seconds = download_seconds
        self.other_image = other_image
        self.other_id = other_id
        self.self_test = "passed"
        self.attempt = ""
        self.last_status = ""
        self._unproven = False
        self._lost_commit = ""

    # --- what it says ------------------------------------------------------------------------------------------------

    def topic(self, what: str, device: str = "") -> str:
        """Return one of its topics."""
        return f"{ROOT}/{device or self.name}/{what}"

    def info(self) -> dict[str, object]:
        """Return what it announces of itself."""
        image = self.image
        facts: dict[str, object | None] = {
            "protocol": 1,
            "manufacturer": image.manufacturer,
            "model": image.model,
            "hardware": image.hardware or None,
            "variant": image.variant or None,
            "version": image.version,
            "counter": image.counter,
            "slots": self.slots,
            "mac": self.mac or None,
            "battery_powered": self.battery_percent is not None,
            "sleeps": True if self._does(OpenMisbehaviour.ASLEEP_AT_FIRST) else None,
            "name": self.title or None,
        }
        return {key: value for key, value in facts.items() if value is not None}

    def health(self) -> dict[str, object]:
        """Return how it says it is."""
        facts: dict[str, object] = {"rssi_dbm": -58, "uptime_s": self.uptime_s, "free_bytes": FREE_BYTES}
        if self.self_test is not SELF_TEST_RUNS:
            facts["self_test"] = self.self_test
        if self.battery_percent is not None:
            facts["battery_percent"] = self.battery_percent
        return facts

    @override
    def will(self) -> Publication | None:
        return Publication(self.topic("availability"), "offline", retain=True)

    @override
    def filters(self) -> Sequence[str]:
        return (self.topic("command"),)

    @override
    async def _announce(self) -> None:
        await self.say_info()
        await self._say(self.topic("availability"), "online", retain=True)
        await self.say_health()
        if self._does(OpenMisbehaviour.CLAIMS_OTHER_ID):
            await self._say(self.topic("info", self.other_id), json.dumps(self.info()), retain=True)
        if self._does(OpenMisbehaviour.FLOODS):
            await self.flood()

    async def say_info(self) -> None:
        """Say what it is, retained."""
        await self._say(self.topic("info"), json.dumps(self.info()), retain=True)

    async def say_health(self) -> None:
        """Say how it is."""
        await self._say(self.topic("health"), json.dumps(self.health()))

    async def report(self) -> None:
        """Say both again."""
        await self.say_info()
        await self.say_health()

    async def flood(self, devices: int = 300) -> None:
        """Invent devices, and talk a lot."""
        for number in range(devices):
            fake = self.info() | {"mac": f"02:FF:00:00:{number // 256:02X}:{number % 256:02X}"}
            await self._say(self.topic("info", f"{self.name}-{number}"), json.dumps(fake))
            await self.say_health()

    async def _status(self, state: str, *, percent: int | None = None, reason: str = "", attempt: str = "") -> None:
        status: dict[str, object] = {"id": attempt or self.attempt, "state": state}
        if percent is not None:
            status["progress_percent"] = percent
        if reason:
            status["reason"] = reason
        await self._say(self.topic("status"), json.dumps(status))
        self.last_status = state
        self._changed()

    # --- power, sleep, and things that happen by themselves ----------------------------------------------------------

    @override
    async def start(self) -> None:
        if self._unproven and self.previous is not None:
            self.image, self.previous = self.previous, None
        self._unproven = False
        self.self_test = "passed"
        await super().start()
        if self._does(OpenMisbehaviour.ASLEEP_AT_FIRST):
            await self.sleep()
            self._spawn(self._wake_later())

    async def sleep(self) -> None:
        """Say goodbye and be unreachable until ``wake``."""
        await self._leave(DeviceState.ASLEEP)

    async def wake(self) -> None:
        """Come back from sleep; not a boot."""
        if self.state is DeviceState.ASLEEP:
            await self.link.open(self)

    async def _wake_later(self) -> None:
        await self._pause(self.sleep_seconds)
        await self.wake()

    async def become(self, image: Image) -> None:
        """Be changed by somebody else than the hub: reboot into this image."""
        await self._reboot()
        self.image = image
        await self._boot()

    async def _leave(self, state: DeviceState) -> None:
        await self._say(self.topic("availability"), "offline", retain=True)
        self._set(state)
        await self.link.close()

    async def _reboot(self) -> None:
        self.deaf = True
        if self._does(OpenMisbehaviour.NO_GOODBYE):
            await self._vanish()
        else:
            await self._leave(DeviceState.REBOOTING)
        await self._pause(6)

    # --- commands ----------------------------------------------------------------------------------------------------

    @override
    def _hear(self, message: Incoming) -> None:
        try:
            order = json.loads(message.payload)
        except ValueError:
            return
        if not isinstance(order, dict):
            return
        attempt = str(order.get("id", ""))
        match order.get("command"):
            case "install":
                self._hear_install(order, attempt, message)
            case "commit":
                self._spawn(self._commit(attempt))
            case "rollback":
                self._spawn(self._roll_back(attempt))
            case "report":
                self._spawn(self.report())

    def _hear_install(self, order: dict[str, Any], attempt: str, message: Incoming) -> None:
        known = any(command.attempt == attempt for command in self.record.commands)
        command = self._note_command(attempt, not_after=_time(order.get("not_after")), retain=message.retain)
        if known or message.retain or self._does(OpenMisbehaviour.IGNORES_COMMANDS):
            return
        if self._does(OpenMisbehaviour.UPDATES_ITSELF):
            self._spawn(self.become(self.other_image or replace(self.image, version="99.0.0")))
        elif refusal := self._refusal(late=command.late):
            self._spawn(self._status("rejected", reason=refusal, attempt=attempt))
        else:
            self.attempt = attempt
            self._set(DeviceState.DOWNLOADING)
            self._spawn(self._install(order))

    def _refusal(self, *, late: bool) -> str:
        """Return why it will not even begin; empty if it will."""
        if self.state is not DeviceState.ONLINE:
            return "busy"
        if late and self.knows_time:
            return "too late"
        if self._does(OpenMisbehaviour.LOW_BATTERY):
            return "battery low"
        return "not wanted" if self._does(OpenMisbehaviour.REPORTS_REJECTED) else ""

    # --- the install -------------------------------------------------------------------------------------------------

    async def _install(self, order: dict[str, Any]) -> None:
        await self._pause(0.1)
        await self._status("downloading", percent=0)
        if self._does(OpenMisbehaviour.STUCK_AT_ZERO):
            return
        body, failure = await self._fetch(order)
        refusal = ""
        if not failure:
            await self._status("verifying", percent=70)
            await self._pause(1)
            refusal = await self._check(order, body)
            failure = "flash error" if self._does(OpenMisbehaviour.REPORTS_FAILED) else ""
        if failure or refusal:
            self._set(DeviceState.ONLINE)
            await self._status("rejected" if refusal else "failed", reason=refusal or failure)
        else:
            await self._flash(body)

    async def _fetch(self, order: dict[str, Any]) -> tuple[bytes, str]:
        """Return the body, and why it could not be had; empty if it could."""
        size = int(order.get("size") or 0)
        said = 0

        async def progress(received: int) -> None:
            nonlocal said
            tenths = min(10, received * 10 // max(1, size))
            if tenths > said:
                said = tenths
                await self._pause(self.download_seconds / 10)
                await self._status("downloading", percent=self._percent(tenths * 7))
                if tenths >= 5:
                    await self._stumble()

        download = await self._download(str(order.get("url", "")), limit=size, on_chunk=progress)
        return download.body, _failure(download, size)

    def _percent(self, true: int) -> int:
        if self._does(OpenMisbehaviour.PROGRESS_JUMPS_BACK) and true % 2:
            return max(0, true - 30)
        return true

    async def _stumble(self) -> None:
        """Do in the middle of a download what was asked for."""
        if self._does(OpenMisbehaviour.TRANSFER_BREAKS):
            raise ConnectionError
        if self._does(OpenMisbehaviour.DROPS_CONNECTION):
            self.misbehaviours.discard(OpenMisbehaviour.DROPS_CONNECTION)
            await self.lose_connection(10)

    async def _check(self, order: dict[str, Any], body: bytes) -> str:
        """Return why this image is refused; empty if it is not."""
        digest = hashlib.sha256(body).hexdigest()
        if digest != order.get("sha256"):
            return "sha256"
        if not self._does(OpenMisbehaviour.FLASHES_ANYTHING) and (reason := self._misfit(body)):
            return reason
        return await self._check_manifest(order, digest) if self.trusted_keys else ""

    def _misfit(self, body: bytes) -> str:
        try:
            new = read_image(body)
        except NotAnImage:
            return "not an image"
        old = self.image
        if (new.manufacturer, new.model, new.hardware) != (old.manufacturer, old.model, old.hardware):
            return "wrong hardware"
        return "counter" if (new.counter or 0) < (old.counter or 0) else ""

    async def _check_manifest(self, order: dict[str, Any], digest: str) -> str:
        download = await self._download(str(order.get("manifest_url", "")), limit=5_000_000)
        if download.status != 200 or download.error:
            return "no manifest"
        for key in self.trusted_keys:
            try:
                payload = jwt.PyJWS().decode(download.body.strip(), key=key, algorithms=[key.algorithm_name])
            except jwt.PyJWTError:
                continue
            return "" if (order.get("version"), digest) in _listed(payload) else "not in the manifest"
        return "manifest not genuine"

    async def _flash(self, body: bytes) -> None:
        self.deaf = True
        self._set(DeviceState.FLASHING)
        for percent in (75, 85, 95):
            await self._status("installing", percent=percent)
            await self._pause(2)
        await self._status("rebooting", percent=100)
        await self._pause(1)
        await self._reboot()
        try:
            new = read_image(body)
        except NotAnImage:
            new = None
        await self._boot_after_flashing(new)

    async def _boot_after_flashing(self, new: Image | None) -> None:
        if self._does(OpenMisbehaviour.NEVER_RETURNS) or (new is None and self.slots < 2):
            self._set(DeviceState.DEAD)
        elif new is None or self._does(OpenMisbehaviour.COMES_BACK_OLD):
            await self._boot()
        elif self._does(OpenMisbehaviour.LIES_ABOUT_SUCCESS):
            await self._boot()
            await self._status("committed")
        else:
            if self._does(OpenMisbehaviour.IDENTITY_CHANGES):
                new = replace(new, hardware=f"{new.hardware}-other")
            self.previous, self.image = self.image, new
            await self._run_new_image()

    async def _run_new_image(self) -> None:
        ill = bool(self.misbehaviours & {OpenMisbehaviour.FAILS_SELF_TEST, OpenMisbehaviour.FAILS_AND_GOES_BACK})
        self.self_test = SELF_TEST_RUNS
        self._unproven = self.slots > 1
        await self._boot()
        if self._unproven:
            self._set(DeviceState.TRIAL)
        await self._status("self_test")
        await self._pause(2)
        self.self_test = "failed" if ill else "passed"
        await self.say_health()
        reason = "self-test" if ill else ""
        if not self._unproven:
            await self._status("failed" if ill else "committed", reason=reason)
        elif self._does(OpenMisbehaviour.FAILS_AND_GOES_BACK):
            await self._back_to_previous(reason)
        else:
            await self._status("trial", reason=reason)
            self._spawn(self._end_trial(self.attempt))

    async def _end_trial(self, attempt: str) -> None:
        try:
            await self.wait_for(lambda _: not self._unproven or self.attempt != attempt, self.trial_seconds)
        except TimeoutError:
            await self._back_to_previous("no commit")

    async def _commit(self, attempt: str) -> None:
        if attempt != self.attempt or self.slots < 2 or self.previous is None or self.last_status == "self_test":
            return
        if self._does(OpenMisbehaviour.LOSES_FIRST_COMMIT) and self._lost_commit != attempt:
            self._lost_commit = attempt
            return
        self._unproven = False
        self._set(DeviceState.ONLINE)
        await self._status("committed")

    async def _roll_back(self, attempt: str) -> None:
        if self._does(OpenMisbehaviour.IGNORES_ROLLBACK) or self.slots < 2 or self.previous is None:
            return
        self.attempt = attempt
        await self._back_to_previous("ordered")

    async def _back_to_previous(self, reason: str) -> None:
        if self.previous is None:
            return
        old, self.previous, self._unproven = self.previous, None, False
        await self._reboot()
        self.image = old
        self.self_test = "passed"
        await self._boot()
        await self._status("rolled_back", reason=reason)

    def _does(self, what: OpenMisbehaviour) -> bool:
        return what in self.misbehaviours


def _failure(download: Download, size: int) -> str:
    """Return why this download is no whole image; empty if it is one."""
    if download.status == 0:
        return "unreachable"
    if download.status != 200:
        return f"http {download.status}"
    if download.error == "too long" or (download.length is not None and download.length != size):
        return "size"
    if download.error:
        return "transfer"
    return "" if len(download.body) == size else "size"


def _listed(payload: bytes) -> set[tuple[str, str]]:
    """Return version and digest of everything in a manifest that was found genuine."""
    return {
        (release["version"], artifact["sha256"])
        for release in json.loads(payload)["releases"]
        for artifact in release["artifacts"]
    }


def _time(value: object) -> datetime | None:
    if not isinstance(value, str):
        return None
    try:
        moment = datetime.fromisoformat(value)
    except ValueError:
        return None
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)
