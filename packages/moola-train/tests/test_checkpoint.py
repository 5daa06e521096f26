import os
import random

import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from moola_train.checkpoint import (
    Snapshot,
    load_model,
    load_module,
    module_tensors,
    read_checkpoint,
    remove_checkpoint,
    write_checkpoint,
)


def snapshot(seed=0):
    g = torch.Generator().manual_seed(seed)
    tensors = {
        "model": {"w": torch.randn(3, 4, generator=g), "n": torch.tensor(7)},
        "random": {"torch": torch.get_rng_state()},
        "balancer": {},
    }
    return Snapshot(tensors, {"epoch": 3, "step": 21, "value": 0.1 + 0.2, "nested": [1, None, "x"]})


def test_round_trip_is_bitwise(tmp_path):
    original = snapshot()
    write_checkpoint(tmp_path / "c", original)
    back = read_checkpoint(tmp_path / "c")
    assert back.state == original.state
    assert back.tensors.keys() == original.tensors.keys()
    for part, tensors in original.tensors.items():
        assert back.tensors[part].keys() == tensors.keys()
        for name, tensor in tensors.items():
            assert torch.equal(back.tensors[part][name], tensor)
            assert back.tensors[part][name].dtype == tensor.dtype


def flip(path, position, mask):
    raw = bytearray(path.read_bytes())
    raw[position] ^= mask
    path.write_bytes(raw)


def test_every_flipped_byte_is_detected(tmp_path):
    folder = tmp_path / "c"
    write_checkpoint(folder, snapshot())
    rng = random.Random(1)
    files = sorted(folder.iterdir())
    for _ in range(1000):
        path = rng.choice(files)
        position, mask = rng.randrange(path.stat().st_size), rng.randrange(1, 256)
        flip(path, position, mask)
        with pytest.raises(ValueError, match="checkpoint"):
            read_checkpoint(folder)
        flip(path, position, mask)
    read_checkpoint(folder)


@pytest.mark.parametrize("name", ["model.safetensors", "manifest.json"])
def test_truncated_file_is_refused(tmp_path, name):
    write_checkpoint(tmp_path / "c", snapshot())
    path = tmp_path / "c" / name
    for keep in (0, 1, path.stat().st_size - 1):
        path.write_bytes(path.read_bytes()[:keep])
        with pytest.raises(ValueError, match=name):
            read_checkpoint(tmp_path / "c")


def test_missing_file_is_named(tmp_path):
    write_checkpoint(tmp_path / "c", snapshot())
    (tmp_path / "c" / "random.safetensors").unlink()
    with pytest.raises(FileNotFoundError, match=r"random\.safetensors"):
        read_checkpoint(tmp_path / "c")


def test_foreign_folder_is_refused(tmp_path):
    save_file({"w": torch.zeros(2)}, tmp_path / "model.safetensors")
    with pytest.raises(FileNotFoundError, match="manifest"):
        read_checkpoint(tmp_path)
    (tmp_path / "manifest.json").write_text('{"hello": 1}')
    with pytest.raises(ValueError, match="want a checkpoint's manifest"):
        read_checkpoint(tmp_path)


def test_failed_write_leaves_nothing_behind(tmp_path, monkeypatch):
    calls = iter(range(100))

    def full(descriptor):
        if next(calls) == 2:
            raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space left"):
        write_checkpoint(tmp_path / "c", snapshot())
    assert list(tmp_path.iterdir()) == []


def test_existing_checkpoint_is_never_overwritten(tmp_path):
    write_checkpoint(tmp_path / "c", snapshot())
    with pytest.raises(FileExistsError):
        write_checkpoint(tmp_path / "c", snapshot(1))
    kept = read_checkpoint(tmp_path / "c").tensors["model"]["w"]
    assert torch.equal(kept, snapshot().tensors["model"]["w"])


def test_removed_checkpoint_is_gone(tmp_path):
    write_checkpoint(tmp_path / "c", snapshot())
    remove_checkpoint(tmp_path / "c")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("other", [nn.Linear(2, 3), nn.Linear(3, 2, bias=False), nn.Linear(3, 2).double()])
def test_other_model_is_refused(tmp_path, other):
    model = nn.Linear(3, 2)
    write_checkpoint(tmp_path / "c", Snapshot({"model": module_tensors(model, what="model")}, {}))
    before = {n: t.clone() for n, t in other.state_dict().items()}
    with pytest.raises(ValueError, match="model: want"):
        load_model(other, tmp_path / "c")
    assert all(torch.equal(before[n], t) for n, t in other.state_dict().items())


def test_tied_weights_survive(tmp_path):
    model = nn.ModuleList([nn.Linear(2, 2), nn.Linear(2, 2)])
    model[1].weight = model[0].weight
    write_checkpoint(tmp_path / "c", Snapshot({"model": module_tensors(model, what="model")}, {}))
    wanted = model[0].weight.detach().clone()
    with torch.no_grad():
        model[0].weight.zero_()
    load_module(model, read_checkpoint(tmp_path / "c").tensors["model"], what="model")
    assert torch.equal(model[0].weight, wanted)
    assert model[1].weight is model[0].weight
