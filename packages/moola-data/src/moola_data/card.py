"""The dataset card: what a labelled data set holds, on one page and as JSON."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Sequence
from itertools import combinations
from pathlib import Path

import numpy as np
import numpy.typing as npt
from pydantic import BaseModel, ConfigDict

from moola_data._atomic_file import write_atomically
from moola_data.agreement import Agreement, annotator_agreement
from moola_data.blocks import PARTS
from moola_data.schema import Bars, Spans, WindowSet
from moola_data.spans import check_spans

QUANTILES = (0.0, 0.05, 0.25, 0.5, 0.75, 0.95, 1.0)


class LabelSummary(BaseModel):
    """One annotator's spans."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    annotator: str
    label: str
    fingerprint: str
    """SHA-256 of starts, ends, types and weights."""
    spans: int
    positive_bars: int
    positive_share: float
    """In-span bars as a share of all bars."""
    types: dict[str, int]
    """Spans by type; "" counts those without."""
    length: dict[str, float] | None
    """Quantiles of the spans' lengths in bars; None without spans."""
    gap: dict[str, float] | None
    """Quantiles of the bars between a span and the next of its segment, negative where they overlap; None
    without such pairs."""


class WindowSummary(BaseModel):
    """The windows of a set."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    length: int
    feature_set: str
    features: tuple[str, ...]
    windows: dict[str, int]
    """Windows by part."""
    groups: dict[str, int]
    """Blocks of time (or underlying windows) by part."""
    with_span: dict[str, int]
    """Windows that see a span, by part."""
    purged: dict[str, int]
    """Windows left out because they share bars or labels with another part."""


class DatasetCard(BaseModel):
    """What a labelled data set holds."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    schema_version: int = 1
    source: str
    fingerprint: str
    """SHA-256 of times, prices, symbols and segments."""
    bars: int
    bars_by_symbol: dict[str, int]
    segments: int
    begin: str | None
    """First time, ISO 8601; None where the bars have no times."""
    end: str | None
    labels: tuple[LabelSummary, ...]
    agreements: tuple[Agreement, ...]
    """Of every two annotators that looked at common bars."""
    windows: WindowSummary | None


def dataset_card(
    bars: Bars, spans: Spans | Sequence[Spans], *, window_set: WindowSet | None = None
) -> DatasetCard:
    """Describes a labelled data set.

    Args:
        bars: The bars.
        spans: Their spans, of one annotator or of several.
        window_set: The windows cut of them, if any.

    Returns:
        The card.

    Raises:
        ValueError: Spans do not fit the bars.
    """
    several = [spans] if isinstance(spans, Spans) else list(spans)
    known = bars.time[~np.isnat(bars.time)]
    agreements = [annotator_agreement(a, b, bars) for a, b in combinations(several, 2)]
    count = np.bincount(bars.symbol, minlength=len(bars.symbols))
    return DatasetCard(
        source=bars.source,
        fingerprint=_fingerprint(
            bars.time,
            bars.open,
            bars.high,
            bars.low,
            bars.close,
            bars.symbol,
            bars.segment,
            names=bars.symbols,
        ),
        bars=len(bars),
        bars_by_symbol={name: int(n) for name, n in zip(bars.symbols, count, strict=True)},
        segments=len(np.unique(bars.segment)),
        begin=str(known.min()) if known.size else None,
        end=str(known.max()) if known.size else None,
        labels=tuple(_labels(one, bars) for one in several),
        agreements=tuple(a for a in agreements if a.bars),
        windows=None if window_set is None else _windows(window_set),
    )


def write_card(path: str | os.PathLike[str], card: DatasetCard) -> None:
    """Writes a card as ``.json`` or as ``.md``, whole or not at all.

    Args:
        path: The file; replaced if it exists.
        card: The card.

    Raises:
        ValueError: The name ends otherwise.
    """
    ending = Path(path).suffix
    if ending not in (".json", ".md"):
        raise ValueError(f"path: want a name ending in .json or .md, got {Path(path).name!r}")
    text = card.model_dump_json(indent=2) + "\n" if ending == ".json" else card_markdown(card)
    write_atomically(path, text.encode())


