"""The forms of the flow's loss that the first system had, on booked lines."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from moola_train.recipes.catalogue_config import FlowForm
from moola_train.recipes.catalogue_losses import BookedFlow

ENTRY = torch.tensor([[[0.0, 0.0, 0.7], [1.0, 0.0, 0.3], [2.0, 1.0, 1.0], [-1.0, -1.0, 0.0]]])
"""Accounts 0 and 1 debited with .7 and .3, account 2 credited."""


def flow(form: FlowForm, debit: list[float], credit: list[float]) -> tuple[float, Tensor]:
    """Returns the loss, over both sides, and its slope by the logarithm of the mass."""
    mass = torch.tensor([[debit, credit]], dtype=torch.float64).log().requires_grad_()
    total, weight = BookedFlow(form=form)(mass, ENTRY.double(), torch.tensor([True]), torch.ones(1))
    total.backward()
    assert float(weight) == 2
    assert mass.grad is not None
    return float(total.detach()), mass.grad


@pytest.mark.parametrize("form", ["padded", "clamped"])
def test_it_is_the_divergence_of_shares_among_the_booked_accounts(form: FlowForm) -> None:
    wanted = 0.7 * math.log(0.7 / 0.4) + 0.3 * math.log(0.3 / 0.6)
    assert flow(form, [0.2, 0.3, 0.5], [0.1, 0.1, 0.8])[0] == pytest.approx(wanted, abs=1e-6)


@pytest.mark.parametrize("form", ["padded", "clamped"])
def test_a_side_of_one_account_costs_nothing_there_and_much_here(form: FlowForm) -> None:
    right, wrong = [0.7, 0.3, 1e-9], [0.99, 0.009, 0.001]
    assert abs(flow(form, right, wrong)[0]) < 1e-4
    assert flow("divergence", right, wrong)[0] > 6


def test_both_forms_agree_where_no_share_is_tiny() -> None:
    lines = [0.6, 0.001, 0.4], [0.3, 0.3, 0.4]
    assert flow("padded", *lines)[0] == pytest.approx(flow("clamped", *lines)[0], abs=1e-5)


def test_the_clamped_form_has_no_slope_where_a_share_is_below_its_floor_and_the_padded_one_has() -> None:
    lines = [0.9, 1e-9, 0.1], [0.3, 0.3, 0.4]
    assert abs(float(flow("clamped", *lines)[1][0, 0, 1])) < 1e-6
    assert abs(float(flow("padded", *lines)[1][0, 0, 1])) > 1e-2
