"""What the author of a balancer runs: every promise of the protocol, on a small problem, in seconds."""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from moola_losses.balancer import Balancer, BalancerConfig
from moola_losses.quadratic_problem import Gradients, QuadraticProblem

TASKS = ("type", "pointers", "span", "countdown")


def check_balancer(
    config: BalancerConfig | type[BalancerConfig], *, tasks: Sequence[str] = TASKS
) -> tuple[str, ...]:
    """Checks that a balancer keeps what `Balancer` and its own `claims` promise.

    Args:
        config: A configuration, or a class of them, whose defaults are then checked.
        tasks: Names to check with, three or more; those of the settings, if these name tasks.

    Returns:
        Names of the checks that held.

    Raises:
        AssertionError: At the first promise that does not hold, with its name.

    >>> from moola_losses.static import StaticConfig
    >>> "scaler" in check_balancer(StaticConfig)
    True
    """
    made = config.model_validate({}) if isinstance(config, type) else config
    subject = _Subject(made, tuple(tasks))
    done = []
    for name, check in _CHECKS.items():
        try:
            check(subject)
        except AssertionError as error:
            raise AssertionError(f"{made.kind}: {name}: {error}") from None
        done.append(name)
    return tuple(done)


@dataclass
class _Subject:
    config: BalancerConfig
    tasks: tuple[str, ...]

    def plain(self) -> BalancerConfig:
        """The configuration without anything said task by task, and without limits on sizes."""
        update: dict[str, object] = {name: {} for name in self._by_task()}
        # Steps in which nothing is weighed yet would hide it too.
        update |= {n: 0 for n in ("skip",) if n in type(self.config).model_fields}
        # What changes sizes would hide what the method does to them.
        fields = type(self.config).model_fields
        update |= {n: None for n in ("normalise", "least") if n in fields and fields[n].default is None}
        return self.config.model_copy(update=update)

    def narrowed(self, tasks: Sequence[str]) -> BalancerConfig:
        """The configuration without what is said of other tasks."""
        chosen = {n: {t: v for t, v in by.items() if t in tasks} for n, by in self._by_task().items()}
        return self.config.model_copy(update=chosen)

    def _by_task(self) -> dict[str, dict[str, object]]:
        return {name: value for name, value in self.config if isinstance(value, dict)}


def _steps(
    balancer: Balancer,
    problem: QuadraticProblem,
    steps: Sequence[int],
    *,
    optimizer: torch.optim.Optimizer | None = None,
    absent: Sequence[str] = (),
    scaler: torch.amp.GradScaler | None = None,
) -> Iterator[Gradients]:
    """Lets the balancer work along a fixed path of the parameters; yields what it adds to ``.grad``."""
    for step in steps:
        problem.move(step)
        losses: dict[str, Tensor | None] = dict(problem.losses())
        losses |= dict.fromkeys(absent)
        balancer.zero_grad()
        if balancer.claims.shared:
            balancer.backward(losses, shared=[problem.shared], scaler=scaler)
        else:
            balancer.backward(losses, scaler=scaler)
        found = problem.gradients()
        if optimizer is not None:
            optimizer.step()
        if balancer.wants_after_step:
            problem.move(step + 1)
            with torch.no_grad():
                balancer.after_step(dict(problem.losses()) | dict.fromkeys(absent))
        if step % 2 == 1:
            balancer.epoch_end()
        yield found


def _optimizer(balancer: Balancer) -> torch.optim.Optimizer | None:
    groups = balancer.param_groups()
    return torch.optim.Adam(groups, lr=0.01) if groups else None


def _run(
    config: BalancerConfig,
    names: Sequence[str],
    *,
    count: int = 6,
    order: Sequence[str] | None = None,
    absent: Sequence[str] = (),
    factors: Mapping[str, float] | None = None,
    turned: Sequence[str] = (),
) -> tuple[Balancer, list[Gradients]]:
    balancer = config.build(tuple(order or [*names, *absent]))
    problem = QuadraticProblem(names, factors or {}, turned=turned)
    return balancer, list(_steps(balancer, problem, range(count), absent=absent))


