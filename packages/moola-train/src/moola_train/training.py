"""The state of a run: everything that a checkpoint has to hold, and nothing else that matters."""

from __future__ import annotations

import math
from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext

import torch
from pydantic import JsonValue
from torch import Tensor, nn

from moola_train.balancing import needs_of, warn_of_moving_statistics
from moola_train.batches import Batch
from moola_train.checkpoint import Snapshot, load_module, module_tensors
from moola_train.clipping import clips_of
from moola_train.config import FitConfig
from moola_train.epoch_sums import EpochSums
from moola_train.finite_guard import FiniteGuard
from moola_train.loss_scale import LossScale
from moola_train.optimizer_state import load_optimizer, optimizer_tensors
from moola_train.parameter_groups import FUSED, adamw, parameter_groups
from moola_train.plain_sum import PlainSum
from moola_train.protocols import Row
from moola_train.random_stream import RandomStream
from moola_train.ranks import Ranks
from moola_train.schedules import Plateau
from moola_train.schema import Split
from moola_train.task import Task
from moola_train.task_losses import TaskLosses
from moola_train.weight_average import WeightAverage

MAY_CHANGE = frozenset(
    {
        "epochs",
        "patience",
        "checkpoint_every",
        "keep_every",
        "threads",
        "keep_heap",
        "restore",
        "device",
        "residency",
        "out_of_memory",
    }
)
"""Settings that a resumed run may change, because the steps it shares with a straight one stay the same."""

_SPLITS: dict[str, Split] = {"train": "train", "inner": "inner", "test": "test"}


