"""The Jade network: an encoder over a window's bars, usually a bidirectional LSTM, and one head per task.

B batch, K bars, F features, R width of a bar's state (twice the hidden size), P pooled width.
"""

from __future__ import annotations

import collections
from collections.abc import Callable, Mapping
from typing import cast

import torch
from torch import Tensor, nn

from moola_models.config import JadeConfig, compact, core
from moola_models.dropout import Dropout
from moola_models.encoders import valid_bars
from moola_models.heads import Head, States, Widths
from moola_models.lstm import LstmConfig, run_lstm


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
        self.input_dropout = Dropout(config.input_dropout)
        if isinstance(config.encoder, LstmConfig):
            self.stem = config.encoder.build_stem(config.input_size)
            self.lstm = config.encoder.build_lstm(config.sizes)
        else:
            self.encoder = config.encoder.build(config.sizes)
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
            TypeError: If the features are no floating numbers.
            ValueError: If the shapes are not those of the configuration, or a length is none of 1..K.
        """
        size = self.config.input_size
        if x_BKF.ndim != 3 or x_BKF.shape[1] == 0 or x_BKF.shape[2] != size:
            raise ValueError(f"x_BKF: want shape (batch, bars, {size}), got {tuple(x_BKF.shape)}")
        if not x_BKF.is_floating_point():
            raise TypeError(f"x_BKF: want floating numbers, got {x_BKF.dtype}")
        if lengths is not None:
            _check_lengths(lengths, x_BKF)
        dropped_BKF = self.input_dropout(x_BKF)
        if not isinstance(self.config.encoder, LstmConfig):
            z_BKR: Tensor = self.encoder(dropped_BKF, lengths)
            return z_BKR
        if self.stem is not None:
            dropped_BKF = self.stem(dropped_BKF, lengths)
        return run_lstm(self.lstm, dropped_BKF, lengths)

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
            mean_BR = (z_BKR * valid_bars(z_BKR, lengths)[:, :, None]).sum(1) / lengths[:, None]
        pooled_BP = mean_BR if self.projection is None else torch.relu(self.projection(mean_BR))
        return States(z_BKR, pooled_BP, lengths)


def _check_lengths(lengths: Tensor, x_BKF: Tensor) -> None:
    B, K, _ = x_BKF.shape
    if lengths.shape != (B,) or lengths.dtype != torch.int64:
        raise ValueError(f"lengths: want shape ({B},) int64, got {tuple(lengths.shape)} {lengths.dtype}")
    if not torch.compiler.is_compiling() and ((lengths < 1) | (lengths > K)).any():
        row = int(((lengths < 1) | (lengths > K)).nonzero()[0])
        raise ValueError(f"lengths: want 1..{K}, got {int(lengths[row])} in row {row}")


def JadeCompact(input_size: int = 12, *, classes: int = 3, seed: int = 0) -> Jade:  # noqa: N802
    """The compact network with four tasks: ``Jade(compact(input_size, classes=classes), seed=seed)``."""
    return Jade(compact(input_size, classes=classes), seed=seed)


def JadeCore(input_size: int = 12, *, classes: int = 3, seed: int = 0) -> Jade:  # noqa: N802
    """The two-layer network with four tasks: ``Jade(core(input_size, classes=classes), seed=seed)``."""
    return Jade(core(input_size, classes=classes), seed=seed)
