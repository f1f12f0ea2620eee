"""What people read: in Home Assistant's language, with every place filled, and nothing foreign that acts."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from homeassistant.core import HomeAssistant
from homeassistant.exceptions import HomeAssistantError, ServiceValidationError
from homeassistant.helpers.translation import async_get_translations
from homeassistant.util import dt as dt_util

from custom_components.firmware_hub import words
from custom_components.firmware_hub.const import DOMAIN
from custom_components.firmware_hub.core.errors import BadInput, OutsideFailed, Reason, Refused
from custom_components.firmware_hub.core.model import (
    Approval,
    Artifact,
    ArtifactRole,
    Device,
    Install,
    InstallState,
    Match,
    Offer,
    Release,
    Trust,
)
from custom_components.firmware_hub.core.rollout import has_failed
from custom_components.firmware_hub.core.view import DeviceView
from custom_components.firmware_hub.release_notes import release_notes

NOW = dt_util.utcnow()
RELEASE = Release(
    Match("Acme", ("PLUG-S1",)), "1.1.0", (Artifact(ArtifactRole.MAIN, "p.bin", "https://a/p.bin", 9, "ab" * 32),)
)
OFFER = Offer(RELEASE, "feed1", Trust.SIGNED, "Acme", "THUMB", NOW, NOW + timedelta(days=30))
DEVICE = Device("open:plug-1", "open", "Hall lamp", "Acme", "PLUG-S1", version="1.0.0")
INSTALL = Install("i1", DEVICE.id, OFFER, Approval("me", NOW, NOW), DEVICE.identity, "1.0.0", InstallState.APPROVED)
VIEW = DeviceView(DEVICE, "1.0.0", "1.1.0", OFFER, None, None, InstallState.AWAITING_APPROVAL, None)


@pytest.fixture(autouse=True)
async def _texts_are_loaded(hass: HomeAssistant) -> None:
    await async_get_translations(hass, "en", "common", {DOMAIN})
    hass.config.components.add(DOMAIN)


def view(install: Install, reason: Reason | None = None, **changes: object) -> DeviceView:
    """Return what is shown of an install."""
    return replace(VIEW, install=install, state=install.state, reason=reason, **changes)  # type: ignore[arg-type]


# --- titles ----------------------------------------------------------------------------------------------------------


def test_an_offer_has_the_make_as_its_title(hass: HomeAssistant) -> None:
    assert words.title(hass, VIEW) == "Acme PLUG-S1"


def test_what_happens_comes_before_the_make(hass: HomeAssistant) -> None:
    assert words.title(hass, view(INSTALL, Reason.PAUSED)) == "Approved: updates are paused · Acme PLUG-S1"


def test_a_device_of_no_make_is_called_by_its_name(hass: HomeAssistant) -> None:
    assert words.title(hass, replace(VIEW, device=replace(DEVICE, manufacturer="", model=""))) == "Hall lamp"


def test_a_device_without_a_name_is_called_by_its_make(hass: HomeAssistant) -> None:
    assert words.device_name(replace(DEVICE, name="")) == "Acme PLUG-S1"
    bare = replace(DEVICE, name="", manufacturer="", model="")
    assert words.title(hass, replace(VIEW, device=bare)) == words.device_name(bare) == "open:plug-1"


@pytest.mark.parametrize(
    ("reason", "values", "said"),
    [
        (None, {}, "Approved"),
        (Reason.LOW_BATTERY, {"percent": "31", "needed": "50"}, "Approved: battery 31 %, needs 50 %"),
        (Reason.LOW_BATTERY, {}, "Approved: battery ? %, needs ? %"),
        (Reason.PAUSED, {}, "Approved: updates are paused"),
        (Reason.WAITS_FOR_PILOT, {}, "Approved: waits for the first device of its model"),
        (
            Reason.WEAK_KEY,
            {},
            "Approved: The key is too weak: signatures made with it can be forged. Ask the maker for",
        ),
    ],
)
def test_a_wait_says_why(hass: HomeAssistant, reason: Reason | None, values: dict[str, str], said: str) -> None:
    shown = words.live_words(hass, view(INSTALL, reason, reason_values=values))
    assert shown.startswith(said)


def test_a_start_that_is_soon_is_an_hour(hass: HomeAssistant) -> None:
    starts = dt_util.utcnow() + timedelta(hours=2)
    shown = words.live_words(hass, view(INSTALL, Reason.WAITS_FOR_WINDOW, starts_at=starts))
    assert shown == f"Approved, starts after {dt_util.as_local(starts):%H:%M}"


def test_a_start_on_another_day_has_its_date(hass: HomeAssistant) -> None:
    starts = dt_util.utcnow() + timedelta(days=3)
    shown = words.live_words(hass, view(INSTALL, Reason.WAITS_FOR_WINDOW, starts_at=starts))
    assert shown == f"Approved, starts after {dt_util.as_local(starts):%Y-%m-%d %H:%M}"


@pytest.mark.parametrize("state", [state for state in InstallState if state.is_active])
def test_whatever_runs_has_words(hass: HomeAssistant, state: InstallState) -> None:
    shown = words.live_words(hass, view(replace(INSTALL, state=state)))
    assert shown
    assert "live_" not in shown


def test_a_failed_try_is_remembered_while_there_is_an_offer(hass: HomeAssistant) -> None:
    last = replace(INSTALL, state=InstallState.FAILED)
    assert words.live_words(hass, replace(VIEW, last=last)) == "The last try failed"
    dark = replace(last, state=InstallState.TIMED_OUT)
    assert words.live_words(hass, replace(VIEW, last=dark)) == "Not working since the last try"
    assert words.live_words(hass, replace(VIEW, last=last, offer=None)) == ""
    assert words.live_words(hass, replace(VIEW, last=replace(last, state=InstallState.SUCCEEDED))) == ""


@pytest.mark.parametrize("state", [None, *InstallState])
def test_every_state_has_words(hass: HomeAssistant, state: InstallState | None) -> None:
    shown = words.state_words(hass, state)
    assert shown[0].isupper()


# --- outcomes --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("state", [state for state in InstallState if state.is_end])
def test_every_end_has_a_title_that_names_the_device(hass: HomeAssistant, state: InstallState) -> None:
    told = words.outcome(hass, replace(INSTALL, state=state), "Hall lamp")
    assert str(told["title"]).startswith("Hall lamp")
    assert told["failed"] is has_failed(replace(INSTALL, state=state))
    assert bool(told["next_step"]) is told["failed"]


@pytest.mark.parametrize(
    ("state", "reason", "said"),
    [
        (InstallState.FAILED, Reason.CAME_BACK_OLD, "the device works"),
        (InstallState.ROLLED_BACK, Reason.SELF_ROLLBACK, "the device works"),
        (InstallState.TIMED_OUT, Reason.NO_RETURN, "not working"),
        (InstallState.FAILED, Reason.STUCK_IN_HELPER, "not working"),
        (InstallState.FAILED, Reason.SETTINGS_LOST, "not working"),
        (InstallState.ROLLBACK_FAILED, Reason.ROLLBACK_LOST, "not working"),
    ],
)
def test_the_title_says_whether_the_device_works(
    hass: HomeAssistant, state: InstallState, reason: Reason, said: str
) -> None:
    told = words.outcome(hass, replace(INSTALL, state=state, reason=reason), "Hall lamp")
    assert said in str(told["title"])


def test_some_ends_have_advice_of_their_own(hass: HomeAssistant) -> None:
    special = words.advice(hass, Reason.SETTINGS_LOST, works=False)
    assert special not in {words.advice(hass, None, works=False), words.advice(hass, None, works=True)}


# --- errors ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("reason", Reason)
def test_every_reason_is_a_sentence_without_open_places(hass: HomeAssistant, reason: Reason) -> None:
    said = words.sentence(hass, reason, {})
    assert said.endswith((".", "?"))
    assert "{" not in said
    assert len(said) > 15
    assert str(words.as_ha_error(Refused(reason, "x")))[0].isupper()


def test_no_reason_is_no_sentence(hass: HomeAssistant) -> None:
    assert words.sentence(hass, None) == ""


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (Refused(Reason.NO_OFFER), ServiceValidationError),
        (BadInput(Reason.MALFORMED), ServiceValidationError),
        (OutsideFailed(Reason.DISK_FULL), HomeAssistantError),
    ],
)
def test_blame_decides_the_kind_of_error(
    hass: HomeAssistant, error: BadInput | Refused | OutsideFailed, kind: type[HomeAssistantError]
) -> None:
    shown = words.as_ha_error(error)
    assert type(shown) is kind
    assert (shown.translation_domain, shown.translation_key) == (DOMAIN, error.reason.value)


def test_foreign_detail_in_an_error_is_harmless(hass: HomeAssistant) -> None:
    shown = str(words.as_ha_error(Refused(Reason.NOT_CURRENT_OFFER, "<img src=x>{0}")))
    assert "<img" not in shown


def test_an_unknown_word_shows_its_key(hass: HomeAssistant) -> None:
    assert words.text(hass, "no_such_word") == "no_such_word"


# --- notes -----------------------------------------------------------------------------------------------------------


def notes(hass: HomeAssistant, offer: Offer, **device: object) -> str:
    """Return the text of the dialog for an offer."""
    shown = release_notes(hass, replace(VIEW, offer=offer, device=replace(DEVICE, **device)))  # type: ignore[arg-type]
    assert shown is not None
    return shown


def test_no_notes_are_said_to_be_none(hass: HomeAssistant) -> None:
    assert "The maker gives no notes." in notes(hass, OFFER)


@pytest.mark.parametrize(
    ("trust", "said"),
    [
        (Trust.SIGNED, "Signed by **Acme** with the key `THUMB`"),
        (Trust.DIGEST, "Not signed."),
        (Trust.VENDOR, "the hub cannot check what will be installed"),
    ],
)
def test_the_proof_says_how_far_it_goes(hass: HomeAssistant, trust: Trust, said: str) -> None:
    shown = notes(hass, replace(OFFER, trust=trust))
    assert said in shown
    assert ("checksum: `abababab abababab " in shown) is (trust is not Trust.VENDOR)


@pytest.mark.parametrize(
    ("digest", "said"),
    [
        ({}, "SHA-256 checksum: `abababab "),
        ({"sha256": "", "checksum": "sha512:" + "cd" * 64}, "SHA-512 checksum: `cdcdcdcd "),
        ({"sha256": "", "checksum": "sha3-256:" + "ef" * 32}, "SHA3-256 checksum: `efefefef "),
    ],
)
def test_a_checksum_says_of_which_kind_it_is(hass: HomeAssistant, digest: dict[str, Any], said: str) -> None:
    artifact = replace(RELEASE.main, **digest)
    assert said in notes(hass, replace(OFFER, release=replace(RELEASE, artifacts=(artifact,))))


def test_a_whole_checksum_is_shown(hass: HomeAssistant) -> None:
    artifact = replace(RELEASE.main, sha256="", checksum="sha512:" + "cd" * 64)
    shown = notes(hass, replace(OFFER, release=replace(RELEASE, artifacts=(artifact,))))
    assert f"`{' '.join(['cd' * 4] * 16)}`" in shown


@pytest.mark.parametrize(
    ("release", "said"),
    [
        ({"kind": "security"}, "**Fixes security problems**\n"),
        ({"kind": "security", "severity": "high"}, "**Fixes security problems** (severity high)\n"),
        (
            {"severity": "high", "cves": ("CVE-2026-0001", "CVE-2026-0002")},
            "**Fixes security problems** (severity high, CVE-2026-0001, CVE-2026-0002)\n",
        ),
    ],
)
def test_a_security_fix_is_said_first(hass: HomeAssistant, release: dict[str, object], said: str) -> None:
    changed = replace(RELEASE, **release)  # type: ignore[arg-type]
    assert notes(hass, replace(OFFER, release=changed)).startswith(said)


def test_a_severity_alone_is_no_security_fix(hass: HomeAssistant) -> None:
    assert "security" not in notes(hass, replace(OFFER, release=replace(RELEASE, severity="low")))


@pytest.mark.parametrize(
    ("release", "device", "said"),
    [
        ({}, {}, "Cannot be undone"),
        ({"dual_bank": True}, {}, "keeps the old version"),
        ({}, {"slots": 2}, "keeps the old version"),
        ({"rollback_to": ("1.0.0",)}, {}, "permits going back to 1.0.0"),
        ({"revertible": True}, {}, "says that it can be undone"),
        ({"regulated": True}, {}, "regulated"),
        ({}, {"battery_powered": True}, "Runs on a battery"),
        ({"install_minutes": 4}, {}, "About 4 min"),
        ({}, {}, "A few minutes"),
        ({}, {"dialect": "zigbee2mqtt"}, "several hours"),
        ({"install_minutes": 4}, {"dialect": "zigbee2mqtt"}, "About 4 min"),
        ({}, {}, "*Update* approves it"),
    ],
)
def test_the_risk_and_the_cost(
    hass: HomeAssistant, release: dict[str, object], device: dict[str, object], said: str
) -> None:
    offer = replace(OFFER, release=replace(RELEASE, **release))  # type: ignore[arg-type]
    assert said in notes(hass, offer, **device)


@pytest.mark.parametrize(
    ("dialect", "said"),
    [
        ("zigbee2mqtt", ["Shows how far it is while it installs.", "Says why if it fails."]),
        ("tasmota", ["Says nothing while it installs", "Loads its file from the hub without encryption"]),
        ("esphome", ["Does not say why if it fails.", "Looks for updates by itself"]),
    ],
)
def test_what_this_kind_of_device_can_do(hass: HomeAssistant, dialect: str, said: list[str]) -> None:
    shown = notes(hass, OFFER, dialect=dialect)
    assert all(line in shown for line in said)


def test_of_what_a_vendor_serves_nothing_is_said_that_only_the_hub_does(hass: HomeAssistant) -> None:
    shown = notes(hass, replace(OFFER, trust=Trust.VENDOR), dialect="esphome")
    assert "Looks for updates by itself" not in shown


def test_very_long_notes_leave_room_for_the_proof(hass: HomeAssistant) -> None:
    many = tuple((f"1.0.{number}", "word " * 2000) for number in range(9, 0, -1))
    shown = notes(hass, replace(OFFER, notes=many))
    assert len(shown) < 16_000
    assert "Older notes are left out here." in shown
    assert "Who vouches for it" in shown


def test_without_dates_none_are_shown(hass: HomeAssistant) -> None:
    shown = notes(hass, replace(OFFER, issued=None, expires=None))
    assert "Stated on" not in shown
    assert "Good until" not in shown


def test_a_failed_try_comes_first(hass: HomeAssistant) -> None:
    last = replace(INSTALL, state=InstallState.FAILED, reason=Reason.CAME_BACK_OLD)
    shown = release_notes(hass, replace(VIEW, last=last))
    assert shown is not None
    assert shown.startswith("**Hall lamp: the update to 1.1.0 failed, the device works**")


def test_a_success_before_is_not_told_again(hass: HomeAssistant) -> None:
    shown = release_notes(hass, replace(VIEW, last=replace(INSTALL, state=InstallState.SUCCEEDED)))
    assert shown is not None
    assert not shown.startswith("**")


def test_a_running_install_shows_what_it_installs(hass: HomeAssistant) -> None:
    shown = release_notes(hass, replace(view(replace(INSTALL, state=InstallState.INSTALLING)), offer=None))
    assert shown is not None
    assert "### 1.1.0" in shown
