"""A vendor's own certificate authority: asked for, kept, used for its feed alone, and shown to nobody else."""

import json
from typing import Any

import pytest
from homeassistant.config_entries import SOURCE_RECONFIGURE, SOURCE_USER
from homeassistant.data_entry_flow import FlowResultType
from pytest_homeassistant_custom_component.components.diagnostics import get_diagnostics_for_config_entry
from pytest_homeassistant_custom_component.typing import ClientSessionGenerator

from custom_components.firmware_hub.config_values import feeds_from_entry
from custom_components.firmware_hub.const import CONF_PUBLIC_SOURCES, SUBENTRY_FEED
from custom_components.firmware_hub.core.errors import Reason
from custom_components.firmware_hub.core.view import FeedView
from simulator.certificates import Authority
from simulator.images import Image
from simulator.vendor import Vendor
from tests.ha.home import Home, until
from tests.ha.test_feed_kinds import GIVEN as OTHER_KINDS, HERE
from tests.ha.test_options_flow import GIVEN as OPTIONS

OWN = Authority("Plugs Ltd")
SERVER = OWN.for_server("127.0.0.1")
SECURE = "https://127.0.0.1:9/plugs"
SIGNED = {"url": f"{SECURE}.jws", "vendor": "Plugs", "title": "Plugs"}


async def began(home: Home, kind: str) -> Any:
    """Begin to add a feed of a kind."""
    menu = await home.hass.config_entries.subentries.async_init(
        (home.entry.entry_id, SUBENTRY_FEED), context={"source": SOURCE_USER}
    )
    return await home.hass.config_entries.subentries.async_configure(menu["flow_id"], {"next_step_id": kind})


async def answered(home: Home, form: Any, given: dict[str, Any]) -> Any:
    result = await home.hass.config_entries.subentries.async_configure(form["flow_id"], given)
    await home.hass.async_block_till_done()
    return result


async def added(home: Home, vendor: Vendor, authority: str) -> str:
    """Add a signed feed; return the id that it got."""
    given = SIGNED | {
        "url": vendor.manifest_url,
        "vendor": vendor.name,
        "keys": vendor.public_jwk,
        "authority": authority,
    }
    form = await answered(home, await began(home, "signed"), given)
    assert (await answered(home, form, {}))["type"] is FlowResultType.CREATE_ENTRY
    return feeds_from_entry(home.entry)[-1].id


def suggested(form: Any) -> dict[str, Any]:
    """Return what a form proposes."""
    return {str(key): (key.description or {}).get("suggested_value") for key in form["data_schema"].schema}


def seen(home: Home, feed_id: str) -> FeedView:
    return next(feed for feed in home.hub.hub_view().feeds if feed.feed_id == feed_id)


async def test_a_feed_with_its_makers_authority_is_read_and_its_files_are_fetched(night: Home) -> None:
    async with Vendor("Plugs", tls=True) as vendor:
        vendor.add_release(Image("Plugs", "P1", "1.1.0"))
        feed_id = await added(night, vendor, vendor.ca_pem.decode())
        await until(lambda: seen(night, feed_id).sequence == 1)
        entity_id = await night.offered("plug-1", manufacturer="Plugs", model="P1")
        await night.say("plug-1", "availability", "online")
        await night.call("update.install", entity_id=entity_id)
        await until(lambda: night.state(entity_id).attributes["install_state"] == "downloaded")


@pytest.mark.parametrize("authority", ["", OWN.pem], ids=["without one", "with another one"])
async def test_a_server_for_which_nobody_vouches_is_not_believed(home: Home, authority: str) -> None:
    async with Vendor("Plugs", tls=True) as vendor:
        feed_id = await added(home, vendor, authority)
        await until(lambda: seen(home, feed_id).last_error is Reason.TLS_FAILED)
        assert vendor.requests == []


async def test_one_feeds_authority_is_none_of_the_others(home: Home) -> None:
    async with Vendor("Plugs", tls=True) as vendor, Vendor("Bulbs", tls=True) as other:
        first = await added(home, vendor, vendor.ca_pem.decode())
        await until(lambda: seen(home, first).sequence == 1)
        second = await added(home, other, "")
        await until(lambda: seen(home, second).last_error is Reason.TLS_FAILED)
        assert other.requests == []
        await until(lambda: seen(home, "feed1").sequence == home.vendor.sequence)


@pytest.mark.parametrize("kind", ["esphome", "tuf"])
async def test_feeds_of_other_kinds_may_have_one_as_well(home: Home, kind: str) -> None:
    given = {key: value.replace(HERE, SECURE) if key == "url" else value for key, value in OTHER_KINDS[kind].items()}
    form = await answered(home, await began(home, kind), given | {"authority": f"mine\n{OWN.pem}"})
    if form["type"] is FlowResultType.FORM:
        assert form["step_id"] == "confirm"
        await answered(home, form, {})
    assert feeds_from_entry(home.entry)[-1].authority == OWN.pem


