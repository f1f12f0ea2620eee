"""Fetching a feed: what comes back, and why not."""

import asyncio
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest

from custom_components.firmware_hub.core.errors import OutsideFailed, Reason
from custom_components.firmware_hub.download import Downloader, Fetched
from custom_components.firmware_hub.download_route import FetchFailed
from custom_components.firmware_hub.sources.base import FeedRequest

from .conftest import Vendor, answer


async def _failed(downloader: Downloader, url: str, *, etag: str = "", max_bytes: int = 1_000) -> OutsideFailed:
    with pytest.raises(OutsideFailed) as caught:
        await downloader.async_fetch(FeedRequest(url, max_bytes=max_bytes), etag=etag)
    return caught.value


async def test_a_feed_comes_with_its_tag(downloader: Downloader, vendor: Vendor) -> None:
    vendor.answers["/feed"] = answer("200 OK", b"signed", etag='"7"')
    assert await downloader.async_fetch(FeedRequest(vendor.url("/feed"))) == Fetched("new", b"signed", '"7"')


async def test_what_the_source_wants_said_is_said(downloader: Downloader, vendor: Vendor) -> None:
    vendor.answers["/feed"] = answer("200 OK", b"signed")
    await downloader.async_fetch(FeedRequest(vendor.url("/feed"), {"Accept": "application/json"}))
    headers = vendor.headers_of("/feed")
    assert (headers["accept"], headers["accept-encoding"]) == ("application/json", "identity")
    assert headers["host"] == f"127.0.0.1:{vendor.port}"


async def test_without_the_body_in_hand_no_condition_is_sent(downloader: Downloader, vendor: Vendor) -> None:
    vendor.answers["/feed"] = answer("200 OK", b"signed")
    await downloader.async_fetch(FeedRequest(vendor.url("/feed")))
    assert "if-none-match" not in vendor.headers_of("/feed")


async def test_what_did_not_change_is_not_sent_again(downloader: Downloader, vendor: Vendor) -> None:
    vendor.answers["/feed"] = answer("304 Not Modified", etag='"7"')
    fetched = await downloader.async_fetch(FeedRequest(vendor.url("/feed")), etag='"7"')
    assert fetched == Fetched("unchanged", b"", '"7"')
    assert vendor.headers_of("/feed")["if-none-match"] == '"7"'


async def test_not_modified_without_a_condition_is_no_answer(downloader: Downloader, vendor: Vendor) -> None:
    vendor.answers["/feed"] = answer("304 Not Modified")
    assert (await _failed(downloader, vendor.url("/feed"))).reason is Reason.HTTP_ERROR


async def test_a_tag_without_end_is_forgotten(downloader: Downloader, vendor: Vendor) -> None:
    vendor.answers["/feed"] = answer("200 OK", b"signed", etag='"' + "7" * 300 + '"')
    assert (await downloader.async_fetch(FeedRequest(vendor.url("/feed")))).etag == ""


@pytest.mark.parametrize("tag", [b"\xff", "é".encode(), b"7\t7"], ids=ascii)
async def test_a_tag_that_cannot_be_stored_and_sent_back_is_not_kept(
    downloader: Downloader, vendor: Vendor, tag: bytes
) -> None:
    vendor.answers["/feed"] = answer("200 OK", b"signed", etag='"7"').replace(b'"7"', b'"' + tag + b'"')
    assert await downloader.async_fetch(FeedRequest(vendor.url("/feed"))) == Fetched("new", b"signed", "")


@pytest.mark.parametrize("status", ["302 Found", "200 OK", "403 Forbidden", "2\u00ff0 OK"])
@pytest.mark.parametrize(
    "header", ["location", "retry-after", "x-ratelimit-reset", "content-encoding", "content-type", "content-length"]
)
async def test_whatever_stands_in_a_header_a_fault_can_be_written_down(
    downloader: Downloader, vendor: Vendor, status: str, header: str
) -> None:
    head = f"HTTP/1.1 {status}\r\n{header}: ftp://x\u00ff/\u00ff\r\nconnection: close\r\n\r\n"
    vendor.answers["/feed"] = head.encode("latin-1") + b"signed"
    (found,) = await asyncio.gather(downloader.async_fetch(FeedRequest(vendor.url("/feed"))), return_exceptions=True)
    assert found == Fetched("new", b"signed", "") or isinstance(found, OutsideFailed)
    assert str(found).encode().isascii()


