"""Foreign text where Home Assistant shows markdown: it reads as it was written and does nothing."""

import re

import pytest
from hypothesis import given, strategies as st

from custom_components.firmware_hub.markdown import cut, https_address, plain, quoted

BREAK = "\u200b"


def read(text: str) -> str:
    """Return a text as it is read: the breaks have no width."""
    return text.replace(BREAK, "")


@pytest.mark.parametrize(
    "hostile",
    [
        "<script>alert(1)</script>",
        "<img src=x onerror=alert(1)>",
        "[click](http://x.example)",
        "[click](https://x.example)",
        "[click][1]",
        "![x](https://x.example/i.png)",
        "[1]: javascript:alert(1)",
        "http://x.example",
        "https://x.example",
        "www.x.example",
        "me@x.example",
        "HTTPS://X.EXAMPLE",
        "ftp://x.example",
    ],
)
def test_a_name_links_to_nothing_and_is_no_html(hostile: str) -> None:
    shown = plain(hostile)
    assert read(shown) == hostile
    assert not re.search(r"<[a-zA-Z/!?]|\][(\[:]|!\[|://|www\.|\w@\w|`", shown)


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("Hall lamp", "Hall lamp"),
        ("two\nlines\r\n here", "two lines here"),
        ("a\u202eb\u2066c\x00d\u200be", "abcde"),
        ("`code`", "'code'"),
        ("  spaces  ", "spaces"),
        ("", ""),
    ],
)
def test_a_name_is_one_clean_line(name: str, shown: str) -> None:
    assert plain(name) == shown


def test_a_name_is_cut() -> None:
    assert plain("x" * 500, 10) == "x" * 9 + "…"


@given(st.text(max_size=300))
def test_cleaning_twice_is_cleaning_once(text: str) -> None:
    assert plain(plain(text, 400), 400) == plain(text, 400)


@given(st.text(max_size=300))
def test_no_text_becomes_html_or_a_line(text: str) -> None:
    shown = plain(text, 400)
    assert not re.search(r"<[a-zA-Z/!?]", shown)
    assert len(shown.splitlines()) <= 1


@given(st.text(max_size=300))
def test_notes_never_leave_their_quotation(text: str) -> None:
    assert all(line.startswith(">") for line in quoted(text, 400).split("\n"))
    assert not re.search(r"<[a-zA-Z/!?]", quoted(text, 400))


@pytest.mark.parametrize(
    ("notes", "shown"),
    [
        ("one\ntwo", "> one\n> two"),
        ("one\r\n\r\ntwo", "> one\n>\n> two"),
        ("# Heading", "> # Heading"),
        ("see [here](https://acme.example/a?b=c)", "> see [here](https://acme.example/a?b=c)"),
        ("see https://acme.example", "> see https://acme.example"),
        ("```\nunclosed", "> ```\n> unclosed"),
    ],
)
def test_honest_notes_stay_as_they_are(notes: str, shown: str) -> None:
    assert quoted(notes, 1000) == shown


@pytest.mark.parametrize(
    "hostile",
    [
        "[x](http://acme.example)",
        "[x](javascript:alert(1))",
        "[x](data:text/html,x)",
        "![x](https://acme.example/i.png)",
        "[![x](https://acme.example/i.png)](https://acme.example)",
        "[x][y]\n\n[y]: javascript:alert(1)",
        "<a href=javascript:alert(1)>x</a>",
        "<https://acme.example>",
        "\\[x](http://acme.example)",
        '[x](https://acme.example "onmouseover=alert(1)")',
        "http://acme.example",
        "www.acme.example",
        "mailto:me@acme.example",
    ],
)
def test_hostile_notes_are_text_only(hostile: str) -> None:
    shown = quoted(hostile, 1000)
    links = re.findall(r"\]\(([^)]*)\)", shown)
    assert all(link.startswith("https://") for link in links)
    assert not re.search(r"<[a-zA-Z/!?]|!\[|\]:|\]\[|http://|www\.|\w@\w|\]\((?!https://)", shown)


def test_an_image_inside_of_a_link_is_no_image() -> None:
    shown = quoted("[![x](https://acme.example/i.png)](https://evil.example)", 1000)
    assert "![" not in shown


def test_long_notes_are_cut() -> None:
    assert quoted("word " * 1000, 100).endswith("…")


@pytest.mark.parametrize(("text", "limit", "shown"), [("abc", 3, "abc"), ("abcd", 3, "ab…"), ("a cd", 3, "a…")])
def test_cutting_leaves_a_sign(text: str, limit: int, shown: str) -> None:
    assert cut(text, limit) == shown


@pytest.mark.parametrize("good", ["https://acme.example", "https://acme.example/notes/1.2.0?x=y#z"])
def test_a_plain_https_address_may_be_a_link(good: str) -> None:
    assert https_address(good) == good


@pytest.mark.parametrize(
    "bad",
    ["", "http://acme.example", "javascript:alert(1)", "https://acme.example/)[x](", "https://a b", "x https://a"],
)
def test_anything_else_may_not(bad: str) -> None:
    assert https_address(bad) is None
