"""Pieces of work done side by side by threads, given back in their order."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

import torch

T = TypeVar("T")


def in_order(work: Callable[[int], T], count: int, *, threads: int) -> Iterator[T]:
    """Does the pieces 0..count-1 and gives their results in order; few are done ahead.

    With several threads torch works with one thread in each while this goes on: two that each use all cores
    are slower than one.

    Args:
        work: Does a piece; called by several threads.
        count: How many there are.
        threads: Pieces at a time.

    Raises:
        Exception: What a piece raised; later ones that had begun are finished first.
    """
    if threads == 1:
        for number in range(count):
            yield work(number)
        return
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    waiting: deque[Future[T]] = deque()
    try:
        with ThreadPoolExecutor(threads) as pool:
            try:
                for number in range(count):
                    waiting.append(pool.submit(work, number))
                    if len(waiting) > threads:
                        yield waiting.popleft().result()
                while waiting:
                    yield waiting.popleft().result()
            finally:
                for future in waiting:
                    future.cancel()
    finally:
        torch.set_num_threads(before)
