"""Builds what a person sees out of what the hub knows. Changes nothing and never raises."""

from __future__ import annotations

from datetime import datetime

from . import gate
from .errors import Reason
from .feeds import Feeds
from .fleet import Fleet
from .installer import Installer
from .model import Device, Install, InstallState, Offer, PilotKey
from .view import DeviceView, HubView, PlannedInstall


def device_view(device: Device, fleet: Fleet, feeds: Feeds, installer: Installer, now: datetime) -> DeviceView:
    """Describe one device."""
    install = installer.current.get(device.id)
    last = installer.last.get(device.id)
    offer = None if device.helper else feeds.catalogue.offer(device.fit_key)
    state, no = _standing(install, offer, installer, now)
    presence = fleet.presence[device.id]
    return DeviceView(
        device=device,
        installed_version=device.version or None,
        latest_version=_latest(device, install, offer),
        offer=offer,
        install=install,
        last=last,
        state=state,
        reason=no.reason if no else None,
        reason_values=no.values if no else {},
        in_progress=install is not None and install.state.is_active,
        percent=install.percent if install is not None else None,
        starts_at=_starts_at(install, no, installer, now),
        online=presence.online,
        battery_percent=presence.battery_percent,
    )


def _standing(
    install: Install | None, offer: Offer | None, installer: Installer, now: datetime
) -> tuple[InstallState | None, gate.No | None]:
    if install is None:
        return (InstallState.AWAITING_APPROVAL if offer is not None else None), None
    if not install.state.is_waiting:
        return install.state, gate.No(install.reason, install.reason_values) if install.reason else None
    no = installer.keeper.why_waiting(install, installer.keeper.window.outlook(now))
    waits_only = no.reason in {Reason.WAITS_FOR_WINDOW, Reason.NETWORK_BUSY}
    return (InstallState.APPROVED if waits_only else InstallState.DEFERRED), no


def _latest(device: Device, install: Install | None, offer: Offer | None) -> str | None:
    shown = install.offer if install is not None else offer
    return shown.version if shown is not None else device.version or None


def _starts_at(install: Install | None, no: gate.No | None, installer: Installer, now: datetime) -> datetime | None:
    if install is None or no is None or not install.state.is_waiting:
        return None
    if no.reason is not Reason.WAITS_FOR_WINDOW:
        return no.ask_again
    following = installer.keeper.window.next_opening(now)
    return following.start if following else None


def hub_view(fleet: Fleet, feeds: Feeds, installer: Installer, now: datetime) -> HubView:
    """Describe the hub. Cost: the number of different kinds of device and of current installs."""
    offers = sum(len(ids) for key, ids in fleet.by_fit.items() if feeds.catalogue.offer(key) is not None)
    running = sum(install.state.is_active for install in installer.current.values())
    opening = installer.keeper.window.current(now)
    following = installer.keeper.window.next_opening(now)
    return HubView(
        devices=len(fleet.devices),
        offers=offers,
        waiting=len(installer.current) - running,
        running=running,
        window_open=opening is not None,
        next_opening=following.start if following else None,
        next_closing=opening.end if opening else following.end if following else None,
        connected=installer.keeper.state.connected,
        paused=installer.keeper.state.paused,
        clock_trusted=installer.keeper.state.clock_trusted,
        store_ok=installer.keeper.state.store_ok,
        stopped_models=tuple(dict.fromkeys(f"{maker} {model}" for maker, model, _ in installer.rollout.stops)),
        feeds=feeds.views(),
    )


def plan(fleet: Fleet, installer: Installer, now: datetime) -> list[PlannedInstall]:
    """Foretell the coming opening: who starts when if all goes as expected, and who does not and why.

    It lays the waiting installs of each network side by side in as many lanes as may run, in the order of their
    approvals; what is held up by a reason of its own is listed with it.
    """
    keeper = installer.keeper
    opening = keeper.window.current(now) or keeper.window.next_opening(now)
    begin = max(now, opening.start) if opening else now
    closes = keeper.window.closes(opening.start) if opening else None
    night, outlook = _Night(fleet, installer, now), keeper.window.outlook(now)
    planned = []
    for install in sorted(installer.current.values(), key=lambda item: (item.approval.at, item.id)):
        if not install.state.is_waiting:
            continue
        no = keeper.why_waiting(install, outlook)
        may_be = no.reason in _MAY_BE_TONIGHT
        if may_be and keeper.is_window_free(install):
            planned.append(night.lay(install, now, None))
        elif may_be and opening is not None:
            planned.append(night.lay(install, begin, closes))
        else:
            planned.append(PlannedInstall(install.device_id, install.offer.version, None, None, no.reason, no.values))
    return planned


class _Night:
    """The lanes of all networks, as they fill up."""

    def __init__(self, fleet: Fleet, installer: Installer, now: datetime) -> None:
        """Begin with what runs already, and with the releases that settle."""
        self._fleet = fleet
        self._installer = installer
        self._now = now
        self._lanes: dict[str, list[datetime]] = {}
        self._after: dict[PilotKey, datetime] = {}
        for key, pilot in installer.rollout.pilots.items():
            if pilot.install.settle_until is not None:
                self._after[key] = pilot.install.settle_until
        for install in installer.current.values():
            if install.state.is_active:
                free = self._free(install)
                end = now + installer.keeper.expected(install)
                self._take(free, min(free), end, install, install.pilot_key)

    def lay(self, install: Install, begin: datetime, closes: datetime | None) -> PlannedInstall:
        """Give an install the first place that is free; ``closes``: when it must have ended."""
        free = self._free(install)
        first, key = min(free), install.pilot_key
        start = max(first, begin, self._after.get(key, begin))
        end = start + self._installer.keeper.expected(install)
        if closes is not None and end > closes:
            reason = Reason.DOES_NOT_FIT_WINDOW
            return PlannedInstall(install.device_id, install.offer.version, None, None, reason)
        self._take(free, first, end, install, key)
        return PlannedInstall(install.device_id, install.offer.version, start, end, None)

    def _free(self, install: Install) -> list[datetime]:
        """Return when each lane of its network is free."""
        network = self._fleet.devices[install.device_id].network
        free = self._lanes.get(network)
        if free is None:
            places = self._installer.rollout.places(network, self._installer.keeper.settings.parallel_installs)
            free = self._lanes[network] = [self._now] * places
        return free

    def _take(self, free: list[datetime], first: datetime, end: datetime, install: Install, key: PilotKey) -> None:
        """Give a lane away until ``end``; the others of a release wait for its first one, until that is settled."""
        free[free.index(first)] = end
        if key in self._after:
            return
        pilot = self._installer.rollout.pilots.get(key)
        if pilot is None or pilot.install.id == install.id:
            self._after[key] = end + self._installer.keeper.settings.pilot_settle


_MAY_BE_TONIGHT = frozenset(
    {
        Reason.WAITS_FOR_WINDOW,
        Reason.NETWORK_BUSY,
        Reason.WAITS_FOR_PILOT,
        Reason.PILOT_SETTLING,
        Reason.BROKER_DISCONNECTED,
    }
)
