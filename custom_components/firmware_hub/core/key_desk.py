"""The feeds' keys, as the hub goes by them: ``rotation`` has the rules, this keeps its state and tells the owner.

- The state is a text in the feed's ledger row, written with the manifest that changed it.
- With which keys a feed is verified is worked out anew whenever it is fetched: ``FeedState.keys``.
- While the clock is not believed nothing is observed, and no key that was announced is trusted.
- A manifest whose key lost its trust while it was being read is refused.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime

from . import limits
from .agenda import Agenda
from .effects import ClearIssue, IssueKind, LedgerRow, RaiseIssue, Severity
from .errors import HubError, Reason, Refused
from .feeds import Feeds
from .inputs import KeysRefused, ManifestRead
from .keys import fingerprint
from .rotation import Rotation, belonging, changes, from_text, next_change, notice, observe, refuse, to_text, trusted
from .turn import Turn

_BEFORE_ALL = datetime.min.replace(tzinfo=UTC)


class KeyDesk:
    """What happens to the keys of feeds. Never raises, but for what a person asks."""

    def __init__(self, feeds: Feeds, agenda: Agenda, is_clock_trusted: Callable[[], bool]) -> None:
        """Serve these feeds."""
        self._feeds = feeds
        self._agenda = agenda
        self._is_clock_trusted = is_clock_trusted

    def look(self, feed_id: str, turn: Turn) -> None:
        """Work out with which keys a feed is verified now, and show or take away the repair about them."""
        state = self._feeds.states[feed_id]
        if not state.feed.keys:
            return
        believed = self._is_clock_trusted()
        try:
            rotation = belonging(self._kept(feed_id), state.feed.keys)
            keys = trusted(rotation, state.feed.keys, turn.now if believed else _BEFORE_ALL)
        except HubError:  # what is pinned is no key: whatever comes is refused, and says so
            return
        self._feeds.states[feed_id] = replace(state, keys=keys)
        if not believed:
            self._agenda.set("keys", feed_id, turn.now + limits.SILENT_RETRY if rotation.announced else None)
            return
        self._agenda.set("keys", feed_id, next_change(rotation, turn.now))
        self._show(feed_id, rotation, turn)

    def gone(self, feed_id: str, turn: Turn) -> None:
        """A feed is not one of ours any more; what is known of its keys is kept, as what it said is."""
        self._agenda.set("keys", feed_id, None)
        turn.do(ClearIssue(IssueKind.KEY_ROTATION, feed_id))

    def vouches(self, item: ManifestRead) -> bool:
        """Whether the key that signed a manifest is still trusted: somebody may have said no while it was read."""
        keys = self._feeds.states[item.feed_id].keys
        return not keys or item.manifest.key_id in {fingerprint(key) for key in keys}

    def is_waiting(self, feed_id: str) -> bool:
        """Whether a key was announced that is not in use."""
        return bool(self._kept(feed_id).announced)

    def accepted(self, item: ManifestRead, turn: Turn) -> None:
        """Note what a manifest says of keys, after it was accepted and its ledger row is to be written."""
        state = self._feeds.states[item.feed_id]
        if item.from_store or not state.keys:
            return
        before = self._kept(item.feed_id)
        self._keep(item.feed_id, before, observe(before, state.feed.keys, item.manifest, turn.now), turn)

    def refuse(self, item: KeysRefused, turn: Turn) -> None:
        """Trust none of the keys that are announced, ever.

        Raises:
            Refused: ``NOTHING_TO_CANCEL``: none is, any more.
        """
        before = self._kept(item.feed_id)
        if item.feed_id not in self._feeds.states or not before.announced:
            raise Refused(Reason.NOTHING_TO_CANCEL, item.feed_id)
        self._keep(item.feed_id, before, refuse(before), turn, by=item.by)

    def _kept(self, feed_id: str) -> Rotation:
        row = self._feeds.ledger.get(feed_id)
        return from_text(row.keys if row is not None else "")

    def _keep(self, feed_id: str, before: Rotation, after: Rotation, turn: Turn, **values: str) -> None:
        text = to_text(after)
        row = self._feeds.ledger.get(feed_id, LedgerRow(feed_id))
        if text != row.keys:
            self._feeds.ledger[feed_id] = replace(row, keys=text)
            turn.save_ledger(self._feeds.ledger[feed_id])
        for change, key in changes(before, after):
            turn.audit(change.value, feed_id, key=key, **values)
        self.look(feed_id, turn)

    def _show(self, feed_id: str, rotation: Rotation, turn: Turn) -> None:
        waiting = notice(rotation, turn.now)
        if waiting is None:
            turn.do(ClearIssue(IssueKind.KEY_ROTATION, feed_id))
            return
        feed = self._feeds.states[feed_id].feed
        values = {
            "feed": feed.title,
            "url": feed.url,
            "feed_id": feed_id,
            "old_keys": ", ".join(waiting.old),
            "new_keys": ", ".join(waiting.new),
            "moment": waiting.trusted_from.isoformat(),
        }
        turn.do(RaiseIssue(IssueKind.KEY_ROTATION, feed_id, Severity.WARNING, True, None, values))
