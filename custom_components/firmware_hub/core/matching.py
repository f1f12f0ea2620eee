"""Which release fits which device, and when there is none (invariants 4 and 5).

A release is offered only if all of this is certain; each doubt is "no offer":

- **Maker and model** are the device's, whatever the case of the letters, and otherwise letter by letter.
- **Hardware**: the release names the device's. Silence fits only silence: a device that states its hardware takes no
  release that names none, and the other way round. ``*`` is a publisher's word that it fits all hardware of the model.
- **Variant** is the device's; silence fits only silence.
- **Running version** lies within the release's window. So a path of several steps is taken step by step: what needs a
  later version than the running one is passed over for the newest release that does not.
- **Newer** than the running version by the release's scheme; where that cannot tell, by the counters of both. A counter
  below the device's own is never offered, whatever the version says.
- **Channel** is ``stable``, and the release is not **withdrawn**: by its own feed, or by the signed feed of its maker.
- **Zigbee images** say for whom they are by manufacturer code and image type, which only the device itself knows. They
  fit a device whose bridge, having asked it, named a file of the same code and type (``FitKey.image``); the names of
  maker and model, and the window of hardware numbers, then only narrow: an image that names none is for all of that
  type. The hardware number is inside the window if the device states it, or if the bridge named this very file.
- **Vendor's choice**: what a device loads from its vendor by itself (trust level ``vendor``) is offered only while the
  device says that its vendor offers it exactly this version, and only to families that can be told to take it. A family
  that takes nothing else is offered nothing else. Where the device is the only one who says what its vendor offers, and
  no feed has it, its own word is the offer (``Capabilities.offers_itself``).
- **Supplied by the hub**: a device that looks at a compiled address (``Capabilities.looks_up``) takes a published
  release if it is known to look at the hub's, or as long as no other address offers it anything.
- **Feed**: where a signed feed knows the model, weaker feeds are not asked. Two feeds of one level that put different
  bytes under one version are ambiguous, and so are two versions that cannot be compared.

The reasons are in docs/decisions/0004-fit-fails-closed.md.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from types import MappingProxyType

from . import limits
from .errors import Reason
from .model import (
    DEVICE_ITSELF,
    Artifact,
    ArtifactRole,
    Delivery,
    FitKey,
    Manifest,
    Match,
    Offer,
    Release,
    Trust,
    VersionScheme,
)
from .ports import Capabilities
from .version import Order, compare, scheme_of
from .withdrawn import Withdrawn

ANY_HARDWARE = "*"
STABLE = "stable"
_RANK = {Trust.VENDOR: 0, Trust.DIGEST: 1, Trust.SIGNED: 2}

type ModelKey = tuple[str, str]
"""Manufacturer and model, case-folded; no manufacturer, and the image type or address, of a Zigbee image."""


@dataclass(frozen=True, slots=True)
class _Entry:
    release: Release
    manifest: Manifest


class Catalogue:
    """The releases of all accepted manifests. Answers are kept per fit key, of which a fleet has few."""

    def __init__(self, families: Mapping[str, Capabilities] = MappingProxyType({})) -> None:
        """Begin empty; ``families`` says which devices can be told what."""
        self._families = families
        self._manifests: dict[str, Manifest] = {}
        self._withdrawn: dict[str, Withdrawn] = {}
        self._entries: dict[ModelKey, list[_Entry]] = {}
        self._found: dict[FitKey, Offer | Reason] = {}

    def replace(self, manifest: Manifest) -> frozenset[ModelKey]:
        """Take a manifest in the place of its feed's last one; return the models whose offers may have changed."""
        touched = self._drop(manifest.feed_id) | _models(manifest)
        self._manifests[manifest.feed_id] = manifest
        self._withdrawn[manifest.feed_id] = Withdrawn(manifest)
        for release in manifest.releases:
            for key in _keys(release):
                self._entries.setdefault(key, []).append(_Entry(release, manifest))
        self._forget(touched)
        return touched

    def remove(self, feed_id: str) -> frozenset[ModelKey]:
        """Forget a feed; return the models whose offers may have changed."""
        touched = self._drop(feed_id)
        self._forget(touched)
        return touched

    def offer(self, key: FitKey) -> Offer | None:
        """Return the newest release that fits. Never raises."""
        found = self._answer(key)
        return found if isinstance(found, Offer) else None

    def explain(self, key: FitKey) -> Reason | None:
        """Say why there is no offer; ``None`` if there is one. Never raises.

        ``no_offer``: nothing newer is published for this device. ``wrong_hardware``: what is published is for another
        hardware or variant. ``version_unknown``, ``needs_other_version``, ``offer_withdrawn``, ``ambiguous_offer``:
        there may be something newer, but that stands in its way.
        """
        found = self._answer(key)
        return None if isinstance(found, Offer) else found

    def release(self, key: FitKey, version: str) -> Offer | None:
        """Return a certain version: one that fits and is newer, or one to which a signed release permits to go back."""
        current = self.offer(key)
        if current is not None and current.version == version:
            return current
        known = [entry for entry in self._known(key) if _fits(entry.release, key)]
        is_withdrawn = self._withdrawn_for(key)
        fitting = [entry for entry in known if not is_withdrawn(entry)]
        exact = [entry for entry in fitting if entry.release.version == version]
        newer = [entry for entry in fitting if _order(entry.release, key) is Order.NEWER]
        ahead = [entry for entry in exact if _is_ahead(entry.release, key)]
        # What runs may have been withdrawn: that is when one wants to go back.
        back = [entry for entry in exact if _permits(known, key, entry)]
        only = _single(ahead or back)
        return None if only is None else _as_offer(only, newer)

    def way_back(self, key: FitKey) -> str | None:
        """Return the first version that the signed release that runs permits to go back to. Never raises."""
        running = [entry.release for entry in self._known(key) if entry.release.version == key.version]
        named = [version for release in running for version in release.rollback_to]
        return next((version for version in named if self.release(key, version) is not None), None)

    def _answer(self, key: FitKey) -> Offer | Reason:
        if key not in self._found:
            if len(self._found) >= 2 * limits.MAX_DEVICES:
                self._found.clear()
            self._found[key] = self._search(key)
        return self._found[key]

    def _search(self, key: FitKey) -> Offer | Reason:
        known = self._known(key)
        fitting = [entry for entry in known if _fits(entry.release, key)]
        if not fitting:
            return Reason.WRONG_HARDWARE if known else Reason.NO_OFFER
        orders = [_order(entry.release, key) for entry in fitting]
        newer = [entry for entry, order in zip(fitting, orders, strict=True) if order is Order.NEWER]
        if not newer:
            return Reason.VERSION_UNKNOWN if Order.UNKNOWN in orders else Reason.NO_OFFER
        is_withdrawn = self._withdrawn_for(key)
        valid = [entry for entry in newer if not is_withdrawn(entry)]
        if not valid:
            return Reason.OFFER_WITHDRAWN
        reachable = [entry for entry in valid if _in_window(entry.release, key.version)]
        if not reachable:
            return Reason.NEEDS_OTHER_VERSION
        newest = _newest(reachable)
        return Reason.AMBIGUOUS_OFFER if newest is None else _as_offer(newest, valid)

    def _known(self, key: FitKey) -> list[_Entry]:
        """Return the stable releases of a model, from the most trusted feeds that know it."""
        named = key.manufacturer and key.model
        entries = self._entries.get(_model_key(key.manufacturer, key.model), []) if named else []
        entries = [entry for entry in entries + self._of_image(key.image) if self._can_take(entry, key)]
        if not any(_fits(entry.release, key) for entry in entries):
            entries += self._own_word(key)
        level = max((_RANK[entry.manifest.trust] for entry in entries), default=0)
        return [e for e in entries if _RANK[e.manifest.trust] == level and e.release.channel == STABLE]

    def _can_take(self, entry: _Entry, key: FitKey) -> bool:
        """Decide whether a device can be told to take this, and nothing else in its place."""
        family = self._families.get(key.dialect)
        if family is None:
            return True
        if entry.manifest.trust is Trust.VENDOR:
            return family.vendor_chooses and entry.release.version == key.offered and not key.supplied
        return family.chooses_artifact or (family.looks_up and (key.supplied or not key.offered))

    def _own_word(self, key: FitKey) -> list[_Entry]:
        """Return what the device itself says that its vendor offers it, where its family makes that an offer."""
        family = self._families.get(key.dialect)
        if family is None or key.supplied or not (family.offers_itself and key.offered):
            return []
        match = Match(key.manufacturer, (key.model,), (key.hardware,) if key.hardware else (), key.variant)
        image = Artifact(ArtifactRole.MAIN, "", "", 0, "")
        _, url, summary = key.notes or ("", "", "")
        scheme = scheme_of(key.offered)
        release = Release(match, key.offered, (image,), scheme, summary=summary, notes_url=url)
        return [_Entry(release, Manifest(DEVICE_ITSELF, key.manufacturer, Trust.VENDOR, "", (release,)))]

    def _of_image(self, address: str) -> list[_Entry]:
        """Return the releases of the image type of this file; none if feeds disagree about it."""
        types = {entry.release.match.image_type for entry in self._entries.get(("", address), [])} if address else set()
        return self._entries[("", types.pop())] if len(types) == 1 else []

    def _withdrawn_for(self, key: FitKey) -> Callable[[_Entry], bool]:
        """Return what decides whether an entry is withdrawn: by its own feed, or by a signed one of the maker."""
        makers = [self._withdrawn[m.feed_id] for m in self._manifests.values() if _speaks_for(m, key.manufacturer)]

        def is_withdrawn(entry: _Entry) -> bool:
            own = self._withdrawn.get(entry.manifest.feed_id)
            return any(each.names(key.model, entry.release) for each in ([own] if own else []) + makers)

        return is_withdrawn

    def _drop(self, feed_id: str) -> frozenset[ModelKey]:
        manifest = self._manifests.pop(feed_id, None)
        if manifest is None:
            return frozenset()
        del self._withdrawn[feed_id]
        for key in {key for release in manifest.releases for key in _keys(release)}:
            left = [entry for entry in self._entries[key] if entry.manifest.feed_id != feed_id]
            if left:
                self._entries[key] = left
            else:
                del self._entries[key]
        return _models(manifest)

    def _forget(self, touched: frozenset[ModelKey]) -> None:
        stale = [key for key in self._found if concerns(touched, key)]
        for key in stale:
            del self._found[key]


