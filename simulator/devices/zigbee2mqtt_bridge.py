"""A Zigbee2MQTT 2.14 with several devices: the requests about updates, the transfers, and what it publishes about them.

The order of messages, the sentences and the times are those of a captured one; the image is really downloaded.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import json
import re
from collections.abc import Coroutine, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from simulator.devices.base import DeviceState
from simulator.devices.zigbee2mqtt import ZigbeeDevice, ZigbeeMisbehaviour
from simulator.devices.zigbee2mqtt_voice import DATE_CODE, BridgeVoice
from simulator.images import Image, NotAnImage
from simulator.link import Incoming, Link
from simulator.zigbee_images import OtaFile, read_ota

NOTIFY_SECONDS = 60.0
STALL_SECONDS = 150.0
ANNOUNCE_SECONDS = 120.0
INTERVIEW_AFTER = 5.0
PROGRESS_EVERY = 30.0
BLOCK_BYTES, BLOCKS_PER_SECOND = 50, 20.0
MAX_FILE = 64 * 1024 * 1024
OFFLINE_AFTER = 600.0
DEAD_SECONDS = 10.0
_REQUEST = re.compile(r"bridge/request/device/ota_update/(update|check|schedule|unschedule)/?(downgrade|abort)?")


class _Failed(Exception):
    """An update or check ended; the text is Zigbee2MQTT's own."""


@dataclass(frozen=True, slots=True)
class _Source:
    url: str = ""
    downgrade: bool = False

    @property
    def is_index(self) -> bool:
        return not self.url or self.url.endswith(".json")


@dataclass(slots=True)
class _Running:
    """A check or update that is under way."""

    transfer: bool = False
    announced: asyncio.Event = field(default_factory=asyncio.Event)
    aborted: asyncio.Event = field(default_factory=asyncio.Event)


