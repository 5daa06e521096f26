"""Window sets of different bars as one set."""

from __future__ import annotations

import numpy as np

from moola_data.schema import WindowSet, WindowSpans


def join(first: WindowSet, *others: WindowSet) -> WindowSet:
    """Puts window sets behind each other: real bars and their mirror image, one world and a fresh draw of it.

    Groups are taken as they stand: windows of two sets that have the same number are of one group. Use
    `renumber_groups` before if they are not.

    Args:
        first: Windows.
        others: More of them, of the same feature set, length, types and encodings.

    Returns:
        All windows in their order over one matrix of all features; windows purged are added up.

    Raises:
        ValueError: The sets differ in what they mean.
    """
    for number, other in enumerate(others, start=1):
        for name in ("feature_names", "feature_set", "length", "position", "type_names", "encoding"):
            wanted, got = getattr(first, name), getattr(other, name)
            if wanted != got:
                raise ValueError(
                    f"others: want {name} {wanted!r} as in the first set, got {got!r} in set {number}"
                )
    sets = (first, *others)
    bars = np.cumsum([0, *(len(s.features) for s in sets)])
    windows = np.cumsum([0, *(len(s) for s in sets)])
    spans = [s.spans for s in sets]
    purged: dict[str, int] = {}
    for s in sets:
        for part, count in s.purged.items():
            purged[part] = purged.get(part, 0) + count
    return first.model_copy(
        update={
            "features": np.concatenate([s.features for s in sets]),
            "starts": np.concatenate([s.starts + at for s, at in zip(sets, bars, strict=False)]),
            "targets": {task: np.concatenate([s.targets[task] for s in sets]) for task in first.targets},
            "masks": {task: np.concatenate([s.masks[task] for s in sets]) for task in first.masks},
            "weight": np.concatenate([s.weight for s in sets]),
            "group": np.concatenate([s.group for s in sets]),
            "split": np.concatenate([s.split for s in sets]),
            "spans": WindowSpans(
                window=np.concatenate([s.window + at for s, at in zip(spans, windows, strict=False)]),
                start=np.concatenate([s.start for s in spans]),
                end=np.concatenate([s.end for s in spans]),
                type=np.concatenate([s.type for s in spans]),
                weight=np.concatenate([s.weight for s in spans]),
                cut=np.concatenate([s.cut for s in spans]),
            ),
            "purged": purged,
        }
    )


def renumber_groups(window_set: WindowSet, *, first: int) -> WindowSet:
    """Gives the groups new numbers, `first` and up, in the order of their old ones."""
    _, group = np.unique(window_set.group, return_inverse=True)
    return window_set.model_copy(update={"group": group.astype(np.int64) + first})
