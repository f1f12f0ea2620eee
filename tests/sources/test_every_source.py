"""The contract of all sources: what they promise, and that nothing hostile gets past them."""

from __future__ import annotations

import json
import os
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings, strategies as st

from custom_components.firmware_hub.core import limits
from custom_components.firmware_hub.core.errors import BadInput, HubError, Reason
from custom_components.firmware_hub.core.model import ArtifactRole, Feed, Manifest, Trust
from custom_components.firmware_hub.core.signing import VerifiedBytes
from custom_components.firmware_hub.sources import BY_NAME, SOURCES
from custom_components.firmware_hub.sources.base import Source

HERE = Path(__file__).parent
HOSTILE = sorted(path for path in (HERE / "hostile").iterdir() if path.is_file())
DEFECTIVE = sorted((HERE / "hostile").glob("*/*"))
"""Documents of one format each, with one defect each."""
FIXTURES = sorted(path for path in (HERE / "fixtures").rglob("*") if path.is_file())
SCHEMAS = {"signed_manifest": "firmware-manifest-1"}
"""Where a schema has another name than its source."""
BEYOND_SCHEMAS = {
    "address_with_a_password",
    "empty_file",
    "expires_before_it_is_issued",
    "expires_on_no_day",
    "helper_of_the_same_name",
    "helper_that_is_not_there",
    "maker_of_another_folder",
    "next_key_that_is_none",
    "one_name_twice",
    "one_path_twice",
    "package_of_another_app",
}
"""Defects that a schema cannot say."""
EXAMPLES = int(os.environ.get("FIRMWARE_HUB_HOSTILE_EXAMPLES", "150"))
"""Hostile documents of each kind and source: a few at every run, as many as one likes by hand (``--timeout 0``)."""

every_source = pytest.mark.parametrize("source", SOURCES, ids=lambda source: source.name)


def feed(source: Source) -> Feed:
    return Feed("feed", source.name, "A feed", "https://vendor.example/feed", source.trust)


def read(source: Source, raw: bytes) -> Manifest:
    return source.read(VerifiedBytes(raw, source.trust, "key", "ab" * 32), feed(source))


def outcome(source: Source, raw: bytes) -> Manifest | HubError:
    try:
        return read(source, raw)
    except HubError as error:
        return error


def fixture_of(source: Source, path: Path) -> bool:
    return path.parent.name == source.name or path.name.startswith(source.name)


@every_source
def test_a_source_is_found_by_its_name(source: Source) -> None:
    assert BY_NAME[source.name] is source


@every_source
def test_a_source_is_its_modules_name(source: Source) -> None:
    assert type(source).__module__.rpartition(".")[2] == source.name


def test_only_a_signed_format_is_trusted_as_signed() -> None:
    assert {source.name: source.trust for source in SOURCES} == {
        "signed_manifest": Trust.SIGNED,
        "tuf_repository": Trust.SIGNED,
        "github_releases": Trust.DIGEST,
        "shelly_index": Trust.DIGEST,
        "zigbee_ota_index": Trust.DIGEST,
        "zigpy_index": Trust.DIGEST,
        "esphome_manifest": Trust.VENDOR,
    }


@every_source
def test_a_request_goes_to_the_feed_and_is_bounded(source: Source) -> None:
    request = source.request(feed(source))
    assert request.url == "https://vendor.example/feed"
    assert 0 < request.max_bytes <= limits.MAX_INDEX_BYTES


@every_source
@pytest.mark.parametrize("path", HOSTILE, ids=lambda path: path.name)
def test_a_hostile_document_is_refused_with_the_path_of_its_fault(source: Source, path: Path) -> None:
    with pytest.raises(BadInput) as caught:
        read(source, path.read_bytes())
    assert caught.value.reason in (Reason.MALFORMED, Reason.TOO_LARGE)
    assert caught.value.path


@every_source
@given(st.binary(max_size=300))
def test_any_bytes_are_read_or_refused(source: Source, raw: bytes) -> None:
    assert isinstance(outcome(source, raw), Manifest | BadInput)


