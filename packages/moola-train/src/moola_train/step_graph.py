"""A whole step recorded once and replayed: gather, forward, balancer, backward, guard and optimiser.

On a GPU a small recurrent step is bound by the time it takes to ask for its hundred kernels; a CUDA graph
asks once.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable

import torch

from moola_train.feed import Share
from moola_train.protocols import Data
from moola_train.task_losses import index_device
from moola_train.train_step import train_step
from moola_train.training import Training

Record = Callable[[Callable[[], None]], Callable[[], None]]
"""Records what a function asks the device to do, without doing it; returns what does it."""

WARM_UPS = 3
"""Steps taken eagerly before recording, so that every library has its workspaces."""


class StepGraph:
    """Takes full steps of one shape. A step that cannot be recorded is announced, and taken eagerly for good.

    Args:
        training: The run's state.
        data: Lies on the device.
        size: Examples in a batch.
        record: Given in tests; a CUDA graph where omitted.
    """

    def __init__(self, training: Training, data: Data, *, size: int, record: Record | None = None) -> None:
        device = training.device
        self._training = training
        self._data = data
        self._record = record or _record_cuda_graph
        self._index = torch.zeros(size, dtype=torch.int64, device=device)
        self._count = torch.zeros((), dtype=torch.int64, device=device)
        self._places = torch.arange(size, device=device)
        self._present = [True] * len(training.losses.names)
        self._replay: Callable[[], None] | None = None
        self._taken = 0
        self.failed = ""
        """Why there is no graph; empty while there may be one."""

    def step(self, share: Share) -> None:
        """Takes a step on the share's examples."""
        self._index.copy_(share.index, non_blocking=True)
        self._count.fill_(share.count)
        if self._replay is None and not self.failed and self._taken >= WARM_UPS:
            self._try_to_record()
        if self._replay is None:
            self._body(recording=False)
        else:
            self._replay()
        self._taken += 1

    def _body(self, *, recording: bool) -> None:
        batch = self._data.batch(self._index).to(self._training.device)
        batch = batch.silent_where(self._places >= self._count)
        train_step(self._training, batch, present=self._present, recording=recording)

    def _try_to_record(self) -> None:
        try:
            self._replay = self._record(lambda: self._body(recording=True))
        except RuntimeError as error:  # torch's word for everything that a graph cannot hold
            self.failed = str(error).splitlines()[0]
            warnings.warn(
                f"graph: the step cannot be recorded and is taken eagerly ({self.failed})",
                RuntimeWarning,
                stacklevel=2,
            )


def why_not(training: Training, data: Data) -> str:
    """Returns why the steps of a run cannot be recorded at all; empty if they may be."""
    if training.guard is None:
        return "every step is read at once (non_finite_check, or non_finite='skip')"
    if index_device(data).type != training.device.type:
        return "the data lies in the host's memory"
    if training.needs.space is not None:
        return f"{type(training.balancer).__name__} goes backward by itself"
    if training.micro_batch_size is not None:
        return "batches go through the model in pieces"
    if training.ranks.size > 1:
        return f"there are {training.ranks.size} ranks, which tell each other of every step"
    return ""


def _record_cuda_graph(body: Callable[[], None]) -> Callable[[], None]:
    graph = torch.cuda.CUDAGraph()
    # Other threads, which copy a checkpoint for example, may go on using the device meanwhile.
    with torch.cuda.graph(graph, capture_error_mode="thread_local"):
        body()
    return graph.replay
