# /// script
# requires-python = ">=3.11"
# dependencies = ["moola-data", "scikit-learn", "numpy"]
# ///
"""moola-data alone: its features, labels and splitter inside scikit-learn's cross-validation.

What to learn: how good a classifier of bars looks depends on the splitter. Neighbouring bars share their
label and most of what their features saw, so a shuffled split lets it recognise what it was trained on.
`PurgedKFold` is an ordinary `cv=` that leaves such bars out of training, and `audit_split` counts what any
split shares.

Run it: `python data_in_cross_validation.py` where the packages above are installed; `uv run python
examples/data_in_cross_validation.py` in a clone.
"""

import numpy as np
from sklearn.model_selection import KFold, cross_val_score
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from moola_data import audit_split, compute_features, load_sample
from moola_data.expansion_rule import label_expansions
from moola_data.intervals import window_intervals
from moola_data.purged_kfold import PurgedKFold

bars = load_sample()  # daily bars of four stocks; read_bars("bars.parquet") reads yours
features = compute_features(bars, "jade")  # (bars, features), each from its bar and those before it
spans = label_expansions(bars)  # read_spans("spans.csv", bars) reads yours

inside = np.zeros(len(bars), int)  # the label of a bar: does it lie in an expansion?
for first, last in zip(spans.start, spans.end, strict=True):
    inside[first : last + 1] = 1

# A bar is a window of length 1: it depends on itself, on the bars its features need, and on all of its span.
times = window_intervals(bars, spans, np.arange(len(bars)), length=1, warmup=20)
splitters = {
    "shuffled KFold": KFold(5, shuffle=True, random_state=0),
    "PurgedKFold": PurgedKFold(5, prediction_times=times.first, evaluation_times=times.last, embargo=5),
}

model = make_pipeline(StandardScaler(), KNeighborsClassifier(15))
print(f"{len(bars):,} bars, {inside.mean():.1%} in {len(spans)} expansions; chance is AUROC .500")
for name, splitter in splitters.items():
    scores = cross_val_score(model, features.values, inside, cv=splitter, scoring="roc_auc")
    train, test = next(iter(splitter.split(features.values)))
    shared = audit_split(train, test, prediction_times=times.first, evaluation_times=times.last)
    leak = f"first fold shares {len(shared.shared_bars()):,} bars"
    print(f"{name:>14}: AUROC {scores.mean():.3f} ± {scores.std():.3f}, {leak}")
