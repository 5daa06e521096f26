"""Run by name where onnx, onnxscript and onnxruntime are installed: pytest tests/extras/check_onnx.py."""

import onnxruntime
import pytest
import torch

from moola_models.config import JadeConfig
from moola_models.jade import Jade
from moola_models.onnx_file import write_onnx
from moola_models.registry import BUILT_IN, resolve_head

pytestmark = pytest.mark.filterwarnings("ignore")  # of the exporter's own dependencies

F = 5


def make(kinds, **settings):
    heads = tuple(resolve_head({"kind": kind, "name": f"task{i}"}) for i, kind in enumerate(kinds))
    pooled = any(head.pooled for head in heads)
    config = JadeConfig(input_size=F, hidden=8, projection=6 if pooled else None, heads=heads, **settings)
    return Jade(config, seed=0).eval()


def agree(model, path, sizes):
    session = onnxruntime.InferenceSession(str(path))
    assert [output.name for output in session.get_outputs()] == list(model.tasks)
    for B, K in sizes:
        x = torch.randn(B, K, F, generator=torch.Generator().manual_seed(B + K))
        with torch.no_grad():
            wanted = model(x)
        for a, b in zip(wanted, session.run(None, {"x": x.numpy()}), strict=True):
            torch.testing.assert_close(a, torch.from_numpy(b), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("layers", [1, 2])
def test_the_four_tasks_agree_at_any_number_of_windows_and_bars(tmp_path, layers):
    model = make(["type", "pointers", "span", "countdown"], layers=layers)
    path = write_onnx(model, tmp_path / "jade.onnx")
    agree(model, path, [(3, 11), (1, 2), (1, 105), (32, 105), (7, 200)])


@pytest.mark.parametrize("kind", sorted(BUILT_IN))
def test_every_head_agrees_at_a_fixed_number_of_bars(tmp_path, kind):
    model = make([kind])
    path = write_onnx(model, tmp_path / "jade.onnx", bars=6)
    agree(model, path, [(3, 6), (1, 6), (20, 6)])


def test_one_direction_agrees(tmp_path):
    model = make(["span"], encoder={"kind": "lstm", "directions": "forward"})
    agree(model, write_onnx(model, tmp_path / "jade.onnx"), [(2, 9), (4, 30)])


def test_a_failed_write_leaves_nothing(tmp_path):
    with pytest.raises(FileNotFoundError, match="path: want an existing parent"):
        write_onnx(make(["span"]), tmp_path / "no" / "jade.onnx")
    with pytest.raises(ValueError, match="bars: want a number, got None"):
        write_onnx(make(["span_crf"]), tmp_path / "jade.onnx")
    assert list(tmp_path.iterdir()) == []
