"""How a simulated device reaches the broker: by a connection of its own, or over one that many share.

A connection of its own has a real last will. On a shared one the switchboard publishes the will itself.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import Protocol, Self

import aiomqtt

from simulator.tap import AT_ONCE, bytes_of
from simulator.watched import Watched

KEEPALIVE = 30
BATCH = 500
ROUND_TRIP = "simulator/round-trip"
"""Never subscribed. The broker's answer to unsubscribing says that it has worked through all that was sent before."""


@dataclass(frozen=True, slots=True)
class Publication:
    """A message to the broker."""

    topic: str
    payload: str | bytes
    retain: bool = False


@dataclass(frozen=True, slots=True)
class Incoming:
    """A message from the broker."""

    topic: str
    payload: bytes
    retain: bool

    @property
    def text(self) -> str:
        """The payload as text."""
        return self.payload.decode(errors="replace")


class Speaker(Protocol):
    """Who uses a link."""

    def will(self) -> Publication | None:
        """Return what the broker is to say when the connection is lost."""
        ...

    def filters(self) -> Sequence[str]:
        """Return the topics to hear; only a whole last level may be a wildcard."""
        ...

    async def on_connected(self) -> None:
        """Speak first: the topics are subscribed and nothing heard is lost."""
        ...

    def on_announced(self) -> None:
        """Know that the broker has worked through what was said on connecting."""
        ...

    def on_message(self, message: Incoming) -> None:
        """Take a message."""
        ...


class Link(Protocol):
    """A way to the broker for one speaker at a time."""

    async def open(self, speaker: Speaker) -> None:
        """Connect, subscribe, let the speaker announce itself, and return when the broker has taken all that in.

        It keeps trying while there is no broker.
        """
        ...

    async def publish(self, publication: Publication) -> None:
        """Publish with QoS 0; lost in silence while there is no connection, as from a real device."""
        ...

    async def close(self) -> None:
        """Leave with a proper goodbye: no last will."""
        ...

    async def drop(self) -> None:
        """Lose the connection: the last will is published."""
        ...


class OwnLink:
    """A connection of one's own."""

    def __init__(self, host: str, port: int, *, retry_after: float = 0.1) -> None:
        """Remember where the broker is; a lost connection is tried again after ``retry_after`` real seconds."""
        self._host, self._port, self._retry_after = host, port, retry_after
        self._client: aiomqtt.Client | None = None
        self._task: asyncio.Task[None] | None = None
        self._staying_away = False

    async def open(self, speaker: Speaker) -> None:
        """See ``Link``."""
        if self._task is not None:
            raise RuntimeError("the link is open already")
        self._staying_away = False
        first = asyncio.get_running_loop().create_future()
        self._task = asyncio.create_task(self._run(speaker, first))
        await first

    async def publish(self, publication: Publication) -> None:
        """See ``Link``."""
        if self._client is not None:
            with contextlib.suppress(aiomqtt.MqttError):
                await self._client.publish(publication.topic, publication.payload, retain=publication.retain)

    async def close(self) -> None:
        """See ``Link``."""
        if self._task is not None:
            self._task.cancel()
            await self._ended()

    async def drop(self) -> None:
        """See ``Link``."""
        self._staying_away = True
        if self._task is not None:
            if self._client is None or not _cut(self._client):
                self._task.cancel()
            await self._ended()

    async def _ended(self) -> None:
        task = self._task
        if task is not None:
            await asyncio.wait([task])
            self._task = None
            if not task.cancelled():
                task.result()

    async def _run(self, speaker: Speaker, first: asyncio.Future[None]) -> None:
        try:
            while not self._staying_away:
                with contextlib.suppress(aiomqtt.MqttError):
                    await self._talk(speaker, first)
                self._client = None
                if not self._staying_away:
                    await asyncio.sleep(self._retry_after)
        except Exception as error:
            if first.done():
                raise
            first.set_exception(error)
        finally:
            self._client = None
            if not first.done():
                first.cancel()

    async def _talk(self, speaker: Speaker, first: asyncio.Future[None]) -> None:
        will = speaker.will()
        last_will = aiomqtt.Will(will.topic, will.payload, retain=will.retain) if will else None
        async with aiomqtt.Client(
            self._host, self._port, will=last_will, keepalive=KEEPALIVE, socket_options=AT_ONCE
        ) as client:
            await client.subscribe([(topic, 1) for topic in speaker.filters()])
            self._client = client
            await speaker.on_connected()
            await client.unsubscribe(ROUND_TRIP)
            speaker.on_announced()
            if not first.done():
                first.set_result(None)
            async for message in client.messages:
                speaker.on_message(_incoming(message))


