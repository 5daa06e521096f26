"""How a run's training went: losses, what the shared part felt of each task, and the inner score by epoch."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable, Mapping

import numpy as np

from moola_eval.section import Drawing, Section, Words
from moola_eval.svg import SERIES, Plot, steps
from moola_train.schema import Record

POINTS = 400
"""Of a line; of longer ones every so-and-so-many-th is drawn."""
TASKS = 12
"""That are drawn."""
Line = dict[int, float]
"""By epoch."""


def training_section(records: Iterable[Record], *, best_epoch: int | None, selection: str) -> Section:
    """Draws a run's records.

    Args:
        records: All of the run.
        best_epoch: Whose weights were kept.
        selection: Name of the inner number that chose it.
    """
    lines: dict[tuple[str, str, str], Line] = defaultdict(dict)
    for record in records:
        value = math.nan if record.value is None else record.value
        lines[record.split, record.task, record.name][record.epoch] = value
    tasks = list(dict.fromkeys(task for _, task, name in lines if task and name == "loss"))
    shown = tasks[:TASKS]
    epochs = max((max(line) for line in lines.values()), default=0)
    if not epochs:
        return Section(name="Training", parts=(Words(text="No epoch was finished."),))
    told = (
        f"{epochs} epochs; the weights of epoch {best_epoch} were kept" if best_epoch else f"{epochs} epochs"
    )
    parts: list[Words | Drawing] = [
        Words(text=f"{told}, chosen by {selection} on the inner part. The dashed upright line is that epoch.")
    ]
    if len(tasks) > len(shown):
        parts.append(Words(text=f"The first {len(shown)} of {len(tasks)} tasks are drawn.", tone="soft"))
    for name, words, keys in (
        (
            "Minimised in training",
            "what the balancer made of all losses",
            {"training": ("train", "", "total")},
        ),
        ("Inner loss", "the plain sum of all losses, none weighted", {"inner": ("inner", "", "loss")}),
        *(
            (
                f"Loss: {task}",
                "mean of every epoch",
                {"training": ("train", task, "loss"), "inner": ("inner", task, "loss")},
            )
            for task in shown
        ),
    ):
        found = {what: lines[key] for what, key in keys.items() if key in lines}
        if found:
            parts.append(_drawing(name, words, found, epochs=epochs, best=best_epoch))
    parts += _shares(lines, shown, epochs, best_epoch)
    key = ("inner", "", selection)
    if selection != "loss" and key in lines:
        words = "on the inner part after every epoch"
        parts.append(_drawing(selection, words, {"inner": lines[key]}, epochs=epochs, best=best_epoch))
    return Section(name="Training", parts=tuple(parts))


def _shares(
    lines: Mapping[tuple[str, str, str], Line], tasks: list[str], epochs: int, best: int | None
) -> list[Words | Drawing]:
    """Each task's share of the gradients at the shared parameters, and of the loss."""
    parts: list[Words | Drawing] = []
    for title, words, name in (
        (
            "Share of the gradient",
            "norm of each task's gradient at the shared parameters, times the balancer's coefficient, over "
            "the sum of all; of one batch, so it jumps",
            "weighted_pull_shared",
        ),
        (
            "Share of the gradient before balancing",
            "the same without the coefficient",
            "pull_shared",
        ),
        (
            "Share of the loss",
            "each weighted loss over the sum of all; it says little of the gradient",
            "weighted",
        ),
    ):
        found = {task: lines["train", task, name] for task in tasks if ("train", task, name) in lines}
        if found:
            shares = shares_of(found)
            parts.append(_drawing(title, words, shares, epochs=epochs, best=best, whole=True))
    if not any(
        isinstance(part, Drawing) and part.name == "Share of the gradient before balancing" for part in parts
    ):
        parts.append(Words(text="This run measured no gradients of single tasks.", tone="soft"))
    return parts


def shares_of(lines: Mapping[str, Line]) -> dict[str, Line]:
    """Divides each line by the sum of all, by epochs that all have; NaN where the sum is 0 or undefined.

    >>> shares_of({"a": {1: 3.0}, "b": {1: 1.0, 2: 1.0}})
    {'a': {1: 0.75}, 'b': {1: 0.25}}
    """
    common = sorted(set.intersection(*(set(line) for line in lines.values())))
    sums = {epoch: sum(abs(line[epoch]) for line in lines.values()) for epoch in common}
    return {
        name: {epoch: abs(line[epoch]) / sums[epoch] if sums[epoch] > 0 else math.nan for epoch in common}
        for name, line in lines.items()
    }


def _drawing(
    name: str, words: str, lines: Mapping[str, Line], *, epochs: int, best: int | None, whole: bool = False
) -> Drawing:
    values = [v for line in lines.values() for v in line.values() if math.isfinite(v)]
    low, high = (0.0, 1.0) if whole else (min(values, default=0.0), max(values, default=1.0))
    pad = 0.0 if whole else 0.05 * (high - low) or 0.05 * abs(high) or 1.0
    ends = "; ".join(f"{what}: {_ends(line)}" for what, line in lines.items())
    plot = Plot(name, (0.5, epochs + 0.5), (low - pad, high + pad), height=220, words=ends)
    ticks = [tick for tick in steps(1, epochs, about=6) if tick == int(tick)]
    plot.axes(x_ticks=ticks or [1], y_ticks=steps(low, high), x_label="epoch", y_label="")
    colours = _colours(lines)
    for css, (what, line) in zip(colours, lines.items(), strict=True):
        at = np.array(sorted(line), dtype=np.int64)
        at = at[np.unique(np.linspace(0, len(at) - 1, min(len(at), POINTS)).astype(np.int64))]
        drawn = np.array([line[int(epoch)] for epoch in at])
        plot.line(at, np.where(np.isfinite(drawn), drawn, np.nan), css, tip=what)
        if len(at) <= 25:
            for epoch, value in zip(at, drawn, strict=True):
                if math.isfinite(value):
                    plot.dot(int(epoch), value, css, radius=2.5, tip=f"{what}, epoch {epoch}: {value:.4g}")
    if best is not None:
        plot.line([best, best], [low - pad, high + pad], "cut", tip=f"kept: epoch {best}")
    legend = tuple(zip(colours, lines, strict=True))
    return Drawing(name=name, words=words, svg=plot.svg(), legend=legend)


def _colours(names: Iterable[str]) -> list[str]:
    """The same colour for training and for inner everywhere; tasks in turn."""
    known = {"training": SERIES[0], "inner": SERIES[1]}
    return [known.get(name, SERIES[i % len(SERIES)]) for i, name in enumerate(names)]


def _ends(line: Line) -> str:
    first, last = min(line), max(line)
    words = [f"{line[at]:.4g}" if math.isfinite(line[at]) else "undefined" for at in (first, last)]
    return f"{words[0]} in epoch {first}, {words[1]} in epoch {last}"