@pytest.mark.parametrize(
    ("changes", "fault"),
    [
        ({"authority": SERVER.certificate}, "authority_untrusted_key"),
        ({"url": "http://127.0.0.1:9/plugs"}, "authority_without_https"),
    ],
)
async def test_a_wrong_authority_is_explained_and_can_be_corrected(
    home: Home, changes: dict[str, str], fault: str
) -> None:
    given = OTHER_KINDS["zigbee"] | {"url": SECURE, "authority": OWN.pem}
    form = await answered(home, await began(home, "zigbee"), given | changes)
    assert (form["type"], form["errors"]) == (FlowResultType.FORM, {"authority": fault})
    assert suggested(form)["authority"] == (given | changes)["authority"]
    assert (await answered(home, form, given))["type"] is FlowResultType.CREATE_ENTRY


async def test_a_private_key_is_refused_and_neither_kept_nor_sent_back(home: Home) -> None:
    given = OTHER_KINDS["zigbee"] | {"url": SECURE, "authority": OWN.pem + SERVER.key}
    form = await answered(home, await began(home, "zigbee"), given)
    assert form["errors"] == {"authority": "authority_private_key"}
    assert suggested(form)["authority"] == ""
    assert suggested(form)["url"] == SECURE
    assert len(home.entry.subentries) == 1


async def test_it_is_shown_when_a_feed_is_changed_and_goes_when_it_is_taken_out(home: Home) -> None:
    given = OTHER_KINDS["zigbee"] | {"url": SECURE, "authority": OWN.pem}
    await answered(home, await began(home, "zigbee"), given)
    feed = feeds_from_entry(home.entry)[-1]
    form = await home.hass.config_entries.subentries.async_init(
        (home.entry.entry_id, SUBENTRY_FEED), context={"source": SOURCE_RECONFIGURE, "subentry_id": feed.id}
    )
    assert suggested(form)["authority"] == OWN.pem
    del given["authority"]
    await answered(home, form, given)
    assert feeds_from_entry(home.entry)[-1].authority == ""


async def optioned(home: Home, **sources: Any) -> Any:
    """Answer the options with something about the public sources."""
    form = await home.hass.config_entries.options.async_init(home.entry.entry_id)
    given = OPTIONS | {"public_sources": {"tasmota_enabled": False, **sources}}
    return await home.hass.config_entries.options.async_configure(form["flow_id"], given)


async def test_a_public_source_may_have_one_too(home: Home) -> None:
    assert (await optioned(home, shelly_authority=f"x\n{OWN.pem}"))["type"] is FlowResultType.CREATE_ENTRY
    authorities = {feed.id: feed.authority for feed in feeds_from_entry(home.entry)}
    assert authorities == {"tasmota": "", "shelly": OWN.pem, "shelly_gen1": "", "zigbee_ota": "", "feed1": ""}
    assert home.entry.options[CONF_PUBLIC_SOURCES]["shelly_authority"] == OWN.pem


@pytest.mark.parametrize(
    ("sources", "fault"),
    [
        ({"shelly_authority": "hello"}, "authority_malformed"),
        ({"shelly_authority": OWN.pem + SERVER.key}, "authority_private_key"),
        ({"tasmota_authority": OWN.pem, "tasmota_mirror": "http://nas/tasmota"}, "authority_without_https"),
    ],
)
async def test_a_wrong_one_of_a_public_source_is_explained_and_not_sent_back(
    home: Home, sources: dict[str, str], fault: str
) -> None:
    form = await optioned(home, **sources)
    assert form["errors"] == {CONF_PUBLIC_SOURCES: fault}
    schema = next(value.schema for key, value in form["data_schema"].schema.items() if key == CONF_PUBLIC_SOURCES)
    assert "PRIVATE KEY" not in json.dumps([key.description for key in schema.schema])


async def test_it_is_told_to_nobody(home: Home, hass_client: ClientSessionGenerator) -> None:
    given = OTHER_KINDS["zigbee"] | {"url": SECURE, "authority": OWN.pem}
    await answered(home, await began(home, "zigbee"), given)
    await optioned(home, shelly_authority=OWN.pem)
    await home.hass.async_block_till_done()
    told = json.dumps(await get_diagnostics_for_config_entry(home.hass, hass_client, home.entry))
    assert "CERTIFICATE" not in told
    assert OWN.pem.splitlines()[1] not in told
    assert "https://127.0.0.1/plugs" in told
