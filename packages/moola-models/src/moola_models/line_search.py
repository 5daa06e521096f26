"""Writes whole entries with a decoder, line by line: the likeliest next line each time, or a beam of them.

A line is written and then the stop is consulted, so n lines have under the decoder the probability

    prod_t p(account_t) p(side_t | account_t) · prod_{t<n} p(another | line t) · p(nothing more | line n)

whatever is forbidden meanwhile: what the decoder gives to exactly these lines. Where the last possible line
is reached the last factor is 1, since nothing else can follow. Over all entries these add up to 1.

B entries, W hypotheses of each, R rows, A candidates for an account, T lines at most, C accounts.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from moola_models.line_decoder import NO_LINE
from moola_models.line_options import NEVER, Decoder, NextLines, S, next_lines, rules_of


class Written(NamedTuple):
    """Entries as they were written, the likeliest hypothesis first.

    Attributes:
        account: int64 (B, W, T), -1 behind the last line.
        side: 0 debit, 1 credit, int64 (B, W, T), -1 behind the last line.
        stop: bool (B, W, T), True at the line after which the decoder stopped by itself.
        length: Lines of each, int64 (B, W); 0 where there are fewer hypotheses than W.
        log_probability: See above, (B, W); -inf where there is no hypothesis.
    """

    account: Tensor
    side: Tensor
    stop: Tensor
    length: Tensor
    log_probability: Tensor

    def best(self) -> Written:
        """Returns the first hypothesis of each entry, without the axis W."""
        return Written(*(part[:, 0] for part in self))


@torch.no_grad()
def greedy_search(
    decoder: Decoder[S],
    inputs: Tensor,
    *,
    max_lines: int,
    both_sides: bool = True,
    no_repeat: bool = False,
    allowed: Tensor | None = None,
) -> Written:
    """Writes the likeliest next line each time, then stops if that is likelier than another line.

    Args:
        decoder: In evaluation mode.
        inputs: As the decoder takes them, B entries; read once.
        max_lines: T.
        both_sides: No stop before one debit and one credit stand; the last line brings what is missing.
        no_repeat: No account twice on one side of an entry.
        allowed: Accounts that may be used, bool, (C,) or (B, C).

    Returns:
        One hypothesis an entry: W = 1.

    Raises:
        ValueError: If the decoder is in training mode, nothing may be written, or a logit is not a number.
    """
    rules = rules_of(decoder, max_lines, both_sides, no_repeat, allowed)
    state = decoder.begin(inputs)
    account, side = _empty(len(inputs), max_lines, inputs.device)
    ended = torch.zeros(len(inputs), dtype=torch.bool, device=inputs.device)
    stop = torch.zeros_like(account, dtype=torch.bool)
    score = torch.zeros(len(inputs), device=inputs.device)
    for t in range(max_lines):
        said, state = decoder.step(state, *_before(account, side, t))
        options = next_lines(decoder, said, account[:, :t], side[:, :t], rules=rules, width=1, before=ended)
        line, place = options.line.flatten(1).max(1)
        log_on, log_end = options.follows.flatten(1, 2)[torch.arange(len(place)), place].unbind(1)
        may_stop = options.may_stop.flatten(1).gather(1, place[:, None]).squeeze(1)
        may_go_on = options.may_go_on.flatten(1).gather(1, place[:, None]).squeeze(1)
        stops = may_stop & ((log_end > log_on) | ~may_go_on) if t < max_lines - 1 else log_end > log_on
        after = torch.where(stops, log_end, log_on) if t < max_lines - 1 else torch.zeros_like(log_on)
        account[:, t] = torch.where(ended, -1, options.account.gather(1, place[:, None] // 2).squeeze(1))
        side[:, t] = torch.where(ended, -1, place % 2)
        stop[:, t] = stops & ~ended
        score = torch.where(ended, score, score + line + after)
        ended = ended | stops
        if bool(ended.all()):
            break
    length = (account >= 0).sum(1)
    return Written(*(part[:, None] for part in (account, side, stop, length, score)))


@torch.no_grad()
def beam_search(
    decoder: Decoder[S],
    inputs: Tensor,
    *,
    max_lines: int,
    beam: int = 5,
    both_sides: bool = True,
    no_repeat: bool = False,
    allowed: Tensor | None = None,
) -> Written:
    """Writes the likeliest entries: keeps the `beam` likeliest unfinished ones from line to line.

    At each line of a hypothesis the max(2 · beam, 8) likeliest accounts are tried, and one more for every
    line written. It ends early once no unfinished hypothesis can overtake a finished one.

    Args:
        decoder: In evaluation mode.
        inputs: As the decoder takes them, B entries; read once.
        max_lines: T.
        beam: W, 1 or more; more than there are entries to write gives fewer hypotheses.
        both_sides: No stop before one debit and one credit stand; the last line brings what is missing.
        no_repeat: No account twice on one side of an entry.
        allowed: Accounts that may be used, bool, (C,) or (B, C).

    Returns:
        Up to W different finished hypotheses an entry, the likeliest first.

    Raises:
        ValueError: If the decoder is in training mode, nothing may be written, or a logit is not a number.
    """
    if beam < 1:
        raise ValueError(f"beam: want 1 or more, got {beam}")
    rules = rules_of(decoder, max_lines, both_sides, no_repeat, allowed)
    B, W, T, device = len(inputs), beam, max_lines, inputs.device
    entry = torch.arange(B, device=device).repeat_interleave(W)
    state = decoder.begin(inputs).select(entry)
    if rules.allowed is not None and rules.allowed.ndim == 2:
        rules = rules._replace(allowed=rules.allowed[entry])
    account, side = _empty(B * W, T, device)
    score = torch.full((B, W), NEVER, device=device)
    score[:, 0] = 0
    done = _nothing(B, W, T, device)
    for t in range(T):
        last = t == T - 1
        said, state = decoder.step(state, *_before(account, side, t))
        dead = score.flatten() == NEVER
        options = next_lines(decoder, said, account[:, :t], side[:, :t], rules=rules, width=W, before=dead)
        A = options.account.shape[1]
        score = score.to(options.line.dtype)
        line = (score.flatten()[:, None, None] + options.line).reshape(B, W * A * 2)
        log_on, log_end = options.follows.reshape(B, -1, 2).unbind(2)
        may_stop, may_go_on = (flags.reshape(B, -1) for flags in (options.may_stop, options.may_go_on))

        end = line if last else (line + log_end).masked_fill(~may_stop, NEVER)
        best, place = end.topk(min(W, end.shape[1]), 1)
        ended_account, ended_side = _written(options, account, side, place)
        stop = torch.zeros_like(ended_account, dtype=torch.bool)
        stop[..., t] = (log_end > log_on).gather(1, place) if last else True
        done = _merged(done, Written(ended_account, ended_side, stop, torch.full_like(place, t + 1), best), W)
        if last:
            break
        live, place = (line + log_on).masked_fill(~may_go_on, NEVER).topk(min(W, line.shape[1]), 1)
        live, place = (_widened(part, W, fill) for part, fill in ((live, NEVER), (place, 0)))
        account, side = (part.flatten(0, 1) for part in _written(options, account, side, place))
        score = live
        # Every further line can only make a hypothesis less likely.
        if bool((score.amax(1) <= done.log_probability[:, -1]).all()):
            break
        state = state.select((_parent(place, W, A)).flatten())
    absent = done.log_probability == NEVER
    return done._replace(
        account=done.account.masked_fill(absent[..., None], -1),
        side=done.side.masked_fill(absent[..., None], -1),
        stop=done.stop & ~absent[..., None],
        length=done.length.masked_fill(absent, 0),
    )


def _empty(rows: int, lines: int, device: torch.device) -> tuple[Tensor, Tensor]:
    account = torch.full((rows, lines), NO_LINE, device=device)
    return account, account.clone()


def _parent(place: Tensor, W: int, A: int) -> Tensor:
    """Returns the row, of all B * W, that each choice goes on from."""
    return torch.arange(len(place), device=place.device)[:, None] * W + place // (2 * A)


def _written(options: NextLines, account: Tensor, side: Tensor, place: Tensor) -> tuple[Tensor, Tensor]:
    """Returns the lines so far of every choice, the chosen line at their end, (B, choices, T) each."""
    t, B = options.number, len(place)
    parent = _parent(place, len(account) // B, options.account.shape[1])
    account, side = account[parent], side[parent]
    account[..., t] = options.account.reshape(B, -1).gather(1, place // 2)
    side[..., t] = place % 2
    return account, side


def _before(account: Tensor, side: Tensor, t: int) -> tuple[Tensor, Tensor]:
    if t == 0:
        none = torch.full_like(account[:, :1], NO_LINE)
        return none, none
    return account[:, t - 1 : t].clamp(min=0), side[:, t - 1 : t].clamp(min=0)


def _nothing(B: int, W: int, T: int, device: torch.device) -> Written:
    account, side = (part.reshape(B, W, T) for part in _empty(B * W, T, device))
    stop = torch.zeros_like(account, dtype=torch.bool)
    none = torch.full((B, W), NEVER, device=device)
    return Written(account, side, stop, torch.zeros(B, W, dtype=torch.int64, device=device), none)


def _merged(old: Written, new: Written, W: int) -> Written:
    """Keeps the W likeliest of both, the likeliest first."""
    dtype = new.log_probability.dtype
    both = Written(*(torch.cat([a.to(b.dtype), b], 1) for a, b in zip(old, new, strict=True)))
    best, place = both.log_probability.to(dtype).topk(W, 1)
    rows = torch.arange(len(best), device=best.device)[:, None]
    account, side, stop, length = (part[rows, place] for part in both[:4])
    return Written(account, side, stop, length, best)


def _widened(part: Tensor, W: int, fill: float) -> Tensor:
    return torch.nn.functional.pad(part, (0, W - part.shape[1]), value=fill)
