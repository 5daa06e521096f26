"""The catalogue's rows as part of the model: learned or frozen, always in the checkpoint, under one key.

C accounts, H width of a row.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn


class CatalogueTable(nn.Module):
    """One vector for each account of one catalogue, in its order.

    The rows are saved as ``rows`` whether they are learned or not. Beside them lies a digest of the codes and
    the fingerprint, so rows of another catalogue, or of the same one in another order, are never taken over.

    Args:
        codes: The account codes in the catalogue's order, all different.
        width: H.
        fingerprint: The catalogue's own, as its owner computes it; "" for none.
        rows: First values, float (C, H); None: drawn from a normal distribution.
        trainable: Whether the rows are learned.

    Raises:
        ValueError: If codes repeat or the rows do not fit.

    >>> table = CatalogueTable(["1000", "2000"], width=3, trainable=False)
    >>> list(table.state_dict()), len(list(table.parameters()))
    (['rows', 'digest'], 0)
    """

    rows: Tensor
    digest: Tensor

    def __init__(
        self,
        codes: Sequence[str],
        *,
        width: int,
        fingerprint: str = "",
        rows: Tensor | None = None,
        trainable: bool = True,
    ) -> None:
        super().__init__()
        check_codes(codes)
        if rows is None:
            rows = torch.randn(len(codes), width)
        if rows.shape != (len(codes), width) or not rows.is_floating_point():
            raise ValueError(
                f"rows: want float ({len(codes)}, {width}), got {rows.dtype} {tuple(rows.shape)}"
            )
        if not bool(rows.isfinite().all()):
            row = int((~rows.isfinite()).any(1).nonzero()[0])
            raise ValueError(f"rows: want finite numbers, got another in row {row}")
        first = rows.detach().to(torch.get_default_dtype()).clone()
        if trainable:
            self.rows = nn.Parameter(first)
        else:
            self.register_buffer("rows", first)
        self.register_buffer("digest", catalogue_digest(codes, fingerprint))

    def __len__(self) -> int:
        return len(self.rows)

    def forward(self, account: Tensor) -> Tensor:
        """Returns the rows of the accounts, int64 (...), as (..., H)."""
        return nn.functional.embedding(account, self.rows)

    def _load_from_state_dict(
        self, state_dict: Mapping[str, Any], prefix: str, *arguments: Any, **options: Any
    ) -> None:
        found = state_dict.get(prefix + "digest")
        if found is not None and not torch.equal(found.cpu(), self.digest.cpu()):
            raise ValueError(
                f"catalogue: want rows of the catalogue {_hex(self.digest)}, got rows of {_hex(found)}: the "
                "codes, their order or the fingerprint differ"
            )
        super()._load_from_state_dict(state_dict, prefix, *arguments, **options)


def check_codes(codes: Sequence[str]) -> None:
    """Raises ValueError where there is no code or one stands twice."""
    if not codes:
        raise ValueError("codes: want one or more accounts, got none")
    first: dict[str, int] = {}
    for row, code in enumerate(codes):
        if first.setdefault(code, row) != row:
            raise ValueError(f"codes: want different codes, got {code!r} in rows {first[code]} and {row}")


def catalogue_digest(codes: Sequence[str], fingerprint: str = "") -> Tensor:
    """Returns the SHA-256 of the fingerprint and the codes in their order, uint8 (32,)."""
    digest = hashlib.sha256()
    for text in (fingerprint, *codes):
        content = text.encode()
        digest.update(len(content).to_bytes(8, "big") + content)
    return torch.tensor(list(digest.digest()), dtype=torch.uint8)


def _hex(digest: Tensor) -> str:
    return bytes(digest.tolist()).hex()[:12]
