import pytest
import torch

from moola_models.catalogue_rows import rows_from_texts
from moola_models.entry_config import EntryConfig, RetrievalConfig
from moola_models.entry_inputs import pack_entries
from moola_models.entry_model import EntryModel, log_flow
from moola_models.line_decoder import lines_before
from moola_models.line_search import beam_search, greedy_search
from moola_models.text_encoders import NgramTextConfig

TEXTS = ["Office rent May", "Wages", "Bank charges", "Office rent June"]
ACCOUNT = torch.tensor([[3, 5, 0, -1], [1, 0, -1, -1], [4, 0, -1, -1], [3, 5, 2, 0]])
SIDE = torch.tensor([[0, 0, 1, -1], [0, 1, -1, -1], [0, 1, -1, -1], [0, 0, 1, 1]])
LINES = {"account": ACCOUNT, "side": SIDE}
SMALL = {
    "accounts": ("1000", "1100", "2000", "3000", "4000", "5000"),
    "text": NgramTextConfig(buckets=200, dimension=8, key_size=16),
    "hidden": 12,
    "max_lines": 5,
    "date_features": 3,
    "currencies": 4,
    "kinds": 3,
}
REMEMBERS = {"retrieval": RetrievalConfig(size=6, neighbours=2)}
each_memory = pytest.mark.parametrize("memory", [{}, REMEMBERS], ids=["alone", "with memory"])


def config(**changes):
    return EntryConfig(**(SMALL | changes))


def packed(settings, *, owner=None):
    draw = torch.Generator().manual_seed(0)
    return pack_entries(
        settings,
        text=settings.text.columns(TEXTS),
        dates=torch.randn(4, settings.date_features, generator=draw),
        currency=torch.tensor([0, 1, 2, 3]) % settings.currencies,
        kind=torch.tensor([0, 1, 2, 1]) % settings.kinds,
        owner=owner,
    )


def built(*, train=False, **changes):
    settings = config(**changes)
    model = EntryModel(settings, seed=0).train(train)
    if model.conditioning is not None:
        with torch.no_grad():
            draw = torch.Generator().manual_seed(1)
            weight = model.conditioning.shift.weight
            weight.copy_(torch.randn(weight.shape, generator=draw))
    if model.memory is not None:
        model.remember(packed(settings, owner=torch.arange(4)), ACCOUNT)
    return model


def outputs(model, **options):
    return model(packed(model.config, **options), targets=LINES)


@each_memory
@pytest.mark.parametrize("lines", ["chained", "independent"])
@pytest.mark.parametrize("layers", [1, 2])
def test_one_line_at_a_time_says_what_all_at_once_say(memory, lines, layers):
    model = built(lines=lines, layers=layers, **memory).double()
    with torch.no_grad():
        together = outputs(model)
        state = model.begin(packed(model.config))
        before = lines_before(ACCOUNT, SIDE)
        for t in range(4):
            said, state = model.step(state, before[0][:, t : t + 1], before[1][:, t : t + 1])
            side = model.side_logits(said.line, ACCOUNT[:, t : t + 1])
            stop = model.stop_logits(said.line, ACCOUNT[:, t : t + 1], SIDE[:, t : t + 1])
            assert torch.allclose(said.account[:, 0], together.account[:, t], atol=1e-12)
            assert torch.allclose(side[:, 0], together.side[:, t], atol=1e-12)
            assert torch.allclose(stop[:, 0], together.stop[:, t], atol=1e-12)


@each_memory
def test_the_probability_of_a_written_entry_is_what_training_would_give_it(memory):
    model = built(**memory).double()
    inputs = packed(model.config)
    written = beam_search(model, inputs, max_lines=5, beam=3)
    for place in range(3):
        account, side = written.account[:, place], written.side[:, place]
        with torch.no_grad():
            out = model(inputs, targets={"account": account, "side": side})
        lines = account >= 0
        follows = written.stop[:, place].long()
        parts = zip((out.account, out.side, out.stop), (account, side, follows), strict=True)
        each = [x.log_softmax(2).gather(2, y.clamp(min=0)[..., None]).squeeze(2) for x, y in parts]
        each[2][:, -1] = 0  # nothing can follow the last possible line
        total = torch.where(lines, sum(each), 0).sum(1)
        assert torch.allclose(total, written.log_probability[:, place], atol=1e-9)


