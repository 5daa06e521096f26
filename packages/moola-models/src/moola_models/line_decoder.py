"""Writes an entry line by line: a GRU over the lines so far, a pointer to the next account, side and stop.

Training and decoding go through the same `step`: training hands it all lines at once, decoding one at a time.

R rows (entries, or hypotheses of entries), n lines of a step, H width, C accounts, T lines at most.
"""

from __future__ import annotations

from typing import Literal, NamedTuple

import torch
from torch import Tensor, nn

from moola_models.label_memory import LabelMemory
from moola_models.pointer_layer import PointerConfig, PointerLayer

NO_LINE = -1
"""Account and side where there is no line: before the first, and behind the last."""
Lines = Literal["chained", "independent"]
"""Whether a line's side is read in the light of its account, and its stop in the light of both."""


class DecoderState(NamedTuple):
    """All that the next lines depend on.

    Attributes:
        context: What the entry's text and conditions say, (R, H).
        hidden: Of the GRU, (layers, R, H).
        keys: The catalogue as the pointer reads it, (C, H), shared by all rows.
        line: Number of the next line, from 0.
        similarity: Of the neighbours, (R, K); None without a memory.
        booked: The neighbours' accounts, int64 (R, K, T), -1 for nothing; None without a memory.
    """

    context: Tensor
    hidden: Tensor
    keys: Tensor
    line: int
    similarity: Tensor | None = None
    booked: Tensor | None = None

    def select(self, rows: Tensor) -> DecoderState:
        """Returns the state of these rows, int64, in this order; a row may stand several times."""
        return self._replace(
            context=self.context[rows],
            hidden=self.hidden[:, rows],
            similarity=None if self.similarity is None else self.similarity[rows],
            booked=None if self.booked is None else self.booked[rows],
        )


class Step(NamedTuple):
    """What the decoder says of n lines.

    Attributes:
        account: Logits of the account, (R, n, C); logarithms of probabilities with a memory.
        line: State of each line, (R, n, H), from which side and stop are read.
        retrieval_weight: λ, (R, n); None without a memory.
    """

    account: Tensor
    line: Tensor
    retrieval_weight: Tensor | None


