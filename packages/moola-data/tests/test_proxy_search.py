"""The search chooses on train bars only, and what it reports is right: checked by other means."""

import json

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from moola_data.proxies import GRID, ProxyFormula, proxy_terms
from moola_data.proxy_search import ProxySearch, search_proxies, write_proxy_search
from moola_data.schema import Bars, Spans

N = 2400


def make_bars(seed=0, n=N, symbols=1):
    generator = np.random.default_rng(seed)
    size = n * symbols
    close = 100 + np.cumsum(generator.normal(size=size))
    open_ = np.concatenate([[100], close[:-1]])
    code = np.repeat(np.arange(symbols, dtype=np.int32), n)
    return Bars(
        time=np.tile(np.arange(n) * 60 * 10**9, symbols).astype("M8[ns]"),
        open=open_,
        high=np.maximum(open_, close) + generator.exponential(size=size),
        low=np.minimum(open_, close) - generator.exponential(size=size),
        close=close,
        symbol=code,
        segment=code.astype(np.int64),
        symbols=("NQ", "ES")[:symbols],
    )


def make_spans(starts, ends):
    m = len(starts)
    return Spans(
        start=np.array(starts, np.int64),
        end=np.array(ends, np.int64),
        type=np.full(m, -1),
        weight=np.ones(m, np.float32),
        type_names=(),
    )


def runs(mask):
    edge = np.diff(np.concatenate([[0], mask.astype(int), [0]]))
    return make_spans(np.flatnonzero(edge == 1), np.flatnonzero(edge == -1) - 1)


