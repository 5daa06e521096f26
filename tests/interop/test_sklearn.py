"""scikit-learn's cross-validation with the splitter of moola-data and the scorer of moola-eval."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV, cross_validate
from sklearn.neighbors import KNeighborsClassifier

from moola_data import audit_split
from moola_data.purged_kfold import PurgedKFold
from moola_eval.sklearn import WindowScorer
from moola_eval.stateful import BarF1, SpanF1

N, K, STRIDE = 48, 12, 6


@pytest.fixture(scope="module")
def windows():
    """Windows that overlap by half: values (N, K), marks (N, K), first and last bar of each."""
    rng = np.random.default_rng(0)
    marks = np.zeros((N - 1) * STRIDE + K, int)
    for start in range(2, len(marks) - 5, 9):
        marks[start : start + 4] = 1
    values = marks + 0.3 * rng.standard_normal(len(marks))
    first = STRIDE * np.arange(N)
    bars = first[:, None] + np.arange(K)
    return values[bars], marks[bars], first, first + K - 1


def splitter(first, last):
    return PurgedKFold(4, prediction_times=first, evaluation_times=last)


def test_windows_are_scored_as_by_hand_on_folds_that_share_no_bar(windows):
    x, y, first, last = windows
    folds, scorer = splitter(first, last), WindowScorer(SpanF1(0.4))
    found = cross_validate(
        KNeighborsClassifier(3), x, y, cv=folds, scoring=scorer, return_estimator=True, error_score="raise"
    )
    assert len(found["test_score"]) == folds.get_n_splits() == 4
    for (train, test), model, score in zip(
        folds.split(x, y), found["estimator"], found["test_score"], strict=True
    ):
        shared = audit_split(train, test, prediction_times=first, evaluation_times=last)
        assert len(shared.shared_bars()) == 0
        assert len(train) < N - len(test)
        again = KNeighborsClassifier(3).fit(x[train], y[train])
        probability = np.stack([p[:, 1] for p in again.predict_proba(x[test])], axis=1)
        assert score == SpanF1(0.4)(y[test] == 1, probability).value
        assert np.array_equal(again.predict(x[test]), model.predict(x[test]))


def test_bars_as_rows_are_split_by_whole_windows_and_searched(windows):
    x, y, first, last = windows
    apart = slice(None, None, 2)  # every second window: a bar is a row once
    rows, flat = x[apart].reshape(-1, 1), y[apart].reshape(-1)
    times = {
        "prediction_times": np.repeat(first[apart], K),
        "evaluation_times": np.repeat(last[apart], K),
    }
    search = GridSearchCV(
        LogisticRegression(),
        {"C": [0.01, 10.0]},
        cv=PurgedKFold(4, **times),
        scoring=WindowScorer(BarF1(0.5), bars=K),
        error_score="raise",
    ).fit(rows, flat)
    assert search.best_params_ == {"C": 10.0}
    assert search.best_score_ > 0.9
