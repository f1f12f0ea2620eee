"""What a device gets, whatever it asks."""

import asyncio
import hashlib
from pathlib import Path

import aiohttp
import pytest
from homeassistant.core import HomeAssistant

from custom_components.firmware_hub.artifact_listener import Access
from custom_components.firmware_hub.artifact_server import ArtifactServer, async_get_server
from custom_components.firmware_hub.core.errors import Refused

from .conftest import LOCAL, Cached, free_port

IMAGE = bytes(range(256)) * 1_024


async def _served(server: ArtifactServer, path: Path, install_id: str = "install-1") -> str:
    return (await server.async_serve(install_id, {"t.bin.gz": path}, LOCAL))["t.bin.gz"]


async def test_a_device_gets_the_file_byte_for_byte(
    server: ArtifactServer, cached: Cached, client: aiohttp.ClientSession
) -> None:
    async with client.get(await _served(server, cached(IMAGE))) as answer:
        assert await answer.read() == IMAGE
        assert (answer.status, answer.headers["Content-Length"]) == (200, str(len(IMAGE)))


async def test_it_can_be_fetched_as_often_as_wanted(
    server: ArtifactServer, cached: Cached, client: aiohttp.ClientSession
) -> None:
    url = await _served(server, cached(IMAGE))
    for _ in range(5):
        async with client.get(url) as answer:
            assert await answer.read() == IMAGE


async def test_helper_images_lie_beside_it(
    server: ArtifactServer, cached: Cached, client: aiohttp.ClientSession
) -> None:
    urls = await server.async_serve("one", {"t.bin.gz": cached(IMAGE), "t-minimal.bin.gz": cached(b"small")}, LOCAL)
    assert list(urls) == ["t.bin.gz", "t-minimal.bin.gz"]
    assert urls["t.bin.gz"].rsplit("/", 1)[0] == urls["t-minimal.bin.gz"].rsplit("/", 1)[0]
    async with client.get(urls["t-minimal.bin.gz"]) as answer:
        assert await answer.read() == b"small"


@pytest.mark.parametrize(
    "headers",
    [
        {"If-Modified-Since": "Fri, 31 Dec 2100 23:59:59 GMT"},
        {"If-None-Match": "*"},
        {"Range": "bytes=100-"},
        {"Range": "bytes=0-0", "If-Range": "x"},
        {"Accept-Encoding": "gzip, deflate, br"},
        {"x-ESP8266-sketch-md5": "0" * 32, "User-Agent": "ESP8266-http-Update"},
    ],
    ids=lambda headers: next(iter(headers)),
)
async def test_the_whole_file_is_the_only_answer(
    server: ArtifactServer, cached: Cached, client: aiohttp.ClientSession, headers: dict[str, str]
) -> None:
    async with client.get(await _served(server, cached(IMAGE)), headers=headers) as answer:
        assert (answer.status, await answer.read()) == (200, IMAGE)
        assert not {"Content-Range", "ETag", "Last-Modified", "Content-Encoding"} & set(answer.headers)


async def test_head_tells_the_length_and_sends_nothing(
    server: ArtifactServer, cached: Cached, client: aiohttp.ClientSession
) -> None:
    async with client.head(await _served(server, cached(IMAGE))) as answer:
        assert (answer.status, answer.headers["Content-Length"], await answer.read()) == (200, str(len(IMAGE)), b"")


async def test_an_old_client_gets_a_plain_answer(server: ArtifactServer, cached: Cached) -> None:
    url = await _served(server, cached(b"image"))
    host, port = url.split("/")[2].split(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    writer.write(f"GET /{url.split('/', 3)[3]} HTTP/1.0\r\n\r\n".encode())
    head, _, body = (await reader.read()).partition(b"\r\n\r\n")
    writer.close()
    assert head.startswith(b"HTTP/1.0 200")
    assert b"content-length: 5" in head.lower()
    assert b"chunked" not in head
    assert body == b"image"


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "OPTIONS"])
async def test_other_methods_are_refused(
    server: ArtifactServer, cached: Cached, client: aiohttp.ClientSession, method: str
) -> None:
    async with client.request(method, await _served(server, cached(IMAGE)), data=b"x") as answer:
        assert answer.status == 405


