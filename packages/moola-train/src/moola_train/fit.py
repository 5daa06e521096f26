"""Trains any model on any tasks: the one call that users of the package make."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Literal, NamedTuple

from torch import nn

from moola_train.balancing import shared_parameters
from moola_train.checkpoint_writer import CheckpointWriter
from moola_train.config import FitConfig
from moola_train.data_check import check_data, split_rows
from moola_train.determinism import deterministic_mode
from moola_train.device import choose_device, thread_limit
from moola_train.feed import place
from moola_train.heap import keep_heap
from moola_train.interruption import Interruption
from moola_train.plain_sum import PlainSum
from moola_train.precision import matmul_precision
from moola_train.protocols import Callback, Data, Selection
from moola_train.random_stream import RandomStream
from moola_train.ranks import joined_ranks
from moola_train.run import Run
from moola_train.run_folder import RunFolder, best_checkpoint
from moola_train.schema import Record
from moola_train.task import Task
from moola_train.task_losses import index_device
from moola_train.training import Training


class FitResult(NamedTuple):
    """How a run ended. The model itself was trained in place and is left in evaluation mode."""

    epochs: int
    """Epochs finished."""
    steps: int
    stopped: Literal["epochs", "patience"]
    """Whether all epochs were done or early stopping ended the run."""
    best_epoch: int | None
    best_value: float | None
    best_checkpoint: Path | None
    """Folder of the best epoch's checkpoint; None without a run folder or a selection value."""
    records: tuple[Record, ...]
    """Every record of the run; of a resumed one, from its beginning."""


def fit(
    model: nn.Module,
    data: Data,
    tasks: Sequence[Task],
    balancer: nn.Module | None,
    config: FitConfig,
    *,
    folder: RunFolder | Path | str | None = None,
    callbacks: Sequence[Callback] = (),
    select: Selection | None = None,
    resume: bool = False,
) -> FitResult:
    """Trains a model on tasks.

    Args:
        model: Returns outputs by name; see `TaskLosses`. Moved to the device and trained in place.
        data: See `Data`. Its inner part, if any, is evaluated after every epoch.
        tasks: What to learn, in the order of the records.
        balancer: A module that turns ``{task: scalar loss}`` into one scalar; its parameters are trained
            with their own learning rate. None adds the losses up.
        config: The numbers.
        folder: Where records and checkpoints go: a path (new or empty; with `resume`, that of the earlier
            run), or a `RunFolder` that the caller holds. None keeps everything in memory.
        callbacks: Called in this order.
        select: Measures the model after every epoch; the numbers are recorded, and `config.selection` may
            name one of them.
        resume: Go on from the latest checkpoint of `folder`: what follows, records included, equals bitwise
            what the straight run would have done.

    Returns:
        How the run ended.

    Raises:
        ValueError: Something does not fit; said before the first step wherever it can be known.
        FloatingPointError: A loss or gradient is not finite. Nothing is saved over the last good state.
        KeyboardInterrupt: After Ctrl-C or SIGTERM; the state was saved first, at that step.
    """
    device = choose_device(config.device)
    parts = split_rows(data)
    if config.selection == "loss" and select is None and config.patience is not None and not len(parts.inner):
        raise ValueError("patience: want an inner part or `select` to judge epochs by, got neither")
    if config.selection != "loss" and select is None:
        raise ValueError(f"selection: want `select` to measure {config.selection!r}, got none")
    if resume and folder is None:
        raise ValueError("resume: want the folder of the run, got None")
    if config.keep_heap and device.type == "cpu":
        keep_heap()
    with ExitStack() as stack:
        stack.enter_context(thread_limit(config.threads))
        stack.enter_context(matmul_precision(config.precision))
        stack.enter_context(deterministic_mode(config.deterministic, device))
        ranks = stack.enter_context(joined_ranks(device=device))
        data = place(data, device, config.residency)
        judged_by_loss = config.selection == "loss" and select is None
        known = check_data(
            data, tasks, parts, batch_size=config.evaluation_batch_size, needs_inner=judged_by_loss
        )
        fingerprint = str(getattr(data, "fingerprint", ""))
        training = Training(
            model,
            balancer or PlainSum(),
            tasks,
            config,
            device=device,
            fingerprint=fingerprint,
            ranks=ranks,
        )
        training.warn_of_pieces()
        if training.needs.space == "parameters":
            few = data.batch(parts.train[:2].to(index_device(data))).inputs.to(device)
            with RandomStream((config.seed, 0), device=device).active():
                training.shared = shared_parameters(model, config.shared, few)
        path: Path | None = None if folder is None or isinstance(folder, RunFolder) else Path(folder)
        held: RunFolder | None = None
        if isinstance(folder, RunFolder):
            path, held = folder.path, folder
        else:
            if path is not None and ranks.rank == 0:
                held = stack.enter_context(RunFolder.open(path) if resume else RunFolder.create(path))
        run = Run(
            training,
            data,
            parts,
            known,
            callbacks=callbacks,
            select=select,
            folder=held if ranks.rank == 0 else None,
            path=path,
            writer=stack.enter_context(CheckpointWriter()),
            interruption=stack.enter_context(Interruption()),
        )
        run.start(resume=resume)
        run.to_the_end()
    best = None
    if path is not None and training.best_epoch is not None:
        best = best_checkpoint(path)
    return FitResult(
        epochs=training.epoch,
        steps=training.step,
        stopped="patience" if training.out_of_patience else "epochs",
        best_epoch=training.best_epoch,
        best_value=training.best_value,
        best_checkpoint=best,
        records=tuple(run.records),
    )