def noise_spans(seed=1, n=N):
    starts = np.sort(np.random.default_rng(seed).choice(n // 20, n // 60, replace=False)) * 20
    return make_spans(starts, starts + 5)


def mask_of(spans, n):
    mask = np.zeros(n, bool)
    for s, e in zip(spans.start, spans.end, strict=True):
        mask[s : e + 1] = True
    return mask


@settings(deadline=None, max_examples=8)
@given(st.integers(0, 50))
def test_grid_and_report_are_those_of_plain_formulas(seed):
    bars, spans = make_bars(seed), noise_spans(seed + 100)
    found = search_proxies(bars, spans, draws=20, seed=0)
    mask, terms = mask_of(spans, N), proxy_terms(bars)
    blocks = N // 105
    border = round(0.8 * blocks) * 105
    over = (spans.start < border) & (spans.end >= border)
    straddling = mask_of(make_spans(spans.start[over], spans.end[over]), N)
    train = (np.arange(N) >= 19) & (np.arange(N) < border) & ~straddling
    test = (np.arange(N) >= border + 19) & ~straddling
    assert (found.train_bars, found.held_out.bars) == (train.sum(), test.sum())
    correlations = [np.corrcoef(f.score(terms)[train], mask[train])[0, 1] for f in GRID]
    np.testing.assert_allclose([p.correlation for p in found.grid], correlations, atol=1e-9)
    assert found.formula == GRID[int(np.argmax(correlations))]
    score = found.formula.score(terms)
    held = found.held_out
    assert held.correlation.value == pytest.approx(np.corrcoef(score[test], mask[test])[0, 1], abs=1e-9)
    marked = score[test] >= found.threshold
    hits = (marked & mask[test]).sum()
    assert held.f1.value == pytest.approx(2 * hits / (marked.sum() + mask[test].sum()))
    assert held.recall == hits / mask[test].sum()
    best = max(
        2 * (mask[train] & (score[train] >= x)).sum() / (mask[train].sum() + (score[train] >= x).sum())
        for x in np.unique(score[train])
    )
    chosen = next(p for p in found.grid if p.formula == found.formula)
    assert chosen.f1 == pytest.approx(best)
    share = mask[test].mean()
    assert held.f1_of_marking_all == pytest.approx(2 * share / (1 + share))


def test_the_future_has_no_say_in_the_choice():
    bars, spans = make_bars(3), noise_spans(4)
    border = round(0.8 * (N // 105)) * 105
    early = search_proxies(bars, spans, draws=5, seed=0)
    later = spans.start > border + 30
    moved = np.where(later, spans.start + 7, spans.start)
    other = search_proxies(bars, make_spans(moved, moved + 5), draws=5, seed=0)
    assert (other.formula, other.threshold, other.grid) == (early.formula, early.threshold, early.grid)
    assert other.held_out != early.held_out


def known_signal(bars):
    score = GRID[4].score(proxy_terms(bars))
    return runs(np.nan_to_num(score) >= np.nanquantile(score, 0.93))


def test_a_mask_made_of_the_score_is_found_and_beats_chance():
    bars = make_bars(5)
    found = search_proxies(bars, known_signal(bars), draws=199, seed=0)
    assert found.held_out.f1.value > 0.9
    assert (found.held_out.f1.p, found.held_out.correlation.p) == (1 / 200, 1 / 200)
    assert found.held_out.f1.null_high < 0.5 * found.held_out.f1.value
    low, high = found.held_out.f1.interval
    assert low <= found.held_out.f1.value <= high


def test_chance_does_not_beat_chance():
    p = [
        search_proxies(make_bars(s), noise_spans(s + 50), draws=99, seed=s).held_out.correlation.p
        for s in range(40)
    ]
    assert 0.25 < np.mean(p) < 0.75
    assert np.mean(np.array(p) <= 0.05) <= 0.2


def test_no_order_of_the_scores_correlates_better_than_the_ceiling():
    bars, spans = make_bars(6), noise_spans(7)
    estimate = search_proxies(bars, spans, draws=50, seed=0).held_out.correlation
    assert estimate.value <= estimate.ceiling <= 1
    assert estimate.null_high <= estimate.ceiling
    good = search_proxies(bars, known_signal(bars), draws=5, seed=0).held_out.correlation
    assert good.ceiling - good.value < 0.05


def test_symbols_share_the_border_of_time():
    bars = make_bars(8, symbols=2)
    spans = make_spans(np.arange(30, 2 * N - 40, 60), np.arange(35, 2 * N - 35, 60))
    found = search_proxies(bars, spans, draws=5, seed=0)
    assert found.held_out.blocks == N // 105 - round(0.8 * (N // 105))
    assert found.train_bars + found.held_out.bars + found.undefined_bars + found.purged_bars == 2 * N


def test_bars_that_nobody_looked_at_count_nowhere():
    bars, spans = make_bars(9), noise_spans(10)
    labelled = np.ones(N, bool)
    labelled[500:900] = False
    found = search_proxies(bars, spans, labelled=labelled, draws=5, seed=0)
    everything = search_proxies(bars, spans, draws=5, seed=0)
    assert found.unlabelled_bars == 400
    assert everything.train_bars - found.train_bars == 400
    with pytest.raises(ValueError, match=r"labelled: want bool \(2400,\), got int64"):
        search_proxies(bars, spans, labelled=labelled.astype(np.int64), seed=0)


def test_the_origins_zeros_leave_no_bar_out():
    found = search_proxies(make_bars(2), noise_spans(3), undefined="zero", draws=5, seed=0)
    assert found.undefined_bars == 0


def test_a_score_that_is_the_same_everywhere_has_no_correlation():
    bars, spans = make_bars(2), noise_spans(3)
    flat = ProxyFormula(return_weight=0, streak_weight=0, eps=0.1)
    assert search_proxies(bars, spans, grid=[flat, GRID[0]], draws=5, seed=0).grid[0].correlation is None
    with pytest.raises(ValueError, match="grid: want a formula whose score varies"):
        search_proxies(bars, spans, grid=[flat], seed=0)


def test_parts_without_expansions_are_refused():
    with pytest.raises(ValueError, match="spans: want held-out bars inside and outside expansions, got 0 of"):
        search_proxies(make_bars(), make_spans([100], [110]), seed=0)
    with pytest.raises(ValueError, match="spans: want train bars inside and outside expansions, got 0 of"):
        search_proxies(make_bars(), make_spans([N - 50], [N - 40]), seed=0)


def test_files_hold_the_search_and_a_row_an_expansion(tmp_path):
    bars, spans = make_bars(5), noise_spans(3)
    found = search_proxies(bars, spans, draws=5, seed=0)
    write_proxy_search(tmp_path / "proxies", found, bars, spans)
    text = (tmp_path / "proxies" / "proxy_formula.json").read_text()
    assert ProxySearch.model_validate_json(text) == found
    assert json.loads(text)["formula"]["eps"] in (0.001, 0.01, 0.1)
    table = pd.read_csv(tmp_path / "proxies" / "expansion_stats.csv")
    assert table["start"].tolist() == spans.start.tolist()
    assert list(table) == ["symbol", "start", "end", "length", "momentum3", "streak", "ret5", "vol20"]
