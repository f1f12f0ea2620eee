"""The text of the update dialog: what changes, who vouches for it, what can go wrong, what it costs."""

from collections.abc import Iterable, Iterator

from homeassistant.core import HomeAssistant
from homeassistant.util import dt as dt_util

from .core.model import Device, Install, Offer, Release, Trust
from .core.ports import Capabilities
from .core.view import DeviceView
from .dialects import BY_NAME
from .markdown import grouped, https_address, plain, quoted
from .words import device_name, outcome, text

_NOTES_LIMIT = 4_000
"""Characters of one version's notes: the dialog's buttons must stay within reach."""
_ALL_NOTES_LIMIT = 12_000
_CVE_LIMIT = 10
_ALGORITHMS = {"sha512": "SHA-512", "sha3-256": "SHA3-256"}
"""What a digest names before its colon; without one it is SHA-256."""
_LONG_MINUTES = 30
"""From this on a family's usual time is only where it begins: Zigbee images take from half an hour to hours."""


def release_notes(hass: HomeAssistant, view: DeviceView) -> str | None:
    """Return the whole text as markdown; None if there is nothing to install."""
    if (offer := view.shown) is None:
        return None
    family = BY_NAME[view.device.dialect].capabilities
    sections = (
        _last_failure(hass, view),
        _security(hass, offer.release),
        _changes(hass, offer),
        _section(hass, "notes_proof", _proof(hass, offer)),
        _section(hass, "notes_risk", _risk(hass, view.device, offer.release)),
        _section(hass, "notes_cost", _cost(hass, family, offer.release)),
        _section(hass, "notes_family", _family(hass, family, offer)),
    )
    return "\n\n".join(section for section in sections if section)


def _last_failure(hass: HomeAssistant, view: DeviceView) -> str:
    last: Install | None = view.last
    if last is None or view.install is not None:
        return ""
    told = outcome(hass, last, device_name(view.device))
    return f"**{told['title']}**\n\n{told['reason_text']} {told['next_step']}".strip() if told["failed"] else ""


def _security(hass: HomeAssistant, release: Release) -> str:
    if release.kind != "security" and not release.cves:
        return ""
    known = [text(hass, "notes_severity", {"severity": release.severity})] if release.severity else []
    known += [plain(cve) for cve in release.cves[:_CVE_LIMIT]]
    details = f" ({', '.join(known)})" if known else ""
    return f"**{text(hass, 'notes_security')}**{details}"


def _changes(hass: HomeAssistant, offer: Offer) -> str:
    notes = offer.notes or ((offer.version, offer.release.notes),)
    parts: list[str] = []
    left = _ALL_NOTES_LIMIT
    for version, written in notes:
        if left <= 0:
            parts.append(text(hass, "notes_cut"))
            break
        shown = quoted(written, min(_NOTES_LIMIT, left)) if written.strip() else text(hass, "notes_none")
        left -= len(written)
        parts.append(f"### {plain(version)}\n\n{shown}")
    if (address := https_address(offer.release.notes_url)) is not None:
        parts.append(f"[{text(hass, 'notes_more')}]({address})")
    return "\n\n".join(parts)


def _section(hass: HomeAssistant, heading: str, lines: Iterable[str]) -> str:
    items = "\n".join(f"- {line}" for line in lines)
    return f"### {text(hass, heading)}\n\n{items}" if items else ""


def _proof(hass: HomeAssistant, offer: Offer) -> Iterator[str]:
    values = {"vendor": offer.vendor or "?", "key": grouped(offer.key_id)}
    yield text(hass, f"trust_{offer.trust}", values)
    if offer.trust is not Trust.VENDOR:
        name, _, digits = offer.digest.rpartition(":")
        yield text(hass, "proof_digest", {"algorithm": _ALGORITHMS.get(name, "SHA-256"), "digest": grouped(digits)})
    if offer.issued is not None:
        yield text(hass, "proof_issued", {"date": dt_util.as_local(offer.issued).date().isoformat()})
    if offer.expires is not None:
        yield text(hass, "proof_expires", {"date": dt_util.as_local(offer.expires).date().isoformat()})


def _risk(hass: HomeAssistant, device: Device, release: Release) -> Iterator[str]:
    if release.dual_bank or device.slots > 1:
        yield text(hass, "risk_two_slots")
    elif release.rollback_to:
        yield text(hass, "risk_rollback", {"versions": ", ".join(release.rollback_to)})
    elif release.revertible:
        yield text(hass, "risk_revertible")
    else:
        yield text(hass, "risk_final")
    if release.regulated:
        yield text(hass, "risk_regulated")
    if device.battery_powered:
        yield text(hass, "risk_battery")


def _cost(hass: HomeAssistant, family: Capabilities, release: Release) -> Iterator[str]:
    yield text(hass, "cost_when")
    if release.install_minutes is not None:
        yield text(hass, "cost_minutes", {"minutes": str(release.install_minutes)})
    else:
        yield text(hass, "cost_unknown" if family.default_minutes < _LONG_MINUTES else "cost_long")
    yield text(hass, "cost_first_alone")


def _family(hass: HomeAssistant, family: Capabilities, offer: Offer) -> Iterator[str]:
    """Yield what this kind of device can do, and what it cannot."""
    yield text(hass, "family_progress" if family.reports_progress else "family_no_progress")
    yield text(hass, "family_reasons" if family.reports_failure else "family_no_reasons")
    if family.needs_plain_http and not offer.vendor_chooses:
        yield text(hass, "family_plain_http")
    if family.looks_up and not offer.vendor_chooses:
        yield text(hass, "family_looks_up")
