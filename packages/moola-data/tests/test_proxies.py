"""The origin's formula: its terms against a slow reading of their definitions, and its known faults."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from moola_data.proxies import GRID, ProxyFormula, ProxyTerms, expansion_stats, proxy_terms
from moola_data.schema import Bars, Spans

NAMES = ("momentum3", "streak", "ret5", "vol20")


def make_bars(sizes=(80,), seed=0, scale=1.0):
    generator = np.random.default_rng(seed)
    n = sum(sizes)
    close = 100 + np.cumsum(np.round(generator.normal(size=n), 2))
    open_ = close + np.round(generator.normal(size=n), 1)
    up, down = (np.round(generator.exponential(size=n), 2) for _ in range(2))
    return Bars(
        time=(np.arange(n) * 60 * 10**9).astype("M8[ns]"),
        open=open_ * scale,
        high=(np.maximum(open_, close) + up) * scale,
        low=(np.minimum(open_, close) - down) * scale,
        close=close * scale,
        symbol=np.zeros(n, np.int32),
        segment=np.repeat(np.arange(len(sizes)), sizes).astype(np.int64),
        symbols=("NQ",),
    )


def reference(bars):
    """The definitions through pandas, a segment at a time."""
    prices = {name: getattr(bars, name) for name in ("open", "high", "low", "close")}
    parts = []
    for _, bar in pd.DataFrame(prices).groupby(bars.segment):
        height = bar.high.rolling(4).max() - bar.low.rolling(4).min()
        parts.append(
            pd.DataFrame(
                {
                    "momentum3": bar.close.diff(3) / height,
                    "streak": (bar.close > bar.open).astype(float).rolling(10).sum(),
                    "ret5": bar.close.pct_change().rolling(5).sum(),
                    "vol20": (bar.high - bar.low).rolling(20).std(),
                }
            )
        )
    return pd.concat(parts)


@settings(deadline=None, max_examples=20)
@given(st.lists(st.integers(1, 50), min_size=1, max_size=4), st.integers(0, 99))
def test_terms_are_those_of_the_definitions_and_start_afresh_in_each_segment(sizes, seed):
    bars = make_bars(sizes, seed)
    terms, wanted = proxy_terms(bars), reference(bars)
    for name in NAMES:
        np.testing.assert_allclose(getattr(terms, name), wanted[name], rtol=1e-9, atol=1e-12)


@settings(deadline=None, max_examples=10)
@given(st.integers(1, 79), st.integers(0, 99))
def test_terms_do_not_look_ahead(cut, seed):
    bars = make_bars(seed=seed)
    part = bars.model_copy(
        update={
            name: getattr(bars, name)[:cut]
            for name in ("time", "open", "high", "low", "close", "symbol", "segment")
        }
    )
    for name in NAMES:
        np.testing.assert_array_equal(
            getattr(proxy_terms(part), name), getattr(proxy_terms(bars), name)[:cut]
        )


def test_bars_without_height_have_no_momentum():
    bars = make_bars((30,))
    flat = np.full(30, 7.0)
    terms = proxy_terms(bars.model_copy(update=dict.fromkeys(("open", "high", "low", "close"), flat)))
    assert np.isnan(terms.momentum3).all()
    assert terms.vol20[19:].tolist() == [0] * 11


def one(ret5, streak, vol20):
    array = [np.array([float(x)]) for x in (0, streak, ret5, vol20)]
    return ProxyTerms(momentum3=array[0], streak=array[1], ret5=array[2], vol20=array[3])


def test_a_score_by_hand():
    formula = ProxyFormula(return_weight=2, streak_weight=0.05, eps=0.001)
    # (2 * .01 + .05 * .7) / (.249 + .001) = .055 / .25
    assert formula.score(one(0.01, 7, 0.249)) == pytest.approx([0.22])


def test_falling_returns_are_clipped_away():
    formula = ProxyFormula(return_weight=2, streak_weight=0.05, eps=0.001)
    assert formula.score(one(-0.05, 3, 2)) == [0]
    assert formula.score(one(0.05, 3, 2)) > 0


def test_the_score_depends_on_the_price_level():
    formula = GRID[0]
    terms, tenfold = proxy_terms(make_bars()), proxy_terms(make_bars(scale=10.0))
    np.testing.assert_allclose(tenfold.ret5, terms.ret5)
    assert np.nanmean(formula.score(tenfold)) < 0.2 * np.nanmean(formula.score(terms))


def test_a_bar_without_all_terms_has_no_score_unless_the_origins_zeros_are_asked_for():
    terms, formula = (
        proxy_terms(make_bars((30, 30))),
        ProxyFormula(return_weight=1, streak_weight=0.1, eps=0.5),
    )
    undefined = np.tile(np.arange(30) < 19, 2)
    np.testing.assert_array_equal(np.isnan(formula.score(terms)), undefined)
    zero = formula.score(terms, undefined="zero")
    assert zero[0] == 0
    assert zero[12] == pytest.approx(np.clip((terms.ret5[12] + 0.01 * terms.streak[12]) / 0.5, 0, 1))


def test_the_grid_has_27_different_formulas():
    assert len(set(GRID)) == 27
    assert ProxyFormula(return_weight=2.0, streak_weight=0.05, eps=0.001) in GRID
    with pytest.raises(ValidationError):
        ProxyFormula(return_weight=1, streak_weight=1, eps=0)


def test_expansion_stats_are_means_over_each_expansion():
    bars = make_bars()
    spans = Spans(
        start=np.array([40, 2, 17]),
        end=np.array([44, 2, 20]),
        type=np.full(3, -1),
        weight=np.ones(3, np.float32),
        type_names=(),
    )
    table, terms = expansion_stats(bars, spans), proxy_terms(bars)
    assert table["length"].tolist() == [5, 1, 4]
    for name in NAMES:
        assert table[name][0] == pytest.approx(getattr(terms, name)[40:45].mean())
    assert np.isnan(table["vol20"][1])
    assert table["vol20"][2] == pytest.approx(terms.vol20[19:21].mean())
    with pytest.raises(ValueError, match=r"got 40\.\.80 in row 0"):
        expansion_stats(bars, spans.model_copy(update={"end": np.array([80, 2, 20])}))
