"""Inputs: facts of the past that the hub is told. Their counterpart, orders to the outside, are in ``effects``.

Inputs from devices carry ``retained``: a retained message is old by definition and is no evidence of anything that
happened after a command (invariant 7). Inputs from people may be answered with ``Refused``; all others never raise.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from .effects import Save
from .errors import Reason
from .model import DeviceFacts, DeviceId, Feed, Manifest
from .settings import Settings


class Stage(StrEnum):
    """What a device says about its own install. None of them is evidence of success."""

    ACCEPTED = "accepted"
    DOWNLOADING = "downloading"
    INSTALLING = "installing"
    REBOOTING = "rebooting"
    RESTARTED = "restarted"
    TRIAL = "trial"
    COMMITTED = "committed"
    CLAIMS_DONE = "claims_done"
    ROLLED_BACK = "rolled_back"
    NOT_BEGUN = "not_begun"
    SCHEDULED = "scheduled"
    TAKEN_BACK = "taken_back"
    FAILED = "failed"
    REJECTED = "rejected"


# --- from devices, read by a dialect ---------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class DeviceReported:
    """A device said something about itself. ``rebooted``: this message is only sent after a boot."""

    device_id: DeviceId
    dialect: str
    facts: DeviceFacts
    retained: bool = False
    rebooted: bool = False


@dataclass(frozen=True, slots=True)
class DeviceLinkChanged:
    """A device or its last will said that it is on line or off line."""

    device_id: DeviceId
    online: bool
    retained: bool = False


@dataclass(frozen=True, slots=True)
class HealthReported:
    """A device said how it is. ``None`` means that the message does not say."""

    device_id: DeviceId
    battery_percent: int | None = None
    rssi_dbm: int | None = None
    uptime_s: int | None = None
    free_bytes: int | None = None
    self_test: str | None = None
    retained: bool = False


@dataclass(frozen=True, slots=True)
class InstallReported:
    """A device spoke about an install. ``attempt_id`` is ``None`` in families that echo none."""

    device_id: DeviceId
    stage: Stage
    percent: int | None = None
    attempt_id: str | None = None
    detail: str = ""
    retained: bool = False


@dataclass(frozen=True, slots=True)
class DeviceWithdrawn:
    """The retained announcement of a device was cleared: it is not there any more, or it hides itself."""

    device_id: DeviceId


@dataclass(frozen=True, slots=True)
class NetworkReported:
    """A bridge spoke for its whole network at once: reading it costs the same for ten devices and for ten thousand.

    Attributes:
        online: whether the bridge is there, without which nobody in its network can be reached; ``None`` if not said.
        device_ids: everybody whom the bridge knows: all others are not there any more; ``None`` if not said.
        lost: why nothing that was being installed through the bridge will be finished; empty: no reason.
    """

    dialect: str
    network: str
    online: bool | None = None
    device_ids: frozenset[DeviceId] | None = None
    lost: str = ""
    retained: bool = False


@dataclass(frozen=True, slots=True)
class StrangerSeen:
    """Somebody whom no device has claimed says to be there; who it is shows only when it is asked."""

    dialect: str
    address: str


@dataclass(frozen=True, slots=True)
class LastingOrderSeen:
    """The broker keeps an order to install and gives it to every device that connects there (``lasting``).

    Attributes:
        what: the order in a word of its family.
        to_all: every device of the family obeys this topic.
        empty_asks: an empty message there is a question of the family, and no sign that the topic was cleared.
    """

    dialect: str
    topic: str
    what: str
    to_all: bool = False
    empty_asks: bool = False


@dataclass(frozen=True, slots=True)
class LastingOrderGone:
    """A topic was cleared."""

    topic: str


@dataclass(frozen=True, slots=True)
class MessageRefused:
    """A dialect could not read a message; the shell counts and logs, the hub keeps the tally."""

    dialect: str
    reason: Reason
    topic: str
    detail: str = ""


# --- from people -----------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class ApproveRequested:
    """Somebody said yes to the version that was read. ``at_once`` skips the window.

    Without a version it is a yes to what waits already, or where nothing waits, to the current offer.
    """

    device_id: DeviceId
    by: str
    version: str | None = None
    at_once: bool = False


@dataclass(frozen=True, slots=True)
class UnapproveRequested:
    """Somebody took the yes back; ``skip`` marks it as the owner's Skip of this version."""

    device_id: DeviceId
    by: str
    skip: bool = False


@dataclass(frozen=True, slots=True)
class RetryRequested:
    """Somebody wants the last failed install tried again, in the next window."""

    device_id: DeviceId
    by: str


