"""Bringing the files of an install: from where its feed may point, and only what fits its device."""

import hashlib
from dataclasses import replace
from pathlib import Path

import pytest
from homeassistant.core import HomeAssistant

from custom_components.firmware_hub.artifact_server import async_get_server
from custom_components.firmware_hub.core.errors import HubError, OutsideFailed, Reason
from custom_components.firmware_hub.core.model import Artifact, ArtifactFormat, Device, Feed, Install
from custom_components.firmware_hub.delivery import Delivery
from custom_components.firmware_hub.download import Downloader
from simulator.certificates import Authority
from simulator.images import Image
from simulator.vendor import HOST
from tests.core.builders import device, install, offer
from tests.core.statements import release

from .conftest import IMAGE, Vendor, a_feed, answer, artifact

BOILER = device(dialect="tasmota", manufacturer="Tasmota", model="ESP32-C3", variant="tasmota32")
C3, ESP32 = Image("Tasmota", "ESP32-C3", "15.1.0"), Image("Tasmota", "ESP32", "15.1.0")
ESP8266 = Image("Tasmota", "ESP8266", "15.1.0")


@pytest.fixture
def delivery(hass: HomeAssistant, downloader: Downloader) -> Delivery:
    return Delivery(downloader, async_get_server(hass), hass.async_add_executor_job, lambda: ("", ""))


def _feed(vendor: Vendor, authority: str = "") -> Feed:
    return a_feed(vendor.url("/feed"), authority=authority)


def _wanting(item: Artifact) -> Install:
    return install(offer=offer(release(artifacts=(item,))))


async def _refused(delivery: Delivery, item: Artifact, feed: Feed | None, target: Device) -> Reason | None:
    try:
        await delivery.async_bring(_wanting(item), target, [item], feed)
    except HubError as refused:
        return refused.reason
    return None


async def test_what_a_feed_that_is_gone_has_named_is_not_fetched(delivery: Delivery, vendor: Vendor) -> None:
    vendor.answers["/plug.bin"] = answer("200 OK", IMAGE)
    assert await _refused(delivery, artifact(vendor.url()), None, device()) is Reason.OFFER_WITHDRAWN
    assert vendor.requests == []


async def test_what_was_fetched_before_the_feed_was_gone_is_still_there(delivery: Delivery, vendor: Vendor) -> None:
    vendor.answers["/plug.bin"] = answer("200 OK", IMAGE)
    assert await _refused(delivery, artifact(vendor.url()), _feed(vendor), device()) is None
    vendor.answers.clear()
    assert await _refused(delivery, artifact(vendor.url()), None, device()) is None


async def test_a_damaged_file_of_a_feed_that_is_gone_is_not_fetched_anew(
    delivery: Delivery, vendor: Vendor, folder: Path
) -> None:
    vendor.answers["/plug.bin"] = answer("200 OK", IMAGE)
    await _refused(delivery, artifact(vendor.url()), _feed(vendor), device())
    (folder / hashlib.sha256(IMAGE).hexdigest()).write_bytes(b"damaged")
    assert await _refused(delivery, artifact(vendor.url()), None, device()) is Reason.OFFER_WITHDRAWN
    assert len(vendor.requests) == 1


@pytest.mark.parametrize("pin", ["", "../../../etc/passwd"], ids=["none", "a path"])
async def test_what_has_no_digest_is_never_found(delivery: Delivery, vendor: Vendor, pin: str) -> None:
    item = artifact(vendor.url(), sha256=pin)
    assert await _refused(delivery, item, None, device()) is Reason.OFFER_WITHDRAWN


async def test_the_authority_of_a_feed_goes_for_its_files_as_well(delivery: Delivery) -> None:
    own = Authority()
    vendor = Vendor()
    await vendor.start(own.for_server(HOST).server_context())
    vendor.answers["/plug.bin"] = answer("200 OK", IMAGE)
    item = artifact(vendor.url("/plug.bin", "https"))
    without = await _refused(delivery, item, _feed(vendor), device())
    with_it = await _refused(delivery, item, _feed(vendor, own.pem), device())
    await vendor.stop()
    assert (without, with_it) == (Reason.TLS_FAILED, None)


@pytest.mark.parametrize(
    ("content", "form", "reason"),
    [
        (C3.build("esp"), ArtifactFormat.ESP, None),
        (ESP32.build("esp"), ArtifactFormat.ESP, Reason.WRONG_HARDWARE),
        (ESP32.build("esp"), ArtifactFormat.RAW, Reason.WRONG_HARDWARE),
        (ESP8266.build("esp-gzip"), ArtifactFormat.ESP_GZIP, Reason.WRONG_HARDWARE),
        (C3.build("esp-gzip"), ArtifactFormat.ESP_GZIP, Reason.WRONG_HARDWARE),
        (C3.build("esp")[:-40], ArtifactFormat.ESP, Reason.SIZE_MISMATCH),
        (C3.build("raw"), ArtifactFormat.ESP, Reason.NOT_FIRMWARE),
    ],
    ids=["right", "chip", "chip, called raw", "packed, chip", "packed", "cut off", "something else"],
)
async def test_an_image_that_its_device_cannot_run_is_refused_before_it_is_served(
    delivery: Delivery, vendor: Vendor, content: bytes, form: ArtifactFormat, reason: Reason | None
) -> None:
    vendor.answers["/plug.bin"] = answer("200 OK", content)
    item = replace(artifact(vendor.url(), content), format=form)
    assert await _refused(delivery, item, _feed(vendor), BOILER) is reason
    if reason is not None:
        with pytest.raises(OutsideFailed):
            await delivery.async_serve(_wanting(item).id, {"t.bin": item}, b"")
