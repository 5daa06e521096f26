"""``moola pretrain``: trains an encoder on bars without labels, or on drawn markets."""

from __future__ import annotations

from pathlib import Path
from typing import Literal, get_args

import numpy as np

import moola_models
from moola_data.bars import read_bars
from moola_data.card import dataset_card
from moola_data.expansion_rule import label_expansions
from moola_data.features import compute_features
from moola_data.schema import Bars, Spans
from moola_data.trade_market import trade_market
from moola_data.windows import window_starts
from moola_models.config import JadeConfig, brief_heads
from moola_train.recipes.bar_range import bars_between
from moola_train.recipes.encoder_folder import EncoderCard, save_encoder
from moola_train.recipes.flags import Config, Json, Settings
from moola_train.recipes.pretraining import pretrain as pretrain_encoder
from moola_train.recipes.provenance import package_versions
from moola_train.recipes.run_config import RunConfig
from moola_train.recipes.settings import read_run_settings
from moola_train.recipes.telling import answer

Kind = Literal["masked", "contrastive", "rules", "worlds"]
WANTED = ", ".join(get_args(Kind)[:-1]) + f" or {get_args(Kind)[-1]}"


def pretrain(
    *,
    out: Path,
    bars: Path | None = None,
    config: Config = None,
    settings: Settings = (),
    kind: Kind | None = None,
    until: str | None = None,
    json: Json = False,
) -> int:
    """Train an encoder on bars without labels; `moola train --pretrained` begins with it.

    Bars that a later run is tested on should not be among them: see --until.

    Kind worlds needs no bars: it draws markets whose marks are known, and teaches the span head too.

    Examples: moola pretrain --bars all.parquet --until 2023-12-31 --kind masked --out encoder;
    moola pretrain --kind worlds --pretrain.windows 4000 --model.hidden 96 --out encoder

    Args:
        out: Folder to make.
        bars: CSV or Parquet, as for train; not for worlds.
        config: The configuration of the later run; its sections data, model and pretrain count.
        settings: Keys of it.
        kind: What is learned; the configuration's where omitted.
        until: Last time to use.
        json: Tell the encoder's card as JSON.
    """
    run = read_run_settings(config, settings)
    chosen = kind or run.pretrain.kind
    if chosen not in get_args(Kind):
        raise ValueError(f"kind: want {WANTED}, here or as pretrain.kind, got {chosen}")
    if (bars is None) != (chosen == "worlds"):
        raise ValueError(
            f"bars: want a file for kind {chosen}, got none"
            if bars is None
            else f"bars: want none for kind worlds, which draws its own, got {bars}"
        )
    if bars is None and until is not None:
        raise ValueError(f"until: want none for kind worlds, got {until}")
    if out.exists() or not out.parent.is_dir():
        raise ValueError(f"out: want a new folder in an existing one, got {out}")
    run = run.model_copy(update={"pretrain": run.pretrain.model_copy(update={"kind": chosen})})
    used = None
    if bars is not None:
        used, _ = bars_between(read_bars(bars), _no_spans(), begin=None, end=until)
    card = save_pretrained(used, run, out)
    losses = (
        f"loss {card.first_loss:.4g} to {card.last_loss:.4g}" if card.last_loss is not None else "no loss"
    )
    where = f"of {card.source}" if used is None else f"up to {card.end}"
    words = f"{card.kind}: {card.windows} windows {where}, {card.epochs} epochs, {losses}: {out}"
    answer(words, {"encoder": str(out), **card.model_dump(mode="json")}, json=json)
    return 0


def save_pretrained(bars: Bars | None, config: RunConfig, out: Path) -> EncoderCard:
    """Pretrains an encoder as a configuration says and writes its folder.

    Args:
        bars: All of them are used; None for kind "worlds".
        config: Sections data, model and pretrain count.
        out: Folder to make.

    Raises:
        ValueError: No stretch is as long as a window, or the configuration says "none".
    """
    section, data = config.pretrain, config.data
    if section.kind not in get_args(Kind):
        raise ValueError(f"pretrain.kind: want {WANTED}, got {section.kind!r}")
    drawn = bars is None
    bars = trade_market(1, seed=0, length=data.length).bars if bars is None else bars
    features = compute_features(bars, data.feature_set)
    starts = window_starts(bars.segment, length=data.length, stride=data.stride)
    if not len(starts):
        raise ValueError(f"bars: want an uninterrupted stretch of {data.length} bars, got {len(bars)} bars")
    model = _network(features.values.shape[1] + int(data.position), config)
    rule = label_expansions(bars) if section.kind == "rules" else None
    result = pretrain_encoder(model, features.values, starts, config, rule=rule)
    losses = [r.value for r in result.fitted.records if r.name == "loss" and not r.task]
    losses = losses or [r.value for r in result.fitted.records if r.name == "loss"]
    facts = dataset_card(bars, rule or _no_spans())
    card = EncoderCard(
        kind=section.kind,
        feature_set=data.feature_set,
        feature_names=features.names,
        length=data.length,
        position=data.position,
        source=f"drawn markets ({', '.join(section.worlds)})" if drawn else bars.source,
        bars_fingerprint=None if drawn else facts.fingerprint,
        begin=None if drawn else facts.begin,
        end=None if drawn else facts.end,
        windows=section.windows if drawn else len(starts),
        epochs=result.fitted.epochs,
        first_loss=losses[0] if losses else None,
        last_loss=losses[-1] if losses else None,
        seed=section.seed,
        versions=package_versions(),
    )
    save_encoder(model, out, card)
    return card


def _network(inputs: int, config: RunConfig) -> moola_models.Jade:
    """The run's network with a span head alone; the other heads have no part in pretraining."""
    section = config.model
    preset = {"compact": moola_models.compact, "core": moola_models.core}[section.preset]
    own = section.heads.get("span")
    head = own if own is not None else next(h for h in brief_heads(classes=2) if h.name == "span")
    base = preset(inputs, classes=2, window=config.data.length, heads=(head,))
    names = ("encoder", "hidden", "layers", "input_dropout", "layer_dropout", "dense_dropout")
    given = {name: value for name in names if (value := getattr(section, name)) is not None}
    return moola_models.Jade(JadeConfig.model_validate({**dict(base), **given}), seed=section.seed)


def _no_spans() -> Spans:
    nothing = np.zeros(0, np.int64)
    return Spans(start=nothing, end=nothing, type=nothing, weight=np.zeros(0, np.float32), type_names=())
