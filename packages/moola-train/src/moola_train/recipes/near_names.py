"""Did you mean: the known name that a misspelt one is nearest to."""

from __future__ import annotations

from collections.abc import Iterable
from difflib import SequenceMatcher, get_close_matches

NEAR = 0.6
"""Least similarity, as difflib measures it, of a name that is suggested."""


def nearest(word: str, known: Iterable[str]) -> str | None:
    """Returns the known name that was probably meant; None where none is near.

    Of dotted names the last parts are compared first, for a right key may stand in the wrong table.

    >>> nearest("fit.epoch", ["fit.epochs", "fit.seed"]), nearest("epochs", ["fit.epochs", "pretrain.epochs"])
    ('fit.epochs', 'fit.epochs')
    >>> nearest("colour", ["fit.epochs"]) is None
    True
    """
    names = list(dict.fromkeys(known))
    last = _last(word)
    parts = get_close_matches(last, {_last(name): None for name in names}, n=1, cutoff=NEAR)
    same = [name for name in names if parts and _last(name) == parts[0]]
    return max(same, key=lambda name: SequenceMatcher(None, word, name).ratio(), default=None)


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """Ends a message with a suggestion, or with nothing.

    >>> did_you_mean("pcgrd", ["pcgrad", "static"]), did_you_mean("magic", ["pcgrad", "static"])
    ("; did you mean 'pcgrad'?", '')
    """
    found = nearest(word, known)
    return "" if found is None else f"; did you mean {found!r}?"


def _last(name: str) -> str:
    return name.rpartition(".")[2]
