"""Orders to install in Tasmota's words, found when the broker keeps them (documentation, "Commands").

``OtaUrl`` is one of them, although by itself it starts nothing: a device that updates in two stages restarts between
them, is told the kept address as soon as it is back, and would fetch its second stage from there.

Tasmota does not tell capitals from small letters in its commands, a broker does in its topics. So all commands are
listened for, which people and automations give now and then; what devices say all day long comes elsewhere.
"""

from __future__ import annotations

import re

from ..base import Message

_PREFIX = "cmnd"
# The two usual patterns, with the device's topic in one level.
FILTERS = (f"{_PREFIX}/+/+", f"+/{_PREFIX}/+")
_DIRECT = {"upgrade": "Upgrade", "upload": "Upload", "otaurl": "OtaUrl"}
_LISTS = ("backlog", "backlog0", "backlog1", "backlog2", "backlog3")
_IN_A_LIST = re.compile(r"(?:^|;)\s*(upgrade|upload|otaurl)\b", re.IGNORECASE)
_GROUPS = ("tasmotas", "sonoffs")


def what(message: Message) -> str:
    """Return the command in a message that has to do with an install; empty if none has. Never raises."""
    topic, payload = message.topic, message.payload
    if _PREFIX not in topic:
        return ""
    *place, word = topic.split("/")
    word = word.lower() if _PREFIX in place else ""
    if word not in _DIRECT and word not in _LISTS:
        return ""
    text = payload if isinstance(payload, str) else payload.decode(errors="replace")
    if word in _DIRECT:
        return _DIRECT[word] if text.strip() else ""
    found = _IN_A_LIST.search(text)
    return f"Backlog {_DIRECT[found[1].lower()]}" if found else ""


def is_to_all(message: Message) -> bool:
    """Whether every device of the family obeys this topic until its owner has changed the group's. Never raises."""
    return any(level in _GROUPS for level in message.topic.split("/"))
