"""What all parts of the script work with: the plan, the talk, the web server, and the report."""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from ..core.model import Artifact, ArtifactRole, DeviceFacts, Match, Release
from ..dialects.base import InstallOrder
from ..dialects.open import OpenDialect
from ..report import Outcome, Report
from .image_server import ImageServer, Page
from .talk import Heard, Talk

ENDS = frozenset({"trial", "committed", "rolled_back", "failed", "rejected"})
REFUSALS = frozenset({"failed", "rejected"})
FLASHED = frozenset({"rebooting", "self_test", "trial", "committed", "rolled_back"})


class Stop(Exception):
    """The rest of the script makes no sense any more; why was told."""


@dataclass(frozen=True, slots=True)
class BadImage:
    """An image that the device must refuse, and its name."""

    name: str
    body: bytes


@dataclass(frozen=True, slots=True)
class Plan:
    """What is tried, and how long is waited. Times in seconds.

    Attributes:
        image, version: what is installed, and the version that the device names when it runs.
        bad_images: what it must refuse.
        answer: for an answer that needs no work.
        install: for an install, from the order until it runs and has tested itself.
        trial: until a device on trial goes back by itself; 0: that is not tried.
        flash: whether anything is installed at all.
    """

    image: bytes
    version: str
    bad_images: tuple[BadImage, ...] = ()
    answer: float = 30.0
    install: float = 600.0
    trial: float = 360.0
    flash: bool = True


@dataclass(slots=True)
class Bench:
    """The device is on it."""

    plan: Plan
    talk: Talk
    server: ImageServer
    report: Report
    clock: Callable[[], datetime]
    before: DeviceFacts = field(default_factory=DeviceFacts)
    _orders: int = 0
    _dialect: OpenDialect = field(default_factory=OpenDialect)

    # --- telling -----------------------------------------------------------------------------------------------------

    def ok(self, name: str, detail: str = "") -> None:
        """Tell that the device did it right."""
        self.report.check(name, Outcome.OK, detail)

    def doubt(self, name: str, detail: str) -> None:
        """Tell what is allowed and unwise."""
        self.report.check(name, Outcome.WARNING, detail)

    def wrong(self, name: str, detail: str) -> None:
        """Tell what the device did wrong."""
        self.report.check(name, Outcome.FAILED, detail)

    def skip(self, name: str, detail: str) -> None:
        """Tell what was not tried."""
        self.report.check(name, Outcome.SKIPPED, detail)

    def stop(self, name: str, detail: str) -> Stop:
        """Tell what the device did wrong, where nothing can follow it."""
        self.wrong(name, detail)
        return Stop()

    # --- ordering ----------------------------------------------------------------------------------------------------

    def mark(self) -> int:
        """Remember how much was heard so far."""
        return len(self.talk.heard)

    def attempt(self, what: str) -> str:
        """Return a new id for an order."""
        self._orders += 1
        return f"try-{secrets.token_hex(3)}-{self._orders}-{what}"

    def order(
        self, attempt: str, body: bytes, page: Page | None, *, size: int | None = None, late: bool = False
    ) -> InstallOrder:
        """Write an install order for these bytes; ``page`` is what is served instead of all of them."""
        now = self.clock()
        url = self.server.offer(f"/{attempt}/image.bin", page)
        digest = hashlib.sha256(body).hexdigest()
        stated = Artifact(ArtifactRole.MAIN, "image.bin", url, len(body) if size is None else size, digest)
        release = Release(Match("", ("",)), self.plan.version, (stated,))
        until = now - timedelta(hours=1) if late else now + timedelta(seconds=self.plan.install)
        return InstallOrder(attempt, self.talk.device, release, url, not_after=until)

    async def install(self, order: InstallOrder, *, retain: bool = False) -> None:
        """Send an install order as the hub does; or retained, as the hub never does."""
        for message in self._dialect.install(order):
            await self.talk.say(message.payload, retain=retain)

    async def commit(self, attempt: str) -> None:
        """Send a commit as the hub does."""
        await self.talk.order(self._dialect.commit(self.talk.device, attempt))

    async def rollback(self, attempt: str) -> None:
        """Send a rollback as the hub does."""
        await self.talk.order(self._dialect.rollback(self.talk.device, attempt))

    async def ask(self) -> DeviceFacts | None:
        """Ask for a report; return what the device itself then says of itself, ``None`` if it says nothing."""
        mark = self.mark()
        await self.talk.order(self._dialect.query(self.talk.device))
        return await self.talk.until(lambda: self.talk.facts(mark), self.plan.answer)

    def was_asked(self, attempt: str) -> int:
        """Say how often the device fetched the image of an attempt."""
        return self.server.asked.count(f"/{attempt}/image.bin")

    def ending(self, mark: int, attempt: str, states: frozenset[str] = ENDS) -> Heard | None:
        """Return the first message about an attempt that is one of these states."""
        said = self.talk.states(mark, attempt)
        return next((item for item in said if item.members["state"] in states), None)

    async def reaction(self, mark: int, attempt: str) -> str | None:
        """Wait for the first sign that the device took an order: a word about it, or a request for its image."""

        def look() -> str | None:
            said = self.talk.states(mark, attempt)
            asked = "asked" if self.was_asked(attempt) else None
            return str(said[0].members["state"]) if said else asked

        return await self.talk.until(look, self.plan.answer)
