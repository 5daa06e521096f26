"""The journal's system from entries to a folder, and from the folder in another process to the same lines."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from moola_data.catalogue import Catalogue, write_catalogue
from moola_data.journal_file import write_journal
from moola_data.journal_text import TextBag, normalise_text
from moola_data.uk_chart import uk_chart
from moola_data.uk_journal import uk_journal
from moola_losses.flow_divergence import FlowDivergence
from moola_losses.schedules import OriginCliff
from moola_models.ngrams import ngram_ids
from moola_train.clipping import clips_of
from moola_train.parameter_groups import parameter_groups
from moola_train.recipes.catalogue_baselines import features, support_vectors
from moola_train.recipes.catalogue_config import catalogue_config
from moola_train.recipes.catalogue_data import (
    JournalMaterial,
    examples,
    journal_material,
    lines_of,
    owners,
    packed,
)
from moola_train.recipes.catalogue_decoding import write
from moola_train.recipes.catalogue_folder import load_catalogue
from moola_train.recipes.catalogue_losses import BookedFlow, ScheduledWeights, learning
from moola_train.recipes.catalogue_network import build_model, fit_config, memory_size
from moola_train.recipes.catalogue_run import train_catalogue
from moola_train.recipes.commands import run

TINY: dict[str, object] = {
    "text": {"buckets": 512, "dimension": 16},
    "model": {"hidden": 16},
    "memory": {"key_size": 16, "neighbours": 2},
    "entries": {"max_lines": 9, "slips": 0},
    "fit": {"epochs": 1, "batch_size": 32, "schedule": {"kind": "constant"}, "averaging": None},
    "evaluation": {"resamples": 20, "permutations": 20, "svm": False},
}
TOML = """
[text]
buckets = 512
dimension = 16
[model]
hidden = 16
[memory]
key_size = 16
neighbours = 2
[fit]
epochs = 1
[evaluation]
resamples = 20
permutations = 20
svm = false
"""


@pytest.fixture(scope="module")
def material() -> JournalMaterial:
    """120 generated entries, split by time."""
    made = uk_journal(120, seed=1)
    return journal_material(made.entries, uk_chart(), catalogue_config(TINY), source=made.source)


@pytest.fixture(scope="module")
def books(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with entries, accounts, a configuration and a finished run; nobody writes into it."""
    folder = tmp_path_factory.mktemp("books")
    made = uk_journal(120, seed=1)
    write_journal(folder / "entries.csv", made.entries)
    write_catalogue(folder / "accounts.json", uk_chart())
    asked = [(e.id, e.date, e.text, e.currency, e.type) for e in made.entries[:30]]
    table = pd.DataFrame(asked, columns=["entry", "date", "text", "currency", "type"])
    table.to_csv(folder / "new.csv", index=False)
    (folder / "quick.toml").write_text(TOML)
    words = ["--entries", str(folder / "entries.csv"), "--catalogue", str(folder / "accounts.json")]
    config = ["--config", str(folder / "quick.toml"), "--run", str(folder / "run")]
    assert run(["journal", "train", *words, *config]) == 0
    return folder


def test_data_and_model_number_the_same_ngrams() -> None:
    texts = ["Café RENT 03/2024", "", "VAT 25 % überwiesen", "x", "ﬁling ＡＢＣ"]
    for case in ("kept", "folded"):
        for digits in ("kept", "shape"):
            bag = TextBag(buckets=997, sizes=(2, 4), case=case, digits=digits)
            theirs = bag.bags(texts)
            ours = ngram_ids(
                [normalise_text(t) for t in texts], buckets=997, sizes=(2, 4), case=case, digits=digits
            )
            for a, b in zip(theirs, ours, strict=True):
                np.testing.assert_array_equal(a, b.numpy())


@settings(deadline=None, max_examples=60)
@given(st.text())
def test_they_do_for_any_text(text: str) -> None:
    ids, _ = TextBag().bags([text])
    ours, _ = ngram_ids([normalise_text(text)], buckets=TextBag().buckets)
    np.testing.assert_array_equal(ids, ours.numpy())


