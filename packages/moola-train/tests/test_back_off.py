"""Out of memory, simulated: a model that refuses more examples at once than fit."""

import warnings

import pytest
import torch

from moola_train import fit


def flat(model):
    return torch.cat([p.detach().flatten() for p in model.parameters()])


class Refuse(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x, largest):
        ctx.largest = largest
        return x.clone()

    @staticmethod
    def backward(ctx, slope):
        if len(slope) > ctx.largest:
            raise torch.OutOfMemoryError("simulated in backward")
        return slope, None


def narrow(model, largest, *, where="forward", seen=None):
    """Lets a model in training take so many examples at once and no more."""
    encode = model.encode

    def limited(x):
        if not model.training:
            return encode(x)
        if seen is not None:
            seen.append(len(x))
        if where == "forward" and len(x) > largest:
            raise torch.OutOfMemoryError("simulated")
        z = encode(x)
        return Refuse.apply(z, largest) if where == "backward" and z.requires_grad else z

    model.encode = limited
    return model


@pytest.mark.parametrize("where", ["forward", "backward"])
@pytest.mark.parametrize("balancer", ["balancer", "none"])
def test_pieces_are_halved_until_they_fit_with_the_gradient_of_the_whole(small, where, balancer):
    def run(largest):
        model = narrow(small.model(dropout=0.0).double(), largest, where=where, seen=seen)
        weights = small.balancer().double() if balancer == "balancer" else None
        config = small.config(batch_size=29, restore="last")
        return flat(model), fit(model, small.data().double(), small.tasks, weights, config), model

    seen = []
    _, _, whole = run(1000)
    seen.clear()
    with pytest.warns(RuntimeWarning, match="out of memory; from here on at most") as told:
        _, result, small_pieces = run(5)
    assert [str(w.message).split("at most ")[1].split()[0] for w in told] == ["15", "8", "4"]
    assert max(seen[6:]) <= 8
    torch.testing.assert_close(flat(small_pieces), flat(whole), rtol=1e-9, atol=1e-12)
    assert [r.value for r in result.records if r.name == "micro_batch_size"] == [4] * 4


@pytest.mark.parametrize("where", ["forward", "backward"])
def test_repeated_step_uses_the_same_random_numbers(small, where):
    """With dropout: a run whose memory fails at the first step equals one in such pieces from the start."""
    model, again = small.model(), small.model()
    with pytest.warns(RuntimeWarning, match="step 1: out of memory"):
        fit(narrow(model, 4, where=where), small.data(), small.tasks, small.balancer(), small.config())
    config = small.config(micro_batch_size=4)
    fit(again, small.data(), small.tasks, small.balancer(), config)
    assert torch.equal(flat(model), flat(again))


def test_resumed_run_keeps_the_smaller_pieces(small, tmp_path):
    straight, again = small.model(), small.model()
    with pytest.warns(RuntimeWarning, match="at most 4"):
        fit(narrow(straight, 4), small.data(), small.tasks, small.balancer(), small.config())
    stage = small.config(epochs=2)
    with pytest.warns(RuntimeWarning, match="at most 4"):
        fit(narrow(small.model(), 4), small.data(), small.tasks, small.balancer(), stage, folder=tmp_path)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        config = small.config()
        fit(again, small.data(), small.tasks, small.balancer(), config, folder=tmp_path, resume=True)
    assert torch.equal(flat(straight), flat(again))


def test_one_example_that_does_not_fit_ends_the_run(small):
    with pytest.warns(RuntimeWarning), pytest.raises(torch.OutOfMemoryError, match="simulated"):
        fit(narrow(small.model(), 0), small.data(), small.tasks, None, small.config())


def test_back_off_can_be_switched_off_and_is_not_for_gradient_balancers(small):
    config = small.config(out_of_memory="stop")
    with pytest.raises(torch.OutOfMemoryError, match="simulated"):
        fit(narrow(small.model(), 4), small.data(), small.tasks, None, config)
    config = small.config(shared=("trunk.*",))
    with pytest.raises(torch.OutOfMemoryError, match="simulated"):
        fit(narrow(small.model(), 4), small.data(), small.tasks, small.dual(), config)