class Training:
    """Model, balancer, optimiser, random stream, counters and sums of one run on one device."""

    def __init__(
        self,
        model: nn.Module,
        balancer: nn.Module,
        tasks: Sequence[Task],
        config: FitConfig,
        *,
        device: torch.device,
        fingerprint: str,
        ranks: Ranks | None = None,
    ) -> None:
        self.ranks = ranks or Ranks()
        self.config = config
        self.device = device
        self.fingerprint = fingerprint
        self.model = model.to(device)
        self.balancer = balancer.to(device)
        self.losses = TaskLosses(model, tasks, device=device, precision=config.precision)
        self.plain = isinstance(balancer, PlainSum)
        self.ones = torch.ones(len(self.losses.names), device=device)
        self.needs = needs_of(balancer)
        if self.needs.space is not None and config.space != "auto":
            self.needs = self.needs._replace(space=config.space)
        self.shared: Sequence[nn.Parameter] = ()
        """What a balancer that compares gradients of parameters looks at; set before the first step."""
        self.micro_batch_size = config.micro_batch_size
        """As configured, or smaller once memory has not sufficed."""
        self._refuse_pieces_of_gradients()
        groups = parameter_groups(model, balancer, config)
        self.parameters = [p for group in groups for p in group["params"]]
        self.model_parameters = list(model.parameters())
        self.clips = clips_of(groups, norm=config.clip_norm)
        self.optimizer = adamw(groups, config, device=device)
        rank = self.ranks.rank
        self.stream = RandomStream((config.seed, 0, rank) if rank else (config.seed, 0), device=device)
        unread = _checked_once_an_epoch(config, device)
        self.sums = EpochSums(self.losses.names, device=device, on_device=unread)
        self.guard: FiniteGuard | None = None
        """None: every step is read at once."""
        if unread:
            self.guard = FiniteGuard(len(self.losses.names), device=device)
        self.loss_scale = LossScale(device=device) if config.precision == "fp16" else None
        averaging = config.averaging
        self.average = None if averaging is None else WeightAverage(model, decay=averaging.decay)
        self.epoch = 0
        """Epochs finished."""
        self.step = 0
        """Optimiser steps taken."""
        self.batch = 0
        """Batches done of the epoch that is running."""
        self.pending: list[tuple[int, Row]] = []
        """Rows that callbacks gave in the epoch that is running, each with its step."""
        self.best_epoch: int | None = None
        self.best_value: float | None = None
        self.waited = 0
        """Epochs since the best one."""
        self.cuts = 0
        """How often a plateau has cut the learning rate."""
        self.skipped = 0
        """Steps of the epoch that is running that were left out because they were not finite."""

    def _refuse_pieces_of_gradients(self) -> None:
        kind = type(self.balancer).__name__
        if self.needs.space is not None and self.micro_batch_size is not None:
            raise ValueError(
                f"micro_batch_size: want None with {kind}, which compares the gradients of a whole batch,"
                f" got {self.micro_batch_size}"
            )
        if self.needs.space == "representation" and not self.losses.can_be_cut:
            raise ValueError(
                f"model: want methods encode and heads for {kind}, which works between the two, got"
                f" {type(self.model).__name__} without"
            )

    def pieces(self, batch: Batch) -> list[Batch]:
        """Splits a batch into what goes through the model at once."""
        return [batch] if self.micro_batch_size is None else batch.split(self.micro_batch_size)

    def warn_of_pieces(self) -> None:
        """Warns if the model normalises over the batch, and the batch is taken apart."""
        if self.micro_batch_size is not None and self.micro_batch_size < self.config.batch_size:
            warn_of_moving_statistics(self.model, why="micro_batch_size")
        elif self.ranks.size > 1:
            warn_of_moving_statistics(self.model, why=f"{self.ranks.size} ranks")

    def judge(self, value: float) -> bool:
        """Takes an epoch's selection value and returns whether it is the best so far; NaN never is."""
        sign = 1 if self.config.mode == "min" else -1
        best = math.inf if self.best_value is None else sign * self.best_value
        better = sign * value < best - (self.config.min_delta if math.isfinite(best) else 0.0)
        if better:
            self.best_epoch, self.best_value, self.waited = self.epoch, value, 0
        else:
            self.waited += 1
            schedule = self.config.schedule
            if isinstance(schedule, Plateau) and self.waited % schedule.patience == 0:
                self.cuts += 1
        return better

    def set_learning_rate(self, *, steps: int) -> None:
        """Gives the optimiser the rates of the step about to be taken, of `steps` in all."""
        schedule = self.config.schedule
        factor = schedule.factor(self.step + 1, steps)
        if isinstance(schedule, Plateau):
            factor *= schedule.after(self.cuts)
        for group in self.optimizer.param_groups:
            rate = group["base_lr"] * factor
            if isinstance(group["lr"], Tensor):
                group["lr"].fill_(rate)
            else:
                group["lr"] = rate

    def average_weights(self) -> None:
        """Takes the weights after a step into the average, if there is one and its time has come."""
        averaging = self.config.averaging
        if self.average is None or averaging is None:
            return
        if self.epoch + 1 >= averaging.from_epoch:
            self.average.update(self.model)
        else:
            self.average.follow(self.model)

    def averaged(self) -> AbstractContextManager[None]:
        """Inside the block the model holds the weights that are evaluated and kept."""
        return nullcontext() if self.average is None else self.average.swapped_in(self.model)

    @property
    def out_of_patience(self) -> bool:
        """Whether early stopping says stop."""
        return self.config.patience is not None and self.waited >= self.config.patience

    def snapshot(self, *, records_size: int) -> Snapshot:
        """Copies the whole state to the CPU; all ranks have to call it together."""
        read = read_rows([r for _, r in self.pending])
        pending: list[JsonValue] = [
            [step, r.task, r.name, value, r.split]
            for (step, r), value in zip(self.pending, read, strict=True)
        ]
        random: dict[str, Tensor] = {}
        for name, value in self.stream.state().items():
            for rank, each in enumerate(self.ranks.gather(value)):
                random[f"rank{rank}/{name}" if rank else name] = each.clone()
        state: dict[str, JsonValue] = {
            "config": self.config.model_dump(mode="json"),
            "device": self.device.type,
            "fingerprint": self.fingerprint,
            "tasks": list(self.losses.names),
            "epoch": self.epoch,
            "step": self.step,
            "batch": self.batch,
            "best_epoch": self.best_epoch,
            "best_value": self.best_value,
            "waited": self.waited,
            "cuts": self.cuts,
            "skipped": self.skipped,
            "averaged_steps": 0 if self.average is None else self.average.count,
            "micro_batch_size": self.micro_batch_size,
            "ranks": self.ranks.size,
            "pending": pending,
            "records_size": records_size,
        }
        with self.averaged():
            kept = module_tensors(self.model, what="model")
        tensors = {
            "model": kept,
            "balancer": module_tensors(self.balancer, what="balancer"),
            "optimizer": optimizer_tensors(self.optimizer),
            "random": random,
            "sums": {"values": self.sums.state()},
        }
        if self.average is not None:
            tensors["raw"] = module_tensors(self.model, what="model")
        if self.loss_scale is not None:
            tensors["loss_scale"] = self.loss_scale.state()
        return Snapshot(tensors, state)

    def restore(self, snapshot: Snapshot) -> None:
        """Takes over a saved state.

        Raises:
            ValueError: It was saved by a run with other settings, tasks, data, device or shapes.
        """
        state, tensors = dict(snapshot.state), snapshot.tensors
        self._refuse_other_run(state)
        load_module(self.model, tensors["model" if self.average is None else "raw"], what="model")
        load_module(self.balancer, tensors["balancer"], what="balancer")
        load_optimizer(self.optimizer, tensors["optimizer"])
        rank = self.ranks.rank
        own_numbers = {
            name: tensors["random"][f"rank{rank}/{name}" if rank else name] for name in self.stream.state()
        }
        self.stream.load(own_numbers)
        size = state["micro_batch_size"]
        self.micro_batch_size = size if isinstance(size, int) else None
        self.sums.load(tensors["sums"]["values"])
        counters = ("epoch", "step", "batch", "waited", "cuts", "skipped", "averaged_steps")
        *own, averaged_steps = (int(str(state[name])) for name in counters)
        self.epoch, self.step, self.batch, self.waited, self.cuts, self.skipped = own
        if self.average is not None:
            self.average.load(tensors["model"], self.model, count=averaged_steps)
        if self.loss_scale is not None:
            self.loss_scale.load(dict(tensors["loss_scale"]))
        best_epoch, best_value = state["best_epoch"], state["best_value"]
        self.best_epoch = best_epoch if isinstance(best_epoch, int) else None
        self.best_value = float(best_value) if isinstance(best_value, int | float) else None
        self.pending = [_row(values) for values in _list(state["pending"])]

    def _refuse_other_run(self, state: dict[str, JsonValue]) -> None:
        saved, own = state["config"], self.config.model_dump(mode="json")
        assert isinstance(saved, dict)
        fixed = own.keys() - MAY_CHANGE
        if self.config.schedule.needs_length:
            fixed = fixed | {"epochs"}
        for name in sorted(fixed):
            if saved.get(name) != own[name]:
                raise ValueError(f"config: want {name}={saved.get(name)!r} as when saved, got {own[name]!r}")
        same: dict[str, JsonValue] = {
            "device": self.device.type,
            "fingerprint": self.fingerprint,
            "tasks": list(self.losses.names),
            "ranks": self.ranks.size,
        }
        for name, value in same.items():
            if state[name] != value:
                raise ValueError(f"{name}: want {state[name]!r} as when the run was saved, got {value!r}")


