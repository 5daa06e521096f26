"""Run by name where mlflow is installed: pytest tests/extras/check_mlflow.py.

requires: mlflow
"""

import pytest
import torch
from mlflow.tracking import MlflowClient

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


def test_the_file_store_holds_the_records(tmp_path):
    x = torch.linspace(-1, 1, 64)[:, None]
    data = Examples(x, targets={"height": x[:, 0]}, split=(torch.arange(64) % 4 == 0).to(torch.int8))
    tracker = make_tracker("mlflow", tmp_path / "run")
    config = FitConfig(epochs=3, device="cpu")
    fit(Line(), data, [Task("height", squared)], None, config, folder=tmp_path / "run", callbacks=[tracker])
    client = MlflowClient(tracking_uri=(tmp_path / "run" / "mlruns").as_uri())
    name = (tmp_path / "run" / "mlflow_run.txt").read_text().strip()
    run = client.get_run(name)
    assert run.info.status == "FINISHED"
    records = read_records(tmp_path / "run" / "records.jsonl")
    assert set(run.data.metrics) == {tag(r) for r in records}
    for series in run.data.metrics:
        mine = [(r.step, r.value) for r in records if tag(r) == series]
        found = sorted((m.step, m.value) for m in client.get_metric_history(name, series))
        assert [step for step, _ in found] == [step for step, _ in mine]
        assert [value for _, value in found] == pytest.approx([value for _, value in mine])
