"""What a Tasmota device says: its topics, its discovery, its telemetry and its answers to STATUS."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, override

from simulator.devices.base import SimulatedDevice
from simulator.images import Image
from simulator.link import Link, Publication

DISCOVERY = "tasmota/discovery"
BUILD_URL = "http://ota.tasmota.com/tasmota/release/"
HELPERS = frozenset({"minimal", "safeboot"})
DISCOVERY_AFTER = 10.0
IP = "127.0.0.1"
HARDWARE = {
    "ESP8266": "ESP8266EX",
    "ESP32": "ESP32-D0WD-V3 v3.1",
    "ESP32-SOLO1": "ESP32-S0WD v1.0",
    "ESP32-C2": "ESP32-C2 v1.0",
    "ESP32-C3": "ESP32-C3 v0.4",
    "ESP32-C6": "ESP32-C6 v0.1",
    "ESP32-S2": "ESP32-S2 v1.0",
    "ESP32-S3": "ESP32-S3 v0.2",
}
RESTARTED = "Software/System restart"
POWERED = "Power On"
SET_OPTIONS = ("4", "11", "13", "17", "19", "20", "30", "68", "73", "82", "114", "117")


@dataclass(slots=True)
class Settings:
    """What an owner can set; kept over reboots, lost with the settings."""

    topic: str
    ota_url: str
    full_topic: str = "%prefix%/%topic%/"
    prefixes: tuple[str, str, str] = ("cmnd", "stat", "tele")
    group_topic: str = "tasmotas"
    device_name: str = "Tasmota"
    friendly_names: list[str | None] = field(default_factory=lambda: ["Tasmota"])
    module: str = "Generic"
    offline: str = "Offline"
    online: str = "Online"
    options: dict[str, int] = field(default_factory=lambda: dict.fromkeys(SET_OPTIONS, 0))


class TasmotaVoice(SimulatedDevice):
    """A Tasmota device as far as it speaks.

    ``announced`` is true once its retained discovery says what it now runs. ``old_words`` makes it speak like firmware
    before the JSON changes: plain text about upgrades, and no wrapper in the boot messages.
    """

    dialect = "tasmota"
    old_words = False
    version_prefix = ""
    deep_sleeps = False

    def __init__(self, *, name: str, mac: str, image: Image, link: Link, speed: float, relays: int) -> None:
        """Take the chip from the first image: it never changes again."""
        self.mac12 = mac.replace(":", "").upper()
        super().__init__(name=name, mac=mac, image=image, link=link, speed=speed)
        self.chip = image.model
        self.hardware = HARDWARE.get(self.chip, self.chip)
        self.settings = self.factory_settings()
        self.power = ["OFF"] * relays
        self.battery_percent: int | None = None
        self.flash_bytes = 0
        self.program_bytes = image.size
        self.restart_reason = POWERED
        self.announced = False
        self._informed_boot = 0

    # --- topics ------------------------------------------------------------------------------------------------------

    def factory_settings(self) -> Settings:
        """Return the settings of a new device."""
        name = "tasmota" if self.chip == "ESP8266" else "tasmota32"
        ending = "bin.gz" if self.chip == "ESP8266" else "bin"
        return Settings(topic=f"tasmota_{self.mac12[-6:]}", ota_url=f"{BUILD_URL}{name}.{ending}")

    @property
    def hostname(self) -> str:
        """Its name in the network."""
        return f"tasmota-{self.mac12[-6:]}-{int(self.mac12[-4:], 16) & 0x1FFF:04d}"

    @property
    def fallback_topic(self) -> str:
        """The command topic that it always has."""
        return f"{self.settings.prefixes[0]}/DVES_{self.mac12[-6:]}_fb/"

    def prefix(self, which: int, topic: str = "") -> str:
        """Return the beginning of its command (0), answer (1) or telemetry (2) topics, with the last slash."""
        settings = self.settings
        text = settings.full_topic.replace("%prefix%", settings.prefixes[which])
        text = text.replace("%topic%", topic or settings.topic)
        text = text.replace("%hostname%", self.hostname).replace("%id%", self.mac12)
        return text if text.endswith("/") else f"{text}/"

    def command_topic(self, word: str) -> str:
        """Return the topic of one of its commands."""
        return self.prefix(0) + word

    def stat_topic(self, word: str) -> str:
        """Return the topic of one of its answers."""
        return self.prefix(1) + word

    def tele_topic(self, word: str) -> str:
        """Return the topic of one of its telemetry messages."""
        return self.prefix(2) + word

    @override
    def will(self) -> Publication | None:
        return Publication(self.tele_topic("LWT"), self.settings.offline, retain=True)

    @override
    def filters(self) -> Sequence[str]:
        group = self.prefix(0, self.settings.group_topic)
        return (f"{self.prefix(0)}#", f"{group}#", f"{self.fallback_topic}#")

    # --- by itself ---------------------------------------------------------------------------------------------------

    @property
    def is_helper(self) -> bool:
        """Whether it runs an image that only exists to load another one."""
        return self.image.variant in HELPERS

    @property
    def full_version(self) -> str:
        """The version as it says it, with the image's name in brackets."""
        return f"{self.image.version}({self.version_prefix}{self.image.variant})"

    @override
    async def _announce(self) -> None:
        await self._say(self.tele_topic("LWT"), self.settings.online, retain=True)
        if self._informed_boot != self.record.boots:
            self._informed_boot = self.record.boots
            await self._say_boot()
        if not self.is_helper:
            await self.say_state()
        self.announced = False
        self._spawn(self._discover_later(self.record.boots))

    async def _say_boot(self) -> None:
        one: dict[str, Any] = {
            "Module": self.settings.module,
            "Version": self.full_version,
            "FallbackTopic": self.fallback_topic,
            "GroupTopic": self.prefix(0, self.settings.group_topic),
        }
        two: dict[str, Any] = {"WebServerMode": "Admin", "Hostname": self.hostname, "IPAddress": IP}
        three: dict[str, Any] = {"RestartReason": self.restart_reason, "BootCount": self.record.boots}
        for number, info in enumerate((one, two, three), start=1):
            payload = info if self.old_words else {f"Info{number}": info}
            await self._say(self.tele_topic(f"INFO{number}"), json.dumps(payload))

    async def say_state(self) -> None:
        """Send the telemetry that comes every few minutes."""
        await self._say(self.tele_topic("STATE"), json.dumps(self.state_words()))

    async def _discover_later(self, boot: int) -> None:
        await self._pause(DISCOVERY_AFTER)
        if self.online and self.record.boots == boot:
            await self.say_discovery()

    async def say_discovery(self) -> None:
        """Send the retained discovery, or clear it with SetOption19; helper images know neither."""
        if self.is_helper:
            return
        hidden = bool(self.settings.options["19"])
        for what, words in (("config", self.discovery()), ("sensors", self.sensors())):
            payload = "" if hidden else json.dumps(words)
            await self._say(f"{DISCOVERY}/{self.mac12}/{what}", payload, retain=True)
        self.announced = not hidden
        self._changed()

    def discovery(self) -> dict[str, Any]:
        """Return its discovery."""
        settings = self.settings
        return {
            "ip": IP,
            "dn": settings.device_name,
            "fn": (settings.friendly_names + [None] * 8)[:8],
            "hn": self.hostname,
            "mac": self.mac12,
            "md": settings.module,
            "ty": 0,
            "if": 0,
            "cam": 0,
            "ofln": settings.offline,
            "onln": settings.online,
            "state": ["OFF", "ON", "TOGGLE", "HOLD"],
            "sw": self.image.version,
            "t": settings.topic,
            "ft": settings.full_topic,
            "tp": list(settings.prefixes),
            "rl": ([1] * len(self.power) + [0] * 32)[:32],
            "swc": [-1] * 28,
            "swn": [None] * 28,
            "btn": [0] * 32,
            "so": {key: value for key, value in settings.options.items() if key != "19"},
            "lk": 0,
            "lt_st": 0,
            "bat": int(self.battery_percent is not None),
            "dslp": int(self.deep_sleeps),
            "sho": [],
            "sht": [],
            "ver": 1,
        }

    def sensors(self) -> dict[str, Any]:
        """Return the discovery of its sensors: it has none but the clock."""
        return {"sn": {"Time": _now()}, "ver": 1}

    def power_words(self) -> dict[str, str]:
        """Return the state of its relays by name."""
        if len(self.power) == 1:
            return {"POWER": self.power[0]}
        return {f"POWER{number}": power for number, power in enumerate(self.power, start=1)}

    def state_words(self) -> dict[str, Any]:
        """Return its state, as in STATE, STATUS11 and the answer to ``State``."""
        words: dict[str, Any] = {
            "Time": _now(),
            "Uptime": _duration(self.uptime_s),
            "UptimeSec": self.uptime_s,
            "Heap": 26,
            "SleepMode": "Dynamic",
            "Sleep": 50,
            "LoadAvg": 19,
            "MqttCount": 1,
        }
        if self.battery_percent is not None:
            words["BatteryPercentage"] = self.battery_percent
        return words | self.power_words() | {"Wifi": WIFI}

    # --- answers to STATUS -------------------------------------------------------------------------------------------

    @property
    def room(self) -> int:
        """Bytes that a new image may have."""
        beside = self.program_bytes if self.chip == "ESP8266" else 0
        return max(0, self.flash_bytes - beside)

    def status(self, number: int) -> dict[str, Any]:
        """Return the answer to ``STATUS <number>``; 0 is the one without a number. Unknown numbers give nothing."""
        words = (
            self._status_plain,
            self._status_parameters,
            self._status_firmware,
            self._status_logging,
            self._status_memory,
            self._status_network,
            self._status_mqtt,
            self._status_time,
            self._status_sensors,
            self._status_thresholds,
            self._status_sensors,
            lambda: {"StatusSTS": self.state_words()},
        )
        return words[number]() if 0 <= number < len(words) else {}

    def _status_plain(self) -> dict[str, Any]:
        settings = self.settings
        return {
            "Status": {
                "Module": 1,
                "DeviceName": settings.device_name,
                "FriendlyName": [name for name in settings.friendly_names if name],
                "Topic": settings.topic,
                "ButtonTopic": "0",
                "Power": "".join("1" if power == "ON" else "0" for power in self.power),
                "PowerOnState": 3,
                "LedState": 1,
                "SaveData": 1,
                "SwitchTopic": "0",
                "SwitchMode": [0] * 28,
                "ButtonRetain": 0,
                "SwitchRetain": 0,
                "SensorRetain": 0,
                "PowerRetain": 0,
                "InfoRetain": 0,
                "StateRetain": 0,
                "StatusRetain": 0,
            }
        }

    def _status_parameters(self) -> dict[str, Any]:
        return {
            "StatusPRM": {
                "Baudrate": 115200,
                "SerialConfig": "8N1",
                "GroupTopic": self.settings.group_topic,
                "OtaUrl": self.settings.ota_url,
                "RestartReason": self.restart_reason,
                "Uptime": _duration(self.uptime_s),
                "StartupUTC": "",
                "Sleep": 50,
                "CfgHolder": 4617,
                "BootCount": self.record.boots,
                "BCResetTime": "2026-01-01T00:00:00",
                "SaveCount": 100,
                "SaveAddress": "F9000",
            }
        }

    def _status_firmware(self) -> dict[str, Any]:
        words: dict[str, Any] = {"Version": self.full_version, "BuildDateTime": "2026-01-01T09:00:00"}
        if self.chip == "ESP8266":
            words |= {"Boot": 31, "Core": "2_7_8", "SDK": "2.2.2-dev(38a443e)", "CpuFrequency": 80}
        else:
            words |= {"Core": "3_1_1", "SDK": "5.3.2", "CpuFrequency": 160}
        return {"StatusFWR": words | {"Hardware": self.hardware, "CR": "400/699"}}

    def _status_logging(self) -> dict[str, Any]:
        options = ["00008009", "2805C80001000600003C5A0A192800000000", "00000080", "00006000", "00004000", "00000000"]
        words = {"SerialLog": 2, "WebLog": 2, "MqttLog": 0, "SysLog": 0, "LogHost": "", "LogPort": 514}
        return {"StatusLOG": words | {"SSId": [WIFI["SSId"], ""], "TelePeriod": 300, "SetOption": options}}

    def _status_memory(self) -> dict[str, Any]:
        return {
            "StatusMEM": {
                "ProgramSize": self.program_bytes // 1024,
                "Free": self.room // 1024,
                "Heap": 26,
                "ProgramFlashSize": self.flash_bytes // 1024,
                "FlashSize": self.flash_bytes // 1024,
                "FlashChipId": "14405E",
                "FlashFrequency": 40,
                "FlashMode": "DOUT",
                "Features": ["0809", "8F9AC787"],
                "Drivers": "1,2,3,4,5,6,7,8,9,10,12",
                "Sensors": "1,2,3,4,5,6",
                "I2CDriver": "",
            }
        }

    def _status_network(self) -> dict[str, Any]:
        colons = ":".join(self.mac12[start : start + 2] for start in range(0, 12, 2))
        words = {"Hostname": self.hostname, "IPAddress": IP, "Gateway": IP, "Subnetmask": "255.0.0.0"}
        return {"StatusNET": words | {"DNSServer1": IP, "DNSServer2": IP, "Mac": colons, "Webserver": 2, "HTTP_API": 1}}

    def _status_mqtt(self) -> dict[str, Any]:
        client = f"DVES_{self.mac12[-6:]}"
        words: dict[str, Any] = {"MqttHost": IP, "MqttPort": 1883, "MqttClientMask": "DVES_%06X", "MqttClient": client}
        return {
            "StatusMQT": words | {"MqttUser": "DVES_USER", "MqttCount": 1, "MAX_PACKET_SIZE": 1200, "KEEPALIVE": 30}
        }

    def _status_time(self) -> dict[str, Any]:
        return {"StatusTIM": {"UTC": f"{_now()}Z", "Local": _now(), "Timezone": "+00:00"}}

    def _status_sensors(self) -> dict[str, Any]:
        return {"StatusSNS": {"Time": _now()}}

    def _status_thresholds(self) -> dict[str, Any]:
        return {"StatusPTH": {"PowerDelta": [0, 0, 0], "PowerLow": 0, "PowerHigh": 0}}


WIFI: dict[str, Any] = {
    "AP": 1,
    "SSId": "home",
    "BSSId": "00:00:5E:00:53:FF",
    "Channel": 6,
    "Mode": "11n",
    "RSSI": 84,
    "Signal": -58,
    "LinkCount": 1,
    "Downtime": "0T00:00:03",
}


def _now() -> str:
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S")


def _duration(seconds: int) -> str:
    days, rest = divmod(seconds, 86_400)
    return f"{days}T{rest // 3600:02d}:{rest // 60 % 60:02d}:{rest % 60:02d}"
