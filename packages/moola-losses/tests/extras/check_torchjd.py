"""Run by name where torchjd 0.18 with its quadprog extra is installed: pytest tests/extras/check_torchjd.py.

Where TorchJD is exact the directions agree; where it is not, the difference is the documented one.
"""

import numpy as np
import pytest
import torch
import torchjd.aggregation as theirs
from torch import nn

from moola_losses import resolve_balancer

TASKS = ("a", "b", "c", "d")
SAME = {
    "AlignedMTL(min)": (theirs.AlignedMTL(), {"kind": "aligned"}, 1e-8),
    "AlignedMTL(median)": (
        theirs.AlignedMTL(scale_mode="median"),
        {"kind": "aligned", "scale": "median"},
        1e-8,
    ),
    "AlignedMTL(rmse)": (theirs.AlignedMTL(scale_mode="rmse"), {"kind": "aligned", "scale": "rmse"}, 1e-8),
    "IMTLG": (theirs.IMTLG(), {"kind": "imtl_g"}, 1e-8),
    "ConFIG": (theirs.ConFIG(), {"kind": "conflict_free"}, 1e-8),
    "MGDA": (theirs.MGDA(epsilon=1e-12, max_iters=20_000), {"kind": "mgda"}, 1e-3),
}


def rows(seed, gap=1.0):
    generator = torch.Generator().manual_seed(seed)
    found = torch.randn(4, 7, generator=generator, dtype=torch.float64)
    return found * torch.logspace(0, np.log10(gap), 4, dtype=torch.float64)[:, None]


def ours(matrix, settings):
    shared = nn.Parameter(torch.zeros(matrix.shape[1], dtype=torch.float64))
    losses = {t: row @ shared + 1 for t, row in zip(TASKS, matrix, strict=True)}
    resolve_balancer(settings).build(TASKS).backward(losses, shared=[shared])
    return shared.grad


def relative(found, wanted):
    return float((found - wanted).norm() / wanted.norm())


@pytest.mark.parametrize("name", SAME)
@pytest.mark.parametrize("seed", range(5))
def test_directions_agree_where_torchjd_is_exact(name, seed):
    aggregator, settings, tolerance = SAME[name]
    matrix = rows(seed)
    assert relative(ours(matrix, settings), aggregator(matrix)) < tolerance


@pytest.mark.parametrize("seed", range(5))
def test_pcgrad_agrees_in_one_order(monkeypatch, seed):
    monkeypatch.setattr(torch, "randperm", lambda n, **_: torch.arange(n))
    matrix = rows(seed)
    assert relative(ours(matrix, {"kind": "pcgrad", "order": "given"}), theirs.PCGrad()(matrix)) < 1e-6


@pytest.mark.parametrize("seed", range(5))
def test_upgrad_differs_by_torchjds_regularisation_and_no_more(seed):
    """TorchJD adds 1e-4 to the diagonal of the normalised Gramian; with less of it, it comes nearer."""
    matrix = rows(seed)
    exact = ours(matrix, {"kind": "upgrad"})
    default = relative(theirs.UPGrad()(matrix), exact)
    assert default < 2e-2
    assert relative(less_regularised(theirs.UPGrad)(matrix), exact) < 1e-5


def less_regularised(aggregator):
    from torchjd.linalg import QuadprogProjector

    return aggregator(projector=QuadprogProjector(reg_eps=1e-9, norm_eps=0.0))


def test_at_a_gap_of_a_thousand_torchjds_upgrad_conflicts_and_ours_does_not():
    worst = {"ours": 1.0, "theirs": 1.0}
    for seed in range(30):
        matrix = rows(seed, gap=1e3)
        for name, found in (
            ("ours", ours(matrix, {"kind": "upgrad"})),
            ("theirs", theirs.UPGrad()(matrix)),
        ):
            cosines = matrix @ found / matrix.norm(dim=1) / found.norm()
            worst[name] = min(worst[name], float(cosines.min()))
    assert worst["ours"] >= -1e-6
    assert worst["theirs"] < -1e-2


def test_small_gradients_turn_torchjds_upgrad_into_the_mean_and_leave_ours():
    matrix = rows(0) * 1e-3
    exact = ours(matrix, {"kind": "upgrad"})
    assert relative(exact * 1e3, ours(matrix * 1e3, {"kind": "upgrad"})) < 1e-9
    assert relative(theirs.UPGrad()(matrix), matrix.mean(0)) < 1e-6
