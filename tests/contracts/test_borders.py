"""Frozen schemas, and every producer adopted by its consumer: same memory, no copy."""

import numpy as np
import pytest
from borders import FOLDER, border_models, schema_text
from pydantic import ValidationError

from moola_data.schema import WindowSet, WindowSpans
from moola_eval.schema import EvalInput, Prediction, Truth
from moola_models.schema import PredictedSpans, PredictionSet
from moola_train.schema import TrainSet

MODELS = border_models()


@pytest.mark.parametrize("name", sorted(MODELS))
def test_border_is_as_frozen(name):
    """If the change is meant: ``make schemas``, and the package's minor version rises at its release."""
    path = FOLDER / f"{name}.json"
    assert path.exists(), f"{name} is new: run `make schemas`"
    assert schema_text(MODELS[name]) == path.read_text(), f"{name} changed: run `make schemas` if it is meant"


def test_no_frozen_border_has_gone():
    assert {path.stem for path in FOLDER.glob("*.json")} == set(MODELS)


def window_set(n=5, length=7, features=3) -> WindowSet:
    rng = np.random.default_rng(0)
    return WindowSet(
        features=rng.normal(size=(40, features)).astype(np.float32),
        feature_names=tuple("abc"[:features]),
        feature_set="invented",
        starts=np.arange(n, dtype=np.int64) * length,
        length=length,
        targets={"span": np.zeros((n, length), np.float32), "type": np.zeros(n, np.int64)},
        masks={"span": np.ones((n, length), bool), "type": np.ones(n, bool)},
        weight=np.ones(n, np.float32),
        group=np.arange(n, dtype=np.int64),
        split=np.array([0, 0, 0, 1, 2], np.int8),
        spans=WindowSpans(
            window=np.array([1], np.int64),
            start=np.array([2], np.int64),
            end=np.array([4], np.int64),
            type=np.array([-1], np.int64),
            weight=np.ones(1, np.float32),
            cut=np.zeros(1, bool),
        ),
        type_names=("consolidation", "retracement"),
    )


def prediction_set(windows: WindowSet) -> PredictionSet:
    n, length = len(windows), windows.length
    none = np.zeros(0, np.int64)
    return PredictionSet(
        probability=np.full((n, length), 0.5, np.float32),
        spans=PredictedSpans(window=none, start=none, end=none, score=none.astype(np.float32), type=none),
        pointers=np.zeros((n, 2), np.float32),
        countdown=None,
        type_probability=np.full((n, 2), 0.5, np.float32),
        starts=windows.starts,
        group=windows.group,
    )


def same_memory(a: object, b: object) -> bool:
    if isinstance(a, dict):
        return all(same_memory(a[key], b[key]) for key in a)
    return np.shares_memory(a, b) if isinstance(a, np.ndarray) and a.size else True


def arrays_of(model) -> dict[str, object]:
    values = {name: getattr(model, name) for name in type(model).model_fields}
    return {name: v for name, v in values.items() if isinstance(v, np.ndarray | dict)}


def test_train_adopts_windows():
    windows = window_set()
    adopted = TrainSet.model_validate(windows)
    assert set(TrainSet.model_fields) <= set(WindowSet.model_fields)
    for name, value in arrays_of(adopted).items():
        assert same_memory(value, getattr(windows, name)), name
    assert (adopted.length, adopted.position) == (windows.length, windows.position)


def test_eval_adopts_the_truth_of_windows():
    windows = window_set()
    truth = Truth.model_validate(windows)
    assert same_memory(truth.starts, windows.starts)
    assert same_memory(truth.spans.start, windows.spans.start)
    assert truth.type_names == windows.type_names


def test_eval_adopts_predictions():
    windows = window_set()
    produced = prediction_set(windows)
    adopted = Prediction.model_validate(produced)
    assert set(Prediction.model_fields) == set(PredictionSet.model_fields)
    for name, value in arrays_of(adopted).items():
        assert same_memory(value, getattr(produced, name)), name
    EvalInput(prediction=adopted, truth=Truth.model_validate(windows))


def test_predictions_of_other_windows_are_refused():
    windows = window_set()
    other = prediction_set(windows).model_copy(update={"starts": windows.starts + 1})
    with pytest.raises(ValidationError, match="starts differs from the truth first in row 0"):
        EvalInput(prediction=Prediction.model_validate(other), truth=Truth.model_validate(windows))


def test_disagreeing_dimensions_are_one_error():
    with pytest.raises(ValidationError, match="dim 'n' is 5 in starts but 4 in"):
        WindowSet.model_validate({**dict(window_set()), "weight": np.ones(4, np.float32)})


def test_wrong_dtype_and_rank_are_named():
    with pytest.raises(ValidationError, match="want float32, got float64"):
        WindowSet.model_validate({**dict(window_set()), "features": np.zeros((40, 3))})
    with pytest.raises(ValidationError, match=r"want shape \(N, F\), got \(40,\)"):
        WindowSet.model_validate({**dict(window_set()), "features": np.zeros(40, np.float32)})
