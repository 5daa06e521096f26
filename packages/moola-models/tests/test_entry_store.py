"""What a folder of the entry model holds, and which folders are refused."""

import json
import os
import subprocess
import sys
from hashlib import sha256

import pytest
import torch
from safetensors.torch import load_file, save_file

from moola_models.entry_config import EntryConfig, RetrievalConfig
from moola_models.entry_inputs import pack_entries
from moola_models.entry_model import EntryModel
from moola_models.jade import JadeCompact
from moola_models.line_search import beam_search
from moola_models.store import load_model, save_model
from moola_models.text_encoders import NgramTextConfig

TEXTS = ["Rent", "Wages", "Bank charges"]
LINES = {"account": torch.tensor([[3, 5], [1, 0], [4, 0]]), "side": torch.tensor([[0, 1], [0, 1], [0, 1]])}
REMEMBERS = {"retrieval": RetrievalConfig(size=6, neighbours=2)}


def entries(model):
    return pack_entries(model.config, text=model.config.text.columns(TEXTS), owner=torch.arange(3))


def built(**changes):
    text = NgramTextConfig(buckets=200, dimension=8, key_size=16)
    accounts = ("1000", "1100", "2000", "3000", "4000", "5000")
    model = EntryModel(EntryConfig(accounts=accounts, text=text, hidden=12, max_lines=5, **changes), seed=0)
    if model.memory is not None:
        model.remember(entries(model), LINES["account"])
    return model.eval()


def outputs(model):
    return model(entries(model), targets=LINES)


def sealed(folder):
    """Renews the checksums of a folder that was changed on purpose."""
    names = [line.split("  ")[1] for line in (folder / "SHA256SUMS").read_text().splitlines()]
    sums = [f"{sha256((folder / name).read_bytes()).hexdigest()}  {name}\n" for name in names]
    (folder / "SHA256SUMS").write_text("".join(sums))


PREDICT = """
import sys
from moola_models.entry_inputs import pack_entries
from moola_models.entry_model import EntryModel
from moola_models.line_search import beam_search
from moola_models.store import load_model
for folder in sys.argv[1:]:
    model = load_model(folder, model=EntryModel)
    inputs = pack_entries(model.config, text=model.config.text.columns(["Office rent July", "Wages", "Fee"]))
    print([part.tolist() for part in beam_search(model, inputs, max_lines=5, beam=3)])
"""


def test_another_process_with_another_hash_seed_predicts_the_same(tmp_path):
    folders, here = [], []
    for name, memory in (("alone", {}), ("with memory", REMEMBERS)):
        model = built(**memory).train()
        optimizer = torch.optim.SGD(model.parameters(), 0.1)
        outputs(model).account[:, 0, 2].sum().backward()
        optimizer.step()
        folders.append(str(save_model(model, tmp_path / name)))
        inputs = pack_entries(
            model.config, text=model.config.text.columns(["Office rent July", "Wages", "Fee"])
        )
        here.append(str([part.tolist() for part in beam_search(model.eval(), inputs, max_lines=5, beam=3)]))
    seed = str((int(os.environ.get("PYTHONHASHSEED", "0").replace("random", "0")) + 22) % 4_000_000_000)
    done = subprocess.run(
        [sys.executable, "-c", PREDICT, *folders],
        env=os.environ | {"PYTHONHASHSEED": seed},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.splitlines() == here


def test_a_loaded_model_has_the_catalogue_and_the_memory(tmp_path):
    model = built(fingerprint="abc", **REMEMBERS)
    save_model(model, tmp_path / "model", card={"data": "four entries"})
    again = load_model(tmp_path / "model", model=EntryModel)
    assert again.config == model.config
    assert not again.training
    found = again.state_dict()
    assert all(torch.equal(tensor, found[name]) for name, tensor in model.state_dict().items())
    assert torch.equal(outputs(again).account, outputs(model).account)


@pytest.mark.parametrize("change", ["order", "fingerprint", "code"])
def test_a_folder_whose_catalogue_was_changed_is_refused(change, tmp_path):
    folder = save_model(built(), tmp_path / "model")
    saved = json.loads((folder / "config.json").read_text())
    accounts = saved["model"]["accounts"]
    saved["model"] |= {
        "order": {"accounts": accounts[::-1]},
        "fingerprint": {"fingerprint": "other"},
        "code": {"accounts": [*accounts[:-1], "5001"]},
    }[change]
    (folder / "config.json").write_text(json.dumps(saved))
    with pytest.raises(ValueError, match="the file changed"):
        load_model(folder, model=EntryModel)
    sealed(folder)
    with pytest.raises(ValueError, match="catalogue: want rows of the catalogue"):
        load_model(folder, model=EntryModel)


@pytest.mark.parametrize("name", ["catalogue.rows", "decoder.pointer.log_scale", "memory.keys"])
def test_a_folder_without_one_tensor_is_refused(name, tmp_path):
    folder = save_model(built(table="frozen", pointer={"learnable": False}, **REMEMBERS), tmp_path / "model")
    tensors = load_file(folder / "model.safetensors")
    del tensors[name]
    save_file(tensors, folder / "model.safetensors")
    sealed(folder)
    with pytest.raises(ValueError, match=f"want '{name}' of shape .* got None"):
        load_model(folder, model=EntryModel)


def test_a_folder_of_another_kind_of_model_is_refused(tmp_path):
    entry = save_model(built(), tmp_path / "entry")
    jade = save_model(JadeCompact(3), tmp_path / "jade")
    with pytest.raises(ValueError, match="model: kind: Input should be 'jade'"):
        load_model(entry)
    with pytest.raises(ValueError, match="model: kind: Input should be 'entry'"):
        load_model(jade, model=EntryModel)
