"""The weights a run begins with: drawn, pretrained on its own training part, or taken from a folder."""

from __future__ import annotations

from pathlib import Path

from moola_data.expansion_rule import label_expansions
from moola_data.schema import Bars
from moola_train.recipes.encoder_folder import load_encoder, load_packaged
from moola_train.recipes.experiment import Experiment
from moola_train.recipes.pretraining import pretrain
from moola_train.recipes.run_config import RunConfig


def first_weights(
    made: Experiment, bars: Bars, config: RunConfig, *, pretrained: Path | None = None
) -> tuple[str, ...]:
    """Puts the weights into an experiment's network.

    Args:
        made: The experiment; its network is changed in place.
        bars: Of the run.
        config: Its `pretrain` section pretrains on the windows of the training part.
        pretrained: Folder of an encoder instead; see `moola_train.recipes.encoder_folder`.

    Returns:
        Sentences for the report; none where weights are as drawn.

    Raises:
        ValueError: Both are asked for, or the folder does not fit.
    """
    kind = config.pretrain.kind
    if pretrained is not None:
        if kind not in ("none", "packaged"):
            raise ValueError(f"pretrain.kind: want 'none' beside a pretrained folder, got {kind!r}")
        return (load_encoder(made.model, pretrained, made.windows, bars),)
    if kind == "none":
        return ()
    if kind == "packaged":
        return (load_packaged(made.model, made.windows),)
    windows = made.windows
    # Mirrored windows lie after the bars.
    starts = windows.starts[(windows.split == 0) & (windows.starts + windows.length <= len(bars))]
    rule = label_expansions(bars) if kind == "rules" else None
    result = pretrain(made.model, windows.features, starts, config, rule=rule)
    if kind == "worlds":
        where = " and ".join(config.pretrain.worlds)
        return (
            f"Encoder and span head pretrained on {config.pretrain.windows} drawn windows ({where}), "
            f"{result.fitted.epochs} epochs: {result.moved} tensors taken over.",
        )
    return (
        f"Encoder pretrained ({kind}) on the {len(starts)} windows of the training part, "
        f"{result.fitted.epochs} epochs: {result.moved} tensors taken over.",
    )
