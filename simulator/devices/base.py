"""What every simulated device is: an image in flash, a link to the broker, and a record of what was done to it."""

from __future__ import annotations

import asyncio
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Coroutine, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any, override

import aiohttp

from simulator.images import Image
from simulator.link import Incoming, Link, Publication
from simulator.watched import Watched

PATIENCE = 8.0
"""Real seconds without a byte after which a device gives up; not scaled, so that a busy machine is no fault."""


class DeviceState(StrEnum):
    """What the device is doing."""

    OFF = "off"
    ONLINE = "online"
    DOWNLOADING = "downloading"
    FLASHING = "flashing"
    REBOOTING = "rebooting"
    TRIAL = "trial"
    ASLEEP = "asleep"
    DEAD = "dead"


@dataclass(frozen=True, slots=True)
class Download:
    """One GET of a device. ``status`` 0: there was no answer; ``error`` says why there is no whole body."""

    url: str
    status: int = 0
    length: int | None = None
    body: bytes = b""
    error: str = ""


@dataclass(frozen=True, slots=True)
class Command:
    """One install command as the device took it. ``late``: after its ``not_after``."""

    attempt: str
    at: datetime
    late: bool = False
    retain: bool = False


@dataclass(slots=True)
class Record:
    """What was done to a device.

    Attributes:
        commands: install commands that reached it while it could hear, in order, repeated ones included.
        downloads: every GET it made, finished or not.
        boots: how often it started, the first time included.
        versions: the version after each boot.
        unheard: messages that came while it was deaf.
    """

    commands: list[Command] = field(default_factory=list)
    downloads: list[Download] = field(default_factory=list)
    boots: int = 0
    versions: list[str] = field(default_factory=list)
    unheard: int = 0

    @property
    def late_commands(self) -> list[Command]:
        """Install commands that came after their ``not_after``."""
        return [command for command in self.commands if command.late]

    @property
    def duplicate_commands(self) -> list[Command]:
        """Install commands beyond the first of their attempt."""
        attempts = [command.attempt for command in self.commands]
        return [command for index, command in enumerate(self.commands) if command.attempt in attempts[:index]]


