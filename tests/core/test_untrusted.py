"""The readers of foreign JSON: what they accept, what they refuse, and where they say the fault is."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given, strategies as st

from custom_components.firmware_hub.core import limits
from custom_components.firmware_hub.core.errors import BadInput, Reason
from custom_components.firmware_hub.core.model import Delivery
from custom_components.firmware_hub.core.untrusted import (
    ROOT,
    Object,
    clean_label,
    clean_prose,
    is_web_address,
    read_object,
    read_objects,
    read_text,
)

Read = Callable[[Object], Any]


def refusal(raw: str | bytes, read: Read = lambda _: None, **bounds: int) -> tuple[Reason, str]:
    with pytest.raises(BadInput) as caught:
        read(read_object(raw, **bounds))
    return caught.value.reason, caught.value.path


# --- the document -----------------------------------------------------------------------------------------------------


def test_an_object_is_read_from_bytes_and_from_text() -> None:
    assert read_object(b'{"a":"\xc3\xa9"}').text("a") == read_object('{"a":"é"}').text("a") == "é"


def test_a_list_of_objects_is_read_with_its_paths() -> None:
    assert [item.path for item in read_objects("[{},{}]", max_items=2)] == ["[0]", "[1]"]


@pytest.mark.parametrize(
    "raw", ["", "nonsense", "{", '{"a":1}x', "[1]", '"text"', "null", b"\xff{}", "\ufeff{}", '{"a":}']
)
def test_what_is_no_json_object_is_malformed(raw: str | bytes) -> None:
    assert refusal(raw) == (Reason.MALFORMED, ROOT)


@pytest.mark.parametrize(("raw", "path"), [("{}", ROOT), ("[1]", "[0]"), ("[{},null]", "[1]")])
def test_what_is_no_list_of_objects_is_malformed(raw: str, path: str) -> None:
    with pytest.raises(BadInput) as caught:
        read_objects(raw, max_items=5)
    assert (caught.value.reason, caught.value.path) == (Reason.MALFORMED, path)


def test_a_list_with_too_many_items_is_too_large() -> None:
    with pytest.raises(BadInput) as caught:
        read_objects("[{},{}]", max_items=1)
    assert (caught.value.reason, caught.value.path) == (Reason.TOO_LARGE, ROOT)


def test_a_document_above_its_bytes_is_too_large() -> None:
    assert refusal('{"a":1}', max_bytes=6) == (Reason.TOO_LARGE, ROOT)


def test_a_document_at_its_bytes_is_read() -> None:
    assert read_object('{"a":1}', max_bytes=7).integer("a", 0, 9) == 1


@pytest.mark.parametrize("depth", [limits.MAX_JSON_DEPTH + 1, 300_000])
def test_a_deep_document_is_too_large(depth: int) -> None:
    assert refusal("[" * depth + "]" * depth) == (Reason.TOO_LARGE, ROOT)


def test_a_document_at_the_depth_limit_is_read() -> None:
    depth = limits.MAX_JSON_DEPTH - 1
    assert "a" in read_object('{"a":' + "[" * depth + "]" * depth + "}")


def test_brackets_inside_texts_have_no_depth() -> None:
    text = '\\"[{' * 1000
    assert read_object(json.dumps({"a": text})).text("a", max_chars=9999) == text


def test_a_text_that_is_never_closed_is_passed_over_in_one_go() -> None:
    assert refusal('{"a":"' + '\\"' * 400_000) == (Reason.MALFORMED, ROOT)


def test_a_document_of_too_many_containers_is_too_large() -> None:
    many = limits.MAX_JSON_CONTAINERS
    assert refusal('{"a":[' + ",".join(["[]"] * many) + "]}", max_bytes=9_000_000) == (Reason.TOO_LARGE, ROOT)


def test_many_flat_containers_are_read() -> None:
    assert len(read_object('{"a":[' + ",".join(["{}"] * 500) + "]}").objects("a")) == 500


# --- what the parser lets through -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("raw", "path"),
    [
        ('{"a":1,"a":2}', "a"),
        ('{"a":{"b":[{"c":1,"c":1}]}}', "a.b[0].c"),
        ('{"a":[{},NaN]}', "a[1]"),
        ('{"a":Infinity}', "a"),
        ('{"a":-Infinity}', "a"),
        ('{"a":1e999}', "a"),
        ('{"a":9223372036854775808}', "a"),
        ('{"a":-9223372036854775809}', "a"),
        ('{"a":{"b":' + "9" * 100_000 + "}}", "a.b"),
        ("NaN", ROOT),
        ('{"a\\u0000b":NaN}', "a b"),
    ],
    ids=lambda value: str(value)[:40],
)
def test_what_json_does_not_mean_is_malformed_at_its_place(raw: str, path: str) -> None:
    assert refusal(raw) == (Reason.MALFORMED, path)


def test_the_largest_numbers_are_read() -> None:
    read = read_object('{"a":9223372036854775807,"b":-9223372036854775808}')
    assert (read.integer("a", 0, 2**63), read.integer("b", -(2**63), 0)) == (2**63 - 1, -(2**63))


# --- members ----------------------------------------------------------------------------------------------------------


def test_null_counts_as_absent() -> None:
    read = read_object('{"a":null}')
    assert ("a" in read, read.text("a", ""), read.flag("a", default=True)) == (False, "", True)


@pytest.mark.parametrize(
    "read",
    [
        lambda o: o.text("a"),
        lambda o: o.flag("a"),
        lambda o: o.integer("a", 0, 1),
        lambda o: o.choice("a", Delivery),
        lambda o: o.time("a"),
        lambda o: o.day("a"),
        lambda o: o.sha256("a"),
        lambda o: o.url("a"),
        lambda o: o.object("a"),
    ],
)
@pytest.mark.parametrize("raw", ["{}", '{"a":null}'])
def test_a_required_member_must_be_there(read: Read, raw: str) -> None:
    assert refusal(raw, read) == (Reason.MALFORMED, "a")


def test_an_optional_member_may_be_absent() -> None:
    read = read_object("{}")
    assert (
        read.text("a", "x"),
        read.label("a", "y"),
        read.prose("a"),
        read.flag("a", default=False),
        read.optional_integer("a", 0, 1),
        read.optional_number("a", 0, 1),
        read.choice("a", Delivery, Delivery.OTA),
        read.optional_time("a"),
        read.url("a", ""),
        read.texts("a"),
        read.objects("a"),
        read.optional_object("a"),
    ) == ("x", "y", "", False, None, None, Delivery.OTA, None, "", (), (), None)


def test_members_are_read_with_their_types() -> None:
    read = read_object(
        json.dumps(
            {
                "text": "x",
                "flag": True,
                "whole": 7,
                "number": -1.5,
                "choice": "manual",
                "time": "2026-11-20T10:00:00Z",
                "day": "2029-01-01",
                "sha256": "AB" * 32,
                "url": "https://acme.example/a?b=c",
                "texts": ["a", "b"],
                "objects": [{"n": 1}],
                "object": {"n": 2},
            }
        )
    )
    assert (
        read.text("text"),
        read.flag("flag"),
        read.optional_integer("whole", 0, 9),
        read.optional_number("number", -2, 2),
        read.optional_number("whole", 0, 9),
        read.choice("choice", Delivery),
        read.optional_time("time"),
        read.day("day"),
        read.sha256("sha256"),
        read.url("url"),
        read.texts("texts"),
        read.objects("objects")[0].integer("n", 0, 9),
        read.object("object").path,
    ) == (
        "x",
        True,
        7,
        -1.5,
        7.0,
        Delivery.MANUAL,
        datetime(2026, 11, 20, 10, tzinfo=UTC),
        datetime(2029, 1, 1, tzinfo=UTC),
        "ab" * 32,
        "https://acme.example/a?b=c",
        ("a", "b"),
        1,
        "object",
    )


@pytest.mark.parametrize(
    ("value", "read"),
    [
        (1, lambda o: o.text("a")),
        ("", lambda o: o.text("a")),
        (["x"], lambda o: o.text("a", "")),
        (1, lambda o: o.label("a")),
        (1, lambda o: o.prose("a")),
        (1, lambda o: o.flag("a")),
        ("true", lambda o: o.flag("a", default=False)),
        (True, lambda o: o.integer("a", 0, 9)),
        ("1", lambda o: o.integer("a", 0, 9)),
        (1.0, lambda o: o.integer("a", 0, 9)),
        (10, lambda o: o.integer("a", 0, 9)),
        (-1, lambda o: o.optional_integer("a", 0, 9)),
        (True, lambda o: o.optional_number("a", 0, 9)),
        ("1", lambda o: o.optional_number("a", 0, 9)),
        (9.5, lambda o: o.optional_number("a", 0, 9)),
        ("OTA", lambda o: o.choice("a", Delivery)),
        ("2026-11-20", lambda o: o.time("a")),
        ("9999-12-31T23:59:59Z", lambda o: o.time("a")),
        ("0001-01-01T00:00:00Z", lambda o: o.optional_time("a")),
        ("1999-12-31", lambda o: o.day("a")),
        ("2200-01-01", lambda o: o.day("a")),
        ("2026-11-20T10:00:00+01:00", lambda o: o.time("a")),
        ("2026-11-20T10:00:00", lambda o: o.time("a")),
        ("2026-11-20 10:00:00Z", lambda o: o.time("a")),
        ("2026-13-20T10:00:00Z", lambda o: o.time("a")),
        ("2026-11-20T10:00:60Z", lambda o: o.optional_time("a")),
        ("２026-11-20T10:00:00Z", lambda o: o.time("a")),
        ("2029-02-30", lambda o: o.day("a")),
        ("20290101", lambda o: o.day("a")),
        ("ab" * 31, lambda o: o.sha256("a")),
        ("xy" * 32, lambda o: o.sha256("a")),
        ("ftp://acme.example/x", lambda o: o.url("a")),
        ({}, lambda o: o.texts("a")),
        ([], lambda o: o.object("a")),
        ("x", lambda o: o.optional_object("a")),
    ],
)
def test_nothing_is_converted(value: object, read: Read) -> None:
    assert refusal(json.dumps({"a": value}), read) == (Reason.MALFORMED, "a")


@pytest.mark.parametrize(
    ("value", "read"),
    [
        (["x", 1], lambda o: o.texts("a")),
        (["x", ""], lambda o: o.texts("a")),
        ([{}, []], lambda o: o.objects("a")),
        ([{}, None], lambda o: o.objects("a")),
    ],
)
def test_a_fault_in_a_list_is_named_by_its_number(value: object, read: Read) -> None:
    assert refusal(json.dumps({"a": value}), read) == (Reason.MALFORMED, "a[1]")


@pytest.mark.parametrize(
    ("value", "read", "path"),
    [
        ("x" * 256, lambda o: o.text("a"), "a"),
        ("x" * 3, lambda o: o.text("a", max_chars=2), "a"),
        ("https://acme.example/" + "x" * limits.MAX_URL, lambda o: o.url("a"), "a"),
        (["x"] * 3, lambda o: o.texts("a", max_items=2), "a"),
        (["x", "xxx"], lambda o: o.texts("a", max_chars=2), "a[1]"),
        ([{}] * 3, lambda o: o.objects("a", max_items=2), "a"),
        ({"x": 1, "y": 2}, lambda o: o.object("a").keys(max_items=1), "a"),
        ({"xxx": 1}, lambda o: o.object("a").keys(max_chars=2), "a"),
    ],
)
def test_what_is_above_its_bound_is_too_large(value: object, read: Read, path: str) -> None:
    assert refusal(json.dumps({"a": value}), read) == (Reason.TOO_LARGE, path)


def test_the_names_of_members_can_be_read() -> None:
    assert read_object('{"a":1,"b":2}').keys() == ("a", "b")


def test_paths_go_from_the_outside_in() -> None:
    raw = '{"releases":[{},{},{"artifacts":[{"size":"x"}]}]}'
    path = "releases[2].artifacts[0].size"
    assert refusal(raw, lambda o: o.objects("releases")[2].objects("artifacts")[0].integer("size", 0, 1)) == (
        Reason.MALFORMED,
        path,
    )


# --- closed objects ---------------------------------------------------------------------------------------------------


def test_a_closed_object_takes_the_known_names() -> None:
    read_object('{"a":1}').only(frozenset({"a", "b"}), Reason.UNKNOWN_MATCH_KEY)


def test_a_closed_object_refuses_another_name() -> None:
    raw = '{"match":{"a":1,"minversion\\n":2}}'
    assert refusal(raw, lambda o: o.object("match").only(frozenset({"a"}), Reason.UNKNOWN_MATCH_KEY)) == (
        Reason.UNKNOWN_MATCH_KEY,
        "match.minversion",
    )


def test_a_closed_object_refuses_null() -> None:
    assert refusal('{"a":null}', lambda o: o.only(frozenset({"a"}), Reason.UNKNOWN_MATCH_KEY)) == (
        Reason.MALFORMED,
        "a",
    )


# --- characters -------------------------------------------------------------------------------------------------------

NASTY = ["\x00", "\n", "\r", "\t", "\x1b", "\x7f", "\x85", "\u2028", "\u200e", "\u202e", "\u2066"]


@pytest.mark.parametrize("character", NASTY, ids=ascii)
def test_an_identifier_holds_no_control_or_direction_character(character: str) -> None:
    assert refusal(json.dumps({"a": f"x{character}"}), lambda o: o.text("a")) == (Reason.MALFORMED, "a")


@pytest.mark.parametrize("half", ["\\ud800", "\\udfff", "\\udc00\\ud800"])
def test_half_a_surrogate_pair_is_malformed(half: str) -> None:
    assert refusal(f'{{"a":"{half}"}}', lambda o: o.text("a")) == (Reason.MALFORMED, "a")


@pytest.mark.parametrize(
    "read",
    [
        lambda o: o.text("a", ""),
        lambda o: o.url("a"),
        lambda o: o.sha256("a"),
        lambda o: o.time("a"),
        lambda o: o.choice("a", Delivery),
        lambda o: o.texts("b"),
        lambda o: o.object("c").keys(),
    ],
)
def test_no_reader_of_identifiers_lets_half_a_surrogate_pair_through(read: Read) -> None:
    half = '"http://x/\\ud800"'
    reason, path = refusal(f'{{"a":{half},"b":[{half}],"c":{{{half}:1}}}}', read)
    assert reason is Reason.MALFORMED
    assert path in {"a", "b[0]", "c"}


@pytest.mark.parametrize("raw", ["x\udcff", b"x\xed\xa0\x80", b"x\xff"], ids=ascii)
def test_a_plain_payload_with_half_a_surrogate_pair_is_malformed(raw: str | bytes) -> None:
    with pytest.raises(BadInput) as caught:
        read_text(raw)
    assert caught.value.reason is Reason.MALFORMED


def test_no_fault_repeats_half_a_surrogate_pair() -> None:
    raw = '{"\\ud800":{"\\ud800":1,"\\ud800":NaN}}'
    with pytest.raises(BadInput) as caught:
        read_object(raw)
    assert str(caught.value).encode()
    with pytest.raises(BadInput) as caught:
        read_object('{"a\\ud800":1}').only(frozenset(), Reason.UNKNOWN_MATCH_KEY)
    assert caught.value.path == "a"


def test_a_whole_surrogate_pair_is_one_character() -> None:
    assert read_object('{"a":"\\ud83d\\udd25"}').text("a") == "🔥"


def test_a_label_becomes_one_clean_line() -> None:
    assert read_object('{"a":"\\u202eBoiler\\r\\n\\u0000 room\\ud800 "}').label("a") == "Boiler room"


def test_a_label_is_cut() -> None:
    assert read_object('{"a":"abcdef"}').label("a", max_chars=3) == "abc"


def test_prose_keeps_its_lines_and_loses_its_controls() -> None:
    raw = '{"a":"# News\\r\\n\\tone\\u001b[31m\\rtwo\\u202e\\ud800\\n\\n"}'
    assert read_object(raw).prose("a") == "# News\n\tone[31m\ntwo"


def test_prose_is_cut() -> None:
    assert read_object(json.dumps({"a": "x" * 20_000})).prose("a") == "x" * limits.MAX_NOTES


# --- plain text -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("raw", ["Online", b"Online"])
def test_a_plain_payload_is_read(raw: str | bytes) -> None:
    assert read_text(raw) == "Online"


@pytest.mark.parametrize(
    ("raw", "reason"),
    [
        (b"\xff", Reason.MALFORMED),
        ("On\nline", Reason.MALFORMED),
        ("x" * 256, Reason.TOO_LARGE),
        (b"x" * 1021, Reason.TOO_LARGE),
    ],
    ids=["no UTF-8", "control", "long", "many bytes"],
)
def test_a_plain_payload_has_its_bounds(raw: str | bytes, reason: Reason) -> None:
    with pytest.raises(BadInput) as caught:
        read_text(raw)
    assert caught.value.reason is reason


# --- addresses --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "address", ["https://acme.example/x", "http://10.0.0.1:8080/a.bin", "https://[fd00::1]/x", "HTTPS://ACME.example"]
)
def test_a_web_address_is_known(address: str) -> None:
    assert is_web_address(address)


@pytest.mark.parametrize(
    "address",
    [
        "",
        "acme.example/x",
        "//acme.example/x",
        "https:///x",
        "https://",
        "file:///etc/passwd",
        "javascript:alert(1)",
        "https://user:secret@acme.example/",
        "https://acme.example:0/",
        "https://acme.example:99999/",
        "https://acme.example:x/",
        "https://[::1/",
        "https://acme.example/a b",
        "https://acme.example\\@evil.example/",
        "https://äcme.example/",
        "https://acme.example/\t",
    ],
)
def test_what_is_no_plain_web_address_is_known(address: str) -> None:
    assert not is_web_address(address)


# --- properties -------------------------------------------------------------------------------------------------------

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=5), inner, max_size=4),
    max_leaves=20,
)


def outcome(read: Callable[[], object]) -> object:
    try:
        return read()
    except BadInput as error:
        return error


@given(st.binary(max_size=200) | st.text(max_size=200))
def test_any_bytes_are_read_or_refused_with_a_path(raw: bytes | str) -> None:
    result = outcome(lambda: read_object(raw))
    assert getattr(result, "path", "")


@given(st.dictionaries(st.text(max_size=5), JSON, max_size=5), st.text(max_size=5))
def test_any_member_is_read_as_it_is_or_refused(document: dict[str, Any], key: str) -> None:
    result = outcome(lambda: read_object(json.dumps(document)).text(key))
    assert isinstance(result, BadInput) or result == document[key]


ODD = st.text(
    st.sampled_from("a \x00\x1f\x7f\x85\xa0\xad\u200b\u200e\u2028\u202e\u2066\ufdd0\ufeff\uffff\ud800\udfff\U000e0001"),
    max_size=5,
)


@given(ODD | st.text(max_size=400))
def test_an_identifier_is_judged_the_same_wherever_it_stands(text: str) -> None:
    alone = outcome(lambda: read_text(text))
    within = outcome(lambda: read_object(json.dumps({"a": text}, ensure_ascii=False)).text("a", ""))
    assert getattr(within, "reason", within) == getattr(alone, "reason", alone)


@given(ODD | st.text(max_size=400))
def test_a_label_is_cleaned_the_same_whatever_else_is_in_it(text: str) -> None:
    assert clean_label(f"{text}\x00") == clean_label(text)


@given(st.text(max_size=400))
def test_a_clean_label_is_one_printable_line_within_its_bound(text: str) -> None:
    label = clean_label(text)
    assert len(label) <= limits.MAX_TEXT
    assert label.encode().decode() == label
    assert label.splitlines() in ([], [label])


@given(st.text(max_size=400))
def test_clean_prose_is_stable(text: str) -> None:
    assert clean_prose(clean_prose(text)) == clean_prose(text)
