"""Run by name where tensorboard is installed: pytest tests/extras/check_tensorboard.py.

requires: tensorboard
"""

import pytest
import torch
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from moola_train import Examples, FitConfig, Task, fit, read_records
from moola_train.trackers import make_tracker, tag


def squared(output, target, mask, weight):
    return ((output - target) ** 2 * mask * weight).sum(), (mask * weight).sum()


class Line(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.slope = torch.nn.Linear(1, 1)

    def forward(self, inputs):
        return {"height": self.slope(inputs)[:, 0]}


def test_the_event_file_holds_the_records(tmp_path):
    x = torch.linspace(-1, 1, 64)[:, None]
    data = Examples(x, targets={"height": x[:, 0]}, split=(torch.arange(64) % 4 == 0).to(torch.int8))
    tracker = make_tracker("tensorboard", tmp_path / "run")
    config = FitConfig(epochs=3, device="cpu")
    fit(Line(), data, [Task("height", squared)], None, config, folder=tmp_path / "run", callbacks=[tracker])
    found = EventAccumulator(str(tmp_path / "run" / "tensorboard"))
    found.Reload()
    records = read_records(tmp_path / "run" / "records.jsonl")
    assert set(found.Tags()["scalars"]) == {tag(r) for r in records}
    for name in found.Tags()["scalars"]:
        mine = [r for r in records if tag(r) == name]
        assert [e.step for e in found.Scalars(name)] == [r.step for r in mine]
        assert [e.value for e in found.Scalars(name)] == pytest.approx([r.value for r in mine], rel=1e-6)
