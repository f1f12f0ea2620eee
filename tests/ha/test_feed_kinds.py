"""Vendor feeds that are no signed lists: what is asked, what is kept, and which feed it becomes."""

from typing import Any
from urllib.parse import urlsplit

import pytest
from homeassistant.config_entries import SOURCE_RECONFIGURE, SOURCE_USER
from homeassistant.data_entry_flow import FlowResultType

from custom_components.firmware_hub import feed_values
from custom_components.firmware_hub.config_values import (
    BUILT_IN_FEEDS,
    built_in_feeds,
    feed_from_data,
    feeds_from_entry,
    mirror_key,
)
from custom_components.firmware_hub.const import SUBENTRY_FEED
from custom_components.firmware_hub.core.model import Feed, Product, Trust
from custom_components.firmware_hub.markdown import grouped
from tests.ha.home import Home, until
from tests.tuf.repository import Repository

HERE = "http://127.0.0.1:9"
GITHUB = feed_values._GITHUB
REPOSITORY = Repository()
GIVEN: dict[str, dict[str, Any]] = {
    "tuf": {"title": "Makers", "url": f"{HERE}/metadata", "root": REPOSITORY.first_root},
    "zigbee": {"title": "My images", "url": f"{HERE}/index.json", "kind": "zigpy_index"},
    "esphome": {"url": f"{HERE}/manifest.json", "vendor": "Acme", "model": "garage"},
    "github": {
        "repository": "acme/plug",
        "vendor": "Acme",
        "model": "PLUG-S1",
        "hardware": "*",
        "variant": "eu",
        "file": "plug-{version}.bin",
        "prereleases": True,
    },
}
API = f"{HERE}/repos/acme/plug/releases"