@each_memory
def test_a_few_entries_are_learned_by_heart_and_written_down(memory):
    model = built(train=True, **memory)
    inputs, lines = packed(model.config, owner=torch.arange(4)), ACCOUNT >= 0
    stop = (lines & ~torch.nn.functional.pad(lines[:, 1:], (0, 1))).long()
    optimizer = torch.optim.Adam(model.parameters(), 0.02)
    for _ in range(80):
        out = model(inputs, targets=LINES)
        pairs = ((out.account, ACCOUNT), (out.side, SIDE), (out.stop, stop))
        loss = sum(torch.nn.functional.cross_entropy(x[lines], y[lines]) for x, y in pairs)
        optimizer.zero_grad()
        loss.backward()
        assert all(bool(p.grad.isfinite().all()) for p in model.parameters())
        optimizer.step()
    for search in (greedy_search, beam_search):
        written = search(model.eval(), inputs, max_lines=5).best()
        assert torch.equal(written.account[:, :4], ACCOUNT)
        assert torch.equal(written.side[:, :4], SIDE)
        assert torch.equal(written.stop[:, :4], stop.bool())
        assert bool((written.log_probability > -1).all())


def test_later_lines_do_not_change_what_is_said_of_earlier_ones():
    model = built()
    other = {name: lines.clone() for name, lines in LINES.items()}
    other["account"][:, 2:] = 1
    other["side"][:, 2:] = 1
    now, then = outputs(model), model(packed(model.config), targets=other)
    assert torch.equal(now.account[:, :3], then.account[:, :3])
    assert not torch.equal(now.account[:, 3], then.account[:, 3])


@each_memory
def test_encode_and_heads_are_forward_and_take_a_representation_for_each_output(memory):
    model = built(flow=True, **memory)
    z = model.encode(packed(model.config))
    whole, cut = outputs(model), model.heads(dict.fromkeys(model.tasks, z), LINES)
    for name in (*model.tasks, *(["retrieval_weight"] if memory else [])):
        assert torch.equal(getattr(whole, name), getattr(cut, name))
    with pytest.raises(KeyError, match="got none for \\['stop', 'flow'\\]"):
        model.heads({"account": z, "side": z}, LINES)


@pytest.mark.parametrize(
    "changes",
    [
        {"hidden": 16},
        {"layers": 2},
        {"conditioning": "none"},
        {"lines": "independent"},
        {"pointer": {"scale": 5.0}},
        {"pointer": {"temperature": 0.2}},
        {"pointer": {"norm": False}},
        {"retrieval": {"size": 6, "neighbours": 1}},
        {"text": {"kind": "ngrams", "buckets": 100, "dimension": 8}},
        {"text": {"kind": "ngrams", "buckets": 200, "dimension": 9}},
    ],
    ids=str,
)
def test_a_flag_changes_what_is_said(changes):
    one, other = (outputs(built(**c)) for c in ({}, changes))
    pairs = zip(one[:3], other[:3], strict=True)
    assert any(not torch.allclose(a.log_softmax(2), b.log_softmax(2), atol=1e-6) for a, b in pairs)


def test_more_neighbours_say_something_else_and_none_are_as_without_a_memory():
    few, many = (outputs(built(retrieval={"size": 6, "neighbours": k})).account for k in (1, 3))
    assert not torch.allclose(few, many)
    none = built(retrieval={"size": 6, "neighbours": 0})
    assert none.memory is None
    assert torch.equal(outputs(none).account, outputs(built()).account)


def test_dropout_acts_in_training_only():
    model = built(dropout=0.5)
    assert torch.equal(outputs(model).account, outputs(model).account)
    model.train()
    assert not torch.equal(outputs(model).account, outputs(model).account)


