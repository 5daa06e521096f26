"""Entries that were booked before, looked up by text: their accounts are mixed into the pointer's.

After kNN-LM (Khandelwal and others, 2020): p = (1 - λ) p_pointer + λ p_neighbours, where p_neighbours puts
each neighbour's weight on the account of the line at the same place. λ and the weights are learned.

M remembered entries at most, D width of a key, T lines, K neighbours, B batch, n lines of a step, C accounts.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional

from moola_models.odds import full_precision
from moola_models.pointer_layer import USUAL_SCALE, held_scale, hold_scale

NOBODY = -1
"""Owner of what belongs to no remembered entry, such as an entry to predict."""


class Neighbours(NamedTuple):
    """The most similar remembered entries.

    Attributes:
        similarity: Cosine of the keys, (B, K), 0 where there is no such neighbour.
        row: Row in the memory, int64 (B, K), -1 where there is none.
    """

    similarity: Tensor
    row: Tensor


class LabelMemory(nn.Module):
    """Remembers keys and accounts of the training entries, in the checkpoint, and finds neighbours exactly.

    Args:
        size: M, room for so many entries.
        neighbours: K, 1 or more; fewer are found where fewer are remembered.
        key_width: D.
        lines: T.
        width: Of the decoder's states, from which λ is read.
    """

    keys: Tensor
    accounts: Tensor
    owners: Tensor

    def __init__(self, *, size: int, neighbours: int, key_width: int, lines: int, width: int) -> None:
        super().__init__()
        self.neighbours = min(neighbours, size)
        self.register_buffer("keys", torch.zeros(size, key_width))
        self.register_buffer("accounts", torch.full((size, lines), -1))
        self.register_buffer("owners", torch.full((size,), NOBODY))
        self.log_scale = nn.Parameter(torch.tensor(math.log(USUAL_SCALE)))
        self.gate = nn.Linear(width + 1, 1)

    @torch.no_grad()
    def remember(self, keys: Tensor, accounts: Tensor, owners: Tensor) -> None:
        """Replaces all that is remembered. Give it training entries only.

        Args:
            keys: float (m, D), m up to M.
            accounts: int64 (m, T), -1 behind the last line.
            owners: int64 (m,), 0 or more: the entry's number, or that of a group of entries. An entry never
                finds what has its own number.

        Raises:
            ValueError: If shapes or numbers do not fit.
        """
        m = len(keys)
        room, lines = self.accounts.shape
        if m > room:
            raise ValueError(f"keys: want {room} rows or fewer (the memory's size), got {m}")
        if keys.shape != (m, self.keys.shape[1]) or accounts.shape != (m, lines) or owners.shape != (m,):
            raise ValueError(
                f"keys, accounts, owners: want ({m}, {self.keys.shape[1]}), ({m}, {lines}), ({m},), got "
                f"{tuple(keys.shape)}, {tuple(accounts.shape)}, {tuple(owners.shape)}"
            )
        if bool((owners < 0).any()):
            row = int((owners < 0).nonzero()[0])
            raise ValueError(f"owners: want 0 or more, got {int(owners[row])} in row {row}")
        self.keys.zero_()[:m] = keys.to(self.keys)
        self.accounts.fill_(-1)[:m] = accounts.to(self.accounts)
        self.owners.fill_(NOBODY)[:m] = owners.to(self.owners)

    @torch.no_grad()
    def nearest(self, keys: Tensor, owners: Tensor) -> Neighbours:
        """Finds the neighbours of texts, greatest cosine first.

        Args:
            keys: float (B, D), of length 1.
            owners: int64 (B,): what is remembered under the same number is left out. `NOBODY` leaves nothing
                out.
        """
        similarity_BM = full_precision(keys.to(self.keys) @ self.keys.T)
        left_out = (self.owners == NOBODY) | (self.owners == owners[:, None])
        similarity_BK, index_BK = similarity_BM.masked_fill(left_out, -math.inf).topk(self.neighbours, 1)
        found = similarity_BK > -math.inf
        return Neighbours(torch.where(found, similarity_BK, 0), torch.where(found, index_BK, -1))

    def lines_of(self, index_BK: Tensor) -> Tensor:
        """Returns the neighbours' accounts, int64 (B, K, T), -1 behind the last line and where none is."""
        accounts = self.accounts[index_BK.clamp(min=0)]
        return torch.where((index_BK >= 0)[..., None], accounts, -1)

    def forward(
        self, logits_BnC: Tensor, states_BnH: Tensor, similarity_BK: Tensor, accounts_BKn: Tensor
    ) -> tuple[Tensor, Tensor]:
        """Mixes what neighbours booked at the same lines into the pointer's distribution.

        Args:
            logits_BnC: Of the pointer.
            states_BnH: Of the decoder.
            similarity_BK: Of the neighbours.
            accounts_BKn: What they booked at these lines, -1 for nothing.

        Returns:
            Logarithms of the mixed probabilities, (B, n, C), and λ, (B, n): 0 where no neighbour has
            the line.
        """
        log_pointer = full_precision(logits_BnC).log_softmax(2)
        accounts_BnK = accounts_BKn.transpose(1, 2)
        known = accounts_BnK >= 0
        some = known.any(2)
        if self.training:
            hold_scale(self.log_scale)
        scale = held_scale(self.log_scale)
        least = torch.finfo(log_pointer.dtype).min
        weights = full_precision(scale * similarity_BK.to(scale.dtype)).to(log_pointer.dtype)[:, None]
        weights = torch.where(
            known, weights.expand(accounts_BnK.shape).masked_fill(~known, least).softmax(2), 0
        )
        p_BnC = torch.zeros_like(log_pointer).scatter_add(2, accounts_BnK.clamp(min=0), weights)
        # A floor far below any probability: a logarithm of 0 has no gradient, not even where it is masked.
        log_neighbours = torch.where(p_BnC > 0, p_BnC, 1).log().masked_fill(p_BnC <= 0, least / 4)
        closest = similarity_BK.amax(1, keepdim=True)[:, None].expand(-1, states_BnH.shape[1], -1)
        gate = full_precision(self.gate(torch.cat([states_BnH, closest.to(states_BnH.dtype)], 2))).squeeze(2)
        gate = gate.to(log_pointer.dtype)
        log_kept = torch.where(some, functional.logsigmoid(-gate), 0)
        log_share = torch.where(some, functional.logsigmoid(gate), least / 4)
        mixed = torch.logaddexp(log_pointer + log_kept[..., None], log_neighbours + log_share[..., None])
        return mixed, torch.where(some, gate.sigmoid(), 0)
