"""Where the gradients come from: shared parameters, a representation, a representation split by task."""

import copy
import itertools

import numpy as np
import pytest
import torch
from torch import nn

from moola_losses import Static, resolve_balancer
from moola_losses.gradient_balancer import GradientBalancer

TASKS = ("type", "pointers", "span", "countdown")
ROUTES = ("shared", "representation", "split")
every_route = pytest.mark.parametrize("route", ROUTES)
every_heads = pytest.mark.parametrize("heads", ["plain", "weighted"])


class Fixed(GradientBalancer):
    """Weights that are given: what remains is the way of the gradients."""

    def __init__(self, weights, **options):
        super().__init__(TASKS, **options)
        self.fixed = dict(zip(TASKS, weights, strict=True))

    def weigh(self, gramian, losses, positions):
        self.seen = gramian
        return np.array([self.fixed[self.tasks[k]] for k in positions])


class Net(nn.Module):
    """An encoder, a layer that all heads use behind the representation, and a head a task."""

    def __init__(self, dtype=torch.float64):
        super().__init__()
        torch.manual_seed(0)
        self.encoder = nn.Sequential(nn.Linear(5, 16), nn.Tanh(), nn.Linear(16, 8))
        self.between = nn.Linear(8, 6)
        self.readouts = nn.ModuleDict({f"{t}_head": nn.Linear(6, 2) for t in TASKS})
        self.to(dtype)

    def encode(self, x):
        return self.encoder(x).tanh()

    def losses(self, z, y, scales=(1.0, 0.01, 3.0, 0.5)):
        found = {}
        for k, (task, scale) in enumerate(zip(TASKS, scales, strict=True)):
            out = self.readouts[f"{task}_head"](self.between(z[task] if isinstance(z, dict) else z))
            found[task] = scale * (out - y[:, k : k + 2]).square().mean()
        return found


def batch(seed=0, n=7, dtype=torch.float64):
    generator = torch.Generator().manual_seed(seed)
    return tuple(torch.randn(n, w, generator=generator, dtype=dtype) for w in (5, 5))


def step(net, balancer, route, data=None, absent=(), **options):
    """One call of backward; returns the total and every parameter's gradient by name."""
    x, y = batch() if data is None else data
    net.zero_grad()
    z = net.encode(x)
    if route == "shared":
        given = {"shared": list(net.encoder.parameters())}
        losses = net.losses(z, y)
    elif route == "representation":
        given = {"representation": z}
        losses = net.losses(z, y)
    else:
        split = balancer.split(z)
        given = {"representation": split}
        losses = net.losses(split.parts, y)
    total = balancer.backward({t: v for t, v in losses.items() if t not in absent}, **given, **options)
    return total, {n: None if p.grad is None else p.grad.clone() for n, p in net.named_parameters()}


def plain(net, weights, data=None):
    """Gradients of a weighted sum by one common backward pass."""
    x, y = batch() if data is None else data
    net.zero_grad()
    losses = net.losses(net.encode(x), y)
    sum(w * losses[t] for t, w in zip(TASKS, weights, strict=True)).backward()
    return {n: p.grad.clone() for n, p in net.named_parameters()}


def assert_close(found, wanted, rtol=1e-10):
    for name, value in wanted.items():
        torch.testing.assert_close(
            found[name], value, rtol=rtol, atol=1e-12, msg=lambda m, n=name: f"{n}: {m}"
        )


@every_route
@every_heads
def test_weights_of_one_are_the_plain_backward_pass(route, heads):
    net = Net()
    total, found = step(net, Fixed([1.0] * 4, heads=heads), route)
    wanted = plain(net, [1.0] * 4)
    for name, value in wanted.items():
        assert (found[name] - value).abs().max() <= 1e-8
    x, y = batch()
    torch.testing.assert_close(total, sum(net.losses(net.encode(x), y).values()).detach())


@every_route
def test_weighted_heads_make_it_the_backward_pass_of_the_weighted_sum(route):
    net, weights = Net(), [2.0, 30.0, 0.1, 0.7]
    _, found = step(net, Fixed(weights, heads="weighted"), route)
    assert_close(found, plain(net, weights))


@every_route
def test_plain_heads_get_their_own_gradients_and_the_encoder_the_weighted_ones(route):
    net, weights = Net(), [2.0, 30.0, -0.1, 0.0]
    _, found = step(net, Fixed(weights), route)
    heads, encoder = plain(net, [1.0] * 4), plain(net, weights)
    assert_close(found, {n: (encoder if n.startswith("encoder") else heads)[n] for n in found})


