"""Takes over weights from an earlier model, and says of every tensor what became of it.

>>> from moola_models import Jade, compact
>>> old, new = Jade(compact(12, span="crf"), seed=1), Jade(compact(12), seed=2)
>>> report = from_pretrained(new, old.state_dict(), prefixes=("lstm.",))
>>> len(report.matched), report.missing, torch.equal(old.lstm.weight_hh_l0, new.lstm.weight_hh_l0)
(8, (), True)
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import Literal, NamedTuple

import torch
from torch import Tensor, nn

from moola_models.store import load_balancer, load_tensors


class Differing(NamedTuple):
    """A tensor that both sides have, in different shapes."""

    name: str
    wanted: tuple[int, ...]
    found: tuple[int, ...]


class Transfer(NamedTuple):
    """What became of each tensor; names are those of the model's state.

    Attributes:
        matched: Taken over.
        missing: Asked for, and not in the source: as they were.
        differing: In both with different shapes: as they were.
        unexpected: Asked for, in the source, and not in the model.
        untouched: Tensors of the model that were not asked for.
        ignored: Tensors of the source that were not asked for.
        balancer: Taken over by the balancer.
    """

    matched: tuple[str, ...]
    missing: tuple[str, ...]
    differing: tuple[Differing, ...]
    unexpected: tuple[str, ...]
    untouched: tuple[str, ...]
    ignored: tuple[str, ...]
    balancer: tuple[str, ...] = ()

    def __str__(self) -> str:
        """One line for each kind that is not empty."""
        shapes = [f"{d.name} {list(d.found)} instead of {list(d.wanted)}" for d in self.differing]
        kinds = {
            "matched": self.matched,
            "missing": self.missing,
            "differing": shapes,
            "unexpected": self.unexpected,
            "untouched": self.untouched,
            "ignored": self.ignored,
            "balancer": self.balancer,
        }
        return "\n".join(
            f"{kind} ({len(names)}): {', '.join(names)}" for kind, names in kinds.items() if names
        )


def from_pretrained(
    model: nn.Module,
    source: str | os.PathLike[str] | Mapping[str, Tensor],
    *,
    prefixes: Sequence[str] = ("",),
    source_prefix: str = "",
    need: Literal["all", "some"] = "all",
    balancer: nn.Module | None = None,
) -> Transfer:
    """Copies tensors into a model by name. Either everything asked for fits, or nothing is changed.

    Args:
        model: Any module. Copied values take on the types and devices of its tensors.
        source: A model folder, or a state dictionary.
        prefixes: Which of the model's tensors to take over: those whose names begin with one of these;
            ``("lstm.",)`` is the usual encoder of `Jade`, ``("encoder.",)`` any other. All where omitted.
        source_prefix: Stands before the names in the source: "encoder." for the state of a pretraining
            module. Names in the source without it count as not asked for.
        need: "all" refuses missing, differing and unexpected tensors. "some" takes over what fits, reports
            the rest, and refuses only if nothing fits.
        balancer: A task balancer that takes over, strictly, the state that lies in the folder.

    Returns:
        What became of every tensor.

    Raises:
        FileNotFoundError: If a file of the folder is missing, a balancer's state included when asked for.
        TypeError: If `prefixes` is one string, or a tensor's kind of number is not that of the model's: whole
            or complex numbers in place of floating ones.
        ValueError: If a file is damaged, a prefix begins no name of the model, tensors do not fit as `need`
            and the balancer want, a number is too large for the model's type, or a balancer's state is wanted
            from a state dictionary.
    """
    if need not in ("all", "some"):
        raise ValueError(f"need: want 'all' or 'some', got {need!r}")
    if isinstance(prefixes, str):
        raise TypeError(f"prefixes: want a sequence of names' beginnings, got the string {prefixes!r}")
    wanted = dict(model.state_dict())
    for prefix in prefixes:
        if not any(name.startswith(prefix) for name in wanted):
            raise ValueError(
                f"prefixes: want beginnings of the model's names, got {prefix!r}; names are {sorted(wanted)}"
            )
    folder = None if isinstance(source, Mapping) else source
    given = dict(source) if isinstance(source, Mapping) else load_tensors(source)
    offered = {
        name.removeprefix(source_prefix): tensor
        for name, tensor in given.items()
        if name.startswith(source_prefix)
    }

    def asked(name: str) -> bool:
        return name.startswith(tuple(prefixes))

    both = [name for name in wanted if asked(name) and name in offered]
    fitting = [name for name in both if wanted[name].shape == offered[name].shape]
    report = Transfer(
        matched=tuple(fitting),
        missing=tuple(name for name in wanted if asked(name) and name not in offered),
        differing=tuple(
            Differing(name, tuple(wanted[name].shape), tuple(offered[name].shape))
            for name in both
            if name not in fitting
        ),
        unexpected=tuple(name for name in offered if asked(name) and name not in wanted),
        untouched=tuple(name for name in wanted if not asked(name)),
        ignored=tuple(
            name
            for name in given
            if not (name.startswith(source_prefix) and asked(name.removeprefix(source_prefix)))
        ),
    )
    if not fitting or (need == "all" and (report.missing or report.differing or report.unexpected)):
        raise ValueError(f"source: want every tensor asked for, got\n{report}")
    for name in fitting:
        _check_numbers(name, wanted[name], offered[name])
    carried: dict[str, Tensor] = {}
    if balancer is not None:
        if folder is None:
            raise ValueError("balancer: want a model folder as source, got a state dictionary")
        carried = load_balancer(folder)
        shapes = {name: tuple(tensor.shape) for name, tensor in balancer.state_dict().items()}
        found = {name: tuple(tensor.shape) for name, tensor in carried.items()}
        if shapes != found:
            raise ValueError(f"balancer: want tensors {shapes}, got {found}")
    with torch.no_grad():
        for name in fitting:
            wanted[name].copy_(offered[name])
    if balancer is not None:
        balancer.load_state_dict(carried)
    return report._replace(balancer=tuple(carried))


def _check_numbers(name: str, wanted: Tensor, offered: Tensor) -> None:
    if (
        wanted.is_floating_point() != offered.is_floating_point()
        or offered.is_complex() != wanted.is_complex()
    ):
        raise TypeError(f"source: want {name!r} of numbers like {wanted.dtype}, got {offered.dtype}")
    lost = int((offered.isfinite() & ~offered.to(wanted.dtype).isfinite()).sum())
    if lost:
        raise ValueError(
            f"source: want {name!r} within the range of {wanted.dtype}, got {lost} numbers beyond it"
        )
