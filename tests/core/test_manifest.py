"""Which manifest may follow which: one test per attack, and what the ledger keeps."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, strategies as st

from custom_components.firmware_hub.core import limits
from custom_components.firmware_hub.core.effects import LedgerRow
from custom_components.firmware_hub.core.errors import HubError, Reason, Refused
from custom_components.firmware_hub.core.manifest import judge, read_manifest
from custom_components.firmware_hub.core.model import ArtifactRole, Feed, Manifest, Release, Trust, VersionScheme
from custom_components.firmware_hub.core.signing import VerifiedBytes

from .jws import ec_key, name, pin, sign
from .statements import DAY, NOW, artifact, manifest, release

EMPTY = LedgerRow("acme")


def after(*statements: Manifest) -> LedgerRow:
    """Return the ledger after these statements were accepted."""
    ledger = EMPTY
    for statement in statements:
        ledger = judge(statement, ledger, NOW)
    return ledger


def refusal(statement: Manifest, ledger: LedgerRow = EMPTY) -> tuple[Reason, str]:
    with pytest.raises(Refused) as caught:
        judge(statement, ledger, NOW)
    return caught.value.reason, caught.value.path


# --- verified before it is read ---------------------------------------------------------------------------------------


class Reader:
    """Reads whatever it is handed, and remembers it."""

    def __init__(self) -> None:
        self.seen: list[VerifiedBytes] = []

    def read(self, data: VerifiedBytes, feed: Feed) -> Manifest:
        self.seen.append(data)
        return manifest(feed_id=feed.id, digest=data.sha256, key_id=data.key_id, trust=data.trust)


def feed(trust: Trust, *keys: str) -> Feed:
    return Feed("acme", "any", "Acme", "https://acme.example/m", trust, keys=keys)


def test_a_signed_feed_is_verified_before_it_is_read() -> None:
    reader = Reader()
    read = read_manifest(sign(ec_key(), b"{}", "ES256"), feed(Trust.SIGNED, pin(ec_key())), reader)
    assert (read.key_id, reader.seen[0].payload) == (name(ec_key()), b"{}")


@pytest.mark.parametrize("raw", [b"{}", sign(ec_key("stranger"), b"{}", "ES256")], ids=["unsigned", "another key"])
def test_what_is_not_signed_by_a_pinned_key_is_never_read(raw: bytes) -> None:
    reader = Reader()
    with pytest.raises(HubError):
        read_manifest(raw, feed(Trust.SIGNED, pin(ec_key())), reader)
    assert reader.seen == []


@pytest.mark.parametrize("trust", [Trust.DIGEST, Trust.VENDOR])
def test_a_feed_below_signed_is_read_as_what_it_is(trust: Trust) -> None:
    assert read_manifest(b"{}", feed(trust), Reader()).trust is trust


# --- rollback and equivocation ----------------------------------------------------------------------------------------


def test_the_first_statement_is_accepted_and_remembered() -> None:
    statement = manifest(release("1.2.0", counter=17))
    ledger = after(statement)
    assert (ledger.feed_id, ledger.sequence, ledger.sequence_digest) == ("acme", 42, "d1")
    assert ledger.issued == statement.issued
    assert list(ledger.digests.values()) == [statement.releases[0].digest]
    assert list(ledger.counters.values()) == [17]


def test_the_same_statement_again_is_accepted_and_changes_nothing() -> None:
    statement = manifest(release("1.2.0", counter=17))
    assert after(statement, statement) == after(statement)


def test_a_later_statement_is_accepted() -> None:
    assert after(manifest(), manifest(sequence=43, digest="d2")).sequence == 43


def test_an_older_statement_is_a_rollback() -> None:
    assert refusal(manifest(sequence=41, digest="d0"), after(manifest())) == (Reason.ROLLBACK_DETECTED, "sequence")


def test_an_older_statement_that_also_expired_is_a_rollback() -> None:
    old = manifest(sequence=41, digest="d0", issued=NOW - 60 * DAY, expires=NOW - 30 * DAY)
    assert refusal(old, after(manifest())) == (Reason.ROLLBACK_DETECTED, "sequence")


def test_another_content_under_one_number_is_equivocation() -> None:
    assert refusal(manifest(digest="d2"), after(manifest())) == (Reason.EQUIVOCATION, "sequence")


def test_the_highest_number_is_remembered_over_a_statement_without_one() -> None:
    ledger = after(manifest(), manifest(sequence=None, digest="d2"))
    assert ledger.sequence == 42


@given(st.lists(st.integers(0, 20), max_size=12))
def test_accepted_numbers_never_fall(numbers: list[int]) -> None:
    ledger, accepted = EMPTY, []
    for number in numbers:
        try:
            ledger = judge(manifest(sequence=number, digest=f"d{number}"), ledger, NOW)
        except Refused:
            continue
        accepted.append(number)
    assert accepted == sorted(accepted)


# --- time -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("expires", [NOW, NOW - DAY])
def test_a_statement_that_expired_before_it_was_seen_is_expired(expires: Any) -> None:
    assert refusal(manifest(expires=expires)) == (Reason.EXPIRED, "expires")


def test_a_known_statement_that_is_given_after_its_expiry_is_a_freeze() -> None:
    statement = manifest(expires=NOW + DAY)
    ledger = after(statement)
    with pytest.raises(Refused) as caught:
        judge(statement, ledger, NOW + DAY)
    assert caught.value.reason is Reason.FREEZE_SUSPECTED


def test_a_statement_is_good_until_the_moment_of_its_expiry() -> None:
    statement = manifest(expires=NOW)
    assert judge(statement, EMPTY, NOW - DAY / 86_400_000_000).sequence == 42


def test_a_statement_from_the_future_is_not_yet_valid() -> None:
    issued = NOW + limits.CLOCK_TOLERANCE + DAY / 86_400
    assert refusal(manifest(issued=issued)) == (Reason.NOT_YET_VALID, "issued")


def test_a_vendors_clock_may_be_a_little_ahead() -> None:
    assert after(manifest(issued=NOW + limits.CLOCK_TOLERANCE)).sequence == 42


def test_a_statement_without_dates_is_not_judged_by_them() -> None:
    assert after(manifest(), manifest(sequence=43, issued=None, expires=None)).issued == NOW - DAY


# --- digests ----------------------------------------------------------------------------------------------------------

DIGEST = {"sequence": None, "issued": None, "expires": None, "trust": Trust.DIGEST}


@pytest.mark.parametrize("changes", [{"sequence": 43, "digest": "d2"}, DIGEST | {"digest": "d2"}])
def test_other_bytes_under_a_known_version_are_a_changed_digest(changes: dict[str, Any]) -> None:
    ledger = after(manifest(release("1.1.0"), release("1.2.0")))
    statement = manifest(release("1.1.0"), release("1.2.0", "other bytes"), **changes)
    assert refusal(statement, ledger) == (Reason.DIGEST_CHANGED, "releases[1].artifacts")


def test_other_bytes_after_a_version_was_not_named_for_a_while_are_a_changed_digest() -> None:
    ledger = after(manifest(release("1.2.0")), manifest(release("1.3.0"), sequence=43))
    assert refusal(manifest(release("1.2.0", "x"), sequence=44), ledger)[0] is Reason.DIGEST_CHANGED


def test_one_version_with_two_contents_in_one_manifest_is_a_changed_digest() -> None:
    statement = manifest(release("1.2.0", "x", max_version="1.0.0"), release("1.2.0", "y", min_version="1.0.1"))
    assert refusal(statement) == (Reason.DIGEST_CHANGED, "releases[1].artifacts")


@pytest.mark.parametrize(
    "other",
    [
        {"variant": "eu"},
        {"hardware": ("rev2",)},
        {"model": ("PLUG-S2",)},
        {"manufacturer": "Bcme"},
    ],
)
def test_another_match_has_its_own_bytes(other: dict[str, Any]) -> None:
    assert len(after(manifest(release("1.2.0", "x"), release("1.2.0", "y", **other))).digests) == 2


@pytest.mark.parametrize(
    "same",
    [
        {"model": ("PLUG-S2", "plug-s1")},
        {"model": ("PLUG-S1", "PLUG-S2"), "max_version": "1.1.0"},
        {"model": ("PLUG-S1", "PLUG-S2"), "notes": "new notes"},
    ],
)
def test_the_same_match_is_known_again_however_it_is_written(same: dict[str, Any]) -> None:
    first = release("1.2.0", "x", model=("PLUG-S1", "PLUG-S2"))
    assert refusal(manifest(first, release("1.2.0", "y", **same)))[0] is Reason.DIGEST_CHANGED


REVISIONS = {"model": ("PLUG-S1", "X"), "hardware": ("rev1", "rev2")}


@pytest.mark.parametrize(
    "wider",
    [
        REVISIONS,
        REVISIONS | {"model": ("X", "plug-s1")},
        REVISIONS | {"hardware": ("REV1",)},
        REVISIONS | {"hardware": ("*",)},
    ],
)
@pytest.mark.parametrize("content", ["other bytes", ""])
def test_one_more_device_in_a_match_does_not_make_a_version_new(wider: dict[str, Any], content: str) -> None:
    ledger = after(manifest(release("1.2.0", "x", hardware=("rev1",))))
    changed = release("1.2.0", content, **wider)
    assert refusal(manifest(changed, sequence=43), ledger) == (Reason.DIGEST_CHANGED, "releases[0].artifacts")
    assert refusal(manifest(release("1.2.0", "x", hardware=("rev1",)), changed))[0] is Reason.DIGEST_CHANGED


def test_what_is_for_all_hardware_is_for_each() -> None:
    ledger = after(manifest(release("1.2.0", "x", hardware=("*",))))
    statement = manifest(release("1.2.0", "y", hardware=("rev9",)), sequence=43)
    assert refusal(statement, ledger)[0] is Reason.DIGEST_CHANGED
    same = manifest(release("1.2.0", "x", hardware=("rev9",)), sequence=43)
    assert len(after(manifest(release("1.2.0", "x", hardware=("*",))), same).digests) == 2


def test_one_more_model_does_not_make_a_counter_new() -> None:
    ledger = after(manifest(release("1.2.0", counter=17)))
    wider = release("1.3.0", counter=16, model=("PLUG-S1", "X"))
    assert refusal(manifest(wider, sequence=43), ledger)[0] is Reason.ROLLBACK_DETECTED


@pytest.mark.parametrize("content", ["x", ""])
def test_a_statement_about_too_many_devices_is_too_large(monkeypatch: pytest.MonkeyPatch, content: str) -> None:
    monkeypatch.setattr(limits, "MAX_LEDGER_LINES", 5)
    wide = {"model": ("a", "b", "c"), "hardware": ("1", "2"), "counter": 1}
    assert refusal(manifest(release("1.2.0", content, **wide))) == (Reason.TOO_LARGE, "releases")


def zigbee(content: str, **match: Any) -> Release:
    """Make a release of a Zigbee image, which names a manufacturer code and an image type."""
    base = release("1", content)
    return replace(base, match=replace(base.match, **{"image_type": "4417/54179"} | match))


@pytest.mark.parametrize("other", [{"image_type": "4417/54180"}, {"min_hardware": "2"}, {"max_hardware": "1"}])
def test_another_image_type_or_hardware_of_it_has_its_own_bytes(other: dict[str, str]) -> None:
    assert len(after(manifest(zigbee("x"), zigbee("y", **other))).digests) == 2


def test_one_image_type_has_one_content() -> None:
    assert refusal(manifest(zigbee("x"), zigbee("y")))[0] is Reason.DIGEST_CHANGED


def test_a_changed_helper_is_a_changed_digest() -> None:
    helper = artifact("h", role=ArtifactRole.HELPER)
    ledger = after(manifest(release(artifacts=(artifact("x"), helper))))
    other = replace(helper, sha256="f" * 64)
    statement = manifest(release(artifacts=(artifact("x"), other)), sequence=43)
    assert refusal(statement, ledger)[0] is Reason.DIGEST_CHANGED


def test_a_digest_that_comes_later_is_taken() -> None:
    ledger = after(manifest(release(content="")), manifest(release(content="x"), sequence=43))
    assert list(ledger.digests.values()) == [artifact("x").sha256]


def test_a_digest_that_goes_away_is_a_changed_digest() -> None:
    ledger = after(manifest(release(content="x")))
    assert refusal(manifest(release(content=""), sequence=43), ledger)[0] is Reason.DIGEST_CHANGED


# --- counters ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "releases",
    [
        (release("1.1.0", counter=5), release("1.2.0", counter=4)),
        (release("1.2.0", counter=4), release("1.1.0", counter=5)),
        (release("1.3.0", counter=5), release("1.1.0", counter=5), release("1.2.0", counter=6)),
        (release("3.0", counter=1), release("red", counter=2), release("2.0", counter=3)),
    ],
)
def test_a_newer_version_that_counts_lower_is_a_rollback(releases: tuple[Release, ...]) -> None:
    dotted = [replace(item, version_scheme=VersionScheme.DOTTED) for item in releases]
    assert refusal(manifest(*dotted)) == (Reason.ROLLBACK_DETECTED, "releases")


def test_a_newer_version_that_counts_lower_than_before_is_a_rollback() -> None:
    ledger = after(manifest(release("1.2.0", counter=17)))
    assert refusal(manifest(release("1.3.0", counter=16), sequence=43), ledger)[0] is Reason.ROLLBACK_DETECTED


@pytest.mark.parametrize(
    "releases",
    [
        (release("1.1.0", counter=4), release("1.2.0", counter=5)),
        (release("1.1.0", counter=4), release("1.2.0", counter=4)),
        (release("1.1.0", counter=9), release("1.2.0", counter=5, variant="eu")),
        (release("1.1.0", counter=9), release("1.2.0")),
        (release("red", counter=9), release("blue", counter=5)),
        (release("1.1.0", counter=0), release("1.2.0", counter=0)),
    ],
)
def test_counters_that_do_not_contradict_are_accepted(releases: tuple[Release, ...]) -> None:
    assert after(manifest(*releases)).sequence == 42


def test_an_older_release_may_stay_named_with_its_counter() -> None:
    both = release("1.1.0", counter=4), release("1.2.0", counter=5)
    ledger = after(manifest(*both), manifest(both[0], sequence=43), manifest(*both, sequence=44))
    assert list(ledger.counters.values()) == [5]


# --- the ledger is bounded --------------------------------------------------------------------------------------------


def test_the_ledger_forgets_the_oldest_of_what_is_not_named_any_more(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "MAX_LEDGER_TAIL", 2)
    names = [f"1.{minor}.0" for minor in range(5)]
    ledger = after(*(manifest(release(v, counter=1), sequence=n, digest=str(n)) for n, v in enumerate(names)))
    assert list(ledger.digests.values()) == [release(v).digest for v in ("1.2.0", "1.3.0", "1.4.0")]


def test_the_ledger_keeps_all_that_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "MAX_LEDGER_TAIL", 1)
    many = [release(f"1.{minor}.0", counter=minor, variant=str(minor)) for minor in range(9)]
    ledger = after(manifest(*many), manifest(*many, sequence=43))
    assert (len(ledger.digests), len(ledger.counters)) == (9, 9)


def test_a_long_history_leaves_a_bounded_ledger() -> None:
    ledger = EMPTY
    for number in range(40):
        releases = [release(f"{number}.{minor}.0", counter=number, variant=str(number)) for minor in range(100)]
        ledger = judge(manifest(*releases, sequence=number, digest=str(number)), ledger, NOW)
    assert len(ledger.digests) == limits.MAX_LEDGER_TAIL + 100
    assert len(ledger.counters) == 40
