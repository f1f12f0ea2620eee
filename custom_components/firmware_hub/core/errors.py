"""The error tree, split by blame, and the reason codes that people meet.

HubError
├── BadInput       a device, a vendor or a person sent something that makes no sense
├── Refused        a rule of the hub said no
└── OutsideFailed  network, broker or disk failed; raised only outside the pure zone

A call in the wrong order is our own fault and raises ``RuntimeError``. Every ``Reason`` value is a translation key
(``exceptions``, ``issues`` and the states of the reason sensor); ``script/check`` fails when a text is missing.
"""

from __future__ import annotations

from enum import StrEnum


class Reason(StrEnum):
    """Why something was refused, failed or has to wait. The value is stored, translated and published: never rename."""

    # bad input
    MALFORMED = "malformed"
    TOO_LARGE = "too_large"
    UNKNOWN_MATCH_KEY = "unknown_match_key"
    UNSUPPORTED_SPEC = "unsupported_spec"

    # trust: each one names the attack that it suspects in its translated sentence
    UNSIGNED = "unsigned"
    BAD_SIGNATURE = "bad_signature"
    UNTRUSTED_KEY = "untrusted_key"
    WEAK_KEY = "weak_key"
    PRIVATE_KEY = "private_key"
    EXPIRED = "expired"
    NOT_YET_VALID = "not_yet_valid"
    ROLLBACK_DETECTED = "rollback_detected"
    FREEZE_SUSPECTED = "freeze_suspected"
    EQUIVOCATION = "equivocation"
    MIXED_METADATA = "mixed_metadata"
    DIGEST_CHANGED = "digest_changed"
    DIGEST_MISMATCH = "digest_mismatch"
    SIZE_MISMATCH = "size_mismatch"
    NO_DIGEST = "no_digest"
    WRONG_HARDWARE = "wrong_hardware"
    CLOCK_UNTRUSTED = "clock_untrusted"
    NOT_PUBLISHED = "not_published"
    OTHER_CONTENT = "other_content"
    WRONG_VENDOR = "wrong_vendor"

    # fetching
    UNREACHABLE = "unreachable"
    HTTP_ERROR = "http_error"
    NOT_FOUND = "not_found"
    RATE_LIMITED = "rate_limited"
    NOT_FIRMWARE = "not_firmware"
    INSECURE_URL = "insecure_url"
    INSECURE_REDIRECT = "insecure_redirect"
    TLS_FAILED = "tls_failed"
    FETCH_TIMEOUT = "fetch_timeout"
    DISK_FULL = "disk_full"
    DISK_FAILED = "disk_failed"

    # why an install waits (holds)
    WAITS_FOR_WINDOW = "waits_for_window"
    DOES_NOT_FIT_WINDOW = "does_not_fit_window"
    PAUSED = "paused"
    BROKER_DISCONNECTED = "broker_disconnected"
    DEVICE_OFFLINE = "device_offline"
    DEVICE_ASLEEP = "device_asleep"
    DEVICE_SILENT = "device_silent"
    LOW_BATTERY = "low_battery"
    BATTERY_UNKNOWN = "battery_unknown"
    WAITS_FOR_PILOT = "waits_for_pilot"
    PILOT_SETTLING = "pilot_settling"
    MODEL_STOPPED = "model_stopped"
    NETWORK_BUSY = "network_busy"
    WAITS_FOR_LOOK = "waits_for_look"
    WAITS_FOR_RETRY = "waits_for_retry"
    WAITS_FOR_RESTART_CHECK = "waits_for_restart_check"
    ADDRESS_UNREACHABLE = "address_unreachable"
    TOPIC_CONFLICT = "topic_conflict"
    LASTING_COMMAND = "lasting_command"
    NOT_ENOUGH_SPACE = "not_enough_space"
    NO_SETTINGS_KNOWN = "no_settings_known"

    # how an install ended, beside the verdict
    CAME_BACK_OLD = "came_back_old"
    CAME_BACK_OTHER = "came_back_other"
    WRONG_IMAGE = "wrong_image"
    NO_RETURN = "no_return"
    NO_REACTION = "no_reaction"
    LOST_IN_TRANSFER = "lost_in_transfer"
    STUCK_IN_HELPER = "stuck_in_helper"
    SETTINGS_LOST = "settings_lost"
    UNHEALTHY = "unhealthy"
    IMAGE_REFUSED = "image_refused"
    DEVICE_REPORTED_FAILURE = "device_reported_failure"
    NOT_SENT = "not_sent"
    NOT_BEGUN = "not_begun"
    SELF_ROLLBACK = "self_rollback"
    ROLLED_BACK_UNHEALTHY = "rolled_back_unhealthy"
    ROLLBACK_LOST = "rollback_lost"
    CHANGED_BY_OTHERS = "changed_by_others"
    SETTLED = "settled"

    # why an approval ended
    IDENTITY_CHANGED = "identity_changed"
    APPROVAL_EXPIRED = "approval_expired"
    OFFER_WITHDRAWN = "offer_withdrawn"
    OFFER_MOVED = "offer_moved"
    SKIPPED_BY_OWNER = "skipped_by_owner"
    CANCELED_BY_OWNER = "canceled_by_owner"
    DEVICE_REMOVED = "device_removed"
    MISSED_WINDOWS = "missed_windows"

    # refusals of what a person asked
    UNKNOWN_DEVICE = "unknown_device"
    UNKNOWN_INSTALL = "unknown_install"
    NO_OFFER = "no_offer"
    VERSION_UNKNOWN = "version_unknown"
    NEEDS_OTHER_VERSION = "needs_other_version"
    AMBIGUOUS_OFFER = "ambiguous_offer"
    NOT_CURRENT_OFFER = "not_current_offer"
    ALREADY_APPROVED = "already_approved"
    ALREADY_RUNNING = "already_running"
    NOTHING_TO_CANCEL = "nothing_to_cancel"
    MANUAL_ONLY = "manual_only"
    ADMIN_ONLY = "admin_only"
    TOO_MANY_DEVICES = "too_many_devices"
    DEVICE_FLOOD = "device_flood"
    STORE_UNREADABLE = "store_unreadable"
    HUB_STOPPED = "hub_stopped"


class HubError(Exception):
    """Root of everything the hub raises on purpose.

    Attributes:
        reason: the code that is stored and translated.
        detail: one short technical text for the log; it may hold foreign text and is escaped before a person reads it.
        path: where in the foreign document the fault is, such as ``releases[2].artifacts[0].size``; empty if unknown.
    """

    def __init__(self, reason: Reason, detail: str = "", *, path: str = "") -> None:
        """Keep the reason, the detail (cut to 300 characters) and the path of the fault."""
        self.reason = reason
        self.detail = detail[:300]
        self.path = path
        super().__init__(": ".join(part for part in (reason.value, path, self.detail) if part))


class BadInput(HubError):
    """Foreign or human input that cannot be understood."""


class Refused(HubError):
    """Input that was understood and that a rule forbids."""


class OutsideFailed(HubError):
    """The network, the broker or the disk did not do what was asked."""
