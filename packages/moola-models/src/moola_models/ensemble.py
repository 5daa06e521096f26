"""A deep ensemble: members of one configuration, trained apart, asked together.

After Lakshminarayanan et al. (2017). How the members are run is a matter of speed only; outputs are equal to
1e-6. One after the other is the default, because it was the fastest exact way on a CPU (one core, 8 members,
105 bars): torch has no batched rule for its LSTM kernel, and a recurrence written as batched matrix products
took 2 to 3 times as long as 8 calls of the kernel, for 1 window as for 256. Encoders without recurrence can
be batched (`method="vmap"`), which spares launches and is meant for a GPU: on the CPU it took 0.6 to 0.8 of
the time for 8 TCNs on 1 window, 1.5 on 32 windows, and 1.3 to 3 for transformers, which lose their fused
attention.

M members, B batch, K bars, F features.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Literal, cast

import torch
from torch import Tensor, nn
from torch.func import functional_call, stack_module_state
from torch.nn.attention import SDPBackend, sdpa_kernel

from moola_models.jade import Jade, outputs_class
from moola_models.lstm import LstmConfig


class Ensemble(nn.Module):
    """Outputs of all members in one call, stacked; `moola_models.disagreement` says how far they agree.

    Args:
        members: At least one, of equal configuration. They are held, not copied.
        method: "loop" runs one encoder after the other, "vmap" all at once; heads run one after the other.

    Raises:
        ValueError: If there is no member, configurations differ, or the method is neither or cannot batch the
            encoder.

    >>> from moola_models.config import compact
    >>> ensemble = Ensemble([Jade(compact(12), seed=seed) for seed in range(3)]).eval()
    >>> outputs = ensemble(torch.zeros(2, 105, 12))
    >>> outputs.span.shape
    torch.Size([3, 2, 105])
    """

    def __init__(self, members: Sequence[Jade], *, method: Literal["loop", "vmap"] = "loop") -> None:
        super().__init__()
        if not members:
            raise ValueError("members: want 1 or more, got none")
        config = members[0].config
        for row, member in enumerate(members):
            if member.config != config:
                raise ValueError(
                    f"members: want the configuration {config}, got {member.config} in row {row}"
                )
        if method not in ("loop", "vmap"):
            raise ValueError(f"method: want 'loop' or 'vmap', got {method!r}")
        if method == "vmap" and isinstance(config.encoder, LstmConfig):
            raise ValueError(
                "method: want 'loop' for an LSTM, got 'vmap': torch has no batched rule for its LSTM kernel"
            )
        self.members = nn.ModuleList(members)
        self.method = method

    def forward(self, x_BKF: Tensor, *, lengths: Tensor | None = None) -> tuple[Tensor, ...]:
        """Asks every member about the same windows.

        Args:
            x_BKF: Features.
            lengths: Valid leading bars, (B,) int64; None: all.

        Returns:
            A NamedTuple as a member returns it without targets, with the members as a first axis: type
            (M, B, C), span (M, B, K).
        """
        members = [cast("Jade", member) for member in self.members]
        if self.method == "vmap":
            states = list(_encode_together(members, x_BKF, lengths))
        else:
            states = [member.encode(x_BKF, lengths=lengths) for member in members]
        answers = [member.heads(z, lengths=lengths) for member, z in zip(members, states, strict=True)]
        fields = [torch.stack(field) for field in zip(*answers, strict=True)]
        return outputs_class(members[0].tasks)(*fields)


def _encode_together(members: list[Jade], x_BKF: Tensor, lengths: Tensor | None) -> Tensor:
    """States (M, B, K, R) in one batched run; weights are stacked anew each time, so never stale."""
    encoders = [member.encoder for member in members]
    weights, buffers = stack_module_state(encoders)
    x_MBKF = torch.stack([member.input_dropout(x_BKF) for member in members])

    def encode(weights: Mapping[str, Tensor], buffers: Mapping[str, Tensor], x_BKF: Tensor) -> Tensor:
        z_BKR: Tensor = functional_call(encoders[0], (dict(weights), dict(buffers)), (x_BKF, lengths))
        return z_BKR

    with _without_fused_attention():
        z_MBKR: Tensor = torch.vmap(encode, randomness="different")(weights, buffers, x_MBKF)
    return z_MBKR


@contextmanager
def _without_fused_attention() -> Iterator[None]:
    """Torch's fused kernels, of the whole layer and of attention alone, have no batched rule."""
    enabled = torch.backends.mha.get_fastpath_enabled()
    torch.backends.mha.set_fastpath_enabled(False)
    try:
        with sdpa_kernel(SDPBackend.MATH):
            yield
    finally:
        torch.backends.mha.set_fastpath_enabled(enabled)