def test_a_frozen_table_and_a_fixed_scale_are_saved_and_not_learned():
    learned, fixed = built(), built(table="frozen", pointer={"learnable": False})
    assert learned.state_dict().keys() == fixed.state_dict().keys()
    names = {name for name, _ in learned.named_parameters()} - {name for name, _ in fixed.named_parameters()}
    assert names == {"catalogue.rows", "decoder.pointer.log_scale"}


@pytest.mark.parametrize("column", ["dates", "currency", "kind"])
def test_date_currency_and_type_are_looked_at_unless_switched_off(column):
    shifted = {"dates": torch.ones(4, 3), "currency": torch.full((4,), 2), "kind": torch.full((4,), 2)}[
        column
    ]
    for model, same in ((built(), False), (built(conditioning="none"), True)):
        text = model.config.text.columns(TEXTS)
        one, other = (pack_entries(model.config, text=text, **c) for c in ({}, {column: shifted}))
        assert torch.equal(model(one, targets=LINES).account, model(other, targets=LINES).account) is same


def test_a_new_model_is_not_moved_by_its_conditions():
    model = EntryModel(config(), seed=0)
    columns = packed(config())
    plain = pack_entries(config(), text=config().text.columns(TEXTS))
    assert torch.equal(model.encode(columns), model.encode(plain))


def test_an_entry_is_not_its_own_neighbour_in_training_but_others_are():
    model = built(**REMEMBERS)
    H = model.config.hidden
    own, nobody = (model.encode(packed(model.config, owner=o))[:, H:] for o in (torch.arange(4), None))
    similarity, row = nobody[:, :2], nobody[:, 2:]
    assert torch.equal(row[:, 0], torch.arange(4.0))
    assert torch.allclose(similarity[:, 0], torch.ones(4))
    assert not (own[:, 2:] == torch.arange(4.0)[:, None]).any()


def test_keys_do_not_move_in_training():
    model = built(train=True, **REMEMBERS)
    before = model.encode(packed(model.config))[:, model.config.hidden :]
    optimizer = torch.optim.SGD(model.parameters(), 1.0)
    outputs(model).account.sum().backward()
    optimizer.step()
    assert torch.equal(before, model.encode(packed(model.config))[:, model.config.hidden :])


def test_flow_is_the_mass_of_the_lines():
    model = built(flow=True).double()
    out, lines = outputs(model), ACCOUNT >= 0
    p, side = out.account.softmax(2), out.side.softmax(2)
    expected = torch.zeros(4, 2, 6).double()
    for b in range(4):
        for t in range(int(lines[b].sum())):
            expected[b] += side[b, t][:, None] * p[b, t][None]
    assert torch.allclose(out.flow.exp(), expected, atol=1e-12)
    assert outputs(built()).flow is None


def test_flow_stays_finite_where_probabilities_vanish():
    account = torch.tensor([[[900.0, -900.0]]]).requires_grad_()
    flow = log_flow(account, torch.zeros(1, 1, 2), lines=torch.ones(1, 1, dtype=torch.bool))
    assert flow[0, 0, 1].item() == pytest.approx(-1800 - 0.6931, abs=1e-2)
    flow[0, 0, 1].backward()
    assert account.grad[0, 0].tolist() == [-1.0, 1.0]


@each_memory
def test_gradients_reach_every_parameter_and_are_those_of_differences(memory):
    model = built(flow=True, **memory).double()
    inputs, lines = packed(model.config, owner=torch.arange(4)), ACCOUNT >= 0

    def loss():
        out = model(inputs, targets=LINES)
        total = sum(getattr(out, name)[lines].sin().sum() for name in ("account", "side", "stop"))
        return total + out.flow.sin().sum()

    loss().backward()
    for name, parameter in model.named_parameters():
        assert bool(parameter.grad.isfinite().all()), name
        assert parameter.grad.abs().sum() > 0, name
        flat, place = parameter.data.view(-1), int(parameter.grad.abs().view(-1).argmax())
        slope, kept = parameter.grad.view(-1)[place].item(), flat[place].item()
        with torch.no_grad():
            ends = []
            for step in (1e-6, -1e-6):
                flat[place] = kept + step
                ends.append(loss().item())
            flat[place] = kept
        assert (ends[0] - ends[1]) / 2e-6 == pytest.approx(slope, rel=1e-4, abs=1e-6), name


