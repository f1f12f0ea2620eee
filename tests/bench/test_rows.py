"""The rows of ``script/bench`` that need no Home Assistant, in their quick form: what they say."""

from __future__ import annotations

from pathlib import Path

import pytest

from custom_components.firmware_hub.core.errors import BadInput, Reason
from custom_components.firmware_hub.core.model import Feed, Manifest
from custom_components.firmware_hub.core.signing import VerifiedBytes
from custom_components.firmware_hub.sources import BY_NAME, SOURCES
from simulator.families import FAMILIES
from tests.bench.__main__ import ROWS
from tests.bench.apart import Peak
from tests.bench.conversations import conversations
from tests.bench.families import families
from tests.bench.feeds import zigbee
from tests.bench.figures import Figure, Run, show
from tests.bench.hostile import QUICK_INPUTS, Counting, _figure, feed_it, hostile
from tests.bench.repositories import tuf
from tests.bench.zigbee_list import FACTS, listed

ROOT = Path(__file__).parents[2]
QUICK = Run((36,), quick=True, say=lambda _: None)
MEGABYTE = 1_000_000


@pytest.fixture(autouse=True)
def _sockets(socket_enabled: None) -> None:
    """Real connections."""


def shown(figures: list[Figure], capsys: pytest.CaptureFixture[str]) -> str:
    """Return the table, as it is printed."""
    show(figures, {})
    return capsys.readouterr().out


# --- the rows ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ROWS)
def test_every_row_is_explained(name: str) -> None:
    assert name in (ROOT / "script" / "bench").read_text().split()
    assert f"\n| `{name}` |" in (ROOT / "docs" / "performance.md").read_text()


async def test_zigbee_compares_reading_and_matching(capsys: pytest.CaptureFixture[str]) -> None:
    read, match, memory = await zigbee(QUICK)
    assert (read.unit, match.unit, memory.unit) == ("x", "x", "MB")
    assert (read.devices, match.devices) == (None, 50)
    assert match.medians["offers"] > 10
    assert min(read.median, match.median, memory.median, memory.medians["json_mb"]) > 0
    assert "zigpy" in shown([read, match, memory], capsys)


async def test_tuf_compares_a_cold_and_a_warm_refresh() -> None:
    cold, warm, memory = await tuf(QUICK)
    assert (cold.unit, warm.unit, memory.unit) == ("x", "x", "MB")
    assert min(cold.median, warm.median, memory.median, memory.medians["peer_mb"]) > 0


async def test_families_say_what_each_costs() -> None:
    figures = await families(QUICK)
    assert [figure.what.partition(":")[0] for figure in figures] == [name for name in FAMILIES for _ in range(2)]
    assert all(figure.median > 0 for figure in figures)
    assert all(figure.devices == 36 for figure in figures)


async def test_hostile_says_for_each_source_what_came() -> None:
    figures = await hostile(QUICK)
    assert [figure.what.partition(",")[0] for figure in figures] == [source.name for source in SOURCES]
    assert all(figure.is_kept for figure in figures)
    assert all(sum(figure.medians.values()) >= QUICK_INPUTS for figure in figures)
    assert all("malformed" in figure.medians for figure in figures)


# --- what they rest on ------------------------------------------------------------------------------------------------


class Breaks:
    """A source that does not keep its promise."""

    name, trust, request = BY_NAME["zigpy_index"].name, BY_NAME["zigpy_index"].trust, BY_NAME["zigpy_index"].request

    def read(self, data: VerifiedBytes, feed: Feed) -> Manifest:
        raise KeyError(feed.id)


def test_what_is_neither_an_answer_nor_a_typed_refusal_is_counted() -> None:
    counted = feed_it(Breaks(), 10)
    assert (counted.read_whole, counted.refused) == (0, {})
    assert counted.odd["KeyError"] >= 10
    assert "KeyError('feed')" in counted.example


def test_a_typed_refusal_is_counted_by_its_reason_and_passed_on() -> None:
    source = BY_NAME["zigpy_index"]
    counting = Counting(source)
    feed = Feed("feed", source.name, "A feed", "https://vendor.example/", source.trust)
    with pytest.raises(BadInput):
        counting.read(VerifiedBytes(b"{", source.trust, "", ""), feed)
    assert (counting.read_whole, counting.refused, counting.odd) == (0, {Reason.MALFORMED: 1}, {})


def test_the_list_of_images_is_as_long_as_the_real_one() -> None:
    what, raw = listed()
    assert what == "made from the real list's facts"
    assert raw.count(b'"sha512"') == sum(line.startswith("current\t") for line in FACTS.read_text().splitlines())
    assert 530_000 < len(raw) < 570_000


def test_the_real_list_is_taken_where_it_is_at_hand(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "index.json").write_bytes(b"[]")
    monkeypatch.setenv("FIRMWARE_HUB_ZIGBEE_INDEXES", str(tmp_path))
    assert listed() == ("the real list", b"[]")


async def test_all_families_speak_and_bridges_for_many() -> None:
    said = await conversations(19)
    assert {each.family: each.devices for each in said if each.family == "zigbee2mqtt"} == {"zigbee2mqtt": 2}
    assert sum(each.devices for each in said) == 19
    assert {each.family for each in said} == set(FAMILIES)


async def test_a_device_says_the_same_every_time_but_for_its_clock() -> None:
    first, second = await conversations(9), await conversations(9)
    assert [[m.topic for m in each.messages] for each in first] == [[m.topic for m in each.messages] for each in second]


def test_memory_is_counted_at_its_peak() -> None:
    with Peak() as peak:
        bytearray(b"x" * (64 * MEGABYTE))
    assert 60 * MEGABYTE < peak.bytes < 200 * MEGABYTE


def test_one_odd_answer_of_a_source_misses_the_budget_and_is_shown() -> None:
    counted = {"read": 1, "refused": {"malformed": 8}, "odd": {"KeyError": 1}, "example": "KeyError('feed') of b'{}'"}
    figure = _figure("zigpy_index", counted, 10)
    assert figure.is_kept is False
    assert "KeyError('feed')" in figure.what
    assert figure.medians == {"read": 1, "malformed": 8}


def test_a_run_that_was_cut_short_is_no_result() -> None:
    with pytest.raises(RuntimeError, match="9 documents of 10"):
        _figure("zigpy_index", {"read": 1, "refused": {"malformed": 8}, "odd": {}, "example": ""}, 10)
