"""A client that sees everything that passes through a broker, and counts the install commands among it."""

from __future__ import annotations

import asyncio
import contextlib
import json
import re
import socket
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from types import TracebackType
from typing import Any, Self, cast, override
from uuid import uuid4

import aiomqtt
from paho.mqtt.subscribeoptions import SubscribeOptions

from simulator.watched import Watched

OPEN_COMMAND = re.compile(r"^fwhub/device/([^/]+)/command$")
ZIGBEE_COMMAND = re.compile(r"/bridge/request/device/ota_update/(?:update|schedule)(?:/downgrade)?$")
SHELLY_CALL = re.compile(r"^(?!fwhub/)(.+)(?<!/events)/rpc$")
SHELLY_GEN1_COMMAND = re.compile(r"^shellies/(?:([^/]+)/)?command$")
ANNOUNCEMENT = re.compile(r"^homeassistant/(?:update|device)/(?:[^/]+/){1,2}config$")
MARKER = "simulator/tap/"
RECONNECT_AFTER = 0.05
DONT_SEND_RETAINED = 2
AT_ONCE = ((socket.IPPROTO_TCP, socket.TCP_NODELAY, 1),)
"""For sockets: small messages do not wait for company, which costs 40 ms each time."""


@dataclass(frozen=True, slots=True)
class Seen:
    """One message as the broker passed it on.

    ``retain`` and ``qos`` are as its publisher set them. A tap that speaks MQTT 3.1.1 cannot see either: there
    ``retain`` is true only for messages that were lying in the broker when the tap came, and ``qos`` is always 0,
    because amqtt delivers with the subscriber's.
    """

    topic: str
    payload: bytes
    retain: bool
    qos: int
    at: datetime

    @property
    def text(self) -> str:
        """The payload as text."""
        return self.payload.decode(errors="replace")

    @property
    def json(self) -> Any:  # noqa: ANN401  foreign
        """The payload as JSON; ``None`` if it is none."""
        try:
            return json.loads(self.payload)
        except ValueError:
            return None


@dataclass(frozen=True, slots=True)
class InstallCommand:
    """One order to install.

    ``attempt`` is the attempt id (open), the transaction (Zigbee2MQTT), the id of the call (Shelly) or the image's
    address (Tasmota and OpenBeken know no ids); a Shelly of the first generation and whatever announced its update to
    Home Assistant (ESPHome, OpenMQTTGateway, others) are told nothing that could tell two orders apart.
    """

    dialect: str
    device: str
    attempt: str
    url: str
    retain: bool
    qos: int
    at: datetime