def _equal(wanted: Sequence[Gradients], found: Sequence[Gradients], what: str, *, near: float = 1e-9) -> None:
    for step, (one, other) in enumerate(zip(wanted, found, strict=True)):
        for name in one:
            if not torch.allclose(one[name], other[name], rtol=near, atol=near * float(one[name].norm())):
                where = f"task {name!r}'s own parameter" if name else "the shared parameters"
                raise AssertionError(
                    f"{what}: want the gradient {one[name].tolist()} of {where} in step {step}, "
                    f"got {other[name].tolist()}"
                )


def _cosine(one: Tensor, other: Tensor) -> float:
    # Norms first: products of numbers near 1e-200 would be 0.
    return float((one / one.norm()) @ (other / other.norm()))


def _same_direction(wanted: Sequence[Gradients], found: Sequence[Gradients], what: str) -> None:
    for step, (one, other) in enumerate(zip(wanted, found, strict=True)):
        cosine = _cosine(one[""], other[""])
        assert cosine > 1 - 1e-9, f"{what}: want the same direction in step {step}, got cosine {cosine}"


def _check_json(subject: _Subject) -> None:
    again = type(subject.config).model_validate_json(subject.config.model_dump_json())
    assert again == subject.config, f"want {subject.config} back from JSON, got {again}"


def _check_order(subject: _Subject) -> None:
    _, wanted = _run(subject.config, subject.tasks)
    turned = subject.tasks[::-1]
    _, found = _run(subject.config, turned, order=subject.tasks)
    _equal(wanted, found, "losses in another order")
    if subject.config.build(subject.tasks).claims.order:
        _, found = _run(subject.config, subject.tasks, order=turned)
        _equal(wanted, found, "tasks in another order")


def _check_absent(subject: _Subject) -> None:
    some, others = subject.tasks[1:], subject.tasks[:1]
    _, wanted = _run(subject.narrowed(some), some)
    _, found = _run(subject.config, some, absent=others, order=subject.tasks)
    _equal(wanted, found, "an absent task")


def _check_alone(subject: _Subject) -> None:
    balancer, found = _run(subject.plain(), subject.tasks[:1])
    if not balancer.claims.gradient:
        return
    problem, wanted = QuadraticProblem(subject.tasks[:1]), []
    for step in range(len(found)):
        problem.move(step)
        problem.losses()[subject.tasks[0]].backward()
        wanted.append(problem.gradients())
    _same_direction(wanted, found, "one task")
    if balancer.claims.alone:
        _equal(wanted, found, "one task")


def _check_twins(subject: _Subject) -> None:
    if subject.config.build(subject.tasks).claims.names is not None:
        return
    names = (*subject.tasks, f"{subject.tasks[0]}'")
    balancer, found = _run(subject.plain(), names)
    if balancer.claims.twins:
        opposed, _ = _run(subject.plain(), names, turned=subject.tasks[1::2])
        for by_task in (balancer.coefficients(), opposed.coefficients()):
            one, other = by_task[names[0]], by_task[names[-1]]
            assert math.isclose(one, other, rel_tol=1e-5), (
                f"want one coefficient for equal tasks, got {one}, {other}"
            )
    if balancer.claims.duplicate:
        _, wanted = _run(subject.plain(), subject.tasks)
        _same_direction(wanted, found, "a task listed twice")


def _check_common_scale(subject: _Subject) -> None:
    balancer, wanted = _run(subject.plain(), subject.tasks)
    if balancer.claims.common_scale is None:
        return
    for factor in (1e-12, 1e-6, 1e6, 1e12):
        _, found = _run(subject.plain(), subject.tasks, factors=dict.fromkeys(subject.tasks, factor))
        if balancer.claims.common_scale == "equivariant":
            found = [{"": g[""] / factor} for g in found]
        _equal(
            [{"": g[""]} for g in wanted], [{"": g[""]} for g in found], f"losses times {factor:g}", near=1e-6
        )