@pytest.mark.parametrize(
    "path",
    [
        "/",
        "/f",
        "/f/",
        "/f/{token}",
        "/f/{token}/",
        "/f/{token}/other.bin",
        "/f/{token}/../t.bin.gz",
        "/f/{token}/x/../t.bin.gz",
        "/f/{token}/t.bin.gz/",
        "/f//t.bin.gz",
        "/f/aaaaaaaaaaaaaaaaaaaa/t.bin.gz",
        "/f/%C3%BC/t.bin.gz",
        "/g/{token}/t.bin.gz",
        "x/f/{token}/t.bin.gz",
    ],
)
async def test_nothing_else_is_there(server: ArtifactServer, cached: Cached, path: str) -> None:
    url = await _served(server, cached(IMAGE))
    host, port = url.split("/")[2].split(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    writer.write(f"GET {path.format(token=url.split('/')[4])} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
    answer = await reader.read()
    writer.close()
    assert answer.split(b" ")[1] in {b"404", b"400"}
    assert IMAGE[:64] not in answer


async def test_the_address_is_short_and_without_a_dash(server: ArtifactServer, cached: Cached) -> None:
    url = await _served(server, cached(IMAGE), "a" * 32)
    assert len(url) + len("http://192.168.100.100:65535") - len("http://127.0.0.1:65535") <= 100
    assert "-" not in url
    assert "?" not in url


async def test_each_install_has_its_own_address(server: ArtifactServer, cached: Cached) -> None:
    path = cached(IMAGE)
    assert await _served(server, path, "one") != await _served(server, path, "two")


async def test_serving_again_gives_the_same_address(server: ArtifactServer, cached: Cached) -> None:
    assert await _served(server, cached(IMAGE)) == await _served(server, cached(IMAGE))


async def test_the_address_is_the_same_after_a_restart(
    hass: HomeAssistant, server: ArtifactServer, cached: Cached, hass_storage: dict[str, object]
) -> None:
    before = await _served(server, cached(IMAGE))
    port = server._port
    await server.async_close()
    after = ArtifactServer(hass)
    after.set_port(port)
    assert await _served(after, cached(IMAGE)) == before
    await after.async_close()


async def test_a_secret_that_was_damaged_is_made_anew(
    hass: HomeAssistant, server: ArtifactServer, cached: Cached, hass_storage: dict[str, object]
) -> None:
    hass_storage["firmware_hub.artifact_server"] = {"version": 1, "key": "x", "data": {"secret": "zz"}}
    assert await _served(server, cached(IMAGE))


async def test_the_file_that_was_verified_is_served_though_another_took_its_name(
    server: ArtifactServer, cached: Cached, client: aiohttp.ClientSession
) -> None:
    path = cached(IMAGE)
    url = await _served(server, path)
    path.unlink()
    path.write_bytes(b"evil")
    async with client.get(url) as answer:
        assert await answer.read() == IMAGE


async def test_a_file_that_is_not_what_its_name_says_is_not_served(server: ArtifactServer, cached: Cached) -> None:
    path = cached(IMAGE)
    path.write_bytes(IMAGE[:-1] + b"x")
    with pytest.raises(Refused):
        await _served(server, path)
    assert not server._open


async def test_other_bytes_under_the_same_install_replace_the_old_ones(
    server: ArtifactServer, cached: Cached, client: aiohttp.ClientSession
) -> None:
    await _served(server, cached(IMAGE))
    url = await _served(server, cached(b"newer"))
    async with client.get(url) as answer:
        assert await answer.read() == b"newer"


async def test_after_the_end_the_address_is_gone_and_other_installs_go_on(
    server: ArtifactServer, cached: Cached, client: aiohttp.ClientSession
) -> None:
    one, two = await _served(server, cached(IMAGE), "one"), await _served(server, cached(IMAGE), "two")
    await server.async_stop_serving("one")
    async with client.get(one) as answer:
        assert answer.status == 404
    async with client.get(two) as answer:
        assert await answer.read() == IMAGE


async def test_nobody_listens_when_nothing_is_served(
    server: ArtifactServer, cached: Cached, client: aiohttp.ClientSession
) -> None:
    url = await _served(server, cached(IMAGE))
    await server.async_stop_serving("install-1")
    with pytest.raises(aiohttp.ClientConnectorError):
        await client.get(url)


async def test_ending_an_install_that_is_not_served_does_nothing(server: ArtifactServer) -> None:
    await server.async_stop_serving("unknown")


async def test_it_listens_again_after_it_stopped(
    server: ArtifactServer, cached: Cached, client: aiohttp.ClientSession
) -> None:
    await _served(server, cached(IMAGE))
    await server.async_stop_serving("install-1")
    async with client.get(await _served(server, cached(IMAGE))) as answer:
        assert await answer.read() == IMAGE


async def test_the_hub_hears_who_took_how_much(
    server: ArtifactServer, cached: Cached, client: aiohttp.ClientSession
) -> None:
    heard: list[Access] = []
    stop = server.listen(heard.append)
    url = await _served(server, cached(IMAGE))
    async with client.get(url) as answer:
        await answer.read()
    stop()
    async with client.get(url) as answer:
        await answer.read()
    assert heard == [Access("install-1", "t.bin.gz", len(IMAGE), len(IMAGE), "127.0.0.1")]


async def test_an_empty_name_list_of_a_foreign_shape_is_our_own_fault(server: ArtifactServer, cached: Cached) -> None:
    with pytest.raises(RuntimeError):
        await server.async_serve("one", {"../../etc/passwd": cached(IMAGE)}, LOCAL)


async def test_a_hub_that_stops_closes_the_server(
    hass: HomeAssistant, server: ArtifactServer, cached: Cached, client: aiohttp.ClientSession
) -> None:
    url = await _served(server, cached(IMAGE))
    await hass.async_stop(force=True)
    with pytest.raises(aiohttp.ClientConnectorError):
        await client.get(url)


async def test_there_is_one_server(hass: HomeAssistant, server: ArtifactServer) -> None:
    assert async_get_server(hass) is server


async def test_a_new_port_counts_when_the_old_one_is_no_longer_needed(
    server: ArtifactServer, cached: Cached, client: aiohttp.ClientSession
) -> None:
    old = await _served(server, cached(IMAGE), "one")
    server.set_port(port := free_port())
    assert (await _served(server, cached(IMAGE), "two")).startswith(old[: old.index("/f/")])
    await server.async_close()
    assert f":{port}/" in await _served(server, cached(IMAGE), "three")


async def test_large_files_pass_whole(server: ArtifactServer, cached: Cached, client: aiohttp.ClientSession) -> None:
    large = hashlib.sha256(b"seed").digest() * 500_000
    async with client.get(await _served(server, cached(large))) as answer:
        assert hashlib.sha256(await answer.read()).digest() == hashlib.sha256(large).digest()
