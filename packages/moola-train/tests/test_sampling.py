import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from moola_train import fit
from moola_train.batch_order import batch_order
from moola_train.sampling import Grouped, Sampler, Shuffle, Weighted


class Columns:
    def __init__(self, **columns):
        vars(self).update(columns)


def test_shuffle_is_the_batch_order():
    rows = torch.arange(5, 25)
    sampler = Sampler(Shuffle(), Columns(), rows, seed=2)
    assert torch.equal(sampler.epoch(3), batch_order(rows, seed=2, epoch=3))


def test_draws_come_in_proportion_to_their_weights_and_never_at_weight_zero():
    weight = torch.tensor([9.0, 1.0, 0.0, 2.0, 5.0, 0.0])  # rows 1..5 are the train part
    sampler = Sampler(Weighted(), Columns(sampling_weight=weight), torch.arange(1, 6), seed=0)
    drawn = torch.cat([sampler.epoch(e) for e in range(1, 2001)])
    shares = torch.bincount(drawn, minlength=6) / len(drawn)
    assert shares[[0, 2, 5]].tolist() == [0, 0, 0]
    torch.testing.assert_close(shares[[1, 3, 4]], torch.tensor([1.0, 2.0, 5.0]) / 8, rtol=0, atol=0.02)


@settings(deadline=None, max_examples=30)
@given(
    groups=st.lists(st.integers(-3, 3), min_size=1, max_size=40),
    per_group=st.integers(1, 4),
    epoch=st.integers(1, 5),
)
def test_each_group_gives_so_many_different_examples(groups, per_group, epoch):
    group = torch.tensor(groups)
    sampler = Sampler(Grouped(per_group=per_group), Columns(group=group), torch.arange(len(group)), seed=1)
    rows = sampler.epoch(epoch)
    assert len(rows) == len(sampler)
    assert len(rows.unique()) == len(rows)
    for value in group.unique():
        assert int((group[rows] == value).sum()) == min(per_group, int((group == value).sum()))


def test_every_example_of_a_group_has_its_turn():
    group = torch.tensor([0] * 6 + [1])
    sampler = Sampler(Grouped(), Columns(group=group), torch.arange(7), seed=0)
    assert {row for e in range(1, 80) for row in sampler.epoch(e).tolist()} == set(range(7))


@pytest.mark.parametrize(
    ("sampling", "columns", "message"),
    [
        (Weighted(), {}, "want data with the attribute 'sampling_weight'"),
        (Grouped(), {}, "want data with the attribute 'group'"),
        (Weighted(), {"sampling_weight": torch.tensor([1.0, -1.0, 1.0])}, "got -1.0 in row 1"),
        (Weighted(), {"sampling_weight": torch.zeros(3)}, "one above 0"),
        (Grouped(), {"group": torch.zeros(2)}, r"group: want shape \(3,\) or more, got \(2,\)"),
    ],
)
def test_column_that_does_not_serve_is_refused(sampling, columns, message):
    with pytest.raises(ValueError, match=message):
        Sampler(sampling, Columns(**columns), torch.arange(3), seed=0)


@pytest.mark.parametrize("kind", ["weighted", "grouped"])
def test_sampled_run_resumes_bitwise(small, tmp_path, kind):
    def data():
        made = small.data()
        made.group = torch.arange(70) // 4
        made.sampling_weight = made.weight
        return made

    def go(epochs, **where):
        model = small.model()
        config = small.config(epochs=epochs, sampling={"kind": kind}, restore="last")
        result = fit(model, data(), small.tasks, small.balancer(), config, **where)
        return result, torch.cat([p.detach().flatten() for p in model.parameters()])

    straight, weights = go(4)
    go(2, folder=tmp_path / "run")
    resumed, again = go(4, folder=tmp_path / "run", resume=True)
    assert torch.equal(weights, again)
    assert resumed.steps == straight.steps == 4 * (2 if kind == "grouped" else 7)
