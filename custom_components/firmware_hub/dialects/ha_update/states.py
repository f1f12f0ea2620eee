"""What a device says on the topics that it announced."""

from __future__ import annotations

import re
from collections.abc import Iterator

from ...core.errors import BadInput, Reason
from ...core.inputs import DeviceInput, DeviceLinkChanged, DeviceReported, InstallReported, Stage
from ...core.model import OFFERED, Device, DeviceFacts
from ...core.untrusted import ROOT, Object, read_object, read_text
from ..base import Message, offered

NAME = "ha_update"
_MAX_NUMBER = 2**63 - 1
_VERSION = re.compile(r"(?=.*[0-9])[A-Za-z0-9][A-Za-z0-9._+:-]+", re.ASCII)


def read_word(device: Device, message: Message) -> tuple[DeviceInput, ...]:
    """Read one message of a device on one of its topics.

    Raises:
        BadInput: with the path of the fault.
    """
    return tuple(_words(device, message))


def _words(device: Device, message: Message) -> Iterator[DeviceInput]:
    channel, topic = device.channel, message.topic
    if topic == channel.get("state"):
        yield from _state(device, message)
    if topic == channel.get("latest"):
        latest = _value(message.payload, channel.get("latest_path", ""))
        version = _version(latest, "latest_version") or ""
        yield DeviceReported(device.id, NAME, DeviceFacts(settings={OFFERED: version}), retained=message.retained)
    if topic == channel.get("availability"):
        word = _text_at(message.payload, channel.get("availability_path", ""))
        if word in (channel.get("online"), channel.get("offline")):
            yield DeviceLinkChanged(device.id, online=word == channel.get("online"), retained=message.retained)


def _state(device: Device, message: Message) -> Iterator[DeviceInput]:
    """Read the state: version, offer and progress, or nothing but the version."""
    state = _value(message.payload, device.channel.get("state_path", ""))
    installed = _version(state, "installed_version")
    latest = _version(state, "latest_version") if isinstance(state, Object) else None
    if installed or latest:
        settings = offered(latest, state) if latest and isinstance(state, Object) else None
        facts = DeviceFacts(version=installed, settings=settings)
        yield DeviceReported(device.id, NAME, facts, retained=message.retained)
    if isinstance(state, Object):
        percent = state.optional_number("update_percentage", 0, 100)
        if percent is not None or state.flag("in_progress", default=False):
            whole = None if percent is None else int(percent)
            yield InstallReported(device.id, Stage.DOWNLOADING, whole, retained=message.retained)


def _value(payload: str | bytes, path: str) -> Object | str:
    """Return what stands at a path: an object, or a text that is a version."""
    if not path:
        is_object = payload.lstrip()[:1] in ("{", b"{")
        return read_object(payload) if is_object else _plain(read_text(payload), ROOT)
    found, last = _walk(payload, path)
    try:
        return found.object(last)
    except BadInput:
        return _plain(_word(found, last), found.at(last))


def _walk(payload: str | bytes, path: str) -> tuple[Object, str]:
    *steps, last = path.split(".")
    found = read_object(payload)
    for step in steps:
        found = found.object(step)
    return found, last


def _text_at(payload: str | bytes, path: str) -> str:
    if not path:
        return read_text(payload)
    found, last = _walk(payload, path)
    return found.text(last)


def _word(found: Object, key: str) -> str:
    """Read a text; Home Assistant takes a number for one as well."""
    try:
        return found.text(key, "")
    except BadInput:
        return str(found.integer(key, 0, _MAX_NUMBER))


def _plain(text: str, path: str) -> str:
    """Take a bare text for a version only if it looks like one: all kinds of words are said on such topics."""
    if not _VERSION.fullmatch(text):
        raise BadInput(Reason.MALFORMED, "no version", path=path)
    return text


def _version(state: Object | str, key: str) -> str | None:
    """Return a version without the letter that many put before it; ``None`` if there is none."""
    text = state if isinstance(state, str) else _word(state, key)
    return re.sub(r"^[vV](?=[0-9])", "", text) or None
