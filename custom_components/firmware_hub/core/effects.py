"""Effects: orders of the hub to the outside, carried out in the order given. Their counterpart are the ``inputs``.

``Save`` always comes first in a batch (write-ahead): when it fails, nothing behind it is carried out.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from .errors import Reason
from .model import Artifact, Device, DeviceId, Install


@dataclass(frozen=True, slots=True)
class AuditRow:
    """One line of the append-only record. The store chains the rows by hash; ``values`` are short texts."""

    at: datetime
    kind: str
    subject: str
    values: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class LedgerRow:
    """What a feed has said so far, so that an older or changed statement is recognised (see ``manifest``).

    ``keys`` is what it said of its own keys, as ``rotation.to_text`` writes it.
    """

    feed_id: str
    sequence: int | None = None
    sequence_digest: str = ""
    issued: datetime | None = None
    digests: Mapping[str, str] = field(default_factory=dict)
    counters: Mapping[str, int] = field(default_factory=dict)
    keys: str = ""


@dataclass(frozen=True, slots=True)
class FeedRow:
    """The last good answer of a feed: raw bytes as fetched, to be verified and read again after a restart.

    No bytes: there is none since its owner changed it. ``origin`` is that of the feed which said it; empty: not known.
    """

    feed_id: str
    raw: bytes
    etag: str = ""
    fetched_at: datetime | None = None
    origin: str = ""


@dataclass(frozen=True, slots=True)
class Save:
    """One transaction. ``forget`` are device ids to delete; ``meta`` are small values of the hub itself."""

    devices: tuple[Device, ...] = ()
    forget: tuple[DeviceId, ...] = ()
    installs: tuple[Install, ...] = ()
    ledger: tuple[LedgerRow, ...] = ()
    feeds: tuple[FeedRow, ...] = ()
    meta: Mapping[str, str] = field(default_factory=dict)
    audit: tuple[AuditRow, ...] = ()


@dataclass(frozen=True, slots=True)
class QueryDevice:
    """Ask a device for its version and state."""

    device_id: DeviceId


@dataclass(frozen=True, slots=True)
class AskStranger:
    """Ask somebody at an address who it is."""

    dialect: str
    address: str


@dataclass(frozen=True, slots=True)
class ListenTo:
    """A device speaks on topics of its own: subscribe to what its dialect says."""

    device_id: DeviceId


@dataclass(frozen=True, slots=True)
class FetchManifest:
    """Fetch, verify and read a feed."""

    feed_id: str


@dataclass(frozen=True, slots=True)
class FetchArtifacts:
    """Bring all artifacts of an install into the cache, verified."""

    install_id: str
    feed_id: str
    artifacts: tuple[Artifact, ...]


@dataclass(frozen=True, slots=True)
class SendInstall:
    """Serve the artifacts and publish the one install command of this attempt, if it is still before ``not_after``.

    ``when_awake``: it is handed to the device's bridge, which begins when the device wakes.
    """

    install_id: str
    attempt_id: str
    device_id: DeviceId
    not_after: datetime | None
    when_awake: bool = False


@dataclass(frozen=True, slots=True)
class TakeBack:
    """Tell the bridge not to wait for a device any more; what has begun goes on.

    ``device``: as it was last known, for when it is removed in the same turn.
    """

    install_id: str
    attempt_id: str
    device_id: DeviceId
    device: Device | None = None


@dataclass(frozen=True, slots=True)
class ServeAgain:
    """After a restart: serve the artifacts of an install whose command was sent before, and publish nothing."""

    install_id: str
    device_id: DeviceId


@dataclass(frozen=True, slots=True)
class SendCommit:
    """Tell a device on trial to keep the new image."""

    install_id: str
    attempt_id: str
    device_id: DeviceId


@dataclass(frozen=True, slots=True)
class SendRollback:
    """Tell a device to go back to its other slot."""

    install_id: str
    attempt_id: str
    device_id: DeviceId


@dataclass(frozen=True, slots=True)
class RestoreSettings:
    """Put back what an install changed on the device."""

    device_id: DeviceId
    settings: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class StopServing:
    """The install ended: its addresses are gone."""

    install_id: str


@dataclass(frozen=True, slots=True)
class ClearTopic:
    """Have the broker forget what it keeps on a topic."""

    topic: str


@dataclass(frozen=True, slots=True)
class CheckAddress:
    """Is the address under which artifacts would be served one that a device can reach?"""


class IssueKind(StrEnum):
    """Kinds of repairs; the value is the translation key and the start of the issue's id."""

    INSTALL_FAILED = "install_failed"
    DEVICE_DARK = "device_dark"
    MODEL_STOPPED = "model_stopped"
    MANIFEST_REFUSED = "manifest_refused"
    FEED_UNREACHABLE = "feed_unreachable"
    MANIFEST_EXPIRED = "manifest_expired"
    KEY_ROTATION = "key_rotation"
    RELEASE_REVOKED = "release_revoked"
    SUPPORT_ENDING = "support_ending"
    SUPPORT_ENDED = "support_ended"
    ADDRESS_UNREACHABLE = "address_unreachable"
    CLOCK_UNTRUSTED = "clock_untrusted"
    STORE_FAILED = "store_failed"
    STORE_REPLACED = "store_replaced"
    TOPIC_CONFLICT = "topic_conflict"
    WINDOW_TOO_SHORT = "window_too_short"
    WINDOWS_MISSED = "windows_missed"
    TOO_MANY_DEVICES = "too_many_devices"
    DEVICE_FLOOD = "device_flood"
    OTHER_UPDATER = "other_updater"
    LASTING_COMMAND = "lasting_command"


