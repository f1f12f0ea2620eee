"""Says of a file that somebody downloaded by another way which release it is, or why it should not be trusted."""

from pathlib import Path
from typing import Any, Final

from homeassistant.core import HomeAssistant
from homeassistant.exceptions import ServiceValidationError
from homeassistant.util import dt as dt_util

from .const import DOMAIN
from .coordinator import FirmwareHubConfigEntry
from .core.errors import HubError
from .core.packages import Named, Package, identify
from .markdown import plain, plain_values
from .package_file import measure
from .words import as_ha_error, local_iso, sentence

_LIMIT: Final = 20
"""Places in the answer; a file that is named more often says nothing more by it."""


async def async_verify(hass: HomeAssistant, entry: FirmwareHubConfigEntry, path: str) -> dict[str, Any]:
    """Measure a file and answer for the feeds of one hub."""
    try:
        package = await hass.async_add_executor_job(_measure, hass, path)
    except (OSError, ValueError) as error:
        places = {"path": plain(path)}
        raise ServiceValidationError(
            translation_domain=DOMAIN, translation_key="file_unreadable", translation_placeholders=places
        ) from error
    except HubError as error:
        raise as_ha_error(error) from error
    hub, trusted = entry.runtime_data.hub, entry.runtime_data.hub_view().clock_trusted
    manifests = [state.manifest for state in hub.feeds.states.values() if state.manifest is not None]
    answer = identify(package, manifests, dt_util.utcnow(), clock_trusted=trusted)
    return {
        "verified": answer.reason is None,
        "trust": answer.named[0].manifest.trust.value if answer.named else None,
        "reason": answer.reason.value if answer.reason else None,
        "reason_text": sentence(hass, answer.reason) or None,
        "file": {"name": plain(package.name), "size": package.size, "sha256": package.sha256},
        "releases": [_release(entry, named) for named in answer.named[:_LIMIT]],
        "alike": [_release(entry, named) for named in answer.alike[:_LIMIT]],
    }


def _measure(hass: HomeAssistant, path: str) -> Package:
    resolved = Path(path).resolve()
    if not hass.config.is_allowed_path(str(resolved)):
        raise ServiceValidationError(
            translation_domain=DOMAIN,
            translation_key="path_not_allowed",
            translation_placeholders={"path": plain(path)},
        )
    return measure(resolved)


def _release(entry: FirmwareHubConfigEntry, named: Named) -> dict[str, Any]:
    """Describe a release that names a file; all of its texts are the maker's."""
    manifest, match = named.manifest, named.release.match
    told: dict[str, Any] = plain_values(
        {
            "feed": entry.runtime_data.hub.feeds.states[manifest.feed_id].feed.title,
            "trust": manifest.trust.value,
            "vendor": manifest.vendor,
            "key": manifest.key_id or None,
            "sequence": manifest.sequence,
            "issued": local_iso(manifest.issued),
            "expires": local_iso(manifest.expires),
            "manufacturer": match.manufacturer,
            "models": list(match.model),
            "image_type": match.image_type or None,
            "hardware": list(match.hardware),
            "variant": match.variant or None,
            "min_version": match.min_version or None,
            "max_version": match.max_version or None,
            "version": named.release.version,
            "delivery": named.release.delivery.value,
            "role": named.artifact.role.value,
            "name": named.artifact.name,
            "size": named.artifact.size or None,
            "digest": named.artifact.pin or None,
            "reason": named.fault.value if named.fault else None,
            "withdrawn": named.withdrawn.reason if named.withdrawn else None,
        }
    )
    return told
