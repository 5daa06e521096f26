"""``moola settings``: every key of a configuration with its value."""

from __future__ import annotations

import json as text_of
from collections.abc import Iterator, Mapping

from pydantic import BaseModel

from moola_train.recipes.flags import Config, JournalConfig, Json, Settings
from moola_train.recipes.near_names import did_you_mean
from moola_train.recipes.settings import read_journal_settings, read_run_settings
from moola_train.recipes.telling import answer


def settings_of_run(
    table: str | None = None, /, *, config: Config = None, settings: Settings = (), json: Json = False
) -> int:
    """List the keys of a run's configuration with their values: defaults, over them a file, over it flags.

    Each is a flag of demo, train, sweep, walk-forward, doctor and pretrain, and a key of a TOML file. `null`
    stands for what is left to the preset or not done.

    Examples: moola settings; moola settings fit; moola settings balancer --balancer.kind gradnorm

    Args:
        table: Only the keys that begin so.
        config: As for train.
        settings: As for train.
        json: Tell the result as JSON.
    """
    return _list(read_run_settings(config, settings), table, json=json)


def settings_of_journal(
    table: str | None = None, /, *, config: JournalConfig = None, settings: Settings = (), json: Json = False
) -> int:
    """List the keys of the configuration of a journal's run with their values.

    Example: moola journal settings losses

    Args:
        table: Only the keys that begin so.
        config: As for journal train.
        settings: As for journal train.
        json: Tell the result as JSON.
    """
    return _list(read_journal_settings(config, settings), table, json=json)


def leaves(values: Mapping[str, object], where: str = "") -> Iterator[tuple[str, object]]:
    """Walks through a nested mapping.

    >>> list(leaves({"fit": {"epochs": 5, "seed": 0}}))
    [('fit.epochs', 5), ('fit.seed', 0)]
    """
    for name, value in values.items():
        if isinstance(value, Mapping) and value:
            yield from leaves(value, f"{where}{name}.")
        else:
            yield f"{where}{name}", value


def _list(config: BaseModel, table: str | None, *, json: bool) -> int:
    whole = config.model_dump(mode="json")
    chosen = {
        name: value
        for name, value in leaves(whole)
        if table is None or name == table or name.startswith(f"{table}.")
    }
    if not chosen:
        parts = [name.split(".") for name, _ in leaves(whole)]
        known = {".".join(words[: end + 1]) for words in parts for end in range(len(words))}
        raise ValueError(
            f"table: want one of a configuration, got {table!r}{did_you_mean(str(table), known)}"
        )
    lines = [f"{name} = {text_of.dumps(value, ensure_ascii=False)}" for name, value in chosen.items()]
    answer("\n".join(lines), chosen, json=json)
    return 0
