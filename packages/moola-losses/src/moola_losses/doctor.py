"""The doctor: says why a sum of losses is out of balance, in numbers, and what to do about it."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TypeVar

import torch
from torch import Tensor

from moola_losses.doctor_findings import find
from moola_losses.doctor_measure import Observation, measure_gradients, products
from moola_losses.doctor_report import DoctorReport, Thresholds

Value = TypeVar("Value")


class Doctor:
    """Watches the losses of named tasks during training and reports on them.

    It only looks: gradients, ``.grad``, random numbers and the graph stay as they are, so a watched run is
    bitwise the run without it. A measured step costs about one more walk through the graph a task; the others
    cost nothing but, right after a measured one, a subtraction of parameters. In a data-parallel run every
    process measures its own part of the batch.

    Args:
        tasks: Names, all different.
        every: Steps between two measured ones.
        window: How many measured steps a report covers, the last ones.
        losses: By task the loss object (or function), for what it knows of itself: its slope cap.
        floors: By task the least value the loss can reach, such as the entropy of soft marks; 0 if left out.
        constants: By task the loss of the best constant output. Every loss of this package computes both.
        preferences: By task how much its gradient shall count in the prescription; 1 where left out.
        thresholds: Beyond which numbers it convicts.

    >>> trunk, heads = torch.nn.Linear(3, 4), {task: torch.nn.Linear(4, 1) for task in ("a", "b")}
    >>> doctor = Doctor(("a", "b"), every=1)
    >>> z = trunk(torch.ones(8, 3))
    >>> losses = {"a": heads["a"](z).square().mean(), "b": 1e-4 * heads["b"](z - 9).square().mean()}
    >>> doctor.observe(losses, shared=trunk.parameters())
    True
    >>> [verdict.fault for verdict in doctor.report().of("b")]
    ['starved']
    """

    def __init__(
        self,
        tasks: Sequence[str],
        *,
        every: int = 50,
        window: int = 20,
        losses: Mapping[str, Callable[..., object]] | None = None,
        floors: Mapping[str, float] | None = None,
        constants: Mapping[str, float] | None = None,
        preferences: Mapping[str, float] | None = None,
        thresholds: Thresholds | None = None,
    ) -> None:
        names = tuple(tasks)
        if isinstance(tasks, str) or not names or len(set(names)) < len(names):
            raise ValueError(f"tasks: want one or more different names, got {tasks!r}")
        for name, count in (("every", every), ("window", window)):
            if count < 1:
                raise ValueError(f"{name}: want at least 1, got {count}")
        self.tasks = names
        self.every = every
        self.thresholds = thresholds or Thresholds()
        self._losses = self._known("losses", losses)
        self._floors = self._known("floors", floors)
        self._constants = self._known("constants", constants)
        self._preferences = self._known("preferences", preferences)
        for task, value in self._preferences.items():
            if not 0 < value < math.inf:
                raise ValueError(f"preferences: want numbers above 0, got {value} for {task!r}")
        self._observations: deque[Observation] = deque(maxlen=window)
        self._step = 0
        self._place: str | None = None
        self._before: Tensor | None = None  # last rows, for repeats
        self._watched: tuple[Observation, Tensor, list[Tensor], list[Tensor]] | None = None

    def observe(
        self,
        losses: Mapping[str, Tensor | None],
        *,
        shared: Iterable[Tensor] = (),
        heads: Mapping[str, Iterable[Tensor]] | None = None,
        representation: Tensor | Sequence[Tensor] | None = None,
        outputs: Mapping[str, Tensor] | None = None,
        coefficients: Mapping[str, float] | None = None,
        floors: Mapping[str, float] | None = None,
        constants: Mapping[str, float] | None = None,
    ) -> bool:
        """Looks at one step, every `every` calls; to be called each step between forward and backward.

        What the optimiser then does to the shared parameters is read at the next call: so the harm is that of
        the actual update, whatever the optimiser, its moments, clipping and weight decay.

        Args:
            losses: Scalars with graph by task, as they are before any balancer; absent tasks missing or None.
            shared: Parameters that several tasks use; those without gradient are passed over.
            heads: Parameters of one task alone, by task.
            representation: What all heads read, with graph. If given, gradients are compared there: one walk
                through the heads instead of the whole network. Norms are then as good a guide; cosines,
                signal and harm are left out: those of the representation say little about parameters'.
            outputs: What each loss was computed from, with graph, by task: shows reduction and slope cap.
            coefficients: What the balancer multiplies each loss by, its ``coefficients()``; 1 where left out.
            floors: Of this batch, instead of those of the constructor.
            constants: Of this batch, likewise.

        Returns:
            Whether this step was measured.

        Raises:
            ValueError: If a task is unknown, a loss is no scalar or has no graph, or there is nothing shared.
        """
        self._look_back()
        step, self._step = self._step, self._step + 1
        if step % self.every:
            return False
        for name, given in (("losses", losses), ("heads", heads), ("outputs", outputs)):
            self._known(name, given)
        present = {task: loss for task, loss in losses.items() if loss is not None}
        for task, loss in present.items():
            if loss.ndim or not loss.requires_grad:
                raise ValueError(
                    f"losses: want a scalar with graph for {task!r}, got shape {tuple(loss.shape)}"
                )
        if isinstance(representation, Tensor):
            representation = [representation]
        by_parameters = representation is None
        looked_at = shared if representation is None else representation
        # A tied parameter may be listed twice; it has one gradient.
        place = [p for p in dict.fromkeys(looked_at) if p.requires_grad]
        if not place:
            raise ValueError("shared: want parameters with gradient, or a representation, got none")
        where = "parameters" if by_parameters else "representation"
        if self._place not in (None, where):
            raise ValueError(
                f"representation: want the same place at every step, got {where} after {self._place}"
            )
        self._place = where

        numbers = {task: float(loss.detach()) for task, loss in present.items()}
        finite = {task: loss for task, loss in present.items() if math.isfinite(numbers[task])}
        values = self._vector({task: numbers[task] for task in finite}, math.nan)
        found = measure_gradients(
            finite,
            self.tasks,
            place=place,
            heads={task: list(own) for task, own in (heads or {}).items()},
            outputs=outputs or {},
        )
        repeats = [math.nan] * len(self.tasks)
        if self._before is not None and self._before.shape == found.rows.shape:
            repeats = products(found.rows, self._before).diagonal().tolist()
        observation = Observation(
            step=step,
            losses=values,
            coefficients=self._vector(self._known("coefficients", coefficients), 1.0),
            floors=self._vector(self._floors | self._known("floors", floors), 0.0),
            constants=self._vector(self._constants | self._known("constants", constants), math.nan),
            gramian=products(found.rows, found.rows).tolist(),
            heads=found.heads,
            idle=found.idle,
            repeats=repeats,
            not_finite=tuple(sorted(present.keys() - finite.keys())),
            outputs=found.outputs,
        )
        self._observations.append(observation)
        if by_parameters:
            self._before = found.rows
            self._watched = observation, found.rows, place, [p.detach().clone() for p in place]
        return True

    def report(self) -> DoctorReport:
        """Reports on the last `window` measured steps.

        Raises:
            RuntimeError: If nothing was measured yet.
        """
        self._look_back()
        if not self._observations or self._place is None:
            raise RuntimeError("report: want a measured step, got none; was observe called?")
        return find(
            list(self._observations),
            self.tasks,
            place="parameters" if self._place == "parameters" else "representation",
            caps={task: _slope_cap(loss) for task, loss in self._losses.items()},
            preferences=self._preferences,
            thresholds=self.thresholds,
        )

    def reset(self) -> None:
        """Forgets what was measured, after a change of weights or losses; the step goes on."""
        self._observations.clear()
        self._before = self._watched = self._place = None

    @torch.no_grad()
    def _look_back(self) -> None:
        """Reads the first update after the last measured step; while gradients add up, there is none yet."""
        if self._watched is None:
            return
        observation, rows, place, before = self._watched
        update = torch.cat([(p - b).flatten().float() for p, b in zip(place, before, strict=True)])
        if bool((update != 0).any()):
            observation.changes = (products(rows, update[None])[:, 0]).tolist()
            observation.update = float(update.norm())
            self._watched = None

    def _known(self, name: str, given: Mapping[str, Value] | None) -> dict[str, Value]:
        unknown = sorted((given or {}).keys() - set(self.tasks))
        if unknown:
            raise ValueError(f"{name}: want tasks among {list(self.tasks)}, got {unknown[0]!r}")
        return dict(given or {})

    def _vector(self, given: Mapping[str, float], default: float) -> list[float]:
        return [float(given.get(task, default)) for task in self.tasks]


def _slope_cap(loss: object) -> float | None:
    cap = getattr(loss, "slope_cap", None)
    return float(cap) if isinstance(cap, int | float) else None
