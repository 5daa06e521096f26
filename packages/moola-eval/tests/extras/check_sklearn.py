"""Run by name where scikit-learn is installed: pytest tests/extras/check_sklearn.py."""

import pickle

import numpy as np
import pytest
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV, GroupKFold, KFold, cross_val_score
from sklearn.multiclass import OneVsRestClassifier
from sklearn.neighbors import KNeighborsClassifier

from moola_eval.matching import Exact
from moola_eval.sklearn import WindowScorer
from moola_eval.stateful import BarF1, Brier, SpanF1

K = 12


@pytest.fixture
def data():
    rng = np.random.default_rng(0)
    y = np.zeros((40, K), dtype=int)
    for row in y:
        start = rng.integers(0, K - 3)
        row[start : start + 4] = 1
    return y + 0.4 * rng.standard_normal(y.shape), y


@pytest.mark.parametrize("metric", [BarF1(0.3), SpanF1(0.3), SpanF1(criterion=Exact())], ids=str)
def test_windows_as_rows_score_as_the_function(data, metric):
    x, y = data
    model = KNeighborsClassifier(3).fit(x, y)
    values = np.stack([p[:, 1] for p in model.predict_proba(x)], axis=1)
    assert WindowScorer(metric)(model, x, y) == metric(y == 1, values).value
    decided = metric(y == 1, model.predict(x) == 1).value
    assert WindowScorer(metric, response="predict")(model, x, y) == decided


def test_bars_as_rows_score_as_the_function(data):
    x, y = data
    rows, flat = x.reshape(-1, 1), y.reshape(-1)
    model = LogisticRegression().fit(rows, flat)
    values = model.predict_proba(rows)[:, 1].reshape(-1, K)
    score = WindowScorer(SpanF1(0.4), bars=K)(model, rows, flat)
    assert score == SpanF1(0.4)(y == 1, values).value


def test_it_serves_cross_validation_and_search(data):
    x, y = data
    rows, flat, window = x.reshape(-1, 1), y.reshape(-1), np.repeat(np.arange(40), K)
    scorer = WindowScorer(SpanF1(0.4), bars=K)
    found = cross_val_score(
        LogisticRegression(), rows, flat, groups=window, cv=GroupKFold(4), scoring=scorer, error_score="raise"
    )
    assert found.shape == (4,)
    assert (found > 0.3).all()
    search = GridSearchCV(
        KNeighborsClassifier(),
        {"n_neighbors": [1, 5]},
        cv=KFold(4),
        scoring=WindowScorer(SpanF1()),
        error_score="raise",
    )
    assert search.fit(x, y).best_score_ > 0.3


def test_an_output_never_seen_in_training_has_probability_0(data):
    x, y = data
    y = y.copy()
    y[:, 0] = 0
    model = KNeighborsClassifier(3).fit(x, y)
    found = model.predict_proba(x)
    assert found[0].shape == (40, 1)
    values = np.stack([np.zeros(40), *(p[:, 1] for p in found[1:])], axis=1)
    assert WindowScorer(BarF1(0.3))(model, x, y) == BarF1(0.3)(y == 1, values).value


def test_a_multilabel_matrix_is_taken_as_it_is(data):
    x, y = data
    model = OneVsRestClassifier(LogisticRegression()).fit(x, y)
    values = model.predict_proba(x)
    assert WindowScorer(SpanF1(0.3))(model, x, y) == SpanF1(0.3)(y == 1, values).value


def test_a_scorer_can_be_pickled_as_joblib_wants():
    scorer = WindowScorer(SpanF1(0.3), bars=5)
    assert pickle.loads(pickle.dumps(scorer)) == scorer  # noqa: S301


def test_an_error_is_negated(data):
    x, y = data
    rows, flat = x.reshape(-1, 1), y.reshape(-1)
    model = LogisticRegression().fit(rows, flat)
    values = model.predict_proba(rows)[:, 1].reshape(-1, K)
    assert WindowScorer(Brier(), bars=K)(model, rows, flat) == -Brier()(y == 1, values).value


class Constant(ClassifierMixin, BaseEstimator):
    """Predicts one number everywhere."""

    def __init__(self, answer=0):
        self.answer = answer

    def fit(self, X, y):
        self.classes_ = np.array([0, 1])
        self.n_outputs_ = y.shape[1]
        return self

    def predict(self, X):
        return np.full((len(X), self.n_outputs_), self.answer)


def test_undefined_stays_undefined():
    y = np.zeros((3, K), dtype=int)
    scorer = WindowScorer(SpanF1(), response="predict")
    assert np.isnan(scorer(Constant().fit(y, y), y, y))


def test_what_is_no_decision_is_refused():
    y = np.zeros((3, K), dtype=int)
    scorer = WindowScorer(SpanF1(), response="predict")
    with pytest.raises(ValueError, match=r"prediction: want 0 or 1, got 2 in row \(0, 0\)"):
        scorer(Constant(2).fit(y, y), y, y)


def test_half_a_window_is_refused(data):
    x, y = data
    model = LogisticRegression().fit(x.reshape(-1, 1), y.reshape(-1))
    scorer = WindowScorer(SpanF1(), bars=K)
    with pytest.raises(ValueError, match=rf"multiple of bars={K}, got \(5,\)"):
        scorer(model, x.reshape(-1, 1)[:5], y.reshape(-1)[:5])
