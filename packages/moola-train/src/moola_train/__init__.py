"""A training loop for any model, tasks and balancer, with exact records and an exact resume.

>>> import torch
>>> from moola_train import Examples, FitConfig, Task, fit
>>> class Line(torch.nn.Module):
...     def __init__(self):
...         super().__init__()
...         self.slope = torch.nn.Linear(1, 1)
...
...     def forward(self, inputs):
...         return {"height": self.slope(inputs)[:, 0]}
>>> def squared(output, target, mask, weight):
...     each = mask * weight
...     return (each * (output - target) ** 2).sum(), each.sum()
>>> x = torch.linspace(-1, 1, 64)[:, None]
>>> data = Examples(x, targets={"height": 3 * x[:, 0]})
>>> config = FitConfig(epochs=100, learning_rate=0.1, weight_decay=0, device="cpu")
>>> model = Line()
>>> result = fit(model, data, [Task("height", squared)], None, config)
>>> abs(model.slope.weight.item() - 3) < 0.05
True
"""

from importlib.metadata import version

from moola_train.batches import Batch, Examples, WindowedBars
from moola_train.checkpoint import load_model
from moola_train.config import FitConfig
from moola_train.fit import FitResult, fit
from moola_train.gradient_norms import GradientNorms
from moola_train.protocols import Callback, Row
from moola_train.records import read_records
from moola_train.run_folder import RunFolder, best_checkpoint
from moola_train.schema import Record
from moola_train.task import Task

__version__ = version("moola-train")

__all__ = [
    "Batch",
    "Callback",
    "Examples",
    "FitConfig",
    "FitResult",
    "GradientNorms",
    "Record",
    "Row",
    "RunFolder",
    "Task",
    "WindowedBars",
    "best_checkpoint",
    "fit",
    "load_model",
    "read_records",
]