def concerns(models: frozenset[ModelKey], key: FitKey) -> bool:
    """Decide whether a change of these models may change what is offered to a device. Never raises."""
    if _model_key(key.manufacturer, key.model) in models:
        return True
    # For which type an address stands may be what changed.
    return bool(key.image) and any(not maker for maker, _ in models)


def why_not_installable(offer: Offer) -> Reason | None:
    """Say why an offer can be shown but not installed by the hub; ``None`` if it can. Never raises.

    ``manual_only``: its delivery is a person's work. ``no_digest``: nobody says what its bytes must be, and the device
    does not choose them itself.
    """
    if offer.release.delivery is Delivery.MANUAL:
        return Reason.MANUAL_ONLY
    pinned = offer.trust is Trust.VENDOR or all(artifact.pin for artifact in offer.release.artifacts)
    return None if pinned else Reason.NO_DIGEST


# --- the rules of fit -------------------------------------------------------------------------------------------------


def _same(left: str, right: str) -> bool:
    return left.casefold() == right.casefold()


def _model_key(manufacturer: str, model: str) -> ModelKey:
    return manufacturer.casefold(), model.casefold()


def _keys(release: Release) -> set[ModelKey]:
    match = release.match
    if match.image_type:
        return {("", match.image_type), ("", release.main.url)}
    return {_model_key(match.manufacturer, model) for model in match.model}


