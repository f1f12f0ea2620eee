"""Trying simulated devices with the tool."""

import asyncio
import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from firmware_hub_tool.cli import main
from simulator.broker import Broker
from simulator.devices.open import OpenDevice
from simulator.images import Image

OLD = Image("Acme", "PLUG-S1", "1.1.0", hardware="rev2", variant="eu", counter=16)
NEW = Image("Acme", "PLUG-S1", "1.2.0", hardware="rev2", variant="eu", counter=17)
PATIENT = ("--answer-seconds", "20", "--install-seconds", "40", "--quick")
BRIEF = ("--answer-seconds", "2", "--install-seconds", "4", "--quick")
SPEED = 500.0

type Make = Callable[..., OpenDevice]


@dataclass(frozen=True)
class Verdict:
    """What the script said about a device."""

    code: int
    said: dict[str, Any]

    def names(self, outcome: str) -> set[str]:
        return {check["name"] for check in self.said["checks"] if check["outcome"] == outcome}

    def detail(self, name: str) -> str:
        return str(next(check["detail"] for check in self.said["checks"] if check["name"] == name))


class Trial:
    """Tries devices on one broker."""

    def __init__(self, broker: Broker, capsys: pytest.CaptureFixture[str]) -> None:
        self.broker = broker
        self._capsys = capsys

    async def bare(self, device: OpenDevice, *words: object) -> Verdict:
        """Try a device that is on, without an image."""
        command = ["try-device", device.name, "--broker", f"127.0.0.1:{self.broker.port}", "--json", *map(str, words)]
        self._capsys.readouterr()
        code = await asyncio.to_thread(main, command)
        return Verdict(code, json.loads(self._capsys.readouterr().out))

    async def __call__(self, device: OpenDevice, *words: object, image: Image = NEW) -> Verdict:
        """Switch a device on and try it with an image."""
        path = Path("new.bin").absolute()
        path.write_bytes(image.build())
        await device.start()
        return await self.bare(device, "--image", path, "--release", image.version, *words)
