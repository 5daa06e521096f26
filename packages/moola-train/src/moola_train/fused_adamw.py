"""AdamW on the CPU, whose step costs little more than its arithmetic."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import torch
from torch import Tensor


class _Part(NamedTuple):
    """Parameters of one group and one type, side by side with their state, as the fused kernel takes them."""

    group: dict[str, Any]
    parameters: list[Tensor]
    first: list[Tensor]
    second: list[Tensor]
    steps: list[Tensor]


class FusedAdamW(torch.optim.AdamW):
    """`torch.optim.AdamW` with ``fused=True``, bit for bit, for parameters on the CPU.

    On a small model torch spends several times as long on looking up a group's tensors and sorting them by
    device and type as on the update. Here that is done once for each set of parameters that have a gradient.
    """

    _parts: dict[tuple[bool, ...], list[_Part]]

    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> None:  # type: ignore[override]
        """Takes one step; `torch.optim.AdamW.step` without a closure, which has no use in this loop."""
        if closure is not None:
            raise ValueError("closure: want None, got one")
        present = tuple([p.grad is not None for group in self.param_groups for p in group["params"]])
        parts = self._parts.get(present)
        if parts is None:
            parts = self._parts[present] = self._gathered()
        found_inf: Tensor | None = getattr(self, "found_inf", None)
        for group, parameters, first, second, steps in parts:
            torch._foreach_add_(steps, 1)
            torch._fused_adamw_(
                parameters,
                [p.grad for p in parameters],  # type: ignore[misc]
                first,
                second,
                [],
                steps,
                lr=group["lr"],
                beta1=group["betas"][0],
                beta2=group["betas"][1],
                weight_decay=group["weight_decay"],
                eps=group["eps"],
                amsgrad=False,
                maximize=False,
                found_inf=found_inf,
            )
            if found_inf is not None:
                torch._foreach_sub_(steps, [found_inf] * len(steps))  # a masked step does not count

    def add_param_group(self, param_group: dict[str, Any]) -> None:
        """Adds a group; see `torch.optim.Optimizer.add_param_group`."""
        super().add_param_group(param_group)
        self._parts = {}

    def __setstate__(self, state: dict[str, Any]) -> None:
        super().__setstate__(state)
        self._parts = {}

    def _gathered(self) -> list[_Part]:
        parts: list[_Part] = []
        for group in self.param_groups:
            by_type: dict[torch.dtype, _Part] = {}
            for parameter in group["params"]:
                if parameter.grad is None:
                    continue
                if parameter.grad.is_sparse:
                    raise ValueError("gradient: want a dense one for AdamW, got a sparse one")
                part = by_type.setdefault(parameter.dtype, _Part(group, [], [], [], []))
                state = self.state[parameter]
                if not state:
                    state["step"] = torch.zeros((), dtype=torch.float32)
                    state["exp_avg"] = torch.zeros_like(parameter, memory_format=torch.preserve_format)
                    state["exp_avg_sq"] = torch.zeros_like(parameter, memory_format=torch.preserve_format)
                part.parameters.append(parameter)
                part.first.append(state["exp_avg"])
                part.second.append(state["exp_avg_sq"])
                part.steps.append(state["step"])
            parts += by_type.values()
        return parts
