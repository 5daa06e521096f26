"""The lines that may come next, and how likely each is: what both ways of writing entries choose from.

R rows, A candidates for an account, t lines written, C accounts.
"""

from __future__ import annotations

from typing import NamedTuple, Protocol, TypeVar

import torch
from torch import Tensor

from moola_models.odds import full_precision
from moola_models.pointer_layer import mask_logits

S = TypeVar("S", bound="Rows")
NEVER = float("-inf")


class Rows(Protocol):
    """A decoder's state of R rows; `moola_models.line_decoder.DecoderState` is one."""

    def select(self: S, rows: Tensor) -> S:
        """Returns the state of these rows, int64."""
        ...


class Said(Protocol):
    """What a decoder says of one line of R rows; `moola_models.line_decoder.Step` is one."""

    @property
    def account(self) -> Tensor:
        """Logits of the account, (R, 1, C)."""
        ...

    @property
    def line(self) -> Tensor:
        """What side and stop are read from, (R, 1, …)."""
        ...


class Decoder(Protocol[S]):
    """What writes lines; `moola_models.entry_model.EntryModel` is one, in evaluation mode."""

    def begin(self, inputs: Tensor) -> S:
        """Returns the state before the first line."""
        ...

    def step(self, state: S, account: Tensor, side: Tensor) -> tuple[Said, S]:
        """Reads the line before, int64 (R, 1) each, `NO_LINE` before the first."""
        ...

    def side_logits(self, line: Tensor, account: Tensor) -> Tensor:
        """Returns (R, A, 2) for line (R, A, …) and account int64 (R, A)."""
        ...

    def stop_logits(self, line: Tensor, account: Tensor, side: Tensor) -> Tensor:
        """Returns (R, A, 2), 0 another line, 1 nothing more, for line, account and side."""
        ...


class NextLines(NamedTuple):
    """The next lines that are worth a look: scores are -inf where a line is forbidden."""

    account: Tensor  # int64 (R, A)
    line: Tensor  # (R, A, 2), log p(account) p(side | account)
    follows: Tensor  # (R, A, 2, 2), log p(another), log p(nothing more)
    may_stop: Tensor  # bool (R, A, 2)
    may_go_on: Tensor  # bool (R, A, 2)
    number: int  # of the line, from 0


class Rules(NamedTuple):
    """What may be written: see `moola_models.line_search.greedy_search`."""

    both_sides: bool
    no_repeat: bool
    allowed: Tensor | None
    lines: int


def next_lines(
    decoder: Decoder[S],
    said: Said,
    account_Rt: Tensor,
    side_Rt: Tensor,
    *,
    rules: Rules,
    width: int,
    before: Tensor,
) -> NextLines:
    """Scores the next lines; rows marked in `before` are over and need no possible line."""
    log_account = full_precision(said.account[:, 0]).log_softmax(1)
    R, C = log_account.shape
    t = account_Rt.shape[1]
    if bool(log_account.isnan().any()):
        row = int(log_account.isnan().any(1).nonzero()[0])
        raise ValueError(f"decoder: want logits that are numbers, got nan at line {t} in row {row}")
    pairs = torch.full((R, 1, 1), 2 * C, device=log_account.device)
    if rules.allowed is not None:
        log_account = mask_logits(log_account, rules.allowed.expand(R, C))
        pairs = 2 * rules.allowed.expand(R, C).sum(1)[:, None, None]
    log_p, account = log_account.topk(min(C, max(2 * width, 8) + t), 1)
    # What a mask put at the smallest number is not a candidate, however few are left.
    log_p = log_p.masked_fill(log_p < torch.finfo(log_p.dtype).min / 2, NEVER)
    A = account.shape[1]
    state = said.line[:, 0][:, None].expand(R, A, *said.line.shape[2:])
    log_side = full_precision(decoder.side_logits(state, account)).log_softmax(2)
    follows = [
        full_precision(decoder.stop_logits(state, account, torch.full_like(account, side))).log_softmax(2)
        for side in (0, 1)
    ]
    line = log_p[..., None] + log_side.to(log_p.dtype)
    has = torch.stack([(side_Rt == side).any(1) for side in (0, 1)], 1)[:, None]
    complete = has.flip(2).expand(R, A, 2) if rules.both_sides else torch.ones_like(line, dtype=torch.bool)
    if rules.both_sides and t == rules.lines - 1:
        line = line.masked_fill(~complete, NEVER)
    may_go_on = torch.ones_like(complete)
    if rules.no_repeat:
        same = account_Rt[:, None, :, None] == account[:, :, None, None]
        sides = side_Rt[:, None, :, None] == torch.arange(2, device=account.device)
        line = line.masked_fill((same & sides).any(2), NEVER)
        may_go_on = (t + 1 < pairs).expand_as(complete)
    stuck = (line == NEVER).flatten(1).all(1) & ~before
    if bool(stuck.any()):
        raise ValueError(
            f"decoder: want a line that may be written, got none in row {int(stuck.nonzero()[0])}"
        )
    return NextLines(account, line, torch.stack(follows, 2).to(line.dtype), complete, may_go_on, t)


def rules_of(decoder: object, lines: int, both_sides: bool, no_repeat: bool, allowed: Tensor | None) -> Rules:
    """Checks what `moola_models.line_search` was asked for.

    Raises:
        ValueError: If the decoder is in training mode, or the lines or accounts leave nothing to write.
    """
    if getattr(decoder, "training", False):
        raise ValueError("decoder: want evaluation mode, got training mode; call model.eval()")
    if lines < 1 + both_sides:
        raise ValueError(f"max_lines: want {1 + both_sides} or more, got {lines}")
    if allowed is not None and (allowed.dtype != torch.bool or allowed.ndim not in (1, 2)):
        raise ValueError(f"allowed: want bool (C,) or (B, C), got {allowed.dtype} {tuple(allowed.shape)}")
    return Rules(both_sides, no_repeat, allowed, lines)
