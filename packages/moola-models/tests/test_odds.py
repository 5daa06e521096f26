import hypothesis.strategies as st
import pytest
import torch
from hypothesis import given, settings

from moola_models.odds import log_odds


@settings(deadline=None, max_examples=50)
@given(odds=st.floats(-30, 30))
def test_log_odds_undo_the_log_of_a_sigmoid(odds):
    log_p = torch.nn.functional.logsigmoid(torch.tensor(odds, dtype=torch.float64))
    assert log_odds(log_p).item() == pytest.approx(odds, rel=1e-3, abs=1e-9)


@pytest.mark.parametrize("log_p", [0.0, 1e-7])
def test_certainty_gives_finite_odds_and_gradients(log_p):
    log_p = torch.tensor(log_p, requires_grad=True)
    odds = log_odds(log_p)
    odds.backward()
    assert odds.isfinite()
    assert log_p.grad.isfinite()
