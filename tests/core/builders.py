"""Small builders of the hub's nouns, and a home that drives a whole hub as its shell would, without any of its I/O."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from custom_components.firmware_hub.core.effects import Announce, ClearIssue, Effect, IssueKind, RaiseIssue, Save
from custom_components.firmware_hub.core.hub import Hub
from custom_components.firmware_hub.core.inputs import (
    AddressChecked,
    ApproveRequested,
    ArtifactsReady,
    DeviceLinkChanged,
    DeviceReported,
    FeedsChanged,
    HealthReported,
    Input,
    LinkChanged,
    ManifestRead,
    SettingsChanged,
    WokenUp,
)
from custom_components.firmware_hub.core.model import (
    Approval,
    Device,
    DeviceFacts,
    Feed,
    Identity,
    Install,
    InstallState,
    Offer,
    Release,
    Trust,
)
from custom_components.firmware_hub.core.ports import Capabilities
from custom_components.firmware_hub.core.records import Snapshot
from custom_components.firmware_hub.core.settings import Settings
from custom_components.firmware_hub.core.view import DeviceView

from .statements import manifest, release

NIGHT = datetime(2026, 11, 24, 0, 30, tzinfo=UTC)
"""Half an hour into the window of the default settings."""
NOON = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)
"""Twelve hours before it opens."""
SECOND, MINUTE, HOUR, DAY = (timedelta(**{unit: 1}) for unit in ("seconds", "minutes", "hours", "days"))
PLUG, LAMP, FAN = "mac:000000000001", "mac:000000000002", "mac:000000000003"


def capabilities(**changes: Any) -> Capabilities:
    """Make a plain family: it is told what to load and says nothing but its version."""
    values: dict[str, Any] = {
        "chooses_artifact": True,
        "reports_progress": False,
        "reports_failure": True,
        "echoes_attempt": False,
        "rolls_back": False,
        "wakes_by_itself": True,
        "needs_plain_http": True,
        "commits": False,
        "announces_boot": False,
        "default_minutes": 5,
        "max_deadline": timedelta(hours=1),
    }
    return Capabilities(**values | changes)


def device(device_id: str = PLUG, **changes: Any) -> Device:
    values: dict[str, Any] = {
        "dialect": "open",
        "name": device_id[-1],
        "manufacturer": "Acme",
        "model": "PLUG-S1",
        "version": "1.0.0",
        "addresses": (f"{device_id}/",),
    }
    return Device(device_id, **values | changes)


def report(device_id: str = PLUG, version: str | None = "1.0.0", **changes: Any) -> DeviceReported:
    """Make what a device says of itself; ``retained``, ``rebooted`` and ``dialect`` belong to the message."""
    about = {name: changes.pop(name) for name in ("retained", "rebooted") if name in changes}
    dialect = changes.pop("dialect", "open")
    values: dict[str, Any] = {"manufacturer": "Acme", "model": "PLUG-S1", "version": version}
    return DeviceReported(device_id, dialect, DeviceFacts(**values | changes), **about)


def feed(feed_id: str = "acme", **changes: Any) -> Feed:
    values: dict[str, Any] = {
        "source": "signed_manifest",
        "title": feed_id.title(),
        "url": f"https://{feed_id}.example/manifest.json",
        "trust": Trust.SIGNED,
        "vendor": "Acme",
    }
    return Feed(feed_id, **values | changes)


def offer(item: Release | None = None, **changes: Any) -> Offer:
    values: dict[str, Any] = {"feed_id": "acme", "trust": Trust.SIGNED, "vendor": "Acme"}
    return Offer(item or release(), **values | changes)


def approval(at: datetime = NIGHT, **changes: Any) -> Approval:
    values: dict[str, Any] = {"by": "anna", "at": at, "expires": at + 30 * DAY}
    return Approval(**values | changes)


def install(device_id: str = PLUG, **changes: Any) -> Install:
    """Make an approved install of version 1.2.0 on a plug that runs 1.0.0."""
    values: dict[str, Any] = {
        "id": f"i-{device_id[-1]}",
        "offer": offer(),
        "approval": approval(),
        "identity": Identity("Acme", "PLUG-S1", "", ""),
        "from_version": "1.0.0",
        "state": InstallState.APPROVED,
    }
    return Install(device_id=device_id, **values | changes)


def commanded(device_id: str = PLUG, at: datetime = NIGHT, **changes: Any) -> Install:
    """Make an install whose command was sent."""
    values: dict[str, Any] = {
        "state": InstallState.INSTALLING,
        "attempt": 1,
        "attempt_id": f"a-{device_id[-1]}",
        "fetched": True,
        "started_at": at - MINUTE,
        "command_at": at,
        "command_deadline": at + 10 * MINUTE,
        "deadline": at + 10 * MINUTE,
    }
    return install(device_id, **values | changes)


class Home:
    """A hub and its outside: connected, with one feed, and a clock that ticks every minute."""

    def __init__(
        self,
        now: datetime = NIGHT,
        *,
        families: Mapping[str, Capabilities] | None = None,
        settings: Settings | None = None,
        feeds: Iterable[Feed] = (feed(),),
        snapshot: Snapshot | None = None,
    ) -> None:
        self.now = now
        self.effects: list[Effect] = []
        ids = itertools.count(1)
        self.hub = Hub(families or {"open": capabilities()}, new_id=lambda: f"id-{next(ids)}")
        self._carry(self.hub.restore(snapshot or Snapshot(), now))
        self.tell(SettingsChanged(settings or Settings()))
        self.tell(FeedsChanged(tuple(feeds)))
        self.tell(LinkChanged(connected=True))
        self.tell(AddressChecked(reachable=True))

    # --- what happens ---

    def tell(self, *items: Input) -> list[Effect]:
        """Tell the hub, and return what it orders."""
        return self._carry([effect for item in items for effect in self.hub.receive(item, self.now)])

    def wait(self, how_long: timedelta, *, tick: timedelta = MINUTE) -> list[Effect]:
        """Let time pass as the shell does: woken when the hub wishes, and at each tick."""
        until, effects = self.now + how_long, []
        while self.now < until:
            wish = self.hub.next_wakeup()
            at = min(self.now + tick, until)
            self.now = at if wish is None else max(self.now, min(at, wish))
            effects += self.tell(WokenUp())
        return effects

    def _carry(self, effects: list[Effect]) -> list[Effect]:
        self.effects += effects
        return effects

    def report(self, device_id: str = PLUG, version: str | None = "1.0.0", **changes: Any) -> list[Effect]:
        return self.tell(report(device_id, version, **changes))

    def link(self, device_id: str = PLUG, *, online: bool = True, retained: bool = False) -> list[Effect]:
        return self.tell(DeviceLinkChanged(device_id, online, retained))

    def health(self, device_id: str = PLUG, **changes: Any) -> list[Effect]:
        return self.tell(HealthReported(device_id, **changes))

    def publish(self, *releases: Release, **changes: Any) -> list[Effect]:
        """Let the feed publish these releases, by default one of version 1.2.0."""
        changes.setdefault("issued", self.now - HOUR)
        changes.setdefault("expires", self.now + 60 * DAY)
        statement = manifest(*(releases or (release(),)), **changes)
        return self.tell(ManifestRead(statement.feed_id, statement, b"raw"))

    def approve(self, *device_ids: str, **changes: Any) -> list[Effect]:
        return self.tell(*(ApproveRequested(name, "anna", **changes) for name in device_ids or (PLUG,)))

    def fetched(self, device_id: str = PLUG) -> list[Effect]:
        """Bring the artifacts of its install."""
        return self.tell(ArtifactsReady(self.install(device_id).id))

    def commanded(self, device_id: str = PLUG) -> list[Effect]:
        """Fetch for it, and let it answer the question before the command."""
        return self.fetched(device_id) + self.report(device_id)

    def succeed(self, device_id: str = PLUG, version: str = "1.2.0") -> list[Effect]:
        """Let it come back on the new version and prove itself."""
        effects = self.report(device_id, version)
        self.now += 11 * SECOND
        return effects + self.report(device_id, version)

    def fail(self, device_id: str = PLUG) -> list[Effect]:
        """Let it be silent until it is given up."""
        return self.wait(13 * MINUTE)

    # --- what there is ---

    def install(self, device_id: str = PLUG) -> Install:
        """Return its current install."""
        return self.hub.installer.current[device_id]

    def last(self, device_id: str = PLUG) -> Install:
        """Return its last install that ended."""
        return self.hub.installer.last[device_id]

    def view(self, device_id: str = PLUG) -> DeviceView:
        view = self.hub.device_view(device_id, self.now)
        assert view is not None
        return view


def of_kind[Kind](effects: Iterable[Effect], kind: type[Kind]) -> list[Kind]:
    """Return the effects of one kind, in their order."""
    return [effect for effect in effects if isinstance(effect, kind)]


def saved(effects: Iterable[Effect]) -> Save:
    """Return the one transaction among these effects."""
    (save,) = of_kind(effects, Save)
    return save


def raised(effects: Iterable[Effect]) -> list[IssueKind]:
    return [issue.kind for issue in of_kind(effects, RaiseIssue)]


def cleared(effects: Iterable[Effect]) -> list[IssueKind]:
    return [issue.kind for issue in of_kind(effects, ClearIssue)]


def told(effects: Iterable[Effect]) -> list[str]:
    """Return the kinds of what automations are told."""
    return [told.kind.value for told in of_kind(effects, Announce)]


def audited(effects: Iterable[Effect]) -> list[str]:
    """Return the kinds of the lines of the record."""
    return [row.kind for save in of_kind(effects, Save) for row in save.audit]
