"""Feeds whose vendor has a certificate authority of its own: it is believed for them, alone, and for nobody else."""

import asyncio
import hashlib
import ssl
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path

import aiohttp
import pytest

from custom_components.firmware_hub.core.errors import OutsideFailed, Reason
from custom_components.firmware_hub.download import Downloader
from custom_components.firmware_hub.sources.base import FeedRequest
from simulator.certificates import Authority
from simulator.images import Image
from simulator.vendor import HOST, Vendor as RealVendor

from .conftest import IMAGE, QUICK, Vendor, a_feed, answer, artifact

OWN, OTHER = Authority("Acme's own"), Authority("Another maker's")


async def _started(authority: Authority, *hosts: str) -> Vendor:
    vendor = Vendor()
    await vendor.start(authority.for_server(*hosts).server_context())
    vendor.answers |= {"/feed": answer("200 OK", b"signed"), "/plug.bin": answer("200 OK", IMAGE)}
    return vendor


@pytest.fixture
async def secure() -> AsyncIterator[Vendor]:
    vendor = await _started(OWN, HOST, "localhost")
    yield vendor
    await vendor.stop()


async def _fetched(downloader: Downloader, url: str, authority: str = "") -> bytes | Reason:
    try:
        return (await downloader.async_fetch(FeedRequest(url), feed=a_feed(authority=authority))).body
    except OutsideFailed as failed:
        return failed.reason


async def _brought(downloader: Downloader, url: str, authority: str = "") -> bytes | Reason:
    try:
        path = await downloader.async_artifact(artifact(url), feed=a_feed(authority=authority))
    except OutsideFailed as failed:
        return failed.reason
    return path.read_bytes()


async def test_a_feed_and_its_files_come_from_servers_that_its_authority_vouches_for(
    downloader: Downloader, secure: Vendor
) -> None:
    assert await _fetched(downloader, secure.url("/feed", "https"), OWN.pem) == b"signed"
    assert await _fetched(downloader, secure.url("/feed", "https", "localhost"), OWN.pem) == b"signed"
    assert await _brought(downloader, secure.url("/plug.bin", "https"), OWN.pem) == IMAGE


@pytest.mark.parametrize("authority", ["", OTHER.pem], ids=["without one", "with another one"])
async def test_nobody_else_is_believed_for_them(downloader: Downloader, secure: Vendor, authority: str) -> None:
    assert await _fetched(downloader, secure.url("/feed", "https"), authority) is Reason.TLS_FAILED
    assert await _brought(downloader, secure.url("/plug.bin", "https"), authority) is Reason.TLS_FAILED
    assert secure.requests == []


async def test_one_of_several_authorities_is_enough(downloader: Downloader, secure: Vendor) -> None:
    assert await _fetched(downloader, secure.url("/feed", "https"), OTHER.pem + OWN.pem) == b"signed"


async def test_the_usual_authorities_do_not_count_for_a_feed_that_has_its_own(folder: Path) -> None:
    usual = await _started(OTHER, HOST)
    trusting = ssl.create_default_context(cadata=OTHER.pem)
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(ssl=trusting)) as session:
        downloader = Downloader(session, folder, 1_000_000, asyncio.to_thread, timeouts=QUICK)
        assert await _fetched(downloader, usual.url("/feed", "https")) == b"signed"
        assert await _fetched(downloader, usual.url("/feed", "https"), OWN.pem) is Reason.TLS_FAILED
    await usual.stop()


async def test_a_connection_that_one_feed_opened_is_of_no_use_to_another(
    session: aiohttp.ClientSession, downloader: Downloader
) -> None:
    async with RealVendor(tls=True) as vendor:
        url, own = vendor.manifest_url, vendor.ca_pem.decode()
        assert isinstance(await _fetched(downloader, url, own), bytes)
        assert session.connector is not None
        assert session.connector._conns, "the connection is kept open"
        assert await _fetched(downloader, url) is Reason.TLS_FAILED
        assert await _fetched(downloader, url, OTHER.pem) is Reason.TLS_FAILED
        assert isinstance(await _fetched(downloader, url, own), bytes)


async def test_a_certificate_for_another_name_is_refused_though_the_authority_is_the_right_one(
    downloader: Downloader,
) -> None:
    vendor = await _started(OWN, "vendor.example")
    reasons = [await _fetched(downloader, vendor.url("/feed", "https", host), OWN.pem) for host in (HOST, "localhost")]
    await vendor.stop()
    assert reasons == [Reason.TLS_FAILED] * 2
    assert vendor.requests == []


async def test_an_authority_whose_time_is_over_vouches_for_nobody(downloader: Downloader) -> None:
    old = Authority("Acme, long ago", since=timedelta(days=60))
    vendor = await _started(old, HOST)
    assert await _fetched(downloader, vendor.url("/feed", "https"), old.pem) is Reason.TLS_FAILED
    await vendor.stop()


async def test_a_redirect_to_a_server_that_it_does_not_vouch_for_is_not_followed(
    downloader: Downloader, secure: Vendor
) -> None:
    elsewhere = await _started(OTHER, HOST)
    secure.answers["/feed"] = answer("302 Found", location=elsewhere.url("/feed", "https"))
    assert await _fetched(downloader, secure.url("/feed", "https"), OWN.pem) is Reason.TLS_FAILED
    await elsewhere.stop()
    assert elsewhere.requests == []


async def test_plain_http_proves_nothing_and_is_not_spoken(
    downloader: Downloader, secure: Vendor, vendor: Vendor
) -> None:
    vendor.answers |= {"/feed": answer("200 OK", b"signed"), "/plug.bin": answer("200 OK", IMAGE)}
    secure.answers["/feed"] = answer("302 Found", location=vendor.url("/feed"))
    assert await _fetched(downloader, vendor.url("/feed"), OWN.pem) is Reason.INSECURE_URL
    assert await _brought(downloader, vendor.url("/plug.bin"), OWN.pem) is Reason.INSECURE_URL
    assert await _fetched(downloader, secure.url("/feed", "https"), OWN.pem) is Reason.INSECURE_REDIRECT
    assert vendor.requests == []


@pytest.mark.parametrize("authority", ["no certificate", "-----BEGIN CERTIFICATE-----\u00ff", " "], ids=ascii)
async def test_an_authority_that_cannot_be_read_vouches_for_nobody(
    downloader: Downloader, secure: Vendor, authority: str
) -> None:
    assert await _fetched(downloader, secure.url("/feed", "https"), authority) is Reason.TLS_FAILED
    assert secure.requests == []


async def test_a_file_of_a_real_vendor_is_the_one_that_its_manifest_names(downloader: Downloader) -> None:
    async with RealVendor(tls=True) as vendor:
        release = vendor.add_release(Image("Acme", "PLUG-S1", "1.1.0"))
        (stated,) = release["artifacts"]
        wanted = artifact(stated["url"], size=stated["size"], sha256=stated["sha256"])
        feed = a_feed(vendor.manifest_url, authority=vendor.ca_pem.decode())
        path = await downloader.async_artifact(wanted, feed=feed)
        assert hashlib.sha256(path.read_bytes()).hexdigest() == stated["sha256"]