class BrokerTap(Watched):
    """Records every message from the moment it is entered; afterwards ``messages`` can still be read."""

    def __init__(
        self,
        host: str,
        port: int,
        *,
        filters: Iterable[str] = ("#",),
        mqtt5: bool = True,
        username: str | None = None,
        password: str | None = None,
    ) -> None:
        """Choose what to record; nothing is connected yet."""
        super().__init__()
        self.messages: list[Seen] = []
        self._host, self._port = host, port
        self._filters = (*filters, f"{MARKER}#")
        self._mqtt5 = mqtt5
        self._username, self._password = username, password
        self._client: aiomqtt.Client | None = None
        self._task: asyncio.Task[None] | None = None
        self._markers: set[str] = set()

    @override
    def __repr__(self) -> str:
        """Say how many messages there are, and the last topics."""
        return f"<BrokerTap {len(self.messages)} messages, last {[seen.topic for seen in self.messages[-5:]]}>"

    async def __aenter__(self) -> Self:
        """Connect and return when everything published from now on will be recorded."""
        self._task = asyncio.create_task(self._run())
        await self._connected()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Disconnect."""
        if self._task is not None:
            self._task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._task

    async def settle(self) -> None:
        """Return when all that was sent to the broker before this call, by whomever, is in ``messages``."""
        client = await self._connected()
        # Of several connections that are readable at once the broker may turn to this one first. When the second marker
        # reaches it, it has been through all of them.
        await self._round_trip(client)
        await self._round_trip(client)

    async def _round_trip(self, client: aiomqtt.Client) -> None:
        marker = f"{MARKER}{uuid4().hex}"
        await client.publish(marker)
        await self.wait_for(lambda _: marker in self._markers)

    async def publish(self, topic: str, payload: str | bytes = "", *, retain: bool = False, qos: int = 0) -> None:
        """Say something oneself, as any other client could."""
        client = await self._connected()
        await client.publish(topic, payload, qos=qos, retain=retain)

    async def wait_for_message(self, wanted: Callable[[Seen], object], timeout: float = 30.0) -> Seen:  # noqa: ASYNC109
        """Return the first recorded message, past or to come, that is wanted."""
        position = 0

        def found(_: BrokerTap) -> bool:
            nonlocal position
            while position < len(self.messages) and not wanted(self.messages[position]):
                position += 1
            return position < len(self.messages)

        await self.wait_for(found, timeout)
        return self.messages[position]

    def on(self, topic: str) -> list[Seen]:
        """All messages on this topic, oldest first."""
        return [seen for seen in self.messages if seen.topic == topic]

    # --- counting ----------------------------------------------------------------------------------------------------

    def install_commands(self, device: str | None = None) -> list[InstallCommand]:
        """All orders to install, or those to one device: its id, its Tasmota topic, or the name that it announced."""
        said = _Said()
        commands = [command for seen in self.messages for command in _read(seen, said)]
        return [command for command in commands if device is None or command.device == device]

    def attempts(self) -> Counter[tuple[str, str]]:
        """How many commands each (device, attempt) got; more than one is a broken promise."""
        return Counter((command.device, command.attempt) for command in self.install_commands())

    def duplicates(self) -> list[InstallCommand]:
        """Commands beyond the first of their attempt."""
        known: set[tuple[str, str]] = set()
        again = []
        for command in self.install_commands():
            key = (command.device, command.attempt)
            if key in known:
                again.append(command)
            known.add(key)
        return again

    def outside(self, is_open: Callable[[datetime], bool]) -> list[InstallCommand]:
        """Commands at times for which ``is_open`` (given an aware UTC time) says no."""
        return [command for command in self.install_commands() if not is_open(command.at)]

    def lasting_commands(self) -> list[Seen]:
        """Messages to devices, of any kind, that were published retained or with a QoS above 0: both are forbidden."""
        said = _Said()
        for seen in self.messages:
            said.note(seen)
        orders = (seen for seen in self.messages if _is_command(seen.topic) or seen.topic in said.orders)
        return [seen for seen in orders if seen.payload and (seen.retain or seen.qos)]

    async def _connected(self) -> aiomqtt.Client:
        await self.wait_for(lambda _: self._client is not None)
        return cast("aiomqtt.Client", self._client)

    # --- recording ---------------------------------------------------------------------------------------------------

    async def _run(self) -> None:
        first = True
        try:
            while True:
                with contextlib.suppress(aiomqtt.MqttError):
                    await self._record(first)
                self._client, first = None, False
                await asyncio.sleep(RECONNECT_AFTER)
        except asyncio.CancelledError:
            raise
        except BaseException as error:  # noqa: BLE001  whoever waits on this tap is told
            self.crash = error
            self._changed()

    async def _record(self, first: bool) -> None:
        protocol = aiomqtt.ProtocolVersion.V5 if self._mqtt5 else aiomqtt.ProtocolVersion.V311
        async with aiomqtt.Client(
            self._host,
            self._port,
            protocol=protocol,
            username=self._username,
            password=self._password,
            queue_type=_straight_to(self._note),
            socket_options=AT_ONCE,
        ) as client:
            for topic in self._filters:
                await client.subscribe(topic, options=self._options(first))
            self._client = client
            self._changed()
            async for _ in client.messages:
                raise RuntimeError("messages go straight to the list")

    def _options(self, first: bool) -> SubscribeOptions | None:
        if not self._mqtt5:
            return None
        return SubscribeOptions(qos=2, retainAsPublished=True, retainHandling=0 if first else DONT_SEND_RETAINED)

    def _note(self, message: aiomqtt.Message) -> None:
        topic = message.topic.value
        if topic.startswith(MARKER):
            self._markers.add(topic)
        else:
            self.messages.append(Seen(topic, bytes_of(message), bool(message.retain), message.qos, datetime.now(UTC)))
        self._changed()


def _straight_to(take: Callable[[aiomqtt.Message], None]) -> type[asyncio.Queue[aiomqtt.Message]]:
    """Return a queue for aiomqtt that hands on at once: iterating over its messages costs a task for each."""

    class Straight(asyncio.Queue[aiomqtt.Message]):
        @override
        def put_nowait(self, item: aiomqtt.Message) -> None:
            take(item)

    return Straight


def bytes_of(message: aiomqtt.Message) -> bytes:
    """Return the payload as the bytes that it was on the wire; aiomqtt's type allows more than it ever delivers."""
    payload: object = message.payload
    return payload if isinstance(payload, bytes) else b""


def _is_command(topic: str) -> bool:
    patterns = (OPEN_COMMAND, SHELLY_CALL, SHELLY_GEN1_COMMAND)
    return any(each.match(topic) for each in patterns) or "cmnd" in topic.split("/") or "/bridge/request/" in topic


