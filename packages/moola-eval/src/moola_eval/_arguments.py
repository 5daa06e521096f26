"""What every public function asks of its arrays, said in one shape of sentence."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]
BoolArray = npt.NDArray[np.bool_]


def integers(name: str, values: npt.ArrayLike, *, size: int | None = None) -> IntArray:
    """Returns whole numbers as int64, or raises ValueError."""
    array = np.asarray(values)
    if array.ndim != 1:
        raise ValueError(f"{name}: want one dimension, got shape {array.shape}")
    if array.size == 0:
        array = array.astype(np.int64)
    if not np.issubdtype(array.dtype, np.integer):
        raise ValueError(f"{name}: want whole numbers, got {array.dtype}")
    if size is not None and len(array) != size:
        raise ValueError(f"{name}: want {size} values, got {len(array)}")
    return array.astype(np.int64, copy=False)


def finite(
    name: str, values: npt.NDArray[np.floating], *, low: float = -np.inf, high: float = np.inf
) -> None:
    """Raises ValueError where a value is not a finite number in [low, high]."""
    bad = ~((values >= low) & (values <= high) & np.isfinite(values))
    if bad.any():
        row = np.argwhere(bad)[0]
        wanted = "finite numbers" if np.isinf(low) else f"numbers in [{low:g}, {high:g}]"
        place = int(row[0]) if len(row) == 1 else tuple(int(i) for i in row)
        raise ValueError(f"{name}: want {wanted}, got {values[tuple(row)]} in row {place}")


def matrix(
    name: str, values: npt.ArrayLike, *, low: float = -np.inf, high: float = np.inf
) -> npt.NDArray[np.floating]:
    """Returns a finite (n, K) matrix of floats (float32 stays float32), or raises ValueError."""
    array = np.asarray(values)
    if array.ndim != 2:
        raise ValueError(f"{name}: want shape (n, K), got {array.shape}")
    if not np.issubdtype(array.dtype, np.floating):
        array = array.astype(np.float64)
    finite(name, array, low=low, high=high)
    return array


def same_shape(name: str, array: npt.NDArray[np.generic], shape: tuple[int, ...]) -> None:
    """Raises ValueError unless the array has the shape."""
    if array.shape != shape:
        raise ValueError(f"{name}: want shape {shape}, got {array.shape}")


def fraction(name: str, value: float, *, zero: bool = False) -> None:
    """Raises ValueError unless 0 < value <= 1 (or 0 <= value <= 1)."""
    if not (0 <= value <= 1 if zero else 0 < value <= 1):
        raise ValueError(f"{name}: want a number in {'[0' if zero else '(0'}, 1], got {value}")