def _models(manifest: Manifest) -> frozenset[ModelKey]:
    """Return the models that a manifest speaks of: it names them, or it withdraws a release of theirs."""
    named = {key for release in manifest.releases for key in _keys(release)}
    return frozenset(named | {_model_key(manifest.vendor, revoked.model) for revoked in manifest.revoked})


def _speaks_for(manifest: Manifest, manufacturer: str) -> bool:
    return manifest.trust is Trust.SIGNED and _same(manifest.vendor, manufacturer)


def _fits(release: Release, key: FitKey) -> bool:
    """Decide hardware and variant; maker and model were decided by the index."""
    match = release.match
    if match.image_type:
        return _fits_image(match, key) and (release.main.url == key.image or _hardware_within(match, key.hardware))
    stated = {hardware.casefold() for hardware in match.hardware} or {""}
    return (key.hardware.casefold() in stated or ANY_HARDWARE in stated) and _same(match.variant, key.variant)


def _fits_image(match: Match, key: FitKey) -> bool:
    maker = not match.manufacturer or _same(match.manufacturer, key.manufacturer)
    return maker and (not match.model or any(_same(model, key.model) for model in match.model))


def _hardware_within(match: Match, hardware: str) -> bool:
    low, high, scheme = match.min_hardware, match.max_hardware, VersionScheme.INTEGER
    above = not low or compare(hardware, low, scheme) in (Order.SAME, Order.NEWER)
    return above and (not high or compare(hardware, high, scheme) in (Order.SAME, Order.OLDER))


