"""A network as an ONNX file. Needs the extra ``moola-models[onnx]``.

>>> import tempfile
>>> from moola_models import Jade, JadeConfig
>>> model = Jade(JadeConfig(input_size=5, hidden=4, projection=None, heads=("span",)))
>>> with tempfile.TemporaryDirectory() as folder:
...     write_onnx(model, Path(folder) / "span.onnx").name
'span.onnx'
"""

from __future__ import annotations

import os
import uuid
from pathlib import Path
from typing import Any

import onnx
import torch
from onnxscript import opset18 as op

from moola_models.export import export_program
from moola_models.jade import Jade

OPSET = 18


def write_onnx(model: Jade, path: str | os.PathLike[str], *, bars: int | None = None) -> Path:
    """Writes a network as an ONNX file, its weights inside.

    The graph has the input "x", (batch, bars, features), and an output for every task by its name.

    Args:
        model: Written as it is in evaluation mode, in float32.
        path: Written whole or not at all; an existing file is replaced.
        bars: As in `export.export_program`.

    Returns:
        The path.

    Raises:
        ValueError: If `bars` is below 2, or is None and a head needs it.
        FileNotFoundError: If the parent folder does not exist.
    """
    target = Path(path)
    if not target.parent.is_dir():
        raise FileNotFoundError(f"path: want an existing parent, got {target.parent}")
    program = export_program(model, bars=bars)
    written = torch.onnx.export(
        program,
        input_names=["x"],
        output_names=list(model.tasks),
        opset_version=OPSET,
        dynamo=True,
        verbose=False,
        custom_translation_table={torch.ops.moola_models.lstm_layer.default: _lstm_layer},
    )
    assert written is not None
    content = written.model_proto.SerializeToString()
    onnx.checker.check_model(content, full_check=True)
    draft = target.with_name(f".{target.name}.new-{uuid.uuid4().hex}")
    try:
        with draft.open("xb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        draft.replace(target)
    finally:
        draft.unlink(missing_ok=True)
    return target


def _lstm_layer(x: Any, w: Any, r: Any, b: Any) -> Any:
    """What `export.lstm_layer` is in ONNX."""
    hidden = r.shape[2]
    direction = "bidirectional" if r.shape[0] == 2 else "forward"
    y, _, _ = op.LSTM(op.Transpose(x, perm=[1, 0, 2]), w, r, b, hidden_size=hidden, direction=direction)
    # (K, D, B, H) to (B, K, D * H)
    shape: Any = op.Constant(value_ints=[0, 0, -1])
    return op.Reshape(op.Transpose(y, perm=[2, 0, 1, 3]), shape)
