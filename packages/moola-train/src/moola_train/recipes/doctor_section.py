"""What the doctor found while a run trained, as a section of its page."""

from __future__ import annotations

import math
from pathlib import Path

from moola_eval.section import Cell, Grid, Listing, Section, Words
from moola_losses.doctor_report import DoctorReport
from moola_train.recipes.doctor_watch import NAME

SILENT = (
    "The doctor did not watch this run. `[doctor] every = 50` in the configuration lets it; `moola doctor "
    "RUN` takes the run's first steps again and looks at each."
)
COLUMNS = (
    ("loss", "loss", ".4g"),
    ("floor", "floor", ".3g"),
    ("learnable", "reducible_share", ".0%"),
    ("of the best constant's", "against_constant", ".2f"),
    ("coefficient", "coefficient", ".3g"),
    ("gradient", "gradient_norm", ".3g"),
    ("share of the gradient", "gradient_share", ".1%"),
    ("share of the loss", "loss_share", ".1%"),
)


def doctor_section(folder: Path) -> Section:
    """Reads a run's ``doctor.json``, if there is one.

    Raises:
        ValueError: The file is damaged.
    """
    path = folder / NAME
    if not path.is_file():
        return Section(name="Doctor", parts=(Words(text=SILENT),))
    report = DoctorReport.load(path)
    parts: list[Words | Grid | Listing] = [
        Words(
            text=f"The last {report.observations} looks, steps {report.first_step} to {report.last_step}; "
            f"gradients at the {report.place}."
        )
    ]
    if report.verdicts:
        rows = tuple(
            (
                Cell(text=v.fault.replace("_", " "), tone="failed"),
                v.task if v.other is None else f"{v.task}, {v.other}",
                f"{v.measured:.3g}",
                f"{v.threshold:.3g}",
                v.words,
            )
            for v in report.verdicts
        )
        parts.append(
            Grid(head=("fault", "task", "measured", "threshold", "meaning"), rows=rows, sentences=(4,))
        )
    else:
        parts.append(Words(text="No fault was found.", tone="met"))
    order = report.prescription
    advice = [f"Fix {fix}" for fix in order.fixes]
    if order.weights:
        advice.append(
            "Weights: " + ", ".join(f"{task} {weight:.3g}" for task, weight in order.weights.items())
        )
    if order.balancer:
        advice.append(f"Balancer: {order.balancer}")
    parts += [Words(text=f"Prescription: {order.words}")]
    if advice:
        parts.append(Listing(items=tuple(advice)))
    parts.append(
        Grid(
            head=("task", *(title for title, _, _ in COLUMNS)),
            rows=tuple(
                (task, *(_number(getattr(found, field), form) for _, field, form in COLUMNS))
                for task, found in report.tasks.items()
            ),
        )
    )
    return Section(name="Doctor", parts=tuple(parts))


def _number(value: float, form: str) -> str:
    return "–" if math.isnan(value) else format(value, form)
