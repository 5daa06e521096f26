"""The dataset card as a file: JSON for programs, Markdown for people."""

from __future__ import annotations

import os
from pathlib import Path

from moola_data._atomic_file import write_atomically
from moola_data.card import QUANTILES, DatasetCard


def write_card(path: str | os.PathLike[str], card: DatasetCard) -> None:
    """Writes a card as ``.json`` or as ``.md``, whole or not at all.

    Args:
        path: The file; replaced if it exists.
        card: The card.

    Raises:
        ValueError: The name ends otherwise.
    """
    ending = Path(path).suffix
    if ending not in (".json", ".md"):
        raise ValueError(f"path: want a name ending in .json or .md, got {Path(path).name!r}")
    text = card.model_dump_json(indent=2) + "\n" if ending == ".json" else card_markdown(card)
    write_atomically(path, text.encode())


def card_markdown(card: DatasetCard) -> str:
    """Sets a card as Markdown.

    Args:
        card: The card.

    Returns:
        The page.
    """
    of = ", ".join(f"{name} {n:,}" for name, n in card.bars_by_symbol.items())
    period = f"{card.begin} to {card.end}" if card.begin else "no times"
    lines = [
        "# Dataset card",
        "",
        f"* Source: {card.source or 'not said'}",
        f"* Bars: {card.bars:,} ({of}) in {card.segments:,} segments, {period}",
        f"* Fingerprint: `{card.fingerprint}`",
    ]
    for label in card.labels:
        types = ", ".join(f"{name or 'no type'} {n}" for name, n in label.types.items())
        lines += [
            "",
            f"## Labels of {label.annotator or 'an unnamed annotator'}",
            "",
            f"* {label.spans:,} spans{f' ({label.label})' if label.label else ''}: {types or 'none'}",
            f"* {label.positive_bars:,} bars in a span, {label.positive_share:.2%} of all",
            f"* Fingerprint: `{label.fingerprint}`",
            "",
            f"| quantile | {' | '.join(f'{q:.0%}' for q in QUANTILES)} |",
            f"|---|{'---|' * len(QUANTILES)}",
        ]
        for name, values in (("length", label.length), ("gap to the next", label.gap)):
            cells = [f"{v:g}" for v in values.values()] if values else ["–"] * len(QUANTILES)
            lines.append(f"| {name}, bars | {' | '.join(cells)} |")
    if card.agreements:
        lines += [
            "",
            "## Agreement",
            "",
            "| annotators | bars | bar F1 | kappa | span F1 | matched | starts, ends off | same type |",
            "|---|---|---|---|---|---|---|---|",
        ]
        for a in card.agreements:
            off = f"{_shown(a.start_distance)}, {_shown(a.end_distance)}"
            cells = [f"{a.first} / {a.second}", f"{a.bars:,}", *map(_shown, (a.bar_f1, a.kappa, a.span_f1))]
            lines.append(f"| {' | '.join([*cells, str(a.matched), off, _shown(a.type_agreement)])} |")
    if card.windows:
        w = card.windows
        lines += [
            "",
            f"## Windows of {w.length} bars, {len(w.features)} features ({w.feature_set})",
            "",
            "| part | windows | groups | with a span | purged |",
            "|---|---|---|---|---|",
        ]
        for name in w.windows:
            row = [w.windows[name], w.groups[name], w.with_span[name], w.purged.get(name, 0)]
            lines.append(f"| {name} | {' | '.join(map(str, row))} |")
    return "\n".join(lines) + "\n"


def _shown(value: float | None) -> str:
    return "–" if value is None else f"{value:.3f}"
