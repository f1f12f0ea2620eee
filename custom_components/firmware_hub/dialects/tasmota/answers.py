"""What Tasmota's messages say: versions, memory, settings, and the words about an upgrade.

Wording differs between releases and languages of the firmware; what is matched here are words that the firmware never
translates (``i18n.h``, the ``D_JSON_`` group).
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from ...core.chips import HELPER_VARIANTS, normalise_chip, normalise_variant
from ...core.errors import BadInput, Reason
from ...core.inputs import Stage
from ...core.model import Device, DeviceFacts
from ...core.untrusted import Object, clean_label

MANUFACTURER = "Tasmota"
OTA_URL = "OtaUrl"
_KILOBYTE = 1024
_MAX_FLASH_KB = 64 * 1024
_MAX_UPTIME_S = 2**40
_MAX_VERSION = 100  # characters
# "14.5.0(release-tasmota)-2_7_8": the number, the image in brackets (absent before 6.0), sometimes more behind it.
_VERSION = re.compile(r"(?P<number>[0-9]{1,5}(\.[0-9]{1,5}){1,4})(\((?P<image>[^()]{1,64})\)[^()]{0,40})?", re.ASCII)
_UPTIME = re.compile(r"([0-9]{1,6})T([0-9]{2}):([0-9]{2}):([0-9]{2})", re.ASCII)
_FAILED = re.compile(r"\bFailed\b")
_OPENBEKEN = "obk"


@dataclass(frozen=True, slots=True)
class _Firmware:
    """A version text, taken apart. ``image`` is empty where the text has no brackets."""

    number: str
    image: str

    @property
    def is_helper(self) -> bool:
        """Whether this image only exists to load another one (``minimal``, ``safeboot``, ``tasmota32c3-safeboot``)."""
        return self.image.rsplit("-", 1)[-1] in HELPER_VARIANTS


def bare_version(config: Object) -> str:
    """Read the version of a discovery message, which has no image name.

    Raises:
        BadInput: there is none, or it is no version.
    """
    return _firmware(config, "sw").number


def running(info: Object, device: Device) -> DeviceFacts:
    """Read what ``INFO1`` says of the running image; a device whose chip is not known yet keeps its variant unknown.

    Raises:
        BadInput: there is no version in it.
    """
    firmware = _firmware(info, "Version")
    if firmware.is_helper:
        return DeviceFacts(version=firmware.number, helper=True)
    known = device.model and firmware.image
    variant = normalise_variant(device.model, firmware.image) if known else None
    return DeviceFacts(version=firmware.number, variant=variant, helper=False if firmware.image else None)


def firmware(status: Object) -> DeviceFacts | None:
    """Read what ``STATUS2`` says of chip and image; ``None`` if this is OpenBeken, which answers to the same commands.

    A helper image says nothing about variant and chip: its own variant is not the device's, and it must not look like
    another device in the middle of its install.

    Raises:
        BadInput: there is no version in it.
    """
    if status.label("SDK") == _OPENBEKEN:
        return None
    firmware = _firmware(status, "Version")
    if firmware.is_helper:
        return DeviceFacts(manufacturer=MANUFACTURER, version=firmware.number, helper=True)
    hardware = status.label("Hardware")
    # An unknown chip is said to be unknown, so that the model of an earlier board does not stay (invariant 4).
    chip = normalise_chip(hardware) or ""
    return DeviceFacts(
        manufacturer=MANUFACTURER,
        model=chip,
        hardware=hardware,
        variant=normalise_variant(chip, firmware.image),
        version=firmware.number,
        helper=False,
    )


def settings(parameters: Object, device: Device) -> DeviceFacts | None:
    """Read what ``STATUS1`` says of the settings that an install changes; ``None`` if it does not say.

    Raises:
        BadInput: the address of updates is no text, or the device takes its commands on its group's topic.
    """
    if parameters.text("GroupTopic", "") == device.channel.get("topic"):
        raise BadInput(Reason.MALFORMED, "its topic is its group's", path=parameters.at("GroupTopic"))
    return DeviceFacts(settings={OTA_URL: parameters.text(OTA_URL, "")}) if OTA_URL in parameters else None


def uptime(parameters: Object) -> int | None:
    """Read the seconds since boot out of ``STATUS1`` (``1T02:03:04``) or ``STATUS11``; ``None`` if it does not say.

    Raises:
        BadInput: the seconds are no number.
    """
    seconds = parameters.optional_integer("UptimeSec", 0, _MAX_UPTIME_S)
    found = _UPTIME.fullmatch(parameters.label("Uptime"))
    if seconds is not None or found is None:
        return seconds
    days, hours, minutes, rest = (int(part) for part in found.groups())
    return ((days * 24 + hours) * 60 + minutes) * 60 + rest


def battery(status: Object) -> int | None:
    """Read the charge out of ``STATUS11``, in per cent; ``None`` for 101, which says that there is no battery.

    Raises:
        BadInput: it is no such number.
    """
    percent = status.optional_integer("BatteryPercentage", 0, 101)
    return None if percent == 101 else percent


def free_space(memory: Object, device: Device) -> DeviceFacts | None:
    """Read the space for a new image out of ``STATUS4``, in bytes; ``None`` while the chip is not known.

    An ESP8266 needs room beside the running image. An ESP32 is rewritten by its safeboot image, so the running one's
    space counts as well; on the old layout of two slots that is more than there is, and the device itself says no.

    Raises:
        BadInput: the sizes are no numbers.
    """
    free = memory.integer("Free", 0, _MAX_FLASH_KB)
    program = memory.integer("ProgramSize", 0, _MAX_FLASH_KB)
    if not device.model:
        return None
    room = free if device.model == "ESP8266" else free + program
    return DeviceFacts(free_bytes=room * _KILOBYTE)


def upgrade_words(text: str) -> tuple[Stage, str] | None:
    """Decide what a text about an upgrade means, with the text for a person; ``None`` for all that is no news.

    ``Successful`` is not evidence: an HTTP 304 and the step through a minimal image say it too (invariant 7). Of the
    many reasons only the word ``Failed`` is the same in all releases. Never raises.
    """
    words = clean_label(text)
    if words.startswith("Version "):
        # It quotes the running version and the address. "1 or >14.5.0 to upgrade" answers a question, not our order.
        return Stage.ACCEPTED, words
    if _FAILED.search(words):
        return Stage.FAILED, words
    return (Stage.CLAIMS_DONE, words) if words.startswith("Successful") else None


def _firmware(holder: Object, key: str) -> _Firmware:
    found = _VERSION.fullmatch(holder.text(key, max_chars=_MAX_VERSION))
    if found is None:
        raise BadInput(Reason.MALFORMED, "no Tasmota version", path=holder.at(key))
    return _Firmware(found["number"], found["image"] or "")
