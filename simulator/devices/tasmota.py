"""A Tasmota device: commands, and the three ways in which one takes a new image."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterable
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Any, override

from simulator.devices.base import DeviceState, Download
from simulator.devices.tasmota_voice import RESTARTED, TasmotaVoice
from simulator.images import ESP_FIRST_BYTE, GZIP_MAGIC, Image, NotAnImage, read_image, unpack
from simulator.link import Incoming, Link

ATTEMPTS = 4
GZIP_FROM_ATTEMPT = 3
MAX_URL = 100
FLASH_BYTES = {"ESP8266": 36_000}
FLASH_BYTES_OF_OTHERS = 100_000
"""Like a module of 1 MB, scaled down: an ESP8266 has no room for a second whole image beside the one that runs."""
HEADERS = (("User-Agent", "ESP8266-http-Update"),)
STATUS_ZERO = (0, 1, 2, 3, 4, 5, 6, 7, 10, 11)


class TasmotaMisbehaviour(StrEnum):
    """Ways in which a device of this family can go wrong, or be different."""

    BRICKS = "bricks"
    """It reboots into the new image and is gone for ever."""
    STUCK_IN_MINIMAL = "stuck_in_minimal"
    """The minimal image does not go on by itself; another ``Upgrade 1`` helps."""
    COMES_BACK_OLD = "comes_back_old"
    """It says ``Successful`` and boots the old image."""
    NOT_MODIFIED = "not_modified"
    """It asks conditionally, takes a 304 for a success, and reboots unchanged."""
    FAILS = "fails"
    """It cannot fetch anything: ``Failed HTTP error: ...`` after its attempts."""
    LOSES_SETTINGS = "loses_settings"
    """It comes back with factory settings, under its default topic."""
    BOOTS_OTHER_IMAGE = "boots_other_image"
    """It comes back with ``other_image`` instead of the one that was sent (by default the same in another variant)."""
    OLD_WORDS = "old_words"
    """It speaks like old firmware: plain text about upgrades, and boot messages without their wrapper."""
    SETOPTION4 = "setoption4"
    """It answers on ``stat/<topic>/<COMMAND>`` instead of RESULT."""
    NO_DISCOVERY = "no_discovery"
    """SetOption19 is on: it clears its discovery."""
    SILENT_ABOUT_UPGRADE = "silent_about_upgrade"
    """It never says how an upgrade ended, neither Successful nor Failed."""
    IGNORES_UPGRADE = "ignores_upgrade"
    """It acknowledges the upgrade and does nothing."""
    DROPS_WHILE_FLASHING = "drops_while_flashing"
    """The blocking download trips its last will, although all goes well."""
    TRANSFER_BREAKS = "transfer_breaks"
    """It loses the network in the middle of every download: ``Failed HTTP error: connection lost``."""
    SLOW = "slow"
    """Everything takes four times as long."""


@dataclass(frozen=True, slots=True)
class DeepSleep:
    """Simulated seconds of each sleep, and of being awake between two."""

    asleep: float
    awake: float


@dataclass(frozen=True, slots=True)
class _Result:
    """How a download ended. ``body`` is empty for a 304, which counts as success; ``too_large`` asks for minimal."""

    ok: bool
    reason: str = ""
    body: bytes = b""
    too_large: bool = False


class TasmotaDevice(TasmotaVoice):
    """A Tasmota device with ``relays`` switches.

    ``topic`` is its MQTT topic, by default ``name``. ``flash_bytes`` decides whether an ESP8266 has room for the image
    beside the running one; if not, it goes through ``<name>-minimal`` in the same folder. ``safeboot`` (the default on
    ESP32) makes it flash from its safeboot image.
    """

    def __init__(  # noqa: PLR0913  every option is named at the call
        self,
        *,
        name: str,
        mac: str,
        image: Image,
        link: Link,
        topic: str | None = None,
        speed: float = 1.0,
        misbehaviours: Iterable[TasmotaMisbehaviour | str] = (),
        safeboot: bool | None = None,
        flash_bytes: int | None = None,
        deep_sleep: DeepSleep | None = None,
        battery_percent: int | None = None,
        relays: int = 1,
        version_prefix: str = "",
        other_image: Image | None = None,
        hardware: str = "",
    ) -> None:
        """Lie on the shelf."""
        super().__init__(name=name, mac=mac, image=image, link=link, speed=speed, relays=relays)
        self.misbehaviours = {TasmotaMisbehaviour(word) for word in misbehaviours}
        self.settings.topic = topic or name
        self.settings.device_name = name
        self.settings.friendly_names = [name]
        self.settings.options["4"] = int(self._does(TasmotaMisbehaviour.SETOPTION4))
        self.settings.options["19"] = int(self._does(TasmotaMisbehaviour.NO_DISCOVERY))
        self.old_words = self._does(TasmotaMisbehaviour.OLD_WORDS)
        if self._does(TasmotaMisbehaviour.SLOW):
            self.speed /= 4
        self.version_prefix = version_prefix
        self.hardware = hardware or self.hardware
        self.battery_percent = battery_percent
        self.safeboot = self.chip != "ESP8266" if safeboot is None else safeboot
        self.flash_bytes = flash_bytes or FLASH_BYTES.get(self.chip, FLASH_BYTES_OF_OTHERS)
        self.deep_sleep = deep_sleep
        self.deep_sleeps = deep_sleep is not None
        self.other_image = other_image
        self.main_image = image
        self.upgrading = False
        self._turn = asyncio.Lock()

    # --- commands ----------------------------------------------------------------------------------------------------

    @override
    def _hear(self, message: Incoming) -> None:
        word = message.topic.rpartition("/")[2]
        self._spawn(self._obey_in_turn(word, message))

    async def _obey_in_turn(self, word: str, message: Incoming) -> None:
        async with self._turn:
            await self._obey(word.upper(), message.text.strip(), retain=message.retain)

    async def _obey(self, word: str, value: str, *, retain: bool = False) -> None:
        match word:
            case "BACKLOG" | "BACKLOG0":
                for part in value.split(";"):
                    single, _, rest = part.strip().partition(" ")
                    if single:
                        await self._obey(single.upper(), rest.strip(), retain=retain)
            case "STATUS":
                await self._answer_status(value)
            case "STATUS0":
                merged = {key: value for number in STATUS_ZERO for key, value in self.status(number).items()}
                await self._say_json("STATUS0", merged)
            case "NODELAY":
                pass
            case "UPGRADE" | "UPLOAD":
                await self._answer("UPGRADE", {"Upgrade": self._upgrade_words(value, retain=retain)})
            case _ if word.startswith("POWER"):
                await self._switch(word, value)
            case _:
                await self._answer(word, await self._simple(word, value))

    async def _simple(self, word: str, value: str) -> dict[str, Any]:
        match word:
            case "OTAURL":
                return {"OtaUrl": self._set_ota_url(value)}
            case "STATE":
                return self.state_words()
            case "RESTART" if value == "1":
                self._spawn(self._restart_later())
                return {"Restart": "Restarting"}
            case "SETOPTION4" | "SETOPTION19" if not self.is_helper:
                return {word.title().replace("option", "Option"): await self._set_option(word[9:], value)}
            case _:
                return {"Command": "Unknown"}

    async def _answer(self, word: str, words: dict[str, Any]) -> None:
        await self._say_json(word if self.settings.options["4"] else "RESULT", words)

    async def _say_json(self, word: str, words: dict[str, Any]) -> None:
        await self._say(self.stat_topic(word), json.dumps(words))

    async def _answer_status(self, value: str) -> None:
        if value == "0":
            numbers: tuple[int, ...] = STATUS_ZERO
        else:
            numbers = (int(value) if value.isdigit() else 0,)
        for number in numbers:
            if words := self.status(number):
                await self._say_json(f"STATUS{number or ''}", words)

    async def _switch(self, word: str, value: str) -> None:
        digits = word.removeprefix("POWER") or "1"
        relay = int(digits) - 1 if digits.isdigit() else -1
        if not 0 <= relay < len(self.power) or self.is_helper:
            await self._answer(word, {"Command": "Unknown"})
            return
        wanted = {"0": "OFF", "1": "ON", "2": "TOGGLE"}.get(value, value.upper())
        if wanted == "TOGGLE":
            wanted = "OFF" if self.power[relay] == "ON" else "ON"
        if wanted in {"ON", "OFF"}:
            self.power[relay] = wanted
        name = list(self.power_words())[relay]
        await self._answer(name, {name: self.power[relay]})
        await self._say(self.stat_topic(name), self.power[relay])
        self._changed()

    async def _set_option(self, number: str, value: str) -> str:
        if value in {"0", "1"}:
            self.settings.options[number] = int(value)
            if number == "19":
                await self.say_discovery()
        return "ON" if self.settings.options[number] else "OFF"

    def _set_ota_url(self, value: str) -> str:
        if value == "1":
            self.settings.ota_url = self.factory_settings().ota_url
        elif 1 < len(value) <= MAX_URL:
            self.settings.ota_url = value
        self._changed()
        return self.settings.ota_url

    def _upgrade_words(self, value: str, *, retain: bool) -> str:
        running = self.image.version
        if value == "2" and self.safeboot:
            return "Safeboot"
        if value != "1" and (len(value) < 3 or _numbers(value) <= _numbers(running)):
            return f"1 or >{running} to upgrade"
        url = self.settings.ota_url
        self._note_command(url, retain=retain)
        if not self.upgrading and not self._does(TasmotaMisbehaviour.IGNORES_UPGRADE):
            self.upgrading = True
            self._spawn(self._upgrade())
        return f"Version {running} from {url}"

    # --- the upgrade -------------------------------------------------------------------------------------------------

    async def _upgrade(self) -> None:
        await self._pause(3)
        self.deaf = True
        self._set(DeviceState.DOWNLOADING)
        if self.safeboot and not self.is_helper:
            await self._pause(2)
            await self._restart(replace(self.image, variant="safeboot"), 7)
            self._set(DeviceState.DOWNLOADING)
            self.deaf = True
        await self._load()

    async def _load(self) -> None:
        """Fetch, flash, reboot, with whatever image runs now."""
        if self._does(TasmotaMisbehaviour.DROPS_WHILE_FLASHING):
            await self.lose_connection(10)
        result = await self._fetch()
        if result.ok:
            await self._pause(20)
        if not self._does(TasmotaMisbehaviour.SILENT_ABOUT_UPGRADE):
            await self._say_end(result)
        await self._pause(2)
        if result.ok:
            self._set(DeviceState.FLASHING)
            await self._boot_new(result.body)
        else:
            if self.safeboot:
                await self._restart(self.main_image)
            self._end_upgrade()

    async def _say_end(self, result: _Result) -> None:
        words = "Successful. Restarting" if result.ok else f"Failed {result.reason}"
        payload = words if self.old_words else json.dumps({"Upgrade": words})
        await self._say(self.stat_topic("UPGRADE"), payload)

    def _end_upgrade(self) -> None:
        self.upgrading = self.deaf = False
        self._set(DeviceState.ONLINE)

    async def _boot_new(self, body: bytes) -> None:
        new = self._what_boots(body)
        if new is None:
            self.upgrading = False
            await self._vanish()
            self._set(DeviceState.DEAD)
            return
        if new.variant == "minimal":
            await self._boot_minimal(new)
            return
        if self._does(TasmotaMisbehaviour.LOSES_SETTINGS):
            await self._vanish()
            self.settings = self.factory_settings()
        self.main_image = new
        await self._restart(new)
        self._end_upgrade()

    async def _boot_minimal(self, minimal: Image) -> None:
        """Run the helper, which goes on to the whole image by itself."""
        await self._restart(minimal)
        if self._does(TasmotaMisbehaviour.STUCK_IN_MINIMAL):
            self._end_upgrade()
            return
        await self._pause(3)
        self.deaf = True
        self._set(DeviceState.DOWNLOADING)
        await self._load()

    def _what_boots(self, body: bytes) -> Image | None:
        """Return what the device is after the reboot; ``None`` if it is dead."""
        if not body or self._does(TasmotaMisbehaviour.COMES_BACK_OLD):
            return self.main_image
        try:
            new, size = read_image(body), len(unpack(body))
        except NotAnImage:
            return None
        if new.model != self.chip or new.manufacturer != "Tasmota" or self._does(TasmotaMisbehaviour.BRICKS):
            return None
        self.program_bytes = size
        if self._does(TasmotaMisbehaviour.BOOTS_OTHER_IMAGE) and new.variant != "minimal":
            return self.other_image or replace(new, variant="lite")
        return new

    async def _fetch(self) -> _Result:
        """Try four times, the first time with the whole image; too large asks for the minimal one."""
        result = _Result(ok=False, reason="HTTP error: connection refused")
        minimal = False
        for attempt in range(1, ATTEMPTS + 1):
            result = await self._fetch_once(self._url(attempt, minimal=minimal))
            if result.ok:
                break
            minimal = minimal or (result.too_large and self.chip == "ESP8266" and not self.is_helper)
            if not result.too_large:
                await self._pause(10)
        return result

    def _url(self, attempt: int, *, minimal: bool) -> str:
        url = self.settings.ota_url
        if minimal:
            folder, _, file = url.rpartition("/")
            stem, dot, ending = file.partition(".")
            url = f"{folder}/{stem.rpartition('-')[0] or stem}-minimal{dot}{ending}"
        if self.chip == "ESP8266" and attempt >= GZIP_FROM_ATTEMPT and not url.endswith(".gz"):
            url += ".gz"
        return url

    async def _fetch_once(self, url: str) -> _Result:
        if self._does(TasmotaMisbehaviour.FAILS):
            return _Result(ok=False, reason="HTTP error: connection refused")
        if self._does(TasmotaMisbehaviour.NOT_MODIFIED):
            return _Result(ok=True)

        async def break_off(received: int) -> None:
            if self._does(TasmotaMisbehaviour.TRANSFER_BREAKS):
                raise ConnectionError(received)

        download = await self._download(url, limit=self.flash_bytes, headers=HEADERS, on_chunk=break_off)
        return self._judge(download)

    def _judge(self, download: Download) -> _Result:
        """Check what a real device checks, and nothing more."""
        if download.status == 304:
            return _Result(ok=True)
        if reason := _http_reason(download):
            return _Result(ok=False, reason=reason)
        if (download.length or 0) > self.room:
            return _Result(ok=False, reason="Not Enough space", too_large=True)
        if download.error or len(download.body) != download.length:
            return _Result(ok=False, reason="HTTP error: connection lost")
        zipped = download.body.startswith(GZIP_MAGIC) and self.chip == "ESP8266"
        if not zipped and not download.body.startswith(ESP_FIRST_BYTE):
            return _Result(ok=False, reason="Verify Bin Header Failed")
        try:
            fits = len(unpack(download.body)) <= self.flash_bytes
        except NotAnImage:
            return _Result(ok=False, reason="Update error: ERROR[11]: Invalid bootstrapping state")
        if not fits:
            return _Result(ok=False, reason="New Binary Does Not Fit Flash Size", too_large=True)
        return _Result(ok=True, body=download.body)

    # --- reboots and sleep -------------------------------------------------------------------------------------------

    async def _restart(self, image: Image, seconds: float = 8) -> None:
        if self.online:
            await self._vanish()
        await self._pause(seconds)
        self.restart_reason = RESTARTED
        self.image = image
        await self._boot()

    async def _restart_later(self) -> None:
        await self._pause(1)
        await self._restart(self.image)

    async def become(self, image: Image) -> None:
        """Be changed by somebody else than the hub: reboot into this image."""
        self.main_image = image
        await self._restart(image)

    @override
    async def start(self) -> None:
        await super().start()
        if self.deep_sleep is not None:
            self._spawn(self._sleep_and_wake(self.deep_sleep))

    async def _sleep_and_wake(self, rhythm: DeepSleep) -> None:
        while True:
            await self._pause(rhythm.awake)
            if self.upgrading or self.state is not DeviceState.ONLINE:
                continue
            await self.sleep()
            await self._pause(rhythm.asleep)
            await self.wake()

    async def sleep(self) -> None:
        """Say goodbye and be unreachable until ``wake``."""
        await self._say(self.tele_topic("LWT"), self.settings.offline, retain=True)
        self._set(DeviceState.ASLEEP)
        await self.link.close()

    async def wake(self) -> None:
        """Come back from deep sleep, which a device does not announce as a boot."""
        if self.state is DeviceState.ASLEEP:
            await self.link.open(self)

    def _does(self, what: TasmotaMisbehaviour) -> bool:
        return what in self.misbehaviours


def _http_reason(download: Download) -> str:
    match download.status:
        case 200:
            return "" if download.length is not None else "Server Did Not Report Size"
        case 0:
            return "HTTP error: connection refused"
        case 404:
            return "File Not Found (404)"
        case 403:
            return "Forbidden (403)"
        case _:
            return "Wrong HTTP Code"


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(int(part) if part.isdigit() else 0 for part in version.partition("(")[0].split("."))