class Switchboard(Watched):
    """One connection for many devices."""

    def __init__(self, host: str, port: int, *, filters: Iterable[str] = ("fwhub/device/+/command", "cmnd/#")) -> None:
        """Choose the topics under which all its devices hear."""
        super().__init__()
        self._host, self._port, self._filters = host, port, tuple(filters)
        self._client: aiomqtt.Client | None = None
        self._task: asyncio.Task[None] | None = None
        self._routes: dict[str, list[Speaker]] = {}
        self._plugged: dict[Speaker, tuple[str, ...]] = {}

    def link(self) -> SharedLink:
        """Return a link for one device."""
        return SharedLink(self)

    async def __aenter__(self) -> Self:
        """Connect."""
        self._task = asyncio.create_task(self._run())
        await self.wait_for(lambda _: self._client is not None)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Disconnect."""
        if self._task is not None:
            self._task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._task

    async def publish(self, publication: Publication) -> None:
        """Publish with QoS 0; lost in silence while there is no connection."""
        if self._client is not None:
            with contextlib.suppress(aiomqtt.MqttError):
                await self._client.publish(publication.topic, publication.payload, retain=publication.retain)

    async def round_trip(self) -> None:
        """Return when the broker has worked through all that was published before."""
        if self._client is not None:
            with contextlib.suppress(aiomqtt.MqttError):
                await self._client.unsubscribe(ROUND_TRIP)

    async def publish_all(self, publications: Sequence[Publication]) -> None:
        """Publish many as fast as the broker takes them, in order."""
        for start in range(0, len(publications), BATCH):
            if self._client is not None:
                _push(self._client, publications[start : start + BATCH])
                await self.round_trip()

    def plug_in(self, speaker: Speaker) -> None:
        """Bring a device's messages to it from now on."""
        routes = tuple(topic.removesuffix("#").removesuffix("+") for topic in speaker.filters())
        self._plugged[speaker] = routes
        for route in routes:
            self._routes.setdefault(route, []).append(speaker)

    def unplug(self, speaker: Speaker) -> None:
        """Bring it no more messages."""
        for route in self._plugged.pop(speaker, ()):
            self._routes[route].remove(speaker)
            if not self._routes[route]:
                del self._routes[route]

    async def _run(self) -> None:
        try:
            while True:
                with contextlib.suppress(aiomqtt.MqttError):
                    await self._talk()
                self._client = None
                await asyncio.sleep(0.1)
        except Exception as error:  # noqa: BLE001  whoever waits on the switchboard is told
            self.crash = error
            self._changed()

    async def _talk(self) -> None:
        async with aiomqtt.Client(self._host, self._port, keepalive=KEEPALIVE, socket_options=AT_ONCE) as client:
            client.pending_calls_threshold = BATCH
            await client.subscribe([(topic, 1) for topic in self._filters])
            self._client = client
            self._changed()
            for speaker in list(self._plugged):
                await speaker.on_connected()
            async for message in client.messages:
                self._pass_on(_incoming(message))

    def _pass_on(self, message: Incoming) -> None:
        levels = message.topic.split("/")
        routes = [message.topic] + ["/".join(levels[:count]) + "/" for count in range(1, len(levels))]
        for route in routes:
            for speaker in list(self._routes.get(route, ())):
                speaker.on_message(message)


class SharedLink:
    """One device's share of a switchboard."""

    def __init__(self, board: Switchboard) -> None:
        """Belong to a switchboard."""
        self._board = board
        self._speaker: Speaker | None = None
        self._will: Publication | None = None

    async def open(self, speaker: Speaker) -> None:
        """See ``Link``."""
        self._speaker, self._will = speaker, speaker.will()
        self._board.plug_in(speaker)
        await speaker.on_connected()
        await self._board.round_trip()
        speaker.on_announced()

    async def publish(self, publication: Publication) -> None:
        """See ``Link``."""
        if self._speaker is not None:
            await self._board.publish(publication)

    async def close(self) -> None:
        """See ``Link``."""
        speaker, self._speaker = self._speaker, None
        if speaker is not None:
            self._board.unplug(speaker)

    async def drop(self) -> None:
        """See ``Link``."""
        if self._speaker is not None and self._will is not None:
            await self._board.publish(self._will)
        await self.close()


def _incoming(message: aiomqtt.Message) -> Incoming:
    return Incoming(message.topic.value, bytes_of(message), bool(message.retain))


def _push(client: aiomqtt.Client, publications: Sequence[Publication]) -> None:
    """Hand over many messages without waiting for each; aiomqtt waits until each one is written."""
    for publication in publications:
        client._client.publish(publication.topic, publication.payload, retain=publication.retain)  # noqa: SLF001


def _cut(client: aiomqtt.Client) -> bool:
    """Cut the TCP connection; aiomqtt has no way to leave without a goodbye."""
    wire = client._client.socket()  # noqa: SLF001
    if not isinstance(wire, socket.socket):
        return False
    with contextlib.suppress(OSError):
        wire.shutdown(socket.SHUT_RDWR)
    return True
