"""Where the data lies, and how a batch of it gets to the device."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from moola_train.batches import Batch
from moola_train.protocols import Data
from moola_train.task_losses import index_device

Residency = Literal["auto", "device", "host"]


@dataclass(frozen=True)
class Share:
    """What one rank gathers of a batch."""

    index: Tensor
    """int64 rows of the data, where the data wants its index; never empty."""
    count: int
    """How many of them count; those after are there to fill up."""


def shares(order: Tensor, *, batch_size: int, filled: bool, part: Callable[[Tensor], Tensor]) -> list[Share]:
    """Cuts an epoch into batches, and each batch into what this rank gathers.

    Args:
        order: int64 (n,), the rows of the epoch in order.
        batch_size: Of all ranks together.
        filled: Whether the last batch is filled up to full size, with rows that do not count.
        part: Takes this rank's part of a batch.
    """
    found = []
    largest = max(len(part(order[:1].expand(batch_size))), 1)
    for rows in order.split(batch_size):
        own = part(rows)
        missing = (largest if filled else 1) - len(own)
        filler = rows[:1].expand(max(missing, 0))
        found.append(Share(torch.cat([own, filler]) if missing > 0 else own, len(own)))
    return found


def gather(data: Data, share: Share, device: torch.device) -> Batch:
    """Returns a share's examples on the device, those that only fill up with weight 0."""
    batch = data.batch(share.index).to(device)
    return batch if share.count == len(share.index) else batch.silent_from(share.count)


def fetched_ahead(
    data: Data, wanted: Sequence[Share], device: torch.device, *, ahead: int = 2
) -> Iterator[Batch]:
    """Yields what `gather` returns for each share, gathered by a thread while the device computes.

    `Data.batch` is then called in that thread, and has to be a function of the index alone.
    """
    with ThreadPoolExecutor(max_workers=1, thread_name_prefix="feed") as thread:
        waiting: deque[Future[Batch]] = deque()
        try:
            for share in wanted:
                waiting.append(thread.submit(_gather_on_host, data, share, device.type == "cuda"))
                if len(waiting) > ahead:
                    yield waiting.popleft().result().to(device)
            while waiting:
                yield waiting.popleft().result().to(device)
        finally:
            for future in waiting:
                future.cancel()


def _gather_on_host(data: Data, share: Share, pinned: bool) -> Batch:
    batch = gather(data, share, torch.device("cpu"))
    return batch.pin() if pinned else batch


def place(data: Data, device: torch.device, residency: Residency) -> Data:
    """Returns the data where it shall lie: on the device, if it can move and, for ``auto``, if it fits.

    Data can move if it has ``nbytes`` and ``to(device)``, as `WindowedBars` and `Examples` have. It fits
    if it takes no more than a quarter of the device's free memory. Data that lies on a device stays there.

    Raises:
        ValueError: ``device`` is asked for and the data cannot move.
    """
    move, size = getattr(data, "to", None), getattr(data, "nbytes", None)
    if index_device(data).type == device.type or residency == "host":
        return data
    if not callable(move) or size is None:
        if residency == "device":
            raise ValueError("residency: want data with nbytes and to(device) for 'device', got none")
        return data
    if residency == "auto" and size > free_memory(device) / 4:
        return data
    moved: Data = move(device)
    return moved


def free_memory(device: torch.device) -> int:
    """Returns the bytes free on a GPU; more than any data has for devices that use the host's memory."""
    return torch.cuda.mem_get_info(device)[0] if device.type == "cuda" else 2**62
