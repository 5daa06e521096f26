"""What the groups of a run's features are worth to it, measured once and kept in its folder."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Literal

import numpy as np
from pydantic import BaseModel, ConfigDict, ValidationError

from moola_data.window_subset import part
from moola_data.windows import gather
from moola_eval.importance import Importance, correlated_groups, group_importance
from moola_eval.judgement_charts import importance_chart
from moola_eval.markdown import number, span
from moola_eval.schema import Truth
from moola_eval.section import Cell, Drawing, Grid, Section, Words
from moola_train.recipes.finished_run import FinishedRun, JudgedPart
from moola_train.recipes.provenance import write_json

NAME = "importance.json"
EVERY = "every feature"
CORRELATED = 0.7
REPEATS = 10


class RunImportance(BaseModel):
    """``importance.json``: which windows, which groups, and what they are worth."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    schema_version: Literal[1] = 1
    part: JudgedPart
    correlated: float
    """Features whose mean absolute correlation is this or more on the training bars form a group."""
    importance: Importance


def measure_importance(run: FinishedRun, name: JudgedPart, *, repeats: int = REPEATS) -> RunImportance:
    """Shuffles groups of features between the windows of a part, and all of them together.

    Groups are features that are correlated on the training bars. "position", which is made from a bar's place
    in its window, stays as it is.

    Args:
        run: The run.
        name: The part: "inner" to choose features by, "test" only to tell.
        repeats: Shuffles a group.
    """
    windows, some = run.windows, part(run.windows, name)
    bars = windows.starts[windows.split == 0, None] + np.arange(windows.length)
    groups = correlated_groups(windows.features[np.unique(bars)], windows.feature_names, at_least=CORRELATED)
    if len(groups) > 1:
        groups[EVERY] = tuple(range(len(windows.feature_names)))
    found = group_importance(
        run.spans,
        gather(some.features, some.starts, length=some.length),
        Truth.model_validate(some),
        groups=groups,
        seed=run.config.evaluation.seed,
        repeats=repeats,
        resamples=run.config.evaluation.resamples,
    )
    return RunImportance(part=name, correlated=CORRELATED, importance=found)


def write_importance(folder: Path, found: RunImportance) -> None:
    """Writes the file of a run."""
    write_json(folder / NAME, json.loads(found.model_dump_json()))


def read_importance(folder: Path) -> RunImportance | None:
    """Reads the file of a run; None if importance was not measured.

    Raises:
        ValueError: It is damaged.
    """
    path = folder / NAME
    if not path.is_file():
        return None
    try:
        return RunImportance.model_validate_json(path.read_bytes())
    except ValidationError as error:
        raise ValueError(f"run: want a readable {path}, got {error.errors()[0]['msg']}") from error


def importance_section(found: RunImportance) -> Section:
    """Draws and lists the groups."""
    i = found.importance
    rows = tuple(
        (
            one.group,
            number(one.drop, 3),
            span(one.interval),
            f"{number(one.null[0], 3)} to {number(one.null[1], 3)}",
            number(one.p_value, 2),
            number(one.p_adjusted, 2),
            Cell(text="beyond chance", tone="met") if one.p_adjusted < 0.05 else "within chance",
        )
        for one in i.groups
    )
    return Section(
        name="What features are worth",
        parts=(
            Words(
                text=f"Span F1 on the {i.windows} {found.part} windows ({i.blocks} blocks) is "
                f"{number(i.score)}. Features whose mean absolute correlation on the training bars is "
                f"{found.correlated:g} or more form a group. {i.repeats} shuffles a group, seed {i.seed}."
            ),
            Words(text=i.definition, tone="soft"),
            Drawing(
                name="Drop of span F1",
                words="the dot is the drop, the line its interval, the grey box what chance makes of it",
                svg=importance_chart(i),
                legend=(("pred", "drop, interval"), ("chance", "by chance")),
                wide=True,
            ),
            Grid(head=("group", "drop", "interval", "chance", "p", "p, adjusted", ""), rows=rows),
            Words(
                text="It tells what this network makes of its features, not what another could; choose "
                "features by the inner part, never by the test part.",
                tone="soft",
            ),
        ),
    )
