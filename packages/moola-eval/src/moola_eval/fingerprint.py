"""The identity of a set of labelled windows."""

from __future__ import annotations

import hashlib

import numpy as np

from moola_eval.schema import Truth


def fingerprint(truth: Truth) -> str:
    """Returns a hash of windows, groups and labels: the same for any model that is scored on them.

    Args:
        truth: Labelled windows. The order of the rows of the span table does not matter.

    Returns:
        "sha256:" and 64 hexadecimal digits.
    """
    table = truth.spans
    rows = np.stack([table.window, table.start, table.end, table.type], axis=1)
    rows = rows[np.lexsort(rows.T[::-1])]
    digest = hashlib.sha256(f"{truth.length}|{len(truth.starts)}|{'|'.join(truth.type_names)}".encode())
    for array in (truth.starts, truth.group, rows):
        digest.update(np.ascontiguousarray(array, dtype="<i8").tobytes())
    return f"sha256:{digest.hexdigest()}"
