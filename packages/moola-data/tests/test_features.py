"""Feature sets by name: the package's own, and those that another package offers."""

import numpy as np
import pytest

from moola_data.features import compute_features, feature_set
from moola_data.sample import load_sample

STRANGER = """
from moola_data.features import Feature, FeatureSet

def body(open, close):
    return close - open

def fill(open, high, low, close, heads, out):
    out[:, 0] = body(open, close)

FEATURES = FeatureSet("stranger", (Feature("body", "close - open", -1e9, 1e9, "price", 0, None, body),), fill)
OTHER = FeatureSet("other", FEATURES.features, fill)
"""


@pytest.fixture
def offer(tmp_path, monkeypatch):
    """Puts a package on the path that offers `strangers:<target>` as the feature set "stranger"."""

    def offered(target):
        info = tmp_path / "stranger-1.0.dist-info"
        info.mkdir()
        (info / "METADATA").write_text("Metadata-Version: 2.1\nName: stranger\nVersion: 1.0\n")
        (info / "entry_points.txt").write_text(f"[moola_data.feature_sets]\nstranger = {target}\n")
        (tmp_path / "stranger_features.py").write_text(STRANGER)
        monkeypatch.syspath_prepend(tmp_path)

    return offered


def test_another_package_offers_a_feature_set(offer):
    offer("stranger_features:FEATURES")
    bars = load_sample()
    found = compute_features(bars, "stranger")
    assert found.feature_set == "stranger"
    assert found.names == ("body",)
    assert np.array_equal(found.values[:, 0], (bars.close - bars.open).astype(np.float32))


def test_an_unknown_set_is_refused_with_those_that_are_known(offer):
    offer("stranger_features:FEATURES")
    with pytest.raises(ValueError, match="feature_set: want one of origin, jade, stranger, got 'origami'"):
        feature_set("origami")


@pytest.mark.parametrize(
    ("target", "error", "message"),
    [
        ("fill", TypeError, r"entry point moola_data\.feature_sets:stranger: want a FeatureSet, got <func"),
        ("OTHER", ValueError, "want a set named 'stranger', got 'other'"),
    ],
)
def test_what_is_no_set_of_that_name_is_refused(offer, target, error, message):
    offer(f"stranger_features:{target}")
    with pytest.raises(error, match=message):
        feature_set("stranger")
