"""Chance levels: predictions that know nothing of the window they are made for."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace

import numpy as np

from moola_eval._arguments import FloatArray
from moola_eval.average_precision import Averaged
from moola_eval.decoding import decode
from moola_eval.forecast import Forecast
from moola_eval.schema import Truth
from moola_eval.score import Metric, Score
from moola_eval.spans import Spans
from moola_eval.targets import Targets
from moola_eval.threshold import choose_threshold

DRAWS = 20
"""Random chance levels are averaged over this many draws, so that no lucky one sets the bar."""

MEANING = {
    "none": "marks nothing",
    "predict_all": "marks every bar",
    "shuffled": f"the model's own predictions given to other windows, mean of {DRAWS} shuffles",
    "base_rate": "marks nothing; probability is the share of marked bars in the training windows",
    "position_prior": "share of training windows that mark the bar at this place, threshold chosen on them; "
    "their median centre, length and countdown and their type frequencies",
    "length_matched": "as many spans as a random training window, with its lengths, anywhere; "
    f"mean of {DRAWS} draws",
}


def null_forecasts(forecast: Forecast, *, train: Truth | None, seed: int) -> dict[str, Iterable[Forecast]]:
    """Makes the chance levels for the windows of a forecast.

    Args:
        forecast: The model's predictions of n windows.
        train: The windows that the model was trained on; None leaves out what is fitted on them.
        seed: Seed of the random ones.

    Returns:
        By name, one forecast or several draws of it.
    """
    n, length = forecast.mask.shape
    nulls: dict[str, Iterable[Forecast]] = {
        "none": [_constant(n, length, marked=False)],
        "predict_all": [_constant(n, length, marked=True)],
    }
    streams = np.random.SeedSequence(seed).spawn(2)
    if n > 1:
        nulls["shuffled"] = _shuffles(forecast, np.random.default_rng(streams[0]))
    if train is not None:
        fitted = Targets.of(train)
        if train.length != length:
            raise ValueError(f"train_truth: want {length} bars a window, got {train.length}")
        if not len(fitted.spans):
            raise ValueError("train_truth: want at least one span, got none")
        rate = np.full((n, length), fitted.mask.mean())
        nulls["base_rate"] = [replace(_constant(n, length, marked=False), probability=rate)]
        nulls["position_prior"] = [position_prior(train, n)]
        nulls["length_matched"] = _length_matched(fitted, n, length, np.random.default_rng(streams[1]))
    return nulls


def position_prior(train: Truth, n: int) -> Forecast:
    """Predicts for n windows what the training windows hold at each place, whatever the bars are."""
    fitted = Targets.of(train)
    prior = fitted.mask.mean(axis=0)
    on_train = np.broadcast_to(prior, fitted.mask.shape)
    values = np.broadcast_to(prior, (n, train.length))
    spans_at = choose_threshold(on_train, train, metric="span_f1").threshold
    bars_at = choose_threshold(on_train, train, metric="bar_f1").threshold
    there = fitted.has_span
    centre = np.median((fitted.start + fitted.end)[there] / 2)
    size = np.median((fitted.end - fitted.start + 1)[there])
    countdown = np.median(fitted.countdown[there], axis=0)
    kinds = fitted.type[fitted.type >= 0]
    share: FloatArray | None = None
    if len(kinds):
        share = np.bincount(kinds, minlength=len(train.type_names)) / len(kinds)
    return Forecast(
        spans=decode(values, threshold=spans_at),
        mask=values >= bars_at,
        probability=values,
        pointers=np.broadcast_to(np.array([centre, size]), (n, 2)),
        countdown=np.broadcast_to(countdown, (n, train.length)),
        type_probability=None if share is None else np.broadcast_to(share, (n, len(share))),
    )


def null_scores(
    forecasts: Iterable[Forecast], score: Callable[[Forecast], dict[str, Metric]]
) -> dict[str, Metric]:
    """Scores a chance level; the sums of several draws are averaged, or else the values."""
    draws = [score(forecast) for forecast in forecasts]
    # A draw without a span can be ranked, one with unscored spans cannot: what every draw has is averaged.
    names = [name for name in draws[0] if all(name in draw for draw in draws)]
    return {name: _averaged([draw[name] for draw in draws]) for name in names}


def _averaged(draws: list[Metric]) -> Metric:
    sums = [draw.sums for draw in draws if isinstance(draw, Score)]
    first = draws[0]
    if isinstance(first, Score):
        return replace(first, sums=np.mean(sums, axis=0))
    return Averaged(first.name, first.definition, tuple(draws))


def _constant(n: int, length: int, *, marked: bool) -> Forecast:
    mask = np.full((n, length), marked)
    return Forecast(Spans.from_mask(mask), mask, probability=mask.astype(np.float64))


def _shuffles(forecast: Forecast, rng: np.random.Generator) -> Iterable[Forecast]:
    n = len(forecast.mask)
    for _ in range(DRAWS):
        order = rng.permutation(n)
        rows = np.empty(n, dtype=np.int64)
        # One cycle through all windows: none keeps its own prediction.
        rows[order] = np.roll(order, 1)
        yield forecast.take(rows)


def _length_matched(train: Targets, n: int, length: int, rng: np.random.Generator) -> Iterable[Forecast]:
    for _ in range(DRAWS):
        drawn = train.spans.take(rng.integers(0, len(train.mask), size=n))
        start = rng.integers(0, length - drawn.size + 1)
        spans = Spans.of(
            drawn.sequence, start, start + drawn.size - 1, lengths=np.full(n, length, dtype=np.int64)
        )
        yield Forecast(spans, spans.mask().reshape(n, length))
