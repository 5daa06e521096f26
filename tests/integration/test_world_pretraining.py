"""Pretraining on drawn markets: what is drawn, what moves, and who refuses it."""

import pytest
import torch

from moola_models import Jade, compact
from moola_train.recipes.commands import run
from moola_train.recipes.pretraining import pretrain
from moola_train.recipes.run_config import RunConfig
from moola_train.recipes.trial import trial
from moola_train.recipes.world_pretraining import WORLDS, world_job

DATA = {"feature_set": "jade", "mirror": True}
SMALL = {
    "data": DATA,
    "model": {"hidden": 8, "heads": {"span": {"kind": "span_semi_markov"}}},
    "fit": {"epochs": 1},
    "pretrain": {"kind": "worlds", "windows": 12, "epochs": 1, "batch_size": 8},
}
CONFIG = RunConfig.model_validate(SMALL)


def network(*, heads=None):
    preset = compact(38, span="semi_markov")
    chosen = preset.heads if heads is None else tuple(h for h in preset.heads if h.name in heads)
    return Jade(preset.model_copy(update={"hidden": 8, "heads": chosen}), seed=3)


@pytest.mark.parametrize("worlds", [(name,) for name in WORLDS] + [tuple(WORLDS)])
def test_every_world_gives_its_share_of_marked_windows_and_their_mirror_images(worlds):
    section = CONFIG.pretrain.model_copy(update={"worlds": worlds, "windows": 30})
    data, task = world_job(network(heads=["span"]), section, CONFIG.data)
    assert len(data.inputs) == 60
    assert data.inputs.shape[1:] == (105, 38)
    assert task.name == "span"
    marks = data.targets["span"]
    assert 0.01 < float(marks.float().mean()) < 0.3
    again, _ = world_job(network(heads=["span"]), section, CONFIG.data)
    assert torch.equal(again.inputs, data.inputs)
    other, _ = world_job(network(heads=["span"]), section.model_copy(update={"seed": 1}), CONFIG.data)
    assert not torch.equal(other.inputs, data.inputs)


def test_the_encoder_and_the_span_head_move_and_no_other_head():
    model = network()
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    result = pretrain(model, None, None, CONFIG)
    moved = {name for name, tensor in model.state_dict().items() if not torch.equal(tensor, before[name])}
    assert result.moved >= len(moved)
    assert {name.split(".")[0] for name in moved} == {"lstm", "projection", "readouts"}
    assert {name.split(".")[1] for name in moved if name.startswith("readouts.")} == {"span_head"}


def test_a_trial_needs_no_unlabelled_windows_for_it():
    source = {"kind": "benchmark", "windows": 10, "fresh": 5}
    plain = trial(source=source, run={**SMALL, "pretrain": {}}, seed=0)
    taught = trial(source=source, run=SMALL, seed=0)
    assert taught["inner/loss@1"] != plain["inner/loss@1"]


def test_the_report_of_a_run_says_so_and_the_command_for_files_refuses(market, tmp_path, capsys):
    files = ["--bars", str(market / "bars.csv")]
    words = [*files, "--config", str(market / "quick.toml")]
    more = ["--pretrain.kind", "worlds", "--pretrain.windows", "8", "--pretrain.epochs", "1"]
    spans = ["--spans", str(market / "spans.csv"), "--run", str(tmp_path / "run")]
    assert run(["train", *words, *spans, *more]) == 0
    said = "Encoder and span head pretrained on 8 drawn windows (trades)"
    assert said in (tmp_path / "run" / "report.md").read_text()
    assert run(["pretrain", *words, *more, "--out", str(tmp_path / "encoder")]) == 2
    assert "want masked, contrastive or rules" in capsys.readouterr().err
