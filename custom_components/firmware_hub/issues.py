"""Repairs: the hub's issues in Home Assistant's issue registry, one per cause, with everything their texts ask for."""

from collections.abc import Iterable
from hashlib import sha256
from typing import Final
from urllib.parse import urlsplit

from homeassistant.config_entries import ConfigEntry
from homeassistant.core import HomeAssistant, callback
from homeassistant.helpers import issue_registry as ir

from .const import DOMAIN
from .core.effects import ClearIssue, IssueKind, RaiseIssue
from .markdown import https_address, plain
from .words import advice, day, sentence, text

FIXABLE: Final = frozenset(
    {
        IssueKind.INSTALL_FAILED,
        IssueKind.DEVICE_DARK,
        IssueKind.MODEL_STOPPED,
        IssueKind.MANIFEST_REFUSED,
        IssueKind.KEY_ROTATION,
        IssueKind.ADDRESS_UNREACHABLE,
        IssueKind.STORE_REPLACED,
        IssueKind.WINDOW_TOO_SHORT,
        IssueKind.WINDOWS_MISSED,
        IssueKind.LASTING_COMMAND,
        IssueKind.OTHER_UPDATER,
    }
)
"""Kinds that the owner can answer on the spot; their texts are fix flows (see repairs)."""

_KEPT: Final = frozenset(
    {IssueKind.INSTALL_FAILED, IssueKind.DEVICE_DARK, IssueKind.MODEL_STOPPED, IssueKind.STORE_REPLACED}
)
"""What happened once stays until it is answered; all other kinds are found again after a restart."""

PLACES: Final = (
    "address",
    "count",
    "day",
    "detail",
    "device",
    "devices",
    "feed",
    "from_version",
    "host",
    "integration",
    "limit",
    "manufacturer",
    "minutes",
    "model",
    "new_keys",
    "next_step",
    "old_keys",
    "path",
    "reason",
    "recovery",
    "version",
    "windows",
)
"""Everything that the text of an issue may ask for."""

_LONG: Final = 300


@callback
def raise_issue(hass: HomeAssistant, entry: ConfigEntry, effect: RaiseIssue) -> None:
    """Show an issue, or show it anew."""
    values = {key: plain(value, _LONG) for key, value in effect.values.items() if value}
    values["host"] = plain(urlsplit(effect.values.get("url", "")).hostname or "-")
    values["reason"] = sentence(hass, effect.reason, effect.values) or "-"
    if moment := effect.values.get("moment"):
        values["day"] = day(moment)
    values["next_step"] = advice(hass, effect.reason, works=effect.kind is not IssueKind.DEVICE_DARK)
    if known := effect.values.get("advice"):
        values["next_step"] = text(hass, f"advice_{known}", {"version": effect.values["other_version"]})
    ir.async_create_issue(
        hass,
        DOMAIN,
        issue_id(entry.entry_id, effect.kind, effect.subject),
        data={
            "entry_id": entry.entry_id,
            "kind": effect.kind.value,
            "subject": effect.subject,
            "device_id": effect.values.get("device_id") or effect.subject,
            "version": effect.values.get("version"),
        },
        is_fixable=effect.kind in FIXABLE,
        is_persistent=effect.kind in _KEPT,
        learn_more_url=https_address(effect.values.get("recovery_url", "")),
        severity=ir.IssueSeverity(effect.severity.value),
        translation_key=effect.kind.value,
        translation_placeholders=dict.fromkeys(PLACES, "-") | {key: values[key] for key in PLACES if key in values},
    )


@callback
def clear_issue(hass: HomeAssistant, entry: ConfigEntry, effect: ClearIssue) -> None:
    """Take an issue away; it need not be there."""
    ir.async_delete_issue(hass, DOMAIN, issue_id(entry.entry_id, effect.kind, effect.subject))


@callback
def clear_all(hass: HomeAssistant, entry: ConfigEntry, kinds: Iterable[IssueKind] = IssueKind) -> None:
    """Take all issues of an entry away, or those of some kinds, because the entry itself goes."""
    for domain, found_id in list(ir.async_get(hass).issues):
        if domain == DOMAIN and any(found_id.startswith(f"{kind}_{entry.entry_id}_") for kind in kinds):
            ir.async_delete_issue(hass, DOMAIN, found_id)


def issue_id(entry_id: str, kind: IssueKind, subject: str) -> str:
    """Return the id of an issue: one per entry, kind and subject."""
    return f"{kind}_{entry_id}_{sha256(subject.encode()).hexdigest()[:12]}"
