import pytest
import torch
from torch import nn

from moola_models.config import JadeConfig, brief_heads
from moola_models.jade import Jade
from moola_models.masked_reconstruction import MaskedReconstruction
from moola_models.pretrained import Differing, from_pretrained
from moola_models.store import save_model


def make(seed, *, classes=3, span="bars", hidden=8, inputs=5):
    heads = brief_heads(classes=classes, span=span)
    return Jade(JadeConfig(input_size=inputs, hidden=hidden, projection=6, heads=heads), seed=seed)


def copy_of(model):
    return {name: tensor.clone() for name, tensor in model.state_dict().items()}


def moved(before, model):
    return {name for name, tensor in model.state_dict().items() if not torch.equal(before[name], tensor)}


LSTM = {name for name in make(0).state_dict() if name.startswith("lstm.")}


def test_everything_is_taken_over_and_said_to_be():
    old, new = make(1), make(2)
    report = from_pretrained(new, old.state_dict())
    assert set(report.matched) == set(new.state_dict())
    assert not any(report._replace(matched=()))
    assert moved(old.state_dict(), new) == set()


def test_an_encoder_alone_moves_the_encoder_alone():
    old, new = make(1, span="crf"), make(2)
    before = copy_of(new)
    report = from_pretrained(new, old.state_dict(), prefixes=("lstm.",))
    assert moved(before, new) == LSTM == set(report.matched)
    assert set(report.untouched) == set(new.state_dict()) - LSTM
    assert set(report.ignored) == set(old.state_dict()) - LSTM


def test_a_pretraining_modules_state_fits_under_its_prefix():
    wrapper = MaskedReconstruction(make(1), torch.ones(5), width=16)
    new = make(2, span="segment")
    report = from_pretrained(new, wrapper.state_dict(), prefixes=("lstm.",), source_prefix="encoder.")
    assert set(report.matched) == LSTM
    assert "token" in report.ignored
    assert torch.equal(new.lstm.weight_ih_l0, wrapper.encoder.lstm.weight_ih_l0)


def test_every_tensor_of_both_sides_is_told_of_once():
    old, new = make(1, span="crf", classes=2), make(2, span="segment")
    report = from_pretrained(new, old.state_dict(), need="some", prefixes=("lstm.", "readouts."))
    model_names = [
        *report.matched,
        *report.missing,
        *(found.name for found in report.differing),
        *report.untouched,
    ]
    assert sorted(model_names) == sorted(new.state_dict())
    source_names = [
        *report.matched,
        *report.unexpected,
        *(found.name for found in report.differing),
        *report.ignored,
    ]
    assert sorted(source_names) == sorted(old.state_dict())
    assert Differing("readouts.type_head.linear.weight", (3, 6), (2, 6)) in report.differing
    assert "readouts.span_head.empty" in report.missing
    assert "readouts.span_head.transitions" in report.unexpected
    assert all(f"{name}" in str(report) for name in [*model_names, *source_names])


@pytest.mark.parametrize("change", [{"span": "crf"}, {"classes": 2}, {"hidden": 4}, {"inputs": 6}])
def test_a_refused_transfer_changes_nothing(change):
    new = make(2)
    before = copy_of(new)
    with pytest.raises(ValueError, match="source: want every tensor asked for, got"):
        from_pretrained(new, make(1, **change).state_dict())
    assert moved(before, new) == set()


def test_some_with_nothing_in_common_is_refused():
    with pytest.raises(ValueError, match="want every tensor asked for"):
        from_pretrained(make(2), make(1, hidden=4).state_dict(), prefixes=("lstm.",), need="some")


def test_a_prefix_that_begins_no_name_is_refused():
    with pytest.raises(
        ValueError, match=r"prefixes: want beginnings of the model's names, got 'encoder.lstm.'"
    ):
        from_pretrained(make(2), make(1).state_dict(), prefixes=("encoder.lstm.",))


def test_values_take_on_the_models_type_and_training_goes_on():
    new = make(2).double()
    from_pretrained(new, make(1).half().state_dict())
    assert {p.dtype for p in new.parameters()} == {torch.float64}
    assert torch.equal(new.lstm.weight_ih_l0, make(1).lstm.weight_ih_l0.half().double())
    assert all(p.requires_grad and p.is_leaf for p in new.parameters())


class Balancer(nn.Module):
    def __init__(self, tasks=4, value=0.0):
        super().__init__()
        self.log_sigma = nn.Parameter(torch.full((tasks,), value))


def test_a_folder_carries_weights_and_balancer(tmp_path):
    old = make(1)
    folder = save_model(old, tmp_path / "model", balancer=Balancer(value=0.5))
    new, balancer = make(2), Balancer()
    report = from_pretrained(new, folder, balancer=balancer)
    assert report.balancer == ("log_sigma",)
    assert balancer.log_sigma.tolist() == [0.5] * 4
    assert moved(old.state_dict(), new) == set()


def test_a_balancer_of_other_tasks_is_refused_and_nothing_changes(tmp_path):
    folder = save_model(make(1), tmp_path / "model", balancer=Balancer(value=0.5))
    new, balancer = make(2), Balancer(tasks=3)
    before = copy_of(new)
    with pytest.raises(ValueError, match="balancer: want tensors"):
        from_pretrained(new, folder, balancer=balancer)
    assert moved(before, new) == set()
    assert balancer.log_sigma.tolist() == [0] * 3


def test_a_balancer_from_a_dictionary_is_refused():
    with pytest.raises(ValueError, match="balancer: want a model folder"):
        from_pretrained(make(2), make(1).state_dict(), balancer=Balancer())


def test_a_damaged_folder_is_refused(tmp_path):
    folder = save_model(make(1), tmp_path / "model")
    path = folder / "model.safetensors"
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)
    with pytest.raises(ValueError, match="want sha256"):
        from_pretrained(make(2), folder)


@pytest.mark.parametrize(
    ("dtype", "change", "error", "message"),
    [
        (
            torch.float32,
            lambda t: t.long(),
            TypeError,
            "want 'lstm.weight_hh_l0' of numbers like torch.float32",
        ),
        (torch.float32, lambda t: t.to(torch.complex64), TypeError, "got torch.complex64"),
        (torch.float16, lambda t: t + 1e9, ValueError, "within the range of torch.float16, got 256 numbers"),
    ],
)
def test_numbers_that_the_model_cannot_hold_change_nothing(dtype, change, error, message):
    new = make(2).to(dtype)
    before, source = copy_of(new), copy_of(make(1))
    source["lstm.weight_hh_l0"] = change(source["lstm.weight_hh_l0"])
    with pytest.raises(error, match=message):
        from_pretrained(new, source)
    assert moved(before, new) == set()


def test_one_string_of_prefixes_is_refused():
    with pytest.raises(
        TypeError, match=r"prefixes: want a sequence of names' beginnings, got the string 'lstm\.'"
    ):
        from_pretrained(make(2), make(1).state_dict(), prefixes="lstm.")


def test_an_unknown_need_is_refused():
    with pytest.raises(ValueError, match="need: want 'all' or 'some', got 'most'"):
        from_pretrained(make(2), make(1).state_dict(), need="most")
