"""`moola pretrain` leaves an encoder that `moola train --pretrained` begins with, and says what it took."""

from __future__ import annotations

import json

import pytest
import torch

from moola_models.store import load_tensors
from moola_train.recipes.commands import run
from moola_train.recipes.expansion import expansion_windows
from moola_train.recipes.experiment import experiment
from moola_train.recipes.first_weights import first_weights
from moola_train.recipes.run_source import file_inputs
from moola_train.recipes.settings import read_run_settings

FAST = "[pretrain]\nepochs = 1\n"


@pytest.fixture(scope="module")
def quick(market, tmp_path_factory):
    path = tmp_path_factory.mktemp("quick") / "quick.toml"
    path.write_text((market / "quick.toml").read_text() + FAST)
    return path


@pytest.fixture(scope="module")
def encoder(market, quick, tmp_path_factory):
    out = tmp_path_factory.mktemp("encoder") / "encoder"
    bars = ["--bars", str(market / "bars.csv"), "--until", "2024-01-01T04:00"]
    assert run(["pretrain", *bars, "--config", str(quick), "--kind", "masked", "--out", str(out)]) == 0
    return out


def test_the_card_says_what_the_encoder_has_seen(encoder):
    card = json.loads((encoder / "card.json").read_text())
    card = card.get("card", card)
    assert card["kind"] == "masked"
    assert card["end"].startswith("2024-01-01T04:00")
    assert card["windows"] == (241 - 20) // 10 + 1
    assert card["feature_set"] == "origin"


def test_a_run_begins_with_the_encoder_and_says_so(encoder, quick, flags, tmp_path, capsys):
    folder = tmp_path / "run"
    words = ["train", *flags, "--config", str(quick), "--run", str(folder), "--pretrained", str(encoder)]
    assert run(words) == 0
    told = capsys.readouterr().err
    assert "8 tensors taken over" in told
    assert "It may have seen" not in told
    assert "8 tensors taken over" in (folder / "report.md").read_text()
    assert json.loads((folder / "source.json").read_text())["pretrained"] == str(encoder.resolve())


def test_the_network_holds_the_encoder_before_the_first_step(encoder, quick, market):
    inputs = file_inputs(market / "bars.csv", market / "spans.csv")
    config = read_run_settings(quick)
    windows, _ = expansion_windows(inputs.bars, inputs.spans, config)
    made = experiment(windows, config)
    drawn = {name: tensor.clone() for name, tensor in made.model.state_dict().items()}
    first_weights(made, inputs.bars, config, pretrained=encoder)
    saved = load_tensors(encoder)
    for name, tensor in made.model.state_dict().items():
        assert torch.equal(tensor, saved[name] if name.startswith("lstm.") else drawn[name])
    assert not torch.equal(saved["lstm.weight_hh_l0"], drawn["lstm.weight_hh_l0"])


@pytest.mark.parametrize("kind", ["contrastive", "rules"])
def test_the_other_kinds_pretrain_too(kind, market, quick, tmp_path, capsys):
    words = ["--bars", str(market / "bars.csv"), "--config", str(quick), "--kind", kind]
    assert run(["pretrain", *words, "--out", str(tmp_path / "e")]) == 0
    assert capsys.readouterr().out.startswith(kind)


def test_an_encoder_that_saw_the_test_part_is_named(market, quick, flags, tmp_path, capsys):
    out = tmp_path / "e"
    words = ["--bars", str(market / "bars.csv"), "--config", str(quick), "--kind", "masked"]
    assert run(["pretrain", *words, "--out", str(out)]) == 0
    words = ["train", *flags, "--config", str(quick), "--run", str(tmp_path / "run")]
    assert run([*words, "--pretrained", str(out)]) == 0
    assert "It may have seen bars of the inner and test parts" in capsys.readouterr().err


def test_what_does_not_fit_is_refused_and_nothing_is_written(
    encoder, quick, finished, flags, tmp_path, capsys
):
    wide = tmp_path / "wide.toml"
    wide.write_text(quick.read_text().replace("hidden = 8", "hidden = 12"))
    placed = tmp_path / "placed.toml"
    placed.write_text(quick.read_text().replace("length = 20", "length = 20\nposition = true"))
    both = tmp_path / "both.toml"
    both.write_text(quick.read_text().replace(FAST, '[pretrain]\nkind = "masked"\n'))
    cases = (
        (wide, encoder, "lstm.weight_ih_l0"),
        (placed, encoder, "position"),
        (both, encoder, "want 'none' beside a pretrained folder"),
        (quick, finished / "model", "want a folder of `moola pretrain`"),
        (quick, tmp_path / "none", "want the folder of `moola pretrain`"),
    )
    for config, folder, wanted in cases:
        words = ["train", *flags, "--config", str(config), "--run", str(tmp_path / "run")]
        assert run([*words, "--pretrained", str(folder)]) == 2
        error = capsys.readouterr().err.strip()
        assert wanted in error
        assert len(error.splitlines()) == 1
        assert not (tmp_path / "run").exists()


def test_a_configuration_that_asks_for_pretraining_gets_it(quick, flags, tmp_path, capsys):
    config = tmp_path / "c.toml"
    config.write_text(quick.read_text().replace(FAST, '[pretrain]\nkind = "masked"\nepochs = 1\n'))
    assert run(["train", *flags, "--config", str(config), "--run", str(tmp_path / "run")]) == 0
    assert "Encoder pretrained (masked)" in capsys.readouterr().err
    assert "Encoder pretrained (masked)" in (tmp_path / "run" / "report.md").read_text()


@pytest.mark.parametrize(
    ("words", "wanted"),
    [([], "kind: want"), (["--kind", "masked", "--until", "soon"], "end: want a time")],
)
def test_bad_input_is_one_line(words, wanted, market, quick, tmp_path, capsys):
    given = ["--bars", str(market / "bars.csv"), "--config", str(quick), "--out", str(tmp_path / "e")]
    assert run(["pretrain", *given, *words]) == 2
    error = capsys.readouterr().err.strip()
    assert wanted in error
    assert len(error.splitlines()) == 1
    assert not (tmp_path / "e").exists()
