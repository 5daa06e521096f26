import json
import os
import shutil
import subprocess
import sys

import numpy as np
import pytest
import torch
from safetensors.torch import load, save
from torch import nn

from moola_models import store
from moola_models.config import JadeConfig, brief_heads
from moola_models.jade import Jade
from moola_models.migrations import STEPS
from moola_models.store import load_balancer, load_card, load_model, load_tensors, save_model


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


READER = """
import json, struct, sys
import numpy as np

raw = open(sys.argv[1] + "/model.safetensors", "rb").read()
(size,) = struct.unpack("<Q", raw[:8])
tensors = {}
for name, entry in json.loads(raw[8 : 8 + size]).items():
    if name != "__metadata__":
        begin, end = (8 + size + offset for offset in entry["data_offsets"])
        tensors[name] = np.frombuffer(raw[begin:end], "<f4").reshape(entry["shape"])
"""


def test_ten_lines_without_this_package_read_the_weights(folder, tmp_path):
    assert len(READER.strip().splitlines()) <= 10
    code = (
        "import sys\n"
        "sys.modules['moola_models'] = sys.modules['torch'] = sys.modules['safetensors'] = None\n"
        f"{READER}\n"
        "np.savez(sys.argv[2], **tensors)\n"
    )
    result = tmp_path / "weights.npz"
    subprocess.run([sys.executable, "-W", "ignore", "-c", code, str(folder), str(result)], check=True)
    state = make().state_dict()
    with np.load(result) as found:
        assert set(found.files) == set(state)
        assert all(np.array_equal(found[name], tensor.numpy()) for name, tensor in state.items())


def test_the_blocked_process_really_has_no_such_package():
    code = "import sys; sys.modules['moola_models'] = None; import moola_models"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert "ModuleNotFoundError" in done.stderr


@pytest.mark.parametrize("saved", [torch.float16, torch.bfloat16, torch.float64])
@pytest.mark.parametrize("asked", [None, torch.float32, torch.bfloat16])
def test_floating_types_are_turned_on_request(tmp_path, saved, asked):
    model = make().to(saved)
    again = load_model(save_model(model, tmp_path / "model"), dtype=asked)
    for name, tensor in again.state_dict().items():
        wanted = model.state_dict()[name]
        assert torch.equal(tensor, wanted if asked is None else wanted.to(asked))
        assert tensor.dtype == (asked or saved)


def test_half_precision_weights_give_nearly_the_same_outputs(tmp_path):
    x = torch.randn(2, 9, 5)
    again = load_model(save_model(make().to(torch.bfloat16), tmp_path / "model"), dtype=torch.float32)
    for a, b in zip(make().eval()(x), again(x), strict=True):
        torch.testing.assert_close(a, b, rtol=0.1, atol=0.05)


@pytest.mark.parametrize("dtype", [torch.int8, "float32"])
def test_a_type_that_is_not_floating_is_refused(folder, dtype):
    with pytest.raises(TypeError, match=f"dtype: want a floating type, got {dtype!r}"):
        load_model(folder, dtype=dtype)


def test_tensors_come_without_building_a_model(folder):
    state = make().state_dict()
    found = load_tensors(folder)
    assert found.keys() == state.keys()
    assert all(torch.equal(found[name], state[name]) for name in state)


class Balancer(nn.Module):
    def __init__(self):
        super().__init__()
        self.log_sigma = nn.Parameter(torch.tensor([-0.3, 0.0]))
        self.register_buffer("steps", torch.tensor(7))


@pytest.fixture
def balanced(tmp_path):
    return save_model(make(), tmp_path / "balanced", balancer=Balancer())


def test_a_balancers_state_comes_back(balanced):
    found = load_balancer(balanced)
    assert found["steps"] == 7
    torch.testing.assert_close(found["log_sigma"], torch.tensor([-0.3, 0.0]))
    assert equal(load_model(balanced), make())


def test_a_folder_without_balancer_says_so(folder):
    with pytest.raises(FileNotFoundError, match=r"want a model folder with balancer.safetensors"):
        load_balancer(folder)


