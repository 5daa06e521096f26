"""The Jade network: a bidirectional LSTM over a window's bars and one head per task.

B batch, K bars, F features, R width of a bar's state (twice the hidden size), P pooled width.
"""

from __future__ import annotations

import collections
from collections.abc import Callable, Mapping
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from moola_models.config import JadeConfig, compact, core
from moola_models.heads import Head, States, Widths


def outputs_class(names: tuple[str, ...]) -> Callable[..., tuple[Tensor, ...]]:
    """Makes the NamedTuple class with one tensor field per task."""
    return cast("Callable[..., tuple[Tensor, ...]]", collections.namedtuple("Outputs", names))


class Jade(nn.Module):
    """Marks expansions: encodes a window's bars once and answers every task from the shared states.

    ``outputs = model(x_BKF)`` is a NamedTuple with one field per head of the configuration, so
    ``outputs.span`` or ``getattr(outputs, task)``. A structured head gives its per-window log-likelihood when
    its task stands in `targets`.

    Args:
        config: Sizes, heads and dropouts.
        seed: Of the parameters' first values. The global random state is neither read nor moved.

    >>> model = Jade(compact(input_size=12), seed=0).eval()
    >>> outputs = model(torch.zeros(2, 105, 12))
    >>> outputs._fields
    ('type', 'pointers', 'span', 'countdown')
    >>> outputs.span.shape
    torch.Size([2, 105])
    """

    def __init__(self, config: JadeConfig, *, seed: int = 0) -> None:
        super().__init__()
        self.config = config
        self._outputs = outputs_class(tuple(head.name for head in config.heads))
        with torch.random.fork_rng(devices=[]), torch.device("cpu"):
            # torch.manual_seed would also move the state of every GPU.
            torch.default_generator.manual_seed(seed)
            self._build()

    def _build(self) -> None:
        config = self.config
        width = 2 * config.hidden
        self.input_dropout = nn.Dropout(config.input_dropout)
        self.lstm = nn.LSTM(
            config.input_size,
            config.hidden,
            num_layers=config.layers,
            dropout=config.layer_dropout,
            batch_first=True,
            bidirectional=True,
        )
        self.projection = None if config.projection is None else nn.Linear(width, config.projection)
        widths = Widths(width, config.projection or width, config.dense_dropout)
        # The suffix lets a task have the name of any attribute of nn.Module: type, forward, half.
        self.readouts = nn.ModuleDict({f"{head.name}_head": head.build(widths) for head in config.heads})

    @property
    def tasks(self) -> tuple[str, ...]:
        """Names of the tasks, in the order of the outputs."""
        return tuple(head.name for head in self.config.heads)

    def encode(self, x_BKF: Tensor, *, lengths: Tensor | None = None) -> Tensor:
        """Encodes every bar in the light of the whole window.

        Args:
            x_BKF: Features, float, in the unit of the feature set.
            lengths: Valid leading bars of each window, (B,) int64 in 1..K; None: all K. What stands in padded
                bars does not matter, as long as it is finite.

        Returns:
            The shared representation z_BKR; zeros at padded bars.

        Raises:
            ValueError: If the shapes are not those of the configuration.
        """
        size = self.config.input_size
        if x_BKF.ndim != 3 or x_BKF.shape[1] == 0 or x_BKF.shape[2] != size:
            raise ValueError(f"x_BKF: want shape (batch, bars, {size}), got {tuple(x_BKF.shape)}")
        dropped_BKF = self.input_dropout(x_BKF)
        if lengths is None:
            z_BKR: Tensor = self.lstm(dropped_BKF)[0]
            return z_BKR
        if lengths.shape != x_BKF.shape[:1]:
            raise ValueError(f"lengths: want shape ({len(x_BKF)},), got {tuple(lengths.shape)}")
        # Unlike a mask, packing lets the backward direction start at the last valid bar.
        packed = pack_padded_sequence(dropped_BKF, lengths.cpu(), batch_first=True, enforce_sorted=False)
        states, _ = pad_packed_sequence(self.lstm(packed)[0], batch_first=True, total_length=x_BKF.shape[1])
        return states

    def heads(
        self,
        z_BKR: Tensor | Mapping[str, Tensor],
        targets: Mapping[str, Tensor] | None = None,
        *,
        lengths: Tensor | None = None,
    ) -> tuple[Tensor, ...]:
        """Answers every task; everything here, the projection included, belongs to the heads.

        Args:
            z_BKR: The shared representation, or one per head by name: a gradient balancer that cuts the graph
                at z hands each head its own leaf.
            targets: By task name; read by structured heads only.
            lengths: As given to `encode`.

        Returns:
            A NamedTuple with one field per head. type: (B, C) logits; pointers: (B, 2) in (0, 1); span:
            (B, K) logits; countdown: (B, K); span by CRF: (B,) log-likelihoods given its target, else (B, K)
            marginal log-odds.

        Raises:
            KeyError: If the mapping lacks a head.
        """
        if isinstance(z_BKR, Tensor):
            states = dict.fromkeys(self.tasks, self.states(z_BKR, lengths))
        elif missing := [name for name in self.tasks if name not in z_BKR]:
            raise KeyError(f"z_BKR: want a representation for every head, got none for {missing}")
        else:
            states = {name: self.states(z_BKR[name], lengths) for name in self.tasks}
        known = {} if targets is None else targets
        return self._outputs(
            *(self.readouts[f"{name}_head"](states[name], known.get(name)) for name in self.tasks)
        )

    def forward(
        self,
        x_BKF: Tensor,
        *,
        targets: Mapping[str, Tensor] | None = None,
        lengths: Tensor | None = None,
    ) -> tuple[Tensor, ...]:
        """Runs `encode`, then `heads`."""
        return self.heads(self.encode(x_BKF, lengths=lengths), targets, lengths=lengths)

    def head(self, name: str) -> Head:
        """The module of a task, for what only that head can do.

        Raises:
            KeyError: If no head has the name.
        """
        if f"{name}_head" not in self.readouts:
            raise KeyError(f"name: want one of {list(self.tasks)}, got {name!r}")
        found = self.readouts[f"{name}_head"]
        assert isinstance(found, Head)
        return found

    def states(self, z_BKR: Tensor, lengths: Tensor | None = None) -> States:
        """What the heads see of a representation: ``model.head("span").distribution(model.states(z))``."""
        if lengths is None:
            mean_BR = z_BKR.mean(1)
        else:
            lengths = lengths.to(z_BKR.device)
            valid_BK = torch.arange(z_BKR.shape[1], device=z_BKR.device) < lengths[:, None]
            mean_BR = (z_BKR * valid_BK[:, :, None]).sum(1) / lengths[:, None]
        pooled_BP = mean_BR if self.projection is None else torch.relu(self.projection(mean_BR))
        return States(z_BKR, pooled_BP, lengths)


def JadeCompact(input_size: int = 12, *, classes: int = 3, seed: int = 0) -> Jade:  # noqa: N802
    """The compact network with four tasks: ``Jade(compact(input_size, classes=classes), seed=seed)``."""
    return Jade(compact(input_size, classes=classes), seed=seed)


def JadeCore(input_size: int = 12, *, classes: int = 3, seed: int = 0) -> Jade:  # noqa: N802
    """The two-layer network with four tasks: ``Jade(core(input_size, classes=classes), seed=seed)``."""
    return Jade(core(input_size, classes=classes), seed=seed)
