"""Run by name where huggingface_hub is installed: pytest tests/extras/check_hub.py. Needs no network."""

import pytest
import torch

from moola_models.config import JadeConfig, brief_heads
from moola_models.hub import HubJade
from moola_models.jade import Jade
from moola_models.store import load_model, save_model


def config():
    return JadeConfig(input_size=5, hidden=8, projection=6, heads=brief_heads(span="crf"))


def equal(one, other):
    a, b = one.state_dict(), other.state_dict()
    return a.keys() == b.keys() and all(torch.equal(a[name], b[name]) for name in a)


@pytest.fixture
def folder(tmp_path):
    HubJade(config(), seed=1).save_pretrained(tmp_path / "model")
    return tmp_path / "model"


def test_a_model_comes_back_from_a_local_folder(folder):
    again = HubJade.from_pretrained(folder)
    assert isinstance(again, HubJade)
    assert again.config == config()
    assert not again.training
    assert equal(again, Jade(config(), seed=1))
    x = torch.randn(2, 7, 5)
    assert all(torch.equal(a, b) for a, b in zip(again(x), Jade(config(), seed=1).eval()(x), strict=True))


def test_the_folder_is_that_of_the_store_beside_the_hubs_card(folder):
    assert sorted(path.name for path in folder.iterdir()) == [
        "README.md",
        "SHA256SUMS",
        "card.json",
        "config.json",
        "model.safetensors",
    ]
    assert equal(load_model(folder), Jade(config(), seed=1))


def test_a_folder_of_the_store_is_read(tmp_path):
    folder = save_model(Jade(config(), seed=2), tmp_path / "model")
    assert equal(HubJade.from_pretrained(folder), Jade(config(), seed=2))


def test_saving_again_replaces_the_model(folder):
    HubJade(config(), seed=3).save_pretrained(folder)
    assert equal(HubJade.from_pretrained(folder), Jade(config(), seed=3))


def test_types_survive(tmp_path):
    HubJade(config()).half().save_pretrained(tmp_path / "model")
    assert {p.dtype for p in HubJade.from_pretrained(tmp_path / "model").parameters()} == {torch.float16}


@pytest.mark.parametrize("name", ["SHA256SUMS", "card.json", "config.json", "model.safetensors"])
def test_a_flipped_byte_is_refused(folder, name):
    path = folder / name
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
    with pytest.raises(ValueError, match="sha256"):
        HubJade.from_pretrained(folder)


def test_what_is_not_there_is_not_asked_of_the_hub(tmp_path, monkeypatch):
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    with pytest.raises((FileNotFoundError, OSError)):
        HubJade.from_pretrained("nobody/nothing", local_files_only=True, cache_dir=tmp_path)


def test_a_loaded_model_trains_on(folder):
    model = HubJade.from_pretrained(folder).train()
    model(torch.randn(2, 7, 5)).span.sum().backward()
    assert model.lstm.weight_ih_l0.grad is not None


def test_settings_of_the_network_are_refused_by_name(folder):
    with pytest.raises(TypeError, match="hidden"):
        HubJade.from_pretrained(folder, hidden=8)
