"""A device that speaks the open device protocol (design section 5.4)."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any

import jwt

from simulator.devices.base import DeviceState, Download, SimulatedDevice
from simulator.images import Image, NotAnImage, read_image
from simulator.link import Incoming, Link, Publication

ROOT = "fwhub/device"
FLASH_BYTES = 64 * 1024 * 1024


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
    """After its first announcement it sleeps for ``sleep_seconds``, or until ``wake`` is called; then it stays awake."""
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
    DROPS_CONNECTION = "drops_connection"
    """It loses the broker in the middle of the download, comes back after a while and finishes."""
    TRANSFER_BREAKS = "transfer_breaks"
    """Its download ends in the middle; it says ``failed``."""
    SLOW = "slow"
    """Everything takes ten times as long."""
    IGNORES_ROLLBACK = "ignores_rollback"
    """It stays on trial whatever the hub says."""
    LOSES_FIRST_COMMIT = "loses_first_commit"
    """The first commit after each boot never reaches it."""


class OpenDevice(SimulatedDevice):
    """A device with one slot, or with two and a trial.

    ``trial_seconds`` are real seconds whatever the speed, because the hub takes real time to decide. A device with
    ``trusted_keys`` (public JWKs) also checks the signed manifest that the command names. One that does not know the
    time (``knows_time=False``) cannot see that a command is late.
    """

    dialect = "open"

    def __init__(
        self,
        *,
        name: str,
        image: Image,
        link: Link,
        mac: str = "",
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
        self.slots = slots
        self.previous: Image | None = None
        self.battery_percent = battery_percent
        if self._does(OpenMisbehaviour.LOW_BATTERY):
            self.battery_percent = 12
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
        self.last_status: dict[str, object] | None = None
        self.attempt = ""
        self._commits_lost = 0
        self._trial_ends: float | None = None

    # --- what it says ------------------------------------------------------------------------------------------------

    def topic(self, what: str, device: str = "") -> str:
        """Return one of its topics."""
        return f"{ROOT}/{device or self.name}/{what}"

    def info(self) -> dict[str, object]:
        """What it announces of itself."""
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
        }
        return {key: value for key, value in facts.items() if value is not None}

    def health(self) -> dict[str, object]:
        """How it says it is."""
        facts: dict[str, object] = {
            "rssi_dbm": -58,
            "uptime_s": self.uptime_s,
            "free_bytes": FLASH_BYTES,
            "self_test": self.self_test,
        }
        if self.battery_percent is not None:
            facts["battery_percent"] = self.battery_percent
        return facts

    def will(self) -> Publication | None:
        """See ``SimulatedDevice``."""
        return Publication(self.topic("availability"), "offline", retain=True)

    def filters(self) -> Sequence[str]:
        """See ``SimulatedDevice``."""
        return (self.topic("command"),)

    async def _announce(self) -> None:
        await self._say(self.topic("availability"), "online", retain=True)
        await self.report()
        if self._does(OpenMisbehaviour.CLAIMS_OTHER_ID):
            await self._say(self.topic("info", self.other_id), json.dumps(self.info()), retain=True)
        if self._does(OpenMisbehaviour.FLOODS):
            await self.flood()

    async def report(self) -> None:
        """Say everything again."""
        await self._say(self.topic("info"), json.dumps(self.info()), retain=True)
        await self.say_health()
        if self.last_status is not None:
            await self._say(self.topic("status"), json.dumps(self.last_status))

    async def say_health(self) -> None:
        """Say how it is."""
        await self._say(self.topic("health"), json.dumps(self.health()))

    async def flood(self, devices: int = 300) -> None:
        """Invent devices, and talk a lot."""
        for number in range(devices):
            fake = self.info() | {"mac": f"02:FF:00:00:{number // 256:02X}:{number % 256:02X}"}
            await self._say(self.topic("info", f"{self.name}-{number}"), json.dumps(fake))
            await self.say_health()

    async def _status(self, state: str, *, percent: int | None = None, reason: str = "") -> None:
        status: dict[str, object] = {"id": self.attempt, "state": state}
        if percent is not None:
            status["progress_percent"] = percent
        if reason:
            status["reason"] = reason
        self.last_status = status
        await self._say(self.topic("status"), json.dumps(status))
        self._changed()

    # --- sleep, and things that happen by themselves -----------------------------------------------------------------

    async def start(self) -> None:
        """See ``SimulatedDevice``."""
        await super().start()
        if self._does(OpenMisbehaviour.ASLEEP_AT_FIRST):
            await self.sleep()
            self._spawn(self._wake_later())

    async def sleep(self) -> None:
        """Say goodbye and be unreachable until ``wake``."""
        await self._say(self.topic("availability"), "offline", retain=True)
        await self.link.close()
        self._set(DeviceState.ASLEEP)

    async def wake(self) -> None:
        """Come back from sleep; not a boot."""
        if self.state is DeviceState.ASLEEP:
            await self.link.open(self)

    async def _wake_later(self) -> None:
        await self._pause(self.sleep_seconds)
        await self.wake()

    async def become(self, image: Image) -> None:
        """Be changed by somebody else than the hub: reboot into this image."""
        await self._go_down()
        await self._pause(5)
        self.image = image
        await self._boot()

    # --- commands ----------------------------------------------------------------------------------------------------

    def _hear(self, message: Incoming) -> None:
        try:
            order = json.loads(message.payload)
        except ValueError:
            return
        if not isinstance(order, dict):
            return
        match order.get("command"):
            case "install":
                self._hear_install(order, message.retain)
            case "commit":
                self._spawn(self._commit(str(order.get("id"))))
            case "rollback":
                self._spawn(self._roll_back(str(order.get("id"))))
            case "report":
                self._spawn(self.report())

    def _hear_install(self, order: dict[str, Any], retain: bool) -> None:
        attempt = str(order.get("id", ""))
        known = any(command.attempt == attempt for command in self.record.commands)
        command = self._note_command(attempt, not_after=_time(order.get("not_after")), retain=retain)
        if known or retain or self._does(OpenMisbehaviour.IGNORES_COMMANDS):
            return
        if self._does(OpenMisbehaviour.UPDATES_ITSELF):
            self._spawn(self.become(self.other_image or replace(self.image, version="99.0.0")))
        elif self.state is not DeviceState.ONLINE:
            self._spawn(self._refuse(attempt, "busy"))
        elif command.late and self.knows_time:
            self._spawn(self._refuse(attempt, "too_late"))
        elif self._does(OpenMisbehaviour.LOW_BATTERY):
            self._spawn(self._refuse(attempt, "battery"))
        elif self._does(OpenMisbehaviour.REPORTS_REJECTED):
            self._spawn(self._refuse(attempt, "not_wanted"))
        else:
            self.attempt = attempt
            self._set(DeviceState.DOWNLOADING)
            self._spawn(self._install(order))

    async def _refuse(self, attempt: str, reason: str) -> None:
        status = {"id": attempt, "state": "rejected", "reason": reason}
        if self.state is DeviceState.ONLINE:
            self.last_status = status
        await self._say(self.topic("status"), json.dumps(status))
        self._changed()

    # --- the install -------------------------------------------------------------------------------------------------

    async def _install(self, order: dict[str, Any]) -> None:
        await self._pause(0.1)
        await self._status("downloading", percent=0)
        if self._does(OpenMisbehaviour.STUCK_AT_ZERO):
            return
        body, problem = await self._fetch(order)
        if not problem:
            await self._status("verifying", percent=70)
            problem = await self._check(order, body)
        if not problem and self._does(OpenMisbehaviour.REPORTS_FAILED):
            problem = "flash_error"
        if problem:
            self._set(DeviceState.ONLINE)
            await self._status("failed", reason=problem)
            return
        await self._flash(body)

    async def _fetch(self, order: dict[str, Any]) -> tuple[bytes, str]:
        """Return the body, and why it cannot be used; empty if it can."""
        size = int(order.get("size") or 0)
        said = 0

        async def progress(received: int) -> None:
            nonlocal said
            share = min(1.0, received / max(1, size))
            if share - said / 10 >= 0.1:
                said = int(share * 10)
                await self._pause(self.download_seconds / 10)
                await self._status("downloading", percent=self._percent(said * 7))
                if said >= 5:
                    await self._stumble()

        download = await self._download(str(order.get("url", "")), limit=size, on_chunk=progress)
        return download.body, _problem(download, size)

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
        digest = hashlib.sha256(body).hexdigest()
        await self._pause(1)
        if digest != order.get("sha256"):
            return "sha256"
        if self.trusted_keys:
            return await self._check_manifest(order, digest)
        return ""

    async def _check_manifest(self, order: dict[str, Any], digest: str) -> str:
        download = await self._download(str(order.get("manifest_url", "")), limit=5_000_000)
        if download.status != 200 or download.error:
            return "manifest_missing"
        for key in self.trusted_keys:
            try:
                decoded = jwt.PyJWS().decode(download.body.decode().strip(), key=key, algorithms=[key.algorithm_name])
                releases = json.loads(decoded)["releases"]
            except (jwt.PyJWTError, ValueError, KeyError):
                continue
            listed = {
                (release.get("version"), artifact.get("sha256"))
                for release in releases
                for artifact in release.get("artifacts", [])
            }
            return "" if (order.get("version"), digest) in listed else "manifest_other"
        return "manifest_signature"

    async def _flash(self, body: bytes) -> None:
        self._set(DeviceState.FLASHING)
        for percent in (75, 85, 100):
            await self._status("installing", percent=percent)
            await self._pause(2)
        await self._status("rebooting")
        self.deaf = True
        await self._pause(1)
        await self._go_down()
        await self._pause(6)
        await self._boot_new(body)

    async def _boot_new(self, body: bytes) -> None:
        try:
            new = read_image(body)
        except NotAnImage:
            new = None
        if self._does(OpenMisbehaviour.NEVER_RETURNS) or (new is None and self.slots < 2):
            self._set(DeviceState.DEAD)
            return
        if new is None or self._does(OpenMisbehaviour.COMES_BACK_OLD):
            self.last_status = None
            await self._boot()
            return
        if self._does(OpenMisbehaviour.LIES_ABOUT_SUCCESS):
            await self._boot()
            await self._status("committed")
            return
        if self._does(OpenMisbehaviour.IDENTITY_CHANGES):
            new = replace(new, hardware=f"{new.hardware}-other")
        self.previous, self.image = self.image, new
        await self._try_out()

    async def _try_out(self) -> None:
        """Run the new image for the first time."""
        ill = self.misbehaviours & {OpenMisbehaviour.FAILS_SELF_TEST, OpenMisbehaviour.FAILS_AND_GOES_BACK}
        self.self_test = "running"
        self.last_status = None
        await self._boot()
        await self._status("self_test")
        await self._pause(2)
        self.self_test = "failed" if ill else "passed"
        await self.say_health()
        if self.slots < 2:
            await self._status("failed" if ill else "committed", reason="self_test" if ill else "")
        elif self._does(OpenMisbehaviour.FAILS_AND_GOES_BACK):
            await self._back_to_previous("self_test")
        else:
            self._commits_lost = 0
            self._set(DeviceState.TRIAL)
            await self._status("trial", reason="self_test" if ill else "")
            self._spawn(self._end_trial(self.attempt))

    async def _end_trial(self, attempt: str) -> None:
        try:
            await self.wait_for(
                lambda device: device.state is not DeviceState.TRIAL or device.attempt != attempt, self.trial_seconds
            )
        except TimeoutError:
            await self._back_to_previous("trial_timeout")

    async def _commit(self, attempt: str) -> None:
        if self.state is not DeviceState.TRIAL or attempt != self.attempt:
            return
        if self._does(OpenMisbehaviour.LOSES_FIRST_COMMIT) and not self._commits_lost:
            self._commits_lost += 1
            return
        self._set(DeviceState.ONLINE)
        await self._status("committed")

    async def _roll_back(self, attempt: str) -> None:
        if self._does(OpenMisbehaviour.IGNORES_ROLLBACK) or self.previous is None:
            return
        self.attempt = attempt
        await self._back_to_previous("")

    async def _back_to_previous(self, reason: str) -> None:
        assert self.previous is not None
        self.deaf = True
        await self._go_down()
        await self._pause(6)
        self.image, self.previous = self.previous, None
        self.self_test = "passed"
        self.last_status = None
        await self._boot()
        await self._status("rolled_back", reason=reason)

    def _does(self, what: OpenMisbehaviour) -> bool:
        return what in self.misbehaviours


def _problem(download: Download, size: int) -> str:
    """Return why this download cannot be used; empty if it can."""
    if download.status == 0:
        return "unreachable"
    if download.status != 200:
        return f"http_{download.status}"
    if download.error == "too long" or (download.length is not None and download.length != size):
        return "size"
    if download.error:
        return "transfer"
    return "" if len(download.body) == size else "size"


def _time(value: object) -> datetime | None:
    if not isinstance(value, str):
        return None
    try:
        moment = datetime.fromisoformat(value)
    except ValueError:
        return None
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)
