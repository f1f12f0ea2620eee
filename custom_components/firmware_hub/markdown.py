"""Foreign text made harmless for places where Home Assistant shows markdown.

A zero width space after a character takes away its meaning in markdown and HTML and leaves the text as it reads; unlike
a backslash or an entity it does so inside of code as well.
"""

import re
from functools import lru_cache
from typing import Any, Final

_BREAK: Final = "\u200b"
_CONTROL = re.compile(
    r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u200b\u200e\u200f\u2028\u2029\u202a-\u202e\u2066-\u2069\ufeff]"
)
_LINK = re.compile(r"(?<!!)\[([^\[\]]{1,200})\]\((https://[^\s()<>\[\]\"'`]{1,500})\)")
_PROTOCOL = re.compile(r"(?i)\b([a-z][a-z0-9+.-]*:)(?=//)")
_INSECURE_PROTOCOL = re.compile(r"(?i)\b(?!https://)([a-z][a-z0-9+.-]*:)(?=//)")
_WEB = re.compile(r"(?i)\bwww(?=\.)")
_MAIL = re.compile(r"(?<=\S)@(?=\S)")
_ADDRESS = re.compile(r"https://[^\s()<>\[\]\"'`{}|\\^]{1,2040}")


@lru_cache(maxsize=256)  # a model's name and a release's summary are asked for with each change of each device
def plain(text: str, limit: int = 120) -> str:
    """Return one line of foreign text without anything that markdown or HTML would act on."""
    line = " ".join(_CONTROL.sub("", text.replace("\n", " ")).split()).replace("`", "'")
    return _defused(cut(line, limit), _PROTOCOL)


def plain_values(value: object) -> Any:  # noqa: ANN401 - JSON, as somebody else wrote it
    """Return JSON with all of its texts made harmless."""
    if isinstance(value, dict):
        return {key: plain_values(item) for key, item in value.items()}
    if isinstance(value, list):
        return [plain_values(item) for item in value]
    return plain(value, 300) if isinstance(value, str) else value


def cut(text: str, limit: int) -> str:
    """Return the text, or its beginning with an ellipsis if it is longer than the limit."""
    return text if len(text) <= limit else f"{text[: limit - 1].rstrip()}…"


def grouped(digits: str, size: int = 8) -> str:
    """Return a long row of digits in groups, which a person can compare and a narrow screen can break."""
    return " ".join(digits[start : start + size] for start in range(0, len(digits), size))


def quoted(notes: str, limit: int) -> str:
    """Return a maker's notes as a markdown quotation: no HTML, no image, no link but a plain one to an https address.

    The quotation keeps headings and unclosed blocks of the notes from reaching into what the hub itself says below.
    """
    cleaned = _CONTROL.sub("", cut(notes.replace("\r\n", "\n").replace("\r", "\n"), limit)).strip()
    parts: list[str] = []
    end = 0
    for link in _LINK.finditer(cleaned):
        parts += (_defused(cleaned[end : link.start()]), f"[{_defused(link[1], _PROTOCOL)}]({link[2]})")
        end = link.end()
    parts.append(_defused(cleaned[end:]))
    return "\n".join(f"> {line}".rstrip() for line in "".join(parts).split("\n"))


def https_address(url: str) -> str | None:
    """Return an address that may be shown as a link, or None."""
    return url if _ADDRESS.fullmatch(url) else None


def _defused(text: str, protocol: re.Pattern[str] = _INSECURE_PROTOCOL) -> str:
    text = text.replace("<", f"<{_BREAK}").replace("]", f"]{_BREAK}").replace("![", f"!{_BREAK}[")
    return _MAIL.sub(f"@{_BREAK}", _WEB.sub(f"www{_BREAK}", protocol.sub(rf"\1{_BREAK}", text)))