def _checked_once_an_epoch(config: FitConfig, device: torch.device) -> bool:
    wanted = config.non_finite_check
    if wanted == "epoch" and device.type not in FUSED:
        raise ValueError(f"non_finite_check: want 'step' on {device.type}, got 'epoch'")
    return wanted == "epoch" or (wanted == "auto" and device.type == "cuda" and config.non_finite == "stop")


def read_rows(rows: Sequence[Row]) -> list[float | None]:
    """Reads the rows' values for the records, None for what is not finite; waits for the device once."""
    places = [i for i, row in enumerate(rows) if isinstance(row.value, Tensor)]
    values = [row.value for row in rows]
    if places:
        tensors = [v.detach().double().reshape(()) for v in values if isinstance(v, Tensor)]
        for device in dict.fromkeys(t.device for t in tensors):
            here = [i for i, t in zip(places, tensors, strict=True) if t.device == device]
            found = torch.stack([t for t in tensors if t.device == device]).tolist()
            for i, number in zip(here, found, strict=True):
                values[i] = number
    return [number if math.isfinite(number) else None for number in map(float, values)]


def _list(value: JsonValue) -> list[JsonValue]:
    assert isinstance(value, list)
    return value


def _row(values: JsonValue) -> tuple[int, Row]:
    step, task, name, value, split = _list(values)
    number = float(value) if isinstance(value, int | float) else math.nan
    part = _SPLITS[str(split)]
    return int(str(step)), Row(str(task), str(name), number, part)
