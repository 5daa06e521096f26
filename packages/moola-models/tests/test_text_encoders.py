import pytest
import torch

from moola_models.ngrams import ngram_ids
from moola_models.text_encoders import NgramTextConfig, VectorTextConfig, resolve_text

TEXTS = ["Office rent", "Rent", "", "Bank charges for May"]


def built(config, width=6, *, with_keys=True):
    torch.manual_seed(0)
    return config.build(width, with_keys=with_keys).eval()


def test_columns_and_bags_with_offsets_give_the_same():
    config = NgramTextConfig(buckets=500)
    encoder = built(config).double()
    ids, offsets = ngram_ids(TEXTS, buckets=500)
    assert torch.allclose(encoder(config.columns(TEXTS)), encoder.of_bags(ids, offsets), atol=1e-12)


def test_padding_changes_nothing():
    config = NgramTextConfig(buckets=500)
    encoder, columns = built(config), config.columns(TEXTS)
    wider = torch.nn.functional.pad(columns, (0, 7), value=-1)
    assert torch.equal(encoder(columns), encoder(wider))
    assert torch.allclose(encoder.key(columns), encoder.key(wider))


def test_an_answer_is_a_layer_over_the_mean_vector():
    config = NgramTextConfig(buckets=50, dimension=4)
    encoder, columns = built(config).double(), config.columns(["rent"])
    mean = encoder.bag.weight[columns[0].long() + 1].mean(0)
    assert torch.allclose(encoder(columns)[0], torch.tanh(encoder.layer(mean)))


def test_keys_are_of_length_one_unless_the_text_is_empty_and_near_for_near_texts():
    config = NgramTextConfig()
    keys = built(config).key(config.columns(["Office rent May", "Office rent June", "", "Wages"]))
    assert torch.allclose(keys.norm(dim=1), torch.tensor([1.0, 1.0, 0.0, 1.0]))
    assert keys[0] @ keys[1] > 0.5 > keys[0] @ keys[3]
    assert not keys.requires_grad


def test_keys_are_not_learned_and_are_saved():
    encoder = built(NgramTextConfig())
    assert "directions" in encoder.state_dict()
    assert "directions" not in dict(encoder.named_parameters())
    assert "directions" not in built(NgramTextConfig(), with_keys=False).state_dict()
    with pytest.raises(ValueError, match="key: want an encoder built with keys"):
        built(NgramTextConfig(), with_keys=False).key(torch.zeros(1, 1))


def test_ngrams_are_left_out_in_training_only():
    config = NgramTextConfig(left_out=0.5)
    encoder, columns = built(config), config.columns(["Office rent for the month of May"])
    assert torch.equal(encoder(columns), encoder(columns))
    encoder.train()
    assert not torch.equal(encoder(columns), encoder(columns))
    never = built(NgramTextConfig()).train()
    assert torch.equal(never(columns), never(columns))


def test_vectors_are_their_own_keys():
    encoder = built(VectorTextConfig(dimension=3))
    vectors = torch.tensor([[3.0, 0.0, 4.0]])
    assert torch.allclose(encoder.key(vectors), vectors / 5)
    assert encoder(vectors).shape == (1, 6)


@pytest.mark.parametrize("config", [NgramTextConfig(buckets=9, sizes=(2, 3)), VectorTextConfig(dimension=3)])
def test_a_kind_is_found_by_its_name(config):
    assert resolve_text(config.model_dump()) == config == resolve_text(config)


def test_an_unknown_kind_is_refused():
    with pytest.raises(ValueError, match=r"text: want a kind of .*'ngrams', 'vectors'.* got .*'bert'"):
        resolve_text("bert")


@pytest.mark.parametrize(
    "changes",
    [{"buckets": 100}, {"sizes": (2,)}, {"case": "kept"}, {"digits": "kept"}],
    ids=lambda changes: next(iter(changes)),
)
def test_every_flag_of_the_ngrams_changes_the_columns(changes):
    usual, changed = NgramTextConfig(), NgramTextConfig(**changes)
    one, other = (config.columns(["Rent 2024"]) for config in (usual, changed))
    assert one.shape != other.shape or not torch.equal(one, other)


def test_the_widths_are_those_asked_for():
    encoder = built(NgramTextConfig(dimension=5, key_size=7))
    assert encoder.bag.weight.shape[1] == 5
    assert encoder.key(torch.zeros(1, 1)).shape == (1, 7)
