"""Signed vendor feeds as subentries: address, maker, keys, and the fingerprints to compare."""

from typing import Any

import pytest
from homeassistant.config_entries import SOURCE_RECONFIGURE, SOURCE_USER
from homeassistant.data_entry_flow import FlowResultType

from custom_components.firmware_hub.config_values import feeds_from_entry
from custom_components.firmware_hub.const import SUBENTRY_FEED
from custom_components.firmware_hub.markdown import grouped
from simulator.keys import SigningKey
from tests.ha.home import Home, until

KEY = SigningKey.generate("ES256")
URL = "http://127.0.0.1:9/other.jws"
GIVEN = {"url": URL, "vendor": "Other", "keys": KEY.public_jwk, "title": "Other's feed"}


async def asked(home: Home, **changes: Any) -> Any:
    """Begin to add a feed."""
    form = await home.hass.config_entries.subentries.async_init(
        (home.entry.entry_id, SUBENTRY_FEED), context={"source": SOURCE_USER}
    )
    assert (form["type"], form["step_id"]) == (FlowResultType.MENU, "user")
    form = await home.hass.config_entries.subentries.async_configure(form["flow_id"], {"next_step_id": "signed"})
    assert (form["type"], form["step_id"]) == (FlowResultType.FORM, "signed")
    return await home.hass.config_entries.subentries.async_configure(form["flow_id"], GIVEN | changes)


def suggested(form: Any) -> dict[str, str]:
    """Return what a form proposes."""
    return {str(key): key.description["suggested_value"] for key in form["data_schema"].schema}


async def confirmed(home: Home, form: Any) -> Any:
    """Say that the fingerprints are right."""
    done = await home.hass.config_entries.subentries.async_configure(form["flow_id"], {})
    await home.hass.async_block_till_done()
    return done


async def test_the_fingerprint_is_shown_before_a_feed_is_added(home: Home) -> None:
    form = await asked(home)
    assert (form["type"], form["step_id"]) == (FlowResultType.FORM, "confirm")
    assert form["description_placeholders"]["fingerprints"] == f"- `{grouped(KEY.thumbprint)}`"
    assert len(home.entry.subentries) == 1
    done = await confirmed(home, form)
    assert (done["type"], done["title"]) == (FlowResultType.CREATE_ENTRY, "Other's feed")


async def test_a_feed_is_used_at_once_and_without_a_reload(home: Home) -> None:
    before = home.hub
    await confirmed(home, await asked(home))
    await until(lambda: URL in [feed.url for feed in home.hub.hub_view().feeds])
    assert home.hub is before
    feed = feeds_from_entry(home.entry)[-1]
    assert (feed.url, feed.vendor, feed.title) == (URL, "Other", "Other's feed")
    assert feed.id in home.entry.subentries


async def test_without_a_title_a_feed_has_its_makers_name(home: Home) -> None:
    done = await confirmed(home, await asked(home, title=" "))
    assert done["title"] == "Other"


async def test_several_keys_are_all_shown(home: Home) -> None:
    second = SigningKey.generate("EdDSA")
    form = await asked(home, keys=f"[{KEY.public_jwk}, {second.public_jwk}]")
    shown = form["description_placeholders"]["fingerprints"]
    assert grouped(KEY.thumbprint) in shown
    assert grouped(second.thumbprint) in shown


@pytest.mark.parametrize(
    ("changes", "errors"),
    [
        ({"url": "other.example"}, {"url": "not_a_url"}),
        ({"url": "ftp://other.example/x"}, {"url": "not_a_url"}),
        ({"url": "https://other.example/a b"}, {"url": "not_a_url"}),
        ({"url": "https://[broken"}, {"url": "not_a_url"}),
        ({"url": "http://other.example/x"}, {"url": "insecure_url"}),
        ({"vendor": " "}, {"vendor": "no_vendor"}),
        ({"keys": "no key"}, {"keys": "key_malformed"}),
        ({"keys": "A" * 1_000_000}, {"keys": "key_too_large"}),
    ],
)
async def test_a_wrong_answer_is_explained_and_can_be_corrected(
    home: Home, changes: dict[str, str], errors: dict[str, str]
) -> None:
    form = await asked(home, **changes)
    assert (form["type"], form["errors"]) == (FlowResultType.FORM, errors)
    again = await home.hass.config_entries.subentries.async_configure(form["flow_id"], GIVEN)
    assert again["step_id"] == "confirm"


async def test_a_private_key_is_refused_and_not_kept(home: Home) -> None:
    private = '{"kty":"EC","crv":"P-256","x":"AA","y":"AA","d":"AA"}'
    form = await asked(home, keys=private)
    assert form["errors"] == {"keys": "key_private_key"}
    assert len(home.entry.subentries) == 1


@pytest.mark.parametrize("url", ["http://192.168.1.5/m", "http://vendor.local/m", "http://nas/m"])
async def test_plain_http_is_good_enough_inside_the_local_network(home: Home, url: str) -> None:
    assert (await asked(home, url=url))["step_id"] == "confirm"


async def test_the_same_feed_is_not_added_twice(home: Home) -> None:
    form = await asked(home, url=home.vendor.manifest_url)
    assert form["errors"] == {"url": "already_added"}


async def test_a_feed_can_be_changed_and_keeps_its_identity(home: Home) -> None:
    before = home.hub
    form = await home.hass.config_entries.subentries.async_init(
        (home.entry.entry_id, SUBENTRY_FEED), context={"source": SOURCE_RECONFIGURE, "subentry_id": "feed1"}
    )
    assert (form["type"], form["step_id"]) == (FlowResultType.FORM, "signed")
    shown = suggested(form)
    assert shown["url"] == home.vendor.manifest_url
    changed = shown | {"url": URL, "title": "Moved"}
    form = await home.hass.config_entries.subentries.async_configure(form["flow_id"], changed)
    assert form["description_placeholders"] is not None
    assert form["description_placeholders"]["fingerprints"] == f"- `{grouped(home.vendor.key.thumbprint)}`"
    done = await confirmed(home, form)
    assert (done["type"], done["reason"]) == (FlowResultType.ABORT, "reconfigure_successful")
    assert home.entry.subentries["feed1"].title == "Moved"
    assert home.entry.subentries["feed1"].data["url"] == URL
    await until(lambda: URL in [feed.url for feed in home.hub.hub_view().feeds])
    assert home.hub is before


async def test_a_feed_that_is_removed_takes_its_offers_away(home: Home) -> None:
    await home.publish("1.1.0")
    entity_id = await home.offered()
    home.hass.config_entries.async_remove_subentry(home.entry, "feed1")
    await until(lambda: home.state(entity_id).state == "off")
