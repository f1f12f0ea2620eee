"""A Shelly of the second generation or later: its remote calls, and how it takes a new package."""

from __future__ import annotations

import asyncio
import json
import zlib
from collections.abc import Iterable
from dataclasses import replace
from enum import StrEnum
from typing import Any, override

from simulator.devices.base import DeviceState, Download
from simulator.devices.shelly_voice import RpcError, ShellyVoice
from simulator.images import Image
from simulator.link import Incoming, Link
from simulator.shelly_package import BadPackage, read_package

INVALID_ARGUMENT = -103
UNAVAILABLE = -114
MAX_PACKAGE = 4_000_000
STEPS = 20
"""How often it tells its progress over a whole download."""


class ShellyMisbehaviour(StrEnum):
    """Ways in which a device of this family can go wrong, or be different."""

    BUSY = "busy"
    """It updates already when the command comes: ``error -114``."""
    FAILS = "fails"
    """It tells ``ota_error`` somewhere in the middle and stays as it was."""
    REFUSES_SIGNATURE = "refuses_signature"
    """It loads everything and then finds that it does not like the signature."""
    NO_NOTIFICATIONS = "no_notifications"
    """``rpc_ntf`` is off: it accepts and says nothing more until it has restarted."""
    DOES_NOTHING = "does_nothing"
    """It accepts the command, and that was all; so it is with a ``stage`` that holds nothing newer."""
    IGNORES_COMMANDS = "ignores_commands"
    """It does not even answer an order to update."""
    WANTS_PASSWORD = "wants_password"  # noqa: S105  a name
    """It answers 401 to everything but who it is."""
    LOCKED_OUT = "locked_out"
    """Somebody tried too many passwords: it answers 429 to everything but who it is."""
    TRANSFER_BREAKS = "transfer_breaks"
    """Its download ends in the middle: ``ota_error`` with DATA_LOSS."""
    DROPS_CONNECTION = "drops_connection"
    """It loses the broker in the middle of the download, comes back after a while and finishes."""
    COMES_BACK_OLD = "comes_back_old"
    """It says that all went well, restarts, and runs the old version."""
    NEVER_RETURNS = "never_returns"
    """It restarts and is never heard of again."""
    BOOTS_OTHER_APP = "boots_other_app"
    """It comes back as ``other_image``, by default as the build for another radio."""
    UPDATES_ITSELF = "updates_itself"
    """Its own schedule is faster: when an order comes it restarts into ``other_image``, by default a later version."""
    QUIET_RESTART = "quiet_restart"
    """It restarts so fast that the broker never says ``false``."""
    FLASHES_ANYTHING = "flashes_anything"
    """It does not look for which app a package is."""
    ASLEEP_AT_FIRST = "asleep_at_first"
    """It is a sensor on a battery; once announced it sleeps ``sleep_seconds`` or until ``wake``, then stays awake."""
    ATTACHED_UPDATES = "attached_updates"
    """Something attached to it updates at the same time and fails."""
    SLOW = "slow"
    """Everything takes four times as long."""


