"""The text of an entry: one normal form, and a stable bag of character n-grams."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Sequence
from functools import cached_property
from hashlib import blake2b
from typing import Literal, Self

import numpy as np
import numpy.typing as npt
from pydantic import BaseModel, ConfigDict, Field, model_validator

Int = npt.NDArray[np.int64]
DIGIT = re.compile(r"\d")


def normalise_text(text: str | None) -> str:
    """Returns NFKC, every run of white space as one space, none at the ends; case stays. None gives "".

    >>> normalise_text("  Café" + chr(9) + "Corp  "), normalise_text(None)
    ('Café Corp', '')
    """
    if text is None:
        return ""
    if not isinstance(text, str):
        raise TypeError(f"text: want a str or None, got {type(text).__name__}")
    return " ".join(unicodedata.normalize("NFKC", text).split())


def stable_hash(word: str, *, buckets: int) -> int:
    """Returns a bucket, 0..buckets-1, the same in every process and on every machine (blake2b, 8 bytes)."""
    return int.from_bytes(blake2b(word.encode(), digest_size=8).digest(), "big") % buckets


class TextBag(BaseModel):
    """Turns texts into bags of bucket numbers: of each word itself and its character n-grams.

    As fastText does (Bojanowski and others, 2017): a word is written between < and >, its n-grams and the
    whole are hashed. What shares letters shares buckets, so a name with a typo is still near.

    >>> bag = TextBag(buckets=1000, sizes=(3,))
    >>> ids, offsets = bag.bags(["Rent", "rent", ""])
    >>> offsets.tolist(), ids[:5].tolist() == ids[5:].tolist()
    ([0, 5, 10, 10], True)
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    buckets: int = Field(default=2**15, ge=1)
    sizes: tuple[int, ...] = (3, 4, 5)
    """Lengths of the n-grams."""
    case: Literal["kept", "folded"] = "folded"
    """Whether RENT and Rent share n-grams; the text itself is left as it is."""
    digits: Literal["kept", "shape"] = "shape"
    """"shape" writes every digit as 0, so that reference numbers look alike."""

    @model_validator(mode="after")
    def _sizes_are_lengths(self) -> Self:
        if any(size < 1 for size in self.sizes):
            raise ValueError(f"sizes: want numbers of 1 or more, got {self.sizes}")
        return self

    def grams(self, text: str) -> list[str]:
        """Returns the words and n-grams of a normalised text, repeats included."""
        return [gram for word in self._words(text) for gram in self._word_grams(word)]

    def bags(self, texts: Sequence[str | None]) -> tuple[Int, Int]:
        """Hashes texts, normalised here.

        Args:
            texts: n texts; None is "".

        Returns:
            Bucket numbers of all texts one after the other, (m,) int64, and where each begins, (n + 1,)
            int64, the last being m. A text without a word has an empty bag.
        """
        words = [self._words(normalise_text(text)) for text in texts]
        bags = [self._concatenated(self._buckets_of(word) for word in row) for row in words]
        offsets = np.zeros(len(bags) + 1, dtype=np.int64)
        np.cumsum([len(bag) for bag in bags], out=offsets[1:])
        return self._concatenated(bags), offsets

    def word_bags(self, rows: Sequence[Sequence[str]]) -> tuple[Int, Int]:
        """Hashes given words, such as `Catalogue.feature_words()`, whole, as they are; shapes as `bags`."""
        bags = [np.array([stable_hash(word, buckets=self.buckets) for word in row], np.int64) for row in rows]
        offsets = np.zeros(len(bags) + 1, dtype=np.int64)
        np.cumsum([len(bag) for bag in bags], out=offsets[1:])
        return self._concatenated(bags), offsets

    def _words(self, text: str) -> list[str]:
        if self.case == "folded":
            text = text.casefold()
        if self.digits == "shape":
            text = DIGIT.sub("0", text)
        return text.split()

    def _word_grams(self, word: str) -> list[str]:
        marked = f"<{word}>"
        parts = [
            marked[i : i + size]
            for size in self.sizes
            if size < len(marked)
            for i in range(len(marked) - size + 1)
        ]
        return [marked, *parts]

    @cached_property
    def _known(self) -> dict[str, Int]:
        return {}

    def _buckets_of(self, word: str) -> Int:
        found = self._known.get(word)
        if found is None:
            grams = self._word_grams(word)
            found = np.array([stable_hash(gram, buckets=self.buckets) for gram in grams], np.int64)
            self._known[word] = found
        return found

    @staticmethod
    def _concatenated(parts: Iterable[Int]) -> Int:
        return np.concatenate([np.zeros(0, np.int64), *parts])
