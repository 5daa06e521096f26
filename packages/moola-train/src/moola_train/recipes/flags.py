"""Flags that several commands have."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

Config = Annotated[
    Path | None,
    Parameter(help="TOML file of the run's settings, or jade-best, origin or plain. Default: jade-best."),
]
JournalConfig = Annotated[
    Path | None, Parameter(help="TOML file of the run's configuration. Default: the recipe's.")
]
Settings = Annotated[
    tuple[str, ...],
    Parameter(
        name="--set",
        help="NAME=VALUE: a key of the configuration, over what the file says; --fit.epochs 5 is short for "
        "--set fit.epochs=5. `moola settings` lists the keys.",
        consume_multiple=True,
        show_default=False,
    ),
]
Folder = Annotated[
    Path | None, Parameter(help="Folder of the run: new or empty. Default: the next in runs/.")
]
Json = Annotated[
    bool,
    Parameter(help="Tell the result as one JSON object on standard output, all else on the error stream."),
]
