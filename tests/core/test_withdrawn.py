"""A release that is withdrawn is found by its model and version, however either is written, in one look-up."""

from __future__ import annotations

import pytest

from custom_components.firmware_hub.core import withdrawn
from custom_components.firmware_hub.core.matching import Catalogue
from custom_components.firmware_hub.core.model import Revoked, VersionScheme
from custom_components.firmware_hub.core.version import sort_key

from .statements import device, manifest, release


@pytest.mark.parametrize(
    ("model", "version", "scheme", "is_named"),
    [
        ("PLUG-S1", "14.5", VersionScheme.DOTTED, True),
        ("plug-s1", "14.5.0", VersionScheme.DOTTED, True),
        ("PLUG-S1", "14.5.1", VersionScheme.DOTTED, False),
        ("PLUG-S1", "red", VersionScheme.DOTTED, True),
        ("PLUG-S1", "blue", VersionScheme.DOTTED, False),
        ("PLUG-S1", "14.5.0", VersionScheme.SEMVER, False),
        ("PLUG-S2", "14.5", VersionScheme.DOTTED, False),
    ],
)
def test_a_release_is_withdrawn_by_model_and_version(
    model: str, version: str, scheme: VersionScheme, is_named: bool
) -> None:
    said = withdrawn.Withdrawn(manifest(revoked=(Revoked("PLUG-S1", "14.5"), Revoked("PLUG-S1", "red"))))
    for _ in range(2):
        assert said.names(model, release(version, version_scheme=scheme)) is is_named


def test_many_withdrawn_versions_are_read_once_and_not_once_per_release(monkeypatch: pytest.MonkeyPatch) -> None:
    read: list[str] = []

    def reading(version: str, scheme: VersionScheme) -> object:
        read.append(version)
        return sort_key(version, scheme)

    monkeypatch.setattr(withdrawn, "sort_key", reading)
    catalogue = Catalogue()
    releases = [release(f"2.0.{number}") for number in range(50)]
    catalogue.replace(manifest(*releases, revoked=tuple(Revoked("PLUG-S1", f"9.{number}.0") for number in range(40))))
    offer = catalogue.offer(device("1.0.0"))
    assert offer is not None
    assert offer.version == "2.0.49"
    assert len(read) <= 2 * 50 + 40  # the feed speaks for itself, and as the maker
