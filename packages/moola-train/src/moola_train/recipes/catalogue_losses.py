"""What the journal's network learns, and how much each part of it counts, epoch by epoch."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import torch
from torch import Tensor, nn

from moola_data.catalogue import Catalogue
from moola_losses.coverage import Coverage
from moola_losses.flow_divergence import FlowDivergence, gold_flow
from moola_losses.hierarchical_pointer import HierarchicalPointer
from moola_losses.line_cross_entropy import LineCrossEntropy
from moola_losses.origin_shared_scale import OriginSharedScale
from moola_losses.schedules import Constant, Schedule
from moola_train import Task
from moola_train.recipes.catalogue_config import CatalogueConfig, FlowForm
from moola_train.recipes.catalogue_network import has_flow

TINY = 1e-8
"""What the first system kept logarithms and divisions finite with."""


class BookedFlow:
    """The flow's loss on lines as the data holds them: account, side and share, float (B, T, 3).

    Args:
        form: As `LossSection.flow_form` tells.
    """

    def __init__(self, *, form: FlowForm) -> None:
        self.form = form
        self.divergence = FlowDivergence()

    def __call__(
        self, output: Tensor, target: Tensor, mask: Tensor, weight: Tensor, /
    ) -> tuple[Tensor, Tensor]:
        """Compares the logarithm of predicted mass, (B, 2, C), with the booked shares."""
        account, side, amount = target.unbind(2)
        lines = account >= 0
        gold = gold_flow(account.long(), side.long(), amount, lines=lines, size=output.shape[2])
        if self.form == "divergence":
            found = self.divergence(output, gold, mask, weight)
            return found.total, found.weight
        whole = gold.sum(2)
        if self.form == "squares":
            each = (output.softmax(2) - gold / whole.clamp(min=1e-12)[..., None]).square().mean(2)
        else:
            each = among_booked(output.exp(), gold, padded=self.form == "padded")
        weights = (mask * weight)[:, None] * (whole > 0)
        return (each * weights).sum(), weights.sum()


def among_booked(mass: Tensor, gold: Tensor, *, padded: bool) -> Tensor:
    """Returns the first system's divergence, which compares shares among the booked accounts only.

    A side with one account costs nothing there, however little of the mass it gets: among itself it has all.

    Args:
        mass: Predicted mass of every account by side, (B, 2, C).
        gold: Booked amounts likewise.
        padded: Whether 1e-8 is added to both shares under the logarithm, as before the system's sixth fix;
            since then both are held in [1e-8, 1].

    Returns:
        Sum over booked accounts of q (ln q - ln p), (B, 2).
    """
    booked = (gold > 0).to(mass.dtype)
    mass = mass * booked
    q = gold / (gold.sum(2, keepdim=True) + TINY)
    p = mass / (mass.sum(2, keepdim=True) + TINY)
    logs = [(x + TINY).log() if padded else x.clamp(TINY, 1.0).log() for x in (q, p)]
    return (booked * q * (logs[0] - logs[1])).sum(2)


class ScheduledWeights(nn.Module):
    """Adds the losses up, each by the weight that its schedule has in this epoch, counted from 0.

    Args:
        schedules: By task.

    >>> from moola_losses.schedules import Linear
    >>> weights = ScheduledWeights({"flow": Linear(start=1.0, end=0.0, over=4)})
    >>> weights.epoch_end()
    >>> float(weights({"flow": torch.tensor(2.0)}))
    1.5
    """

    epoch: Tensor

    def __init__(self, schedules: Mapping[str, Schedule]) -> None:
        super().__init__()
        self.schedules = dict(schedules)
        # In the state dict, so that a resumed run goes on where it was.
        self.register_buffer("epoch", torch.zeros((), dtype=torch.int64))

    def forward(self, losses: Mapping[str, Tensor]) -> Tensor:
        """Returns the weighted sum."""
        now = self.coefficients()
        return torch.stack([now[task] * loss for task, loss in losses.items()]).sum()

    def coefficients(self) -> dict[str, float]:
        """Returns the weights of this epoch."""
        return {task: schedule.at(int(self.epoch)) for task, schedule in self.schedules.items()}

    def epoch_end(self) -> None:
        """Goes on to the next epoch."""
        self.epoch += 1


class OriginScaled(ScheduledWeights):
    """The same after the first system's shared running scale has divided account, side and stop.

    Args:
        schedules: By task.
        scaled: The tasks that are divided.
    """

    def __init__(self, schedules: Mapping[str, Schedule], *, scaled: Sequence[str]) -> None:
        super().__init__(schedules)
        self.shared = OriginSharedScale(tuple(scaled))

    def forward(self, losses: Mapping[str, Tensor]) -> Tensor:
        """Returns the weighted sum."""
        self.shared({task: losses[task] for task in self.shared.tasks})
        scale = self.shared.coefficients()
        return super().forward({task: loss * scale.get(task, 1.0) for task, loss in losses.items()})


class Learning(NamedTuple):
    """The tasks and what adds their losses up."""

    tasks: tuple[Task, ...]
    balancer: ScheduledWeights


def learning(catalogue: Catalogue, config: CatalogueConfig) -> Learning:
    """Returns the tasks that ever count; one of weight 0 is left out."""
    losses = config.losses
    account: LineCrossEntropy | HierarchicalPointer = LineCrossEntropy()
    if losses.ancestors:
        account = HierarchicalPointer(parents=catalogue.parents, own=1 - losses.ancestors)
    C = len(catalogue)
    tasks = {
        "account": (Task("account", account, classes=C), Constant(value=losses.account)),
        "side": (Task("side", LineCrossEntropy(), classes=2), Constant(value=losses.side)),
        "stop": (Task("stop", LineCrossEntropy(), classes=2), Constant(value=losses.stop)),
    }
    weighed: dict[str, tuple[Task, Schedule]] = {k: v for k, v in tasks.items() if v[1].value}
    if has_flow(config):
        weighed["flow"] = (Task("flow", BookedFlow(form=losses.flow_form)), losses.flow)
    if any(losses.coverage.at(epoch) > 0 for epoch in range(config.fit.epochs)):
        weighed["coverage"] = (
            Task("coverage", Coverage(), head="account", target="account", classes=C),
            losses.coverage,
        )
    if not weighed:
        raise ValueError("losses: want one weight above 0, got none")
    schedules = {name: schedule for name, (_, schedule) in weighed.items()}
    balancer: ScheduledWeights = ScheduledWeights(schedules)
    if losses.scaling == "origin":
        balancer = OriginScaled(schedules, scaled=[name for name in tasks if name in weighed])
    return Learning(tuple(task for task, _ in weighed.values()), balancer)
