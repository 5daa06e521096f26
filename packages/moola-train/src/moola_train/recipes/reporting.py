"""Scores a trained network on the test part of its windows, beside chance and a simple rule."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from torch import nn

from moola_data.schema import Bars, WindowSet
from moola_data.window_subset import part
from moola_eval.evaluation import evaluate
from moola_eval.schema import EvalInput, Prediction, Report, Threshold, Truth
from moola_eval.threshold import choose_threshold
from moola_train.protocols import Data
from moola_train.recipes.answers import answers_of
from moola_train.recipes.experiment import Experiment
from moola_train.recipes.run_config import RunConfig
from moola_train.recipes.scoring import five_bar_rule, predictions


class Scored(NamedTuple):
    """The report, the threshold that was chosen for it on the inner part, and what was reported on."""

    report: Report
    threshold: Threshold
    data: EvalInput


def report_on_test(made: Experiment, bars: Bars, config: RunConfig, *, ceiling: float | None) -> Scored:
    """Chooses the threshold on the inner part and reports on the test part.

    Args:
        made: With a trained network.
        bars: The run's.
        config: The run's.
        ceiling: Best reachable span and bar F1, where it is known.
    """
    model, windows, inner, test = made.model, made.windows, made.inner, made.test
    chosen = choose_threshold(made.scores.answers(model).probability, Truth.model_validate(inner))
    index = np.flatnonzero(windows.split == 2)
    data = judged_windows(model, made.data, index, test, config, threshold=chosen.threshold)
    report = evaluate(
        data,
        seed=config.evaluation.seed,
        train_truth=Truth.model_validate(part(windows, "train")),
        baselines={"five_bar_move": five_bar_rule(bars, inner, test)},
        ceiling=None if ceiling is None else {"span_f1": ceiling, "bar_f1": ceiling},
        threshold=chosen,
        metrics=config.evaluation.metrics,
        resamples=config.evaluation.resamples,
    )
    return Scored(report, chosen, data)


def judged_windows(
    model: nn.Module,
    data: Data,
    index: npt.NDArray[np.int64],
    windows: WindowSet,
    config: RunConfig,
    *,
    threshold: float,
) -> EvalInput:
    """Decides windows as the report does, and puts their truth beside it.

    Args:
        model: A trained network.
        data: Windows for it.
        index: Which of them, i8 (n,).
        windows: The same n windows, with their labels.
        config: The run's.
        threshold: Of the probability; a structured head decides without.
    """
    found = answers_of(model, data, index, config.data, config.decoding)
    marked = predictions(found, starts=windows.starts, group=windows.group, threshold=threshold)
    return EvalInput(prediction=Prediction.model_validate(marked), truth=Truth.model_validate(windows))