class Severity(StrEnum):
    """How urgent an issue is, in Home Assistant's words."""

    WARNING = "warning"
    ERROR = "error"
    CRITICAL = "critical"


@dataclass(frozen=True, slots=True)
class RaiseIssue:
    """Show a repair, or show it anew. ``subject`` makes it unique within its kind (device id, feed id, model)."""

    kind: IssueKind
    subject: str
    severity: Severity = Severity.WARNING
    fixable: bool = False
    reason: Reason | None = None
    values: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class ClearIssue:
    """Take a repair away."""

    kind: IssueKind
    subject: str


class LifecycleKind(StrEnum):
    """Events that automations see (event entity and bus); documented in docs/events.md."""

    DEVICE_FOUND = "device_found"
    UPDATE_OFFERED = "update_offered"
    APPROVED = "approved"
    UNAPPROVED = "unapproved"
    INSTALL_STARTED = "install_started"
    INSTALL_ENDED = "install_ended"
    MANIFEST_REFUSED = "manifest_refused"
    MODEL_STOPPED = "model_stopped"


@dataclass(frozen=True, slots=True)
class Announce:
    """Tell automations. ``values`` are documented per kind."""

    kind: LifecycleKind
    device_id: DeviceId | None
    values: Mapping[str, str | int | bool | None] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class RefreshDevices:
    """What a person sees of these devices changed."""

    device_ids: tuple[DeviceId, ...]


@dataclass(frozen=True, slots=True)
class RefreshHub:
    """What a person sees of the hub itself changed."""


@dataclass(frozen=True, slots=True)
class ForgetDevice:
    """A device is gone for good: remove its entities and, if it was ours, its device."""

    device_id: DeviceId


Effect = (
    Save
    | QueryDevice
    | AskStranger
    | ListenTo
    | FetchManifest
    | FetchArtifacts
    | SendInstall
    | TakeBack
    | ServeAgain
    | SendCommit
    | SendRollback
    | RestoreSettings
    | StopServing
    | ClearTopic
    | CheckAddress
    | RaiseIssue
    | ClearIssue
    | Announce
    | RefreshDevices
    | RefreshHub
    | ForgetDevice
)
"""Everything the hub can ask of the outside."""