@every_route
@every_heads
def test_reused_weights_give_the_same_gradient(route, heads):
    net, balancer = Net(), Fixed([2.0, 30.0, 0.1, 0.7], heads=heads)
    _, refreshed = step(net, balancer, route)
    _, reused = step(net, balancer, route, refresh=False)
    assert_close(reused, refreshed)


@every_route
def test_gradients_are_added_to_those_that_are_there(route):
    net, balancer, (x, y) = Net(), Fixed([1.0, 2.0, 3.0, 4.0]), batch()
    _, once = step(net, balancer, route)
    net.zero_grad()
    for _ in range(2):
        z = net.encode(x)
        split = balancer.split(z)
        losses = net.losses(split.parts if route == "split" else z, y)
        given = {"shared": list(net.encoder.parameters())} if route == "shared" else {"representation": z}
        balancer.backward(losses, **({"representation": split} if route == "split" else given))
    assert_close({n: p.grad for n, p in net.named_parameters()}, {n: 2 * g for n, g in once.items()})


@every_route
def test_an_absent_tasks_head_is_left_alone(route):
    _, found = step(Net(), Fixed([1.0, 2.0, 3.0, 4.0]), route, absent=("span",))
    assert found["readouts.span_head.weight"] is None
    assert found["readouts.type_head.weight"] is not None


@every_route
def test_the_gramian_is_that_of_the_tasks_gradients(route):
    net, balancer, (x, y) = Net(), Fixed([1.0] * 4), batch()
    step(net, balancer, route)
    z = net.encode(x)
    losses, rows = net.losses(z, y), []
    for task in sorted(TASKS):
        points = list(net.encoder.parameters()) if route == "shared" else [z]
        found = torch.autograd.grad(losses[task], points, retain_graph=True)
        rows.append(torch.cat([g.flatten() for g in found]))
    stacked = torch.stack(rows).numpy()
    np.testing.assert_allclose(balancer.seen, stacked @ stacked.T, rtol=1e-10)


@every_route
@pytest.mark.parametrize("kind", ["nash", "fairgrad", "upgrad", "gradnorm", "db_mtl", "gradscale"])
def test_the_scaler_changes_no_update(route, kind):
    updates = []
    for factor in (1.0, 2.0**16):
        net = Net()
        scaler = torch.amp.GradScaler("cpu", init_scale=factor)
        balancer = resolve_balancer(kind).build(TASKS)
        step(net, balancer, route, scaler=scaler)
        optimizer = torch.optim.SGD(net.parameters(), lr=0.1)
        scaler.step(optimizer)
        scaler.update()
        updates.append([p.detach().clone() for p in net.parameters()])
    for one, other in zip(*updates, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-12, atol=0)


@every_route
def test_a_scaled_gradient_that_overflows_is_the_scalers_to_skip(route):
    net = Net(torch.float32)
    before = copy.deepcopy(net.state_dict())
    scaler = torch.amp.GradScaler("cpu", init_scale=2.0**127)
    balancer = resolve_balancer("nash").build(TASKS)
    x, y = (1e6 * t for t in batch(dtype=torch.float32))
    step(net, balancer, route, data=(x, y), scaler=scaler)
    optimizer = torch.optim.SGD(net.parameters(), lr=0.1)
    scaler.step(optimizer)
    scaler.update()
    assert scaler.get_scale() == 2.0**126
    assert all(torch.equal(before[name], value) for name, value in net.state_dict().items())
    assert all(np.isnan(v) for v in balancer.coefficients().values())


# torch.compile reads .grad of every tensor it is given, and would hide the warning that it causes.
@pytest.mark.filterwarnings("ignore:The .grad attribute of a Tensor")
@pytest.mark.parametrize("backend", ["eager", pytest.param("aot_eager", marks=pytest.mark.slow)])
def test_compiled_heads_work_with_a_split_representation(backend):
    net, balancer, (x, y) = Net(), Fixed([2.0, 30.0, 0.1, 0.7]), batch()
    _, wanted = step(net, balancer, "split")
    net.zero_grad()
    split = balancer.split(net.encode(x))
    losses = torch.compile(net.losses, backend=backend)(split.parts, y)
    balancer.backward(losses, representation=split)
    assert_close({n: p.grad for n, p in net.named_parameters()}, wanted)


def test_a_representation_in_half_precision_is_balanced_in_more():
    net = Net(torch.float32).bfloat16()
    balancer = resolve_balancer("upgrad").build(TASKS)
    data = tuple(t.bfloat16() for t in batch())
    _, found = step(net, balancer, "representation", data=data)
    assert all(g.dtype == torch.bfloat16 and g.isfinite().all() for g in found.values())


