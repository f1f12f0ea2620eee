"""Adding and changing vendor feeds: a form for each kind, and fingerprints to compare where there are keys."""

from collections.abc import Mapping
from typing import Any, Final

import voluptuous as vol
from homeassistant.config_entries import SOURCE_USER, ConfigSubentryFlow, SubentryFlowResult
from homeassistant.const import CONF_MODEL
from homeassistant.helpers.selector import (
    BooleanSelector,
    SelectSelector,
    SelectSelectorConfig,
    SelectSelectorMode,
    TextSelector,
    TextSelectorConfig,
    TextSelectorType,
)

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
    KIND_SIGNED,
    KIND_TUF,
    KIND_ZIGBEE,
    KIND_ZIGPY,
    SUBENTRY_FEED,
)
from .core.keys import fingerprint
from .feed_values import CHECKS, Faults, Values, repository_of
from .markdown import grouped, plain
from .tuf_root import fingerprints_of

_STEPS: Final = {
    KIND_SIGNED: "signed",
    KIND_TUF: "tuf",
    KIND_ZIGBEE: "zigbee",
    KIND_ZIGPY: "zigbee",
    KIND_ESPHOME: "esphome",
    KIND_GITHUB: "github",
}
_URL: Final = TextSelector(TextSelectorConfig(type=TextSelectorType.URL))
_LINES: Final = TextSelector(TextSelectorConfig(multiline=True))
_FORMAT: Final = SelectSelector(
    SelectSelectorConfig(options=[KIND_ZIGBEE, KIND_ZIGPY], mode=SelectSelectorMode.LIST, translation_key=CONF_KIND)
)


class FeedSubentryFlow(ConfigSubentryFlow):
    """A vendor's feed: where it is, and what vouches for it."""

    def __init__(self) -> None:
        self._data: dict[str, Any] = {}

    async def async_step_user(self, _input: dict[str, Any] | None = None) -> SubentryFlowResult:
        """Ask which kind of feed."""
        return self.async_show_menu(step_id="user", menu_options=list(dict.fromkeys(_STEPS.values())))

    async def async_step_reconfigure(self, _input: dict[str, Any] | None = None) -> SubentryFlowResult:
        """Change a feed; its kind stays."""
        kind = self._get_reconfigure_subentry().data.get(CONF_KIND, KIND_SIGNED)
        return await self._async_ask(_STEPS[kind], None)

    async def async_step_signed(self, user_input: dict[str, Any] | None = None) -> SubentryFlowResult:
        """Ask for a signed manifest."""
        return await self._async_ask("signed", user_input)

    async def async_step_tuf(self, user_input: dict[str, Any] | None = None) -> SubentryFlowResult:
        """Ask for a TUF repository."""
        return await self._async_ask("tuf", user_input)

    async def async_step_zigbee(self, user_input: dict[str, Any] | None = None) -> SubentryFlowResult:
        """Ask for an index of Zigbee images."""
        return await self._async_ask("zigbee", user_input)

    async def async_step_esphome(self, user_input: dict[str, Any] | None = None) -> SubentryFlowResult:
        """Ask for a manifest of ESPHome."""
        return await self._async_ask("esphome", user_input)

    async def async_step_github(self, user_input: dict[str, Any] | None = None) -> SubentryFlowResult:
        """Ask for a repository on GitHub."""
        return await self._async_ask("github", user_input)

    async def async_step_confirm(self, user_input: dict[str, Any] | None = None) -> SubentryFlowResult:
        """Show the keys' fingerprints, so that the owner can compare them with what the vendor says."""
        if user_input is None:
            prints = fingerprints_of(self._data[CONF_ROOT]) if CONF_ROOT in self._data else self._prints()
            return self.async_show_form(
                step_id="confirm",
                data_schema=vol.Schema({}),
                description_placeholders={
                    "fingerprints": "\n".join(f"- `{grouped(one)}`" for one in prints),
                    "vendor": plain(self._data.get(CONF_VENDOR) or self._data[CONF_TITLE]),
                },
            )
        return self._done()

    def _prints(self) -> list[str]:
        return [fingerprint(key) for key in self._data[CONF_KEYS]]

    def _done(self) -> SubentryFlowResult:
        title = self._data.pop(CONF_TITLE)
        if self.source == SOURCE_USER:
            return self.async_create_entry(title=title, data=self._data, unique_id=self._data[CONF_URL])
        return self.async_update_and_abort(
            self._get_entry(),
            self._get_reconfigure_subentry(),
            title=title,
            data=self._data,
            unique_id=self._data[CONF_URL],
        )

    async def _async_ask(self, step_id: str, user_input: dict[str, Any] | None) -> SubentryFlowResult:
        errors: Faults = {}
        if user_input is not None:
            self._data, errors = CHECKS[step_id](user_input)
            if self._data.get(CONF_URL) in self._other_urls():
                errors.setdefault(CONF_REPOSITORY if step_id == "github" else CONF_URL, "already_added")
            if not errors and {CONF_KEYS, CONF_ROOT} & set(self._data):
                return await self.async_step_confirm()
            if not errors:
                return self._done()
        # A secret that was pasted by mistake is not sent back.
        secret = {key for key, fault in errors.items() if fault.endswith("private_key")}
        before = {key: value for key, value in (user_input or self._before()).items() if key not in secret}
        return self.async_show_form(step_id=step_id, data_schema=_schema(step_id, before), errors=errors)

    def _before(self) -> Values:
        """Return what the form proposes: nothing for a new feed."""
        if self.source == SOURCE_USER:
            return {}
        subentry = self._get_reconfigure_subentry()
        before = {**subentry.data, CONF_TITLE: subentry.title}
        if CONF_KEYS in before:
            # Stored keys as one text that can be pasted again.
            before[CONF_KEYS] = f"[{', '.join(before[CONF_KEYS])}]"
        return {**before, CONF_REPOSITORY: repository_of(before[CONF_URL])}

    def _other_urls(self) -> set[str]:
        changed = None if self.source == SOURCE_USER else self._get_reconfigure_subentry().subentry_id
        return {
            subentry.data[CONF_URL]
            for subentry in self._get_entry().subentries.values()
            if subentry.subentry_type == SUBENTRY_FEED and subentry.subentry_id != changed
        }