def test_any_flipped_byte_of_a_balancer_is_refused(balanced):
    path = balanced / "balancer.safetensors"
    content = path.read_bytes()
    for position in range(len(content)):
        path.write_bytes(content[:position] + bytes([content[position] ^ 1]) + content[position + 1 :])
        with pytest.raises(ValueError, match=r"balancer.safetensors: want sha256"):
            load_model(balanced)


def test_a_balancer_lost_or_slipped_in_is_refused(balanced, folder):
    shutil.copy(balanced / "balancer.safetensors", folder)
    with pytest.raises(ValueError, match=r"SHA256SUMS: want one sha256 sum for each of .*balancer"):
        load_model(folder)
    (balanced / "balancer.safetensors").unlink()
    with pytest.raises(ValueError, match=r"SHA256SUMS: want one sha256 sum"):
        load_model(balanced)


def test_a_folder_of_an_earlier_layout_is_read_by_the_steps_from_it(folder, monkeypatch):
    """A made-up layout 0: the hidden size stood under "units", the LSTM was called "rnn"."""

    def from_0(saved):
        model = dict(saved.settings["model"])
        model["hidden"] = model.pop("units")
        tensors = {name.replace("rnn.", "lstm."): tensor for name, tensor in saved.tensors.items()}
        return saved._replace(settings=saved.settings | {"model": model}, tensors=tensors)

    settings = json.loads((folder / "config.json").read_text()) | {"schema_version": 0}
    settings["model"]["units"] = settings["model"].pop("hidden")
    (folder / "config.json").write_text(json.dumps(settings))
    old = {name.replace("lstm.", "rnn."): tensor for name, tensor in make().state_dict().items()}
    (folder / "model.safetensors").write_bytes(store.save(old))
    resum(folder)
    with pytest.raises(
        ValueError, match=r"config.json: want schema_version 1, got 0, and no step leads on from 0"
    ):
        load_model(folder)
    monkeypatch.setitem(STEPS, 0, from_0)
    assert equal(load_model(folder), make())
    assert load_tensors(folder).keys() == make().state_dict().keys()


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
        ({"surprise": 1}, "config.json: want .*'model'], got .*'surprise'"),
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
        ValueError,
        match=r"model.safetensors: want 'lstm.bias_hh_l0' of shape \(32,\) floating, got shape \(16,\)",
    ):
        load_model(folder)


@pytest.mark.parametrize("dtype", [torch.int64, torch.complex64, torch.bool])
def test_weights_of_another_kind_of_number_are_refused_by_tensor(folder, dtype):
    path = folder / "model.safetensors"
    tensors = load(path.read_bytes())
    tensors["lstm.weight_hh_l0"] = tensors["lstm.weight_hh_l0"].to(dtype)
    path.write_bytes(save(tensors))
    resum(folder)
    with pytest.raises(ValueError, match=r"want 'lstm.weight_hh_l0' of shape \(32, 8\) floating, got shape"):
        load_model(folder)


@pytest.mark.parametrize("content", [b"[]", b"{", b"\xff\xfe", b""])
@pytest.mark.parametrize(("name", "read"), [("config.json", load_model), ("card.json", load_card)])
def test_what_is_no_json_object_is_refused_in_one_line_by_file(folder, name, read, content):
    (folder / name).write_bytes(content)
    resum(folder)
    with pytest.raises(ValueError, match=f"{name}: want a JSON object, got: [^\n]+$") as caught:
        read(folder)
    assert "\n" not in str(caught.value)


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


def test_a_link_to_a_folder_is_not_overwritten(folder, tmp_path):
    (tmp_path / "link").symlink_to(folder)
    with pytest.raises(FileExistsError, match="got the link"):
        save_model(make(seed=1), tmp_path / "link", overwrite=True)
    assert equal(load_model(tmp_path / "link"), make())
    assert sorted(path.name for path in tmp_path.iterdir()) == ["link", "model"]


def test_a_module_of_something_else_is_not_saved(tmp_path):
    with pytest.raises(TypeError, match="model: want a Jade or an EntryModel, got Linear"):
        save_model(nn.Linear(2, 2), tmp_path / "model")


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
