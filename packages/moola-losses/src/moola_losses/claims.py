"""What a class of balancers promises; `moola_losses.testing.check_balancer` tests every promise."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, kw_only=True)
class Claims:
    """Promises of a class of balancers, its attribute `claims`.

    Whatever is promised here, every balancer has complete state, draws no number from torch's generators, and
    does what a balancer built without the task would do when a task is absent.

    Attributes:
        scalar: Calling it gives a scalar; otherwise only `backward` works.
        gradient: What it gives has a gradient. False only for methods kept because they were tried.
        shared: `backward` wants the shared parameters.
        order: Neither the order of tasks nor that of losses matters.
        alone: With one task the gradient is that task's own.
        twins: Two tasks with equal losses and gradients get equal coefficients.
        duplicate: Listing a task twice changes nothing about the direction.
        common_scale: What all losses times c do to the gradient: nothing ("invariant") or that it
            is times c too ("equivariant"); None promises neither.
        each_scale: One task's loss times c leaves the direction as it was.
        non_conflict: The direction lowers, or leaves, every loss to first order.
        positive: Wants losses above their floors.
        names: The tasks it is made for; None for any.
    """

    scalar: bool = True
    gradient: bool = True
    shared: bool = False
    order: bool = True
    alone: bool = False
    twins: bool = True
    duplicate: bool = False
    common_scale: Literal["invariant", "equivariant"] | None = None
    each_scale: bool = False
    non_conflict: bool = False
    positive: bool = False
    names: tuple[str, ...] | None = None