@dataclass(frozen=True, slots=True)
class ModelReleased:
    """Somebody looked at the failure that stopped a model and lets it go on."""

    device_id: DeviceId
    by: str


@dataclass(frozen=True, slots=True)
class KeysRefused:
    """Somebody does not want the keys that a feed announced."""

    feed_id: str
    by: str


@dataclass(frozen=True, slots=True)
class OrderClearRequested:
    """Somebody wants a topic cleared on which the broker keeps an order to install."""

    topic: str
    by: str


@dataclass(frozen=True, slots=True)
class CheckRequested:
    """Somebody wants the feeds and the devices asked now."""

    by: str


@dataclass(frozen=True, slots=True)
class ForgetRequested:
    """Somebody removed a device from Home Assistant."""

    device_id: DeviceId
    by: str


@dataclass(frozen=True, slots=True)
class SettingsChanged:
    """The owner's settings, whole, as they are from now on."""

    settings: Settings


@dataclass(frozen=True, slots=True)
class FeedsChanged:
    """All feeds, built-in and the owner's, as they are from now on."""

    feeds: tuple[Feed, ...]


# --- from the shell --------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class WokenUp:
    """Time passed."""


@dataclass(frozen=True, slots=True)
class LinkChanged:
    """The connection to the broker came or went."""

    connected: bool


@dataclass(frozen=True, slots=True)
class ManifestRead:
    """A feed was fetched, its bytes verified and read. ``raw`` is kept, to be verified again after a restart."""

    feed_id: str
    manifest: Manifest
    raw: bytes = b""
    etag: str = ""
    fetched_at: datetime | None = None
    from_store: bool = False


@dataclass(frozen=True, slots=True)
class ManifestUnchanged:
    """The server says that what we have is current (HTTP 304)."""

    feed_id: str


@dataclass(frozen=True, slots=True)
class ManifestRefused:
    """Verification or reading of a feed's bytes failed."""

    feed_id: str
    reason: Reason
    path: str = ""
    detail: str = ""


@dataclass(frozen=True, slots=True)
class FetchFailed:
    """A feed could not be fetched. ``retry_after_s`` is what the server asked for."""

    feed_id: str
    reason: Reason
    detail: str = ""
    retry_after_s: int | None = None


@dataclass(frozen=True, slots=True)
class ArtifactsReady:
    """All artifacts of an install lie verified in the cache."""

    install_id: str


@dataclass(frozen=True, slots=True)
class ArtifactsFailed:
    """An artifact could not be fetched or is not what the manifest says."""

    install_id: str
    reason: Reason
    detail: str = ""


@dataclass(frozen=True, slots=True)
class CommandSent:
    """The install command of this attempt was handed to the connected broker."""

    install_id: str
    attempt_id: str


@dataclass(frozen=True, slots=True)
class CommandNotSent:
    """The install command was written down but the last look before sending said no. It still counts as sent."""

    install_id: str
    attempt_id: str
    reason: Reason


@dataclass(frozen=True, slots=True)
class SaveFailed:
    """A transaction could not be written: everything behind it in its batch was dropped."""

    save: Save
    reason: Reason
    detail: str = ""
    dropped_installs: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class SaveWorked:
    """Writing works again after a failure."""


@dataclass(frozen=True, slots=True)
class AddressChecked:
    """Whether the address under which artifacts would be served is one that a device can reach."""

    reachable: bool
    address: str = ""


Input = (
    DeviceReported
    | DeviceLinkChanged
    | HealthReported
    | InstallReported
    | DeviceWithdrawn
    | NetworkReported
    | StrangerSeen
    | LastingOrderSeen
    | LastingOrderGone
    | MessageRefused
    | ApproveRequested
    | UnapproveRequested
    | RetryRequested
    | ModelReleased
    | KeysRefused
    | OrderClearRequested
    | CheckRequested
    | ForgetRequested
    | SettingsChanged
    | FeedsChanged
    | WokenUp
    | LinkChanged
    | ManifestRead
    | ManifestUnchanged
    | ManifestRefused
    | FetchFailed
    | ArtifactsReady
    | ArtifactsFailed
    | CommandSent
    | CommandNotSent
    | SaveFailed
    | SaveWorked
    | AddressChecked
)
"""Everything that can happen to the hub."""

PersonInput = (
    ApproveRequested
    | UnapproveRequested
    | RetryRequested
    | ModelReleased
    | KeysRefused
    | OrderClearRequested
    | CheckRequested
    | ForgetRequested
)
"""What a person asks, and is answered."""

DeviceInput = DeviceReported | DeviceLinkChanged | HealthReported | InstallReported | DeviceWithdrawn | NetworkReported
"""What a dialect can read out of a message."""
