"""Agreement of annotators and the dataset card."""

from typing import NamedTuple

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from moola_data.agreement import annotator_agreement
from moola_data.card import DatasetCard, dataset_card
from moola_data.card_file import card_markdown, write_card
from moola_data.schema import Bars, Spans
from moola_data.window_set import build_window_set

N = 300


def make_bars(symbols=1):
    code = np.repeat(np.arange(symbols, dtype=np.int32), N)
    price = np.linspace(1, 2, N * symbols)
    return Bars(
        time=np.tile(np.arange(N), symbols).astype("M8[m]").astype("M8[ns]"),
        open=price,
        high=price,
        low=price,
        close=price,
        symbol=code,
        segment=code.astype(np.int64),
        symbols=("A", "B")[:symbols],
        source="a test",
    )


def make_spans(rows, annotator="x"):
    start, end, kind = (np.array([r[i] for r in rows], np.int64) for i in range(3))
    return Spans(
        start=start,
        end=end,
        type=kind,
        weight=np.ones(len(rows), np.float32),
        type_names=("consolidation", "retracement"),
        annotator=annotator,
    )


@st.composite
def span_rows(draw):
    rows, at = [], 0
    while len(rows) < 15:
        start = at + draw(st.integers(1, 9))
        end = start + draw(st.integers(0, 9))
        if end >= N:
            break
        rows.append((start, end, draw(st.integers(-1, 1))))
        at = end + 1
    return rows


@settings(deadline=None, max_examples=60)
@given(span_rows())
def test_an_annotator_agrees_with_himself(rows):
    found = annotator_agreement(make_spans(rows), make_spans(rows), make_bars())
    assert (found.bar_f1, found.span_f1, found.matched) == (1, 1, len(rows))
    assert (found.start_distance, found.end_distance) == (0, 0)
    assert found.type_agreement in (1, None)
    assert found.kappa in (pytest.approx(1), None)


@settings(deadline=None, max_examples=60)
@given(span_rows(), span_rows())
def test_agreement_equals_counts_by_hand_and_does_not_depend_on_who_is_first(a, b):
    everywhere = np.ones(N, bool)
    found = annotator_agreement(make_spans(a), make_spans(b), make_bars(), where=everywhere)
    back = annotator_agreement(make_spans(b), make_spans(a), make_bars(), where=everywhere)
    bars = [{t for s, e, _ in rows for t in range(s, e + 1)} for rows in (a, b)]
    assert found.bar_f1 == pytest.approx(2 * len(bars[0] & bars[1]) / (len(bars[0]) + len(bars[1])))
    agree = N - len(bars[0] ^ bars[1])
    p, q = len(bars[0]) / N, len(bars[1]) / N
    assert found.kappa == pytest.approx((agree / N - p * q - (1 - p) * (1 - q)) / (p + q - 2 * p * q))
    assert found.span_f1 == pytest.approx(2 * found.matched / (len(a) + len(b)))
    assert (back.matched, back.bar_f1) == (found.matched, found.bar_f1)
    # Spans of one annotator are apart, so an overlap beyond one half has only one partner.
    sure = sum(
        len(set(range(s, e + 1)) & set(range(u, v + 1)))
        > len(set(range(s, e + 1)) | set(range(u, v + 1))) / 2
        for s, e, _ in a
        for u, v, _ in b
    )
    assert found.matched >= sure


def test_distances_and_types_are_those_of_matched_spans():
    a = make_spans([(10, 19, 0), (40, 44, 1), (80, 84, 0)])
    b = make_spans([(12, 19, 0), (40, 47, 0), (100, 104, 0)])
    found = annotator_agreement(a, b, make_bars(), where=np.ones(N, bool))
    assert (found.matched, found.span_f1) == (2, pytest.approx(2 / 3))
    assert (found.start_distance, found.end_distance) == (1, 1.5)
    assert found.type_agreement == 0.5


def test_only_what_both_looked_at_counts():
    a = make_spans([(10, 14, 0), (50, 54, 0), (90, 94, 0)])
    b = make_spans([(48, 54, 0), (90, 96, 0), (200, 204, 0)])
    found = annotator_agreement(a, b, make_bars())
    # From 48, where the later one began, to 94, where the earlier one ended, and on to the end of 90..96.
    assert found.bars == 96 - 48 + 1
    assert (found.first_spans, found.second_spans, found.matched) == (2, 2, 2)
    apart = annotator_agreement(make_spans([(10, 14, 0)]), make_spans([(90, 94, 0)]), make_bars())
    assert (apart.bars, apart.bar_f1, apart.kappa) == (0, None, None)


