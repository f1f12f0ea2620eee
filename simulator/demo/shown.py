"""What Home Assistant shows of the hub, kept up to date by its own messages: devices, repairs, bus events."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Self, override

from simulator.demo.api import Api, ConnectionLost, Json
from simulator.watched import Watched

DOMAIN = "firmware_hub"
ID = "hub_device_id"
"""The attribute by which an update entity is known as one of the hub."""


@dataclass(frozen=True, slots=True)
class ShownDevice:
    """One device as its update entity shows it.

    Attributes:
        offered: the entity is ``on``: there is something to install.
        percent: ``None`` unless something runs and says how far it is.
        state, reason: where its install stands and why; empty if there is nothing to say.
        verdict: how its last install ended; empty if none has.
    """

    device_id: str
    entity_id: str
    title: str
    installed: str
    latest: str
    offered: bool
    busy: bool
    percent: float | None
    state: str
    reason: str
    verdict: str


class Shown(Watched):
    """Follows one Home Assistant; every change can be awaited with ``wait_for``.

    Attributes:
        events: the hub's bus events in order, as data.
        issues: the hub's open repairs by issue id.
    """

    def __init__(self, api: Api) -> None:
        """Follow nothing yet."""
        super().__init__()
        self.events: list[Json] = []
        self.issues: dict[str, Json] = {}
        self._api = api
        self._states: dict[str, Json] = {}
        self._stale = asyncio.Event()
        self._reader: asyncio.Task[None] | None = None

    @override
    def __repr__(self) -> str:
        """Say how everything stands."""
        devices = [(device.device_id, device.state, device.reason) for device in self.devices.values()]
        return f"<Shown {devices}, repairs {list(self.issues)}, {len(self.events)} events>"

    async def __aenter__(self) -> Self:
        """Begin to follow; what is there already is known on return."""
        known = asyncio.Event()
        await self._api.subscribe(self._note_event, "subscribe_events", event_type=f"{DOMAIN}_event")
        kind = "repairs_issue_registry_updated"
        await self._api.subscribe(lambda _: self._stale.set(), "subscribe_events", event_type=kind)
        await self._api.subscribe(_both(self._note_states, known.set), "subscribe_entities")
        await known.wait()
        await self._read_issues()
        self._reader = asyncio.create_task(self._keep_reading())
        return self

    async def __aexit__(self, *error: object) -> None:
        """Follow no longer."""
        if self._reader is not None:
            self._reader.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._reader

    @property
    def devices(self) -> dict[str, ShownDevice]:
        """Every device that has an update entity of the hub, by the hub's device id."""
        found = (
            _device(entity_id, state)
            for entity_id, state in self._states.items()
            # The event entity speaks of devices as well.
            if entity_id.startswith("update.") and ID in state["attributes"]
        )
        return {device.device_id: device for device in found}

    def state(self, entity_id: str) -> Json | None:
        """Return a state with its attributes."""
        return self._states.get(entity_id)

    def verdicts(self) -> dict[str, Json]:
        """Return what the hub announced at the end of each device's last install, by device id."""
        return {event["hub_device_id"]: event for event in self.events if event["type"] == "install_ended"}

    # --- keeping up ---------------------------------------------------------------------------------------------------

    async def _keep_reading(self) -> None:
        """Read the repairs again whenever Home Assistant says that some have changed."""
        with contextlib.suppress(ConnectionLost):
            while True:
                await self._stale.wait()
                await self._read_issues()

    async def _read_issues(self) -> None:
        self._stale.clear()
        issues = await self._api.command("repairs/list_issues")
        self.issues = {issue["issue_id"]: issue for issue in issues["issues"] if issue["domain"] == DOMAIN}
        self._changed()

    def _note_event(self, event: Json) -> None:
        self.events.append(event["data"])
        self._changed()

    def _note_states(self, change: Json) -> None:
        """Take one message of ``subscribe_entities``: added, changed and removed entities in short form."""
        for entity_id, added in change.get("a", {}).items():
            self._states[entity_id] = {"state": added["s"], "attributes": dict(added["a"])}
        for entity_id, changed in change.get("c", {}).items():
            state, plus = self._states[entity_id], changed.get("+", {})
            state["state"] = plus.get("s", state["state"])
            state["attributes"] |= plus.get("a", {})
            for name in changed.get("-", {}).get("a", ()):
                state["attributes"].pop(name, None)
        for entity_id in change.get("r", ()):
            self._states.pop(entity_id, None)
        self._changed()


def _both(first: Callable[[Json], None], second: Callable[[], None]) -> Callable[[Json], None]:
    def call(message: Json) -> None:
        first(message)
        second()

    return call


def _device(entity_id: str, state: Json) -> ShownDevice:
    attributes = state["attributes"]
    return ShownDevice(
        device_id=attributes[ID],
        entity_id=entity_id,
        title=attributes.get("title") or attributes.get("friendly_name", ""),
        installed=attributes.get("installed_version") or "",
        latest=attributes.get("latest_version") or "",
        offered=state["state"] == "on",
        busy=bool(attributes.get("in_progress")),
        percent=attributes.get("update_percentage"),
        state=attributes.get("install_state") or "",
        reason=attributes.get("reason") or "",
        verdict=attributes.get("last_verdict") or "",
    )