class ShellyDevice(ShellyVoice):
    """A Shelly with two slots.

    ``name`` is its id. ``offered`` is the version that its vendor offers it, and ``offered_url`` where the package lies
    that a ``stage`` installs; without one a ``stage`` is accepted and does nothing.
    """

    def __init__(  # noqa: PLR0913  every option is named at the call
        self,
        *,
        name: str,
        mac: str,
        image: Image,
        link: Link,
        prefix: str = "",
        title: str | None = None,
        speed: float = 1.0,
        generation: int = 2,
        misbehaviours: Iterable[ShellyMisbehaviour | str] = (),
        battery_percent: int | None = None,
        auto_update: str = "",
        offered: str = "",
        offered_url: str = "",
        other_image: Image | None = None,
        download_seconds: float = 58.0,
        sleep_seconds: float = 60.0,
    ) -> None:
        """Lie on the shelf."""
        super().__init__(name=name, mac=mac, image=image, link=link, speed=speed, prefix=prefix)
        self.misbehaviours = {ShellyMisbehaviour(word) for word in misbehaviours}
        self.title = title
        self.generation = generation
        self.notifies = not self._does(ShellyMisbehaviour.NO_NOTIFICATIONS)
        self.password = bool(self.misbehaviours & {ShellyMisbehaviour.WANTS_PASSWORD, ShellyMisbehaviour.LOCKED_OUT})
        self.battery_percent = battery_percent
        self.auto_update = auto_update
        self.offered = offered
        self.offered_url = offered_url
        self.other_image = other_image
        self.download_seconds = download_seconds
        self.sleep_seconds = sleep_seconds
        self.updating = False
        self._turn = asyncio.Lock()
        if self._does(ShellyMisbehaviour.SLOW):
            self.speed /= 4
        if self._does(ShellyMisbehaviour.ASLEEP_AT_FIRST):
            self.wakeup_period = int(sleep_seconds) or 1
            self.battery_percent = battery_percent or 80

    # --- power and sleep ---------------------------------------------------------------------------------------------

    @override
    async def start(self) -> None:
        self.updating = False
        await super().start()
        if self._does(ShellyMisbehaviour.ASLEEP_AT_FIRST):
            await self.sleep()
            self._spawn(self._wake_later())

    async def sleep(self) -> None:
        """Say goodbye and be unreachable until ``wake``."""
        await self._say(self.topic("online"), "false", retain=True)
        self._set(DeviceState.ASLEEP)
        await self.link.close()

    async def wake(self) -> None:
        """Come back from deep sleep, which for this family is a boot."""
        if self.state is DeviceState.ASLEEP:
            await self._boot()

    async def _wake_later(self) -> None:
        await self._pause(self.sleep_seconds)
        await self.wake()

    async def become(self, image: Image) -> None:
        """Be changed by somebody else than the hub: restart into this image."""
        await self._restart(image)

    async def _restart(self, image: Image) -> None:
        if self._does(ShellyMisbehaviour.QUIET_RESTART):
            self._set(DeviceState.REBOOTING)
            await self.link.close()
        else:
            await self._vanish()
        await self._pause(8)
        self.slot = 1 - self.slot if image != self.image else self.slot
        self.image = image
        await self._boot()

    # --- calls -------------------------------------------------------------------------------------------------------

    @override
    def _hear(self, message: Incoming) -> None:
        if message.topic != self.topic("rpc"):
            return
        try:
            request = json.loads(message.payload)
        except ValueError:
            return
        if isinstance(request, dict) and {"id", "src", "method"} <= set(request):
            self._spawn(self._obey_in_turn(request, retain=message.retain))

    async def _obey_in_turn(self, request: dict[str, Any], *, retain: bool) -> None:
        async with self._turn:
            await self._obey(request, retain=retain)

    async def _obey(self, request: dict[str, Any], *, retain: bool) -> None:
        method = str(request["method"])
        if method == "Shelly.Update":
            self._note_command(str(request["id"]), retain=retain)
            if self._does(ShellyMisbehaviour.IGNORES_COMMANDS):
                return
        await self._pause(0.2)
        try:
            self._check_password(method)
            if method == "Shelly.Update":
                await self._order(request)
            else:
                await self.answer(request, result=self.look_up(method))
        except RpcError as error:
            await self.answer(request, error={"code": error.code, "message": error.message})

    def _check_password(self, method: str) -> None:
        if method == "Shelly.GetDeviceInfo":
            return
        if self._does(ShellyMisbehaviour.LOCKED_OUT):
            raise RpcError(429, "Too Many Requests")
        if self._does(ShellyMisbehaviour.WANTS_PASSWORD):
            raise RpcError(401, '{"auth_type": "digest", "nonce": 1625038762, "algorithm": "SHA-256"}')

    async def _order(self, request: dict[str, Any]) -> None:
        url = self._wanted(request.get("params"))
        if self.updating or self._does(ShellyMisbehaviour.BUSY):
            raise RpcError(UNAVAILABLE, "Resource unavailable: Update is in progress")
        await self.answer(request, result=None)
        if self._does(ShellyMisbehaviour.UPDATES_ITSELF):
            self._spawn(self._restart(self.other_image or replace(self.image, version="99.0.0")))
        elif url and not self._does(ShellyMisbehaviour.DOES_NOTHING):
            self.updating = True
            self._spawn(self._update(url))

    def _wanted(self, params: object) -> str:
        """Return the address to load from; empty if there is nothing to do."""
        words = params if isinstance(params, dict) else {}
        if set(words) - {"url", "stage"} or {"url", "stage"} <= set(words):
            raise RpcError(INVALID_ARGUMENT, "Invalid argument: either stage or url")
        if "url" in words:
            if not str(words["url"]).startswith(("http://", "https://")):
                raise RpcError(INVALID_ARGUMENT, "Invalid argument: url")
            return str(words["url"])
        if words.get("stage", "stable") not in {"stable", "beta"}:
            raise RpcError(INVALID_ARGUMENT, "Invalid argument: stage")
        return self.offered_url if words.get("stage", "stable") == "stable" else ""

    # --- the update --------------------------------------------------------------------------------------------------

    async def _update(self, url: str) -> None:
        self._set(DeviceState.DOWNLOADING)
        await self._pause(0.3)
        await self.tell("ota_begin", msg="Waiting to connect")
        try:
            new = self._judge(await self._load(url))
        except BadPackage as fault:
            self.updating = False
            self._set(DeviceState.ONLINE)
            await self.tell("ota_error", msg=f"Update failed ({fault}), will not reboot")
            return
        self._set(DeviceState.FLASHING)
        await self.tell("ota_success", msg="Update applied, rebooting")
        await self.tell("scheduled_restart", time_ms=435)
        await self._pause(0.435)
        await self._boot_into(new)

    async def _load(self, url: str) -> Download:
        """Fetch the package over HTTP, and tell how far it is."""
        told = 0

        async def progress(received: int) -> None:
            nonlocal told
            step = min(STEPS, received * STEPS // max(received, self._announced_bytes or 1))
            while told < step:
                told += 1
                await self._pause(self.download_seconds / STEPS)
                await self.tell("ota_progress", msg="Waiting for data", progress_percent=min(99, told * 100 // STEPS))
                await self._stumble(told)

        return await self._download(url, limit=MAX_PACKAGE, on_chunk=progress)

    async def _stumble(self, step: int) -> None:
        """Do in the middle of a download what was asked for."""
        if self._does(ShellyMisbehaviour.ATTACHED_UPDATES) and step == 1:
            await self.tell("ota_error", "bthomedevice:200", msg="lost")
        if step == self._bad_step and self._does(ShellyMisbehaviour.FAILS):
            raise ConnectionError
        if step == STEPS // 2 and self._does(ShellyMisbehaviour.TRANSFER_BREAKS):
            raise ConnectionError
        if step == STEPS // 2 and self._does(ShellyMisbehaviour.DROPS_CONNECTION):
            self.misbehaviours.discard(ShellyMisbehaviour.DROPS_CONNECTION)
            await self.lose_connection(10)
            self._set(DeviceState.DOWNLOADING)

    @property
    def _bad_step(self) -> int:
        """At which step it fails: anywhere, and for one device always at the same place."""
        return 1 + zlib.crc32(self.name.encode()) % (STEPS - 1)

    def _judge(self, download: Download) -> Image:
        """Check what a real device checks.

        Raises:
            BadPackage: with the words of the device.
        """
        if download.status == 0:
            raise BadPackage("UNAVAILABLE: connection error")
        if download.status != 200:
            raise BadPackage(f"UNAVAILABLE: HTTP code {download.status}")
        if download.error or (download.length is not None and len(download.body) != download.length):
            raise BadPackage("DATA_LOSS: ZIP flush error : premature end of data")
        wanted = "" if self._does(ShellyMisbehaviour.FLASHES_ANYTHING) else self.image.model
        new = read_package(download.body, wanted=wanted)
        if self._does(ShellyMisbehaviour.REFUSES_SIGNATURE):
            raise BadPackage("UNAUTHENTICATED: invalid signature")
        return new

    async def _boot_into(self, new: Image) -> None:
        self.updating = False
        if self._does(ShellyMisbehaviour.NEVER_RETURNS):
            await self._vanish()
            self._set(DeviceState.DEAD)
        elif self._does(ShellyMisbehaviour.COMES_BACK_OLD):
            await self._restart(self.image)
        elif self._does(ShellyMisbehaviour.BOOTS_OTHER_APP):
            await self._restart(self.other_image or replace(new, model=f"{new.model}ZB"))
        else:
            self.offered = ""
            await self._restart(new)

    def _does(self, what: ShellyMisbehaviour) -> bool:
        return what in self.misbehaviours