def test_a_mask_of_another_size_is_refused():
    with pytest.raises(ValueError, match="where: want 300 bools, one a bar"):
        annotator_agreement(
            make_spans([(1, 2, 0)]), make_spans([(1, 2, 0)]), make_bars(), where=np.ones(5, bool)
        )


class Matrix(NamedTuple):
    values: np.ndarray
    names: tuple[str, ...]
    feature_set: str


def make_card():
    bars = make_bars(2)
    spans = [
        make_spans([(s, s + 4, i % 3 - 1) for i, s in enumerate(range(10, 560, 30))], who) for who in "xy"
    ]
    features = Matrix(np.zeros((2 * N, 1), np.float32), ("one",), "test")
    windows = build_window_set(bars, features, spans[0], length=20)
    return dataset_card(bars, spans, window_set=windows)


def test_a_card_counts_what_is_there():
    card = make_card()
    label = card.labels[0]
    assert (card.bars, card.bars_by_symbol, card.segments) == (600, {"A": 300, "B": 300}, 2)
    assert (card.begin, card.end) == ("1970-01-01T00:00:00.000000000", "1970-01-01T04:59:00.000000000")
    assert (label.spans, label.positive_bars, label.positive_share) == (19, 95, pytest.approx(95 / 600))
    assert label.types == {"consolidation": 6, "retracement": 6, "": 7}
    assert label.length == dict.fromkeys(("0%", "5%", "25%", "50%", "75%", "95%", "100%"), 5.0)
    assert set(label.gap.values()) == {25.0}
    assert card.agreements[0].span_f1 == 1
    assert card.windows.windows.keys() == {"train", "inner", "test"}
    assert all(n > 0 for n in card.windows.with_span.values())


def test_a_card_comes_back_from_json_and_reads_as_markdown(tmp_path):
    card = make_card()
    write_card(tmp_path / "card.json", card)
    assert DatasetCard.model_validate_json((tmp_path / "card.json").read_text()) == card
    write_card(tmp_path / "card.md", card)
    page = (tmp_path / "card.md").read_text()
    assert page == card_markdown(card)
    # 10..284 of the one symbol and 310..554 of the other.
    assert "95 bars in a span, 15.83% of all" in page
    assert "| x / y | 520 |" in page
    assert {len(line.split("|")) for line in page.split("\n") if line.startswith("| quantile")} == {10}
    with pytest.raises(ValueError, match=r"ending in \.json or \.md"):
        write_card(tmp_path / "card.txt", card)


@pytest.mark.parametrize("name", ["time", "open", "close", "segment"])
def test_the_fingerprint_changes_with_every_array(name):
    bars = make_bars()
    changed = getattr(bars, name).copy()
    changed[7] += 1
    other = dataset_card(bars.model_copy(update={name: changed}), make_spans([(50, 52, 0)]))
    same = dataset_card(make_bars(), make_spans([(50, 52, 0)]))
    card = dataset_card(bars, make_spans([(50, 52, 0)]))
    assert card.fingerprint == same.fingerprint != other.fingerprint


def test_the_fingerprint_of_labels_tells_labels_apart():
    prints = {
        dataset_card(make_bars(), make_spans(rows)).labels[0].fingerprint
        for rows in ([(5, 7, 0)], [(5, 8, 0)], [(5, 7, 1)], [(5, 7, 0), (9, 9, 0)])
    }
    assert len(prints) == 4


def test_a_set_without_spans_or_times_has_a_card_that_says_so():
    bars = make_bars().model_copy(update={"time": np.full(N, np.datetime64("NaT"), "M8[ns]")})
    card = dataset_card(bars, make_spans(np.empty((0, 3), int)))
    assert (card.begin, card.labels[0].length, card.labels[0].gap) == (None, None, None)
    assert "no times" in card_markdown(card)


def test_an_overlap_of_exactly_the_wanted_share_matches():
    a, b = make_spans([(10, 13, 0)]), make_spans([(10, 17, 0)])
    assert annotator_agreement(a, b, make_bars()).matched == 1
    assert annotator_agreement(a, b, make_bars(), iou=0.51).matched == 0