def _order(release: Release, key: FitKey) -> Order:
    """Decide how a release stands to what the device runs; a counter that contradicts the version leaves it open."""
    counters = _compare_counters(release.counter, key.counter)
    order = compare(release.version, key.version, release.version_scheme)
    if order is Order.UNKNOWN:
        return counters
    return Order.UNKNOWN if order is Order.NEWER and counters is Order.OLDER else order


def _compare_counters(left: int | None, right: int | None) -> Order:
    if left is None or right is None:
        return Order.UNKNOWN
    return compare(str(left), str(right), VersionScheme.INTEGER)


def _in_window(release: Release, running: str) -> bool:
    low, high, scheme = release.match.min_version, release.match.max_version, release.version_scheme
    late_enough = not low or compare(running, low, scheme) in (Order.SAME, Order.NEWER)
    return late_enough and (not high or compare(running, high, scheme) in (Order.SAME, Order.OLDER))


def _is_ahead(release: Release, key: FitKey) -> bool:
    return _order(release, key) is Order.NEWER and _in_window(release, key.version)


def _permits(fitting: Iterable[_Entry], key: FitKey, target: _Entry) -> bool:
    """Decide whether the signed release that runs now permits to go back to the target, in the same manifest."""
    return target.manifest.trust is Trust.SIGNED and any(
        entry.manifest is target.manifest
        and entry.release.version == key.version
        and target.release.version in entry.release.rollback_to
        for entry in fitting
    )


# --- choosing ---------------------------------------------------------------------------------------------------------


def _stand(left: Release, right: Release) -> Order:
    scheme = left.version_scheme
    order = compare(left.version, right.version, scheme) if scheme is right.version_scheme else Order.UNKNOWN
    return _compare_counters(left.counter, right.counter) if order is Order.UNKNOWN else order


def _newest(entries: list[_Entry]) -> _Entry | None:
    """Return the newest one; ``None`` if two cannot be compared, or differ in their bytes."""
    best = entries[:1]
    for entry in entries[1:]:
        order = _stand(entry.release, best[0].release)
        if order is Order.UNKNOWN:
            return None
        if order is Order.NEWER:
            best = [entry]
        elif order is Order.SAME:
            best.append(entry)
    return _single(best)


def _single(entries: list[_Entry]) -> _Entry | None:
    """Return the one that all of these are, if they are all the same bytes; always the same one of several feeds."""
    if len({entry.release.digest for entry in entries}) != 1:
        return None
    return min(entries, key=lambda entry: entry.manifest.feed_id)


def _as_offer(entry: _Entry, others: list[_Entry]) -> Offer:
    manifest = entry.manifest
    return Offer(
        release=entry.release,
        feed_id=manifest.feed_id,
        trust=manifest.trust,
        vendor=manifest.vendor,
        key_id=manifest.key_id,
        issued=manifest.issued,
        expires=manifest.expires,
        notes=_notes(entry.release, [other.release for other in others if other.manifest is manifest]),
    )


def _notes(release: Release, newer: list[Release]) -> tuple[tuple[str, str], ...]:
    """Gather the notes of the release and of all that are skipped on the way to it, newest first, within bounds."""
    skipped = [other for other in newer if _stand(other, release) is Order.OLDER]
    texts: dict[str, str] = {}
    room = limits.MAX_NOTES
    for item in sorted([release, *skipped], key=functools.cmp_to_key(_sign), reverse=True):
        text = (item.notes or item.summary)[:room]
        if text and item.version not in texts and len(texts) < limits.MAX_SKIPPED_NOTES:
            texts[item.version] = text
            room -= len(text)
    return tuple(texts.items())


_SIGN = {Order.OLDER: -1, Order.SAME: 0, Order.NEWER: 1, Order.UNKNOWN: 0}


def _sign(left: Release, right: Release) -> int:
    return _SIGN[_stand(left, right)]