@pytest.fixture(autouse=True)
def _github(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is asked outside of this machine."""
    monkeypatch.setattr(feed_values, "_GITHUB", f"{HERE}/repos/{{}}/releases")


def test_the_releases_of_a_repository_are_at_github() -> None:
    assert GITHUB.format("acme/plug") == "https://api.github.com/repos/acme/plug/releases?per_page=10"


def test_the_files_of_a_repository_at_github_are_at_github() -> None:
    data = {"vendor": "Acme", "model": "PLUG-S1", "file": "plug.bin", "kind": "github_releases"}
    at_github = feed_from_data("id", "Plugs", data | {"url": GITHUB.format("acme/plug")})
    assert at_github.hosts == ("api.github.com", "github.com", ".githubusercontent.com")
    assert feed_from_data("id", "Plugs", data | {"url": API}).hosts == ()


def test_a_list_of_a_vendors_own_may_lie_at_github_and_name_files_elsewhere() -> None:
    data = {"vendor": "Acme", "kind": "signed_manifest", "url": "https://github.com/acme/plug/raw/main/manifest.jws"}
    assert feed_from_data("id", "Plugs", data).hosts == ()


@pytest.mark.parametrize("feed", BUILT_IN_FEEDS, ids=lambda feed: feed.id)
def test_a_public_source_is_at_hosts_of_its_own_and_a_mirror_is_where_its_owner_says(feed: Feed) -> None:
    host = str(urlsplit(feed.url).hostname)
    assert any(host == one or (one.startswith(".") and host.endswith(one)) for one in feed.hosts)
    assert feed in built_in_feeds({})
    (mirrored,) = [
        found
        for found in built_in_feeds({"public_sources": {mirror_key(feed): "https://nas.example/mirror"}})
        if found.id == feed.id
    ]
    assert (mirrored.url, mirrored.hosts) == ("https://nas.example/mirror", ())


async def asked(home: Home, kind: str, **changes: Any) -> Any:
    """Begin to add a feed of a kind, and answer its form."""
    menu = await home.hass.config_entries.subentries.async_init(
        (home.entry.entry_id, SUBENTRY_FEED), context={"source": SOURCE_USER}
    )
    assert menu["type"] is FlowResultType.MENU
    form = await home.hass.config_entries.subentries.async_configure(menu["flow_id"], {"next_step_id": kind})
    assert (form["type"], form["step_id"]) == (FlowResultType.FORM, kind)
    return await answered(home, form, GIVEN[kind] | changes)


async def answered(home: Home, form: Any, given: dict[str, Any]) -> Any:
    result = await home.hass.config_entries.subentries.async_configure(form["flow_id"], given)
    await home.hass.async_block_till_done()
    return result


def added(home: Home) -> Feed:
    """Return the feed that was added last."""
    return feeds_from_entry(home.entry)[-1]


async def test_an_index_of_zigbee_images_is_added(home: Home) -> None:
    done = await asked(home, "zigbee")
    assert (done["type"], done["title"]) == (FlowResultType.CREATE_ENTRY, "My images")
    feed = added(home)
    assert (feed.source, feed.url, feed.trust) == ("zigpy_index", f"{HERE}/index.json", Trust.DIGEST)
    await until(lambda: feed.url in [item.url for item in home.hub.hub_view().feeds])


async def test_a_manifest_of_esphome_is_added_for_the_devices_that_the_owner_names(home: Home) -> None:
    done = await asked(home, "esphome")
    assert (done["type"], done["title"]) == (FlowResultType.CREATE_ENTRY, "garage")
    feed = added(home)
    assert (feed.source, feed.trust) == ("esphome_manifest", Trust.VENDOR)
    assert feed.product == Product("Acme", "garage")


async def test_a_repository_on_github_is_added_for_the_devices_that_the_owner_names(home: Home) -> None:
    done = await asked(home, "github")
    assert (done["type"], done["title"]) == (FlowResultType.CREATE_ENTRY, "PLUG-S1")
    feed = added(home)
    assert (feed.source, feed.trust, feed.url) == ("github_releases", Trust.DIGEST, API)
    assert feed.product == Product("Acme", "PLUG-S1", "*", "eu", "plug-{version}.bin", prereleases=True)


@pytest.mark.parametrize("written", ["https://github.com/acme/plug", "https://github.com/acme/plug/", " acme/plug "])
async def test_the_address_of_a_repository_is_as_good_as_its_name(home: Home, written: str) -> None:
    await asked(home, "github", repository=written)
    assert added(home).url == API


async def test_the_keys_of_a_repository_are_shown_before_it_is_added(home: Home) -> None:
    form = await asked(home, "tuf")
    assert (form["type"], form["step_id"]) == (FlowResultType.FORM, "confirm")
    (key,) = REPOSITORY.signers["root"]
    assert form["description_placeholders"] == {
        "fingerprints": f"- `{grouped(key.public_key.keyid)}`",
        "vendor": "Makers",
    }
    done = await answered(home, form, {})
    assert (done["type"], done["title"]) == (FlowResultType.CREATE_ENTRY, "Makers")
    feed = added(home)
    assert (feed.source, feed.trust, feed.root) == ("tuf_repository", Trust.SIGNED, REPOSITORY.first_root)


async def test_the_files_of_a_repository_may_be_elsewhere(home: Home) -> None:
    await answered(home, await asked(home, "tuf", files_url=f"{HERE}/files"), {})
    assert added(home).files_url == f"{HERE}/files"


def forged() -> str:
    return REPOSITORY.first_root.replace('"consistent_snapshot":true', '"consistent_snapshot":false')


@pytest.mark.parametrize(
    ("kind", "changes", "errors"),
    [
        ("zigbee", {"url": "index.json"}, {"url": "not_a_url"}),
        ("zigbee", {"url": "http://other.example/i.json"}, {"url": "insecure_url"}),
        ("zigbee", {"title": " "}, {"title": "no_title"}),
        ("esphome", {"vendor": " "}, {"vendor": "no_vendor"}),
        ("esphome", {"model": "x" * 101}, {"model": "no_model"}),
        ("github", {"repository": "plug"}, {"repository": "no_repository"}),
        ("github", {"repository": "acme/../evil"}, {"repository": "no_repository"}),
        ("github", {"repository": "https://gitlab.com/acme/plug"}, {"repository": "no_repository"}),
        ("github", {"file": "../plug.bin"}, {"file": "no_file_name"}),
        ("github", {"file": "plug-{name}.bin"}, {"file": "no_file_name"}),
        ("github", {"file": "plug-{version.bin"}, {"file": "no_file_name"}),
        ("github", {"vendor": "", "model": ""}, {"vendor": "no_vendor", "model": "no_model"}),
        ("tuf", {"url": "ftp://x/y"}, {"url": "not_a_url"}),
        ("tuf", {"files_url": "http://other.example/files"}, {"files_url": "insecure_url"}),
        ("tuf", {"title": ""}, {"title": "no_title"}),
        ("tuf", {"root": "no root"}, {"root": "root_malformed"}),
        ("tuf", {"root": "\ud800"}, {"root": "root_malformed"}),
        ("tuf", {"root": REPOSITORY.sign("timestamp", REPOSITORY.timestamp).decode()}, {"root": "root_malformed"}),
        ("tuf", {"root": forged()}, {"root": "root_bad_signature"}),
        ("tuf", {"root": "x" * 600_000}, {"root": "root_too_large"}),
    ],
)
async def test_a_wrong_answer_is_explained_and_can_be_corrected(
    home: Home, kind: str, changes: dict[str, str], errors: dict[str, str]
) -> None:
    form = await asked(home, kind, **changes)
    assert (form["type"], form["errors"]) == (FlowResultType.FORM, errors)
    again = await answered(home, form, GIVEN[kind])
    assert again["type"] is FlowResultType.CREATE_ENTRY or again["step_id"] == "confirm"


@pytest.mark.parametrize(("kind", "field"), [("zigbee", "url"), ("github", "repository")])
async def test_the_same_feed_is_not_added_twice(home: Home, kind: str, field: str) -> None:
    await asked(home, kind)
    form = await asked(home, kind)
    assert form["errors"] == {field: "already_added"}


async def test_a_feed_is_changed_in_the_form_of_its_kind(home: Home) -> None:
    await asked(home, "github")
    feed_id = added(home).id
    form = await home.hass.config_entries.subentries.async_init(
        (home.entry.entry_id, SUBENTRY_FEED), context={"source": SOURCE_RECONFIGURE, "subentry_id": feed_id}
    )
    assert (form["type"], form["step_id"]) == (FlowResultType.FORM, "github")
    schema = form["data_schema"]
    assert schema is not None
    shown = {str(key): (key.description or {}).get("suggested_value") for key in schema.schema}
    assert (shown["repository"], shown["file"]) == ("acme/plug", "plug-{version}.bin")
    done = await answered(home, form, GIVEN["github"] | {"file": "{tag}.bin", "title": "Plugs"})
    assert (done["type"], done["reason"]) == (FlowResultType.ABORT, "reconfigure_successful")
    changed = added(home)
    assert (changed.id, changed.title, changed.product) == (
        feed_id,
        "Plugs",
        Product("Acme", "PLUG-S1", "*", "eu", "{tag}.bin", prereleases=True),
    )


async def test_a_repository_that_is_changed_shows_its_keys_again(home: Home) -> None:
    await answered(home, await asked(home, "tuf"), {})
    form = await home.hass.config_entries.subentries.async_init(
        (home.entry.entry_id, SUBENTRY_FEED), context={"source": SOURCE_RECONFIGURE, "subentry_id": added(home).id}
    )
    form = await answered(home, form, GIVEN["tuf"] | {"url": f"{HERE}/elsewhere"})
    assert form["step_id"] == "confirm"
    await answered(home, form, {})
    assert added(home).url == f"{HERE}/elsewhere"
