"""Fetching an artifact: nothing is kept that is not, byte for byte, what was stated."""

import asyncio
import hashlib
import os
from dataclasses import replace
from pathlib import Path

import aiohttp
import pytest

from custom_components.firmware_hub.core import limits
from custom_components.firmware_hub.core.errors import HubError, Reason, Refused
from custom_components.firmware_hub.core.model import Artifact
from custom_components.firmware_hub.download import Downloader
from custom_components.firmware_hub.download_route import Timeouts
from tests.store.child import SMALL_DISK, run_child

from .conftest import IMAGE, Answer, Vendor, answer, artifact
from .test_feed import endless, silence, silence_after_the_start


async def _failed(downloader: Downloader, url: str, **stated: object) -> HubError:
    with pytest.raises(HubError) as caught:
        await downloader.async_artifact(artifact(url, **stated))  # type: ignore[arg-type]
    return caught.value


async def test_it_lies_in_the_cache_under_its_digest(downloader: Downloader, vendor: Vendor, folder: Path) -> None:
    vendor.answers["/plug.bin"] = answer("200 OK", IMAGE)
    path = await downloader.async_artifact(artifact(vendor.url()))
    assert path == folder / hashlib.sha256(IMAGE).hexdigest()
    assert path.read_bytes() == IMAGE
    assert [one.name for one in folder.iterdir()] == [path.name]


async def test_what_is_in_the_cache_is_not_fetched_again(downloader: Downloader, vendor: Vendor) -> None:
    vendor.answers["/plug.bin"] = answer("200 OK", IMAGE)
    first = await downloader.async_artifact(artifact(vendor.url()))
    assert await downloader.async_artifact(artifact(vendor.url())) == first
    assert len(vendor.requests) == 1


async def test_a_file_that_was_damaged_in_the_cache_is_fetched_again(downloader: Downloader, vendor: Vendor) -> None:
    vendor.answers["/plug.bin"] = answer("200 OK", IMAGE)
    path = await downloader.async_artifact(artifact(vendor.url()))
    path.write_bytes(IMAGE[:-1] + b"x")
    assert (await downloader.async_artifact(artifact(vendor.url()))).read_bytes() == IMAGE
    assert len(vendor.requests) == 2


async def test_devices_that_want_the_same_at_once_share_one_fetch(downloader: Downloader, vendor: Vendor) -> None:
    vendor.answers["/plug.bin"] = answer("200 OK", IMAGE)
    paths = await asyncio.gather(*(downloader.async_artifact(artifact(vendor.url())) for _ in range(5)))
    assert len(set(paths)) == 1
    assert len(vendor.requests) == 1
    assert downloader._turns == {}


async def test_a_file_larger_than_one_piece_is_whole(downloader: Downloader, vendor: Vendor) -> None:
    large = os.urandom(5_000_001)
    vendor.answers["/plug.bin"] = answer("200 OK", large)
    assert (await downloader.async_artifact(artifact(vendor.url(), large))).read_bytes() == large


@pytest.mark.parametrize("content", [b"x", b"x" * 511, b"x" * 512, b"x" * 513])
async def test_small_files_are_whole_too(downloader: Downloader, vendor: Vendor, content: bytes) -> None:
    vendor.answers["/plug.bin"] = answer("200 OK", content, content_length=None)
    assert (await downloader.async_artifact(artifact(vendor.url(), content))).read_bytes() == content


async def test_a_compressed_file_is_kept_as_it_was_published(downloader: Downloader, vendor: Vendor) -> None:
    vendor.answers["/plug.bin"] = answer("200 OK", IMAGE, content_encoding="gzip")
    assert (await downloader.async_artifact(artifact(vendor.url()))).read_bytes() == IMAGE


PAGE = b"<!doctype html><title>Log in</title>" + b"." * 100


