"""What a homeowner sees and does, in a real browser, on the real Home Assistant."""

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from playwright.async_api import Browser, BrowserContext, Locator, Page, ViewportSize, async_playwright, expect

from simulator.demo.home_assistant import ROOT

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.timeout(300), pytest.mark.xdist_group("browser")]

CHROMIUM = os.environ.get("FIRMWARE_HUB_CHROMIUM") or shutil.which("chromium")
PICTURES = os.environ.get("FIRMWARE_HUB_PICTURES")
DESKTOP, PHONE = ViewportSize(width=1280, height=900), ViewportSize(width=390, height=844)
README = ViewportSize(width=680, height=920)
PATIENCE = 30_000
expect.set_options(timeout=PATIENCE)
INTEGRATION = "/config/integrations/integration/firmware_hub"
RAW = re.compile(r"component\.|\{\w+\}|\bundefined\b|\[object|%key|\b[a-z]+_[a-z_]+\b")
"""What no person should meet: keys, places that were not filled, a program's own words."""
READ = """root => {
  const words = [];
  const read = node => {
    if (node.nodeType === Node.TEXT_NODE) { if (node.textContent.trim()) words.push(node.textContent.trim()); return; }
    if (node.nodeType === Node.ELEMENT_NODE) {
      if (/^(style|script|svg|input|textarea)$/i.test(node.tagName)) return;
      const style = getComputedStyle(node);
      if (style.display === "none" || style.visibility === "hidden") return;
      if (node.tagName === "SLOT") { node.assignedNodes({flatten: true}).forEach(read); return; }
    }
    (node.shadowRoot || node).childNodes.forEach(read);
  };
  read(root);
  return words.join("\\n");
}"""
"""Home Assistant's page is made of shadow trees, which the browser's own way to the text leaves out."""


@dataclass(frozen=True, slots=True)
class Home:
    """The home's process, and what it said of itself."""

    process: subprocess.Popen[str]
    facts: dict[str, Any]

    @property
    def url(self) -> str:
        return str(self.facts["url"])

    def do(self, deed: str) -> None:
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.write(f"{deed}\n")
        self.process.stdin.flush()
        assert self.process.stdout.readline()


@pytest.fixture(autouse=True)
def _real_network() -> None:
    """The sockets are those of other processes: the browser's driver speaks through pipes."""


@pytest.fixture(scope="module")
def home() -> Iterator[Home]:
    command = [sys.executable, "-m", "tests.e2e.home"]
    with subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        yield Home(process, json.loads(process.stdout.readline()))
        process.stdin.close()


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def chromium() -> AsyncIterator[Browser]:
    if not CHROMIUM:
        pytest.skip("there is no Chromium: script/setup says how to get it")
    async with async_playwright() as playwright:
        yield await playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def owner(chromium: Browser, home: Home) -> BrowserContext:
    """Sign in as the owner does."""
    context = await chromium.new_context(base_url=home.url, viewport=DESKTOP, service_workers="block")
    context.set_default_timeout(PATIENCE)
    page = await context.new_page()
    await page.goto("/")
    await page.locator("input[name=username]").fill(home.facts["username"])
    await page.locator("input[name=password]").fill(home.facts["password"])
    await page.get_by_role("button", name="Log in").click()
    await expect(page.get_by_text("Settings", exact=True)).to_be_visible(timeout=PATIENCE)
    await page.close()
    return context


@pytest_asyncio.fixture(loop_scope="module")
async def page(owner: BrowserContext) -> AsyncIterator[Page]:
    page = await owner.new_page()
    yield page
    await page.close()


async def read(element: Locator) -> str:
    """Return what a person reads there."""
    return str(await element.evaluate(READ))


async def picture(page: Page, name: str) -> None:
    """Keep what is to be seen, if somebody wants it."""
    if PICTURES:
        await page.screenshot(path=Path(PICTURES) / f"{name}.png", animations="disabled")


