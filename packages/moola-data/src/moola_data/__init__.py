"""Bars of a market checked, causal features of them, labels, windows and leak-proof splits.

>>> from moola_data import compute_features, load_sample
>>> bars = load_sample()
>>> features = compute_features(bars)
>>> features.values.shape, features.names[0]
((11958, 12), 'open_norm')
"""

from importlib.metadata import version

from moola_data.bars import make_bars, read_bars
from moola_data.feature_audit import audit
from moola_data.features import compute_features
from moola_data.sample import load_sample
from moola_data.schema import Bars, FeatureMatrix, Spans, WindowSet
from moola_data.spans_file import read_spans
from moola_data.split_audit import audit_split
from moola_data.violations import BarsError, check_bars
from moola_data.window_set import build_window_set
from moola_data.window_split import split_windows

__version__ = version("moola-data")
__all__ = [
    "Bars",
    "BarsError",
    "FeatureMatrix",
    "Spans",
    "WindowSet",
    "audit",
    "audit_split",
    "build_window_set",
    "check_bars",
    "compute_features",
    "load_sample",
    "make_bars",
    "read_bars",
    "read_spans",
    "split_windows",
]
