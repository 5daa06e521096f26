"""The dataset card: what a labelled data set holds, on one page and as JSON."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from itertools import combinations

import numpy as np
import numpy.typing as npt
from pydantic import BaseModel, ConfigDict

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