async def test_a_body_of_unstated_length_is_read_to_its_end(downloader: Downloader, vendor: Vendor) -> None:
    vendor.answers["/feed"] = answer("200 OK", b"signed", content_length=None)
    assert (await downloader.async_fetch(FeedRequest(vendor.url("/feed")))).body == b"signed"


async def test_a_body_in_chunks_is_put_together(downloader: Downloader, vendor: Vendor) -> None:
    chunks = b"3\r\nsig\r\n3\r\nned\r\n0\r\n\r\n"
    vendor.answers["/feed"] = answer("200 OK", chunks, content_length=None, transfer_encoding="chunked")
    assert (await downloader.async_fetch(FeedRequest(vendor.url("/feed")))).body == b"signed"


@pytest.mark.parametrize(
    ("status", "reason"),
    [
        ("404 Not Found", Reason.NOT_FOUND),
        ("410 Gone", Reason.NOT_FOUND),
        ("429 Too Many Requests", Reason.RATE_LIMITED),
        ("403 Forbidden", Reason.HTTP_ERROR),
        ("500 Internal Server Error", Reason.HTTP_ERROR),
        ("503 Service Unavailable", Reason.HTTP_ERROR),
        ("204 No Content", Reason.HTTP_ERROR),
        ("206 Partial Content", Reason.HTTP_ERROR),
        ("300 Multiple Choices", Reason.HTTP_ERROR),
    ],
)
async def test_a_status_has_its_reason(downloader: Downloader, vendor: Vendor, status: str, reason: Reason) -> None:
    vendor.answers["/feed"] = answer(status, b"x" if status[:3] != "204" else b"")
    error = await _failed(downloader, vendor.url("/feed"))
    assert error.reason is reason
    assert status[:3] in error.detail


def _retry_after(error: OutsideFailed) -> int | None:
    assert isinstance(error, FetchFailed)
    return error.retry_after_s


@pytest.mark.parametrize(
    ("stated", "seconds"),
    [("120", 120), ("0", 0), ("999999999999", 86_400), ("soon", None), ("-5", None), ("", None), ("9" * 5_000, None)],
)
async def test_the_server_may_say_when_to_come_back(
    downloader: Downloader, vendor: Vendor, stated: str, seconds: int | None
) -> None:
    vendor.answers["/feed"] = answer("429 Too Many Requests", retry_after=stated)
    assert _retry_after(await _failed(downloader, vendor.url("/feed"))) == seconds


async def test_it_may_say_so_as_a_time(downloader: Downloader, vendor: Vendor) -> None:
    later = format_datetime(datetime.now(UTC) + timedelta(hours=2), usegmt=True)
    vendor.answers["/feed"] = answer("503 Service Unavailable", retry_after=later)
    seconds = _retry_after(await _failed(downloader, vendor.url("/feed")))
    assert seconds is not None
    assert 7_000 < seconds <= 7_200


@pytest.mark.parametrize(("ahead", "least", "most"), [(600, 500, 600), (-600, 0, 0)])
async def test_githubs_way_of_saying_so_is_understood(
    downloader: Downloader, vendor: Vendor, ahead: int, least: int, most: int
) -> None:
    reset = int(datetime.now(UTC).timestamp()) + ahead
    vendor.answers["/feed"] = answer("403 Forbidden", X_RateLimit_Remaining="0", X_RateLimit_Reset=str(reset))
    error = await _failed(downloader, vendor.url("/feed"))
    assert error.reason is Reason.RATE_LIMITED
    seconds = _retry_after(error)
    assert seconds is not None
    assert least <= seconds <= most


