"""Is the very release that was approved still published (invariant 1)?"""

from __future__ import annotations

from .feeds import Feeds
from .matching import why_not_installable
from .model import Device, FitKey, Install, Offer


def still_published(install: Install, device: Device, feeds: Feeds) -> Offer | None:
    """Return what was approved as its feed names it now: same version, same digest. Never raises."""
    offer = feeds.catalogue.release(_approved_key(device, install), install.offer.version)
    if offer is None or offer.digest != install.offer.digest or why_not_installable(offer) is not None:
        return None
    return offer


def _approved_key(device: Device, install: Install) -> FitKey:
    """Return the fit key that was approved: a device in a helper image is still the device that it was."""
    identity = install.identity
    return device.fit_key._replace(
        manufacturer=identity.manufacturer,
        model=identity.model,
        hardware=identity.hardware,
        variant=identity.variant,
        version=install.from_version,
        offered=install.offer.version if install.offer.vendor_chooses else device.fit_key.offered,
    )