def test_a_folder_read_in_another_process_with_another_hash_seed_books_the_same(
    books: Path, tmp_path: Path
) -> None:
    outs = []
    for seed in ("0", "4242"):
        out = tmp_path / f"{seed}.csv"
        words = ["journal", "predict", "--run", str(books / "run"), "--entries", str(books / "new.csv")]
        program = "import sys; from moola_train.recipes.commands import run; sys.exit(run(sys.argv[1:]))"
        environment = {**os.environ, "PYTHONHASHSEED": seed}
        done = subprocess.run(
            [sys.executable, "-c", program, *words, "--out", str(out)],
            env=environment,
            capture_output=True,
            text=True,
        )
        assert done.returncode == 0, done.stderr
        outs.append(out.read_text())
    here = tmp_path / "here.csv"
    words = ["--entries", str(books / "new.csv"), "--out", str(here)]
    assert run(["journal", "predict", "--run", str(books / "run"), *words]) == 0
    assert outs[0] == outs[1] == here.read_text()
    table = pd.read_csv(here, dtype={"entry": str, "account": str})
    assert set(table.account) <= set(uk_chart().codes)
    assert table.groupby("entry").side.nunique().eq(2).all()


def test_the_saved_model_is_the_trained_one(books: Path, material: JournalMaterial) -> None:
    saved = load_catalogue(books / "run")
    report = json.loads((books / "run" / "report.json").read_text())
    assert memory_size(saved.model) == report["entries"]["train"]
    test = material.part("test")
    found = write(saved.model, packed(saved.model.config, test), saved.decision.decoding)
    exact = np.mean([a == b for a, b in zip(_sets(found.lines), _sets(lines_of(test)), strict=True)])
    assert report["scores"]["model"]["exact"] == pytest.approx(exact)


@pytest.mark.parametrize("change", ["order", "name", "missing"])
def test_another_catalogue_is_refused_by_its_fingerprint(
    books: Path, tmp_path: Path, change: str, capsys: pytest.CaptureFixture[str]
) -> None:
    accounts = list(uk_chart().accounts)
    if change == "order":
        accounts[3], accounts[4] = accounts[4], accounts[3]
    elif change == "name":
        accounts[3] = accounts[3].model_copy(update={"name": "Something else"})
    else:
        accounts.pop()
    write_catalogue(tmp_path / "other.json", Catalogue.of(accounts))
    words = ["--entries", str(books / "new.csv"), "--out", str(tmp_path / "out.csv")]
    told = ["--catalogue", str(tmp_path / "other.json")]
    assert run(["journal", "predict", "--run", str(books / "run"), *words, *told]) == 2
    assert "fingerprint" in capsys.readouterr().err
    assert not (tmp_path / "out.csv").exists()


def test_a_folder_whose_catalogue_or_encoding_was_changed_is_refused(books: Path, tmp_path: Path) -> None:
    copy = tmp_path / "run"
    shutil.copytree(books / "run", copy)
    write_catalogue(copy / "catalogue.json", Catalogue.of(tuple(reversed(uk_chart().accounts))))
    with pytest.raises(ValueError, match="fingerprint"):
        load_catalogue(copy)
    shutil.copy(books / "run" / "catalogue.json", copy)
    encoding = json.loads((copy / "encoding.json").read_text())
    encoding["bag"]["buckets"] += 1
    (copy / "encoding.json").write_text(json.dumps(encoding))
    with pytest.raises(ValueError, match="encoding: want the model's buckets"):
        load_catalogue(copy)


