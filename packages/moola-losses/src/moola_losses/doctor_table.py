"""The doctor's report as a text table."""

from __future__ import annotations

import math
import textwrap

from moola_losses.doctor_report import DoctorReport

_COLUMNS = (
    ("loss", "loss", ".4g"),
    ("share", "loss_share", ".0%"),
    ("floor", "floor", ".3g"),
    ("learnable", "reducible_share", ".0%"),
    ("vs const", "against_constant", ".2f"),
    ("× coeff", "coefficient", ".3g"),
    ("grad", "gradient_norm", ".3g"),
    ("grad share", "gradient_share", ".1%"),
    ("head grad", "head_norm", ".3g"),
    ("slope cap", "slope_cap", ".3g"),
    ("mass", "slope_mass", ".3g"),
    ("signal", "signal_to_noise", ".2g"),
    ("upd cos", "update_cosine", ".2f"),
)


def doctor_table(report: DoctorReport) -> str:
    """Writes a report as text; "-" stands for what was not measured."""
    rows = [["task", *(title for title, _, _ in _COLUMNS)]]
    for task, found in report.tasks.items():
        rows.append([task, *(_number(getattr(found, field), form) for _, field, form in _COLUMNS)])
    lines = [
        f"{report.observations} observations, steps {report.first_step} to {report.last_step}, gradients at "
        f"the {report.place}",
        "",
        *_align(rows),
        "",
        f"gradient norms times coefficients: greatest over least {_number(report.norm_ratio, '.3g')}, drift "
        f"{_number(report.drift, '.3g')}, condition number {_number(report.condition, '.3g')}",
    ]
    measured = [pair for pair in report.pairs if not math.isnan(pair.cosine)]
    if measured:
        lines.append(
            "cosines: "
            + ", ".join(
                f"{p.first}–{p.second} {p.cosine:+.2f}"
                + ("" if math.isnan(p.cosine_error) else f" ± {p.cosine_error:.2f}")
                for p in measured
            )
        )
    lines.append("")
    if report.verdicts:
        for verdict in report.verdicts:
            lead = f"{verdict.fault} ({verdict.measured:.3g}, threshold {verdict.threshold:.3g}): "
            lines += textwrap.wrap(lead + verdict.words, width=108, subsequent_indent="    ")
    else:
        lines.append("no faults found")
    order = report.prescription
    lines += ["", "prescription:"]
    lines += [line for fix in order.fixes for line in textwrap.wrap(f"  fix {fix}", width=108)]
    if order.weights:
        lines.append("  weights " + ", ".join(f"{task} {w:.3g}" for task, w in order.weights.items()))
    if order.balancer:
        lines.append(f"  balancer {order.balancer}")
    lines += textwrap.wrap("  " + order.words, width=108, subsequent_indent="  ")
    return "\n".join(lines)


def _number(value: float, form: str) -> str:
    return "-" if math.isnan(value) else format(value, form)


def _align(rows: list[list[str]]) -> list[str]:
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    return [
        "  ".join(
            cell.ljust(width) if i == 0 else cell.rjust(width)
            for i, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in rows
    ]
