import json
import os
import shutil
import struct
import subprocess
import sys

import numpy as np
import pytest
import torch

from moola_models import store
from moola_models.config import JadeConfig, brief_heads
from moola_models.jade import Jade
from moola_models.store import load_card, load_model, save_model


def make(seed=0):
    return Jade(JadeConfig(input_size=5, hidden=8, projection=6, heads=brief_heads(span="crf")), seed=seed)


@pytest.fixture
def folder(tmp_path):
    return save_model(make(), tmp_path / "model", card={"data": "synthetic", "scores": {"f1": 0.5}})


def equal(one, other):
    a, b = one.state_dict(), other.state_dict()
    return a.keys() == b.keys() and all(torch.equal(a[k], b[k]) for k in a)


def test_a_loaded_model_equals_the_saved_one(folder):
    model = make().eval()
    again = load_model(folder)
    assert equal(model, again)
    assert again.config == model.config
    assert not again.training
    x = torch.randn(2, 7, 5)
    assert all(torch.equal(a, b) for a, b in zip(model(x), again(x), strict=True))


def test_a_loaded_model_trains_on(folder):
    model = load_model(folder).train()
    model(torch.randn(2, 7, 5)).span.sum().backward()
    assert model.lstm.weight_ih_l0.grad is not None


def test_types_survive(tmp_path):
    again = load_model(save_model(make().double(), tmp_path / "model"))
    assert {p.dtype for p in again.parameters()} == {torch.float64}


@pytest.mark.parametrize("hash_seed", ["0", "12345"])
def test_a_new_process_gives_identical_outputs(folder, tmp_path, hash_seed):
    x = torch.linspace(-1, 1, 2 * 9 * 5).reshape(2, 9, 5)
    code = (
        "import sys, numpy, torch; from moola_models import load_model\n"
        "x = torch.linspace(-1, 1, 90).reshape(2, 9, 5)\n"
        "out = load_model(sys.argv[1])(x)\n"
        "numpy.savez(sys.argv[2], **{k: v.detach().numpy() for k, v in out._asdict().items()})\n"
    )
    result = tmp_path / "out.npz"
    subprocess.run(
        [sys.executable, "-c", code, str(folder), str(result)],
        check=True,
        env=os.environ | {"PYTHONHASHSEED": hash_seed},
    )
    with np.load(result) as found:
        for name, output in make().eval()(x)._asdict().items():
            assert np.array_equal(found[name], output.detach().numpy())


def test_a_reader_without_this_package_finds_the_weights(folder):
    raw = (folder / "model.safetensors").read_bytes()
    (size,) = struct.unpack("<Q", raw[:8])
    entry = json.loads(raw[8 : 8 + size])["lstm.weight_ih_l0"]
    begin, end = entry["data_offsets"]
    weights = np.frombuffer(raw[8 + size + begin : 8 + size + end], "<f4").reshape(entry["shape"])
    assert np.array_equal(weights, make().lstm.weight_ih_l0.detach().numpy())


def test_the_card_comes_back(folder):
    assert load_card(folder) == {"data": "synthetic", "scores": {"f1": 0.5}}


@pytest.mark.parametrize("name", ["model.safetensors", "config.json", "card.json", "SHA256SUMS"])
def test_any_flipped_byte_is_refused_by_file(folder, name):
    path = folder / name
    content = path.read_bytes()
    positions = range(len(content)) if name == "SHA256SUMS" else [0, len(content) // 2, len(content) - 1]
    for position in positions:
        for bit in (0, 5):
            changed = bytearray(content)
            changed[position] ^= 1 << bit
            path.write_bytes(changed)
            with pytest.raises(ValueError, match=r"want (one )?sha256"):
                load_model(folder)


@pytest.mark.parametrize("name", ["model.safetensors", "config.json", "card.json", "SHA256SUMS"])
def test_a_truncated_file_is_refused(folder, name):
    path = folder / name
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(ValueError, match=f"{name}: want"):
        load_model(folder)


@pytest.mark.parametrize("name", ["model.safetensors", "config.json", "card.json", "SHA256SUMS"])
def test_a_missing_file_is_named(folder, name):
    (folder / name).unlink()
    with pytest.raises(FileNotFoundError, match=f"folder: want a model folder with {name}"):
        load_model(folder)


def resum(folder):
    """Signs changed contents, as someone would who made the folder with other software."""
    lines = [f"{store.hashlib.sha256((folder / n).read_bytes()).hexdigest()}  {n}\n" for n in store.FILES]
    (folder / store.SUMS).write_text("".join(lines))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"schema_version": 2}, "want schema_version 1, got 2; written by moola-models 0.1.0"),
        ({"package": "other"}, "want a model of moola-models, got 'other'"),
        ({"model": {"kind": "jade", "heads": []}}, "config.json: model: heads"),
        ({"model": {"kind": "jade", "heads": ["os:system"]}}, "kind: want one of"),
    ],
)
def test_foreign_configurations_are_refused(folder, change, message):
    path = folder / "config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | change))
    resum(folder)
    with pytest.raises(ValueError, match=message):
        load_model(folder)


def test_foreign_weights_are_refused_by_tensor(folder):
    config = JadeConfig(input_size=5, hidden=4, projection=6, heads=brief_heads(span="crf"))
    other = save_model(Jade(config), folder.parent / "other")
    shutil.copy(other / "model.safetensors", folder)
    resum(folder)
    with pytest.raises(
        ValueError, match=r"model.safetensors: want 'lstm.bias_hh_l0' of shape \(32,\), got \(16,\)"
    ):
        load_model(folder)


def test_a_pickle_in_place_of_the_weights_is_refused(folder):
    torch.save(make().state_dict(), folder / "model.safetensors")
    resum(folder)
    with pytest.raises(ValueError, match="want a safetensors file"):
        load_model(folder)


def test_an_existing_folder_is_not_overwritten_unless_asked(folder):
    with pytest.raises(FileExistsError, match="folder: want a path that does not exist"):
        save_model(make(1), folder)
    assert equal(load_model(folder), make(0))
    save_model(make(1), folder, overwrite=True)
    assert equal(load_model(folder), make(1))
    assert [path.name for path in folder.parent.iterdir()] == ["model"]


def test_a_folder_of_something_else_is_never_overwritten(tmp_path):
    (tmp_path / "thesis").mkdir()
    (tmp_path / "thesis" / "chapter.txt").write_text("years of work")
    with pytest.raises(FileExistsError, match="want a model folder to overwrite"):
        save_model(make(), tmp_path / "thesis", overwrite=True)
    assert (tmp_path / "thesis" / "chapter.txt").read_text() == "years of work"


def test_a_failed_write_leaves_nothing(folder, monkeypatch):
    def full_disk(_):
        raise OSError("no space left")

    monkeypatch.setattr(store.os, "fsync", full_disk)
    with pytest.raises(OSError, match="no space left"):
        save_model(make(1), folder, overwrite=True)
    with pytest.raises(OSError, match="no space left"):
        save_model(make(1), folder.parent / "second")
    assert [path.name for path in folder.parent.iterdir()] == ["model"]
    monkeypatch.undo()
    assert equal(load_model(folder), make(0))


def test_a_card_that_is_no_json_is_refused_before_anything_is_written(tmp_path):
    with pytest.raises(ValueError, match="card: want JSON"):
        save_model(make(), tmp_path / "model", card={"f1": float("nan")})
    assert list(tmp_path.iterdir()) == []


def test_a_missing_parent_is_named(tmp_path):
    with pytest.raises(FileNotFoundError, match="folder: want an existing parent"):
        save_model(make(), tmp_path / "no" / "model")
