"""What a network answers about windows, and what that costs."""

import numpy as np
import pytest
import torch

from moola_models.candidates import best_marks
from moola_models.expected_f1 import decode_for_f1
from moola_train.recipes.answers import answers_of
from moola_train.recipes.experiment import Experiment, experiment
from moola_train.recipes.run_config import DecodingSection, RunConfig
from moola_train.recipes.settings import read_run_settings
from moola_train.recipes.study_data import BenchmarkSource, material


@pytest.fixture(scope="module")
def config() -> RunConfig:
    return read_run_settings(None)


@pytest.fixture(scope="module")
def made(config) -> Experiment:
    return experiment(material(BenchmarkSource(windows=10, fresh=30), config.data, seed=0).windows, config)


@pytest.mark.parametrize("kind", ["threshold", "best", "expected_f1"])
def test_a_window_is_read_once_however_it_is_decided(made, config, kind, monkeypatch):
    read = []
    encode = type(made.model).encode
    monkeypatch.setattr(
        type(made.model), "encode", lambda self, x, **more: read.append(len(x)) or encode(self, x, **more)
    )
    answers_of(made.model, made.data, np.arange(30), config.data, DecodingSection(kind=kind))
    assert sum(read) == 30


@pytest.mark.parametrize("kind", ["best", "expected_f1"])
def test_spans_are_decided_by_the_heads_own_distribution(made, config, kind):
    rows = np.arange(30)
    found = answers_of(made.model, made.data, rows, config.data, DecodingSection(kind=kind, seed=3)).marks
    model = made.model.eval()
    with torch.inference_mode():
        states = model.states(model.encode(made.data.batch(torch.from_numpy(rows)).inputs))
        distribution = model.head("span").distribution(states)
        if kind == "best":
            wanted = best_marks(distribution)
        else:
            draw = torch.Generator().manual_seed(3)
            wanted = decode_for_f1(distribution, generator=draw, samples=64, average="pooled").marks
    np.testing.assert_array_equal(found, wanted.numpy())
