"""Pretraining on drawn markets: what is drawn, what moves, and who refuses it."""

import json

import pytest
import torch

from moola_models import Jade, compact
from moola_models.store import load_tensors
from moola_train.recipes.commands import run
from moola_train.recipes.expansion import expansion_windows
from moola_train.recipes.experiment import experiment
from moola_train.recipes.first_weights import first_weights
from moola_train.recipes.pretraining import pretrain
from moola_train.recipes.run_config import RunConfig
from moola_train.recipes.run_source import file_inputs
from moola_train.recipes.settings import read_run_settings
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
    assert "bars: want none for kind worlds" in capsys.readouterr().err


@pytest.fixture(scope="module")
def drawn(market, tmp_path_factory):
    """An encoder of drawn markets, made by the command."""
    out = tmp_path_factory.mktemp("drawn") / "encoder"
    words = ["--config", str(market / "quick.toml"), "--pretrain.windows", "8", "--pretrain.epochs", "1"]
    assert run(["pretrain", "--kind", "worlds", *words, "--out", str(out)]) == 0
    return out


def test_an_encoder_of_drawn_markets_needs_no_bars_and_brings_its_span_head(drawn, market, flags, tmp_path):
    card = json.loads((drawn / "card.json").read_text())
    assert (card["kind"], card["windows"], card["end"]) == ("worlds", 8, None)
    inputs = file_inputs(market / "bars.csv", market / "spans.csv")
    config = read_run_settings(market / "quick.toml")
    made = experiment(expansion_windows(inputs.bars, inputs.spans, config)[0], config)
    before = {name: tensor.clone() for name, tensor in made.model.state_dict().items()}
    saved = load_tensors(drawn)
    [sentence] = first_weights(made, inputs.bars, config, pretrained=drawn)
    assert "drawn markets (trades)" in sentence
    for name, tensor in made.model.state_dict().items():
        taken = name.startswith(("lstm.", "readouts.span_head."))
        assert torch.equal(tensor, saved[name] if taken else before[name]), name


def test_another_span_head_starts_anew(drawn, market):
    inputs = file_inputs(market / "bars.csv", market / "spans.csv")
    config = read_run_settings(market / "quick.toml", ['model.heads.span.kind="span_crf"'])
    made = experiment(expansion_windows(inputs.bars, inputs.spans, config)[0], config)
    before = {name: tensor.clone() for name, tensor in made.model.state_dict().items()}
    first_weights(made, inputs.bars, config, pretrained=drawn)
    after = made.model.state_dict()
    assert all(torch.equal(after[n], before[n]) for n in after if n.startswith("readouts."))


@pytest.mark.parametrize(
    ("words", "wanted"),
    [
        (["--kind", "masked"], "bars: want a file"),
        (["--kind", "worlds", "--until", "2024"], "until: want none"),
    ],
)
def test_what_does_not_go_with_the_kind_is_refused(words, wanted, tmp_path, capsys):
    assert run(["pretrain", *words, "--out", str(tmp_path / "encoder")]) == 2
    assert wanted in capsys.readouterr().err
    assert not list(tmp_path.iterdir())


def test_the_packages_encoder_fits_the_default_and_is_checked(market, flags, tmp_path, capsys):
    inputs = file_inputs(market / "bars.csv", market / "spans.csv")
    config = read_run_settings(None, ["data.length=20", "data.stride=10"])
    assert config.pretrain.kind == "packaged"
    made = experiment(expansion_windows(inputs.bars, inputs.spans, config)[0], config)
    before = {name: tensor.clone() for name, tensor in made.model.state_dict().items()}
    [sentence] = first_weights(made, inputs.bars, config)
    assert "(of 105 bars, here 20)" in sentence
    after = made.model.state_dict()
    assert not torch.equal(after["lstm.weight_hh_l0"], before["lstm.weight_hh_l0"])
    assert any(n.startswith("readouts.span_head.") and not torch.equal(after[n], before[n]) for n in after)
    words = ["--data.length", "20", "--data.stride", "10", "--run", str(tmp_path / "run")]
    for more in (["--model.hidden", "12"], ["--data.feature_set", "origin"]):
        assert run(["train", *flags, *words, *more]) == 2
        [line] = capsys.readouterr().err.splitlines()
        assert "pretrain.kind: 'packaged' wants " in line
        assert f"{more[0].strip('-')} " in line
        assert "'none' begins with drawn weights" in line
        assert len(line) < 300
        assert not (tmp_path / "run").exists()


def test_numbers_of_a_task_that_the_run_has_not_are_left_out_and_of_no_task_refused(market):
    inputs = file_inputs(market / "bars.csv", market / "spans.csv")  # no span has a type
    weights = ['balancer.kind="static"', "balancer.weights.type=2", "balancer.weights.span=3"]
    config = read_run_settings(market / "quick.toml", weights)
    windows, _ = expansion_windows(inputs.bars, inputs.spans, config)
    assert experiment(windows, config).balancer.coefficients() == {"pointers": 1, "span": 3, "countdown": 1}
    config = read_run_settings(market / "quick.toml", [*weights[:1], "balancer.weights.spam=2"])
    with pytest.raises(ValueError, match="got 'spam'"):
        experiment(windows, config)
