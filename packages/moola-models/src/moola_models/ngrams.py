"""Character n-grams of a text as numbers: the same in every process, on every machine.

The text is taken as it is (normalise it first), case-folded, and cut at white space. Each word is put between
"<" and ">"; its n-grams are all substrings of each size that is smaller than the word so framed, and then
the framed word itself. A gram's number is

    BLAKE2b(gram in UTF-8, digest_size=8), its 8 bytes read as a big-endian unsigned integer, mod buckets

in the order: word by word, size by size, left to right, the word last. (Bojanowski and others, 2017, with a
hash that does not change.)
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from functools import lru_cache

import torch
from torch import Tensor

SIZES = (3, 4, 5)


def ngrams(text: str, *, sizes: Sequence[int] = SIZES) -> list[str]:
    """Lists the n-grams of a text.

    >>> ngrams("VAT due", sizes=(3,))
    ['<va', 'vat', 'at>', '<vat>', '<du', 'due', 'ue>', '<due>']
    """
    found: list[str] = []
    for word in text.casefold().split():
        framed = f"<{word}>"
        for size in sizes:
            if size < len(framed):
                found += [framed[i : i + size] for i in range(len(framed) - size + 1)]
        found.append(framed)
    return found


@lru_cache(maxsize=1 << 18)
def stable_hash(text: str) -> int:
    """Returns the 8-byte BLAKE2b of the text as a big-endian integer.

    >>> stable_hash("<va") % 16384
    8543
    """
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8).digest(), "big")


def ngram_ids(texts: Iterable[str], *, buckets: int, sizes: Sequence[int] = SIZES) -> tuple[Tensor, Tensor]:
    """Numbers the n-grams of many texts.

    Args:
        texts: n texts, normalised.
        buckets: How many numbers there are.
        sizes: Of the n-grams, in characters.

    Returns:
        Numbers in 0..buckets-1, int64 (m,), and where each text's begin, int64 (n,): what
        `torch.nn.EmbeddingBag` takes. An empty text has none.

    Raises:
        TypeError: If a text is no string, with its row.
    """
    ids: list[int] = []
    offsets: list[int] = []
    for row, text in enumerate(texts):
        if not isinstance(text, str):
            raise TypeError(f"texts: want str, got {type(text).__name__} in row {row}")
        offsets.append(len(ids))
        ids += [stable_hash(gram) % buckets for gram in ngrams(text, sizes=sizes)]
    return torch.tensor(ids, dtype=torch.int64), torch.tensor(offsets, dtype=torch.int64)


def padded(ids: Tensor, offsets: Tensor) -> Tensor:
    """Turns bags behind one another into a table with a row for each, -1 behind its last number.

    Args:
        ids: int64 (m,).
        offsets: int64 (n,), where each bag begins, the first at 0.

    Returns:
        int64 (n, L), L the longest bag.

    Raises:
        ValueError: If the offsets do not begin at 0, fall, or pass the end.

    >>> padded(torch.tensor([5, 6, 7]), torch.tensor([0, 2, 2])).tolist()
    [[5, 6], [-1, -1], [7, -1]]
    """
    lengths = torch.diff(offsets, append=offsets.new_tensor([len(ids)]))
    if len(offsets) and (int(offsets[0]) != 0 or int(lengths.min()) < 0):
        raise ValueError(f"offsets: want 0 first, rising up to {len(ids)}, got {offsets.tolist()[:8]}")
    width = int(lengths.max()) if len(lengths) else 0
    place = torch.arange(width)
    table = torch.full((len(offsets), width), -1, dtype=torch.int64)
    table[place < lengths[:, None]] = ids
    return table
