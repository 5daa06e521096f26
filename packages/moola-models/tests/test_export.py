import pytest
import torch

from moola_models.config import JadeConfig
from moola_models.export import export_program, lstm_layer
from moola_models.jade import Jade
from moola_models.registry import BUILT_IN, resolve_head

F = 5
STRUCTURED = ("span_crf", "span_bio", "span_semi_markov")


def make(kinds, **settings):
    heads = tuple(resolve_head({"kind": kind, "name": f"task{i}"}) for i, kind in enumerate(kinds))
    pooled = any(head.pooled for head in heads)
    config = JadeConfig(input_size=F, hidden=8, projection=6 if pooled else None, heads=heads, **settings)
    return Jade(config, seed=0)


def agree(model, program, sizes):
    model = model.eval()
    for B, K in sizes:
        x = torch.randn(B, K, F)
        with torch.no_grad():
            wanted, found = model(x), program.module()(x)
        for a, b in zip(wanted, found, strict=True):
            torch.testing.assert_close(a, b, rtol=1e-5, atol=1e-5)


def test_an_exported_network_takes_any_number_of_windows_of_any_length():
    model = make(["type", "pointers", "span", "countdown"], layers=2, layer_dropout=0.5)
    agree(model, export_program(model), [(3, 11), (1, 2), (1, 105), (40, 30)])


def test_one_direction_and_a_stem_are_exported_too():
    for encoder in (
        {"kind": "lstm", "directions": "forward"},
        {"kind": "lstm", "stem": {"width": 4, "kernel": 3}},
    ):
        model = make(["span"], encoder=encoder)
        agree(model, export_program(model), [(2, 9), (4, 30)])


@pytest.mark.parametrize("unit", ["origin", "exact"])
def test_soft_pointers_are_exported_for_any_length(unit):
    model = Jade(
        JadeConfig(input_size=F, hidden=8, projection=None, heads=({"kind": "pointers_soft", "unit": unit},)),
        seed=0,
    )
    agree(model, export_program(model), [(2, 5), (3, 40)])


@pytest.mark.slow
@pytest.mark.parametrize("kind", sorted(BUILT_IN))
def test_every_head_is_exported_for_a_fixed_length(kind):
    model = make([kind])
    agree(model, export_program(model, bars=6), [(3, 6), (1, 6), (17, 6)])


def test_a_fixed_length_needs_nothing_of_this_package():
    program = export_program(make(["span"]), bars=6)
    names = {str(node.target) for node in program.graph.nodes if node.op == "call_function"}
    assert not any("moola" in name for name in names)
    free = export_program(make(["span"]))
    assert any("moola_models.lstm_layer" in str(node.target) for node in free.graph.nodes)


@pytest.mark.slow
@pytest.mark.parametrize("kind", STRUCTURED)
def test_a_head_that_walks_over_the_bars_asks_for_their_number(kind):
    with pytest.raises(ValueError, match="bars: want a number, got None: a head of"):
        export_program(make([kind]))


def test_too_few_bars_are_refused():
    with pytest.raises(ValueError, match="bars: want 2 or more, got 1"):
        export_program(make(["span"]), bars=1)


def test_exporting_changes_nothing_of_the_model():
    model = make(["span"]).train()
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    export_program(model)
    assert model.training
    assert all(p.requires_grad for p in model.parameters())
    assert isinstance(model.lstm, torch.nn.LSTM)
    assert all(torch.equal(tensor, before[name]) for name, tensor in model.state_dict().items())


def test_a_program_survives_its_file(tmp_path):
    model = make(["type", "span"])
    torch.export.save(export_program(model), tmp_path / "jade.pt2")
    agree(model, torch.export.load(tmp_path / "jade.pt2"), [(2, 8), (1, 40)])


def test_double_precision_is_kept():
    model = make(["span"]).double().eval()
    x = torch.randn(2, 7, F, dtype=torch.float64)
    torch.testing.assert_close(export_program(model).module()(x)[0], model(x)[0])


def test_the_operator_is_a_well_formed_one():
    arguments = (torch.randn(2, 5, 3), torch.randn(2, 16, 3), torch.randn(2, 16, 4), torch.randn(2, 32))
    torch.library.opcheck(lstm_layer, arguments, test_utils=("test_schema", "test_faketensor"))
