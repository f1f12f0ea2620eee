"""What the owner set, read from the config entry into the words of the core."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import time, timedelta
from typing import Any, Final
from urllib.parse import urlsplit

from homeassistant.config_entries import ConfigEntry
from homeassistant.const import CONF_HOST, CONF_MODEL, CONF_PASSWORD, CONF_PATH, CONF_PROTOCOL, CONF_USERNAME
from homeassistant.core import HomeAssistant
from homeassistant.util import dt as dt_util, slugify

from .const import (
    CONF_ADDRESS,
    CONF_ANY_TIME,
    CONF_AUTHORITY,
    CONF_CERTIFICATE,
    CONF_ENCRYPTION,
    CONF_FILE,
    CONF_FILES_URL,
    CONF_FRAMING,
    CONF_HARDWARE,
    CONF_KEY,
    CONF_KEYS,
    CONF_KIND,
    CONF_PARALLEL_INSTALLS,
    CONF_PAUSED,
    CONF_PORT,
    CONF_PRERELEASES,
    CONF_PUBLIC_SOURCES,
    CONF_REACHED_BY,
    CONF_ROOT,
    CONF_SERVING,
    CONF_SETTLE_MINUTES,
    CONF_TLS,
    CONF_URL,
    CONF_VARIANT,
    CONF_VENDOR,
    CONF_WEEKDAYS,
    CONF_WINDOW_END,
    CONF_WINDOW_START,
    KIND_ESPHOME,
    KIND_GITHUB,
    KIND_SIGNED,
    SUBENTRY_FEED,
    WEEKDAYS,
)
from .core.model import Feed, Product
from .core.settings import Settings
from .sources import BY_NAME as SOURCES
from .sources.github_releases import GITHUB_HOSTS, TASMOTA_FEED
from .sources.shelly_index import SHELLY_FEED, SHELLY_GEN1_FEED
from .sources.zigbee_ota_index import ZIGBEE_OTA_FEED
from .transport.broker import PROTOCOLS, BrokerAddress

BUILT_IN_FEEDS: Final = (TASMOTA_FEED, SHELLY_FEED, SHELLY_GEN1_FEED, ZIGBEE_OTA_FEED)
"""Public sources that work without set-up (design section 5.3)."""

DEFAULTS: Final = Settings()


def enabled_key(feed: Feed) -> str:
    """Return the option that switches a built-in feed on or off."""
    return f"{slugify(feed.id)}_enabled"


def mirror_key(feed: Feed) -> str:
    """Return the option that holds the address of a built-in feed's mirror."""
    return f"{slugify(feed.id)}_mirror"


def authority_key(feed: Feed) -> str:
    """Return the option that holds the authority on whose word a built-in feed's servers are believed."""
    return f"{slugify(feed.id)}_authority"


def settings_from_entry(hass: HomeAssistant, entry: ConfigEntry[Any]) -> Settings:
    """Return the owner's settings, with the defaults for what was never set."""
    options = entry.options
    minutes = options.get(CONF_SETTLE_MINUTES)
    return Settings(
        zone=dt_util.get_time_zone(hass.config.time_zone) or dt_util.UTC,
        window_start=_wall_time(options.get(CONF_WINDOW_START), DEFAULTS.window_start),
        window_end=_wall_time(options.get(CONF_WINDOW_END), DEFAULTS.window_end),
        weekdays=frozenset(WEEKDAYS.index(day) for day in options.get(CONF_WEEKDAYS, WEEKDAYS)),
        parallel_installs=int(options.get(CONF_PARALLEL_INSTALLS, DEFAULTS.parallel_installs)),
        pilot_settle=DEFAULTS.pilot_settle if minutes is None else timedelta(minutes=int(minutes)),
        paused=bool(options.get(CONF_PAUSED, False)),
        any_time=frozenset(options.get(CONF_ANY_TIME, ())),
    )


