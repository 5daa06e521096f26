"""The data card of a run, as a section of its page."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from moola_data.card import DatasetCard, LabelSummary
from moola_eval.section import Grid, Listing, Section, Words

MOST = 24
"""Symbols, types or features that are named; the others are counted."""


def card_section(card: DatasetCard) -> Section:
    """Says what the bars, labels and windows are."""
    parts: list[Words | Listing | Grid] = [
        Words(
            text=f"{card.bars:,} bars in {card.segments:,} uninterrupted stretches"
            + (f", {card.begin[:19]} to {card.end[:19]}" if card.begin and card.end else ", without times")
            + f". Source: {card.source or 'not named'}."
        ),
        Words(text=f"Bars by symbol: {listed(card.bars_by_symbol)}."),
        Words(text=f"SHA-256 of the bars {card.fingerprint}", tone="soft"),
        *(part for labels in card.labels for part in _labels(labels)),
    ]
    if card.agreements:
        parts.append(
            Grid(
                head=("annotators", "common bars", "bar F1", "kappa", "span F1"),
                rows=tuple(
                    (
                        f"{a.first} and {a.second}",
                        f"{a.bars:,}",
                        *map(_number, (a.bar_f1, a.kappa, a.span_f1)),
                    )
                    for a in card.agreements
                ),
            )
        )
    if card.windows is not None:
        w = card.windows
        parts += [
            Words(
                text=f"Windows of {w.length} bars; {len(w.features)} features of the set {w.feature_set!r}: "
                f"{named(w.features)}."
            ),
            Grid(
                head=("part", "windows", "with a span", "blocks of time", "purged at its edges"),
                rows=tuple(
                    (
                        name,
                        f"{count:,}",
                        f"{w.with_span[name]:,}",
                        f"{w.groups[name]:,}",
                        f"{w.purged.get(name, 0):,}",
                    )
                    for name, count in w.windows.items()
                ),
            ),
        ]
    return Section(name="Data card", parts=tuple(parts))


def _labels(labels: LabelSummary) -> list[Words | Grid]:
    words = (
        f"{labels.spans:,} spans" + (f" of {labels.label!r}" if labels.label else "") + f" by "
        f"{labels.annotator or 'an annotator who is not named'}; {labels.positive_bars:,} bars are in one "
        f"({100 * labels.positive_share:.3g} %)."
    )
    types = {name or "without a type": count for name, count in labels.types.items()}
    parts: list[Words | Grid] = [Words(text=words)]
    if types:
        parts.append(Words(text=f"Types: {listed(types)}."))
    rows = [
        (name, *(f"{value:g}" for value in quantiles.values()))
        for name, quantiles in (("length in bars", labels.length), ("bars to the next span", labels.gap))
        if quantiles is not None
    ]
    if rows:
        first = labels.length or labels.gap or {}
        parts.append(Grid(head=("quantile", *first), rows=tuple(rows)))
    return parts


def listed(counts: Mapping[str, int]) -> str:
    """Names with their counts, the first of many."""
    shown = [f"{name} {count:,}" for name, count in list(counts.items())[:MOST]]
    return ", ".join(shown) + _more(len(counts))


def named(names: Sequence[str]) -> str:
    """The first of many names."""
    return ", ".join(names[:MOST]) + _more(len(names))


def _more(count: int) -> str:
    return f" and {count - MOST:,} more" if count > MOST else ""


def _number(value: float | None) -> str:
    return "undefined" if value is None else f"{value:.3f}"
