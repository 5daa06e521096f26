"""Run by name where wandb is installed: pytest tests/extras/check_wandb.py.

requires: wandb
"""

import json

import pytest
import torch
from wandb.proto.wandb_internal_pb2 import Record

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


def test_the_offline_folder_holds_the_last_values(tmp_path):
    x = torch.linspace(-1, 1, 64)[:, None]
    data = Examples(x, targets={"height": x[:, 0]}, split=(torch.arange(64) % 4 == 0).to(torch.int8))
    tracker = make_tracker("wandb", tmp_path / "run")
    config = FitConfig(epochs=3, device="cpu")
    fit(Line(), data, [Task("height", squared)], None, config, folder=tmp_path / "run", callbacks=[tracker])
    [folder] = (tmp_path / "run" / "wandb").glob("offline-run-*")
    [log] = folder.glob("run-*.wandb")
    assert log.stat().st_size > 0
    history = rows(log)
    records = read_records(tmp_path / "run" / "records.jsonl")
    for name in {tag(r) for r in records}:
        mine = [r.value for r in records if tag(r) == name]
        assert [row[name] for row in history if name in row] == pytest.approx(mine)


def rows(log):
    """Reads the history of an offline run: protocol buffers in blocks, in the manner of LevelDB's log."""
    content, place, whole, found = log.read_bytes(), 7, b"", []
    while place + 7 <= len(content):
        left = 32768 - place % 32768
        if left < 7:
            place += left
            continue
        length, kind = int.from_bytes(content[place + 4 : place + 6], "little"), content[place + 6]
        whole += content[place + 7 : place + 7 + length]
        place += 7 + length
        if kind in (1, 4):  # whole, or the last piece
            record = Record.FromString(whole)
            whole = b""
            if record.WhichOneof("record_type") == "history":
                items = record.history.item
                found.append({i.key or "/".join(i.nested_key): json.loads(i.value_json) for i in items})
    return found
