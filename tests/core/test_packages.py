"""A file that came by another way: where it is named, and what stands against it."""

from __future__ import annotations

from typing import Any

import pytest

from custom_components.firmware_hub.core.errors import Reason
from custom_components.firmware_hub.core.model import Manifest, Revoked, Trust
from custom_components.firmware_hub.core.packages import Answer, Package, identify

from .statements import DAY, NOW, artifact, manifest, release

SHA256, SHA512 = "a" * 64, "sha512:" + "b" * 128
PACKAGE = Package("plug.bin", 1000, SHA256, (SHA256, SHA512))


def ours(**changes: Any) -> Manifest:
    """A manifest that names the package, as it is."""
    return manifest(release(artifacts=(artifact(sha256=SHA256),)), **changes)


def ask(*manifests: Manifest, clock_trusted: bool = True) -> Answer:
    return identify(PACKAGE, manifests, NOW, clock_trusted=clock_trusted)


def test_a_file_that_a_signed_feed_names_is_that_release() -> None:
    answer = ask(manifest(release("1.1.0"), feed_id="other"), ours())
    (named,) = answer.named
    assert (answer.reason, named.release.version, named.manifest.feed_id) == (None, "1.2.0", "acme")


def test_any_digest_that_a_feed_states_is_as_good() -> None:
    statement = manifest(release(artifacts=(artifact(checksum=SHA512, size=0),)), trust=Trust.DIGEST, expires=None)
    assert ask(statement).reason is None


def test_an_artifact_without_a_digest_is_no_proof() -> None:
    assert ask(manifest(release(artifacts=(artifact(name="other.bin"),)))).reason is Reason.NOT_PUBLISHED


def test_the_most_trusted_feed_comes_first() -> None:
    answer = ask(ours(feed_id="mirror", trust=Trust.DIGEST, vendor="Mirror"), ours())
    assert [named.manifest.feed_id for named in answer.named] == ["acme", "mirror"]


def test_a_sound_word_comes_before_a_faulty_one() -> None:
    answer = ask(ours(feed_id="old", expires=NOW - DAY), ours(feed_id="mirror", trust=Trust.DIGEST))
    assert [named.manifest.feed_id for named in answer.named] == ["mirror", "old"]
    assert answer.reason is None


def test_a_file_of_which_nobody_speaks_is_not_published() -> None:
    answer = ask(manifest(release(artifacts=(artifact("x", name="lamp.bin"),))))
    assert (answer.named, answer.reason, answer.alike) == ((), Reason.NOT_PUBLISHED, ())


def test_another_content_under_a_known_name_is_told_apart() -> None:
    answer = ask(manifest(release(artifacts=(artifact("x", name="PLUG.bin"),))))
    assert answer.reason is Reason.OTHER_CONTENT
    assert [named.release.version for named in answer.alike] == ["1.2.0"]


def test_an_expired_statement_is_not_enough() -> None:
    assert ask(ours(expires=NOW)).reason is Reason.EXPIRED


def test_without_a_believed_clock_nobody_knows_what_has_expired() -> None:
    assert ask(ours(), clock_trusted=False).reason is Reason.CLOCK_UNTRUSTED


def test_what_never_expires_needs_no_clock() -> None:
    assert ask(ours(expires=None), clock_trusted=False).reason is None


def test_a_statement_that_contradicts_itself_about_the_length_is_not_enough() -> None:
    assert ask(manifest(release(artifacts=(artifact(sha256=SHA256, size=999),)))).reason is Reason.SIZE_MISMATCH


@pytest.mark.parametrize("version", ["1.2.0", "1.2.0+rebuilt"])
def test_a_withdrawn_release_comes_with_its_makers_reason(version: str) -> None:
    answer = ask(ours(revoked=(Revoked("plug-s1", version, "it burns"),)))
    assert answer.reason is Reason.OFFER_WITHDRAWN
    assert answer.named[0].withdrawn == Revoked("plug-s1", version, "it burns")


@pytest.mark.parametrize("revoked", [Revoked("PLUG-S2", "1.2.0"), Revoked("PLUG-S1", "1.2.1")])
def test_the_withdrawal_of_something_else_changes_nothing(revoked: Revoked) -> None:
    assert ask(ours(revoked=(revoked,))).reason is None


def test_the_makers_signed_feed_withdraws_what_a_mirror_names() -> None:
    maker = manifest(feed_id="maker", vendor="ACME", revoked=(Revoked("PLUG-S1", "1.2.0"),))
    assert ask(ours(trust=Trust.DIGEST, vendor="Mirror"), maker).reason is Reason.OFFER_WITHDRAWN


@pytest.mark.parametrize("changes", [{"trust": Trust.DIGEST}, {"vendor": "Other"}])
def test_nobody_else_withdraws_it(changes: dict[str, Any]) -> None:
    other = manifest(feed_id="other", revoked=(Revoked("PLUG-S1", "1.2.0"),), **changes)
    assert ask(ours(), other).reason is None
