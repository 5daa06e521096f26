"""Slips of the keyboard: one letter swapped with the next, doubled or left out."""

from __future__ import annotations

from moola_data.journal_text import normalise_text


def slips(text: str) -> list[str]:
    """Lists every text that one slip makes of a text, normalised, as often as there are slips that make it.

    A slip swaps two neighbouring letters that differ, doubles a letter or leaves one out. Other characters
    are typed right.

    >>> slips("ab1")
    ['ba1', 'aab1', 'b1', 'abb1', 'a1']
    """
    made = []
    for i, letter in enumerate(text):
        if not letter.isalpha():
            continue
        after = text[i + 1 : i + 2]
        if after.isalpha() and after != letter:
            made.append(text[:i] + after + letter + text[i + 2 :])
        made.append(text[: i + 1] + letter + text[i + 1 :])
        made.append(text[:i] + text[i + 1 :])
    return [normalise_text(slip) for slip in made]
