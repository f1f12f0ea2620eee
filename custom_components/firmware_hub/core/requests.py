"""What people ask for: approve, take back, try again. Each is answered at once, or refused with a reason they can read."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from . import limits
from .effects import ClearIssue, IssueKind, LifecycleKind
from .errors import Reason, Refused
from .feeds import Feeds
from .fleet import Fleet
from .inputs import ApproveRequested, RetryRequested, UnapproveRequested
from .installer import Installer, event_values
from .matching import why_not_installable
from .model import Approval, Device, DeviceId, Install, InstallState, Offer
from .rollout import has_failed
from .turn import Turn
from .version import Order, compare

Granted = Callable[[Device, Offer, Approval, Turn], None]


class Requests:
    """The desk where people's requests arrive. Every method raises ``Refused`` and then has changed nothing."""

    def __init__(self, fleet: Fleet, feeds: Feeds, installer: Installer, new_id: Callable[[], str]) -> None:
        """Serve these devices, feeds and installs."""
        self._fleet = fleet
        self._feeds = feeds
        self._installer = installer
        self._new_id = new_id
        self.windows_closed = 0

    def device(self, device_id: DeviceId) -> Device:
        """Return a device.

        Raises:
            Refused: ``unknown_device``.
        """
        device = self._fleet.get(device_id)
        if device is None:
            raise Refused(Reason.UNKNOWN_DEVICE, device_id)
        return device

    def approve(self, item: ApproveRequested, turn: Turn) -> None:
        """Take somebody's yes, pinned to version and digest (invariant 1). A second yes to the same is no news.

        Raises:
            Refused: ``unknown_device``, ``no_offer``, ``not_current_offer``, ``manual_only``, ``no_digest`` or
                ``already_running``.
        """
        device = self.device(item.device_id)
        current = self._installer.current.get(device.id)
        if current is not None and not current.state.is_waiting:
            raise Refused(Reason.ALREADY_RUNNING, current.state.value)
        if current is not None and item.version == current.offer.version:
            self._confirm(current, item, turn)
            return
        offer = self._wanted(device, item.version)
        if current is not None:
            if current.offer.digest == offer.digest and current.offer.version == offer.version:
                self._confirm(current, item, turn)
                return
            self._installer.cancel(current, InstallState.CANCELED, Reason.OFFER_MOVED, turn)
        self._grant(device, offer, item.by, at_once=item.at_once, turn=turn)

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
        sooner = replace(current, approval=approval, not_before=None)
        self._installer.rollout.drop(current.id)
        turn.audit("approved", item.device_id, install=current.id, by=item.by, at_once="true")
        self._installer.approve(sooner, turn)

    def _grant(self, device: Device, offer: Offer, by: str, *, at_once: bool, turn: Turn) -> Install:
        approval = Approval(by, turn.now, turn.now + limits.APPROVAL_LIFETIME, at_once)
        install = Install(
            self._new_id(),
            device.id,
            offer,
            approval,
            device.identity,
            device.version,
            InstallState.APPROVED,
            windows_closed=self.windows_closed,
        )
        turn.audit("approved", device.id, install=install.id, by=by, version=offer.version, digest=offer.digest)
        turn.announce(LifecycleKind.APPROVED, device.id, by=by, **event_values(install, device))
        self._installer.approve(install, turn)
        return install

    def unapprove(self, item: UnapproveRequested, turn: Turn) -> None:
        """Take a yes back. What was commanded goes on: a device that is being written must not be disturbed.

        Raises:
            Refused: ``unknown_device``, ``nothing_to_cancel`` or ``already_running``.
        """
        device = self.device(item.device_id)
        install = self._installer.current.get(device.id)
        if install is None:
            if item.skip:
                return
            raise Refused(Reason.NOTHING_TO_CANCEL)
        if install.state.is_commanded:
            raise Refused(Reason.ALREADY_RUNNING, install.state.value)
        verdict = InstallState.SKIPPED if item.skip else InstallState.CANCELED
        reason = Reason.SKIPPED_BY_OWNER if item.skip else Reason.CANCELED_BY_OWNER
        turn.audit("unapproved", device.id, install=install.id, by=item.by)
        turn.announce(LifecycleKind.UNAPPROVED, device.id, by=item.by, **event_values(install, device))
        self._installer.cancel(install, verdict, reason, turn)

    def retry(self, item: RetryRequested, turn: Turn) -> None:
        """Try a failed install again in the next window, under a new id and the same pinned release.

        The rule of invariant 6 is kept by the run itself: it begins after the old deadline only, and only from the
        device's own word that it runs the old version (or the helper image that it was left in).

        Raises:
            Refused: ``unknown_device``, ``unknown_install``, ``already_running`` or ``offer_withdrawn``.
        """
        device = self.device(item.device_id)
        last = self._installer.last.get(device.id)
        if self._installer.current.get(device.id) is not None:
            raise Refused(Reason.ALREADY_RUNNING)
        if last is None or not has_failed(last):
            raise Refused(Reason.UNKNOWN_INSTALL)
        key = last.identity
        fit_key = device.fit_key._replace(
            manufacturer=key.manufacturer,
            model=key.model,
            hardware=key.hardware,
            variant=key.variant,
            version=last.from_version,
        )
        offer = self._feeds.catalogue.release(fit_key, last.offer.version)
        if offer is None or offer.digest != last.offer.digest:
            raise Refused(Reason.OFFER_WITHDRAWN, last.offer.version)
        install = self._grant(device, offer, item.by, at_once=False, turn=turn)
        again = replace(install, from_version=last.from_version, identity=last.identity)
        if last.command_deadline is not None and last.command_deadline > turn.now:
            again = replace(
                again,
                state=InstallState.DEFERRED,
                reason=Reason.WAITS_FOR_RETRY,
                not_before=last.command_deadline,
            )
        self._installer.rollout.drop(install.id)
        self._installer.approve(again, turn)
        turn.do(ClearIssue(IssueKind.INSTALL_FAILED, device.id), ClearIssue(IssueKind.DEVICE_DARK, device.id))
