"""Tasmota's topics: built from the pattern that a device states, and refused where they would lead to somebody else.

Rules, from ``GetTopic_P`` in Tasmota's ``support_tasmota.ino`` (release 15):

- ``%prefix%`` becomes the word for commands, answers or telemetry; a pattern without it gets ``/%prefix%`` behind it,
  for commands only. ``%topic%`` and ``%hostname%`` are the device's own words.
- ``%id%`` is the whole MAC in the firmware, while the library behind Home Assistant's own integration (HATasmota
  0.10.2, ``utils.py``) takes its last six digits. Both readings are kept until the device has answered under one.
- ``//`` becomes ``/``, and a last slash is added.

A device must not be able to make the hub speak to others. The hub only ever appends one of three words to the command
prefix (``STATUS``, ``Backlog``, ``OtaUrl``), so that no command topic of another family can be reached. What remains
are topics to which other Tasmota devices listen. A Tasmota device takes commands on every topic below its prefix (it
subscribes with ``#``), so a prefix below another device's is as bad as the same one: see ``read_topics`` and
``is_below_another``.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from ...core import limits
from ...core.errors import BadInput, Reason
from ...core.model import Device, DeviceId
from ...core.ports import AddressBook
from ...core.untrusted import Object

STAT_WORDS = ("RESULT", "OTAURL", "UPGRADE", "STATUS1", "STATUS2", "STATUS4", "STATUS11")
TELE_WORDS = ("LWT", "INFO1")
_MAX_TEMPLATE = 150  # Tasmota's TOPSZ, which bounds each of its texts
_NEVER_IN_A_LEVEL = re.compile(r"[+#\s]")
# The group topics of the factory setting (today's and the old one) reach every Tasmota at once; the fallback topic
# reaches one device by its chip number, whatever its topic is (documentation, "MQTT"). A folder of that name is refused
# with them.
_NOT_ONE_DEVICE = re.compile(r"tasmotas|sonoffs|DVES_[0-9A-F]{6}(_fb)?", re.IGNORECASE)
_NOT_TASMOTA = ("$", "fwhub/", "tasmota/discovery/", "zigbee2mqtt/bridge/")
_OWN = ("%topic%", "%hostname%", "%id%")


@dataclass(frozen=True, slots=True)
class Prefixes:
    """The three beginnings of a device's topics, each with its last slash, for one reading of ``%id%``."""

    command: str
    stat: str
    tele: str


@dataclass(frozen=True, slots=True)
class Topics:
    """All that a discovery message says about topics.

    Attributes:
        readings: one, or two where the pattern holds ``%id%``: the firmware's first.
        stat_filter, tele_filter: the same beginnings with ``+`` in place of the device's own words, where possible.
    """

    readings: tuple[Prefixes, ...]
    stat_filter: str
    tele_filter: str

    @property
    def addresses(self) -> tuple[str, ...]:
        """The topic prefixes that are the device's own; those of the second reading follow those of the first.

        The command prefix is among them, although nothing is heard there: a device that states the command prefix of
        another, and answers elsewhere, must meet that other one in the address book.
        """
        return tuple(dict.fromkeys(own for each in self.readings for own in (each.stat, each.tele, each.command)))


@dataclass(frozen=True, slots=True)
class _Words:
    """What the pattern's tokens stand for."""

    template: str
    topic: str
    hostname: str
    mac: str
    prefixes: tuple[str, str, str]


def read_topics(config: Object, mac: str) -> Topics:
    """Read the topics out of a discovery message.

    Raises:
        BadInput: a member is missing, is no topic, or leads to another device or family; with its path.
    """
    words = _Words(
        template=_clean(config, "ft", config.text("ft", max_chars=_MAX_TEMPLATE)),
        topic=_clean(config, "t", config.text("t", max_chars=_MAX_TEMPLATE)),
        hostname=_clean(config, "hn", config.text("hn", "", max_chars=_MAX_TEMPLATE)),
        mac=mac,
        prefixes=_read_prefixes(config),
    )
    ids = (mac, mac[-6:]) if "%id%" in words.template else (mac,)
    return Topics(
        readings=tuple(_prefixes(config, words, chip) for chip in ids),
        stat_filter=_filter(words, words.prefixes[1]),
        tele_filter=_filter(words, words.prefixes[2]),
    )


