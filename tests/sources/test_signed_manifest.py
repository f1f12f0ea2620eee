"""The signed manifest: what is read, what is refused and where, and that schema and reader agree."""

from __future__ import annotations

import copy
import json
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path
from typing import Any

import pytest

from custom_components.firmware_hub.core import limits
from custom_components.firmware_hub.core.errors import BadInput, HubError, Reason, Refused
from custom_components.firmware_hub.core.keys import fingerprint
from custom_components.firmware_hub.core.model import (
    Artifact,
    ArtifactFormat,
    ArtifactRole,
    Delivery,
    Feed,
    Manifest,
    Match,
    Recovery,
    Release,
    Revoked,
    Support,
    Trust,
    VersionScheme,
)
from custom_components.firmware_hub.core.signing import VerifiedBytes
from custom_components.firmware_hub.sources.signed_manifest import SignedManifestSource

HERE = Path(__file__).parent
SCHEMA = HERE.parent.parent / "docs" / "schemas" / "firmware-manifest-1.schema.json"
FULL = json.loads((HERE / "fixtures" / "signed_manifest_full.json").read_text())
SMALL = json.loads((HERE / "fixtures" / "signed_manifest_small.json").read_text())
FEED = Feed("acme", "signed_manifest", "Acme", "https://acme.example/manifest.jws", Trust.SIGNED, vendor="Acme")
GONE = ...


def read(document: object, feed: Feed = FEED) -> Manifest:
    data = VerifiedBytes(json.dumps(document).encode(), Trust.SIGNED, "key", "ab" * 32)
    return SignedManifestSource().read(data, feed)


def changed(path: str, value: object) -> dict[str, Any]:
    """Return the full fixture with one member changed, or taken away; ``path`` is written as errors write it."""
    document = copy.deepcopy(FULL)
    *way, last = [int(step) if step.isdigit() else step for step in path.replace("[", ".").replace("]", "").split(".")]
    place: Any = document
    for step in way:
        place = place[step]
    if value is GONE:
        del place[last]
    else:
        place[last] = value
    assert isinstance(document, dict)
    return document


# --- what is read -----------------------------------------------------------------------------------------------------


def test_every_member_is_read() -> None:
    plug, minimal = FULL["releases"][0]["artifacts"]
    assert read(FULL) == Manifest(
        feed_id="acme",
        vendor="Acme",
        trust=Trust.SIGNED,
        digest="ab" * 32,
        key_id="key",
        sequence=42,
        issued=datetime(2026, 11, 20, 10, tzinfo=UTC),
        expires=datetime(2026, 12, 20, 10, tzinfo=UTC),
        next_keys=('{"alg":"EdDSA","crv":"Ed25519","kty":"OKP","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}',),
        revoked=(Revoked("PLUG-S1", "1.1.0", "reboots under load"),),
        support=(Support("PLUG-S1", datetime(2029, 1, 1, tzinfo=UTC)),),
        releases=(
            Release(
                match=Match("Acme", ("PLUG-S1",), ("rev2",), "eu", "1.0.0", "1.1.9"),
                version="1.2.0",
                version_scheme=VersionScheme.SEMVER,
                counter=17,
                channel="stable",
                published=datetime(2026, 11, 19, tzinfo=UTC),
                kind="security",
                severity="high",
                cves=("CVE-2026-0001",),
                summary="Closes a hole in the web server",
                notes="## 1.2.0\n\n- web server fixed",
                notes_url="https://acme.example/notes/1.2.0",
                delivery=Delivery.OTA,
                revertible=True,
                rollback_to=("1.1.0",),
                dual_bank=True,
                regulated=False,
                install_minutes=4,
                min_battery_percent=50,
                recovery=Recovery("Hold the button for ten seconds.", "https://acme.example/help"),
                artifacts=(
                    Artifact(ArtifactRole.MAIN, "plug.bin", plug["url"], 812345, plug["sha256"], ArtifactFormat.ESP),
                    Artifact(
                        ArtifactRole.HELPER,
                        "plug-minimal.bin",
                        minimal["url"],
                        1,
                        minimal["sha256"].lower(),
                        ArtifactFormat.ESP_GZIP,
                    ),
                ),
            ),
        ),
    )


def test_what_is_not_stated_has_its_default() -> None:
    manifest = read(SMALL)
    lamp = SMALL["releases"][0]["artifacts"][0]
    artifact = Artifact(ArtifactRole.MAIN, "lamp.bin", lamp["url"], 1, lamp["sha256"], ArtifactFormat.RAW)
    assert manifest.releases == (Release(Match("Acme", ("LAMP",)), "7", (artifact,)),)
    assert (manifest.next_keys, manifest.revoked, manifest.support) == ((), (), ())


