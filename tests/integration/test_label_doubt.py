"""What looks wrong with a window's labels, and networks that judge only what they have not seen."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from moola_data.bars import make_bars
from moola_data.schema import Spans
from moola_train.recipes import cross_fitting
from moola_train.recipes.cross_fitting import cross_fitted
from moola_train.recipes.label_doubt import runs, window_doubts
from moola_train.recipes.label_review import doubtful_labels
from moola_train.recipes.run_config import RunConfig

K = 40
NONE = np.zeros(0, np.int64)


def sets(*spans: tuple[int, int], of: int = 50, seed: int = 0, jitter: int = 1, share: float = 0.96):
    """Drawn sets: each span in most of them, its edges a bar off at times."""
    rng = np.random.default_rng(seed)
    drawn = np.zeros((of, K), bool)
    for marks in drawn:
        for first, last in spans:
            a, b = np.array([first, last]) + rng.integers(-jitter, jitter + 1, 2)
            if rng.random() < share:
                marks[a : b + 1] = True
    return drawn


def doubts(drawn, *labels):
    start, end = np.array(labels, np.int64).reshape(-1, 2).T
    found = window_doubts(drawn, drawn.mean(0), start, end, share=0.1)
    return sorted(found, key=lambda doubt: -doubt.log_odds)


def test_labels_where_the_network_sees_them_are_not_doubted():
    for doubt in doubts(sets((5, 12), (25, 30)), (5, 12), (25, 30)):
        assert doubt.log_odds < 0


def test_each_way_of_being_wrong_is_named_and_put_right():
    drawn = sets((5, 12), (25, 30))
    worst, other = doubts(drawn, (5, 12))
    assert (worst.kind, worst.label) == ("missing", None)
    assert np.abs(np.array(worst.better) - (25, 30)).max() <= 1
    assert worst.log_odds > 2 > 0 > other.log_odds
    worst = doubts(drawn, (5, 12), (25, 30), (16, 20))[0]
    assert (worst.kind, worst.label, worst.better) == ("spurious", (16, 20), None)
    assert worst.log_odds > 2
    worst = doubts(drawn, (5, 12), (25, 36))[0]
    assert (worst.kind, worst.label) == ("shifted", (25, 36))
    assert np.abs(np.array(worst.better) - (25, 30)).max() <= 1
    assert worst.log_odds > 2


def test_a_label_is_the_more_doubtful_the_fewer_sets_mark_it():
    odds = [doubts(sets((5, 12), share=s, of=400), (5, 12))[0].log_odds for s in (0.6, 0.3, 0.1, 0.03)]
    assert odds == sorted(odds)
    missing = [doubts(sets((5, 12), share=s, of=400))[0].log_odds for s in (0.2, 0.5, 0.9)]
    assert missing == sorted(missing)


def test_an_edge_is_the_more_doubtful_the_farther_off_it_is():
    drawn = sets((10, 20), share=1.0)
    odds = [doubts(drawn, (10, 20 + off))[0].log_odds for off in (0, 2, 4, 9)]
    assert odds[0] < odds[1] < odds[2] == odds[3]


def test_the_windows_edge_is_nobodys_choice():
    drawn = np.zeros((50, K), bool)
    drawn[:, :8] = True
    (doubt,) = doubts(drawn, (0, 7))
    assert doubt.log_odds < -1


def test_doubts_know_no_left_and_right():
    rng = np.random.default_rng(1)
    drawn = rng.random((30, K)) < 0.4
    labels = np.array([[3, 6], [12, 19], [30, 33]])
    one = doubts(drawn, *labels.tolist())
    two = doubts(drawn[:, ::-1], *(K - 1 - labels[:, ::-1]).tolist())
    of_labels = [[(d.kind, d.log_odds) for d in found if d.label is not None] for found in (one, two)]
    for a, b in zip(*of_labels, strict=True):
        assert a[0] == b[0]
        assert a[1] == pytest.approx(b[1])


def test_runs_are_spans_of_marks():
    marks = np.array([[1, 1, 0, 1], [0, 0, 0, 0], [0, 1, 1, 1]], bool)
    assert [x.tolist() for x in runs(marks)] == [[0, 0, 2], [0, 3, 1], [1, 3, 3]]


def test_what_does_not_fit_is_refused():
    with pytest.raises(ValueError, match="beside probabilities"):
        window_doubts(np.zeros((3, K), bool), np.zeros(K - 1), NONE, NONE, share=0.1)
    with pytest.raises(ValueError, match="share: want a number between"):
        window_doubts(np.zeros((3, K), bool), np.zeros(K), NONE, NONE, share=0.0)


LENGTH = 20
CONFIG = RunConfig.model_validate(
    {
        "data": {"length": LENGTH, "stride": 10},
        "model": {"hidden": 8, "tasks": ["span"], "heads": {"span": {"kind": "span_semi_markov"}}},
        "fit": {
            "epochs": 12,
            "batch_size": 16,
            "learning_rate": 0.02,
            "restore": "last",
            "selection": "span_loss",
        },
    }
)


def market(n: int = 900, *, seed: int = 0):
    """Bars with surges of 5 bars that nobody can overlook, and their spans."""
    rng = np.random.default_rng(seed)
    moves = rng.normal(0, 0.0005, n)
    first = np.arange(6, n - 8, 16)
    for at in first:
        moves[at : at + 5] += rng.choice([-1, 1]) * 0.004
    close = 100 * np.exp(np.cumsum(moves))
    open_ = np.concatenate([[100.0], close[:-1]])
    bars = make_bars(
        pd.DataFrame(
            {
                "time": pd.date_range("2024-01-01", periods=n, freq="min"),
                "open": open_,
                "high": np.maximum(open_, close) * 1.0001,
                "low": np.minimum(open_, close) * 0.9999,
                "close": close,
            }
        )
    )
    return bars, spans_of(first, first + 4)


def spans_of(start, end) -> Spans:
    return Spans(
        start=start.astype(np.int64),
        end=end.astype(np.int64),
        type=np.full(len(start), -1, np.int64),
        weight=np.ones(len(start), np.float32),
        type_names=("up", "down"),
        annotator="x",
        label="expansion",
    )


@pytest.mark.parametrize("restore", ["last", "best"])
def test_a_network_has_seen_no_bar_and_no_label_of_what_it_judges(restore, monkeypatch):
    bars, spans = market()
    settings = CONFIG.model_copy(
        update={"fit": CONFIG.fit.model_copy(update={"epochs": 1, "restore": restore})}
    )
    trained = []
    fit = cross_fitting.fit

    def watched(model, data, *rest, **more):
        trained.append(data._starts.numpy()[data.split.numpy() < 2])
        return fit(model, data, *rest, **more)

    monkeypatch.setattr(cross_fitting, "fit", watched)
    judged = np.zeros(len(bars), bool)
    for fold, starts in zip(cross_fitted(bars, spans, settings, folds=3), trained, strict=False):
        seen = np.zeros(len(bars), bool)
        seen[starts[:, None] + np.arange(LENGTH)] = True
        for first, last in zip(spans.start, spans.end, strict=True):
            seen[first : last + 1] |= seen[first : last + 1].any()
        held = np.zeros(len(bars), bool)
        held[fold.windows.starts[:, None] + np.arange(LENGTH)] = True
        assert not (seen & held).any()
        assert seen.any()
        judged |= held
    assert judged.all()
    assert len(trained) == 3


def test_planted_errors_stand_first():
    bars, spans = market()
    start, end = spans.start.copy(), spans.end.copy()
    start[20] += 3  # shifted
    end[35] += 4
    kept = np.delete(np.arange(len(start)), 10)  # missing
    wrong = spans_of(np.append(start[kept], 511), np.append(end[kept], 514))  # and one spurious
    told = []
    table = doubtful_labels(bars, wrong, CONFIG, folds=3, told=lambda *x: told.append(x))
    assert told == [(1, 3), (2, 3), (3, 3)]
    top = table.head(4)
    named = {(kind, None if a is None else int(a)) for kind, a in zip(top["kind"], _start(top), strict=True)}
    assert ("spurious", 511) in named
    assert ("missing", None) in named
    missing = table[table["kind"] == "missing"].iloc[0]
    assert abs(missing["better_start"] - spans.start[10]) <= 1
    assert abs(missing["better_end"] - spans.end[10]) <= 1
    shifted = table[table["kind"] == "shifted"].head(2)
    assert set(shifted["start"]) == {start[20], start[35]}
    assert table["odds"].is_monotonic_decreasing
    labelled = table[table["kind"] != "missing"]
    assert sorted(labelled["start"]) == sorted(wrong.start)  # every label is judged, and once


def _start(table):
    return [
        None if missing else value
        for value, missing in zip(table["start"], table["start"].isna(), strict=True)
    ]


def test_too_many_folds_or_no_samples_are_one_error():
    bars, spans = market(200)
    with pytest.raises(ValueError, match="samples: want 1"):
        doubtful_labels(bars, spans, CONFIG, samples=0)
    with pytest.raises(ValueError, match="groups: want at least 40 groups"):
        doubtful_labels(bars, spans, CONFIG, folds=40)
    few = spans_of(spans.start[:1], spans.end[:1])
    with pytest.raises(ValueError, match="folds: want a span of weight above 0 in the train part"):
        doubtful_labels(bars, few, CONFIG, folds=3)