@pytest_asyncio.fixture(loop_scope="module")
async def phone(owner: BrowserContext, chromium: Browser, home: Home) -> AsyncIterator[Page]:
    """The same person with a phone at night."""
    context = await chromium.new_context(
        base_url=home.url,
        viewport=PHONE,
        color_scheme="dark",
        service_workers="block",
        storage_state=await owner.storage_state(),
    )
    context.set_default_timeout(PATIENCE)
    yield await context.new_page()
    await context.close()


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def hub(owner: BrowserContext) -> str:
    """Add the integration; return what the dialogs said."""
    page = await owner.new_page()
    await page.goto("/config/integrations/dashboard")
    await page.get_by_role("button", name="Ignore").wait_for()
    said = await read(page.locator("ha-config-integrations-dashboard"))
    await page.get_by_role("button", name="Add integration").click()
    await page.locator("dialog-add-integration input").fill("Firmware Hub")
    await page.locator("ha-integration-list-item").click()
    await page.get_by_text("Set up another instance of Firmware Hub").click()
    dialog = page.locator("dialog-data-entry-flow")
    await dialog.get_by_text("It installs nothing that you have not approved").wait_for()
    said += await read(dialog)
    await picture(page, "add-integration")
    await dialog.get_by_role("button", name="Submit").click()
    # "Skip and finish" once there are devices that can be given an area.
    await dialog.get_by_role("button", name="finish").click()
    await page.get_by_role("button", name="finish").wait_for(state="hidden")
    await page.close()
    return said


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def feeds(hub: str, owner: BrowserContext, home: Home) -> dict[str, str]:
    """Add the makers' feeds with their pasted keys; return what the dialogs said."""
    said = {}
    for maker, (url, key) in home.facts["feeds"].items():
        page = await owner.new_page()
        await page.goto(INTEGRATION)
        await page.get_by_role("button", name="Add vendor feed").click()
        dialog = page.locator("dialog-data-entry-flow")
        await dialog.get_by_text("A signed list of releases").click()
        await dialog.locator("input[name=url]").fill(url)
        await dialog.locator("input[name=vendor]").fill(maker)
        await dialog.locator("textarea[name=keys]").fill(key)
        said[maker] = await read(dialog)
        await dialog.get_by_role("button", name="Submit").click()
        await dialog.get_by_text("Compare the fingerprints").wait_for()
        said[maker] += await read(dialog)
        await picture(page, "fingerprints")
        await dialog.get_by_role("button", name="Submit").click()
        await dialog.get_by_role("button", name="finish").click()
        await page.close()
    return said


async def open_update(page: Page, name: str) -> Locator:
    """Open the dialog of a device's update from the list of updates; return when its notes are there."""
    await page.goto("/config/updates")
    await page.locator("ha-config-updates").get_by_text(name, exact=True).click()
    dialog = page.locator("ha-more-info-dialog")
    await dialog.get_by_text("Who vouches for it").wait_for()
    return dialog


async def open_options(page: Page) -> Locator:
    """Open the options of the hub; return when its fields are there."""
    await page.goto(INTEGRATION)
    await page.get_by_role("button", name="Configure").first.click()
    dialog = page.locator("dialog-data-entry-flow")
    await dialog.get_by_text("Quiet hours begin").wait_for()
    return dialog


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def approved(feeds: dict[str, str], owner: BrowserContext) -> None:
    """Press Update in the dialog of the kitchen plug."""
    page = await owner.new_page()
    dialog = await open_update(page, "Kitchen plug")
    await dialog.get_by_role("button", name="Update", exact=True).click()
    await dialog.get_by_text("Approved, starts after 00:00").wait_for()
    await page.set_viewport_size(README)
    await page.mouse.move(0, 0)
    await picture(page, "update-dialog")
    await page.close()


# --- setting up ------------------------------------------------------------------------------------------------------


async def test_home_assistant_itself_offers_the_hub(hub: str) -> None:
    assert re.search(r"Discovered\n(?:.*\n)*?Firmware Hub\n(?:.*\n)*?Ignore", hub)


async def test_the_hub_is_added_without_typing_anything(hub: str) -> None:
    assert "Home Assistant's own (MQTT integration)" in hub
    assert not RAW.findall(hub)


