"""What simulated devices say: to the hub in the open protocol, and to Home Assistant's own MQTT update platform."""

from __future__ import annotations

import json
from collections.abc import Iterator

MAKER = "Acme"
MODEL = "PLUG-S1"
LATEST = "9.0.0"

type Messages = Iterator[tuple[str, str]]


class Hub:
    """The hub's side: devices of the open protocol."""

    @staticmethod
    def announcements(count: int, version: str = "1.0.0", first: int = 0) -> Messages:
        """Who they are."""
        for number in range(first, first + count):
            yield f"fwhub/device/{_name(number)}/info", _info(number, version)

    @staticmethod
    def changes(count: int, devices: int, version: str) -> Messages:
        """Messages that change what a person sees: each device in turn says that it runs another version."""
        for number in range(count):
            yield (
                f"fwhub/device/{_name(number % devices)}/info",
                _info(number % devices, f"{version}{number // devices}"),
            )

    @staticmethod
    def noise(count: int, devices: int, version: str) -> Messages:
        """Messages that change nothing that a person sees: how the devices are, and once more who they are."""
        for number in range(count):
            device = number % devices
            if number % 2:
                yield f"fwhub/device/{_name(device)}/info", _info(device, version)
            else:
                health = {"rssi_dbm": -60 - number % 7, "uptime_s": 1000 + number, "free_bytes": 100_000 + number}
                yield f"fwhub/device/{_name(device)}/health", json.dumps(health)


class Peer:
    """The peer's side: the same devices, announced to Home Assistant's MQTT discovery."""

    @staticmethod
    def announcements(count: int) -> Messages:
        """Who they are."""
        for number in range(count):
            config = {
                "name": None,
                "unique_id": f"{_name(number)}_update",
                "device_class": "firmware",
                "state_topic": f"bench/{_name(number)}/update",
                "command_topic": f"bench/{_name(number)}/update/set",
                "payload_install": "install",
                "device": {
                    "identifiers": [_name(number)],
                    "connections": [["mac", _mac(number)]],
                    "name": f"Plug {number}",
                    "manufacturer": MAKER,
                    "model": MODEL,
                    "hw_version": "rev2",
                    "sw_version": "1.0.0",
                },
            }
            yield f"homeassistant/update/{_name(number)}/config", json.dumps(config)

    @staticmethod
    def changes(count: int, devices: int, version: str) -> Messages:
        """The same changes."""
        for number in range(count):
            yield _state(number % devices, f"{version}{number // devices}")

    @staticmethod
    def noise(count: int, devices: int, version: str) -> Messages:
        """The same state again and again: this platform knows no other message that changes nothing."""
        for number in range(count):
            yield _state(number % devices, version)


def _state(number: int, version: str) -> tuple[str, str]:
    state = {"installed_version": version, "latest_version": LATEST}
    return f"bench/{_name(number)}/update", json.dumps(state)


def _info(number: int, version: str) -> str:
    return json.dumps(
        {
            "protocol": 1,
            "name": f"Plug {number}",
            "manufacturer": MAKER,
            "model": MODEL,
            "hardware": "rev2",
            "version": version,
            "mac": _mac(number),
        }
    )


def _name(number: int) -> str:
    return f"plug-{number:05}"


def _mac(number: int) -> str:
    return f"02:00:00:00:{number >> 8:02X}:{number & 255:02X}"