class Zigbee2MqttBridge(BridgeVoice):
    """One bridge on one broker.

    ``index`` is what the public index holds (``None``: it cannot be reached). ``takes_url=False`` makes it a bridge
    before 2.8.0, which installs from its index whatever address it is given. ``scheduled`` is what it does when a
    device asks by itself; it is kept over ``die``, as in a real one's database.
    """

    def __init__(
        self,
        *,
        link: Link,
        base: str = "zigbee2mqtt",
        speed: float = 1.0,
        index: Iterable[dict[str, Any]] | None = (),
        availability: bool = True,
        takes_url: bool = True,
    ) -> None:
        """Be set up, with no devices yet."""
        super().__init__(link=link, base=base, speed=speed, availability=availability, takes_url=takes_url)
        self.index = None if index is None else list(index)
        self.scheduled: dict[str, _Source] = {}
        self._running: dict[str, _Running] = {}

    def add(self, name: str, image: Image, **options: Any) -> ZigbeeDevice:
        """Add a device; ``options`` are those of ``ZigbeeDevice``. It is started with the bridge."""
        number = len(self.devices) + 2
        defaults: dict[str, Any] = {"ieee": f"0x000d6f00{number:08x}", "speed": self.speed}
        device = ZigbeeDevice(name=name, image=image, radio=self, **defaults | options)
        self.devices[device.ieee] = device
        return device

    # --- life --------------------------------------------------------------------------------------------------------

    async def start(self) -> None:
        """Start, and switch on all devices that are off."""
        await self.link.open(self)
        for device in self.devices.values():
            if device.state is DeviceState.OFF:
                await device.start()

    async def stop(self) -> None:
        """Say goodbye and stop, with all devices.

        Raises:
            RuntimeError: something broke the simulation before.
        """
        await self._forget_work()
        for device in self.devices.values():
            await device.stop()
        await self.say("bridge/state", {"state": "offline"}, retain=True)
        await self.link.close()
        if self.crash is not None:
            raise RuntimeError(f"the simulation broke: {self!r}") from self.crash

    async def die(self) -> None:
        """Be killed: the last will speaks, and what was being transferred is forgotten."""
        await self.link.drop()
        await self._forget_work()

    async def come_back(self) -> None:
        """Start again after ``die``; the devices were there all the time."""
        await self.link.open(self)

    async def _forget_work(self) -> None:
        while others := self._tasks - {asyncio.current_task()}:
            for task in others:
                task.cancel()
            # Not gather: it returns at once if all have ended, and what takes them off the list never gets its turn.
            await asyncio.wait(others)
        self._running.clear()

    async def _die_for_a_while(self) -> None:
        await self.die()
        await self._pause(DEAD_SECONDS)
        await self.come_back()

    # --- what devices do ---------------------------------------------------------------------------------------------

    async def joined(self, device: ZigbeeDevice) -> None:
        """See ``Radio``."""
        running = self._running.get(device.ieee)
        await self.say_availability(device, online=True)
        if running is not None and running.transfer:
            if not device.does(ZigbeeMisbehaviour.NO_ANNOUNCE):
                running.announced.set()
        elif device.record.boots > 1:
            await self.say_event("device_announce", device)

    async def lost(self, device: ZigbeeDevice) -> None:
        """See ``Radio``."""
        self._spawn(self._notice(device))

    async def _notice(self, device: ZigbeeDevice) -> None:
        await self._pause(OFFLINE_AFTER)
        if not device.online:
            await self.say_availability(device, online=False)

    async def asked(self, device: ZigbeeDevice) -> None:
        """See ``Radio``."""
        if device.ieee in self._running:
            return
        if device.ieee in self.scheduled:
            self._spawn(self._do_scheduled(device))
        else:
            await self.say_checked(device, self._newer(device, self.index or []))

    async def _do_scheduled(self, device: ZigbeeDevice) -> None:
        """Carry out what was scheduled. Whatever it says, only success makes it forget it (zigbee-herdsman)."""
        self._running[device.ieee] = _Running()
        try:
            if await self._update(device, self.scheduled[device.ieee], awake=True) is not None:
                self.scheduled.pop(device.ieee, None)
        except _Failed:
            await self.say_update(device, "scheduled")
        finally:
            self._running.pop(device.ieee, None)

    # --- requests ----------------------------------------------------------------------------------------------------

    def filters(self) -> Sequence[str]:
        """Return the topics on which it takes requests."""
        return (f"{self.base}/bridge/request/#",)

    def on_message(self, message: Incoming) -> None:
        """Take a request; others than those about updates are not simulated."""
        found = _REQUEST.match(message.topic.removeprefix(f"{self.base}/"))
        if found is None:
            return
        try:
            request = json.loads(message.payload)
        except ValueError:
            request = message.text
        body = request if isinstance(request, dict) else {"id": request}
        self.requests.append((found[0], body))
        self._changed()
        self._spawn(self._serve(found[1], found[2] or "", body, retain=message.retain))

    async def _serve(self, kind: str, more: str, request: dict[str, Any], *, retain: bool) -> None:
        try:
            await self._take(kind, more, request, retain=retain)
        except _Failed as failed:
            await self.respond(kind, request, error=str(failed))

    async def _take(self, kind: str, more: str, request: dict[str, Any], *, retain: bool) -> None:
        name = str(request.get("id", ""))
        device = self.find(name)
        if device is None:
            raise _Failed(f"Device '{name}' does not exist")
        if more == "abort":
            await self._abort(device, request)
            return
        if kind in ("update", "schedule"):
            device.command(str(request.get("transaction", "")), retain=retain)
        overtaken = kind == "update" and device.does(ZigbeeMisbehaviour.OVERTAKEN)
        if overtaken or device.ieee in self._running or device.does(ZigbeeMisbehaviour.BUSY):
            raise _Failed(f"OTA update or check for update already in progress for '{device.name}'")
        await self._begin(kind, device, request, downgrade=more == "downgrade")

    async def _begin(self, kind: str, device: ZigbeeDevice, request: dict[str, Any], *, downgrade: bool) -> None:
        url = str(request.get("url", "")) if self.takes_url else ""
        source = _Source(url, downgrade)
        match kind:
            case "check":
                await self._alone(device, self._check(device, source, request))
            case "update":
                await self._alone(device, self._manual(device, source, request))
            case "schedule":
                self.scheduled[device.ieee] = source
                await self.say_update(device, "scheduled")
                await self.respond("schedule", request, {"id": request["id"], "url": source.url})
            case _:
                self.scheduled.pop(device.ieee, None)
                await self.say_update(device, "idle")
                await self.respond("unschedule", request, {"id": request["id"]})

    async def _alone(self, device: ZigbeeDevice, work: Coroutine[Any, Any, None]) -> None:
        running = self._running[device.ieee] = _Running()
        try:
            await work
        finally:
            if self._running.get(device.ieee) is running:
                del self._running[device.ieee]

    async def _abort(self, device: ZigbeeDevice, request: dict[str, Any]) -> None:
        running = self._running.get(device.ieee)
        if running is None:
            raise _Failed(f"No OTA in progress to abort for device '{device.name}'")
        await self.say_update(device, "available")
        await self.respond("update/abort", request, {"id": request["id"]})
        running.aborted.set()

    # --- checking ----------------------------------------------------------------------------------------------------

    async def _check(self, device: ZigbeeDevice, source: _Source, request: dict[str, Any]) -> None:
        try:
            await self._notify(device)
            entry = self._newer(device, await self._read_index(device, source), downgrade=source.downgrade)
        except _Failed as failed:
            raise _Failed(f"Failed to check if OTA update available for '{device.name}' ({failed})") from None
        await self.say_checked(device, entry)
        data = {"id": request["id"], "update_available": entry is not None, "downgrade": source.downgrade}
        if entry is not None:
            data |= {"source": entry["url"], "release_notes": entry.get("releaseNotes", "")}
        await self.respond("check", request, data)

    async def _notify(self, device: ZigbeeDevice, *, update: bool = False) -> None:
        """Have the device ask for an image; one that wakes and asks by itself meanwhile will do as well."""
        deaf = update and device.does(ZigbeeMisbehaviour.DEAF_TO_UPDATES)
        try:
            async with asyncio.timeout(NOTIFY_SECONDS / self.speed):
                await device.wait_for(lambda one: one.hears and not deaf, NOTIFY_SECONDS)
        except TimeoutError:
            raise _Failed("Device didn't respond to OTA request") from None
        await self._pause(0.2)

    async def _read_index(self, device: ZigbeeDevice, source: _Source) -> list[dict[str, Any]]:
        if source.url:
            body = await self._fetch(device, source.url)
            with contextlib.suppress(ValueError):
                index = json.loads(body)
                if isinstance(index, list):
                    return index
            raise _Failed("Unexpected token")
        if self.index is None:
            raise _Failed("fetch failed")
        return self.index

    def _newer(
        self, device: ZigbeeDevice, index: list[dict[str, Any]], *, downgrade: bool = False
    ) -> dict[str, Any] | None:
        """Return the first entry for this device, if it is newer (older); later ones are never looked at."""
        for entry in index:
            if (entry["manufacturerCode"], entry["imageType"]) == (device.manufacturer_code, device.image_type):
                return entry if _is_wanted(device, entry["fileVersion"], downgrade=downgrade) else None
        return None

    async def _fetch(self, device: ZigbeeDevice, url: str) -> bytes:
        download = await device.download(url, MAX_FILE)
        if download.status != 200 or download.error:
            raise _Failed("fetch failed")
        return download.body

    # --- updating ----------------------------------------------------------------------------------------------------

    async def _manual(self, device: ZigbeeDevice, source: _Source, request: dict[str, Any]) -> None:
        before = _firmware(device, int(device.version))
        try:
            file = await self._update(device, source)
        except _Failed as failed:
            await self.say_update(device, "available")
            raise _Failed(f"OTA update of '{device.name}' failed ({failed})") from None
        if file is None:
            raise _Failed(f"Update of '{device.name}' failed (No image currently available)")
        after = _firmware(device, file.file_version)
        await self.respond("update", request, {"id": request["id"], "from": before, "to": after})

    async def _update(self, device: ZigbeeDevice, source: _Source, *, awake: bool = False) -> OtaFile | None:
        """Carry out an update; ``None`` if there is no image that the bridge would send."""
        if not awake:
            await self._notify(device, update=True)
        file = await self._image(device, source)
        if file is None or not _is_wanted(device, file.file_version, downgrade=source.downgrade):
            await self.say_checked(device, None)
            return None
        self._running[device.ieee].transfer = True
        await self._transfer(device, file)
        await self._restart(device, file)
        await self.say_installed(device, file.file_version)
        await self.say_event("device_announce", device)
        self._spawn(self._interview(device))
        return file

    async def _image(self, device: ZigbeeDevice, source: _Source) -> OtaFile | None:
        """Fetch and read the image; whatever is wrong with it, Zigbee2MQTT only says that there is none."""
        url, sha512 = source.url, ""
        if source.is_index:
            entry = self._newer(device, await self._read_index(device, source), downgrade=source.downgrade)
            if entry is None:
                return None
            url, sha512 = entry["url"], entry.get("sha512", "")
        try:
            body = await self._fetch(device, url)
            broken = device.does(ZigbeeMisbehaviour.FILE_UNUSABLE)
            if broken or (sha512 and hashlib.sha512(body).hexdigest() != sha512):
                return None
            return read_ota(body)
        except (_Failed, NotAnImage):
            return None

    async def _transfer(self, device: ZigbeeDevice, file: OtaFile) -> None:
        estimate = file.size / BLOCK_BYTES / BLOCKS_PER_SECOND
        device.set_state(DeviceState.DOWNLOADING)
        try:
            await self.say_update(device, "updating", progress=0, remaining=round(estimate))
            await self._send(device, device.transfer_seconds or estimate)
        finally:
            if device.state is DeviceState.DOWNLOADING:
                device.set_state(DeviceState.ONLINE)
        if status := device.judge(file):
            raise _Failed(f"OTA update of {device.ieee} failed with reason: {status}")
        await self.say_update(device, "updating", progress=100, remaining=0)

    async def _send(self, device: ZigbeeDevice, whole: float) -> None:
        every = [PROGRESS_EVERY * number for number in range(1, int(whole / PROGRESS_EVERY) + 1)]
        now = 0.0
        for moment in sorted({*every, whole / 2, whole}):
            await self._send_for(device, moment - now)
            now = moment
            if moment == whole / 2:
                await self._stumble(device)
            elif moment < whole:
                progress, remaining = round(100 * moment / whole, 2), round(whole - moment)
                await self.say_update(device, "updating", progress=progress, remaining=remaining)

    async def _send_for(self, device: ZigbeeDevice, seconds: float) -> None:
        try:
            async with asyncio.timeout(seconds / device.speed):
                await self._running[device.ieee].aborted.wait()
        except TimeoutError:
            return
        raise _Failed(f"OTA for device {device.ieee} was aborted")

    async def _stumble(self, device: ZigbeeDevice) -> None:
        """Do in the middle of a transfer what was asked for."""
        if device.does(ZigbeeMisbehaviour.KILLS_BRIDGE):
            device.misbehaviours.discard(ZigbeeMisbehaviour.KILLS_BRIDGE)
            self._spawn(self._die_for_a_while())
            await asyncio.Event().wait()
        if device.does(ZigbeeMisbehaviour.GIVES_UP):
            raise _Failed(f"OTA update of {device.ieee} failed with reason: ABORT")
        if device.does(ZigbeeMisbehaviour.STALLS) or not device.online:
            await self._pause(STALL_SECONDS)
            raise _Failed(
                f"Device {device.ieee} did not start/finish firmware download after being notified."
                f" (Timeout after {STALL_SECONDS * 1000:.0f}ms"
                " [address=4660 endpoint=1 clusterId=25 cmdId=3 tsn=undefined])"
            )

    async def _restart(self, device: ZigbeeDevice, file: OtaFile) -> None:
        """Let the device restart, and wait for its announcement, but not for ever."""
        device.restart_into(file)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(ANNOUNCE_SECONDS / self.speed):
                await self._running[device.ieee].announced.wait()

    async def _interview(self, device: ZigbeeDevice) -> None:
        await self._pause(INTERVIEW_AFTER)
        await self.say_event("device_interview", device, status="started")
        await self._pause(0.1)
        await self.say_event("device_interview", device, status="successful" if device.hears else "failed")
        await self.say_devices()


def _is_wanted(device: ZigbeeDevice, version: int, *, downgrade: bool) -> bool:
    return version < int(device.version) if downgrade else version > int(device.version)


def _firmware(device: ZigbeeDevice, version: int) -> dict[str, Any]:
    return {"file_version": version, "software_build_id": device.build, "date_code": DATE_CODE}
