"""Books an entry from its text: which accounts, on which sides, and where it ends.

B entries, T lines, C accounts, H width, K neighbours.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import torch
from torch import Tensor, nn

from moola_models.catalogue_table import CatalogueTable
from moola_models.conditioning import Film
from moola_models.entry_config import EntryConfig
from moola_models.entry_inputs import unpack_entries
from moola_models.label_memory import LabelMemory
from moola_models.line_decoder import DecoderState, LineDecoder, Step, lines_before
from moola_models.odds import full_precision


class EntryOutputs(NamedTuple):
    """What the model says of the lines of B entries, each given the lines before it.

    Attributes:
        account: Logits of the account, (B, T, C); with a memory, logarithms of probabilities.
        side: Logits of the side, 0 debit, 1 credit, (B, T, 2).
        stop: Logits of what follows the line, 0 another line, 1 nothing, (B, T, 2).
        flow: Logarithm of the mass that the entry's lines put on each account, by side, (B, 2, C): log
            sum_t p_t(side) p_t(account) over its lines; None unless asked for.
        retrieval_weight: λ, how much of each line's account comes from neighbours, (B, T); None without a
            memory.
    """

    account: Tensor
    side: Tensor
    stop: Tensor
    flow: Tensor | None = None
    retrieval_weight: Tensor | None = None


class EntryModel(nn.Module):
    """A pointer over one catalogue of ledger accounts.

    ``model(inputs, targets=…)`` reads each line given the true lines before it, which is what training needs;
    `moola_models.line_search` writes entries freely, through the same `step`.

    Args:
        config: Catalogue, sizes and parts.
        rows: First values of the catalogue's rows, float (C, H), see `moola_models.catalogue_rows`; drawn
            where omitted.
        seed: Of the parameters' first values. The global random state is neither read nor moved.

    >>> from moola_models.entry_inputs import pack_entries
    >>> config = EntryConfig(accounts=("1000", "2000", "3000"), hidden=16, date_features=0)
    >>> model = EntryModel(config, seed=0).eval()
    >>> inputs = pack_entries(config, text=config.text.columns(["Rent for May"]))
    >>> lines = {"account": torch.tensor([[2, 0, -1]]), "side": torch.tensor([[0, 1, -1]])}
    >>> model(inputs, targets=lines).account.shape
    torch.Size([1, 3, 3])
    """

    def __init__(self, config: EntryConfig, *, rows: Tensor | None = None, seed: int = 0) -> None:
        super().__init__()
        self.config = config
        with torch.random.fork_rng(devices=[]), torch.device("cpu"):
            # torch.manual_seed would also move the state of every GPU.
            torch.default_generator.manual_seed(seed)
            self._build(rows)

    def _build(self, rows: Tensor | None) -> None:
        config = self.config
        self.text = config.text.build(config.hidden, with_keys=config.neighbours > 0)
        self.dropout = nn.Dropout(config.dropout)
        film = config.conditioning == "film"
        sizes = {"dates": config.date_features, "currencies": config.currencies, "kinds": config.kinds}
        self.conditioning = Film(config.hidden, **sizes) if film else None
        self.catalogue = CatalogueTable(
            config.accounts,
            width=config.hidden,
            fingerprint=config.fingerprint,
            rows=rows,
            trainable=config.table == "trainable",
        )
        self.decoder = LineDecoder(
            config.hidden,
            accounts=len(config.accounts),
            layers=config.layers,
            dropout=config.dropout,
            pointer=config.pointer,
            lines=config.lines,
        )
        self.memory = None
        if config.retrieval is not None and config.neighbours:
            self.memory = LabelMemory(
                size=config.retrieval.size,
                neighbours=config.neighbours,
                key_width=config.text.key_width,
                lines=config.max_lines,
                width=config.hidden,
            )

    @property
    def tasks(self) -> tuple[str, ...]:
        """Names of the outputs that a loss can be put on."""
        return ("account", "side", "stop", "flow") if self.config.flow else ("account", "side", "stop")

    def encode(self, inputs: Tensor) -> Tensor:
        """Reads text and conditions, and looks up neighbours; each entry's text is read once.

        Args:
            inputs: From `moola_models.entry_inputs.pack_entries`, (B, 3 + D + L).

        Returns:
            The shared representation: context (B, H); with a memory behind it, in at least 32 bits, the
            neighbours' similarities and their rows in the memory, (B, H + 2K), which have no gradient.
        """
        columns = unpack_entries(self.config, inputs)
        context_BH = self.dropout(self.text(columns.text))
        if self.conditioning is not None:
            context_BH = self.conditioning(context_BH, columns.dates, columns.currency, columns.kind)
        if self.memory is None:
            return context_BH  # type: ignore[no-any-return]
        found = self.memory.nearest(self.text.key(columns.text), columns.owner)
        context_BH = full_precision(context_BH)
        return torch.cat([context_BH, found.similarity.to(context_BH), found.row.to(context_BH)], 1)

    def heads(
        self, z: Tensor | Mapping[str, Tensor], targets: Mapping[str, Tensor] | None = None
    ) -> EntryOutputs:
        """Reads the lines, each given the true lines before it.

        Args:
            z: From `encode`, or one per output by name, as a gradient balancer hands them over.
            targets: "account" and "side", int64 (B, T), T up to `max_lines`, -1 behind the last line.

        Returns:
            The outputs at every line, those behind the last line without meaning.

        Raises:
            ValueError: If the targets lack the lines, or the lines do not fit.
            KeyError: If a mapping lacks an output.
        """
        account_BT, side_BT = self._lines(targets)
        if isinstance(z, Tensor):
            return self._read(z, account_BT, side_BT)
        if missing := [name for name in self.tasks if name not in z]:
            raise KeyError(f"z: want a representation for every output, got none for {missing}")
        read = {name: self._read(z[name], account_BT, side_BT) for name in self.tasks}
        return EntryOutputs(
            account=read["account"].account,
            side=read["side"].side,
            stop=read["stop"].stop,
            flow=read["flow"].flow if "flow" in read else None,
            retrieval_weight=read["account"].retrieval_weight,
        )

    def forward(self, inputs: Tensor, *, targets: Mapping[str, Tensor] | None = None) -> EntryOutputs:
        """Runs `encode`, then `heads`."""
        return self.heads(self.encode(inputs), targets)

    def begin(self, inputs: Tensor) -> DecoderState:
        """Returns the state before the first line of every entry, to be handed to `step`."""
        return self._begin(self.encode(inputs))

    def step(self, state: DecoderState, account: Tensor, side: Tensor) -> tuple[Step, DecoderState]:
        """Reads the lines that came before, int64 (B, n), -1 before the first; see `LineDecoder.step`."""
        return self.decoder.step(state, account, side, self.catalogue.rows, memory=self.memory)

    def side_logits(self, line: Tensor, account: Tensor) -> Tensor:
        """Returns the logits of the side, (..., 2), given the account, int64 (...)."""
        return self.decoder.side_logits(line, account, self.catalogue.rows)

    def stop_logits(self, line: Tensor, account: Tensor, side: Tensor) -> Tensor:
        """Returns the logits of what follows, (..., 2), given account and side, int64 (...)."""
        return self.decoder.stop_logits(line, account, side, self.catalogue.rows)

    @torch.no_grad()
    def remember(self, inputs: Tensor, account: Tensor) -> None:
        """Fills the memory with booked entries: with the training entries, once, before training.

        Keys do not change in training, so what is remembered never grows stale.

        Args:
            inputs: (m, …), each with an owner, m up to ``config.retrieval.size``.
            account: int64 (m, T), T up to `max_lines`, -1 behind the last line.

        Raises:
            ValueError: If the model has no memory, an entry no owner, or the shapes do not fit.
        """
        if self.memory is None:
            raise ValueError("remember: want a model with retrieval and neighbours, got one without")
        columns = unpack_entries(self.config, inputs)
        self._check_lines("account", account)
        spare = self.config.max_lines - account.shape[1]
        keys = torch.cat(
            [self.text.key(part) for part in columns.text.to(self.memory.keys.device).split(512)]
        )
        self.memory.remember(keys, nn.functional.pad(account, (0, spare), value=-1), columns.owner)

    def _begin(self, z: Tensor) -> DecoderState:
        rows, H = self.catalogue.rows, self.config.hidden
        if self.memory is None:
            return self.decoder.begin(z, rows)
        # At least 32 bits on the way, because rows of the memory are whole numbers; the parts' own type here.
        similarity, index = z[:, H:].chunk(2, 1)
        booked = self.memory.lines_of(index.detach().round().long())
        return self.decoder.begin(z[:, :H].to(rows), rows, similarity=similarity, booked=booked)

    def _read(self, z: Tensor, account_BT: Tensor, side_BT: Tensor) -> EntryOutputs:
        said, _ = self.step(self._begin(z), *lines_before(account_BT, side_BT))
        side = self.side_logits(said.line, account_BT)
        stop = self.stop_logits(said.line, account_BT, side_BT)
        flow = log_flow(said.account, side, lines=account_BT >= 0) if self.config.flow else None
        return EntryOutputs(said.account, side, stop, flow, said.retrieval_weight)

    def _lines(self, targets: Mapping[str, Tensor] | None) -> tuple[Tensor, Tensor]:
        if targets is None or "account" not in targets or "side" not in targets:
            found = [] if targets is None else sorted(targets)
            raise ValueError(
                f"targets: want the lines 'account' and 'side', got {found}; to write entries without them, "
                "use moola_models.line_search"
            )
        account_BT, side_BT = targets["account"], targets["side"]
        self._check_lines("account", account_BT)
        if side_BT.shape != account_BT.shape:
            raise ValueError(
                f"side: want shape {tuple(account_BT.shape)} as account, got {tuple(side_BT.shape)}"
            )
        return account_BT, side_BT

    def _check_lines(self, name: str, account: Tensor) -> None:
        most = self.config.max_lines
        if account.ndim != 2 or not 1 <= account.shape[1] <= most:
            raise ValueError(f"{name}: want shape (batch, 1 to {most}), got {tuple(account.shape)}")


def log_flow(account_BTC: Tensor, side_BT2: Tensor, *, lines: Tensor) -> Tensor:
    """Adds up what the lines put on every account, by side, without a tensor of both at once.

    Args:
        account_BTC: Logits of the account.
        side_BT2: Logits of the side.
        lines: bool (B, T), True where there is a line; an entry without any gives the same everywhere.

    Returns:
        log sum_t p_t(side) p_t(account), (B, 2, C), in at least 32 bits.
    """
    log_account = full_precision(account_BTC).log_softmax(2)
    log_side = full_precision(side_BT2).log_softmax(2).to(log_account.dtype)
    least = torch.finfo(log_account.dtype).min
    log_account = log_account.masked_fill(~lines[..., None], least / 4)
    # By the greatest line of each account, so that the sum under the logarithm cannot vanish.
    greatest_B1C = log_account.detach().amax(1, keepdim=True)
    share = torch.einsum("bts,btc->bsc", log_side.exp(), (log_account - greatest_B1C).exp())
    tiny = torch.finfo(share.dtype).tiny
    return share.clamp(min=tiny).log() + greatest_B1C