def test_hooks_see_one_backward_pass_at_a_representation():
    """As DistributedDataParallel needs it: each parameter's gradient arrives once."""
    net, seen = Net(), []
    for name, parameter in net.named_parameters():
        parameter.register_post_accumulate_grad_hook(lambda _, n=name: seen.append(n))
    for route in ("representation", "split"):
        seen.clear()
        step(net, Fixed([1.0, 2.0, 3.0, 4.0]), route)
        assert sorted(seen) == sorted(n for n, _ in net.named_parameters())


@every_heads
@pytest.mark.parametrize("refresh", [True, False])
def test_no_two_gradients_share_memory(heads, refresh):
    """A sum hands one gradient to both its terms; clipping it in place would then scale it twice."""
    one, other = (nn.Parameter(torch.ones(3, dtype=torch.float64)) for _ in range(2))
    own, twin = (nn.Parameter(torch.ones(3, dtype=torch.float64)) for _ in range(2))
    losses = {t: ((one + other) * (own + twin)).sum() * k for k, t in enumerate(TASKS, 1)}
    balancer = Fixed([1.0] * 4, heads=heads)
    balancer.last.fill_(1.0)
    balancer.backward(losses, shared=[one, other], refresh=refresh)
    leaves = [one, other, own, twin]
    before = [p.grad.clone() for p in leaves]
    for p in leaves:
        p.grad.mul_(0.5)
    assert all(torch.equal(p.grad, g / 2) for p, g in zip(leaves, before, strict=True))


def test_frozen_shared_parameters_are_left_alone():
    net = Net()
    net.encoder[0].weight.requires_grad_(False)
    _, found = step(net, Fixed([1.0] * 4), "shared")
    assert found["encoder.0.weight"] is None
    assert found["encoder.0.bias"] is not None


def test_the_graph_may_be_kept():
    net, balancer, (x, y) = Net(), Fixed([1.0] * 4), batch()
    z = net.encode(x)
    losses = net.losses(z, y)
    balancer.backward(losses, shared=list(net.encoder.parameters()), retain_graph=True)
    balancer.backward(losses, representation=z, retain_graph=True)
    sum(losses.values()).backward()
    assert_close(
        {n: p.grad for n, p in net.named_parameters()}, {n: 3 * g for n, g in plain(net, [1] * 4).items()}
    )


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({}, "backward: want one of shared and representation, got none"),
        ({"shared": [], "representation": torch.ones(1)}, "want one of shared and representation, got both"),
        ({"shared": []}, "shared: want one or more parameters that require gradients, got none"),
        ({"representation": torch.ones(1)}, "representation: want a tensor that requires gradients"),
    ],
)
def test_bad_places_are_refused(given, message):
    net, (x, y) = Net(), batch()
    losses = net.losses(net.encode(x), y)
    with pytest.raises(ValueError, match=message):
        Fixed([1.0] * 4).backward(losses, **given)


def test_a_split_without_a_tasks_part_is_refused():
    net, (x, y) = Net(), batch()
    split = Fixed([1.0] * 4).split(net.encode(x))
    losses = net.losses(split.parts, y)
    del split.parts["span"]
    with pytest.raises(
        ValueError, match="representation: want a part for each present task, got none for 'span'"
    ):
        Fixed([1.0] * 4).backward(losses, representation=split)


def test_methods_that_only_weight_losses_take_the_same_call():
    net, (x, y) = Net(), batch()
    z = net.encode(x)
    Static(TASKS).backward(net.losses(z, y), shared=net.encoder.parameters(), representation=z)
    assert_close({n: p.grad for n, p in net.named_parameters()}, plain(net, [1.0] * 4))


def test_methods_that_only_weight_losses_refuse_a_split():
    net, (x, y) = Net(), batch()
    split = Fixed([1.0] * 4).split(net.encode(x))
    with pytest.raises(TypeError, match="representation: want a tensor or None, got Split"):
        Static(TASKS).backward(net.losses(split.parts, y), representation=split)


@every_route
def test_every_refreshes_at_each_nth_step(route):
    net, every = Net(), resolve_balancer({"kind": "every", "n": 3, "inner": "upgrad"}).build(TASKS)
    seen = []
    for k in range(7):
        step(net, every, route, data=batch(k))
        seen.append(tuple(every.coefficients().values()))
    assert [a == b for a, b in itertools.pairwise(seen)] == [True, True, False, True, True, False]


def test_a_task_seen_for_the_first_time_refreshes_all():
    net, every = Net(), resolve_balancer({"kind": "every", "n": 100, "inner": "upgrad"}).build(TASKS)
    step(net, every, "shared", absent=("span",))
    assert np.isnan(every.coefficients()["span"])
    step(net, every, "shared")
    fresh = resolve_balancer("upgrad").build(TASKS)
    step(net, fresh, "shared")
    assert every.coefficients() == fresh.coefficients()
