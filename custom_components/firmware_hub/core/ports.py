"""What the core is handed from outside the core: readers of published formats, and facts about firmware families."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import Protocol

from .model import Device, Feed, Manifest
from .signing import VerifiedBytes


class ManifestReader(Protocol):
    """Turns the verified bytes of one published format into a manifest."""

    def read(self, data: VerifiedBytes, feed: Feed) -> Manifest:
        """Read the whole document.

        Raises:
            BadInput: with the path of the fault; a document is read whole or not at all.
            Refused: the document is understood and forbidden (wrong vendor, unsupported specification).
        """
        ...


class AddressBook(Protocol):
    """Who speaks at an address. One dictionary look-up, whatever the number of devices."""

    def at(self, dialect: str, address: str) -> Device | None:
        """Return the only device that claimed this address; ``None`` if nobody did, or more than one."""
        ...

    def is_claimed(self, dialect: str, address: str) -> bool:
        """Whether any device claimed this address, one or several."""
        ...

    def get(self, device_id: str) -> Device | None:
        """Return a device by its identity."""
        ...


@dataclass(frozen=True, slots=True)
class Capabilities:
    """What a firmware family can do over MQTT; the owner sees it and the core plans with it.

    Attributes:
        chooses_artifact: the caller names the image; a family that cannot takes only what its vendor offers.
        vendor_chooses: it can be told to take what its vendor offers it (trust level ``vendor``).
        reports_progress: per cent while it installs.
        reports_failure: failures in a machine-readable form.
        echoes_attempt: its messages carry the attempt id; a message without it is not about our attempt.
        rolls_back: it can go back by command or by itself.
        wakes_by_itself: sleeping devices come back without a person.
        needs_plain_http: it cannot fetch over TLS.
        commits: a new image runs on trial until the hub commits it.
        announces_boot: it sends a message only after a boot, so that a return without one is no reboot.
        default_minutes: how long an install takes when nobody knows better.
        max_deadline: the longest time that an install of this family may take.
        borrows: names of the device's settings that an install changes and that are put back afterwards.
        tells: names of settings that a device tells when it is asked, and for which it is asked until it has.
        generic: the family only says what another one says better; the native family of the same thing takes its place.
        parallel: how many devices of one network may be installed at a time at most; ``None``: as the owner says.
        answer_time: how long an answer may take; ``None``: as long as any device's.
        asks_apart: unasked questions to devices of one network are at least so far apart.
        offers_itself: what the device says that its vendor offers it is an offer, without any feed.
        looks_up: it takes what is named at an address that is compiled into it, which may be one of the hub's; when it
            looks there nobody can tell it.
        schedules: a bridge can wait for a sleeping device to wake, and be told not to wait any more.
        answers: it can be asked; a family that cannot is taken at its last word, which stands until it says another.
    """

    chooses_artifact: bool
    reports_progress: bool
    reports_failure: bool
    echoes_attempt: bool
    rolls_back: bool
    wakes_by_itself: bool
    needs_plain_http: bool
    commits: bool
    announces_boot: bool
    default_minutes: int
    max_deadline: timedelta
    borrows: tuple[str, ...] = ()
    tells: tuple[str, ...] = ()
    parallel: int | None = None
    generic: bool = False
    vendor_chooses: bool = False
    answer_time: timedelta | None = None
    asks_apart: timedelta = timedelta()
    offers_itself: bool = False
    answers: bool = True
    looks_up: bool = False
    schedules: bool = False
