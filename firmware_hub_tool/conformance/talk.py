"""The talk with one device over its broker: what it says, as the hub reads it, and orders, as the hub writes them."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

import aiomqtt

from ..core.errors import HubError
from ..core.inputs import DeviceInput, DeviceReported, HealthReported
from ..core.model import Device, DeviceFacts
from ..dialects.base import Message, Outgoing
from ..dialects.open import OpenDialect
from ..faults import Code, Exit, Fault

ROOT = "fwhub/device/"
WORDS = ("availability", "health", "status", "command")


@dataclass(frozen=True, slots=True)
class Heard:
    """One message of the device: what the hub makes of it, or why the hub drops it. ``at``: seconds of the loop."""

    name: str
    word: str
    payload: bytes
    retained: bool
    at: float
    inputs: tuple[DeviceInput, ...] = ()
    fault: HubError | None = None

    @property
    def text(self) -> str:
        """The payload as text."""
        return self.payload.decode(errors="replace")

    @property
    def members(self) -> dict[str, Any]:
        """The payload as JSON; empty for anything else."""
        try:
            found = json.loads(self.payload)
        except ValueError:
            return {}
        return found if isinstance(found, dict) else {}

    @property
    def facts(self) -> DeviceFacts | None:
        """What the device says of itself, if this is an ``info`` that the hub understands."""
        return next((item.facts for item in self.inputs if isinstance(item, DeviceReported)), None)

    @property
    def health(self) -> HealthReported | None:
        """How the device says it is, if this is a ``health`` that the hub understands."""
        return next((item for item in self.inputs if isinstance(item, HealthReported)), None)


class Talk:
    """Hears and orders. ``name`` is the device's id in its topics; what others announce is kept apart in ``others``."""

    def __init__(self, client: aiomqtt.Client, name: str) -> None:
        """Take a client that is connected."""
        self.name = name
        self.device = Device(f"open:{name}", OpenDialect.name, channel={"command": f"{ROOT}{name}/command"})
        self.heard: list[Heard] = []
        self.others: list[Heard] = []
        self._client = client
        self._dialect = OpenDialect()
        self._changed = asyncio.Event()
        self._lost = False

    def at(self, dialect: str, address: str) -> Device | None:  # noqa: ARG002 - the address book of the hub
        """Return the device for its own address."""
        return self.device if address == f"{ROOT}{self.name}/" else None

    def is_claimed(self, dialect: str, address: str) -> bool:
        """Say whether an address is the device's."""
        return self.at(dialect, address) is not None

    def get(self, device_id: str) -> Device | None:
        """Return the device by its identity."""
        return self.device if device_id == self.device.id else None

    async def listen(self) -> None:
        """Subscribe and hear until cancelled; a lost broker ends whoever waits."""
        try:
            filters = [f"{ROOT}+/info", *(f"{ROOT}{self.name}/{word}" for word in WORDS)]
            await self._client.subscribe([(topic, 0) for topic in filters])
            async for message in self._client.messages:
                self._hear(message)
        except aiomqtt.MqttError:
            self._lost = True
        self.stir()

    def stir(self) -> None:
        """Let whoever waits look again."""
        self._changed.set()

    async def order(self, messages: Iterable[Outgoing]) -> None:
        """Send what the hub's own dialect wrote.

        Raises:
            Fault: the broker is gone.
        """
        for message in messages:
            await self.say(message.payload)

    async def say(self, payload: str, *, retain: bool = False) -> None:
        """Send anything.

        Raises:
            Fault: the broker is gone.
        """
        try:
            await self._client.publish(f"{ROOT}{self.name}/command", payload, retain=retain)
        except aiomqtt.MqttError as error:
            raise Fault(Exit.OUTSIDE, Code.BROKER_FAILED, str(error)) from error

    async def until[Found](self, look: Callable[[], Found | None], seconds: float) -> Found | None:
        """Return what ``look`` finds as soon as it finds something; ``None`` when the time is over.

        Raises:
            Fault: the broker is gone.
        """
        loop = asyncio.get_running_loop()
        deadline = loop.time() + seconds
        while True:
            self._changed.clear()
            found = look()
            left = deadline - loop.time()
            if found is not None or left <= 0:
                return found
            if self._lost:
                raise Fault(Exit.OUTSIDE, Code.BROKER_FAILED, "the connection to the broker was lost")
            try:
                await asyncio.wait_for(self._changed.wait(), left)
            except TimeoutError:
                continue

    def since(self, mark: int, word: str, *, live: bool = True) -> list[Heard]:
        """Return what the device said on one of its topics since a mark (a length of ``heard``)."""
        found = [item for item in self.heard[mark:] if item.word == word]
        return [item for item in found if not (live and item.retained)]

    def facts(self, mark: int) -> DeviceFacts | None:
        """Return what the device itself said of itself last, since a mark."""
        found = [item.facts for item in self.since(mark, "info") if item.facts is not None]
        return found[-1] if found else None

    def states(self, mark: int, attempt: str) -> list[Heard]:
        """Return what was said about one attempt, as far as the hub understands it."""
        said = [item for item in self.since(mark, "status") if item.fault is None]
        return [item for item in said if item.members.get("id") == attempt]

    def _hear(self, message: aiomqtt.Message) -> None:
        name, _, word = str(message.topic).removeprefix(ROOT).partition("/")
        payload = message.payload
        inputs: tuple[DeviceInput, ...] = ()
        fault = None
        if word != "command":
            try:
                inputs = self._dialect.read(Message(str(message.topic), payload, bool(message.retain)), self)
            except HubError as error:
                fault = error
        at = asyncio.get_running_loop().time()
        heard = Heard(name, word, payload, bool(message.retain), at, inputs, fault)
        if name == self.name:
            self.heard.append(heard)
            self.stir()
        else:
            self.others.append(heard)