async def test_a_feed_shows_the_fingerprint_of_its_key(feeds: dict[str, str]) -> None:
    assert "Firmware of Acme is offered only if it is signed" in feeds["Acme"]
    assert re.search(r"(?:[\w-]{8} ){5}[\w-]{3}", feeds["Acme"])


async def test_every_field_of_a_feed_is_explained(feeds: dict[str, str]) -> None:
    for words in (
        "Where the maker publishes",
        "exactly as its feed states it",
        "Never a private key",
        "Leave it empty",
    ):
        assert words in feeds["Acme"]


# --- the update ------------------------------------------------------------------------------------------------------


async def test_the_list_names_device_make_and_version(page: Page, feeds: dict[str, str]) -> None:
    await page.goto("/config/updates")
    await expect(page.get_by_text("Acme LIGHT-D2 1.1.0")).to_be_visible()
    shown = await read(page.locator("ha-config-updates"))
    assert "Stairs light" in shown
    assert "Front door lock" not in shown


async def test_the_dialog_says_what_changes_and_who_vouches(page: Page, feeds: dict[str, str]) -> None:
    dialog = await open_update(page, "Kitchen plug")
    await expect(dialog.get_by_role("button", name="Update", exact=True)).to_be_enabled()
    shown = await read(dialog)
    for words in (
        *(
            "Installed version\n1.0.0",
            "Latest version\n1.1.0",
            "Fixes security problems",
            "severity high, CVE-2026-0001",
        ),
        *("The plug finds its way back to the Wi-Fi", "Signed by", "SHA-256 checksum", "Cannot be undone"),
    ):
        assert words in shown
    assert not RAW.findall(shown)


async def test_update_means_approved_for_the_night(page: Page, approved: None) -> None:
    dialog = await open_update(page, "Kitchen plug")
    await expect(dialog.get_by_text("Approved, starts after 00:00 · Acme PLUG-S1")).to_be_visible()
    assert "Installed version\n1.0.0" in await read(dialog)


async def test_skip_takes_the_approval_back(page: Page, feeds: dict[str, str]) -> None:
    dialog = await open_update(page, "Stairs light")
    await dialog.get_by_role("button", name="Update", exact=True).click()
    await expect(dialog.get_by_text("Approved, starts after 00:00")).to_be_visible()
    await dialog.get_by_role("button", name="Skip").click()
    await expect(dialog.get_by_text("Acme LIGHT-D2", exact=True)).to_be_visible()


async def test_the_dialog_fits_on_a_phone(phone: Page, feeds: dict[str, str]) -> None:
    dialog = await open_update(phone, "Kitchen plug")
    await picture(phone, "update-dialog-phone")
    edges = await dialog.locator("ha-markdown-element code").evaluate_all(
        "parts => parts.map(part => part.getBoundingClientRect().right)"
    )
    assert len(edges) == 2
    assert max(edges) <= PHONE["width"]


async def test_the_device_page_has_the_update_and_its_state(page: Page, feeds: dict[str, str]) -> None:
    await page.goto(INTEGRATION)
    await page.get_by_text("Stairs light", exact=True).click()
    await expect(page.get_by_text("Update state").first).to_be_visible()
    shown = await read(page.locator("ha-config-device-page"))
    for words in ("LIGHT-D2", "by Acme", "Firmware: 1.0.0", "Hardware: rev2", "Waits for approval"):
        assert words in shown
    assert not RAW.findall(shown)
    await picture(page, "device")


# --- options and repairs ---------------------------------------------------------------------------------------------


async def test_every_option_has_words(page: Page, hub: str) -> None:
    dialog = await open_options(page)
    for section in ("Public sources", "Where devices fetch their firmware"):
        await dialog.get_by_text(section, exact=True).click()
    await expect(dialog.get_by_text("Only needed if the hub does not find")).to_be_visible()
    shown = await read(dialog)
    assert "Quiet hours begin" in shown
    assert not RAW.findall(shown)
    await picture(page, "options")


