"""The action that checks a file which a technician downloaded by another way."""

import os
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest
import voluptuous as vol
from homeassistant.exceptions import ServiceValidationError

from custom_components.firmware_hub.core import limits
from simulator.images import Image
from tests.ha.home import Home


@pytest.fixture
def folder(home: Home, tmp_path: Path) -> Path:
    """A folder that Home Assistant may read."""
    allowed = tmp_path / "allowed"
    allowed.mkdir()
    home.hass.config.allowlist_external_dirs = {str(allowed)}
    return allowed


async def check(home: Home, path: Path, data: bytes | None = None) -> dict[str, Any]:
    if data is not None:
        await home.hass.async_add_executor_job(path.write_bytes, data)
    answer: dict[str, Any] = await home.act("verify_package", path=str(path))
    return answer


def published(home: Home) -> tuple[str, bytes]:
    """Return name and bytes of the vendor's only file."""
    ((name, data),) = home.vendor.files.items()
    return name, data


async def test_a_genuine_file_is_named_with_who_signed_it_and_whom_it_fits(home: Home, folder: Path) -> None:
    await home.publish("1.1.0")
    _, data = published(home)
    answer = await check(home, folder / "from-the-web.bin", data)
    assert (answer["verified"], answer["trust"], answer["reason"]) == (True, "signed", None)
    digest = sha256(data).hexdigest()
    assert answer["file"] == {"name": "from-the-web.bin", "size": len(data), "sha256": digest}
    (release,) = answer["releases"]
    assert (release["manufacturer"], release["models"], release["version"]) == ("Acme", ["PLUG-S1"], "1.1.0")
    assert (release["key"], release["feed"]) == (home.vendor.key.thumbprint, "Acme feed")
    assert (release["size"], release["digest"]) == (len(data), digest)


async def test_a_changed_file_is_not_verified(home: Home, folder: Path) -> None:
    await home.publish("1.1.0")
    name, data = published(home)
    answer = await check(home, folder / name, data[:-1] + bytes([data[-1] ^ 1]))
    assert (answer["verified"], answer["reason"], answer["releases"]) == (False, "other_content", [])
    assert "Do not install it" in answer["reason_text"]
    assert [release["version"] for release in answer["alike"]] == ["1.1.0"]


async def test_a_file_that_nobody_publishes_says_so(home: Home, folder: Path) -> None:
    await home.publish("1.1.0")
    answer = await check(home, folder / "found.bin", b"whatever")
    assert (answer["verified"], answer["trust"], answer["reason"]) == (False, None, "not_published")


async def test_a_withdrawn_file_comes_with_the_makers_reason(home: Home, folder: Path) -> None:
    home.vendor.add_release(Image("Acme", "PLUG-S1", "1.1.0"))
    home.vendor.revoked = [{"model": "PLUG-S1", "version": "1.1.0", "reason": "it <b>burns</b>"}]
    await home.reread()
    answer = await check(home, folder / "plug.bin", published(home)[1])
    assert (answer["verified"], answer["reason"]) == (False, "offer_withdrawn")
    assert "burns" in answer["releases"][0]["withdrawn"]
    assert "<b>" not in answer["releases"][0]["withdrawn"]


async def test_a_file_outside_of_the_allowed_folders_is_not_read(home: Home, folder: Path) -> None:
    with pytest.raises(ServiceValidationError) as refused:
        await check(home, folder.parent / "plug.bin", b"secret")
    assert refused.value.translation_key == "path_not_allowed"


async def test_a_link_out_of_the_folder_is_not_followed(home: Home, folder: Path) -> None:
    def link() -> None:
        (folder.parent / "secret").write_bytes(b"secret")
        (folder / "plug.bin").symlink_to(folder.parent / "secret")

    await home.hass.async_add_executor_job(link)
    with pytest.raises(ServiceValidationError) as refused:
        await check(home, folder / "plug.bin")
    assert refused.value.translation_key == "path_not_allowed"


@pytest.mark.parametrize("kind", ["missing", "folder", "pipe"])
async def test_what_is_no_file_says_so_and_holds_nothing_up(home: Home, folder: Path, kind: str) -> None:
    make = {"missing": lambda _path: None, "folder": os.mkdir, "pipe": os.mkfifo}[kind]
    await home.hass.async_add_executor_job(make, folder / "plug.bin")
    with pytest.raises(ServiceValidationError) as refused:
        await check(home, folder / "plug.bin")
    assert refused.value.translation_key == "file_unreadable"


async def test_a_file_that_is_too_large_is_not_read_to_its_end(home: Home, folder: Path) -> None:
    def large() -> None:
        with (folder / "plug.bin").open("wb") as file:
            file.truncate(limits.MAX_ARTIFACT_BYTES + 1)

    await home.hass.async_add_executor_job(large)
    with pytest.raises(ServiceValidationError) as refused:
        await check(home, folder / "plug.bin")
    assert refused.value.translation_key == "too_large"


async def test_a_path_that_climbs_is_no_path(home: Home, folder: Path) -> None:
    with pytest.raises(vol.Invalid):
        await home.act("verify_package", path=f"{folder}/../plug.bin")
