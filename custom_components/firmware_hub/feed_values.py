"""What is right in the form of a vendor feed, and what is kept of it."""

import re
from collections.abc import Callable, Mapping
from typing import Any, Final
from urllib.parse import quote

from homeassistant.const import CONF_MODEL

from .const import (
    CONF_AUTHORITY,
    CONF_FILE,
    CONF_FILES_URL,
    CONF_HARDWARE,
    CONF_KEYS,
    CONF_KIND,
    CONF_PRERELEASES,
    CONF_REPOSITORY,
    CONF_ROOT,
    CONF_TITLE,
    CONF_URL,
    CONF_VARIANT,
    CONF_VENDOR,
    KIND_ESPHOME,
    KIND_GITHUB,
    KIND_TUF,
)
from .core.errors import HubError
from .core.keys import read_keys
from .forms import authority_value, url_error
from .tuf_root import read_root

type Values = dict[str, Any]
type Faults = dict[str, str]

MAX_TEXT: Final = 100
_GITHUB: Final = "https://api.github.com/repos/{}/releases?per_page=10"
_REPOSITORY: Final = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9-]{0,38})/[A-Za-z0-9._-]{1,100}", re.ASCII)
_FILE: Final = re.compile(r"[A-Za-z0-9{][A-Za-z0-9._+{}-]{0,99}", re.ASCII)
_PLACES: Final = frozenset({"version", "tag"})


def repository_of(url: str) -> str:
    """Return the repository of which this is the list of releases."""
    start, _, end = _GITHUB.partition("{}")
    return url.removeprefix(start).removesuffix(end) if url.startswith(start) else ""


# --- each form --------------------------------------------------------------------------------------------------------


def _signed(given: Mapping[str, Any]) -> tuple[Values, Faults]:
    data, errors = _texts(given, CONF_URL, CONF_VENDOR, CONF_TITLE)
    _check_url(data, errors, CONF_URL)
    _check_names(data, errors, CONF_VENDOR)
    try:
        data[CONF_KEYS] = list(read_keys(given[CONF_KEYS]))
    except HubError as error:
        errors[CONF_KEYS] = f"key_{error.reason}"
    _check_authority(given, data, errors)
    return _titled(data, CONF_VENDOR), errors


def _tuf(given: Mapping[str, Any]) -> tuple[Values, Faults]:
    data, errors = _texts(given, CONF_URL, CONF_FILES_URL, CONF_TITLE)
    _check_url(data, errors, CONF_URL)
    if data[CONF_FILES_URL]:
        _check_url(data, errors, CONF_FILES_URL)
    _check_names(data, errors, CONF_TITLE)
    try:
        data[CONF_ROOT] = read_root(given[CONF_ROOT])
    except HubError as error:
        errors[CONF_ROOT] = f"root_{error.reason}"
    _check_authority(given, data, errors)
    return data | {CONF_KIND: KIND_TUF}, errors


def _zigbee(given: Mapping[str, Any]) -> tuple[Values, Faults]:
    data, errors = _texts(given, CONF_URL, CONF_TITLE)
    _check_url(data, errors, CONF_URL)
    _check_names(data, errors, CONF_TITLE)
    _check_authority(given, data, errors)
    return data | {CONF_KIND: given[CONF_KIND]}, errors


def _esphome(given: Mapping[str, Any]) -> tuple[Values, Faults]:
    data, errors = _texts(given, CONF_URL, CONF_VENDOR, CONF_MODEL, CONF_VARIANT, CONF_TITLE)
    _check_url(data, errors, CONF_URL)
    _check_names(data, errors, CONF_VENDOR, CONF_MODEL)
    _check_authority(given, data, errors)
    return _titled(data | {CONF_KIND: KIND_ESPHOME}, CONF_MODEL), errors


def _github(given: Mapping[str, Any]) -> tuple[Values, Faults]:
    data, errors = _texts(given, CONF_VENDOR, CONF_MODEL, CONF_HARDWARE, CONF_VARIANT, CONF_FILE, CONF_TITLE)
    repository = given[CONF_REPOSITORY].strip().removeprefix("https://github.com/").removesuffix("/")
    if not _REPOSITORY.fullmatch(repository):
        errors[CONF_REPOSITORY] = "no_repository"
    if not _FILE.fullmatch(data[CONF_FILE]) or set(re.findall(r"{([^}]*)}?", data[CONF_FILE])) - _PLACES:
        errors[CONF_FILE] = "no_file_name"
    _check_names(data, errors, CONF_VENDOR, CONF_MODEL)
    data |= {CONF_KIND: KIND_GITHUB, CONF_URL: _GITHUB.format(quote(repository))}
    return _titled(data | {CONF_PRERELEASES: given[CONF_PRERELEASES]}, CONF_MODEL), errors


CHECKS: Final[Mapping[str, Callable[[Mapping[str, Any]], tuple[Values, Faults]]]] = {
    "signed": _signed,
    "tuf": _tuf,
    "zigbee": _zigbee,
    "esphome": _esphome,
    "github": _github,
}
"""For each form: what is kept of what was given, with its title, and what is wrong with it."""


def _texts(given: Mapping[str, Any], *keys: str) -> tuple[Values, Faults]:
    return {key: given.get(key, "").strip() for key in keys}, {}


def _titled(data: Values, otherwise: str) -> Values:
    return data | {CONF_TITLE: data[CONF_TITLE][:MAX_TEXT] or data[otherwise]}


def _check_url(data: Values, errors: Faults, key: str) -> None:
    if (fault := url_error(data[key])) is not None:
        errors[key] = fault


def _check_authority(given: Mapping[str, Any], data: Values, errors: Faults) -> None:
    kept, fault = authority_value(given.get(CONF_AUTHORITY, ""), data[CONF_URL], data.get(CONF_FILES_URL, ""))
    if fault is not None:
        errors[CONF_AUTHORITY] = fault
    elif kept:
        data[CONF_AUTHORITY] = kept


def _check_names(data: Values, errors: Faults, *keys: str) -> None:
    for key in keys:
        if not data[key] or len(data[key]) > MAX_TEXT:
            errors[key] = {CONF_VENDOR: "no_vendor", CONF_MODEL: "no_model"}.get(key, "no_title")
