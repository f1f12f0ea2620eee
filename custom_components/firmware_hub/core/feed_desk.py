"""What feeds say arrives here: manifests are judged, offers change, approvals are renewed or voided.

Rules (invariants 1, 3 and 5):

* A manifest that is refused keeps the last good one; the refusal names the suspected attack.
* Whoever was approved stays approved only while the very same release is still published: same version, same digest.
* A stored manifest is judged like a fetched one, but what is wrong with it is no news: a new one is being fetched.
* Nothing is judged while the clock is not believed.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from . import limits
from .aftercare import Aftercare
from .agenda import Agenda
from .effects import ClearIssue, FeedRow, FetchManifest, IssueKind, LifecycleKind, RaiseIssue, Severity
from .errors import Reason, Refused
from .feeds import Feeds
from .fleet import Fleet
from .inputs import FeedsChanged, FetchFailed, ManifestRead, ManifestRefused, ManifestUnchanged
from .installer import Installer
from .key_desk import KeyDesk
from .matching import ModelKey, concerns
from .model import Device, FitKey, InstallState, Offer
from .published import still_published
from .turn import Turn

_OF_TIME = frozenset({Reason.EXPIRED, Reason.FREEZE_SUSPECTED, Reason.NOT_YET_VALID})
"""What a library that reads the clock itself refuses by it."""
_OF_KEYS = frozenset({Reason.UNTRUSTED_KEY, Reason.BAD_SIGNATURE})
"""What is said of a key whose time may have come, and nobody can tell while the clock is not believed."""
_OF_A_FEED = (IssueKind.MANIFEST_REFUSED, IssueKind.FEED_UNREACHABLE, IssueKind.MANIFEST_EXPIRED)


class FeedDesk:
    """Inputs about feeds. Never raises."""

    def __init__(self, feeds: Feeds, fleet: Fleet, installer: Installer, agenda: Agenda) -> None:
        """Serve these feeds."""
        self._feeds = feeds
        self._fleet = fleet
        self._installer = installer
        self._agenda = agenda
        self._aftercare = Aftercare(fleet, feeds)
        self.keys = KeyDesk(feeds, agenda, lambda: installer.keeper.state.clock_trusted)

    # --- fetching ----------------------------------------------------------------------------------------------------

    def changed(self, item: FeedsChanged, turn: Turn) -> None:
        """Take over all feeds. Cost: the number of devices, when a person changes a feed and at a start."""
        for row in self._feeds.unpin(item.feeds):
            turn.save_ledger(row)
            turn.audit("sequence_forgotten", row.feed_id)
        known = set(self._feeds.states)
        fresh, gone = self._feeds.set(item.feeds)
        self._gone(gone, turn)
        for feed_id in known.intersection(fresh):
            # What another address said, or another server vouched for, must not come back with a restart.
            turn.save_feed(FeedRow(feed_id, b""))
        for install in list(self._installer.current.values()):
            if self._feeds.is_gone(install.offer.feed_id) and not install.state.is_at_work:
                self._installer.cancel(install, InstallState.CANCELED, Reason.OFFER_WITHDRAWN, turn)
        for feed_id in fresh:
            self._agenda.set("expires", feed_id, None)
            self.fetch(feed_id, turn)
        turn.refresh(self._fleet.devices)
        turn.refresh_hub = True

    def _gone(self, feed_ids: list[str], turn: Turn) -> None:
        for feed_id in feed_ids:
            for kind in ("feed", "expires"):
                self._agenda.set(kind, feed_id, None)
            turn.do(*(ClearIssue(kind, feed_id) for kind in _OF_A_FEED))
            self.keys.gone(feed_id, turn)

    def wake(self, device: Device, is_new: bool, turn: Turn) -> None:
        """A device of another kind is there: its model's feeds are worth fetching, and its family's if it is new."""
        fresh, gone = self._feeds.of_model(device.dialect, device.model)
        self._gone(gone, turn)
        for feed_id in fresh:
            self.fetch(feed_id, turn)
        if not is_new or self._fleet.by_dialect[device.dialect] > 1:
            return
        for feed_id, state in self._feeds.states.items():
            if state.feed.dialect == device.dialect:
                self.fetch(feed_id, turn)

    def fetch_all(self, turn: Turn) -> None:
        """Fetch every active feed now."""
        for feed_id in self._feeds.states:
            self.fetch(feed_id, turn)

    def fetch(self, feed_id: str, turn: Turn) -> None:
        """Fetch a feed, unless that is on its way or not worth it; a fetch of which nothing is heard is tried again."""
        self.keys.look(feed_id, turn)
        if self._feeds.fetching(feed_id, turn.now):
            turn.do(FetchManifest(feed_id))
            self._agenda.set("feed", feed_id, turn.now + limits.FEED_DEADLINE)

    # --- answers -----------------------------------------------------------------------------------------------------

    def read(self, item: ManifestRead, turn: Turn) -> None:
        """Judge a manifest that was verified and read."""
        if item.feed_id not in self._feeds.states:
            return
        if not item.from_store and self._in_doubt_of_the_clock(item.feed_id, turn):
            return
        if not self.keys.vouches(item):
            self._refuse(item.feed_id, Reason.UNTRUSTED_KEY, item.manifest.key_id, turn, from_store=item.from_store)
            return
        before = self._offers()
        try:
            ledger, feed_row, touched = self._feeds.accept(item, turn.now)
        except Refused as refused:
            self._refuse(item.feed_id, refused.reason, refused.detail, turn, from_store=item.from_store)
            return
        turn.save_ledger(ledger)
        self.keys.accepted(item, turn)
        if feed_row is not None:
            turn.save_feed(feed_row)
            turn.audit("manifest_accepted", item.feed_id, sequence=str(item.manifest.sequence or ""))
            self._agenda.set("feed", item.feed_id, turn.now + limits.FETCH_INTERVAL)
        turn.do(*(ClearIssue(kind, item.feed_id) for kind in _OF_A_FEED))
        self._agenda.set("expires", item.feed_id, item.manifest.expires)
        self._offers_changed(before, touched, turn)
        self._recheck(item.feed_id, turn)
        self.look_after(turn)

    def look_after(self, turn: Turn) -> None:
        """Look at what the feeds say of what runs, once per minute. Cost: the number of kinds of device."""
        self._aftercare.look(turn, clock_trusted=self._installer.keeper.state.clock_trusted)

    def unchanged(self, item: ManifestUnchanged, turn: Turn) -> None:
        """What we have is what the server has: whatever was wrong in between is over."""
        if item.feed_id not in self._feeds.states:
            return
        self._feeds.unchanged(item.feed_id, turn.now)
        self._agenda.set("feed", item.feed_id, turn.now + limits.FETCH_INTERVAL)
        for kind in (IssueKind.MANIFEST_REFUSED, IssueKind.FEED_UNREACHABLE):
            turn.do(ClearIssue(kind, item.feed_id))
        if self._feeds.fault(item.feed_id) is None:
            self._recheck(item.feed_id, turn)
        turn.refresh_hub = True

    def refused(self, item: ManifestRefused, turn: Turn) -> None:
        """Take in that a feed's bytes could not be verified or read."""
        if item.feed_id not in self._feeds.states:
            return
        timely = item.reason in _OF_TIME or (item.reason in _OF_KEYS and self.keys.is_waiting(item.feed_id))
        if not (timely and self._in_doubt_of_the_clock(item.feed_id, turn)):
            self._refuse(item.feed_id, item.reason, f"{item.path} {item.detail}".strip(), turn)

    def _in_doubt_of_the_clock(self, feed_id: str, turn: Turn) -> bool:
        """Judge nothing while the clock is not believed; whether that is so."""
        if self._installer.keeper.state.clock_trusted:
            return False
        # Not the vendor's fault, and there is a repair about the clock: no refusal is told.
        wait = self._feeds.failed(feed_id, Reason.CLOCK_UNTRUSTED, None, turn.now)
        self._agenda.set("feed", feed_id, turn.now + wait)
        return True

    def failed(self, item: FetchFailed, turn: Turn) -> None:
        """Take in an outage; it is worth a repair when it lasts."""
        if item.feed_id not in self._feeds.states:
            return
        wait = self._feeds.failed(item.feed_id, item.reason, item.retry_after_s, turn.now)
        self._agenda.set("feed", item.feed_id, turn.now + wait)
        state = self._feeds.states[item.feed_id]
        # Not every model has a page: nothing is published for it, and its owner can do nothing about that.
        if state.failures == limits.FETCHES_BEFORE_ISSUE and not (state.feed.model and item.reason is Reason.NOT_FOUND):
            values = {"feed": state.feed.title, "url": state.feed.url, "detail": item.detail, "feed_id": item.feed_id}
            values["moment"] = state.fetched_at.isoformat() if state.fetched_at else ""
            turn.do(RaiseIssue(IssueKind.FEED_UNREACHABLE, item.feed_id, Severity.WARNING, False, item.reason, values))
        turn.refresh_hub = True

    def expired(self, feed_id: str, turn: Turn) -> None:
        """Say that a manifest ran out: nothing new starts from it, which the gate sees to."""
        state = self._feeds.states[feed_id]
        values = {"feed": state.feed.title, "url": state.feed.url, "feed_id": feed_id}
        turn.audit("manifest_expired", feed_id)
        turn.do(RaiseIssue(IssueKind.MANIFEST_EXPIRED, feed_id, Severity.WARNING, False, Reason.EXPIRED, values))
        turn.refresh_hub = True

    def _refuse(self, feed_id: str, reason: Reason, detail: str, turn: Turn, *, from_store: bool = False) -> None:
        turn.refresh_hub = True
        state = self._feeds.states[feed_id]
        if from_store:
            self._feeds.stored_refused(feed_id, reason)
            if reason in {Reason.EXPIRED, Reason.FREEZE_SUSPECTED}:
                self.expired(feed_id, turn)
            return
        wait = self._feeds.failed(feed_id, reason, None, turn.now)
        self._agenda.set("feed", feed_id, turn.now + wait)
        values = {"feed": state.feed.title, "url": state.feed.url, "detail": detail, "feed_id": feed_id}
        turn.do(RaiseIssue(IssueKind.MANIFEST_REFUSED, feed_id, Severity.ERROR, True, reason, values))
        if state.last_error is not reason:
            turn.audit("manifest_refused", feed_id, reason=reason.value, detail=detail)
            turn.announce(
                LifecycleKind.MANIFEST_REFUSED, None, feed=state.feed.title, feed_id=feed_id, reason=reason.value
            )

    # --- what follows ------------------------------------------------------------------------------------------------

    def _offers(self) -> dict[FitKey, Offer | None]:
        """Note all offers. Cost: the number of different kinds of device, once per manifest, every few hours."""
        return {key: self._feeds.catalogue.offer(key) for key in self._fleet.by_fit}

    def _offers_changed(self, before: Mapping[FitKey, Offer | None], touched: Iterable[ModelKey], turn: Turn) -> None:
        models = frozenset(touched)
        for key, was in before.items():
            if not concerns(models, key):
                continue
            turn.refresh(self._fleet.by_fit[key])
            offer = self._feeds.catalogue.offer(key)
            if offer is not None and (was is None or was.version != offer.version):
                turn.announce(
                    LifecycleKind.UPDATE_OFFERED,
                    None,
                    manufacturer=key.manufacturer,
                    model=key.model,
                    version=offer.version,
                    devices=len(self._fleet.by_fit[key]),
                )
        turn.refresh_hub = True

    def _recheck(self, feed_id: str, turn: Turn) -> None:
        """Void approvals whose release the feed does not name any more, and renew the proof of the others.

        Cost: the number of current installs, once per answer.
        """
        for install in [item for item in self._installer.current.values() if item.offer.feed_id == feed_id]:
            if install.state.is_at_work:
                continue
            device = self._fleet.devices[install.device_id]
            offer = still_published(install, device, self._feeds)
            if offer is None:
                newer = self._feeds.catalogue.offer(device.fit_key)
                withdrawal = self._aftercare.withdrawal(device.fit_key, install.offer.version)
                if withdrawal is not None:
                    values = {"version": install.offer.version, "detail": withdrawal[1].reason}
                    turn.audit("release_withdrawn", device.id, install=install.id, **values)
                moved = newer is not None and withdrawal is None
                reason = Reason.OFFER_MOVED if moved else Reason.OFFER_WITHDRAWN
                self._installer.cancel(install, InstallState.CANCELED, reason, turn)
                continue
            if offer != install.offer:
                self._installer.renew(install, offer, turn)
            self._installer.reschedule(device.id, turn)
