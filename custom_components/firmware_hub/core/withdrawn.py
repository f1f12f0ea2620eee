"""Which versions a manifest withdraws, in a form that costs one look-up per release, however many they are."""

from __future__ import annotations

from collections.abc import Hashable

from .model import Manifest, Release, VersionScheme
from .version import sort_key


class Withdrawn:
    """What one manifest withdraws. Two texts may name one version: ``14.5`` and ``14.5.0``."""

    def __init__(self, manifest: Manifest) -> None:
        """Sort it by model."""
        self._texts: dict[str, set[str]] = {}
        self._keys: dict[tuple[str, VersionScheme], set[Hashable]] = {}
        for revoked in manifest.revoked:
            self._texts.setdefault(revoked.model.casefold(), set()).add(revoked.version)

    def names(self, model: str, release: Release) -> bool:
        """Decide whether a release for a model is withdrawn. Never raises."""
        texts = self._texts.get(model.casefold())
        if texts is None:
            return False
        if release.version in texts:
            return True
        key = sort_key(release.version, release.version_scheme)
        return key is not None and key in self._of(model.casefold(), texts, release.version_scheme)

    def _of(self, model: str, texts: set[str], scheme: VersionScheme) -> set[Hashable]:
        if (model, scheme) not in self._keys:
            self._keys[model, scheme] = {sort_key(text, scheme) for text in texts}
        return self._keys[model, scheme]
