"""The audit convicts what is guilty, for the right reason, and acquits what is not."""

import itertools

import numpy as np
import pandas as pd
import pytest

from moola_data.bars import make_bars
from moola_data.feature_audit import audit, audit_markdown
from moola_data.features import Feature, FeatureSet, Mirror, feature_set
from moola_data.sample import load_sample
from moola_data.schema import Bars, FeatureMatrix


@pytest.fixture(scope="module")
def walk() -> Bars:
    rng = np.random.default_rng(4)
    n = 6_000
    close = 1_000 + np.cumsum(rng.standard_t(4, n))
    open_ = np.concatenate([[1_000.0], close[:-1]]) + 0.25 * rng.standard_t(3, n)
    frame = {
        "open": open_,
        "high": np.maximum(open_, close) + rng.exponential(0.5, n),
        "low": np.minimum(open_, close) - rng.exponential(0.5, n),
        "close": close,
    }
    frame = pd.DataFrame({name: np.round(4 * price) / 4 for name, price in frame.items()})
    return make_bars(frame.set_index(pd.date_range("2024-01-01", periods=n, freq="min")))


@pytest.fixture(scope="module")
def origin(walk) -> pd.DataFrame:
    return audit("origin", walk, prefixes=60).set_index("feature")


@pytest.fixture(scope="module")
def jade(walk) -> pd.DataFrame:
    return audit("jade", walk, prefixes=60).set_index("feature")


def verdicts(features, bars, **how) -> list[str]:
    return audit(features, bars, prefixes=20, starts=20, **how)["verdict"].tolist()


def test_jade_is_clean_on_a_walk_and_on_real_bars(jade):
    assert set(jade["verdict"]) == {"clean"}
    assert set(audit("jade", load_sample(), prefixes=40)["verdict"]) == {"clean"}


def test_origin_is_convicted_of_swings_that_turn_on_most_bars(origin, jade):
    for name in ("bars_since_SH_norm", "bars_since_SL_norm"):
        assert "flips" in origin.loc[name, "verdict"]
        assert "range hardly used" in origin.loc[name, "verdict"]
        assert origin.loc[name, "range_used"] < 0.03
    assert jade.loc["leg", "flips"] < 0.25


def test_origin_is_convicted_of_sharing_the_code_of_no_swing_yet(origin, jade):
    for name in ("dist_to_prev_SH", "dist_to_prev_SL", "bars_since_SH_norm", "bars_since_SL_norm"):
        assert "unknown coded as a value" in origin.loc[name, "verdict"]
    assert origin.loc["bars_since_SH_norm", "shared_code"] > 0.1
    assert (jade["shared_code"] == 0).all()


def test_origin_is_convicted_of_showing_where_windows_begin(origin, jade):
    guilty = origin.index[origin["verdict"].str.contains("shows where windows begin")]
    swings = ["dist_to_prev_SH", "dist_to_prev_SL", "bars_since_SH_norm", "bars_since_SL_norm"]
    assert set(guilty) == {*swings, "range_z", "expansion_proxy", "consol_proxy"}
    assert (jade["window_trace"] < 0.001).all()


def test_both_sets_are_causal(origin, jade):
    for table in (origin, jade):
        assert (table["repaints"] == 0).all()
        assert (table["looks_ahead"] == 0).all()


def test_a_feature_that_looks_ahead_repaints(walk):
    def centred(bars: Bars) -> pd.DataFrame:
        close = pd.Series(bars.close)
        return pd.DataFrame({"centred": close / close.rolling(11, center=True, min_periods=1).mean() - 1})

    assert "repaints" in verdicts(centred, walk)[0]
    assert "looks ahead" in verdicts(centred, walk)[0]


def test_a_feature_scaled_by_the_whole_series_repaints(walk):
    guilty = verdicts(lambda bars: (bars.close - bars.close.mean()) / bars.close.std(), walk)[0]
    assert "repaints" in guilty
    assert "looks ahead" in guilty


def test_a_feature_of_the_number_of_bars_repaints_without_looking_at_prices(walk):
    guilty = verdicts(lambda bars: np.arange(len(bars)) / len(bars), walk)[0]
    assert "repaints" in guilty
    assert "looks ahead" not in guilty


def test_an_average_since_the_beginning_never_settles(walk):
    def since(bars: Bars) -> np.ndarray:
        return bars.close / (np.cumsum(bars.close) / np.arange(1, len(bars) + 1))

    table = audit(since, walk, prefixes=20, starts=20)
    assert table.loc[0, "settles_after"] > 350
    assert "shows where windows begin" in table.loc[0, "verdict"]


