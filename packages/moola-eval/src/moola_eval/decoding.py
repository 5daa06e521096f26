"""From per-bar values to spans: threshold, hysteresis, merged gaps, minimum length."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from pydantic import BaseModel, ConfigDict, Field

from moola_eval._arguments import FloatArray, IntArray, finite
from moola_eval.spans import Spans, flatten, runs


class Decoder(BaseModel):
    """How runs of high values become spans; applied in the order of the fields.

    Attributes:
        low: Hysteresis: a run of values >= low is kept if any of its values reaches the threshold.
            None keeps the runs of values >= threshold.
        merge_gap: Runs with at most this many bars between them become one.
        min_length: Shorter spans are dropped, after merging.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    low: float | None = None
    merge_gap: int = Field(default=0, ge=0)
    min_length: int = Field(default=1, ge=1)


PLAIN = Decoder()


def decode(
    values: npt.NDArray[np.floating],
    *,
    threshold: float,
    lengths: npt.ArrayLike | None = None,
    decoder: Decoder = PLAIN,
) -> Spans:
    """Cuts per-bar values into spans; a value equal to the threshold is positive.

    The threshold is rounded to the dtype of the values, so that 0.7 marks a float32 probability of 0.7.

    Args:
        values: (n, K) floats, or (N,) floats of all sequences end to end with `lengths`. Probabilities, or
            any finite score.
        threshold: Smallest value that counts as inside.
        lengths: (n,) bars in each sequence of flat values.
        decoder: Hysteresis, merging, minimum length.

    Returns:
        Spans with the mean of their values as score.

    Raises:
        ValueError: Values are not finite, or `decoder.low` is above the threshold.

    >>> p = np.array([[0.1, 0.6, 0.4, 0.7, 0.1]])
    >>> decode(p, threshold=0.6).start.tolist()
    [1, 3]
    >>> spans = decode(p, threshold=0.6, decoder=Decoder(low=0.4))
    >>> spans.start.tolist(), spans.end.tolist()
    ([1], [3])
    """
    array = np.asarray(values)
    if not np.issubdtype(array.dtype, np.floating):
        raise ValueError(f"values: want floats, got {array.dtype}")
    if not np.isfinite(threshold):
        raise ValueError(f"threshold: want a finite number, got {threshold}")
    if decoder.low is not None and decoder.low > threshold:
        raise ValueError(f"decoder.low: want at most the threshold {threshold}, got {decoder.low}")
    finite("values", array)
    raw, length = flatten("values", array, lengths)
    flat = raw.astype(array.dtype, copy=False)
    return cut(flat, length, np.full(len(length), threshold), decoder=decoder)


def cut(
    flat: npt.NDArray[np.floating], length: IntArray, threshold: FloatArray, *, decoder: Decoder
) -> Spans:
    """Decodes sequences that lie end to end, each with a threshold of its own, (n,) float64; unchecked."""
    edge = (
        np.repeat(threshold.astype(flat.dtype), length)
        if decoder.low is None
        else flat.dtype.type(decoder.low)
    )
    first, last, which, begin = runs(flat >= edge, length)
    if decoder.low is not None and len(first):
        peak = np.maximum.reduceat(np.append(flat, -np.inf), _bounds(first, last))[::2]
        kept = peak >= threshold.astype(flat.dtype)[which]
        first, last, which = first[kept], last[kept], which[kept]
    if decoder.merge_gap and len(first):
        new = np.ones(len(first), dtype=np.bool_)
        new[1:] = (first[1:] - last[:-1] - 1 > decoder.merge_gap) | (which[1:] != which[:-1])
        final = np.append(new[1:], True)
        first, last, which = first[new], last[final], which[new]
    if decoder.min_length > 1:
        kept = last - first + 1 >= decoder.min_length
        first, last, which = first[kept], last[kept], which[kept]
    score = np.zeros(len(first))
    if len(first):
        total = np.add.reduceat(np.append(flat.astype(np.float64), 0.0), _bounds(first, last))[::2]
        score = total / (last - first + 1)
    return Spans(which, first - begin[which], last - begin[which], np.zeros_like(which), score, length)


def _bounds(first: npt.NDArray[np.int64], last: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """Interleaves the runs' borders for reduceat; the value appended to the data makes the last one legal."""
    return np.stack([first, last + 1], axis=1).reshape(-1)
