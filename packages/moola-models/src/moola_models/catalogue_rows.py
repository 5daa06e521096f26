"""First values for a catalogue's rows: from the accounts' texts and from their place in the hierarchy.

C accounts, H width of a row, D width of a given text vector.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional

from moola_models.ngrams import ngram_ids, stable_hash

_BUCKETS = 1 << 14


def code_prefixes(code: str, *, separator: str) -> tuple[str, ...]:
    """Returns the code of every ancestor, root first, and the code itself.

    >>> code_prefixes("105-01-003", separator="-")
    ('105', '105-01', '105-01-003')
    """
    parts = code.split(separator)
    return tuple(separator.join(parts[: i + 1]) for i in range(len(parts)))


def rows_from_texts(texts: Sequence[str], *, width: int, seed: int = 0) -> Tensor:
    """Makes rows whose cosines are those of the texts' bags of character n-grams, roughly.

    Args:
        texts: C texts, normalised: name, description, type.
        width: H; the error of a cosine is about 1/sqrt(H).
        seed: Of the random directions.

    Returns:
        (C, H), rows of length 1; an empty text has a row of zeros.
    """
    return functional.normalize(
        _sum_of_directions(*ngram_ids(texts, buckets=_BUCKETS), width=width, seed=seed)
    )


def rows_from_words(words: Sequence[Sequence[str]], *, width: int, seed: int = 0) -> Tensor:
    """Makes rows that are near where accounts share words: each the sum of its words' fixed directions.

    With an account's ancestors for words, its place in the hierarchy.

    Args:
        words: For each account, hashed whole: its ancestors and itself (see `code_prefixes`), its type.
        width: H.
        seed: Of the random directions.

    Returns:
        (C, H), rows of length 1.
    """
    flat = torch.tensor([stable_hash(p) % _BUCKETS for row in words for p in row], dtype=torch.int64)
    lengths = torch.tensor([0, *(len(row) for row in words)])
    return functional.normalize(_sum_of_directions(flat, lengths.cumsum(0), width=width, seed=seed))


def rows_from_vectors(vectors_CD: Tensor, *, width: int, seed: int = 0) -> Tensor:
    """Brings the accounts' vectors of any text encoder to the width of the rows, keeping their cosines.

    A wider row is exact (an orthonormal map), a narrower one approximate (a random projection).

    Args:
        vectors_CD: float (C, D).
        width: H.
        seed: Of the random map.

    Returns:
        (C, H), rows of length 1.
    """
    size = vectors_CD.shape[1]
    draw = torch.randn(
        max(size, width), min(size, width), generator=torch.Generator().manual_seed(seed), dtype=torch.float64
    )
    frame: Tensor = torch.linalg.qr(draw).Q
    turned = vectors_CD.double() @ (frame.T if width >= size else frame)
    return functional.normalize(turned).to(torch.get_default_dtype())


def _sum_of_directions(ids: Tensor, offsets: Tensor, *, width: int, seed: int) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    directions = torch.randn(_BUCKETS, width, generator=generator) / math.sqrt(width)
    return functional.embedding_bag(ids, directions, offsets, mode="sum", include_last_offset=True)
