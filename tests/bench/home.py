"""One Home Assistant to be measured, seen from outside, and a broker link that sends as fast as a socket takes it."""

from __future__ import annotations

import asyncio
import json
import socket
import subprocess
import sys
from collections.abc import Iterable
from datetime import UTC, datetime
from pathlib import Path
from time import monotonic
from types import TracebackType
from typing import Any, Self

from simulator.broker import HOST, Broker, free_port
from simulator.demo.home_assistant import ROOT, HomeAssistant
from simulator.vendor import Vendor

CONFIGURATION = "homeassistant:\nlogger:\n  default: error\n"
START_TIMEOUT = 120.0
ANSWER_TIMEOUT = 330.0
NOWHERE = "http://127.0.0.1:9/"
"""An address of this machine at which nobody answers."""


class Home:
    """A Home Assistant process with a configuration folder of its own; ``process.Session`` is what it can be told."""

    def __init__(self, folder: Path, broker: Broker) -> None:
        self._folder = folder
        self._broker = broker
        self._process: asyncio.subprocess.Process | None = None
        self._mqtt = ""
        self.began = 0.0

    async def __aenter__(self) -> Self:
        """Start it; on a folder that exists it finds what it knew."""
        if not self._folder.exists():
            HomeAssistant(self._folder, port=free_port())._make_folder()
            self._folder.joinpath("configuration.yaml").write_text(CONFIGURATION, "utf-8")
        self.began = monotonic()
        with self._folder.joinpath("bench.log").open("ab") as log:
            self._process = await asyncio.create_subprocess_exec(
                *(sys.executable, "-m", "tests.bench.process", str(self._folder)),
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                cwd=ROOT,
                limit=1 << 20,
            )
        try:
            await self._hear(START_TIMEOUT)
        except BaseException:
            self._process.kill()
            raise
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Shut it down in good order."""
        process = self._process
        if process is None or process.stdin is None:
            return
        process.stdin.close()
        try:
            async with asyncio.timeout(60):
                await process.wait()
        except TimeoutError:
            process.kill()
            await process.wait()

    async def tell(self, verb: str, **values: Any) -> Any:
        """Tell it to do something and return the answer."""
        if self._process is None or self._process.stdin is None:
            raise RuntimeError("it does not run")
        self._process.stdin.write(json.dumps({"verb": verb, **values}).encode() + b"\n")
        return await self._hear(ANSWER_TIMEOUT)

    async def _hear(self, seconds: float) -> Any:
        if self._process is None or self._process.stdout is None:
            raise RuntimeError("it does not run")
        async with asyncio.timeout(seconds):
            line = await self._process.stdout.readline()
        answer = json.loads(line) if line else {"error": "it ended"}
        if "error" in answer:
            raise RuntimeError(f"{answer['error']}: {self.log[-2000:]}")
        return answer.get("value")

    @property
    def log(self) -> str:
        """What it has said so far."""
        return self._folder.joinpath("bench.log").read_text("utf-8", "replace")

    # --- what a home has ---------------------------------------------------------------------------------------------

    async def set_up_mqtt(self) -> None:
        """Add Home Assistant's own MQTT; discovery is on, as it is by default."""
        other = {"set_client_cert": False, "set_ca_cert": "off", "transport": "tcp", "tls_insecure": False}
        answer = {"broker": self._broker.host, "port": self._broker.port, "protocol": "5", "other_settings": other}
        self._mqtt = await self.tell("set_up", domain="mqtt", answer=answer)
        await self.tell("no_delay")

    async def end_discovery(self) -> None:
        """Switch off the discovery of Home Assistant's own MQTT, which reloads it."""
        await self.tell("set_options", entry_id=self._mqtt, options={"discovery": False})
        await self.tell("idle")
        await self.tell("no_delay")

    async def set_up_hub(self, vendor: Vendor | None = None) -> str:
        """Add the hub, at noon, and let it follow a vendor."""
        await self.tell("zone", zone=zone_where_it_is(12))
        entry_id: str = await self.tell("set_up", domain="firmware_hub", answer={})
        sources = {"tasmota_enabled": True, "tasmota_mirror": NOWHERE}
        serving = {"address": HOST, "port": free_port()}
        await self.tell("set_options", entry_id=entry_id, options={"public_sources": sources, "serving": serving})
        if vendor is not None:
            feed = {"title": vendor.name, "url": vendor.manifest_url, "vendor": vendor.name, "keys": vendor.public_jwk}
            await self.tell("add_feed", entry_id=entry_id, answer=feed)
        return entry_id


def zone_where_it_is(hour: int) -> str:
    """Return a time zone in which it is that hour now, so that it is day whenever this runs."""
    offset = hour - datetime.now(UTC).hour
    return f"Etc/GMT{-offset:+d}" if offset else "Etc/GMT"


class Link:
    """A connection to the broker that sends prepared bytes; a client library would be slower than what is measured."""

    def __init__(self, broker: Broker) -> None:
        self._wire = socket.create_connection((broker.host, broker.port), timeout=60)
        self._wire.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._wire.sendall(_packet(0x10, b"\x00\x04MQTT\x04\x02\x00\x00" + _text("bench")))
        if self._read(4)[3]:
            raise RuntimeError("the broker refused the connection")

    def __enter__(self) -> Self:
        """Be connected."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Say goodbye."""
        self._wire.sendall(b"\xe0\x00")
        self._wire.close()

    def send(self, messages: bytes) -> None:
        """Hand messages over and return when the broker has read them all."""
        self._wire.sendall(messages + b"\xc0\x00")
        self._read(2)

    async def async_send(self, messages: bytes) -> None:
        """``send`` without holding up this process."""
        await asyncio.to_thread(self.send, messages)

    def _read(self, count: int) -> bytes:
        found = b""
        while len(found) < count:
            piece = self._wire.recv(count - len(found))
            if not piece:
                raise RuntimeError("the broker cut the connection")
            found += piece
        return found


def publications(messages: Iterable[tuple[str, str]], *, retain: bool = False) -> bytes:
    """Write messages as they go over the wire, QoS 0."""
    first = 0x31 if retain else 0x30
    return b"".join(_packet(first, _text(topic) + payload.encode()) for topic, payload in messages)


def _packet(first: int, body: bytes) -> bytes:
    length, digits = len(body), bytearray()
    while True:
        length, digit = divmod(length, 128)
        digits.append(digit | (0x80 if length else 0))
        if not length:
            return bytes([first]) + bytes(digits) + body


def _text(text: str) -> bytes:
    raw = text.encode()
    return len(raw).to_bytes(2) + raw