class SimulatedDevice(Watched, ABC):
    """A device with one running image.

    ``speed`` divides all its times: 1 is a real device, 10 makes tenths of seconds. ``start`` switches it on and
    returns when it has announced itself; ``stop`` takes it out of the world. ``announced_boots`` counts the boots after
    which it has said that it is there, and the broker has taken it in.
    """

    dialect: str = ""

    def __init__(self, *, name: str, mac: str, image: Image, link: Link, speed: float = 1.0) -> None:
        """Lie on the shelf with an image in flash."""
        super().__init__()
        self.name = name
        self.mac = mac
        self.image = image
        self.speed = speed
        self.state = DeviceState.OFF
        self.deaf = False
        self.record = Record()
        self.link = link
        self.announced_boots = 0
        self.booted_at = time.monotonic()
        self.session: aiohttp.ClientSession | None = None
        self._own_session = False
        self._announced_bytes: int | None = None
        self._boots = False
        self._tasks: set[asyncio.Task[None]] = set()

    @override
    def __repr__(self) -> str:
        """Say who it is and how it is doing."""
        record = self.record
        return (
            f"<{type(self).__name__} {self.name} {self.version} {self.state}, {record.boots} boots,"
            f" {len(record.commands)} commands, {[(d.status, d.error) for d in record.downloads]}>"
        )

    # --- what it is --------------------------------------------------------------------------------------------------

    @property
    def version(self) -> str:
        """The version of the image that it runs."""
        return self.image.version

    @property
    def online(self) -> bool:
        """Whether it is connected."""
        return self.state not in {DeviceState.OFF, DeviceState.REBOOTING, DeviceState.ASLEEP, DeviceState.DEAD}

    @property
    def uptime_s(self) -> int:
        """Simulated seconds since the last boot."""
        return int((time.monotonic() - self.booted_at) * self.speed)

    @abstractmethod
    def will(self) -> Publication | None:
        """Return what the broker is to say when the connection is lost."""

    @abstractmethod
    def filters(self) -> Sequence[str]:
        """Return the topics on which it hears commands."""

    @abstractmethod
    async def _announce(self) -> None:
        """Say what it is; after a boot and after every reconnection."""

    @abstractmethod
    def _hear(self, message: Incoming) -> None:
        """Take a message; only called while it is not deaf."""

    # --- being switched on and off -----------------------------------------------------------------------------------

    async def start(self) -> None:
        """Switch it on; returns when it has announced itself."""
        await self._boot()

    async def stop(self) -> None:
        """Take it out of the world with a proper goodbye to the broker.

        Raises:
            RuntimeError: something broke the simulation before.
        """
        await self._cancel_tasks()
        await self.link.close()
        await self._cancel_tasks()
        if self.session is not None and self._own_session:
            await self.session.close()
            self.session = None
        self._set(DeviceState.OFF)
        if self.crash is not None:
            raise RuntimeError(f"the simulation broke: {self!r}") from self.crash

    async def cut_power(self) -> None:
        """Switch it off by the plug: its last will is published, and what it was doing is lost."""
        await self._cancel_tasks()
        await self.link.drop()
        await self._cancel_tasks()
        self.deaf = False
        self._set(DeviceState.OFF)

    async def lose_connection(self, seconds: float) -> None:
        """Lose the network for some simulated seconds; it goes on running."""
        await self.link.drop()
        await self._pause(seconds)
        await self.link.open(self)

    async def on_connected(self) -> None:
        """Be there: from here on nothing that is sent to it is lost."""
        if self._boots:
            self._boots = False
            self.booted_at = time.monotonic()
            self.record.boots += 1
            self.record.versions.append(self.version)
            self.deaf = False
        if not self.online:
            self.state = DeviceState.ONLINE
        self._changed()
        await self._guard(self._announce())

    def on_announced(self) -> None:
        """Have been understood by the broker."""
        self.announced_boots = self.record.boots
        self._changed()

    def on_message(self, message: Incoming) -> None:
        """Take a message from the broker."""
        try:
            if self.deaf:
                self.record.unheard += 1
            else:
                self._hear(message)
        except Exception as error:  # noqa: BLE001  whoever waits on this device is told
            self.crash = error
        self._changed()

    # --- tools for the families --------------------------------------------------------------------------------------

    def _set(self, state: DeviceState) -> None:
        self.state = state
        self._changed()

    def _note_command(self, attempt: str, *, not_after: datetime | None = None, retain: bool = False) -> Command:
        now = datetime.now(UTC)
        command = Command(attempt, now, late=not_after is not None and now > not_after, retain=retain)
        self.record.commands.append(command)
        self._changed()
        return command

    async def _pause(self, seconds: float) -> None:
        """Let simulated seconds pass."""
        await asyncio.sleep(seconds / self.speed)

    async def _say(self, topic: str, payload: str | bytes, *, retain: bool = False) -> None:
        await self.link.publish(Publication(topic, payload, retain))

    async def _boot(self) -> None:
        """Come back after a reboot with whatever is in flash."""
        self._boots = True
        await self.link.open(self)

    async def _vanish(self) -> None:
        """Be gone for the broker, as a chip is that just resets: the last will speaks."""
        self._set(DeviceState.REBOOTING)
        await self.link.drop()

    def _spawn(self, work: Coroutine[Any, Any, None]) -> None:
        """Do something beside listening; a bug in it is told to whoever waits on this device."""
        task = asyncio.create_task(self._guard(work))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        task.add_done_callback(lambda _: work.close())

    async def _guard(self, work: Coroutine[Any, Any, None]) -> None:
        try:
            await work
        except Exception as error:  # noqa: BLE001  whoever waits on this device is told
            self.crash = error
        self._changed()

    async def _cancel_tasks(self) -> None:
        tasks = self._tasks - {asyncio.current_task()}
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks)

    async def _download(
        self,
        url: str,
        *,
        limit: int,
        headers: Iterable[tuple[str, str]] = (),
        on_chunk: Callable[[int], Coroutine[Any, Any, None]] | None = None,
    ) -> Download:
        """GET at most ``limit`` bytes, without following redirects, and record it.

        ``on_chunk`` is called with the bytes received so far; a ``ConnectionError`` from it ends the transfer. How many
        the server announced is in ``_announced_bytes`` meanwhile.
        """
        if self.session is None:
            self.session = aiohttp.ClientSession()
            self._own_session = True
        status, length, body, error = 0, None, bytearray(), ""
        timeout = aiohttp.ClientTimeout(total=None, sock_connect=PATIENCE, sock_read=PATIENCE)
        try:
            async with self.session.get(
                url, headers=dict(headers), timeout=timeout, allow_redirects=False, auto_decompress=False
            ) as response:
                status, length = response.status, response.content_length
                self._announced_bytes = length
                async for chunk in response.content.iter_chunked(4096):
                    body += chunk
                    if len(body) > limit:
                        error = "too long"
                        break
                    if on_chunk is not None:
                        await on_chunk(len(body))
        except (aiohttp.ClientError, OSError, TimeoutError, ValueError) as problem:
            error = f"{type(problem).__name__}"
        download = Download(url, status, length, bytes(body), error)
        self.record.downloads.append(download)
        self._changed()
        return download