def test_a_price_depends_on_the_price_unit(walk):
    assert "depends on the price unit" in verdicts(lambda bars: bars.close, walk)[0]
    assert verdicts(lambda bars: bars.close / bars.open, walk) == ["clean"]


def of_one(function, **declared) -> FeatureSet:
    """A set of one feature, computed by numpy."""
    given = {"low": -1.0, "high": 1.0, "warmup": 0, "mirror": None, **declared}
    feature = Feature(name="x", formula="", unit="1", function=function, **given)

    def fill(open_, high, low, close, heads, out) -> None:
        for first, stop in itertools.pairwise(heads):
            out[first:stop, 0] = function(*(price[first:stop] for price in (open_, high, low, close)))

    return FeatureSet("one", (feature,), fill)


def upper_share(o, h, l, c):  # noqa: E741
    return (h - np.maximum(o, c)) / np.maximum(h - l, 1e-12)


def test_a_wrong_mirror_image_is_found(walk):
    assert "not mirror-symmetric" in verdicts(of_one(upper_share, mirror=Mirror("x", -1)), walk)[0]
    body = of_one(lambda o, h, l, c: (c - o) / np.maximum(h - l, 1e-300), mirror=Mirror("x", -1))  # noqa: E741
    assert "mirror" not in verdicts(body, walk)[0]


def test_a_range_declared_too_wide_and_a_leg_that_turns_too_often_are_found(walk):
    assert "range hardly used" in verdicts(of_one(upper_share, low=-100.0, high=100.0), walk)[0]
    sign = of_one(lambda o, h, l, c: np.sign(c - o), lasting=True)  # noqa: E741
    assert "flips" in verdicts(sign, walk)[0]


def test_a_warmup_declared_too_short_is_found(walk):
    def slow(o, h, l, c):  # noqa: E741
        return np.tanh(pd.Series(c).pct_change(50).fillna(0).to_numpy() * 20)

    assert "settles late" in verdicts(of_one(slow, warmup=20), walk)[0]
    assert "settles late" not in verdicts(of_one(slow, warmup=50), walk)[0]


def test_a_few_cold_starts_that_stay_wrong_for_long_are_not_lost_in_the_mass(walk):
    def jumpy(o, h, l, c):  # noqa: E741
        """Wrong for the first 60 bars, but only where the segment begins at certain prices."""
        return np.where((np.arange(len(c)) < 60) & (round(c[0]) % 5 == 0), 1.0, 0.0)

    table = audit(of_one(jumpy, warmup=20), walk, prefixes=5, starts=100)
    assert table.loc[0, "settles_after"] == 60
    assert "settles late" in table.loc[0, "verdict"]
    assert "settles late" not in verdicts(of_one(jumpy, warmup=60), walk)[0]


def test_the_same_seed_gives_the_same_table(walk):
    first, second = (audit("origin", walk, seed=3, prefixes=10, starts=10) for _ in range(2))
    pd.testing.assert_frame_equal(first, second)


def test_functions_may_give_matrices_tables_or_arrays(walk):
    def matrix(bars: Bars) -> FeatureMatrix:
        values = np.stack([bars.close / bars.open], axis=1).astype(np.float32)
        return FeatureMatrix(values=values, names=("a",), feature_set="mine")

    assert audit(matrix, walk, prefixes=5, starts=5)["feature"].tolist() == ["a"]
    two = audit(lambda bars: np.stack([bars.close, bars.open], axis=1), walk, prefixes=5, starts=5)
    assert two["feature"].tolist() == ["feature_0", "feature_1"]
    assert two["range_used"].isna().all()


def test_too_few_bars_and_too_few_rows_are_one_clear_error(walk):
    with pytest.raises(ValueError, match=r"bars: want a segment of \d+ bars, got at most 6000"):
        audit("jade", walk, length=20_000)
    with pytest.raises(ValueError, match="features: want 6000 rows, one a bar"):
        audit(lambda bars: bars.close[:-1], walk)
    with pytest.raises(ValueError, match="feature_set: want one of origin, jade"):
        audit("opal", walk)


def test_markdown_has_a_row_a_feature(jade):
    lines = audit_markdown(jade.reset_index()).splitlines()
    assert len(lines) == 2 + len(feature_set("jade").names)
    assert len({line.count("|") for line in lines}) == 1
