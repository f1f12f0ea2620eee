"""What people ask for: approve, take back, try again, let go on, check, forget. Each is answered at once or refused."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from . import limits
from .effects import CheckAddress, ClearIssue, ForgetDevice, IssueKind, LifecycleKind
from .errors import Reason, Refused
from .feed_desk import FeedDesk
from .feeds import Feeds
from .fleet import Fleet
from .inputs import (
    ApproveRequested,
    CheckRequested,
    ForgetRequested,
    ModelReleased,
    RetryRequested,
    SaveFailed,
    UnapproveRequested,
)
from .installer import Installer
from .matching import why_not_installable
from .model import Approval, Device, DeviceId, Install, InstallState, Offer
from .published import still_published
from .reports import Reports
from .rollout import has_failed
from .turn import Turn
from .verdicts import event_values
from .version import Order, compare


class Requests:
    """The desk where people's requests arrive. Every method may raise ``Refused`` and then has changed nothing."""

    def __init__(
        self,
        fleet: Fleet,
        feeds: Feeds,
        installer: Installer,
        feed_desk: FeedDesk,
        reports: Reports,
        new_id: Callable[[], str],
    ) -> None:
        """Serve these devices, feeds and installs."""
        self.windows_closed = 0
        self._fleet = fleet
        self._feeds = feeds
        self._installer = installer
        self._feed_desk = feed_desk
        self._reports = reports
        self._new_id = new_id
        self._address_asked = False

    # --- yes and no --------------------------------------------------------------------------------------------------

    def approve(self, item: ApproveRequested, turn: Turn) -> None:
        """Take somebody's yes, pinned to version and digest (invariant 1). A second yes to the same is no news.

        A yes without a version is one to what waits already, though the vendor has published something newer since:
        an approval moves on only to a version that somebody named.

        Raises:
            Refused: ``unknown_device``, ``no_offer``, ``not_current_offer``, ``manual_only``, ``no_digest`` or
                ``already_running``.
        """
        device = self._device(item.device_id)
        current = self._installer.current.get(device.id)
        if current is not None and not current.state.is_waiting:
            raise Refused(Reason.ALREADY_RUNNING, current.state.value)
        if current is not None and item.version in (None, current.offer.version):
            self._confirm(current, item, turn)
            return
        offer = self._wanted(device, item.version)
        if current is not None:
            self._installer.cancel(current, InstallState.CANCELED, Reason.OFFER_MOVED, turn)
        self._grant(device, offer, item.by, turn, at_once=item.at_once)

    def _wanted(self, device: Device, version: str | None) -> Offer:
        if device.helper:
            raise Refused(Reason.NO_OFFER, "it runs a helper image")
        offer = self._feeds.catalogue.offer(device.fit_key)
        if version is not None and (offer is None or offer.version != version):
            offer = self._permitted_rollback(device, version)
        if offer is None:
            raise Refused(Reason.NO_OFFER)
        if (reason := why_not_installable(offer)) is not None:
            raise Refused(reason, offer.version)
        return offer

    def _permitted_rollback(self, device: Device, version: str) -> Offer:
        """Return an older release that its maker's signature permits to go back to; nothing else may be named."""
        offer = self._feeds.catalogue.release(device.fit_key, version)
        older = offer is not None and compare(version, device.version, offer.release.version_scheme) is Order.OLDER
        if offer is None or not older:
            raise Refused(Reason.NOT_CURRENT_OFFER, version)
        return offer

    def _confirm(self, current: Install, item: ApproveRequested, turn: Turn) -> None:
        if not item.at_once or current.approval.at_once:
            return
        approval = replace(current.approval, at_once=True, by=item.by)
        turn.audit("approved", item.device_id, install=current.id, by=item.by, at_once="true")
        self._installer.approve(replace(current, approval=approval), turn)

    def _grant(
        self,
        device: Device,
        offer: Offer,
        by: str,
        turn: Turn,
        *,
        at_once: bool = False,
        retry_of: Install | None = None,
    ) -> None:
        approval = Approval(by, turn.now, turn.now + limits.APPROVAL_LIFETIME, at_once)
        last = self._installer.last.get(device.id)
        install = Install(
            self._new_id(),
            device.id,
            offer,
            approval,
            retry_of.identity if retry_of else device.identity,
            retry_of.from_version if retry_of else device.version,
            # An earlier command may still be at work, whoever asks anew (invariant 6).
            command_deadline=last.command_deadline if last else None,
            attempt_id=last.attempt_id if last and _same_bytes(last.offer, offer) else "",
            windows_closed=self.windows_closed,
            retry=retry_of is not None,
        )
        turn.audit("approved", device.id, install=install.id, by=by, version=offer.version, digest=offer.digest)
        turn.announce(LifecycleKind.APPROVED, device.id, by=by, **event_values(install, device))
        self._installer.approve(install, turn)
        self._installer.verdicts.approved(install, turn)
        turn.refresh_hub = True
        if not self._address_asked:
            self._address_asked = True
            turn.do(CheckAddress())

    def unapprove(self, item: UnapproveRequested, turn: Turn) -> None:
        """Take a yes back. What was commanded goes on: a device that is being written must not be disturbed.

        What only waits for its device to wake is taken back from the bridge; the verdict waits for the bridge's word.

        Raises:
            Refused: ``unknown_device``, ``nothing_to_cancel`` or ``already_running``.
        """
        device = self._device(item.device_id)
        install = self._installer.current.get(device.id)
        if install is None:
            if item.skip:
                return
            raise Refused(Reason.NOTHING_TO_CANCEL)
        if install.state.is_at_work:
            raise Refused(Reason.ALREADY_RUNNING, install.state.value)
        verdict = InstallState.SKIPPED if item.skip else InstallState.CANCELED
        reason = Reason.SKIPPED_BY_OWNER if item.skip else Reason.CANCELED_BY_OWNER
        turn.audit("unapproved", device.id, install=install.id, by=item.by)
        turn.announce(LifecycleKind.UNAPPROVED, device.id, by=item.by, **event_values(install, device))
        self._installer.cancel(install, verdict, reason, turn)

    def not_saved(self, item: SaveFailed, turn: Turn) -> None:
        """Take back each yes that could not be written down: whoever gave it was told that it was not saved.

        What was commanded before goes on. Never raises.
        """
        for row in item.save.audit:
            install = self._installer.find(row.values.get("install", "")) if row.kind == "approved" else None
            if install is None:
                continue
            if "version" in row.values:
                self._installer.cancel(install, InstallState.CANCELED, item.reason, turn)
            elif install.approval.at_once and install.state.is_waiting:
                # It was there before; only that it should start at once was new.
                as_before = replace(install.approval, at_once=False)
                self._installer.approve(replace(install, approval=as_before), turn)

    def retry(self, item: RetryRequested, turn: Turn) -> None:
        """Try a failed install again in the next window, under a new id and the same pinned release.

        Invariant 6 is kept by the run itself: it begins after the old deadline only, and only from the device's own
        word that it runs the old version (or the helper image that it was left in).

        Raises:
            Refused: ``unknown_device``, ``unknown_install``, ``already_running`` or ``offer_withdrawn``.
        """
        device = self._device(item.device_id)
        last = self._installer.last.get(device.id)
        if device.id in self._installer.current:
            raise Refused(Reason.ALREADY_RUNNING)
        if last is None or not has_failed(last):
            raise Refused(Reason.UNKNOWN_INSTALL)
        offer = still_published(last, device, self._feeds)
        if offer is None:
            raise Refused(Reason.OFFER_WITHDRAWN, last.offer.version)
        self._grant(device, offer, item.by, turn, retry_of=last)
        turn.do(ClearIssue(IssueKind.INSTALL_FAILED, device.id), ClearIssue(IssueKind.DEVICE_DARK, device.id))

    def release_model(self, item: ModelReleased, turn: Turn) -> None:
        """Let a stopped model go on. The device that caused the stop may have been removed meanwhile.

        Raises:
            Refused: ``unknown_device`` or ``nothing_to_cancel``.
        """
        stops = self._installer.rollout.caused_by(item.device_id)
        if not stops:
            device = self._device(item.device_id)
            stops = self._installer.rollout.stopped((device.manufacturer, device.model))
        if not stops:
            raise Refused(Reason.NOTHING_TO_CANCEL)
        models = {(stop.manufacturer, stop.model) for stop in stops}
        of_them = [stop for model in sorted(models) for stop in self._installer.rollout.stopped(model)]
        self._installer.release(of_them, turn, by=item.by)

    # --- look and forget ---------------------------------------------------------------------------------------------

    def check(self, item: CheckRequested, turn: Turn) -> None:
        """Ask all feeds now, and all devices one after the other. Cost: the number of devices, when a person asks."""
        turn.audit("check_requested", "", by=item.by)
        self._feed_desk.fetch_all(turn)
        for device_id, presence in self._fleet.presence.items():
            if presence.online is not False:
                self._installer.asking.ask_spaced(device_id, turn)

    def forget(self, item: ForgetRequested, turn: Turn) -> None:
        """Forget a device that its owner removed.

        Raises:
            Refused: ``unknown_device``.
        """
        device = self._device(item.device_id)
        self._installer.forget(device.id, turn)
        self._reports.conflicts((), self._fleet.forget(device.id), turn)
        for kind in (IssueKind.INSTALL_FAILED, IssueKind.DEVICE_DARK, IssueKind.TOPIC_CONFLICT):
            turn.do(ClearIssue(kind, device.id))
        turn.forget(device.id)
        turn.audit("device_forgotten", device.id, by=item.by)
        turn.do(ForgetDevice(device.id))
        turn.refresh_hub = True

    def _device(self, device_id: DeviceId) -> Device:
        device = self._fleet.get(device_id)
        if device is None:
            raise Refused(Reason.UNKNOWN_DEVICE, device_id)
        return device


def _same_bytes(left: Offer, right: Offer) -> bool:
    """Decide whether two offers are one release: what nobody states a digest of is told apart by its version."""
    return (left.digest, left.version) == (right.digest, right.version)