def test_evaluate_puts_lookup_and_nearest_beside(books: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["--run", str(books / "run"), "--entries", str(books / "entries.csv"), "--catalogue", "uk"]
    assert run(["journal", "evaluate", *words]) == 0
    page = capsys.readouterr().out
    assert all(f"| {name} |" in page for name in ("model", "lookup", "nearest"))
    # Of entries that it learned from, a table of texts knows most.
    row = next(line for line in page.splitlines() if line.startswith("| lookup | 0"))
    assert float(row.split("|")[2]) > 0.5


def test_every_parameter_is_in_one_group_with_the_clipping_and_decay_that_it_should_have(
    material: JournalMaterial,
) -> None:
    config = catalogue_config(TINY | {"clipping": {"pointer": 2.0, "rest": 1.0}})
    model = build_model(material, config)
    done = fit_config(model, config)
    groups = parameter_groups(model, nn.Module(), done)
    named = [name for group in groups for name in group["names"]]
    assert sorted(named) == sorted(f"model.{name}" for name, _ in model.named_parameters())
    decay = {name: group["weight_decay"] for group in groups for name in group["names"]}
    for name in ("catalogue.rows", "decoder.pointer.log_scale", "text.bag.weight", "text.layer.0.weight"):
        assert decay[f"model.{name}"] == 0.0
    assert decay["model.decoder.pointer.query.weight"] == done.weight_decay > 0
    norms = {id(p): part.norm for part in clips_of(groups, norm=done.clip_norm) for p in part.parameters}
    pointer = {id(p) for p in (*model.decoder.pointer.parameters(), *model.catalogue.parameters())}
    assert {norms[id(p)] for p in model.parameters() if id(p) in pointer} == {2.0}
    assert {norms[id(p)] for p in model.parameters() if id(p) not in pointer} == {1.0}


def test_the_test_part_never_reaches_the_loop(material: JournalMaterial) -> None:
    config = catalogue_config(TINY)
    data = examples(material, build_model(material, config).config, config)
    assert len(data) == len(material.rows("train")) + len(material.rows("inner"))
    assert set(data.split.tolist()) == {0, 1}


def test_misspelt_copies_are_trained_on_and_belong_to_their_entry(material: JournalMaterial) -> None:
    config = catalogue_config(TINY | {"entries": {"slips": 2, "max_lines": 9}})
    more = journal_material(material.entries, material.catalogue, config)
    data = examples(more, build_model(more, config).config, config)
    train = len(more.rows("train"))
    assert (data.split == 0).sum() == 3 * train
    copies = data.inputs[-2 * train :, 0].long().tolist()
    assert copies == np.repeat(owners(more, config)[more.rows("train")], 2).tolist()


def test_scheduled_weights_follow_their_schedule_and_survive_a_resume() -> None:
    weights = ScheduledWeights({"flow": OriginCliff()})
    told = []
    for _ in range(4):
        told.append(float(weights({"flow": torch.tensor(1.0)})))
        weights.epoch_end()
    np.testing.assert_allclose(told, [0.1, 0.05 * (2 - 1 / 30), 0.05 * (2 - 2 / 30), 0.019], rtol=1e-6)
    again = ScheduledWeights({"flow": OriginCliff()})
    again.load_state_dict(weights.state_dict())
    assert again.coefficients() == weights.coefficients()


def test_the_booked_flow_merges_lines_of_one_account() -> None:
    booked = torch.tensor([[[0.0, 0.0, 0.7], [0.0, 0.0, 0.3], [1.0, 1.0, 1.0], [-1.0, -1.0, 0.0]]])
    output = torch.randn(1, 2, 3, generator=torch.Generator().manual_seed(0))
    known, one = torch.tensor([True]), torch.ones(1)
    gold = torch.tensor([[[1.0, 0.0, 0.0], [0.0, 1.0, 0.0]]])
    total, weight = BookedFlow(form="divergence")(output, booked, known, one)
    wanted = FlowDivergence()(output, gold, known, one)
    assert (float(total), float(weight)) == (float(wanted.total), float(wanted.weight))
    total, _ = BookedFlow(form="squares")(output, booked, known, one)
    assert float(total) == pytest.approx(float((output.softmax(2) - gold).square().mean(2).sum()))


def test_a_loss_that_never_counts_is_not_computed(material: JournalMaterial) -> None:
    config = catalogue_config(TINY | {"losses": {"flow": 0.0, "side": 0.0}})
    assert [task.name for task in learning(material.catalogue, config).tasks] == ["account", "stop"]
    assert build_model(material, config).config.flow is False


def test_the_classifier_books_training_entries_that_it_can_tell_apart(material: JournalMaterial) -> None:
    train = material.part("train")
    booked = lines_of(train)
    found = support_vectors(train, train, booked)
    right = np.mean([sorted(row) == sorted(true) for row, true in zip(found, _sets(booked), strict=True)])
    assert right > 0.9
    assert features(train).indices.dtype == np.int32


def test_a_memory_that_is_only_trained_with_is_empty_at_use(material: JournalMaterial) -> None:
    for used, size in (("training", 0), ("prediction", len(material.rows("train")))):
        config = catalogue_config(TINY | {"memory": {"key_size": 8, "neighbours": 2, "used": used}})
        model, _ = train_catalogue(material, config)
        assert memory_size(model) == size


def _sets(lines: object) -> list[list[tuple[int, int]]]:
    rows: list[list[tuple[int, int]]] = [[] for _ in range(lines.n_entries)]  # type: ignore[attr-defined]
    for entry, account, side in zip(lines.entry, lines.account, lines.side, strict=True):  # type: ignore[attr-defined]
        rows[entry].append((int(account), int(side)))
    return [sorted(row) for row in rows]
