"""An entry as one row of numbers, which is what a training loop gathers, moves and cuts into pieces.

The columns are: owner, currency, type, the date features, the text columns. All are float32, which holds
whole numbers below 2**24 exactly. n entries, D date features, L text columns.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from moola_models.entry_config import EntryConfig
from moola_models.label_memory import NOBODY

FIXED = 3
"""Columns before those of the date."""
LARGEST = 1 << 24


class Columns(NamedTuple):
    """The parts of packed entries, views where the type allows.

    Attributes:
        owner: int64 (n,): what a memory's rows are told from; -1 for none.
        currency: int64 (n,), 0 where unknown.
        kind: int64 (n,), 0 where unknown.
        dates: (n, D).
        text: (n, L).
    """

    owner: Tensor
    currency: Tensor
    kind: Tensor
    dates: Tensor
    text: Tensor


def pack_entries(
    config: EntryConfig,
    *,
    text: Tensor,
    dates: Tensor | None = None,
    currency: Tensor | None = None,
    kind: Tensor | None = None,
    owner: Tensor | None = None,
) -> Tensor:
    """Packs n entries into the inputs of an `EntryModel`, once per data set, and checks every number.

    Args:
        config: Of the model.
        text: What ``config.text.columns(texts)`` gives, (n, L).
        dates: (n, D), of the order of 1; zeros where omitted.
        currency: Whole numbers (n,), 0 where unknown, as all are where omitted.
        kind: Likewise the entry's type.
        owner: Whole numbers below 2**24, (n,): an entry is never its own neighbour, nor is another of the
            same owner. -1, or omitted: nobody is left out, as for entries to predict.

    Returns:
        float32 (n, 3 + D + L).

    Raises:
        ValueError: If a shape does not fit, a number is not finite or outside its vocabulary; with the row.

    >>> config = EntryConfig(accounts=("1000", "2000"), date_features=0)
    >>> pack_entries(config, text=config.text.columns(["Rent"])).shape
    torch.Size([1, 13])
    """
    n = len(text)
    dates = torch.zeros(n, config.date_features) if dates is None else dates
    if text.ndim != 2 or dates.shape != (n, config.date_features):
        raise ValueError(
            f"text, dates: want (n, L) and (n, {config.date_features}), got {tuple(text.shape)} and "
            f"{tuple(dates.shape)}"
        )
    largest = config.text.whole_numbers
    if largest is not None:
        _whole("text", text, least=-1, below=largest)
    whole = {
        "owner": (owner, NOBODY, LARGEST),
        "currency": (currency, 0, config.currencies),
        "kind": (kind, 0, config.kinds),
    }
    columns = []
    for name, (numbers, least, below) in whole.items():
        chosen = torch.full((n,), min(least, 0)) if numbers is None else numbers
        if chosen.shape != (n,):
            raise ValueError(f"{name}: want shape ({n},), got {tuple(chosen.shape)}")
        _whole(name, chosen[:, None], least=least, below=below)
        columns.append(chosen[:, None].float())
    packed = torch.cat([*columns, dates.float(), text.float()], 1)
    if not bool(packed.isfinite().all()):
        row = int((~packed.isfinite()).any(1).nonzero()[0])
        raise ValueError(f"text, dates: want finite numbers, got another in row {row}")
    return packed


def unpack_entries(config: EntryConfig, inputs: Tensor) -> Columns:
    """Takes packed entries apart.

    Raises:
        ValueError: If the inputs have too few columns.
    """
    start = FIXED + config.date_features
    if inputs.ndim != 2 or inputs.shape[1] < start:
        raise ValueError(f"inputs: want (batch, {start} or more), got {tuple(inputs.shape)}")
    owner, currency, kind = inputs[:, :FIXED].long().unbind(1)
    return Columns(owner, currency, kind, inputs[:, FIXED:start], inputs[:, start:])


def _whole(name: str, numbers: Tensor, *, least: int, below: int) -> None:
    wrong = (numbers < least) | (numbers >= below) | (numbers != numbers.floor()) if numbers.numel() else None
    if wrong is not None and bool(wrong.any()):
        row, column = (int(i) for i in wrong.nonzero()[0])
        found = float(numbers[row, column])
        raise ValueError(f"{name}: want whole numbers from {least} to {below - 1}, got {found} in row {row}")
