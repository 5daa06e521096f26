"""Character n-grams of a text as numbers: the same in every process, on every machine.

The text is normalised first (NFKC), case-folded, its digits written as 0, and cut at white space. Each word
is put between "<" and ">"; its grams are that framed word and then, size by size, all its substrings of each
size smaller than itself. A gram's number is

    BLAKE2b(gram in UTF-8, digest_size=8), its 8 bytes read as a big-endian unsigned integer, mod buckets

(Bojanowski and others, 2017, with a hash that does not change.)
"""

from __future__ import annotations

import hashlib
import re
import unicodedata
from collections.abc import Iterable, Sequence
from functools import lru_cache
from typing import Literal

import torch
from torch import Tensor

SIZES = (3, 4, 5)
Case = Literal["kept", "folded"]
Digits = Literal["kept", "shape"]
_DIGIT = re.compile(r"\d")


def ngrams(
    text: str, *, sizes: Sequence[int] = SIZES, case: Case = "folded", digits: Digits = "shape"
) -> list[str]:
    """Lists the grams of a text.

    >>> ngrams("VAT 25%", sizes=(3,))
    ['<vat>', '<va', 'vat', 'at>', '<00%>', '<00', '00%', '0%>']
    """
    text = unicodedata.normalize("NFKC", text)
    if case == "folded":
        text = text.casefold()
    if digits == "shape":
        text = _DIGIT.sub("0", text)
    return [gram for word in text.split() for gram in _grams(f"<{word}>", tuple(sizes))]


def stable_hash(text: str) -> int:
    """Returns the 8-byte BLAKE2b of the text as a big-endian integer.

    >>> stable_hash("<va") % 16384
    8543
    """
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8).digest(), "big")


def ngram_ids(
    texts: Iterable[str],
    *,
    buckets: int,
    sizes: Sequence[int] = SIZES,
    case: Case = "folded",
    digits: Digits = "shape",
) -> tuple[Tensor, Tensor]:
    """Numbers the grams of many texts.

    Args:
        texts: n texts.
        buckets: How many numbers there are.
        sizes: Of the n-grams, in characters.
        case: "folded": RENT and Rent share grams.
        digits: "shape": every digit is a 0, so that reference numbers look alike.

    Returns:
        Numbers in 0..buckets-1 of all texts behind one another, int64 (m,), and where each text's begin,
        int64 (n + 1,), the last being m. A text without a word has none.

    Raises:
        TypeError: If a text is no string, with its row.
    """
    ids: list[int] = []
    offsets = [0]
    for row, text in enumerate(texts):
        if not isinstance(text, str):
            raise TypeError(f"texts: want str, got {type(text).__name__} in row {row}")
        ids += [_hash_once(gram) % buckets for gram in ngrams(text, sizes=sizes, case=case, digits=digits)]
        offsets.append(len(ids))
    return torch.tensor(ids, dtype=torch.int64), torch.tensor(offsets, dtype=torch.int64)


def padded(ids: Tensor, offsets: Tensor) -> Tensor:
    """Turns bags behind one another into a table with a row for each, -1 behind its last number.

    Args:
        ids: int64 (m,).
        offsets: int64 (n + 1,), where each bag begins, 0 first, m last.

    Returns:
        int64 (n, L), L the longest bag.

    Raises:
        ValueError: If the offsets do not rise from 0 to m.

    >>> padded(torch.tensor([5, 6, 7]), torch.tensor([0, 2, 2, 3])).tolist()
    [[5, 6], [-1, -1], [7, -1]]
    """
    lengths = offsets.diff()
    ends = [int(offsets[0]), int(offsets[-1])] if len(offsets) else []
    if ends != [0, len(ids)] or bool((lengths < 0).any()):
        raise ValueError(f"offsets: want them to rise from 0 to {len(ids)}, got {offsets.tolist()[:8]}")
    width = int(lengths.max()) if len(lengths) else 0
    table = torch.full((len(lengths), width), -1, dtype=torch.int64)
    table[torch.arange(width) < lengths[:, None]] = ids
    return table


_hash_once = lru_cache(maxsize=1 << 18)(stable_hash)


@lru_cache(maxsize=1 << 16)
def _grams(framed: str, sizes: tuple[int, ...]) -> tuple[str, ...]:
    parts = (framed[i : i + n] for n in sizes if n < len(framed) for i in range(len(framed) - n + 1))
    return (framed, *parts)
