import pytest
import torch

from moola_models.bar_heads import CountdownHeadConfig, SpanHeadConfig
from moola_models.config import JadeConfig, brief_heads, compact, core
from moola_models.crf_head import CrfHeadConfig
from moola_models.jade import Jade, JadeCompact, JadeCore
from moola_models.origin import (
    origin_compact,
    origin_core,
    origin_forward,
    origin_net,
    origin_plain,
    origin_wide,
)
from moola_models.pointers_head import PointersHeadConfig
from moola_models.type_head import TypeHeadConfig

SPANS = ["bars", "crf", "bio", "segment", "semi_markov"]
STRUCTURED = SPANS[1:]
TYPE, POINTERS = TypeHeadConfig(), PointersHeadConfig()


def count(config):
    return sum(parameter.numel() for parameter in Jade(config).parameters())


def small(span="bars", **kwargs):
    sizes = {"input_size": 5, "hidden": 8, "projection": 6} | kwargs
    return JadeConfig(heads=brief_heads(span=span), **sizes)


@pytest.fixture
def x():
    return torch.randn(3, 11, 5, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize(
    ("config", "wanted"),
    [
        (compact(12), 97_543),
        (compact(13), 98_311),
        (compact(11), 96_775),
        (compact(10), 96_007),
        (compact(12, span="crf"), 97_744),
        (compact(13, span="crf"), 98_512),
        (compact(12, heads=(TYPE,)), 97_027),
        (compact(12, heads=(TYPE, POINTERS)), 97_157),
        (compact(12, classes=2), 97_478),
        (JadeConfig(projection=None, heads=(TYPE,)), 85_059),
        (JadeConfig(projection=None, heads=(TYPE, POINTERS)), 85_445),
        (core(12, heads=(TYPE,)), 541_443),
        (core(11, heads=(TYPE,)), 540_419),
        (origin_core(12, pointers=True), 541_957),
        (origin_core(11, pointers=True), 540_933),
        (origin_compact(12), 97_543),
        (origin_wide(12), 557_959),
        (compact(11, span="crf"), 96_976),
        (compact(10, span="crf"), 96_208),
        (core(12, heads=(TYPE, POINTERS)), 541_957),
        (origin_plain(10), 83_523),
        (origin_plain(10, pointers=True), 83_909),
        (origin_plain(12, pointers=True), 85_445),
        (origin_net(), 565_636),
        (origin_net(hidden=64, pointers=False), 143_554),
        (origin_net(layers=1), 170_372),
        (origin_forward(), 85_380),
    ],
)
def test_parameter_counts(config, wanted):
    assert count(config) == wanted


def test_encoder_alone_has_the_counts_of_two_lstm_directions():
    for size, wanted in [(10, 82_944), (11, 83_712), (12, 84_480), (13, 85_248)]:
        assert sum(p.numel() for p in JadeCompact(size).lstm.parameters()) == wanted


def test_outputs_are_named_after_the_heads(x):
    outputs = Jade(small())(x)
    assert outputs._fields == ("type", "pointers", "span", "countdown")
    assert [tuple(o.shape) for o in outputs] == [(3, 3), (3, 2), (3, 11), (3, 11)]
    assert ((outputs.pointers > 0) & (outputs.pointers < 1)).all()


@pytest.mark.parametrize("name", ["type", "forward", "half", "training", "keys"])
def test_a_task_may_have_the_name_of_a_module_attribute(x, name):
    model = Jade(JadeConfig(input_size=5, hidden=4, heads=(TypeHeadConfig(name=name),)))
    assert getattr(model(x), name).shape == (3, 3)
    assert f"readouts.{name}_head.linear.weight" in model.state_dict()


def test_a_mapping_of_equal_representations_gives_the_same_outputs(x):
    model = Jade(small()).eval()
    z = model.encode(x)
    for one, other in zip(
        model.heads(z), model.heads({name: z.clone() for name in model.tasks}), strict=True
    ):
        torch.testing.assert_close(one, other, rtol=0, atol=0)


def test_each_head_reads_its_own_representation(x):
    model = Jade(small()).eval()
    z = model.encode(x).detach()
    cut = {name: z.clone().requires_grad_() for name in model.tasks}
    outputs = model.heads(cut)
    outputs.span.sum().backward()
    assert [name for name in model.tasks if cut[name].grad is not None] == ["span"]


def test_a_mapping_that_lacks_a_head_is_named(x):
    model = Jade(small())
    with pytest.raises(KeyError, match="got none for \\['countdown'\\]"):
        model.heads(dict.fromkeys(("type", "pointers", "span"), model.encode(x)))


@pytest.mark.parametrize("span", SPANS)
@pytest.mark.parametrize("layers", [1, 2])
def test_gradients_reach_every_parameter(x, span, layers):
    model = Jade(small(span, layers=layers)).eval()  # a dropout could hide a whole small layer
    x = torch.cat([x, x], 1)  # longer than the free durations of the semi-Markov head
    outputs = model(x, targets={"span": torch.ones(3, 22)})
    sum(output.square().sum() for output in outputs).backward()
    silent = [n for n, p in model.named_parameters() if p.grad is None or not p.grad.abs().sum() > 0]
    assert silent == []


@pytest.mark.parametrize("span", SPANS)
def test_padded_batches_give_the_outputs_of_the_windows_alone(x, span):
    model = Jade(small(span, layers=2)).eval()
    lengths = torch.tensor([11, 4, 1])
    padded = x.clone()
    for b, length in enumerate(lengths):
        padded[b, length:] = 77.0
    outputs = model(padded, lengths=lengths)
    for b, length in enumerate(lengths):
        alone = model(x[b : b + 1, :length])
        for name in ("type", "pointers"):
            torch.testing.assert_close(getattr(outputs, name)[b], getattr(alone, name)[0])
        for name in ("span", "countdown"):
            torch.testing.assert_close(getattr(outputs, name)[b, :length], getattr(alone, name)[0])


@pytest.mark.parametrize("span", STRUCTURED)
def test_padded_windows_have_the_likelihood_of_the_windows_alone(x, span):
    model = Jade(small(span)).eval()
    target = (torch.arange(11) % 3 == 0).float().expand(3, 11)
    lengths = torch.tensor([11, 4, 1])
    together = model(x, targets={"span": target}, lengths=lengths).span
    for b, length in enumerate(lengths):
        alone = model(x[b : b + 1, :length], targets={"span": target[:1, :length]}).span
        torch.testing.assert_close(together[b], alone[0])


@pytest.mark.parametrize("span", SPANS)
@pytest.mark.parametrize("bars", [1, 2, 105])
def test_any_window_length_runs(bars, span):
    outputs = Jade(small(span)).eval()(torch.zeros(2, bars, 5))
    assert outputs.countdown.shape == outputs.span.shape == (2, bars)
    assert outputs.span.isfinite().all()


@pytest.mark.parametrize("span", STRUCTURED)
def test_a_head_hands_out_its_distribution(x, span):
    model = Jade(small(span)).eval()
    distribution = model.head("span").distribution(model.states(model.encode(x)))
    assert distribution.log_partition().shape == (3,)


@pytest.mark.parametrize("span", STRUCTURED)
def test_a_structured_head_gives_the_log_odds_of_its_likelihoods(x, span):
    """Two bars: the four marks' likelihoods, summed by hand, must give the marginals."""
    model = Jade(small(span)).eval()
    x = x[:, :2]
    tags = torch.tensor([[0.0, 0], [0, 1], [1, 0], [1, 1]])
    likelihood = torch.stack([model(x, targets={"span": t.expand(3, 2)}).span.exp() for t in tags])
    torch.testing.assert_close(likelihood.sum(0), torch.ones(3))
    inside = torch.stack([likelihood[2] + likelihood[3], likelihood[1] + likelihood[3]], 1)
    torch.testing.assert_close(model(x).span.sigmoid(), inside)


@pytest.mark.parametrize("span", STRUCTURED)
def test_a_soft_mark_of_a_half_counts_as_in_the_span(x, span):
    model = Jade(small(span)).eval()
    soft, hard = torch.full((3, 11), 0.5), torch.ones(3, 11)
    torch.testing.assert_close(model(x, targets={"span": soft}).span, model(x, targets={"span": hard}).span)


def test_the_seed_decides_the_parameters_and_leaves_the_global_state_alone():
    before = torch.get_rng_state()
    one, same, other = Jade(small(), seed=1), Jade(small(), seed=1), Jade(small(), seed=2)
    assert torch.equal(before, torch.get_rng_state())
    assert all(torch.equal(a, b) for a, b in zip(one.parameters(), same.parameters(), strict=True))
    assert not torch.equal(one.lstm.weight_ih_l0, other.lstm.weight_ih_l0)


def test_the_encoder_starts_equal_whatever_heads_it_gets():
    one, other = Jade(compact(5), seed=3), Jade(compact(5, span="crf"), seed=3)
    assert torch.equal(one.lstm.weight_hh_l0, other.lstm.weight_hh_l0)


def varies(model, x, part):
    """Whether two training passes differ in a part's output."""
    model.train()
    torch.manual_seed(0)
    with torch.no_grad():
        return not torch.equal(part(model, x), part(model, x))


def test_input_dropout_acts_on_the_encoder(x):
    encode = lambda model, x: model.encode(x)  # noqa: E731
    assert varies(Jade(small(input_dropout=0.5, dense_dropout=0.0)), x, encode)
    assert not varies(Jade(small(input_dropout=0.0, dense_dropout=0.5)), x, encode)


def test_layer_dropout_acts_between_layers(x):
    rates = {"layers": 2, "input_dropout": 0.0, "dense_dropout": 0.0}
    encode = lambda model, x: model.encode(x)  # noqa: E731
    assert varies(Jade(small(layer_dropout=0.5, **rates)), x, encode)
    assert not varies(Jade(small(layer_dropout=0.0, **rates)), x, encode)


@pytest.mark.parametrize("task", ["type", "pointers", "span", "countdown"])
def test_dense_dropout_acts_in_every_head(x, task):
    answer = lambda model, x: getattr(model(x), task)  # noqa: E731
    assert varies(Jade(small(input_dropout=0.0, dense_dropout=0.5)), x, answer)
    assert not varies(Jade(small(input_dropout=0.0, dense_dropout=0.0)), x, answer)


def test_evaluation_drops_nothing(x):
    model = Jade(small()).eval()
    assert all(torch.equal(a, b) for a, b in zip(model(x), model(x), strict=True))


@pytest.mark.parametrize("span", SPANS)
def test_autocast_to_bfloat16_is_finite_and_close(x, span):
    model = Jade(small(span)).eval()
    targets = {"span": torch.ones(3, 11)}
    exact = model(x, targets=targets)
    with torch.autocast("cpu", torch.bfloat16):
        rough = model(x, targets=targets)
    for one, other in zip(rough, exact, strict=True):
        torch.testing.assert_close(one.float(), other, rtol=0.05, atol=0.05)
    sum(o.float().sum() for o in rough).backward()
    assert all(p.grad.isfinite().all() for p in model.parameters())


def test_double_precision_runs(x):
    assert all(o.dtype == torch.float64 for o in Jade(small("crf")).double()(x.double()))


@pytest.mark.filterwarnings("ignore:The tensor attributes self.lstm._flat_weights")  # of every nn.LSTM
def test_the_model_exports(x):
    model = Jade(small()).eval()
    exported = torch.export.export(model, (x,)).module()
    for one, other in zip(exported(x), model(x), strict=True):
        torch.testing.assert_close(one, other)


def test_heads_compile_without_graph_breaks(x):
    for span in SPANS:
        model = Jade(small(span)).eval()
        z = model.encode(x).detach()
        target = {"span": torch.ones(3, 11)}
        compiled = torch.compile(model.heads, fullgraph=True, backend="eager")
        for one, other in zip(compiled(z, target), model.heads(z, target), strict=True):
            torch.testing.assert_close(one, other)


@pytest.mark.parametrize("shape", [(3, 11), (3, 0, 5), (3, 11, 4)])
def test_wrong_input_shapes_are_named(shape):
    with pytest.raises(ValueError, match=r"x_BKF: want shape \(batch, bars, 5\), got"):
        Jade(small())(torch.zeros(shape))


def test_lengths_of_another_batch_are_refused(x):
    with pytest.raises(ValueError, match=r"lengths: want shape \(3,\) int64, got \(2,\)"):
        Jade(small())(x, lengths=torch.tensor([3, 4]))


def test_head_finds_a_module_by_task():
    model = JadeCore(5)
    assert model.head("type").linear.out_features == 3
    with pytest.raises(KeyError, match="want one of"):
        model.head("price")


def test_heads_with_own_names_stand_beside_each_other(x):
    config = JadeConfig(
        input_size=5,
        hidden=4,
        projection=None,
        heads=(SpanHeadConfig(name="a"), CountdownHeadConfig(name="b"), CrfHeadConfig(name="c")),
    )
    assert Jade(config)(x)._fields == ("a", "b", "c")


def test_a_forward_lstm_knows_no_later_bar(x):
    model = Jade(origin_forward(5)).eval()
    later = x.clone()
    later[:, 6:] += 1
    torch.testing.assert_close(model.encode(later)[:, :6], model.encode(x)[:, :6], rtol=0, atol=0)
    assert not torch.equal(model.encode(later)[:, 6:], model.encode(x)[:, 6:])


def test_a_forward_lstm_ignores_padding(x):
    model = Jade(origin_forward(5)).eval()
    outputs, alone = model(x, lengths=torch.tensor([11, 4, 1])), model(x[1:2, :4])
    for got, want in zip(outputs, alone, strict=True):
        torch.testing.assert_close(got[1], want[0])


def test_features_that_are_no_floating_numbers_are_refused():
    with pytest.raises(TypeError, match=r"x_BKF: want floating numbers, got torch.int64"):
        Jade(JadeConfig(input_size=3, hidden=4, projection=None, heads=("span",)))(
            torch.zeros(2, 5, 3, dtype=torch.int64)
        )