def _check_each_scale(subject: _Subject) -> None:
    balancer, wanted = _run(subject.plain(), subject.tasks)
    if balancer.claims.each_scale:
        factors = {name: 10.0 ** (3 * k - 4) for k, name in enumerate(subject.tasks)}
        clip = getattr(subject.config, "clip", None)
        if clip is not None:  # a limit on weights is a limit on what they make up for
            factors = {name: clip ** (0.1 * k) for k, name in enumerate(subject.tasks)}
        _, found = _run(subject.plain(), subject.tasks, factors=factors)
        _same_direction(wanted, found, "losses times different factors")


def _check_non_conflict(subject: _Subject) -> None:
    if not subject.config.build(subject.tasks).claims.non_conflict:
        return
    for gap in (1.0, 1e3, 1e6):
        factors = {name: gap ** (-k / (len(subject.tasks) - 1)) for k, name in enumerate(subject.tasks)}
        turned = subject.tasks[1::2]
        _, found = _run(subject.plain(), subject.tasks, factors=factors, turned=turned)
        problem = QuadraticProblem(subject.tasks, factors, turned=turned)
        for step, gradients in enumerate(found):
            problem.move(step)
            for name, loss in problem.losses().items():
                (own,) = torch.autograd.grad(loss, [problem.shared], retain_graph=True)
                cosine = _cosine(own, gradients[""])
                assert cosine >= -1e-6, (
                    f"norms {gap:g} apart: want no conflict with {name!r}, got cosine {cosine}"
                )


def _check_sum(subject: _Subject) -> None:
    fresh = subject.config.build(subject.tasks)
    problem = QuadraticProblem(subject.tasks)
    wanted = list(_steps(subject.config.build(subject.tasks), problem, [0]))
    problem.shared.grad = torch.ones_like(problem.shared)
    found = [{n: g if n else g - 1 for n, g in by.items()} for by in _steps(fresh, problem, [0])]
    _equal(wanted, found, "gradients already there")


def _check_scalar(subject: _Subject) -> None:
    one, other = (subject.config.build(subject.tasks) for _ in range(2))
    if not one.claims.scalar:
        try:
            one(QuadraticProblem(subject.tasks).losses())
        except NotImplementedError:
            return
        raise AssertionError("want NotImplementedError of a call where `claims.scalar` is False")
    if one.claims.shared or not one.claims.gradient:
        return
    problem = QuadraticProblem(subject.tasks)
    wanted = list(_steps(one, problem, [0]))
    total = other(problem.losses())
    assert total.ndim == 0, f"want a scalar, got shape {tuple(total.shape)}"
    problem.move(0)
    total = subject.config.build(subject.tasks)(problem.losses())
    total.backward()
    _equal(wanted, [problem.gradients()], "calling and then backward")


def _check_scaler(subject: _Subject) -> None:
    plain, scaled = (subject.config.build(subject.tasks) for _ in range(2))
    problem = QuadraticProblem(subject.tasks)
    scaler = torch.amp.GradScaler("cpu", init_scale=2.0**16)
    wanted = list(_steps(plain, problem, range(6)))
    found = list(_steps(scaled, problem, range(6), scaler=scaler))
    _equal(wanted, [{n: g / 2**16 for n, g in by.items()} for by in found], "a scaler's factor of 65536")


