import pytest
import torch

from moola_train import GradientNorms, fit


def test_norms_are_recorded_on_the_first_batch_of_every_second_epoch(small):
    model = small.model()
    result = fit(model, small.data(), small.tasks, None, small.config(), callbacks=[GradientNorms(every=2)])
    rows = [r for r in result.records if r.name.startswith("gradient_norm/")]
    assert {(r.epoch, r.step) for r in rows} == {(2, 8), (4, 22)}
    names = {f"gradient_norm/{n}" for n, _ in model.named_parameters()} | {"gradient_norm/total"}
    assert {r.name for r in rows} == names


def test_total_is_the_norm_of_all_gradients_together(small):
    result = fit(
        small.model(),
        small.data(),
        small.tasks,
        None,
        small.config(epochs=1),
        callbacks=[GradientNorms(every=1)],
    )
    norms = {r.name: r.value for r in result.records if r.name.startswith("gradient_norm/")}
    total = norms.pop("gradient_norm/total")
    assert total == pytest.approx(torch.tensor(list(norms.values())).norm().item(), rel=1e-6)


def test_cadence_below_one_is_refused():
    with pytest.raises(ValueError, match="every: want 1 or more, got 0"):
        GradientNorms(every=0)
