"""The loop: epochs of steps, an evaluation, records, a checkpoint."""

from __future__ import annotations

import math
import time
import warnings
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from signal import Signals

import torch
from torch import Tensor

from moola_train.batches import Batch
from moola_train.checkpoint import load_model, load_module, module_tensors
from moola_train.checkpoint_writer import CheckpointWriter
from moola_train.data_check import Parts
from moola_train.explanation import explain
from moola_train.feed import fetched_ahead, gather, shares
from moola_train.interruption import Interruption
from moola_train.protocols import Callback, Data, EpochState, Row, Selection
from moola_train.random_stream import RandomStream
from moola_train.records import read_records
from moola_train.run_folder import RunFolder, checkpoint_name, latest_checkpoint
from moola_train.sampling import Sampler
from moola_train.schema import Record
from moola_train.step_graph import StepGraph, why_not
from moola_train.task_losses import index_device
from moola_train.train_step import train_step
from moola_train.training import Training, read_rows


class Run:
    """One call of `fit`: the state of the run, with everything around it that a checkpoint does not hold."""

    def __init__(
        self,
        training: Training,
        data: Data,
        parts: Parts,
        known: Tensor,
        *,
        callbacks: Sequence[Callback],
        select: Selection | None,
        folder: RunFolder | None,
        path: Path | None,
        writer: CheckpointWriter,
        interruption: Interruption,
    ) -> None:
        self.training = training
        self.config = training.config
        self.data = data
        self.parts = parts
        self.known = known
        self.sampler = Sampler(self.config.sampling, data, parts.train, seed=self.config.seed)
        self.steps = self.config.epochs * math.ceil(len(self.sampler) / self.config.batch_size)
        self.graph = self._graph()
        wanted = training.device.type == "cuda" and self.config.graph == "auto"
        self._filled = wanted or self.graph is not None
        self._ahead = training.device.type == "cuda" and index_device(data).type == "cpu"
        self.callbacks = callbacks
        self.select = select
        self.folder = folder
        """Where this rank writes; None for all but the first."""
        self.path = path
        """Where the run is kept; None keeps it in memory."""
        self.writer = writer
        self.interruption = interruption
        self.records: list[Record] = []
        self._best_weights: Mapping[str, Tensor] = {}
        self._asked_at = 0

    def start(self, *, resume: bool) -> None:
        """Prepares the folder, or takes the state over from it; called by all ranks together."""
        training, ranks = self.training, self.training.ranks
        if not resume:
            if self.folder is not None:
                if not self.folder.fresh:
                    raise FileExistsError(f"folder: want one without a run, got {self.folder.path}")
                self.folder.begin()
            ranks.copy_first([training.model, training.balancer])
            if self.path is not None:
                # The state before the first step too: weights drawn without a seed must survive a kill.
                self._save()
                self.writer.wait()
            return
        ranks.any(False)  # the first rank has swept the folder
        assert self.path is not None
        snapshot = latest_checkpoint(self.path)
        training.restore(snapshot)
        if self.folder is None:
            return
        self.folder.records.cut(int(str(snapshot.state["records_size"])))
        self.records = read_records(self.folder.records.path)
        if training.best_epoch is not None and training.best_value is not None:
            # The kill may have come between the checkpoint and its pointer.
            value = training.best_value
            self.folder.mark_best(self._best_name(), metric=self.config.selection, value=value)
        if training.batch == 0:  # nor may the tidying up after that checkpoint have been done
            self.folder.prune(keep_every=self.config.keep_every, best=training.best_epoch)

    def to_the_end(self) -> None:
        """Runs the epochs that are left, then puts the asked-for weights into the model."""
        training = self.training
        with training.stream.active():
            while training.epoch < self.config.epochs and not training.out_of_patience:
                began = time.perf_counter()
                self._train_epoch()
                self._finish_epoch(began)
        self.writer.wait()
        training.model.eval()
        if training.best_epoch is not None and self.config.restore == "best":
            if self.path is None:
                load_module(training.model, self._best_weights, what="model")
            elif self.folder is not None:
                load_model(training.model, self.folder.checkpoints / self._best_name())
            training.ranks.copy_first([training.model])
        elif training.average is not None:
            training.average.put_into(training.model)

    def _graph(self) -> StepGraph | None:
        """Returns what records steps, if that can be; says so where it was asked for and cannot."""
        training, config = self.training, self.config
        if config.graph == "off" or training.device.type != "cuda":
            return None
        reason = why_not(training, self.data)
        if reason:
            warnings.warn(f"graph: steps are taken eagerly: {reason}", RuntimeWarning, stacklevel=2)
            return None
        return StepGraph(training, self.data, size=config.batch_size)

    def _train_epoch(self) -> None:
        training, size, epoch = self.training, self.config.batch_size, self.training.epoch + 1
        order = self.sampler.epoch(epoch)
        training.model.train()
        training.balancer.train()
        self._asked_at = training.batch
        everything, complete = [True] * self.known.shape[1], bool(self.known[order].all())
        on_device = order.to(index_device(self.data))
        wanted = shares(on_device, batch_size=size, filled=self._filled, part=training.ranks.share)
        ahead = fetched_ahead(self.data, wanted[training.batch :], training.device) if self._ahead else None
        for number in range(training.batch, len(wanted)):
            rows = order[number * size : (number + 1) * size]
            training.set_learning_rate(steps=self.steps)
            present = everything if complete else self.known[rows].any(0).tolist()
            callbacks = [c for c in self.callbacks if _watches(c, epoch, number + 1)]
            if self.graph is not None and not callbacks and all(present):
                self.graph.step(wanted[number])
                bad = None
            else:
                batch = gather(self.data, wanted[number], training.device) if ahead is None else next(ahead)
                bad = train_step(training, batch, present=present, callbacks=callbacks)
            if bad is not None:
                if self.config.non_finite == "stop":
                    raise FloatingPointError(
                        explain(training, bad, self._whole(rows), rows, batch=number + 1)
                    )
                training.skipped += 1
            elif any(present):
                training.average_weights()
            training.step += 1
            training.batch += 1
            if self._asked_to_stop():
                self._stop_here()

    def _asked_to_stop(self) -> bool:
        """Ranks stop at the same step: one signal, to whichever of them, is for all."""
        return self.training.ranks.any(self.interruption.requested is not None)

    def _whole(self, rows: Tensor) -> Batch:
        return self.data.batch(rows.to(index_device(self.data))).to(self.training.device)

    def _ask_guard(self) -> None:
        """Reads what a guard has seen since the last time it was asked; called before anything is saved."""
        training, size = self.training, self.config.batch_size
        if training.loss_scale is not None:
            training.loss_scale.check()
        found = None if training.guard is None else training.guard.read()
        if found is not None:
            since, numbers = found
            batch = self._asked_at + since
            rows = self.sampler.epoch(training.epoch + 1)[(batch - 1) * size : batch * size]
            raise FloatingPointError(explain(training, numbers, self._whole(rows), rows, batch=batch))

    def _stop_here(self) -> None:
        self._ask_guard()
        training = self.training
        signal = self.interruption.requested or Signals.SIGTERM  # of another rank, then
        where = f"step {training.step} (epoch {training.epoch + 1}, batch {training.batch})"
        if self.path is None:
            raise KeyboardInterrupt(f"{signal.name} at {where}; nothing was saved, there is no run folder")
        self._save()
        self.writer.wait()
        raise KeyboardInterrupt(
            f"{signal.name} at {where}; saved, `resume` goes on from there in {self.path}"
        )

    def _finish_epoch(self, began: float) -> None:
        training, config = self.training, self.config
        self._ask_guard()
        training.batch = 0
        training.epoch += 1
        records = self._to_records((r for _, r in training.pending), [s for s, _ in training.pending])
        records += self._to_records(training.sums.rows())
        if training.micro_batch_size != config.micro_batch_size:
            records += self._to_records([Row("", "micro_batch_size", float(training.micro_batch_size or 0))])
        if config.non_finite == "skip":
            records += self._to_records([Row("", "skipped_steps", training.skipped)])
        training.skipped = 0
        training.sums.reset()
        training.pending.clear()
        aside = RandomStream((config.seed, training.epoch), device=training.device)
        training.model.eval()
        with aside.active(), torch.no_grad(), training.averaged():
            measured = self._evaluate()
            records += self._to_records(measured)
            records += self._to_records(self._learning_rates())
            elapsed = time.perf_counter() - began
            records += self._to_records([Row("", "epoch_time", elapsed)])
            for callback in self.callbacks:
                state = EpochState(
                    training.model,
                    training.balancer,
                    training.epoch,
                    config.epochs,
                    training.step,
                    tuple(records),
                    training.ranks.rank,
                )
                records += self._to_records(callback.on_epoch_end(state))
        if training.needs.epoch_end:
            tell: Callable[[], None] = getattr(training.balancer, "epoch_end")  # noqa: B009
            tell()
        value = self._selection_value(measured)
        is_best = value is not None and training.judge(value)
        if is_best and self.path is None:
            with training.averaged():
                self._best_weights = module_tensors(training.model, what="model")
        self.records += records
        if self.folder is not None:
            self.folder.records.append(records)
        if self.path is not None:
            last = training.epoch == config.epochs or training.out_of_patience
            if is_best or last or training.epoch % config.checkpoint_every == 0:
                self._save(is_best=is_best)

    def _evaluate(self) -> list[Row]:
        rows = []
        if len(self.parts.inner):
            losses = self.training.losses
            values = losses.evaluate(
                self.data,
                self.parts.inner,
                batch_size=self.config.evaluation_batch_size,
                observe=getattr(self.select, "observe", None),
            ).tolist()
            rows += [Row(n, "loss", v, "inner") for n, v in zip(losses.names, values, strict=True)]
            rows.append(Row("", "loss", math.fsum(values), "inner"))
        if self.select is not None:
            found = self.select(self.training.model, "inner")
            self.training.model.eval()
            rows += [Row("", name, float(value), "inner") for name, value in found.items()]
        return rows

    def _selection_value(self, measured: Sequence[Row]) -> float | None:
        """Returns None where there is nothing to judge an epoch by."""
        values = {row.name: float(row.value) for row in measured if not row.task}
        if self.config.selection in values:
            return values[self.config.selection]
        if self.config.selection == "loss" and not values:
            return None
        raise ValueError(f"selection: want one of {sorted(values)}, got {self.config.selection!r}")

    def _learning_rates(self) -> list[Row]:
        names = {"model": "learning_rate"}
        rates: dict[str, float] = {}
        for group in self.training.optimizer.param_groups:
            title = group["name"].removesuffix("/no_decay")
            rates[names.get(title, f"learning_rate/{title}")] = float(group["lr"])
        return [Row("", name, rate) for name, rate in rates.items()]

    def _to_records(self, rows: Iterable[Row], steps: Sequence[int] = ()) -> list[Record]:
        """Reads the rows, from the device at once; `steps` is given where rows have steps of their own."""
        rows, epoch = list(rows), self.training.epoch
        return [
            Record(step=step, epoch=epoch, split=row.split, task=row.task, name=row.name, value=value)
            for row, step, value in zip(
                rows, steps or [self.training.step] * len(rows), read_rows(rows), strict=True
            )
        ]

    def _save(self, *, is_best: bool = False) -> None:
        """Copies the state and leaves the writing, the pointer and the tidying up to the writer."""
        folder, training = self.folder, self.training
        snapshot = training.snapshot(records_size=0 if folder is None else folder.records.size)
        if folder is None:
            return  # the first rank writes
        name = checkpoint_name(training.epoch, training.step, training.batch)
        inside, best, value = training.batch > 0, training.best_epoch, training.best_value

        def job() -> None:
            folder.save(name, snapshot)
            if is_best and value is not None:
                folder.mark_best(name, metric=self.config.selection, value=value)
            if not inside:
                folder.prune(keep_every=self.config.keep_every, best=best)

        self.writer.submit(job)

    def _best_name(self) -> str:
        assert self.training.best_epoch is not None
        return checkpoint_name(self.training.best_epoch, 0, 0)


def _watches(callback: Callback, epoch: int, batch: int) -> bool:
    ask = getattr(callback, "watches", None)
    return ask is None or ask(epoch, batch)