def feeds_from_entry(entry: ConfigEntry[Any]) -> tuple[Feed, ...]:
    """Return the built-in feeds as the owner bent them, and the owner's own."""
    own = (
        feed_from_data(subentry.subentry_id, subentry.title, subentry.data)
        for subentry in entry.subentries.values()
        if subentry.subentry_type == SUBENTRY_FEED
    )
    return (*built_in_feeds(entry.options), *own)


def built_in_feeds(options: Mapping[str, Any]) -> tuple[Feed, ...]:
    """Return the built-in feeds with their switches, mirrors and authorities applied."""
    chosen: Mapping[str, Any] = options.get(CONF_PUBLIC_SOURCES, {})
    return tuple(
        replace(
            feed,
            url=str(chosen.get(mirror_key(feed)) or feed.url),
            # Where the files of a mirror are is its owner's choice.
            hosts=() if chosen.get(mirror_key(feed)) else feed.hosts,
            enabled=bool(chosen.get(enabled_key(feed), feed.enabled)),
            authority=str(chosen.get(authority_key(feed), "")),
        )
        for feed in BUILT_IN_FEEDS
    )


def feed_from_data(feed_id: str, title: str, data: Mapping[str, Any]) -> Feed:
    """Return the feed of a subentry."""
    kind = data.get(CONF_KIND, KIND_SIGNED)
    return Feed(
        id=feed_id,
        source=kind,
        title=title,
        url=data[CONF_URL],
        trust=SOURCES[kind].trust,
        vendor=data.get(CONF_VENDOR, ""),
        keys=tuple(data.get(CONF_KEYS, ())),
        product=_product(data) if kind in {KIND_ESPHOME, KIND_GITHUB} else None,
        root=data.get(CONF_ROOT, ""),
        files_url=data.get(CONF_FILES_URL, ""),
        authority=data.get(CONF_AUTHORITY, ""),
        hosts=GITHUB_HOSTS if kind == KIND_GITHUB and urlsplit(data[CONF_URL]).hostname in GITHUB_HOSTS else (),
    )


def _product(data: Mapping[str, Any]) -> Product:
    return Product(
        manufacturer=data[CONF_VENDOR],
        model=data[CONF_MODEL],
        hardware=data.get(CONF_HARDWARE, ""),
        variant=data.get(CONF_VARIANT, ""),
        file=data.get(CONF_FILE, ""),
        prereleases=data.get(CONF_PRERELEASES, False),
    )


def broker_address(data: Mapping[str, Any]) -> BrokerAddress:
    """Return where the broker of an entry is and how it lets the hub in."""
    secure: Mapping[str, Any] = data.get(CONF_ENCRYPTION, {})
    reached: Mapping[str, Any] = data.get(CONF_REACHED_BY, {})
    return BrokerAddress(
        data[CONF_HOST],
        data[CONF_PORT],
        protocol=data.get(CONF_PROTOCOL, PROTOCOLS[0]),
        framing=reached.get(CONF_FRAMING, "tcp"),
        path=reached.get(CONF_PATH, "/mqtt"),
        username=data.get(CONF_USERNAME, ""),
        password=data.get(CONF_PASSWORD, ""),
        tls=secure.get(CONF_TLS, False),
        authority=secure.get(CONF_AUTHORITY, ""),
        certificate=secure.get(CONF_CERTIFICATE, ""),
        key=secure.get(CONF_KEY, ""),
    )


def serving_address(entry: ConfigEntry[Any]) -> tuple[str, int]:
    """Return the address and port under which devices fetch artifacts; empty and 0 where the hub finds them itself."""
    serving: Mapping[str, Any] = entry.options.get(CONF_SERVING, {})
    return str(serving.get(CONF_ADDRESS, "")), int(serving.get(CONF_PORT, 0))


def _wall_time(text: str | None, default: time) -> time:
    return default if text is None else dt_util.parse_time(text) or default