@pytest.mark.parametrize(
    ("sent", "reason"),
    [
        (answer("404 Not Found"), Reason.NOT_FOUND),
        (answer("500 Internal Server Error"), Reason.HTTP_ERROR),
        (answer("429 Too Many Requests", retry_after=7), Reason.RATE_LIMITED),
        (answer("304 Not Modified"), Reason.HTTP_ERROR),
        (answer("200 OK", PAGE), Reason.NOT_FIRMWARE),
        (answer("200 OK", PAGE * 10), Reason.NOT_FIRMWARE),
        (answer("200 OK", PAGE * 9_000, content_length=None), Reason.NOT_FIRMWARE),
        (answer("200 OK", IMAGE[1:]), Reason.SIZE_MISMATCH),
        (answer("200 OK", IMAGE + b"x"), Reason.SIZE_MISMATCH),
        (answer("200 OK", b""), Reason.SIZE_MISMATCH),
        (answer("200 OK", IMAGE, content_length=len(IMAGE) + 1), Reason.SIZE_MISMATCH),
        (answer("200 OK", IMAGE[:300], content_length=10**15), Reason.SIZE_MISMATCH),
        (answer("200 OK", IMAGE[1:], content_length=None), Reason.SIZE_MISMATCH),
        (answer("200 OK", IMAGE + b"x", content_length=None), Reason.SIZE_MISMATCH),
        (answer("200 OK", IMAGE[::-1]), Reason.DIGEST_MISMATCH),
        (answer("200 OK", IMAGE[:-1], content_length=len(IMAGE)), Reason.UNREACHABLE),
        (endless, Reason.SIZE_MISMATCH),
        (silence, Reason.FETCH_TIMEOUT),
        (silence_after_the_start, Reason.FETCH_TIMEOUT),
    ],
)
async def test_each_fault_has_its_reason_and_leaves_nothing(
    downloader: Downloader, vendor: Vendor, folder: Path, sent: Answer, reason: Reason
) -> None:
    vendor.answers["/plug.bin"] = sent
    assert (await _failed(downloader, vendor.url())).reason is reason
    assert list(folder.iterdir()) == []


async def test_a_body_that_drips_for_ever_is_left_in_the_end(
    session: aiohttp.ClientSession, folder: Path, vendor: Vendor
) -> None:
    async def drip(writer: asyncio.StreamWriter) -> None:
        writer.write(answer("200 OK", content_length=len(IMAGE)))
        while True:
            writer.write(b"\xa5")
            await writer.drain()
            await asyncio.sleep(0.005)

    vendor.answers["/plug.bin"] = drip
    timeouts = Timeouts(idle=30, artifact=0.05)
    downloader = Downloader(session, folder, 10_000_000, asyncio.to_thread, timeouts=timeouts)
    assert (await _failed(downloader, vendor.url())).reason is Reason.FETCH_TIMEOUT


@pytest.mark.parametrize("sha256", ["", "../" * 21 + "x", "A" * 64, "a" * 63, "a" * 65])
async def test_without_a_digest_nothing_is_fetched(downloader: Downloader, vendor: Vendor, sha256: str) -> None:
    error = await _failed(downloader, vendor.url(), sha256=sha256)
    assert (type(error), error.reason) == (Refused, Reason.NO_DIGEST)
    assert vendor.requests == []


async def test_too_large_an_artifact_is_not_asked_for(downloader: Downloader, vendor: Vendor) -> None:
    error = await _failed(downloader, vendor.url(), size=limits.MAX_ARTIFACT_BYTES + 1)
    assert (type(error), error.reason) == (Refused, Reason.TOO_LARGE)
    assert vendor.requests == []


async def test_a_known_digest_with_another_size_is_refused(downloader: Downloader, vendor: Vendor) -> None:
    vendor.answers["/plug.bin"] = answer("200 OK", IMAGE)
    await downloader.async_artifact(artifact(vendor.url()))
    assert (await _failed(downloader, vendor.url(), size=7)).reason is Reason.SIZE_MISMATCH


async def test_a_fetch_that_is_called_off_leaves_nothing(downloader: Downloader, vendor: Vendor, folder: Path) -> None:
    started = asyncio.Event()

    async def half(writer: asyncio.StreamWriter) -> None:
        writer.write(answer("200 OK", b"\xa5" * 3_000_000, content_length=4_000_000))
        await writer.drain()
        started.set()
        await writer.wait_closed()

    vendor.answers["/plug.bin"] = half
    fetching = asyncio.ensure_future(downloader.async_artifact(artifact(vendor.url(), size=4_000_000)))
    await started.wait()
    fetching.cancel()
    with pytest.raises(asyncio.CancelledError):
        await fetching
    assert list(folder.iterdir()) == []
    assert downloader._turns == {}


async def test_after_a_failure_the_next_try_works(downloader: Downloader, vendor: Vendor) -> None:
    vendor.answers["/plug.bin"] = answer("500 Internal Server Error")
    await _failed(downloader, vendor.url())
    vendor.answers["/plug.bin"] = answer("200 OK", IMAGE)
    assert (await downloader.async_artifact(artifact(vendor.url()))).read_bytes() == IMAGE


