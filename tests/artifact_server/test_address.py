"""Which addresses devices can be sent to."""

import socket

import pytest
from homeassistant.core import HomeAssistant
from homeassistant.helpers import issue_registry as ir

from custom_components.firmware_hub import artifact_server
from custom_components.firmware_hub.artifact_listener import is_ours
from custom_components.firmware_hub.artifact_server import (
    DEFAULT_PORT,
    ArtifactServer,
    async_get_server,
    async_remove_server,
)
from custom_components.firmware_hub.core.errors import OutsideFailed, Reason

from .conftest import LOCAL, Cached


@pytest.fixture
def found(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What Home Assistant's own search finds: it depends on the machine that runs the tests."""
    answers = ["127.0.0.1"]

    async def search(hass: HomeAssistant) -> str:
        return answers[-1]

    monkeypatch.setattr(artifact_server, "async_get_source_ip", search)
    return answers


async def test_a_loopback_address_that_the_owner_gave_is_believed(server: ArtifactServer) -> None:
    assert await server.async_check_address(LOCAL) == (True, LOCAL)


async def test_a_loopback_address_that_was_only_found_is_not(server: ArtifactServer, found: list[str]) -> None:
    assert await server.async_check_address() == (False, "127.0.0.1")


@pytest.mark.parametrize("address", ["169.254.7.7", "203.0.113.9", "2001:db8::7"])
async def test_a_found_address_must_be_one_of_this_machine(
    server: ArtifactServer, found: list[str], address: str
) -> None:
    found.append(address)
    assert await server.async_check_address() == (False, address)


async def test_a_found_address_of_this_machine_is_good(
    server: ArtifactServer, found: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    found.append("192.0.2.10")
    monkeypatch.setattr(artifact_server, "_is_ours", lambda _: True)
    assert await server.async_check_address() == (True, "192.0.2.10")


async def test_a_container_without_the_hosts_network_is_not(
    hass: HomeAssistant, server: ArtifactServer, found: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    found.append("172.17.0.2")
    monkeypatch.setattr(artifact_server, "_is_ours", lambda _: True)
    ir.async_create_issue(
        hass,
        "network",
        "docker_host_network",
        is_fixable=False,
        severity=ir.IssueSeverity.WARNING,
        translation_key="docker_host_network",
    )
    assert await server.async_check_address() == (False, "172.17.0.2")


@pytest.mark.parametrize("address", ["homeassistant.local", "0.0.0.0", "::", "224.0.0.1", "1.2.3"])
async def test_an_address_that_is_not_one_of_a_machine_is_not(server: ArtifactServer, address: str) -> None:
    assert await server.async_check_address(address) == (False, address)


async def test_an_address_of_a_router_in_front_of_us_is_believed_and_served(
    server: ArtifactServer, cached: Cached
) -> None:
    assert await server.async_check_address("203.0.113.9") == (True, "203.0.113.9")
    urls = await server.async_serve("one", {"t.bin": cached(b"image")}, "203.0.113.9")
    assert urls["t.bin"].startswith(f"http://203.0.113.9:{server._port}/f/")
    assert list(server._open) == ["0.0.0.0"]


async def test_an_address_of_the_newer_kind_stands_in_brackets(server: ArtifactServer, cached: Cached) -> None:
    if not is_ours("::1"):
        pytest.skip("this machine has no IPv6")
    urls = await server.async_serve("one", {"t.bin": cached(b"image")}, "::1")
    assert urls["t.bin"].startswith(f"http://[::1]:{server._port}/f/")


async def test_two_hubs_give_their_devices_addresses_of_their_own(server: ArtifactServer, cached: Cached) -> None:
    first = await server.async_serve("one", {"t.bin": cached(b"one")}, LOCAL)
    second = await server.async_serve("two", {"t.bin": cached(b"two")}, "127.0.0.2")
    assert first["t.bin"].startswith(f"http://{LOCAL}:{server._port}/f/")
    assert second["t.bin"].startswith(f"http://127.0.0.2:{server._port}/f/")
    assert list(server._open) == [LOCAL, "127.0.0.2"]


async def test_a_port_that_somebody_else_has_is_told(server: ArtifactServer, cached: Cached) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        server.set_port(other.getsockname()[1])
        assert await server.async_check_address(LOCAL) == (False, LOCAL)
        with pytest.raises(OutsideFailed) as caught:
            await server.async_serve("one", {"t.bin": cached(b"image")}, LOCAL)
    assert caught.value.reason is Reason.ADDRESS_UNREACHABLE


async def test_it_can_be_served_when_the_port_is_free_again(server: ArtifactServer, cached: Cached) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        server.set_port(other.getsockname()[1])
        with pytest.raises(OutsideFailed):
            await server.async_serve("one", {"t.bin": cached(b"image")}, LOCAL)
    assert await server.async_serve("one", {"t.bin": cached(b"image")}, LOCAL)


async def test_the_check_does_not_disturb_what_is_served(server: ArtifactServer, cached: Cached) -> None:
    await server.async_serve("one", {"t.bin": cached(b"image")}, LOCAL)
    assert await server.async_check_address(LOCAL) == (True, LOCAL)
    assert list(server._open) == [LOCAL]


async def test_nothing_given_means_the_default_port(hass: HomeAssistant) -> None:
    server = ArtifactServer(hass)
    server.set_port(0)
    assert server._port == DEFAULT_PORT == 8127


async def test_a_missing_file_is_a_failed_disk(server: ArtifactServer, cached: Cached) -> None:
    path = cached(b"image")
    path.unlink()
    with pytest.raises(OutsideFailed) as caught:
        await server.async_serve("one", {"t.bin": path}, LOCAL)
    assert caught.value.reason is Reason.DISK_FAILED


async def test_removing_the_hub_leaves_nothing_behind(
    hass: HomeAssistant, server: ArtifactServer, cached: Cached, hass_storage: dict[str, object]
) -> None:
    await server.async_serve("one", {"t.bin": cached(b"image")}, LOCAL)
    assert "firmware_hub.artifact_server" in hass_storage
    await async_remove_server(hass)
    assert "firmware_hub.artifact_server" not in hass_storage
    assert async_get_server(hass) is not server
