# /// script
# requires-python = ">=3.11"
# dependencies = ["moola-eval", "scikit-learn", "numpy"]
# ///
"""moola-eval alone: an honest report on the predictions of another library.

What to learn: any array of probabilities, one number a bar, becomes a report. The threshold is chosen on
inner windows, and beside every score stand an interval over blocks, what chance scores on these very
windows, and the skill: the score's share of the way from the strongest chance level to the ceiling. A
classifier that saw only noise gets the same report, and it shows.

Run it: `python eval_other_predictions.py` where the packages above are installed; `uv run python
examples/eval_other_predictions.py` in a clone.
"""

import numpy as np
from sklearn.linear_model import LogisticRegression

from moola_eval import EvalInput, Spans, Truth, choose_threshold, decode, evaluate
from moola_eval.schema import PredictedSpans, Prediction, TrueSpans

BARS, BLOCK = 60, 4  # bars a window, windows a block of time


def windows(n: int, *, seed: int, first: int) -> tuple[np.ndarray, np.ndarray, Truth]:
    """Makes n windows with a burst of 5 to 9 bars in most: values and marks, (n, BARS), and the truth."""
    rng = np.random.default_rng(seed)
    marks = np.zeros((n, BARS), bool)
    for row in marks[: n - n // 5]:
        start = rng.integers(0, BARS - 9)
        row[start : start + rng.integers(5, 10)] = True
    marks = marks[rng.permutation(n)]
    spans = Spans.from_mask(marks)
    table = TrueSpans(window=spans.sequence, start=spans.start, end=spans.end, type=np.full(len(spans), -1))
    starts = first + BARS * np.arange(n)
    truth = Truth(starts=starts, length=BARS, group=starts // (BARS * BLOCK), spans=table, type_names=())
    return rng.normal(marks * 1.2, 1.0), marks, truth


def columns(values: np.ndarray) -> np.ndarray:
    """What the classifier sees of a bar: its value and the means around it, (n * BARS, 3)."""
    wide = [np.apply_along_axis(np.convolve, 1, values, np.ones(k) / k, "same") for k in (1, 3, 7)]
    return np.stack(wide, axis=-1).reshape(-1, 3)


train, inner, test = (windows(n, seed=n, first=n * 10**6) for n in (160, 80, 120))
noise = np.random.default_rng(0)
for name, see in {"sees the bars": columns, "sees noise": lambda v: noise.normal(size=(v.size, 3))}.items():
    model = LogisticRegression().fit(see(train[0]), train[1].ravel())
    p_inner, p_test = (model.predict_proba(see(part[0]))[:, 1].reshape(-1, BARS) for part in (inner, test))
    chosen = choose_threshold(p_inner, inner[2])
    found = decode(p_test, threshold=chosen.threshold)
    predicted = PredictedSpans(
        window=found.sequence,
        start=found.start,
        end=found.end,
        score=found.score.astype(np.float32),
        type=np.full(len(found), -1),
    )
    truth = test[2]
    prediction = Prediction(
        probability=p_test.astype(np.float32),
        spans=predicted,
        pointers=None,
        countdown=None,
        type_probability=None,
        starts=truth.starts,
        group=truth.group,
    )
    data = EvalInput(prediction=prediction, truth=truth)
    report = evaluate(data, seed=0, train_truth=train[2], threshold=chosen, resamples=300)
    metric = next(m for m in report.metrics if m.name == "span_f1")
    null = metric.nulls[metric.strongest_null]
    print(
        f"{name:>13}: span F1 {metric.value:.3f} [{metric.interval.low:.3f}, {metric.interval.high:.3f}],",
        end=" ",
    )
    print(f"chance {null:.3f} ({metric.strongest_null}), skill {metric.skill:+.3f}")
# report.to_markdown() is the whole report; moola_eval.html makes a page of it.
