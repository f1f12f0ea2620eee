"""Care for what runs already: repairs about releases that their maker withdrew, and about models whose support ends.

- Only a signed statement counts, about devices of its vendor's make or of a model that it publishes for.
- A withdrawn release is one repair for each feed, model and version, as long as any device runs it. It says how many
  do, the maker's own reason, and the next step: a newer version, or else one to which the signature permits to go back.
- A model's support is one repair from ``limits.SUPPORT_NOTICE`` before its end, and another one after it; the latest
  day counts that any of the maker's statements names. It goes when the maker extends it or the devices are gone.
- Nothing is looked at while the clock is not believed: what is shown then stays.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from . import limits
from .effects import ClearIssue, IssueKind, RaiseIssue
from .feeds import Feeds
from .fleet import Fleet
from .matching import ModelKey
from .model import FitKey, Manifest, Revoked, Trust
from .turn import Turn
from .version import Order, compare, scheme_of


@dataclass(frozen=True, slots=True, eq=False)
class _Said:
    """What a manifest says of releases and models that are in use, by model."""

    manifest: Manifest
    makes: frozenset[ModelKey]
    revoked: Mapping[str, tuple[Revoked, ...]]
    until: Mapping[str, datetime]

    def is_about(self, key: FitKey) -> bool:
        maker = key.manufacturer.casefold()
        return maker == self.manifest.vendor.casefold() or (maker, key.model.casefold()) in self.makes


class Aftercare:
    """Looks after the fleet. Never raises. A look costs the number of kinds of device times that of such feeds."""

    def __init__(self, fleet: Fleet, feeds: Feeds) -> None:
        """Show nothing yet."""
        self._fleet = fleet
        self._feeds = feeds
        self._said: dict[str, _Said] = {}
        self._shown: dict[tuple[IssueKind, str], RaiseIssue] = {}

    def look(self, turn: Turn, *, clock_trusted: bool) -> None:
        """Show what is to be shown now, and take away what is over."""
        if not clock_trusted:
            return
        self._listen()
        if not (self._said or self._shown):
            return
        wanted = {(issue.kind, issue.subject): issue for issue in (*self._withdrawn(), *self._ending(turn.now))}
        turn.do(*(ClearIssue(kind, subject) for kind, subject in self._shown if (kind, subject) not in wanted))
        turn.do(*(issue for where, issue in wanted.items() if self._shown.get(where) != issue))
        self._shown = wanted

    def withdrawal(self, key: FitKey, version: str) -> tuple[str, Revoked] | None:
        """Return who withdrew a version of what a device is, and why; ``None`` if nobody did."""
        self._listen()
        return self._find(key, version)

    def _find(self, key: FitKey, version: str) -> tuple[str, Revoked] | None:
        scheme = scheme_of(version)
        for feed_id, said in self._said.items():
            for revoked in said.revoked.get(key.model.casefold(), ()) if said.is_about(key) else ():
                if compare(revoked.version, version, scheme) is Order.SAME:
                    return feed_id, revoked
        return None

    def _listen(self) -> None:
        """Take in what is new in the manifests."""
        now_said = {}
        for feed_id, state in self._feeds.states.items():
            manifest = state.manifest
            if manifest is not None and manifest.trust is Trust.SIGNED and (manifest.revoked or manifest.support):
                known = self._said.get(feed_id)
                now_said[feed_id] = known if known and known.manifest is manifest else _said(manifest)
        self._said = now_said

    def _withdrawn(self) -> list[RaiseIssue]:
        counts: dict[tuple[str, str, str, str], int] = defaultdict(int)
        found: dict[tuple[str, str, str, str], tuple[FitKey, Revoked]] = {}
        for key, devices in self._fleet.by_fit.items():
            withdrawal = self._find(key, key.version) if key.version else None
            if withdrawal is not None:
                feed_id, revoked = withdrawal
                where = (feed_id, key.manufacturer.casefold(), key.model.casefold(), key.version)
                counts[where] += len(devices)
                found.setdefault(where, (key, revoked))
        return [self._revoked(where, key, revoked, counts[where]) for where, (key, revoked) in found.items()]

    def _revoked(self, where: tuple[str, str, str, str], key: FitKey, revoked: Revoked, devices: int) -> RaiseIssue:
        offer, back = self._feeds.catalogue.offer(key), self._feeds.catalogue.way_back(key)
        advice = "withdrawn_newer" if offer is not None else "withdrawn_back" if back else "withdrawn"
        values = {
            "feed": self._feeds.states[where[0]].feed.title,
            "feed_id": where[0],
            "manufacturer": key.manufacturer,
            "model": key.model,
            "version": key.version,
            "devices": str(devices),
            "detail": revoked.reason,
            "advice": advice,
            "other_version": offer.version if offer is not None else back or "",
        }
        return RaiseIssue(IssueKind.RELEASE_REVOKED, "/".join(where), values=values)

    def _ending(self, now: datetime) -> list[RaiseIssue]:
        counts: dict[ModelKey, int] = defaultdict(int)
        names: dict[ModelKey, FitKey] = {}
        for key, devices in self._fleet.by_fit.items():
            model = (key.manufacturer.casefold(), key.model.casefold())
            names.setdefault(model, key)
            counts[model] += len(devices)
        issues = []
        for model, key in names.items():
            ends = [
                said.until[model[1]] for said in self._said.values() if model[1] in said.until and said.is_about(key)
            ]
            if ends and max(ends) - now <= limits.SUPPORT_NOTICE:
                issues.append(_support(model, key, max(ends), counts[model], now))
        return issues


def _support(model: ModelKey, key: FitKey, until: datetime, devices: int, now: datetime) -> RaiseIssue:
    values = {
        "manufacturer": key.manufacturer,
        "model": key.model,
        "devices": str(devices),
        "day": until.date().isoformat(),  # the maker names a day, which is the same one in every zone
    }
    kind = IssueKind.SUPPORT_ENDED if until <= now else IssueKind.SUPPORT_ENDING
    return RaiseIssue(kind, "/".join(model), values=values)


def _said(manifest: Manifest) -> _Said:
    makes = {
        (release.match.manufacturer.casefold(), model.casefold())
        for release in manifest.releases
        for model in release.match.model
    }
    revoked: dict[str, tuple[Revoked, ...]] = {}
    for item in manifest.revoked:
        revoked[item.model.casefold()] = (*revoked.get(item.model.casefold(), ()), item)
    until: dict[str, datetime] = {}
    for support in manifest.support:
        model = support.model.casefold()
        until[model] = max(until.get(model, support.until), support.until)
    return _Said(manifest, frozenset(makes), revoked, until)
