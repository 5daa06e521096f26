"""The package's commands: ``python -m moola_data check | audit | card | label FILE``.

Exit code 0: all is well; 1: something was found; 2: the input cannot be read.
"""

from __future__ import annotations

import argparse
import importlib
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from moola_data._atomic_file import write_atomically
from moola_data.bars import read_bars
from moola_data.features import FEATURE_SETS, feature_set
from moola_data.labellers import LABELLERS, label_bars
from moola_data.schema import Bars
from moola_data.suspicions import list_suspicions
from moola_data.violations import BarsError


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs a command.

    Args:
        arguments: Those of the command line unless given.

    Returns:
        The exit code.
    """
    chosen = _parser().parse_args(arguments)
    try:
        code: int = chosen.run(chosen)
    except KeyboardInterrupt:
        return 130
    except (OSError, ValueError, TypeError) as error:
        print(f"moola_data {chosen.command}: {error}", file=sys.stderr)
        return 2
    return code


def check(chosen: argparse.Namespace) -> int:
    """Prints every violation in a bars file, or, if it has none, what looks suspicious."""
    try:
        bars = _bars(chosen)
    except BarsError as error:
        print(_text(error.violations, chosen.most))
        print(f"{len(error.violations)} violations: these are no bars")
        return 2
    gap = None if chosen.gap is None else pd.Timedelta(chosen.gap).to_pytimedelta()
    found = list_suspicions(bars, tick=chosen.tick, gap=gap)
    if len(found):
        print(_text(found, chosen.most))
    print(f"{len(bars):,} bars of {len(bars.symbols)} symbols break no rule; {len(found)} things to look at")
    return int(len(found) > 0)


def audit(chosen: argparse.Namespace) -> int:
    """Prints an audit of features on a bars file."""
    from moola_data.feature_audit import audit as audit_features
    from moola_data.feature_audit import audit_markdown

    features = _function(chosen.features) if ":" in chosen.features else feature_set(chosen.features)
    table = audit_features(features, _bars(chosen), seed=chosen.seed)
    _write(audit_markdown(table), chosen.out)
    return int((table["verdict"] != "clean").any())


def card(chosen: argparse.Namespace) -> int:
    """Prints the card of a bars file and its labels."""
    from moola_data.card import dataset_card
    from moola_data.card_file import card_markdown
    from moola_data.spans_file import TYPES, read_annotators, type_names

    bars = _bars(chosen)
    labels = []
    if chosen.spans:
        types = type_names(chosen.spans) or TYPES
        labels = list(read_annotators(chosen.spans, bars, types=types).values())
    _write(card_markdown(dataset_card(bars, labels)), chosen.out)
    return 0


def label(chosen: argparse.Namespace) -> int:
    """Labels a bars file by a rule and writes the spans file; a rule may look ahead."""
    from moola_data.spans_file import write_spans

    bars = _bars(chosen)
    spans = label_bars(bars, chosen.labeller)
    write_spans(chosen.out, spans, bars)
    print(f"{len(spans):,} spans on {len(bars):,} bars: {chosen.out}")
    return 0


def _function(name: str) -> Callable[[Bars], Any]:
    module, colon, attribute = name.partition(":")
    if not (module and colon and attribute):
        raise ValueError(f"--features: want module:function, got {name!r}")
    try:
        found = getattr(importlib.import_module(module), attribute, None)
    except ModuleNotFoundError as error:
        raise ValueError(
            f"--features: want a module that can be imported, got {module!r}: {error}"
        ) from error
    if not callable(found):
        raise ValueError(f"--features: want a function {attribute!r} in {module!r}, got {found!r}")
    function: Callable[[Bars], Any] = found
    return function


def _bars(chosen: argparse.Namespace) -> Bars:
    return read_bars(chosen.file, symbol_column=chosen.symbol_column, segment_column=chosen.segment_column)


def _text(table: pd.DataFrame, most: int) -> str:
    rest = f"\n… and {len(table) - most} more" if len(table) > most else ""
    return table.head(most).to_string(index=False) + rest


def _write(text: str, path: Path | None) -> None:
    if path is None:
        print(text, end="")
    else:
        write_atomically(path, text.encode())


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m moola_data", description="Bars: checks, feature audits, cards, labels by rule."
    )
    commands = parser.add_subparsers(dest="command", required=True)
    for function in (check, audit, card, label):
        command = commands.add_parser(function.__name__, help=function.__doc__, description=function.__doc__)
        command.add_argument("file", type=Path, help="bars: .csv, .csv.gz, .parquet or .pq")
        command.add_argument("--symbol-column", default="symbol")
        command.add_argument(
            "--segment-column", action="append", help="changes start a segment; may be repeated"
        )
        command.set_defaults(run=function)
        if function is check:
            command.add_argument("--tick", type=float, help="list prices off this grid")
            command.add_argument("--gap", help="list longer times between bars, such as 30min")
            command.add_argument("--most", type=int, default=50, help="lines to print")
        elif function is label:
            command.add_argument("--out", type=Path, required=True, help="spans file, .csv or .parquet")
            names = ", ".join(LABELLERS)
            command.add_argument(
                "--labeller", default="expansion", help=f"{names}, or what an installed package offers"
            )
        else:
            command.add_argument("--out", type=Path, help="write there instead of printing")
        if function is audit:
            command.add_argument(
                "--features",
                default="jade",
                help=f"{', '.join(FEATURE_SETS)}, what an installed package offers, or module:function",
            )
            command.add_argument("--seed", type=int, default=0)
        if function is card:
            command.add_argument("--spans", type=Path, help="labels of one annotator or several")
    return parser


if __name__ == "__main__":
    sys.exit(main())