class LineDecoder(nn.Module):
    """The decoder of `EntryModel`.

    Args:
        width: H.
        accounts: C.
        layers: Of the GRU.
        dropout: Before the readouts, and between layers.
        pointer: Of the pointer.
        lines: "chained": p(account) p(side | account) p(stop | account, side), exactly. "independent": the
            three are read apart from one another.
    """

    def __init__(
        self,
        width: int,
        *,
        accounts: int,
        layers: int = 1,
        dropout: float = 0.0,
        pointer: PointerConfig | None = None,
        lines: Lines = "chained",
    ) -> None:
        super().__init__()
        self.chained = lines == "chained"
        self.first = nn.Parameter(torch.randn(2 * width) / width**0.5)
        self.side_row = nn.Embedding(2, width)
        self.entrance = nn.Sequential(nn.Linear(3 * width, width), nn.ReLU())
        self.gru = nn.GRU(width, width, layers, batch_first=True, dropout=dropout if layers > 1 else 0.0)
        self.exit = nn.Sequential(nn.Linear(2 * width, width), nn.ReLU(), nn.Dropout(dropout))
        self.pointer = PointerLayer(width, width, pointer, accounts=accounts)
        known = 1 if self.chained else 0
        self.side = nn.Sequential(nn.Linear((1 + known) * width, width), nn.ReLU(), nn.Linear(width, 2))
        self.stop = nn.Sequential(nn.Linear((1 + 2 * known) * width, width), nn.ReLU(), nn.Linear(width, 2))

    def begin(
        self,
        context_RH: Tensor,
        rows_CH: Tensor,
        *,
        similarity: Tensor | None = None,
        booked: Tensor | None = None,
    ) -> DecoderState:
        """Returns the state before the first line; see `DecoderState` for the arguments."""
        hidden = context_RH.new_zeros(self.gru.num_layers, *context_RH.shape)
        return DecoderState(context_RH, hidden, self.pointer.keys(rows_CH), 0, similarity, booked)

    def step(
        self,
        state: DecoderState,
        account_Rn: Tensor,
        side_Rn: Tensor,
        rows_CH: Tensor,
        *,
        memory: LabelMemory | None = None,
    ) -> tuple[Step, DecoderState]:
        """Reads n lines that came before and says what comes after each.

        Args:
            state: After the lines before those.
            account_Rn: int64, the account of the line before each, `NO_LINE` before the first.
            side_Rn: int64, its side, 0 debit, 1 credit, `NO_LINE` likewise.
            rows_CH: The catalogue.
            memory: Whose neighbours' accounts are mixed in.

        Returns:
            What it says of the n next lines, and the state after them.

        Raises:
            ValueError: If there are more lines than a memory's entries have.
        """
        n = account_Rn.shape[1]
        before = torch.cat([self._rows(rows_CH, account_Rn), self.side_row(side_Rn.clamp(min=0))], 2)
        before = torch.where((account_Rn == NO_LINE)[..., None], self.first, before)
        context = state.context[:, None].expand(-1, n, -1)
        said, hidden = self.gru(self.entrance(torch.cat([context, before], 2)), state.hidden)
        line_RnH = self.exit(torch.cat([said, context], 2))
        logits, weight = self.pointer(line_RnH, state.keys), None
        if memory is not None and state.similarity is not None and state.booked is not None:
            if state.line + n > state.booked.shape[2]:
                raise ValueError(
                    f"step: want {state.booked.shape[2]} lines or fewer, got line {state.line + n}"
                )
            now = state.booked[:, :, state.line : state.line + n]
            logits, weight = memory(logits, line_RnH, state.similarity, now)
        return Step(logits, line_RnH, weight), state._replace(hidden=hidden, line=state.line + n)

    def side_logits(self, line: Tensor, account: Tensor, rows_CH: Tensor) -> Tensor:
        """Returns the logits of a line's side (0 debit, 1 credit), given its account.

        Args:
            line: State of the lines, (..., H).
            account: int64 (...); `NO_LINE` is read as account 0.
            rows_CH: The catalogue.

        Returns:
            (..., 2).
        """
        if not self.chained:
            return self.side(line)  # type: ignore[no-any-return]
        return self.side(torch.cat([line, self._rows(rows_CH, account)], -1))  # type: ignore[no-any-return]

    def stop_logits(self, line: Tensor, account: Tensor, side: Tensor, rows_CH: Tensor) -> Tensor:
        """Returns the logits of what follows the line (0 another line, 1 nothing), given account and side.

        Args:
            line: State of the lines, (..., H).
            account: int64 (...).
            side: int64 (...).
            rows_CH: The catalogue.

        Returns:
            (..., 2).
        """
        if not self.chained:
            return self.stop(line)  # type: ignore[no-any-return]
        known = [line, self._rows(rows_CH, account), self.side_row(side.clamp(min=0))]
        return self.stop(torch.cat(known, -1))  # type: ignore[no-any-return]

    def _rows(self, rows_CH: Tensor, account: Tensor) -> Tensor:
        return nn.functional.embedding(account.clamp(min=0), rows_CH)


def lines_before(account_BT: Tensor, side_BT: Tensor) -> tuple[Tensor, Tensor]:
    """Shifts an entry's lines by one, so that each place holds the line before it.

    >>> account, side = lines_before(torch.tensor([[3, 5, 7, -1]]), torch.tensor([[0, 0, 1, -1]]))
    >>> account.tolist(), side.tolist()
    ([[-1, 3, 5, 7]], [[-1, 0, 0, 1]])
    """
    none = torch.full_like(account_BT[:, :1], NO_LINE)
    return torch.cat([none, account_BT[:, :-1]], 1), torch.cat([none, side_BT[:, :-1]], 1)
