"""Comparing versions: the order of each scheme, and the answer "cannot tell"."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given, strategies as st

from custom_components.firmware_hub.core.model import VersionScheme
from custom_components.firmware_hub.core.version import Order, compare

SEMVER, DOTTED, INTEGER = VersionScheme.SEMVER, VersionScheme.DOTTED, VersionScheme.INTEGER
OPPOSITE = {
    Order.OLDER: Order.NEWER,
    Order.NEWER: Order.OLDER,
    Order.SAME: Order.SAME,
    Order.UNKNOWN: Order.UNKNOWN,
}
RISING = {
    # Semantic Versioning 2.0.0, section 11.4, with numbers and words around it.
    SEMVER: [
        "0.9.10",
        "1.0.0-0.3.7",
        "1.0.0-alpha",
        "1.0.0-alpha.1",
        "1.0.0-alpha.beta",
        "1.0.0-beta",
        "1.0.0-beta.2",
        "1.0.0-beta.11",
        "1.0.0-rc.1",
        "1.0.0",
        "1.0.1",
        "1.9.0",
        "1.10.0",
        "2.0.0-x-y-z.4",
        "2.0.0",
    ],
    DOTTED: ["0", "9.1", "14.4.1", "14.5.0", "14.5.0.3", "14.5.1", "14.10", "15", "2026.01.02", "2026.1.3"],
    INTEGER: ["0", "7", "54", "058", "16777216", "999999999999999999"],
}


@pytest.mark.parametrize("scheme", VersionScheme)
def test_versions_stand_in_their_order(scheme: VersionScheme) -> None:
    pairs = list(itertools.combinations(RISING[scheme], 2))
    assert [compare(low, high, scheme) for low, high in pairs] == [Order.OLDER] * len(pairs)
    assert [compare(high, low, scheme) for low, high in pairs] == [Order.NEWER] * len(pairs)


@pytest.mark.parametrize(
    ("left", "right", "scheme"),
    [
        ("1.0.0+a", "1.0.0+b.7", SEMVER),
        ("1.0.0-rc.1+a", "1.0.0-rc.1", SEMVER),
        ("14.5", "14.5.0.0", DOTTED),
        ("0.0", "0", DOTTED),
        ("054", "54", INTEGER),
        ("14.5.0(tasmota)", "14.5.0(tasmota)", SEMVER),
    ],
)
def test_two_texts_can_be_the_same_version(left: str, right: str, scheme: VersionScheme) -> None:
    assert compare(left, right, scheme) is Order.SAME


@pytest.mark.parametrize(
    ("version", "scheme"),
    [
        ("", SEMVER),
        ("1.2", SEMVER),
        ("v1.2.3", SEMVER),
        ("01.2.3", SEMVER),
        ("1.2.3-01", SEMVER),
        ("1.2.3-", SEMVER),
        ("1.2.3+", SEMVER),
        ("1.2.3 ", SEMVER),
        ("1.2.3\n", SEMVER),
        ("1.2." + "9" * 19, SEMVER),
        ("20231107-164738/v1.14.1-rc1-g0617c15", SEMVER),
        ("newer", SEMVER),
        ("", DOTTED),
        ("14.5.0(tasmota)", DOTTED),
        ("14..5", DOTTED),
        (".14", DOTTED),
        ("14.5.0-1", DOTTED),
        ("1.2.3.4.5.6.7.8.9", DOTTED),
        ("１.2", DOTTED),
        ("", INTEGER),
        ("-1", INTEGER),
        ("4294967295", INTEGER),
        ("1.0", INTEGER),
        ("0x10", INTEGER),
        ("1" * 19, INTEGER),
    ],
)
def test_what_is_not_well_formed_compares_with_nothing(version: str, scheme: VersionScheme) -> None:
    good = RISING[scheme][1]
    assert (compare(version, good, scheme), compare(good, version, scheme)) == (Order.UNKNOWN, Order.UNKNOWN)


def test_two_unknown_versions_are_not_the_same() -> None:
    assert compare("", "", DOTTED) is Order.UNKNOWN


NUMBERS = st.integers(0, 40)
VERSIONS = {
    SEMVER: st.builds(
        "{}.{}.{}{}".format, NUMBERS, NUMBERS, NUMBERS, st.sampled_from(["", "-1", "-a", "-a.1", "-1.a", "+b"])
    ),
    DOTTED: st.lists(NUMBERS, min_size=1, max_size=5).map(lambda parts: ".".join(map(str, parts))),
    INTEGER: NUMBERS.map(str),
}
ANY = {scheme: versions | st.text("0123456789.-+av", max_size=8) for scheme, versions in VERSIONS.items()}


@pytest.mark.parametrize("scheme", VersionScheme)
@given(data=st.data())
def test_the_other_way_round_is_the_opposite(scheme: VersionScheme, data: st.DataObject) -> None:
    left, right = data.draw(ANY[scheme]), data.draw(ANY[scheme])
    assert compare(left, right, scheme) is OPPOSITE[compare(right, left, scheme)]


@pytest.mark.parametrize("scheme", VersionScheme)
@given(data=st.data())
def test_what_is_older_than_an_older_one_is_older(scheme: VersionScheme, data: st.DataObject) -> None:
    a, b, c = (data.draw(VERSIONS[scheme]) for _ in range(3))
    low_first = [compare(a, b, scheme), compare(b, c, scheme)]
    assert low_first != [Order.OLDER, Order.OLDER] or compare(a, c, scheme) is Order.OLDER


@pytest.mark.parametrize("scheme", VersionScheme)
@given(left=st.text(max_size=30), right=st.text(max_size=30))
def test_any_two_texts_get_an_answer(scheme: VersionScheme, left: str, right: str) -> None:
    assert compare(left, right, scheme) in Order
