import pytest
import torch
from torch import nn

from moola_train import Callback, fit
from moola_train.determinism import deterministic_mode

CPU = torch.device("cpu")


class Scatter(nn.Module):
    """Uses an operation that torch calls not deterministic, on every device."""

    def __init__(self, inner):
        super().__init__()
        self.inner = inner

    def forward(self, inputs):
        outputs = self.inner(inputs)
        index = torch.zeros(1, dtype=torch.int64)
        outputs["size"].detach().clone().put_(index, torch.ones(1))
        return outputs


def test_operation_that_is_not_deterministic_is_refused_only_if_asked(small):
    model = Scatter(small.model())
    fit(model, small.data(), small.tasks, None, small.config(epochs=1))
    with pytest.raises(RuntimeError, match="does not have a deterministic implementation"):
        fit(model, small.data(), small.tasks, None, small.config(epochs=1, deterministic=True))


def test_settings_of_the_process_are_back_after_the_run(small):
    inside = []

    class Look(Callback):
        def on_backward(self, state):
            inside.append((torch.are_deterministic_algorithms_enabled(), torch.backends.cudnn.deterministic))
            return ()

    config = small.config(epochs=1, deterministic=True)
    fit(small.model(), small.data(), small.tasks, None, config, callbacks=[Look()])
    assert set(inside) == {(True, True)}
    assert not torch.are_deterministic_algorithms_enabled()
    assert not torch.backends.cudnn.deterministic


def test_running_cuda_without_a_fixed_workspace_is_refused(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_initialized", lambda: True)
    monkeypatch.setenv("CUBLAS_WORKSPACE_CONFIG", ":1:1")
    with (
        pytest.raises(ValueError, match=r"CUBLAS_WORKSPACE_CONFIG set to one of .* got ':1:1'"),
        deterministic_mode(True, torch.device("cuda", 0)),
    ):
        pass
    assert not torch.are_deterministic_algorithms_enabled()


def test_without_the_wish_nothing_changes():
    with deterministic_mode(False, CPU):
        assert not torch.are_deterministic_algorithms_enabled()
