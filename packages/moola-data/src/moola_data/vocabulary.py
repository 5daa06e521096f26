"""A vocabulary of words such as currencies: numbers that keep their meaning, 0 for what was never seen."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from functools import cached_property
from typing import Self

import numpy as np
import numpy.typing as npt
from pydantic import BaseModel, ConfigDict, Field, model_validator


class Vocabulary(BaseModel):
    """Words by number, 1 for the first; 0 is every other word. `model_dump_json` writes it.

    >>> currencies = Vocabulary.fit(["GBP", "EUR", "GBP"])
    >>> currencies.words, currencies.encode(["GBP", "MXN"]).tolist()
    (('GBP', 'EUR'), [1, 0])
    >>> Vocabulary.model_validate_json(currencies.model_dump_json()) == currencies
    True
    """

    model_config = ConfigDict(frozen=True, extra="forbid", from_attributes=True)

    words: tuple[str, ...] = Field(default=())

    @model_validator(mode="after")
    def _each_word_once(self) -> Self:
        twice = [word for word, count in Counter(self.words).items() if count > 1]
        if twice:
            raise ValueError(f"words: want each once, got {twice[0]!r} twice")
        return self

    @classmethod
    def fit(cls, words: Iterable[str], *, least: int = 1) -> Self:
        """Takes the words that occur at least `least` times, the most frequent first, ties by the alphabet.

        Fit it on training data: a word seen in no training example has no meaning to learn.
        """
        counts = Counter(words)
        kept = [word for word, count in counts.items() if count >= least]
        return cls(words=tuple(sorted(kept, key=lambda word: (-counts[word], word))))

    def __len__(self) -> int:
        """Numbers there are, the unknown word's included."""
        return 1 + len(self.words)

    @cached_property
    def _numbers(self) -> dict[str, int]:
        return {word: number for number, word in enumerate(self.words, 1)}

    def encode(self, words: Iterable[str]) -> npt.NDArray[np.int64]:
        """Returns the number of each word, 0 where it is unknown, (n,) int64."""
        return np.array([self._numbers.get(word, 0) for word in words], dtype=np.int64)