def _schema(step_id: str, before: Mapping[str, Any]) -> vol.Schema:
    fields: dict[Any, Any] = {}
    for key, selector, needed in _FIELDS[step_id]:
        marker = vol.Required if needed else vol.Optional
        if selector is _FORMAT or isinstance(selector, BooleanSelector):
            default = before.get(key, KIND_ZIGBEE if selector is _FORMAT else False)
            fields[marker(key, default=default)] = selector
        else:
            fields[marker(key, description={"suggested_value": before.get(key, "")})] = selector
    return vol.Schema(fields)


_FIELDS: Final[Mapping[str, tuple[tuple[str, Any, bool], ...]]] = {
    "signed": (
        (CONF_URL, _URL, True),
        (CONF_VENDOR, TextSelector(), True),
        (CONF_KEYS, _LINES, True),
        (CONF_AUTHORITY, _LINES, False),
        (CONF_TITLE, TextSelector(), False),
    ),
    "tuf": (
        (CONF_TITLE, TextSelector(), True),
        (CONF_URL, _URL, True),
        (CONF_FILES_URL, _URL, False),
        (CONF_ROOT, _LINES, True),
        (CONF_AUTHORITY, _LINES, False),
    ),
    "zigbee": (
        (CONF_TITLE, TextSelector(), True),
        (CONF_URL, _URL, True),
        (CONF_KIND, _FORMAT, True),
        (CONF_AUTHORITY, _LINES, False),
    ),
    "esphome": (
        (CONF_URL, _URL, True),
        (CONF_VENDOR, TextSelector(), True),
        (CONF_MODEL, TextSelector(), True),
        (CONF_VARIANT, TextSelector(), False),
        (CONF_AUTHORITY, _LINES, False),
        (CONF_TITLE, TextSelector(), False),
    ),
    "github": (
        (CONF_REPOSITORY, TextSelector(), True),
        (CONF_VENDOR, TextSelector(), True),
        (CONF_MODEL, TextSelector(), True),
        (CONF_HARDWARE, TextSelector(), False),
        (CONF_VARIANT, TextSelector(), False),
        (CONF_FILE, TextSelector(), True),
        (CONF_PRERELEASES, BooleanSelector(), True),
        (CONF_TITLE, TextSelector(), False),
    ),
}