def test_a_manifest_may_have_no_releases() -> None:
    assert read(changed("releases", [])).releases == ()


def test_next_keys_can_be_pinned() -> None:
    (key,) = read(FULL).next_keys
    # RFC 8037, appendix A.3.
    assert fingerprint(key) == "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k"


def test_text_for_people_is_cleaned_and_cut() -> None:
    release = read(
        changed("releases[0]", FULL["releases"][0] | {"summary": "a\n" + "b" * 400, "notes": "\u202e# x\x00\r\ny"})
    ).releases[0]
    assert release.summary == "a " + "b" * (limits.MAX_SUMMARY - 2)
    assert release.notes == "# x\ny"


@pytest.mark.parametrize("vendor", ["", "Acme", "ACME"])
def test_the_vendor_is_the_one_whose_key_was_pinned(vendor: str) -> None:
    assert read(FULL, Feed("acme", "s", "t", "u", Trust.SIGNED, vendor=vendor)).vendor == "Acme"


# --- what is refused --------------------------------------------------------------------------------------------------


def refusal(document: object, feed: Feed = FEED) -> HubError:
    with pytest.raises(HubError) as caught:
        read(document, feed)
    return caught.value


def test_another_vendor_is_refused() -> None:
    error = refusal(FULL, Feed("acme", "s", "t", "u", Trust.SIGNED, vendor="Acme Inc"))
    assert (type(error), error.reason, error.path) == (Refused, Reason.WRONG_VENDOR, "vendor")


def test_another_specification_is_refused() -> None:
    error = refusal(changed("spec", "firmware-manifest/2"))
    assert (type(error), error.reason, error.path) == (Refused, Reason.UNSUPPORTED_SPEC, "spec")


@pytest.mark.parametrize("key", ["min_versoin", "max_file_version", "region"])
def test_an_unknown_filter_is_refused(key: str) -> None:
    error = refusal(changed(f"releases[0].match.{key}", "x"))
    assert (type(error), error.reason) == (BadInput, Reason.UNKNOWN_MATCH_KEY)
    assert error.path == f"releases[0].match.{key}"


def test_a_weak_next_key_is_refused() -> None:
    weak = '{"kty":"OKP","crv":"Ed25519","x":"' + "A" * 43 + '"}'
    error = refusal(changed("next_keys[0]", weak))
    assert (type(error), error.reason, error.path) == (Refused, Reason.WEAK_KEY, "next_keys[0]")


