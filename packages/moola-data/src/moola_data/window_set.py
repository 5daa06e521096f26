"""Windows with their targets: the data set that a training loop takes."""

from __future__ import annotations

from typing import Literal, Protocol

import numpy as np
import numpy.typing as npt

from moola_data.countdown import CountdownForm, countdown, encode_countdown, informative_band
from moola_data.pointers import PointerEncoding, encode_pointers
from moola_data.schema import Array, Bars, Spans, WindowSet, WindowSpans
from moola_data.span_mask import soft_mask, span_mask
from moola_data.spans import longest_span, visible_spans
from moola_data.window_split import WindowSplit, split_windows

Mask = npt.NDArray[np.bool_]
Float = npt.NDArray[np.float32]
SpanForm = Literal["mask", "soft"]


class Features(Protocol):
    """One row a bar: `values` f4 (N, F), one name a column, and the name of the set."""

    @property
    def values(self) -> Float: ...  # noqa: D102
    @property
    def names(self) -> tuple[str, ...]: ...  # noqa: D102
    @property
    def feature_set(self) -> str: ...  # noqa: D102


def build_window_set(
    bars: Bars,
    features: Features,
    spans: Spans,
    *,
    length: int = 105,
    stride: int = 5,
    position: bool = False,
    span_form: SpanForm = "mask",
    pointer_encoding: PointerEncoding = "origin",
    countdown_form: CountdownForm = "clipped",
    countdown_band: int | None = None,
    split: WindowSplit | None = None,
) -> WindowSet:
    """Cuts windows and encodes the four targets. Features are held by reference, never copied.

    Targets by task name, with K bars a window: "span" f4 (n, K), "type" i8 (n,), "pointers" f4 (n, 2),
    "countdown" f4 (n, K). A window may see several spans or none: "span" is their union, "countdown"
    runs to the nearest start, "type" and "pointers" are those of the longest visible span (of equals, the
    first). Where a mask is False its target is 0 and means nothing.

    Args:
        bars: The bars.
        features: Their features.
        spans: Their spans.
        length: Bars a window.
        stride: Bars from one training window to the next.
        position: Whether gathered batches carry t/(K-1) as a last feature.
        span_form: "mask", or "soft" for .25 on the bars beside a span.
        pointer_encoding: See `moola_data.pointers`.
        countdown_form: See `moola_data.countdown`.
        countdown_band: Bars to either side of a start beyond which the countdown is masked; none if None.
        split: Windows cut otherwise; `split_windows` with this length and stride if None.

    Returns:
        The windows.

    Raises:
        ValueError: The features are not one row a bar, or not finite within a window; the split is one of
            another length; or `split_windows` refuses.
    """
    if len(features.values) != len(bars):
        raise ValueError(f"features: want {len(bars)} rows, one a bar, got {len(features.values)}")
    if split is None:
        split = split_windows(bars, spans, length=length, stride=stride)
    elif split.length != length:
        raise ValueError(f"split: want windows of {length} bars, got {split.length}")
    _refuse_gaps(features, split)
    seen = visible_spans(spans, split.starts, length=length)
    targets, masks = window_targets(
        seen,
        windows=len(split),
        length=length,
        span_form=span_form,
        pointer_encoding=pointer_encoding,
        countdown_form=countdown_form,
        countdown_band=countdown_band,
    )
    return WindowSet(
        features=features.values,
        feature_names=tuple(features.names),
        feature_set=features.feature_set,
        starts=split.starts,
        length=length,
        position=position,
        targets=targets,
        masks=masks,
        weight=window_weights(seen, windows=len(split)),
        group=split.group,
        split=split.split,
        spans=seen,
        type_names=spans.type_names,
        encoding={"span": span_form, "pointers": pointer_encoding, "countdown": countdown_form},
        purged=split.purged,
    )


def window_targets(
    seen: WindowSpans,
    *,
    windows: int,
    length: int,
    span_form: SpanForm = "mask",
    pointer_encoding: PointerEncoding = "origin",
    countdown_form: CountdownForm = "clipped",
    countdown_band: int | None = None,
) -> tuple[dict[str, Array], dict[str, Mask]]:
    """Encodes the targets of `build_window_set`.

    Args:
        seen: Visible spans by window.
        windows: Number of windows n.
        length: Bars a window.
        span_form: As there.
        pointer_encoding: As there.
        countdown_form: As there.
        countdown_band: As there.

    Returns:
        Targets and masks by task. Masks are (n,), that of the countdown (n, K) if there is a band.
    """
    longest = longest_span(seen, windows=windows)
    has = longest >= 0
    kind = np.full(windows, -1, np.int64)
    kind[has] = seen.type[longest[has]]
    pointers = np.zeros((windows, 2), np.float32)
    first, last = seen.start[longest[has]], seen.end[longest[has]]
    pointers[has] = encode_pointers(first, last, length=length, encoding=pointer_encoding)
    bars_left = countdown(seen, windows=windows, length=length)
    known = has if countdown_band is None else informative_band(bars_left, band=countdown_band)
    count = encode_countdown(bars_left, form=countdown_form)
    count[~known] = 0
    marks = span_mask if span_form == "mask" else soft_mask
    targets: dict[str, Array] = {
        "span": marks(seen, windows=windows, length=length),
        "type": np.maximum(kind, 0),
        "pointers": pointers,
        "countdown": count,
    }
    masks = {"span": np.ones(windows, bool), "type": kind >= 0, "pointers": has, "countdown": known}
    return targets, masks


def window_weights(seen: WindowSpans, *, windows: int) -> Float:
    """Gives each window the mean weight of the spans it sees, and 1 where it sees none.

    Args:
        seen: Visible spans by window.
        windows: Number of windows n.

    Returns:
        Weights, f4 (n,).
    """
    count = np.bincount(seen.window, minlength=windows)
    total = np.bincount(seen.window, weights=seen.weight, minlength=windows)
    return np.where(count > 0, total / np.maximum(count, 1), 1).astype(np.float32)


def _refuse_gaps(features: Features, split: WindowSplit) -> None:
    finite = np.isfinite(features.values)
    bad: Mask = ~np.all(finite, axis=1)
    before = np.concatenate([[0], np.cumsum(bad)])
    hit = np.flatnonzero(before[split.starts + split.length] > before[split.starts])
    if hit.size:
        start = split.starts[hit[0]]
        row = start + np.flatnonzero(bad[start : start + split.length])[0]
        column = int(np.flatnonzero(~finite[row])[0])
        raise ValueError(
            f"features: want finite values in every window (cut with a longer warmup?), got "
            f"{features.names[column]} = {features.values[row, column]} in row {row}"
        )