def _check_state(subject: _Subject) -> None:
    straight, half = (subject.config.build(subject.tasks) for _ in range(2))
    problem = QuadraticProblem(subject.tasks)
    wanted = list(_steps(straight, problem, range(20), optimizer=_optimizer(straight)))
    first = _optimizer(half)
    list(_steps(half, problem, range(10), optimizer=first))
    state = {name: value.clone() for name, value in _tensors(half).items()}
    resumed = subject.config.build(subject.tasks)
    resumed.load_state_dict(state)
    again = _tensors(resumed)
    assert state.keys() == again.keys(), f"want the state's names back, got {sorted(again)}"
    for name, value in state.items():
        assert _bitwise(value, again[name]), f"want {name} back from its state, got {again[name]}"
    second = _optimizer(resumed)
    if first is not None and second is not None:
        second.load_state_dict(first.state_dict())
    found = list(_steps(resumed, problem, range(10, 20), optimizer=second))
    for step, (one, other) in enumerate(zip(wanted[10:], found, strict=True), 10):
        for name in one:
            assert _bitwise(one[name], other[name]), f"want a resumed step {step} bit by bit, got another"
    for name, value in _tensors(straight).items():
        assert _bitwise(value, _tensors(resumed)[name]), f"want {name} after a resumed run, got another"


def _tensors(balancer: Balancer) -> dict[str, Tensor]:
    found = balancer.state_dict()
    other = [name for name, value in found.items() if not isinstance(value, Tensor)]
    assert not other, f"want a state of tensors, got {other}"
    return found


def _bitwise(one: Tensor, other: Tensor) -> bool:
    return one.dtype == other.dtype and one.numpy().tobytes() == other.numpy().tobytes()


def _check_generators(subject: _Subject) -> None:
    before = torch.get_rng_state(), random.getstate(), repr(np.random.get_state())  # noqa: NPY002 - only read
    _run(subject.config, subject.tasks)
    assert torch.equal(before[0], torch.get_rng_state()), "want torch's generator as it was, got it moved"
    assert before[1] == random.getstate(), "want Python's generator as it was, got it moved"
    assert before[2] == repr(np.random.get_state()), "want numpy's generator as it was, got it moved"  # noqa: NPY002


def _check_refusals(subject: _Subject) -> None:
    losses = QuadraticProblem(subject.tasks).losses()
    name = subject.tasks[1]
    bad: list[tuple[str, dict[str, Tensor]]] = [("stranger", {"stranger": losses[name]}), ("none", {})]
    if subject.config.non_finite == "refuse":
        bad += [(name, losses | {name: losses[name] * value}) for value in (math.nan, math.inf)]
    for wanted, given in bad:
        _refused(subject, given, wanted)


def _check_negative(subject: _Subject) -> None:
    name = subject.tasks[1]
    problem = QuadraticProblem(subject.tasks, shifts={name: -1e3})
    balancer = subject.config.build(subject.tasks)
    wants = balancer.wants_positive()
    if wants and getattr(subject.config, "least", None) is None and subject.config.non_finite == "refuse":
        _refused(subject, problem.losses(), name)
    elif not wants:
        for gradients in _steps(balancer, problem, range(3)):
            assert bool(gradients[""].isfinite().all()), (
                "want finite gradients with a negative loss, got others"
            )


def _refused(subject: _Subject, losses: Mapping[str, Tensor], wanted: str) -> None:
    balancer, problem = subject.config.build(subject.tasks), QuadraticProblem(subject.tasks)
    try:
        if balancer.claims.shared:
            balancer.backward(losses, shared=[problem.shared])
        else:
            balancer.backward(losses)
    except ValueError as error:
        found = str(error)
    else:
        raise AssertionError(f"want ValueError with {wanted!r}, got none")
    assert wanted in found, f"want {wanted!r} in the error, got {found!r}"


_CHECKS: Mapping[str, Callable[[_Subject], None]] = {
    "json": _check_json,
    "refusals": _check_refusals,
    "negative": _check_negative,
    "order": _check_order,
    "absent": _check_absent,
    "alone": _check_alone,
    "twins": _check_twins,
    "common_scale": _check_common_scale,
    "each_scale": _check_each_scale,
    "non_conflict": _check_non_conflict,
    "sum": _check_sum,
    "scalar": _check_scalar,
    "scaler": _check_scaler,
    "state": _check_state,
    "generators": _check_generators,
}
