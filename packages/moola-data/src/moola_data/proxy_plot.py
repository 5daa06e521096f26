"""A picture of a proxy search. Needs the extra ``plot``: pip install 'moola-data[plot]'."""

from __future__ import annotations

import io
import os
from pathlib import Path

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from moola_data._atomic_file import write_atomically
from moola_data.proxy_search import Estimate, ProxySearch


def proxy_figure(search: ProxySearch) -> Figure:
    """Draws what the grid gave on train and what the choice gives on held-out bars.

    Left: the correlation of each formula with the mask. Right: the chosen formula's correlation and F1 with
    interval, beside what chance gives and the ceiling.

    Args:
        search: What `search_proxies` found.

    Returns:
        A figure of two panels that no window shows.
    """
    figure = Figure(figsize=(10, 4), layout="constrained")
    left, right = figure.subplots(1, 2)
    _draw_grid(left, search)
    _draw_held_out(right, search)
    return figure


def write_proxy_plot(folder: str | os.PathLike[str], search: ProxySearch) -> None:
    """Writes `proxy_validation.png` into a folder.

    Args:
        folder: Where to; it must exist.
        search: What `search_proxies` found.
    """
    content = io.BytesIO()
    proxy_figure(search).savefig(content, format="png", dpi=120)
    write_atomically(Path(folder) / "proxy_validation.png", content.getvalue())


def _draw_grid(axes: Axes, search: ProxySearch) -> None:
    points = [point for point in search.grid if point.correlation is not None]
    values = [float("nan") if point.correlation is None else point.correlation for point in points]
    axes.plot(range(len(points)), values, "o", color="0.6")
    best = [point.formula for point in points].index(search.formula)
    chosen = search.formula
    name = f"chosen: w_r {chosen.return_weight:g}, w_s {chosen.streak_weight:g}, eps {chosen.eps:g}"
    axes.plot([best], [values[best]], "o", color="C3", label=name)
    axes.axhline(0, color="0.8", zorder=0)
    axes.set(
        title=f"{len(points)} formulas on {search.train_bars:,} train bars",
        xlabel="formula",
        ylabel="correlation with the mask",
    )
    axes.legend()


def _draw_held_out(axes: Axes, search: ProxySearch) -> None:
    held = search.held_out
    rows: list[tuple[str, Estimate]] = [("F1 of bars", held.f1)]
    if held.correlation is not None:
        rows.append(("correlation", held.correlation))
    for height, (_, estimate) in enumerate(rows):
        low, high = estimate.interval
        first = height == 0
        axes.plot([low, high], [height, height], color="C3", label="95 % interval" if first else None)
        axes.plot([estimate.value], [height], "o", color="C3", label="held out" if first else None)
        null = [estimate.null_mean, estimate.null_high]
        axes.plot(null, [height - 0.2] * 2, color="0.5", label="chance: mean to 95 %" if first else None)
        axes.plot(
            [estimate.ceiling], [height], "|", color="k", markersize=18, label="ceiling" if first else None
        )
    axes.plot([held.f1_of_marking_all], [0], "x", color="k", label="marking every bar")
    axes.set_yticks(range(len(rows)), [f"{name}\np = {estimate.p:.3f}" for name, estimate in rows])
    axes.set(title=f"{held.bars:,} held-out bars in {held.blocks} blocks", ylim=(-0.5, len(rows) - 0.3))
    axes.legend(fontsize="small", loc="center right")
