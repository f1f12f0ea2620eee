"""The texts against the code, and the rules that Home Assistant has for what an integration brings along."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from custom_components.firmware_hub import feed_flow, issues, words
from custom_components.firmware_hub.config_values import BUILT_IN_FEEDS, authority_key, enabled_key, mirror_key
from custom_components.firmware_hub.const import WEEKDAYS
from custom_components.firmware_hub.core.effects import IssueKind, LifecycleKind
from custom_components.firmware_hub.core.errors import Reason
from custom_components.firmware_hub.core.model import InstallState
from custom_components.firmware_hub.repairs import CHOICES, HubRepairFlow
from custom_components.firmware_hub.sensor import OPTIONS

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "custom_components" / "firmware_hub"
TEXTS: dict[str, Any] = json.loads((FOLDER / "translations" / "en.json").read_text())
ICONS: dict[str, Any] = json.loads((FOLDER / "icons.json").read_text())
PLACE = re.compile(r"{(\w+)}")


def leaves(texts: Any) -> Iterator[str]:
    """Return every text below."""
    if isinstance(texts, str):
        yield texts
    else:
        for text in texts.values():
            yield from leaves(text)


def places(texts: Any) -> set[str]:
    """Return every place that some texts ask for."""
    return {place for text in leaves(texts) for place in PLACE.findall(text)}


@pytest.mark.parametrize("reason", Reason)
def test_a_sentence_asks_only_for_what_every_error_brings(reason: Reason) -> None:
    assert places(TEXTS["exceptions"][reason]) <= set(words.PLACES)


@pytest.mark.parametrize("reason", Reason)
def test_every_reason_has_words_as_an_attribute(reason: Reason) -> None:
    for platform, key in (("sensor", "install_state"), ("update", "firmware")):
        assert TEXTS["entity"][platform][key]["state_attributes"]["reason"]["state"][reason]


@pytest.mark.parametrize("kind", IssueKind)
def test_an_issue_asks_only_for_what_it_is_given(kind: IssueKind) -> None:
    texts = TEXTS["issues"][kind]
    assert places({key: value for key, value in texts.items() if key != "fix_flow"}) <= set(issues.PLACES)
    assert places(texts.get("fix_flow", {}).get("step", {})) <= set(issues.PLACES)


@pytest.mark.parametrize("kind", IssueKind)
def test_an_issue_is_described_or_fixable(kind: IssueKind) -> None:
    assert ("fix_flow" in TEXTS["issues"][kind]) is (kind in issues.FIXABLE)
    assert ("description" in TEXTS["issues"][kind]) is (kind not in issues.FIXABLE)
    assert (kind in CHOICES) is (kind in issues.FIXABLE)


@pytest.mark.parametrize("kind", sorted(CHOICES))
def test_every_choice_has_words_and_does_something(kind: str) -> None:
    flow = TEXTS["issues"][kind]["fix_flow"]
    assert set(flow["step"]["init"]["menu_options"]) == set(CHOICES[kind])
    assert all(hasattr(HubRepairFlow, f"async_step_{choice}") for choice in CHOICES[kind])
    assert {"not_loaded", "refused", "unchanged"} <= set(flow["abort"])


def test_every_option_of_every_list_has_words() -> None:
    assert set(TEXTS["entity"]["sensor"]["install_state"]["state"]) == set(OPTIONS)
    events = TEXTS["entity"]["event"]["lifecycle"]["state_attributes"]["event_type"]["state"]
    assert set(events) == set(LifecycleKind)
    assert set(TEXTS["selector"]["weekdays"]["options"]) == set(WEEKDAYS)
    assert set(TEXTS["entity"]["update"]["firmware"]["state_attributes"]["last_verdict"]["state"]) == set(InstallState)


def test_every_built_in_feed_has_its_options() -> None:
    section = TEXTS["options"]["step"]["init"]["sections"]["public_sources"]
    keys = {key(feed) for feed in BUILT_IN_FEEDS for key in (authority_key, enabled_key, mirror_key)}
    assert set(section["data"]) == set(section["data_description"]) == keys


@pytest.mark.parametrize("step", sorted(feed_flow._FIELDS))
def test_every_field_of_a_feed_has_words(step: str) -> None:
    texts = TEXTS["config_subentries"]["feed"]["step"][step]
    assert set(texts["data"]) == set(texts["data_description"]) == {key for key, _, _ in feed_flow._FIELDS[step]}


@pytest.mark.parametrize("form", ["options", "feed"])
def test_whatever_is_wrong_with_an_authority_has_words(form: str) -> None:
    errors = (TEXTS["options"] if form == "options" else TEXTS["config_subentries"]["feed"])["error"]
    said = ("malformed", "too_large", "private_key", "untrusted_key", "not_yet_valid", "expired", "weak_key")
    assert {f"authority_{fault}" for fault in (*said, "without_https")} <= set(errors)


def test_icons_are_of_entities_and_actions_that_exist() -> None:
    for platform, entities in ICONS["entity"].items():
        assert set(entities) <= set(TEXTS["entity"][platform])
    assert set(ICONS["services"]) == set(TEXTS["services"])
    states = set(ICONS["entity"]["sensor"]["install_state"]["state"])
    assert states <= set(OPTIONS)


def test_actions_have_words_for_all_their_fields() -> None:
    actions = yaml.safe_load((FOLDER / "services.yaml").read_text())
    assert {name: set(action["fields"]) for name, action in actions.items()} == {
        name: set(texts["fields"]) for name, texts in TEXTS["services"].items()
    }


def test_the_manifest_follows_home_assistants_rules() -> None:
    manifest = json.loads((FOLDER / "manifest.json").read_text())
    assert manifest["domain"] == FOLDER.name
    assert list(manifest) == ["domain", "name", *sorted(set(manifest) - {"domain", "name"})]
    assert {"codeowners", "documentation", "iot_class", "issue_tracker", "version"} <= set(manifest)
    assert manifest["documentation"].startswith("https://")


def test_the_quality_scale_has_a_reason_for_every_exemption() -> None:
    rules = yaml.safe_load((FOLDER / "quality_scale.yaml").read_text())["rules"]
    assert len(rules) == 54
    exempt = [status for status in rules.values() if isinstance(status, dict)]
    assert all(status["status"] == "exempt" and status["comment"] for status in exempt)
    assert {status for status in rules.values() if isinstance(status, str)} <= {"done", "todo"}


@pytest.mark.parametrize(("name", "size"), [("icon", 256), ("icon@2x", 512), ("dark_icon", 256), ("dark_icon@2x", 512)])
def test_the_icons_have_the_sizes_that_home_assistant_asks_for(name: str, size: int) -> None:
    header = (FOLDER / "brand" / f"{name}.png").read_bytes()[:24]
    assert header[:8] == b"\x89PNG\r\n\x1a\n"
    assert (int.from_bytes(header[16:20]), int.from_bytes(header[20:24])) == (size, size)


@pytest.mark.parametrize("page", ["events.md", "actions.md", "configuration.md"])
def test_the_pages_link_to_what_exists(page: str) -> None:
    path = ROOT / "docs" / page
    for link in re.findall(r"\]\(([^)#]+)\)", path.read_text()):
        assert (path.parent / link).exists(), link


def test_every_event_is_documented() -> None:
    page = (ROOT / "docs" / "events.md").read_text()
    assert all(f"| `{kind}` |" in page for kind in LifecycleKind)
