import math

import pytest
import torch

from moola_models.label_memory import NOBODY, LabelMemory


def memory(neighbours=3, size=6, lines=4, width=5):
    torch.manual_seed(0)
    return LabelMemory(size=size, neighbours=neighbours, key_width=3, lines=lines, width=width).double()


KEYS = torch.nn.functional.normalize(torch.randn(5, 3, generator=torch.Generator().manual_seed(3)).double())
ACCOUNTS = torch.tensor([[0, 1, -1, -1], [2, 3, 0, -1], [0, 3, -1, -1], [1, 0, 2, 3], [3, 3, -1, -1]])
OWNERS = torch.tensor([10, 11, 12, 13, 13])


def filled(**sizes):
    found = memory(**sizes)
    found.remember(KEYS, ACCOUNTS, OWNERS)
    return found


def test_the_neighbours_are_those_of_the_greatest_cosines():
    queries = torch.nn.functional.normalize(torch.randn(7, 3).double())
    found = filled().nearest(queries, torch.full((7,), NOBODY))
    for row in range(7):
        cosines = [(float(queries[row] @ key), i) for i, key in enumerate(KEYS)]
        best = sorted(cosines, reverse=True)[:3]
        assert found.row[row].tolist() == [i for _, i in best]
        assert found.similarity[row].tolist() == pytest.approx([c for c, _ in best])


def test_an_entry_never_finds_itself_nor_its_owners_others():
    found = filled(neighbours=6).nearest(KEYS, OWNERS)
    for row in range(5):
        kept = {i for i in found.row[row].tolist() if i >= 0}
        assert kept == {i for i in range(5) if OWNERS[i] != OWNERS[row]}


def test_fewer_neighbours_than_asked_are_marked():
    found = filled(neighbours=6).nearest(KEYS[:1], torch.tensor([NOBODY]))
    assert found.row[0, -1] == -1
    assert found.similarity[0, -1] == 0
    nothing = memory().nearest(KEYS, OWNERS)
    assert torch.all(nothing.row == -1)
    assert torch.all(filled().lines_of(nothing.row) == -1)


def test_probabilities_are_mixed_as_written_by_hand():
    module = filled()
    logits = torch.randn(1, 2, 4).double()
    states = torch.randn(1, 2, 5).double()
    similarity = torch.tensor([[0.9, 0.7, 0.2]]).double()
    booked = torch.tensor([[[0, 1], [2, -1], [0, 3]]])
    mixed, share = module(logits, states, similarity, booked)
    for line, known in enumerate([[0, 1, 2], [0, 2]]):
        gate = module.gate(torch.cat([states[0, line], similarity[0, :1]])).sigmoid().item()
        raw = [math.exp(module.log_scale.exp().item() * similarity[0, k].item()) for k in known]
        expected = (1 - gate) * logits[0, line].softmax(0)
        for k, weight in zip(known, raw, strict=True):
            expected[booked[0, k, line]] += gate * weight / sum(raw)
        assert torch.allclose(mixed[0, line].exp(), expected, atol=1e-12)
        assert share[0, line].item() == pytest.approx(gate)


def test_without_neighbours_the_pointer_alone_speaks():
    module = filled()
    logits = torch.randn(2, 2, 4).double()
    mixed, share = module(
        logits, torch.randn(2, 2, 5).double(), torch.zeros(2, 3).double(), torch.full((2, 3, 2), -1)
    )
    assert torch.allclose(mixed, logits.log_softmax(2))
    assert torch.all(share == 0)


def test_gradients_are_finite_and_reach_pointer_gate_and_scale():
    module = filled()
    logits = (100 * torch.randn(2, 2, 4)).double().requires_grad_()
    booked = torch.tensor([[[0, 1], [2, -1], [0, -1]], [[-1, -1]] * 3])
    similarity = torch.tensor([[0.9, 0.5, 0.1], [0, 0, 0]]).double()
    mixed, _ = module(logits, torch.randn(2, 2, 5).double(), similarity, booked)
    assert bool(mixed.isfinite().all())
    mixed[..., 0].sum().backward()
    for slope in (logits.grad, module.gate.weight.grad, module.log_scale.grad):
        assert bool(slope.isfinite().all())
        assert slope.abs().sum() > 0


def test_remembering_again_forgets_the_former():
    module = filled()
    module.remember(KEYS[:1], ACCOUNTS[:1], OWNERS[:1])
    assert (module.owners != NOBODY).sum() == 1
    assert torch.all(module.accounts[1:] == -1)


def test_what_is_remembered_is_in_the_state_dict():
    assert {"keys", "accounts", "owners"} <= set(filled().state_dict())


@pytest.mark.parametrize(
    ("keys", "accounts", "owners", "message"),
    [
        (torch.zeros(7, 3), ACCOUNTS, OWNERS, "keys: want 6 rows or fewer .* got 7"),
        (KEYS, ACCOUNTS[:, :2], OWNERS, r"want \(5, 3\), \(5, 4\), \(5,\), got \(5, 3\), \(5, 2\)"),
        (KEYS, ACCOUNTS, OWNERS - 12, "owners: want 0 or more, got -2 in row 0"),
    ],
)
def test_what_cannot_be_remembered_is_refused(keys, accounts, owners, message):
    with pytest.raises(ValueError, match=message):
        memory().remember(keys, accounts, owners)