async def test_other_quiet_hours_count_at_once(page: Page, approved: None) -> None:
    dialog = await open_options(page)
    await dialog.locator("input[name=hours]").first.fill("1")
    await dialog.get_by_role("button", name="Submit").click()
    await dialog.get_by_role("button", name="finish").click()
    update = await open_update(page, "Kitchen plug")
    await expect(update.get_by_text("Approved, starts after 01:00")).to_be_visible()


async def test_no_night_at_all_is_refused_in_words(page: Page, hub: str) -> None:
    dialog = await open_options(page)
    for day in ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday"):
        await dialog.get_by_text(day, exact=True).click()
    await dialog.get_by_role("button", name="Submit").click()
    await expect(dialog.get_by_text("Choose at least one night.")).to_be_visible()


async def test_a_forged_feed_is_a_repair_until_the_maker_is_honest(
    page: Page, feeds: dict[str, str], home: Home
) -> None:
    await page.goto("/config/repairs")
    await page.get_by_text("Northwind: feed refused, devices are fine").click()
    dialog = page.locator("dialog-data-entry-flow")
    await expect(dialog.get_by_text("The signature is wrong.")).to_be_visible()
    assert not RAW.findall(await read(dialog))
    await picture(page, "repair")
    home.do("northwind_is_honest")
    await dialog.get_by_text("Ask the maker again now").click()
    await expect(page.locator("ha-config-repairs").get_by_text("Northwind: feed refused")).to_be_hidden()
    await page.goto("/config/updates")
    await expect(page.get_by_text("Northwind LOCK-F6 1.1.0")).to_be_visible()


async def test_a_failed_update_is_a_repair_with_choices(page: Page, feeds: dict[str, str], home: Home) -> None:
    home.do("attic_switch_is_updated_now")
    await page.goto("/config/repairs")
    await page.get_by_text("Attic switch: update failed, device works").click(timeout=2 * PATIENCE)
    dialog = page.locator("dialog-data-entry-flow")
    await expect(dialog.get_by_text("it did not take the new one")).to_be_visible()
    shown = await read(dialog)
    assert "Wanted: version 1.1.0. Before: version 1.0.0." in shown
    assert not RAW.findall(shown)
    await picture(page, "repair-of-a-device")
    await dialog.get_by_text("Try again in the next quiet hours", exact=True).click()
    await expect(page.locator("ha-config-repairs").get_by_text("Attic switch")).to_be_hidden()


# --- what else there is ----------------------------------------------------------------------------------------------


async def test_diagnostics_can_be_downloaded_and_hold_no_key(page: Page, feeds: dict[str, str], home: Home) -> None:
    await page.goto(INTEGRATION)
    await page.get_by_role("link", name="1 service").click()
    async with page.expect_download() as download:
        await page.get_by_text("Download diagnostics").click()
    file = await (await download.value).path()
    told = file.read_text("utf-8")
    assert json.loads(told)["data"]["hub"]["devices"] == 5
    assert json.loads(home.facts["feeds"]["Acme"][1])["x"] not in told
    assert "Kitchen plug" not in told


async def test_the_system_information_has_words(page: Page, feeds: dict[str, str]) -> None:
    await page.goto("/config/repairs")
    await page.locator("ha-config-repairs-dashboard").get_by_label("Menu").click()
    await page.get_by_text("System information").click()
    await expect(page.get_by_text("Connected to the broker")).to_be_visible()
    await expect(page.get_by_text("Feeds in use")).to_be_visible()


async def test_the_logbook_tells_what_happened(page: Page, feeds: dict[str, str]) -> None:
    dialog = await open_update(page, "Hall lamp")
    await dialog.get_by_role("button", name="Update", exact=True).click()
    await expect(dialog.get_by_text("Approved")).to_be_visible()
    await page.goto("/logbook")
    await expect(page.get_by_text("Hall lamp: the update to 1.1.0 was approved").first).to_be_visible()


async def test_the_blueprint_asks_in_words(page: Page, home: Home) -> None:
    await page.goto("/config/blueprint/dashboard")
    await page.get_by_text("Firmware Hub: tell me when an update failed").click()
    await expect(page.get_by_text("Whom to tell")).to_be_visible()
    await expect(page.get_by_text("Not before", exact=True)).to_be_visible()