# --- the cache -------------------------------------------------------------------------------------------------------


async def _fetch(downloader: Downloader, vendor: Vendor, letter: bytes, holder: str = "", size: int = 400_000) -> Path:
    content = letter * size
    vendor.answers[f"/{letter.decode()}"] = answer("200 OK", content)
    return await downloader.async_artifact(artifact(vendor.url(f"/{letter.decode()}"), content), holder)


@pytest.fixture
def small(session: aiohttp.ClientSession, folder: Path) -> Downloader:
    """Room for two files of 400 kB."""
    return Downloader(session, folder, 1_000_000, asyncio.to_thread)


def _age(path: Path, seconds: int) -> None:
    os.utime(path, (seconds, seconds))


async def test_what_was_not_used_for_longest_makes_room(small: Downloader, vendor: Vendor) -> None:
    old, older = await _fetch(small, vendor, b"a"), await _fetch(small, vendor, b"b")
    _age(old, 2_000)
    _age(older, 1_000)
    new = await _fetch(small, vendor, b"c")
    assert (old.exists(), older.exists(), new.exists()) == (True, False, True)


async def test_what_is_used_again_counts_as_new(small: Downloader, vendor: Vendor) -> None:
    first, second = await _fetch(small, vendor, b"a"), await _fetch(small, vendor, b"b")
    _age(first, 1_000)
    _age(second, 2_000)
    await _fetch(small, vendor, b"a")
    await _fetch(small, vendor, b"c")
    assert (first.exists(), second.exists()) == (True, False)


async def test_what_an_install_holds_is_never_removed(small: Downloader, vendor: Vendor) -> None:
    held = [await _fetch(small, vendor, letter, "install-1") for letter in (b"a", b"b", b"c", b"d")]
    assert all(path.exists() for path in held)


async def test_what_was_let_go_makes_room(small: Downloader, vendor: Vendor) -> None:
    held = [await _fetch(small, vendor, letter, "install-1") for letter in (b"a", b"b", b"c", b"d")]
    small.release("install-1")
    small.release("unknown")
    await _fetch(small, vendor, b"e")
    assert sum(path.exists() for path in held) == 1


async def test_bytes_at_hand_are_kept_beside_the_artifacts(downloader: Downloader, folder: Path) -> None:
    path = await downloader.async_keep(b"manifest", "install-1")
    assert path == folder / hashlib.sha256(b"manifest").hexdigest()
    assert path.read_bytes() == b"manifest"
    assert await downloader.async_keep(b"manifest", "install-2") == path


async def test_leftovers_of_a_killed_process_are_removed_in_time(
    downloader: Downloader, vendor: Vendor, folder: Path
) -> None:
    folder.mkdir()
    left, running = folder / "0123.part", folder / "4567.part"
    left.write_bytes(b"half")
    running.write_bytes(b"half")
    _age(left, 1_000)
    await _fetch(downloader, vendor, b"a")
    assert (left.exists(), running.exists()) == (False, True)


async def test_a_cache_that_somebody_emptied_is_filled_again(
    downloader: Downloader, vendor: Vendor, folder: Path
) -> None:
    path = await _fetch(downloader, vendor, b"a")
    path.unlink()
    folder.rmdir()
    assert (await _fetch(downloader, vendor, b"a")).exists()


async def test_a_folder_that_cannot_be_made_is_a_failed_disk(
    session: aiohttp.ClientSession, tmp_path: Path, vendor: Vendor
) -> None:
    (tmp_path / "file").write_text("in the way")
    downloader = Downloader(session, tmp_path / "file" / "cache", 1_000, asyncio.to_thread)
    assert (await _failed(downloader, vendor.url())).reason is Reason.DISK_FAILED


_FULL_DISK = """
import asyncio, sys
from pathlib import Path
import aiohttp
from custom_components.firmware_hub.core.errors import OutsideFailed
from custom_components.firmware_hub.download import Downloader
from tests.download.conftest import Vendor, answer, artifact
folder = Path(sys.argv[1])

async def main():
    vendor = Vendor()
    await vendor.start()
    async with aiohttp.ClientSession() as session:
        downloader = Downloader(session, folder, 10**9, asyncio.to_thread)
        async def fetch(letter, size, holder=""):
            content = letter.encode() * size
            vendor.answers[f"/{letter}"] = answer("200 OK", content)
            try:
                await downloader.async_artifact(artifact(vendor.url(f"/{letter}"), content), holder)
            except OutsideFailed as error:
                return error.reason.value
            return "ok"
        print(*[await fetch("a", 300_000, "held"), await fetch("b", 500_000), await fetch("c", 600_000),
                await fetch("c", 600_000)], len(list(folder.iterdir())))
    await vendor.stop()
"""