@dataclass(slots=True)
class _Said:
    """What was said before, without which later messages cannot be understood.

    Attributes:
        urls: each Tasmota device's last ``OtaUrl``.
        orders: for each topic that was announced to Home Assistant for ordering an update, family and name of whose.
    """

    urls: dict[str, str] = field(default_factory=dict)
    orders: dict[str, tuple[str, str]] = field(default_factory=dict)

    def note(self, seen: Seen) -> None:
        """Remember an announcement; all others than those of updates order nothing."""
        if not ANNOUNCEMENT.match(seen.topic):
            return
        config = _object(seen.json)
        device = _object(config.get("dev") or config.get("device"))
        parts = _object(config.get("cmps") or config.get("components")) or {"": config}
        for part in map(_object, parts.values()):
            topic = str(part.get("cmd_t") or part.get("command_topic") or "")
            if topic and (part.get("p") or part.get("platform") or "update") == "update":
                place = topic.replace("~", str(config.get("~", "")))
                self.orders[place] = (_announced_family(device), str(device.get("name", "")))


def _object(value: object) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _announced_family(device: dict[str, Any]) -> str:
    if "(ESPHome " in str(device.get("sw", "")):
        return "esphome"
    return "openmqttgateway" if device.get("mf") == "OMG_community" else "ha_update"


def _read(seen: Seen, said: _Said) -> list[InstallCommand]:
    """Return the install commands in one message."""
    said.note(seen)
    if found := OPEN_COMMAND.match(seen.topic):
        return _read_open(seen, found.group(1))
    if ZIGBEE_COMMAND.search(seen.topic):
        return _read_zigbee(seen)
    if found := SHELLY_CALL.match(seen.topic):
        return _read_shelly(seen, found.group(1))
    if found := SHELLY_GEN1_COMMAND.match(seen.topic):
        return _read_shelly_gen1(seen, found.group(1) or "")
    if seen.topic in said.orders and seen.payload:
        family, name = said.orders[seen.topic]
        return [InstallCommand(family, name, "", "", seen.retain, seen.qos, seen.at)]
    return _read_cmnd(seen, said.urls)


def _read_cmnd(seen: Seen, urls: dict[str, str]) -> list[InstallCommand]:
    """Read what Tasmota and OpenBeken are told; ``urls`` remembers each Tasmota device's last ``OtaUrl``."""
    levels = seen.topic.split("/")
    if "cmnd" not in levels[:-1]:
        return []
    device = "/".join(level for level in levels[:-1] if level != "cmnd")
    commands = []
    for word, value in _tasmota_words(levels[-1], seen.text):
        if word == "otaurl" and len(value) > 1:
            urls[device] = value
        elif word in {"upgrade", "upload"} and value:
            url = urls.get(device, "")
            commands.append(InstallCommand("tasmota", device, url, url, seen.retain, seen.qos, seen.at))
        elif word == "ota_http" and value:
            commands.append(InstallCommand("openbeken", device, value, value, seen.retain, seen.qos, seen.at))
    return commands


def _read_open(seen: Seen, device: str) -> list[InstallCommand]:
    order = seen.json
    if not isinstance(order, dict) or order.get("command") != "install":
        return []
    attempt, url = str(order.get("id", "")), str(order.get("url", ""))
    return [InstallCommand("open", device, attempt, url, seen.retain, seen.qos, seen.at)]


def _read_zigbee(seen: Seen) -> list[InstallCommand]:
    order = seen.json
    if not isinstance(order, dict):
        return [InstallCommand("zigbee2mqtt", seen.text, "", "", seen.retain, seen.qos, seen.at)]
    device, attempt, url = (str(order.get(key, "")) for key in ("id", "transaction", "url"))
    return [InstallCommand("zigbee2mqtt", device, attempt, url, seen.retain, seen.qos, seen.at)]


def _read_shelly(seen: Seen, prefix: str) -> list[InstallCommand]:
    call = seen.json
    if not isinstance(call, dict) or call.get("method") != "Shelly.Update":
        return []
    params = call.get("params")
    url = str(params.get("url", "")) if isinstance(params, dict) else ""
    return [InstallCommand("shelly", prefix, str(call.get("id", "")), url, seen.retain, seen.qos, seen.at)]


def _read_shelly_gen1(seen: Seen, device: str) -> list[InstallCommand]:
    if seen.text != "update_fw":
        return []
    return [InstallCommand("shelly_gen1", device, "", "", seen.retain, seen.qos, seen.at)]


def _tasmota_words(command: str, payload: str) -> list[tuple[str, str]]:
    if command.lower() not in {"backlog", "backlog0"}:
        return [(command.lower(), payload.strip())]
    pairs = (part.strip().partition(" ") for part in payload.split(";"))
    return [(word.lower(), value.strip()) for word, _, value in pairs if word]
