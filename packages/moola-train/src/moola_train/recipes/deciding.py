"""Chooses on the inner part how a file is marked, with later bars and without, and what each is worth."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import torch

import moola_models
from moola_data.features import segment_heads
from moola_data.schema import Bars, WindowSet
from moola_data.window_subset import select
from moola_eval.decoding import decode
from moola_eval.detection import span_f1
from moola_eval.matching import IoU, match
from moola_eval.online import detection_delay, false_alarms
from moola_eval.schema import Threshold, Truth
from moola_eval.targets import Targets
from moola_eval.threshold import choose_threshold
from moola_train.recipes.answers import answers
from moola_train.recipes.confidence import fit_confidence
from moola_train.recipes.covering import Mode, covering_starts, merge
from moola_train.recipes.decision import Decision, Marking
from moola_train.recipes.provenance import package_versions
from moola_train.recipes.run_config import DataSection
from moola_train.recipes.unlabelled import UnlabelledWindows

CAUSAL_BARS = 20_000
"""Most bars that the causal marking is measured on: each costs a window."""


def decide(
    model: moola_models.Jade,
    windows: WindowSet,
    inner: WindowSet,
    test: WindowSet,
    bars: Bars,
    section: DataSection,
    *,
    alone: Threshold,
    weights: str,
) -> Decision:
    """Makes the decision of a trained network.

    Args:
        model: The network.
        windows: All windows of the run; features of the bars come first.
        inner: Those of the inner part, on which all is chosen.
        test: Those of the test part, on which the choice is scored.
        bars: The run's.
        section: How they were cut and encoded.
        alone: The threshold of windows judged each alone.
        weights: Digest of the network's weights.
    """
    features = windows.features[: len(bars)]
    markings = {}
    modes: tuple[Mode, ...] = ("both", "causal")
    for mode in modes:
        some = inner if mode == "both" else _spread(inner, bars=CAUSAL_BARS)
        markings[mode] = _marking(model, features, some, bars, section, mode)
    seen = marked_probability(model, features, test, bars, section, "both")
    marked = decode(seen, threshold=markings["both"].threshold)
    score = span_f1(Targets.of(Truth.model_validate(test)).spans, marked, labels="ignored")
    markings["both"] = markings["both"].model_copy(update={"test_value": _number(score.value)})
    return Decision(
        threshold=alone.threshold,
        objective=alone.metric,
        inner_value=alone.value,
        fingerprint=alone.fingerprint,
        calibration="platt",
        both=markings["both"],
        causal=markings["causal"],
        feature_set=windows.feature_set,
        feature_names=windows.feature_names,
        length=windows.length,
        position=windows.position,
        pointer_encoding=section.pointer_encoding,
        countdown_form=section.countdown_form,
        type_names=windows.type_names,
        weights=weights,
        versions=package_versions(),
    )


def marked_probability(
    model: torch.nn.Module,
    features: npt.NDArray[np.float32],
    windows: WindowSet,
    bars: Bars,
    section: DataSection,
    mode: Mode,
) -> npt.NDArray[np.float32]:
    """Probability of every bar of windows as a whole file's marking would give it, f4 (n, K).

    "both" looks at nothing but these windows' bars: a run of adjacent windows is a stretch of its own.
    "causal" looks at the bars before a window, too, whatever part they are of, and gives 0 where the segment
    has none.
    """
    length = windows.length
    order = np.argsort(windows.starts, kind="stable")
    starts = windows.starts[order]
    rows = (starts[:, None] + np.arange(length)).reshape(-1)
    if mode == "both":
        apart = (np.diff(starts) != length) | (np.diff(bars.segment[starts]) != 0)
        stretch = np.repeat(np.concatenate([[0], np.cumsum(apart)]), length).astype(np.int64)
        local = covering_starts(stretch, length=length, mode=mode)
        looked = rows[local]
    else:
        heads = segment_heads(bars.segment)
        head = heads[np.searchsorted(heads, rows, "right") - 1]
        looked = np.unique(rows[rows - head >= length - 1]) - length + 1
        local = looked
    device = next(model.parameters()).device
    data = UnlabelledWindows(features, looked, length=length, position=section.position, device=device)
    found = answers(
        model,
        data,
        np.arange(len(looked)),
        length=length,
        pointer_encoding=section.pointer_encoding,
        countdown_form=section.countdown_form,
    )
    count = len(rows) if mode == "both" else len(bars)
    seen = merge(found, local, bars=count, length=length, mode=mode).probability
    of_rows = seen if mode == "both" else np.nan_to_num(seen[rows], nan=0.0)
    values = np.empty((len(windows), length), np.float32)
    values[order] = of_rows.reshape(len(windows), length)
    return values


def _marking(
    model: moola_models.Jade,
    features: npt.NDArray[np.float32],
    windows: WindowSet,
    bars: Bars,
    section: DataSection,
    mode: Mode,
) -> Marking:
    values = marked_probability(model, features, windows, bars, section, mode)
    truth = Truth.model_validate(windows)
    chosen = choose_threshold(values, truth)
    true = Targets.of(truth).spans
    marked = decode(values, threshold=chosen.threshold)
    assert marked.score is not None  # decode gives one
    right = np.zeros(len(marked), bool)
    right[match(true, marked, criterion=IoU(0.5), labels="ignored").pred_index] = True
    delay = detection_delay(true, marked)
    return Marking(
        threshold=chosen.threshold,
        inner_value=_number(chosen.value),
        confidence=fit_confidence(marked.score, right),
        delay=_number(delay.value),
        detected=_number(delay["detected"]),
        false_alarms=_number(false_alarms(true, marked).value),
        windows=len(windows),
    )


def _spread(inner: WindowSet, *, bars: int) -> WindowSet:
    """Windows with no more bars than that, evenly spread in time; all with a span if the others have none."""
    most = max(bars // inner.length, 1)
    if len(inner) <= most:
        return inner
    index = np.unique(np.linspace(0, len(inner) - 1, most).astype(np.int64))
    some = select(inner, index)
    return some if len(some.spans.start) else inner


def _number(value: float) -> float | None:
    return float(value) if np.isfinite(value) else None