def speaks_as(device: Device, address: str) -> dict[str, str] | None:
    """Return the channel once a device with two readings was heard at one of them; ``None`` if that is not news."""
    other = device.channel.get("other_command")
    if other is None:
        return None
    first = address in device.addresses[: len(device.addresses) // 2]
    kept = {key: value for key, value in device.channel.items() if key != "other_command"}
    return kept if first else {**kept, "command": other}


def is_below_another(device_id: DeviceId, addresses: tuple[str, ...], book: AddressBook) -> bool:
    """Decide whether a prefix lies below that of another device, which would then obey what is meant for this one.

    Costs one look-up per topic level, whatever the number of devices. Never raises.
    """
    for address in addresses:
        end = address.rfind("/", 0, -1)
        while end > 0:
            above = address[: end + 1]
            if book.is_claimed("tasmota", above):
                # A topic that two devices claim has no owner, and is somebody's all the same.
                owner = book.at("tasmota", above)
                if owner is None or owner.id != device_id:
                    return True
            end = address.rfind("/", 0, end)
    return False


def _read_prefixes(config: Object) -> tuple[str, str, str]:
    prefixes = config.texts("tp", max_items=3, max_chars=_MAX_TEMPLATE)
    if len(prefixes) != 3:
        raise BadInput(Reason.MALFORMED, "not three prefixes", path=config.at("tp"))
    command, stat, tele = (_clean(config, "tp", prefix) for prefix in prefixes)
    return command, stat, tele


def _clean(config: Object, key: str, text: str) -> str:
    """Refuse what Tasmota itself never stores in a topic: wildcards and white space."""
    if _NEVER_IN_A_LEVEL.search(text):
        raise BadInput(Reason.MALFORMED, "wildcard or white space", path=config.at(key))
    return text


def _prefixes(config: Object, words: _Words, chip: str) -> Prefixes:
    command_template = words.template if "%prefix%" in words.template else f"{words.template}/%prefix%"
    command, stat, tele = words.prefixes
    built = Prefixes(
        command=_fill(command_template, words, command, chip),
        stat=_fill(words.template, words, stat, chip),
        tele=_fill(words.template, words, tele, chip),
    )
    for prefix in (built.command, built.stat, built.tele):
        _check(config, prefix)
    return built


def _fill(template: str, words: _Words, prefix: str, chip: str) -> str:
    # In the firmware's order: what a word puts in may be the next token.
    text = template.replace("%prefix%", prefix).replace("%topic%", words.topic)
    text = text.replace("%hostname%", words.hostname).replace("%id%", chip).replace("//", "/")
    return text if text.endswith("/") else f"{text}/"


def _check(config: Object, prefix: str) -> None:
    path = config.at("ft")
    if len(prefix) > limits.MAX_TEXT:
        raise BadInput(Reason.TOO_LARGE, "topic too long", path=path)
    levels = prefix.removeprefix("/")[:-1].split("/")
    if not all(levels):
        raise BadInput(Reason.MALFORMED, "a topic level is empty", path=path)
    if prefix.startswith(_NOT_TASMOTA):
        raise BadInput(Reason.MALFORMED, "another family's topics", path=path)
    if any(_NOT_ONE_DEVICE.fullmatch(level) for level in levels):
        raise BadInput(Reason.MALFORMED, "a topic that other devices listen to", path=path)


def _filter(words: _Words, prefix: str) -> str:
    """Put ``+`` where the devices of one pattern differ, so that a fleet needs few subscriptions.

    A level with the device's own word becomes ``+`` as a whole. That is not possible where such a word has levels of
    its own; then the filter names this device alone.
    """
    if any("/" in word or "%" in word for word in (words.topic, words.hostname)):
        return _fill(words.template, words, prefix, words.mac)
    levels = words.template.replace("//", "/").split("/")
    common = ["+" if any(token in level for token in _OWN) else level for level in levels]
    return _fill("/".join(common), words, prefix, words.mac)