async def test_a_stated_length_beyond_the_bound_is_refused_at_once(downloader: Downloader, vendor: Vendor) -> None:
    vendor.answers["/feed"] = answer("200 OK", b"x", content_length=1_001)
    assert (await _failed(downloader, vendor.url("/feed"))).reason is Reason.TOO_LARGE


async def test_an_endless_body_is_cut(downloader: Downloader, vendor: Vendor) -> None:
    vendor.answers["/feed"] = endless
    assert (await _failed(downloader, vendor.url("/feed"))).reason is Reason.TOO_LARGE


async def endless(writer: asyncio.StreamWriter) -> None:
    writer.write(answer("200 OK", content_length=None))
    while True:
        writer.write(b"\xa5" * 65_536)
        await writer.drain()


async def test_the_bound_itself_is_allowed(downloader: Downloader, vendor: Vendor) -> None:
    vendor.answers["/feed"] = answer("200 OK", b"x" * 1_000)
    assert len((await downloader.async_fetch(FeedRequest(vendor.url("/feed"), max_bytes=1_000))).body) == 1_000


async def test_a_body_that_ends_too_soon_is_a_lost_connection(downloader: Downloader, vendor: Vendor) -> None:
    vendor.answers["/feed"] = answer("200 OK", b"sig", content_length=6)
    assert (await _failed(downloader, vendor.url("/feed"))).reason is Reason.UNREACHABLE


@pytest.mark.parametrize(
    "page", [b"<!DOCTYPE html><html>", b"\xef\xbb\xbf\n <HTML lang=de>", b"<head><title>Log in", b"<html>"]
)
async def test_a_web_page_is_called_one(downloader: Downloader, vendor: Vendor, page: bytes) -> None:
    vendor.answers["/feed"] = answer("200 OK", page)
    assert (await _failed(downloader, vendor.url("/feed"))).reason is Reason.NOT_FIRMWARE


async def test_a_compressed_answer_is_refused_and_not_unpacked(downloader: Downloader, vendor: Vendor) -> None:
    vendor.answers["/feed"] = answer("200 OK", b"\x1f\x8b", content_encoding="gzip")
    assert (await _failed(downloader, vendor.url("/feed"))).reason is Reason.HTTP_ERROR


async def silence(writer: asyncio.StreamWriter) -> None:
    await writer.wait_closed()


async def silence_after_the_start(writer: asyncio.StreamWriter) -> None:
    writer.write(answer("200 OK", b"sig", content_length=6))
    await writer.drain()
    await writer.wait_closed()


@pytest.mark.parametrize("stall", [silence, silence_after_the_start])
async def test_a_server_that_falls_silent_is_left(downloader: Downloader, vendor: Vendor, stall: object) -> None:
    vendor.answers["/feed"] = stall  # type: ignore[assignment]
    assert (await _failed(downloader, vendor.url("/feed"))).reason is Reason.FETCH_TIMEOUT


async def test_nobody_there_is_unreachable(downloader: Downloader, vendor: Vendor) -> None:
    await vendor.stop()
    assert (await _failed(downloader, vendor.url("/feed"))).reason is Reason.UNREACHABLE
    await vendor.start()


@pytest.mark.parametrize("noise", [b"SSH-2.0-OpenSSH_9.2\r\n", b"HTTP/1.1 abc\r\n\r\n"])
async def test_what_is_not_http_has_a_reason_too(downloader: Downloader, vendor: Vendor, noise: bytes) -> None:
    vendor.answers["/feed"] = noise
    assert (await _failed(downloader, vendor.url("/feed"))).reason in {Reason.HTTP_ERROR, Reason.UNREACHABLE}


async def test_a_connection_that_is_cut_without_a_word_is_unreachable(downloader: Downloader, vendor: Vendor) -> None:
    vendor.answers["/feed"] = b""
    assert (await _failed(downloader, vendor.url("/feed"))).reason is Reason.UNREACHABLE
