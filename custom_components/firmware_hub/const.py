"""Names that Home Assistant and this integration share."""

from typing import Final

from homeassistant.const import Platform

DOMAIN: Final = "firmware_hub"
TITLE: Final = "Firmware Hub"

PLATFORMS: Final = (Platform.UPDATE, Platform.SENSOR, Platform.EVENT, Platform.SWITCH, Platform.BUTTON)

EVENT_LIFECYCLE: Final = "firmware_hub_event"
"""Type of the bus event; docs/events.md describes its fields."""

# --- config entry ----------------------------------------------------------------------------------------------------
CONF_TRANSPORT: Final = "transport"
TRANSPORT_HA_MQTT: Final = "ha_mqtt"
TRANSPORT_BROKER: Final = "broker"
CONF_ENCRYPTION: Final = "encryption"
CONF_TLS: Final = "tls"
CONF_AUTHORITY: Final = "authority"
CONF_CERTIFICATE: Final = "certificate"
CONF_KEY: Final = "key"
CONF_REACHED_BY: Final = "reached_by"
CONF_FRAMING: Final = "framing"

# --- options ---------------------------------------------------------------------------------------------------------
CONF_WINDOW_START: Final = "window_start"
CONF_WINDOW_END: Final = "window_end"
CONF_WEEKDAYS: Final = "weekdays"
CONF_PARALLEL_INSTALLS: Final = "parallel_installs"
CONF_SETTLE_MINUTES: Final = "settle_minutes"
CONF_ANY_TIME: Final = "any_time"
CONF_PUBLIC_SOURCES: Final = "public_sources"
CONF_SERVING: Final = "serving"
CONF_ADDRESS: Final = "address"
CONF_PORT: Final = "port"
CONF_PAUSED: Final = "paused"

WEEKDAYS: Final = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")

# --- vendor feeds ----------------------------------------------------------------------------------------------------
SUBENTRY_FEED: Final = "feed"
CONF_TITLE: Final = "title"
CONF_URL: Final = "url"
CONF_VENDOR: Final = "vendor"
CONF_KEYS: Final = "keys"
CONF_KIND: Final = "kind"
CONF_ROOT: Final = "root"
CONF_FILES_URL: Final = "files_url"
CONF_REPOSITORY: Final = "repository"
CONF_HARDWARE: Final = "hardware"
CONF_VARIANT: Final = "variant"
CONF_FILE: Final = "file"
CONF_PRERELEASES: Final = "prereleases"

# The kinds of feed that an owner can add are the names of their sources.
KIND_SIGNED: Final = "signed_manifest"
KIND_TUF: Final = "tuf_repository"
KIND_ZIGBEE: Final = "zigbee_ota_index"
KIND_ZIGPY: Final = "zigpy_index"
KIND_ESPHOME: Final = "esphome_manifest"
KIND_GITHUB: Final = "github_releases"

# --- entities --------------------------------------------------------------------------------------------------------
KEY_FIRMWARE: Final = "firmware"
KEY_INSTALL_STATE: Final = "install_state"

DETAILS_OFF_FROM: Final = 200
"""From so many devices on, entities of a device other than `update` are there but switched off."""