def test_half_precision_gives_finite_gradients():
    model = built(train=True, **REMEMBERS)
    with torch.autocast("cpu", torch.bfloat16):
        out = outputs(model)
    lines = ACCOUNT >= 0
    torch.nn.functional.cross_entropy(out.account[lines], ACCOUNT[lines]).backward()
    assert all(p.grad is None or bool(p.grad.isfinite().all()) for p in model.parameters())


def test_the_seed_fixes_the_model_and_moves_nothing_else():
    torch.manual_seed(7)
    first = torch.rand(1)
    torch.manual_seed(7)
    one, same, other = (EntryModel(config(), seed=s).state_dict() for s in (0, 0, 1))
    assert torch.equal(torch.rand(1), first)
    assert all(torch.equal(one[k], same[k]) for k in one)
    assert not torch.equal(one["catalogue.rows"], other["catalogue.rows"])


def test_given_rows_are_where_the_catalogue_starts():
    rows = rows_from_texts(["Bank", "Wages", "Tax", "Rent", "Fees", "VAT"], width=12)
    assert torch.equal(EntryModel(config(), rows=rows).catalogue.rows, rows)


@pytest.mark.parametrize(
    ("targets", "message"),
    [
        (None, r"targets: want the lines 'account' and 'side', got \[\]"),
        ({"account": ACCOUNT}, r"targets: want the lines 'account' and 'side', got \['account'\]"),
        ({"account": ACCOUNT, "side": SIDE[:, :2]}, r"side: want shape \(4, 4\) as account, got \(4, 2\)"),
        (
            {"account": ACCOUNT.repeat(1, 2), "side": SIDE.repeat(1, 2)},
            r"account: want shape \(batch, 1 to 5\), got \(4, 8\)",
        ),
    ],
)
def test_targets_that_are_no_lines_are_refused(targets, message):
    model = built()
    with pytest.raises(ValueError, match=message):
        model(packed(model.config), targets=targets)


def test_a_model_in_training_mode_writes_nothing():
    with pytest.raises(ValueError, match="decoder: want evaluation mode, got training mode"):
        greedy_search(built(train=True), packed(config()), max_lines=5)


def test_a_memory_writes_no_more_lines_than_it_remembers():
    with pytest.raises(ValueError, match="step: want 5 lines or fewer, got line 6"):
        greedy_search(built(**REMEMBERS), packed(config()), max_lines=40, allowed=None, both_sides=True)


def test_a_model_without_a_memory_cannot_remember():
    with pytest.raises(ValueError, match="remember: want a model with retrieval"):
        built().remember(packed(config()), ACCOUNT)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"accounts": ("1", "2", "1")}, "codes: want different codes, got '1' in rows 0 and 2"),
        ({"accounts": ()}, "codes: want one or more accounts"),
        ({"pointer": {"scale": 2.0, "temperature": 0.5}}, "want a scale or a temperature, got both"),
        ({"pointer": {"scale": 101.0}}, "less than or equal to 100"),
        ({"text": "words"}, "text: want a kind of"),
        ({"retrieval": {"size": 0}}, "greater than or equal to 1"),
        ({"heads": 3}, "Extra inputs are not permitted"),
    ],
)
def test_a_configuration_that_fits_nothing_is_refused(changes, message):
    with pytest.raises(ValueError, match=message):
        config(**changes)


def test_a_configuration_goes_through_json():
    settings = config(**REMEMBERS, pointer={"temperature": 0.1}, fingerprint="abc")
    assert EntryConfig.model_validate_json(settings.model_dump_json()) == settings