@pytest.mark.parametrize(
    ("source", "path"),
    [(source, path) for source in SOURCES for path in FIXTURES if fixture_of(source, path)],
    ids=lambda value: getattr(value, "name", ""),
)
class TestEachFixture:
    """What is promised of every document that is read."""

    def test_it_is_read_as_the_feeds_statement(self, source: Source, path: Path) -> None:
        manifest = read(source, path.read_bytes())
        assert (manifest.feed_id, manifest.trust, manifest.key_id) == ("feed", source.trust, "key")
        assert manifest.digest == "ab" * 32
        assert manifest.releases

    def test_every_release_has_one_main_artifact(self, source: Source, path: Path) -> None:
        roles = [[a.role for a in release.artifacts] for release in read(source, path.read_bytes()).releases]
        assert [found.count(ArtifactRole.MAIN) for found in roles] == [1] * len(roles)

    def test_it_is_read_the_same_again(self, source: Source, path: Path) -> None:
        assert read(source, path.read_bytes()) == read(source, path.read_bytes())

    def test_the_trust_is_that_of_the_bytes_and_not_of_the_source(self, source: Source, path: Path) -> None:
        data = VerifiedBytes(path.read_bytes(), Trust.VENDOR, "", "ab" * 32)
        assert source.read(data, replace(feed(source), trust=Trust.SIGNED)).trust is Trust.VENDOR

    def test_it_is_read_whole_or_not_at_all(self, source: Source, path: Path) -> None:
        raw = path.read_bytes().rstrip()
        cut = [raw[: len(raw) * part // 10] for part in range(1, 10)]
        assert [type(outcome(source, piece)) for piece in cut] == [BadInput] * 9

    def test_any_member_of_another_type_is_read_or_refused(self, source: Source, path: Path) -> None:
        document = json.loads(path.read_bytes())
        results = [outcome(source, json.dumps(other).encode()) for other in twisted(document)]
        assert {type(result) for result in results} <= {Manifest, BadInput, HubError} | set(HubError.__subclasses__())
        assert BadInput in {type(result) for result in results}


# --- schemas and single defects ---------------------------------------------------------------------------------------


def schema_of(source: Source) -> Any:
    jsonschema = pytest.importorskip("jsonschema")
    path = HERE.parents[1] / "docs" / "schemas" / f"{SCHEMAS.get(source.name, source.name)}.schema.json"
    schema = json.loads(path.read_text())
    jsonschema.Draft202012Validator.check_schema(schema)
    return jsonschema.Draft202012Validator(schema)


@pytest.mark.parametrize(
    ("source", "path"),
    [(source, path) for source in SOURCES for path in FIXTURES if fixture_of(source, path)],
    ids=lambda value: getattr(value, "name", ""),
)
def test_the_schema_of_a_source_takes_what_the_source_reads(source: Source, path: Path) -> None:
    assert list(schema_of(source).iter_errors(json.loads(path.read_bytes()))) == []


@every_source
def test_every_source_has_documents_with_one_defect_each(source: Source) -> None:
    assert len([path for path in DEFECTIVE if path.parent.name == source.name]) > 10


@pytest.mark.parametrize("path", DEFECTIVE, ids=lambda path: f"{path.parent.name}/{path.stem}")
class TestEachDefect:
    """What is promised of a document that is right but for one thing."""

    def test_it_is_refused_with_the_path_of_the_fault(self, path: Path) -> None:
        error = outcome(BY_NAME[path.parent.name], path.read_bytes())
        assert isinstance(error, HubError)
        assert error.path

    def test_the_schema_refuses_it_as_well(self, path: Path) -> None:
        valid = schema_of(BY_NAME[path.parent.name]).is_valid(json.loads(path.read_bytes()))
        assert valid is (path.stem in BEYOND_SCHEMAS)


# --- documents made up ------------------------------------------------------------------------------------------------

NONSENSE: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20) | st.sampled_from(["", "*", "../x"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=6,
)


@every_source
@settings(max_examples=EXAMPLES, derandomize=True, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.data())
def test_a_document_that_was_tampered_with_is_read_or_refused(source: Source, data: st.DataObject) -> None:
    path = data.draw(st.sampled_from([path for path in FIXTURES if fixture_of(source, path)]))
    document = json.loads(path.read_bytes())
    for _ in range(data.draw(st.integers(1, 3))):
        document = tampered(document, data)
    assert isinstance(outcome(source, json.dumps(document).encode()), Manifest | HubError)


@every_source
@settings(max_examples=EXAMPLES, derandomize=True, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.data())
def test_a_document_with_broken_bytes_is_read_or_refused(source: Source, data: st.DataObject) -> None:
    path = data.draw(st.sampled_from([path for path in FIXTURES if fixture_of(source, path)]))
    raw = bytearray(json.dumps(tampered(json.loads(path.read_bytes()), data)).encode())
    for _ in range(data.draw(st.integers(1, 4))):
        raw[data.draw(st.integers(0, len(raw) - 1))] = data.draw(st.integers(0, 255))
    assert isinstance(outcome(source, bytes(raw)), Manifest | HubError)


def tampered(value: Any, data: st.DataObject) -> Any:
    """Return the document with one thing in it replaced, removed, or put in twice, wherever that is."""
    if not isinstance(value, dict | list) or not value or data.draw(st.integers(0, 9)) == 0:
        return data.draw(NONSENSE)
    if isinstance(value, list):
        place = data.draw(st.integers(0, len(value) - 1))
        inner = tampered(value[place], data)
        return [*value[:place], *data.draw(st.sampled_from([[inner], [], [value[place], inner]])), *value[place + 1 :]]
    key = data.draw(st.sampled_from(sorted(value)))
    others = {name: member for name, member in value.items() if name != key}
    return data.draw(st.sampled_from([others, others | {key: tampered(value[key], data)}]))


def twisted(value: object) -> list[object]:
    """Return the document once for each of its members (of a list: the last), with that member replaced by nonsense."""
    nonsense: list[object] = [None, [], {}, -1, 1e300, "\x00"]
    if isinstance(value, dict):
        return [{**value, key: other} for key in value for other in (*nonsense, *twisted(value[key]))]
    if isinstance(value, list):
        return [[*value[:n], other, *value[n + 1 :]] for n in range(len(value))[-1:] for other in twisted(value[n])]
    return nonsense
