"""Methods on gradients beside exact solutions and beside other libraries' results.

`gradient_references.json` holds both, with the versions they came from.
"""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from moola_losses import resolve_balancer

REFERENCES = json.loads((Path(__file__).parent / "gradient_references.json").read_text())
TASKS = ("type", "pointers", "span", "countdown")
LOSSES = (2.0, 0.01, 0.7, 1.5)


def direction(kind, rows, *, losses=None, tasks=None, balancer=None, **settings):
    """The balanced gradient where the losses' gradients at the shared parameters are these rows."""
    rows = torch.as_tensor(np.asarray(rows), dtype=torch.float64)
    tasks = TASKS[: len(rows)] if tasks is None else tasks
    values = LOSSES[: len(rows)] if losses is None else losses
    shared = nn.Parameter(torch.zeros(rows.shape[1], dtype=torch.float64))
    found = {t: row @ shared + v for t, row, v in zip(tasks, rows, values, strict=True)}
    made = resolve_balancer({"kind": kind} | settings).build(tuple(found)) if balancer is None else balancer
    made.backward(found, shared=[shared])
    return shared.grad.numpy()


EXACT = {
    "MGDA": ("mgda", {}),
    "UPGrad(mean pref)": ("upgrad", {}),
    "DualProj(mean pref)": ("upgrad", {"project": "mean"}),
    "PCGrad(order 0..m-1)": ("pcgrad", {"order": "given"}),
    "CAGrad(c=0.4)": ("cagrad", {}),
    "Nash = FairGrad(alpha=1)": ("nash", {}),
    "FairGrad(alpha=2)": ("fairgrad", {}),
    "IMTLG": ("imtl_g", {}),
    "AlignedMTL(min)": ("aligned", {}),
    "AlignedMTL(median)": ("aligned", {"scale": "median"}),
    "AlignedMTL(rmse)": ("aligned", {"scale": "rmse"}),
    "ConFIG": ("conflict_free", {}),
}
LETTERS = "abcd"
"""Tasks in the order of their names, which is the order that "given" means."""


@pytest.mark.parametrize("matrix", REFERENCES["matrices"])
@pytest.mark.parametrize("method", EXACT)
def test_weights_and_directions_are_the_exact_ones(matrix, method):
    case = REFERENCES["matrices"][matrix]
    wanted, (kind, chosen) = case["exact"][method], EXACT[method]
    rows = np.array(case["gradients"])
    tasks = LETTERS[: len(rows)]
    balancer = resolve_balancer({"kind": kind, "zero_gradient": "keep"} | chosen).build(tuple(tasks))
    if "undefined" in wanted:
        with pytest.raises(ValueError, match="want a direction that lowers every loss"):
            direction(kind, rows, tasks=tasks, balancer=balancer)
        return
    found = direction(kind, rows, tasks=tasks, balancer=balancer)
    tolerance = {"atol": 1e-6 * max(np.abs(wanted["direction"]).max(), 1e-6), "rtol": 0}
    np.testing.assert_allclose(found, wanted["direction"], **tolerance)
    if "weights" in wanted:
        weights = list(balancer.coefficients().values())
        size = np.abs(wanted["weights"]).max()
        np.testing.assert_allclose(weights, wanted["weights"], rtol=0, atol=1e-6 * size)


@pytest.mark.parametrize("matrix", [m for m in REFERENCES["matrices"] if "zero" not in m])
def test_cagrad_is_rescaled_as_published(matrix):
    case = REFERENCES["matrices"][matrix]
    found = direction("cagrad", case["gradients"], rescale="one_plus_c_squared")
    wanted = case["exact"]["CAGrad(c=0.4)"]["direction_rescale1 (/(1+c^2))"]
    np.testing.assert_allclose(found, wanted, rtol=1e-4)


@pytest.mark.parametrize("matrix", [m for m in REFERENCES["matrices"] if "zero" not in m])
def test_normalised_mgda_agrees_with_libmtl(matrix):
    case = REFERENCES["matrices"][matrix]
    found = direction("mgda", case["gradients"], normaliser="norm")
    wanted = case["peers"]["MGDA(l2)"]["direction"]
    np.testing.assert_allclose(found, wanted, atol=2e-3 * np.abs(wanted).max())


@pytest.mark.parametrize("matrix", [m for m in REFERENCES["matrices"] if "zero" not in m])
def test_three_steps_of_gradvac_agree_with_torchjd(matrix):
    case = REFERENCES["matrices"][matrix]
    tasks = LETTERS[: len(case["gradients"])]
    balancer = resolve_balancer({"kind": "gradvac", "order": "given"}).build(tuple(tasks))
    for wanted in case["peers"]["GradVac"]:
        found = direction("gradvac", case["gradients"], tasks=tasks, balancer=balancer)
        np.testing.assert_allclose(found, wanted, atol=2e-5 * np.abs(wanted).max())


@pytest.mark.parametrize("matrix", [m for m in REFERENCES["matrices"] if "zero" not in m])
def test_three_steps_of_db_mtl_agree_with_libmtl(matrix):
    """LibMTL was given gradients of logarithms; a loss of 1 has the same gradient as its logarithm."""
    case = REFERENCES["matrices"][matrix]
    ones = [1.0] * len(case["gradients"])
    tasks = TASKS[: len(ones)]
    balancer = resolve_balancer({"kind": "db_mtl", "memory": "gradients"}).build(tasks)
    for wanted in case["peers"]["DB_MTL"]:
        found = direction("db_mtl", case["gradients"], losses=ones, balancer=balancer)
        # LibMTL adds 1e-8 to each norm, which the smallest of these feel.
        np.testing.assert_allclose(found, wanted, atol=5e-5 * np.abs(wanted).max())


def gradnorm_steps(losses, norms, **settings):
    balancer = resolve_balancer({"kind": "gradnorm"} | settings).build(TASKS)
    for values, lengths in zip(losses, norms, strict=True):
        direction("gradnorm", np.diag(lengths), losses=values, balancer=balancer)
        yield list(balancer.by_task(balancer.weights).values())


def test_gradnorm_follows_the_published_equation():
    case = REFERENCES["gradnorm"]
    found = gradnorm_steps(REFERENCES["losses"], case["norms"], alpha=0.12)
    for weights, wanted in zip(found, case["alpha_0.12"], strict=True):
        np.testing.assert_allclose(weights, wanted["w_after"], atol=1e-6)


def test_gradnorm_raises_the_slow_tasks_weight():
    case = REFERENCES["gradnorm"]["sign_test"]
    found = list(gradnorm_steps([step["losses"] for step in case], np.ones((len(case), 4)), alpha=1.5))
    np.testing.assert_allclose(found, [step["w_after"] for step in case], atol=1e-6)
    assert found[-1][0] > 1
