"""The loop: epochs of steps, an evaluation, records, a checkpoint."""

from __future__ import annotations

import math
import time
from collections.abc import Iterable, Mapping, Sequence

import torch
from torch import Tensor

from moola_train.batch_order import batch_order
from moola_train.batches import Batch
from moola_train.checkpoint import load_model, load_module, module_tensors
from moola_train.checkpoint_writer import CheckpointWriter
from moola_train.data_check import Parts
from moola_train.interruption import Interruption
from moola_train.protocols import Callback, Data, EpochState, Row, Selection
from moola_train.random_stream import RandomStream
from moola_train.records import read_records
from moola_train.run_folder import RunFolder, checkpoint_name
from moola_train.schema import Record
from moola_train.task_losses import index_device
from moola_train.train_step import explain, train_step
from moola_train.training import Training, finite


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
        writer: CheckpointWriter,
        interruption: Interruption,
    ) -> None:
        self.training = training
        self.config = training.config
        self.data = data
        self.parts = parts
        self.known = known
        self.steps = self.config.epochs * math.ceil(len(parts.train) / self.config.batch_size)
        self.callbacks = callbacks
        self.select = select
        self.folder = folder
        self.writer = writer
        self.interruption = interruption
        self.records: list[Record] = []
        self._best_weights: Mapping[str, Tensor] = {}
        self._asked_at = 0

    def start(self, *, resume: bool) -> None:
        """Prepares the folder, or takes the state over from it."""
        if self.folder is None:
            return
        if not resume:
            if not self.folder.fresh:
                raise FileExistsError(f"folder: want one without a run, got {self.folder.path}")
            self.folder.begin()
            # The state before the first step too: weights drawn without a seed must survive a kill.
            self._save()
            self.writer.wait()
            return
        snapshot = self.folder.latest()
        self.training.restore(snapshot)
        self.folder.records.cut(int(str(snapshot.state["records_size"])))
        self.records = read_records(self.folder.records.path)
        if self.training.best_epoch is not None and self.training.best_value is not None:
            # The kill may have come between the checkpoint and its pointer.
            value = self.training.best_value
            self.folder.mark_best(self._best_name(), metric=self.config.selection, value=value)

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
            if self.folder is None:
                load_module(training.model, self._best_weights, what="model")
            else:
                load_model(training.model, self.folder.checkpoints / self._best_name())
        elif training.average is not None:
            training.average.put_into(training.model)

    def _train_epoch(self) -> None:
        training, size = self.training, self.config.batch_size
        order = batch_order(self.parts.train, seed=self.config.seed, epoch=training.epoch + 1)
        on_device = order.to(index_device(self.data))
        training.model.train()
        training.balancer.train()
        self._asked_at = training.batch
        everything, complete = [True] * self.known.shape[1], bool(self.known[self.parts.train].all())
        for start in range(training.batch * size, len(order), size):
            rows = order[start : start + size]
            pieces = self._pieces(on_device[start : start + size])
            training.set_learning_rate(steps=self.steps)
            present = everything if complete else self.known[rows].any(0).tolist()
            bad = train_step(training, pieces, present=present, callbacks=self.callbacks)
            if bad is not None:
                if self.config.non_finite == "stop":
                    number = training.batch + 1
                    raise FloatingPointError(explain(training, bad, pieces, rows, batch=number))
                training.skipped += 1
            training.step += 1
            training.batch += 1
            if self.interruption.requested is not None:
                self._stop_here()

    def _pieces(self, index: Tensor) -> list[Batch]:
        largest = self.config.micro_batch_size
        if largest is None or len(index) <= largest:
            return [self.data.batch(index).to(self.training.device)]
        return [self.data.batch(part).to(self.training.device) for part in index.split(largest)]

    def _ask_guard(self) -> None:
        """Reads what a guard has seen since the last time it was asked; called before anything is saved."""
        training, size = self.training, self.config.batch_size
        if training.loss_scale is not None:
            training.loss_scale.check()
        found = None if training.guard is None else training.guard.read()
        if found is not None:
            since, numbers = found
            batch = self._asked_at + since
            order = batch_order(self.parts.train, seed=self.config.seed, epoch=training.epoch + 1)
            rows = order[(batch - 1) * size : batch * size]
            pieces = self._pieces(rows.to(index_device(self.data)))
            raise FloatingPointError(explain(training, numbers, pieces, rows, batch=batch))

    def _stop_here(self) -> None:
        self._ask_guard()
        signal, training = self.interruption.requested, self.training
        where = f"step {training.step} (epoch {training.epoch + 1}, batch {training.batch})"
        assert signal is not None
        if self.folder is None:
            raise KeyboardInterrupt(f"{signal.name} at {where}; nothing was saved, there is no run folder")
        path = self.folder.path
        self._save()
        self.writer.wait()
        raise KeyboardInterrupt(f"{signal.name} at {where}; saved, `resume` goes on from there in {path}")

    def _finish_epoch(self, began: float) -> None:
        training, config = self.training, self.config
        self._ask_guard()
        training.batch = 0
        training.epoch += 1
        records = [self._record(row, step) for step, row in training.pending]
        records += self._to_records(training.sums.rows())
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
                )
                records += self._to_records(callback.on_epoch_end(state))
        value = self._selection_value(measured)
        is_best = value is not None and training.judge(value)
        if is_best and self.folder is None:
            with training.averaged():
                self._best_weights = module_tensors(training.model, what="model")
        self.records += records
        if self.folder is not None:
            self.folder.records.append(records)
            last = training.epoch == config.epochs or training.out_of_patience
            if is_best or last or training.epoch % config.checkpoint_every == 0:
                self._save(is_best=is_best)

    def _evaluate(self) -> list[Row]:
        rows = []
        if len(self.parts.inner):
            losses = self.training.losses
            values = losses.evaluate(
                self.data, self.parts.inner, batch_size=self.config.evaluation_batch_size
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

    def _to_records(self, rows: Iterable[Row]) -> list[Record]:
        return [self._record(row, self.training.step) for row in rows]

    def _record(self, row: Row, step: int) -> Record:
        epoch = self.training.epoch
        value = finite(row.value)
        return Record(step=step, epoch=epoch, split=row.split, task=row.task, name=row.name, value=value)

    def _save(self, *, is_best: bool = False) -> None:
        """Copies the state and leaves the writing, the pointer and the tidying up to the writer."""
        assert self.folder is not None
        folder, training = self.folder, self.training
        name = checkpoint_name(training.epoch, training.step, training.batch)
        snapshot = training.snapshot(records_size=folder.records.size)
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