def card_markdown(card: DatasetCard) -> str:
    """Sets a card as Markdown.

    Args:
        card: The card.

    Returns:
        The page.
    """
    of = ", ".join(f"{name} {n:,}" for name, n in card.bars_by_symbol.items())
    period = f"{card.begin} to {card.end}" if card.begin else "no times"
    lines = [
        "# Dataset card",
        "",
        f"* Source: {card.source or 'not said'}",
        f"* Bars: {card.bars:,} ({of}) in {card.segments:,} segments, {period}",
        f"* Fingerprint: `{card.fingerprint}`",
    ]
    for label in card.labels:
        types = ", ".join(f"{name or 'no type'} {n}" for name, n in label.types.items())
        lines += [
            "",
            f"## Labels of {label.annotator or 'an unnamed annotator'}",
            "",
            f"* {label.spans:,} spans{f' ({label.label})' if label.label else ''}: {types or 'none'}",
            f"* {label.positive_bars:,} bars in a span, {label.positive_share:.2%} of all",
            f"* Fingerprint: `{label.fingerprint}`",
            "",
            f"| quantile | {' | '.join(f'{q:.0%}' for q in QUANTILES)} |",
            f"|---|{'---|' * len(QUANTILES)}",
        ]
        for name, values in (("length", label.length), ("gap to the next", label.gap)):
            cells = [f"{v:g}" for v in values.values()] if values else ["–"] * len(QUANTILES)
            lines.append(f"| {name}, bars | {' | '.join(cells)} |")
    if card.agreements:
        lines += [
            "",
            "## Agreement",
            "",
            "| annotators | common bars | bar F1 | kappa | span F1 | matched | start, end off by | same type |",
            "|---|---|---|---|---|---|---|---|",
        ]
        for a in card.agreements:
            off = f"{_shown(a.start_distance)}, {_shown(a.end_distance)}"
            cells = [f"{a.first} / {a.second}", f"{a.bars:,}", *map(_shown, (a.bar_f1, a.kappa, a.span_f1))]
            lines.append(f"| {' | '.join([*cells, str(a.matched), off, _shown(a.type_agreement)])} |")
    if card.windows:
        w = card.windows
        lines += [
            "",
            f"## Windows of {w.length} bars, {len(w.features)} features ({w.feature_set})",
            "",
            "| part | windows | groups | with a span | purged |",
            "|---|---|---|---|---|",
        ]
        for name in w.windows:
            row = [w.windows[name], w.groups[name], w.with_span[name], w.purged.get(name, 0)]
            lines.append(f"| {name} | {' | '.join(map(str, row))} |")
    return "\n".join(lines) + "\n"


def _shown(value: float | None) -> str:
    return "–" if value is None else f"{value:.3f}"


def _fingerprint(*arrays: npt.NDArray[np.generic], names: Sequence[str] = ()) -> str:
    """Hashes values whatever the machine's byte order, with their kinds and lengths."""
    digest = hashlib.sha256("\0".join(names).encode())
    for array in arrays:
        little = np.ascontiguousarray(array).astype(array.dtype.newbyteorder("<"), copy=False)
        digest.update(f"{little.dtype.str}{little.shape}".encode())
        digest.update(little.tobytes())
    return digest.hexdigest()


def _quantiles(values: npt.NDArray[np.int64]) -> dict[str, float] | None:
    if not values.size:
        return None
    return {f"{q:.0%}": float(v) for q, v in zip(QUANTILES, np.quantile(values, QUANTILES), strict=True)}


def _labels(spans: Spans, bars: Bars) -> LabelSummary:
    check_spans(spans, bars)
    step = np.zeros(len(bars) + 1, np.int64)
    np.add.at(step, spans.start, 1)
    np.add.at(step, spans.end + 1, -1)
    positive = int((np.cumsum(step[:-1]) > 0).sum())
    order = np.lexsort((spans.end, spans.start))
    start, end = spans.start[order], spans.end[order]
    together = bars.segment[start[1:]] == bars.segment[end[:-1]]
    names = [*spans.type_names, ""]
    count = [int((spans.type == i).sum()) for i in (*range(len(spans.type_names)), -1)]
    return LabelSummary(
        annotator=spans.annotator,
        label=spans.label,
        fingerprint=_fingerprint(spans.start, spans.end, spans.type, spans.weight, names=spans.type_names),
        spans=len(spans),
        positive_bars=positive,
        positive_share=positive / len(bars),
        types={name: n for name, n in zip(names, count, strict=True) if n},
        length=_quantiles(end - start + 1),
        gap=_quantiles((start[1:] - end[:-1] - 1)[together]),
    )


def _windows(window_set: WindowSet) -> WindowSummary:
    seen = np.zeros(len(window_set), bool)
    seen[window_set.spans.window] = True
    parts = {name: window_set.split == number for number, name in enumerate(PARTS)}
    return WindowSummary(
        length=window_set.length,
        feature_set=window_set.feature_set,
        features=window_set.feature_names,
        windows={name: int(mine.sum()) for name, mine in parts.items()},
        groups={name: len(np.unique(window_set.group[mine])) for name, mine in parts.items()},
        with_span={name: int(seen[mine].sum()) for name, mine in parts.items()},
        purged=window_set.purged,
    )