async def test_a_full_disk_is_called_full_and_the_next_try_finds_room(folder: Path) -> None:
    folder.mkdir()
    program = f"{SMALL_DISK}{_FULL_DISK}small_disk(folder, '1000k')\nasyncio.run(main())"
    found = await asyncio.to_thread(run_child, program, folder)
    if found[0] == "no-own-disk":
        pytest.skip(f"no small disk of one's own here ({found[1]})")
    assert found == ["ok", "ok", "disk_full", "ok", "2"]


async def test_a_refused_write_is_a_failed_disk(folder: Path) -> None:
    folder.mkdir()
    limit = "import resource; resource.setrlimit(resource.RLIMIT_FSIZE, (400_000, -1))\n"
    found = await asyncio.to_thread(run_child, f"{_FULL_DISK}{limit}asyncio.run(main())", folder)
    assert found == ["ok", "disk_failed", "disk_failed", "disk_failed", "1"]


# --- where the feed states less --------------------------------------------------------------------------------------


def _checked(url: str, algorithm: str = "sha512", content: bytes = IMAGE) -> Artifact:
    digits = hashlib.new(algorithm.replace("-", "_"), content).hexdigest()
    return replace(artifact(url, size=0, sha256=""), checksum=f"{algorithm}:{digits}")


@pytest.mark.parametrize("length", [len(IMAGE), None])
async def test_a_size_that_is_not_stated_is_not_asked_for(
    downloader: Downloader, vendor: Vendor, length: int | None
) -> None:
    vendor.answers["/plug.bin"] = answer("200 OK", IMAGE, content_length=length)
    path = await downloader.async_artifact(artifact(vendor.url(), size=0))
    assert path.read_bytes() == IMAGE
    assert await downloader.async_artifact(artifact(vendor.url(), size=0)) == path
    assert len(vendor.requests) == 1


@pytest.mark.parametrize("length", [len(IMAGE), None])
async def test_a_size_that_is_not_stated_is_bounded(
    downloader: Downloader, vendor: Vendor, length: int | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "MAX_ARTIFACT_BYTES", len(IMAGE) - 1)
    vendor.answers["/plug.bin"] = answer("200 OK", IMAGE, content_length=length)
    assert (await _failed(downloader, vendor.url(), size=0)).reason is Reason.TOO_LARGE


@pytest.mark.parametrize("algorithm", ["sha512", "sha3-256"])
async def test_another_digest_than_sha256_is_as_good(downloader: Downloader, vendor: Vendor, algorithm: str) -> None:
    vendor.answers["/plug.bin"] = answer("200 OK", IMAGE)
    path = await downloader.async_artifact(_checked(vendor.url(), algorithm), "install")
    assert path.name == hashlib.sha256(IMAGE).hexdigest()
    assert await downloader.async_artifact(_checked(vendor.url(), algorithm), "install") == path
    assert len(vendor.requests) == 1
    assert downloader._held == {"install": {path.name}}


async def test_other_bytes_than_those_of_the_digest_are_refused(
    downloader: Downloader, vendor: Vendor, folder: Path
) -> None:
    vendor.answers["/plug.bin"] = answer("200 OK", IMAGE)
    with pytest.raises(Refused) as caught:
        await downloader.async_artifact(_checked(vendor.url(), content=b"other"))
    assert caught.value.reason is Reason.DIGEST_MISMATCH
    assert list(folder.iterdir()) == []


@pytest.mark.parametrize("checksum", ["md5:" + "0" * 32, "sha512:" + "0" * 127, "sha512:" + "G" * 128, "sha512"])
async def test_a_digest_that_is_none_is_refused(downloader: Downloader, vendor: Vendor, checksum: str) -> None:
    with pytest.raises(Refused) as caught:
        await downloader.async_artifact(replace(artifact(vendor.url(), sha256=""), checksum=checksum))
    assert caught.value.reason is Reason.NO_DIGEST
    assert vendor.requests == []