ARTIFACT = FULL["releases"][0]["artifacts"][0]
LONG = "x" * 256
# (path of the change, value, path of the fault, whether the schema can say it too)
MALFORMED: list[tuple[str, object, str, bool]] = [
    ("spec", GONE, "spec", True),
    ("spec", 1, "spec", True),
    ("vendor", "", "vendor", True),
    ("vendor", "Ac\nme", "vendor", True),
    ("vendor", "Ac\u202eme", "vendor", True),
    ("sequence", GONE, "sequence", True),
    ("sequence", -1, "sequence", True),
    ("sequence", "42", "sequence", True),
    ("sequence", True, "sequence", True),
    ("issued", GONE, "issued", True),
    ("issued", "2026-11-20", "issued", True),
    ("issued", "2026-11-20T10:00:00+02:00", "issued", True),
    ("issued", "2026-02-30T10:00:00Z", "issued", False),
    ("expires", GONE, "expires", True),
    ("expires", None, "expires", True),
    ("expires", "2026-11-20T10:00:00Z", "expires", False),
    ("next_keys", {}, "next_keys", True),
    ("next_keys[0]", "no key", "next_keys[0]", False),
    ("next_keys[0]", {"kty": "OKP"}, "next_keys[0]", True),
    ("revoked[0].version", GONE, "revoked[0].version", True),
    ("revoked[0].model", 1, "revoked[0].model", True),
    ("support[0].until", "2029", "support[0].until", True),
    ("support[0].until", "2029-13-01", "support[0].until", False),
    ("releases", {}, "releases", True),
    ("releases[0]", [], "releases[0]", True),
    ("releases[0].match", GONE, "releases[0].match", True),
    ("releases[0].match.manufacturer", GONE, "releases[0].match.manufacturer", True),
    ("releases[0].match.model", GONE, "releases[0].match.model", True),
    ("releases[0].match.model", "PLUG-S1", "releases[0].match.model", True),
    ("releases[0].match.model", [], "releases[0].match.model", True),
    ("releases[0].match.model", [""], "releases[0].match.model[0]", True),
    ("releases[0].match.hardware", [], "releases[0].match.hardware", True),
    ("releases[0].match.hardware", None, "releases[0].match.hardware", True),
    ("releases[0].match.hardware", "rev2", "releases[0].match.hardware", True),
    ("releases[0].match.variant", "", "releases[0].match.variant", True),
    ("releases[0].match.variant", ["eu"], "releases[0].match.variant", True),
    ("releases[0].match.min_version", 1, "releases[0].match.min_version", True),
    ("releases[0].version", GONE, "releases[0].version", True),
    ("releases[0].version", 1.2, "releases[0].version", True),
    ("releases[0].version_scheme", "calver", "releases[0].version_scheme", True),
    ("releases[0].counter", 1.5, "releases[0].counter", True),
    ("releases[0].counter", -1, "releases[0].counter", True),
    ("releases[0].published", "yesterday", "releases[0].published", True),
    ("releases[0].cves", "CVE-2026-0001", "releases[0].cves", True),
    ("releases[0].summary", 7, "releases[0].summary", True),
    ("releases[0].notes", ["x"], "releases[0].notes", True),
    ("releases[0].notes_url", "javascript:alert(1)", "releases[0].notes_url", True),
    ("releases[0].delivery", "post", "releases[0].delivery", True),
    ("releases[0].revertible", "true", "releases[0].revertible", True),
    ("releases[0].dual_bank", 1, "releases[0].dual_bank", True),
    ("releases[0].install_minutes", 0, "releases[0].install_minutes", True),
    ("releases[0].install_minutes", 1441, "releases[0].install_minutes", True),
    ("releases[0].min_battery_percent", 101, "releases[0].min_battery_percent", True),
    ("releases[0].recovery", "hold the button", "releases[0].recovery", True),
    ("releases[0].recovery.url", "ftp://acme.example", "releases[0].recovery.url", True),
    ("releases[0].artifacts", GONE, "releases[0].artifacts", True),
    ("releases[0].artifacts", [], "releases[0].artifacts", True),
    ("releases[0].artifacts", [ARTIFACT, ARTIFACT | {"name": "b"}], "releases[0].artifacts", True),
    ("releases[0].artifacts", [ARTIFACT | {"role": "helper"}], "releases[0].artifacts", True),
    ("releases[0].artifacts", [ARTIFACT, ARTIFACT | {"role": "helper"}], "releases[0].artifacts", False),
    ("releases[0].artifacts[0].role", GONE, "releases[0].artifacts[0].role", True),
    ("releases[0].artifacts[1].role", "spare", "releases[0].artifacts[1].role", True),
    ("releases[0].artifacts[0].name", "../plug.bin", "releases[0].artifacts[0].name", True),
    ("releases[0].artifacts[0].name", "a/b.bin", "releases[0].artifacts[0].name", True),
    ("releases[0].artifacts[0].name", "a\\b.bin", "releases[0].artifacts[0].name", True),
    ("releases[0].artifacts[0].name", ".hidden", "releases[0].artifacts[0].name", True),
    ("releases[0].artifacts[0].name", "a b.bin", "releases[0].artifacts[0].name", True),
    ("releases[0].artifacts[0].name", "", "releases[0].artifacts[0].name", True),
    ("releases[0].artifacts[0].url", GONE, "releases[0].artifacts[0].url", True),
    ("releases[0].artifacts[0].url", "", "releases[0].artifacts[0].url", True),
    ("releases[0].artifacts[0].url", "file:///etc/passwd", "releases[0].artifacts[0].url", True),
    ("releases[0].artifacts[0].url", "https:///plug.bin", "releases[0].artifacts[0].url", True),
    ("releases[0].artifacts[0].url", "https://a b/", "releases[0].artifacts[0].url", True),
    ("releases[0].artifacts[0].url", "https://user@acme.example/", "releases[0].artifacts[0].url", False),
    ("releases[0].artifacts[0].size", 0, "releases[0].artifacts[0].size", True),
    ("releases[0].artifacts[0].size", 2**40, "releases[0].artifacts[0].size", True),
    ("releases[0].artifacts[0].size", "812345", "releases[0].artifacts[0].size", True),
    ("releases[0].artifacts[0].sha256", GONE, "releases[0].artifacts[0].sha256", True),
    ("releases[0].artifacts[0].sha256", "", "releases[0].artifacts[0].sha256", True),
    ("releases[0].artifacts[0].sha256", "ab" * 20, "releases[0].artifacts[0].sha256", True),
    ("releases[0].artifacts[0].format", "elf", "releases[0].artifacts[0].format", True),
]
TOO_LARGE: list[tuple[str, object, str]] = [
    ("vendor", LONG, "vendor"),
    ("next_keys", ["x"] * 17, "next_keys"),
    ("next_keys[0]", "x" * 8193, "next_keys[0]"),
    ("revoked", [FULL["revoked"][0]] * 1001, "revoked"),
    ("support", [FULL["support"][0]] * 1001, "support"),
    ("releases", [{}] * 5001, "releases"),
    ("releases[0].version", LONG, "releases[0].version"),
    ("releases[0].match.model", ["x"] * 101, "releases[0].match.model"),
    ("releases[0].match.hardware", ["x"] * 101, "releases[0].match.hardware"),
    ("releases[0].rollback_to", ["1.0.0"] * 1001, "releases[0].rollback_to"),
    ("releases[0].notes_url", "https://acme.example/" + "x" * 2048, "releases[0].notes_url"),
    ("releases[0].artifacts", [ARTIFACT] * 9, "releases[0].artifacts"),
    ("releases[0].artifacts[0].name", "x" * 101, "releases[0].artifacts[0].name"),
]


@pytest.mark.parametrize(("path", "value", "fault", "_said"), MALFORMED, ids=lambda value: str(value)[:30])
def test_a_fault_refuses_the_whole_document_at_its_place(path: str, value: object, fault: str, _said: bool) -> None:
    error = refusal(changed(path, value))
    assert (type(error), error.reason, error.path) == (BadInput, Reason.MALFORMED, fault)


@pytest.mark.parametrize(("path", "value", "fault"), TOO_LARGE, ids=lambda value: str(value)[:30])
def test_what_is_above_its_bound_refuses_the_whole_document(path: str, value: object, fault: str) -> None:
    error = refusal(changed(path, value))
    assert (error.reason, error.path) == (Reason.TOO_LARGE, fault)


# --- schema and reader agree ------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def schema() -> Any:
    jsonschema = pytest.importorskip("jsonschema")
    text = json.loads(SCHEMA.read_text())
    jsonschema.Draft202012Validator.check_schema(text)
    return jsonschema.Draft202012Validator(text)


@pytest.mark.parametrize("document", [FULL, SMALL, changed("releases", [])])
def test_schema_and_reader_take_the_same_documents(schema: Any, document: object) -> None:
    assert read(document).vendor == "Acme"
    assert schema.is_valid(document)


@pytest.mark.parametrize(
    ("path", "value"),
    [(path, value) for path, value, _, said in MALFORMED if said] + [(path, value) for path, value, _ in TOO_LARGE],
    ids=lambda value: str(value)[:30],
)
def test_schema_and_reader_refuse_the_same_documents(schema: Any, path: str, value: object) -> None:
    assert not schema.is_valid(changed(path, value))


@pytest.mark.parametrize(("path", "value"), [(path, value) for path, value, _, said in MALFORMED if not said])
def test_what_the_schema_cannot_say_is_really_beyond_it(schema: Any, path: str, value: object) -> None:
    assert schema.is_valid(changed(path, value))


def test_the_schema_refuses_an_unknown_filter(schema: Any) -> None:
    assert not schema.is_valid(changed("releases[0].match.region", "eu"))


def test_schema_and_reader_know_the_same_bounds(schema: Any) -> None:
    text = schema.schema
    release, artifact = text["$defs"]["release"]["properties"], text["$defs"]["artifact"]["properties"]
    assert [
        text["properties"]["releases"]["maxItems"],
        text["properties"]["next_keys"]["maxItems"],
        text["$defs"]["text"]["maxLength"],
        text["$defs"]["url"]["maxLength"],
        text["$defs"]["match"]["properties"]["model"]["maxItems"],
        release["artifacts"]["maxItems"],
        release["install_minutes"]["maximum"],
        artifact["size"]["maximum"],
        artifact["name"]["maxLength"],
    ] == [
        limits.MAX_RELEASES,
        limits.MAX_KEYS,
        limits.MAX_TEXT,
        limits.MAX_URL,
        limits.MAX_MODELS,
        limits.MAX_ARTIFACTS,
        limits.MAX_INSTALL_MINUTES,
        limits.MAX_ARTIFACT_BYTES,
        limits.MAX_FILE_NAME,
    ]


@pytest.mark.parametrize(
    ("name", "kind"),
    [("version_scheme", VersionScheme), ("delivery", Delivery)],
)
def test_schema_and_reader_know_the_same_words_of_a_release(schema: Any, name: str, kind: type[StrEnum]) -> None:
    assert schema.schema["$defs"]["release"]["properties"][name]["enum"] == list(kind)


@pytest.mark.parametrize(("name", "kind"), [("role", ArtifactRole), ("format", ArtifactFormat)])
def test_schema_and_reader_know_the_same_words_of_an_artifact(schema: Any, name: str, kind: type[StrEnum]) -> None:
    assert schema.schema["$defs"]["artifact"]["properties"][name]["enum"] == list(kind)
