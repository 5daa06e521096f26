# /// script
# requires-python = ">=3.11"
# dependencies = ["moola-models", "torch"]
# ///
"""moola-models alone: a network with an exact span layer in a plain torch loop.

What to learn: the model is an ordinary `nn.Module`; a structured head given its target returns the log-
likelihood of each window's spans, so the loss is one line. Without targets it gives logits per bar, and its
distribution gives the most probable spans. A checkpoint is safetensors and JSON; reading one runs no code.

Run it: `python models_in_a_torch_loop.py` where the packages above are installed; `uv run python
examples/models_in_a_torch_loop.py` in a clone.
"""

import tempfile
from pathlib import Path

import torch
from torch import Tensor

from moola_models import Jade, JadeConfig, load_model, save_model
from moola_models.candidates import best_marks

BARS, FEATURES = 60, 3


def windows(n: int, *, seed: int) -> tuple[Tensor, Tensor]:
    """Makes n windows of noise with a faint burst of 5 to 9 bars in each, and the marks of its bars."""
    draw = torch.Generator().manual_seed(seed)
    first = torch.randint(0, BARS - 9, (n, 1), generator=draw)
    size = torch.randint(5, 10, (n, 1), generator=draw)
    bar = torch.arange(BARS)
    marks = ((bar >= first) & (bar < first + size)).float()
    return torch.randn(n, BARS, FEATURES, generator=draw) + marks[:, :, None], marks


def bar_f1(found: Tensor, marks: Tensor) -> float:
    """F1 of bars, pooled."""
    return float(2 * (found * marks).sum() / (found.sum() + marks.sum()))


torch.manual_seed(0)
config = JadeConfig(
    input_size=FEATURES, hidden=24, projection=None, heads=("span_segment",), dense_dropout=0.0
)
model = Jade(config, seed=0)  # compact() and core() are the sizes that ship
optimiser = torch.optim.AdamW(model.parameters(), lr=5e-3)
x, marks = windows(192, seed=1)
for epoch in range(6):
    total = 0.0
    for rows in torch.randperm(len(x)).split(32):
        outputs = model(x[rows], targets={"span": marks[rows]})
        loss = -outputs.span.mean()  # the mean log-likelihood of the windows' spans
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        total += float(loss.detach()) * len(rows)
    print(f"epoch {epoch + 1}: {total / len(x):.2f} nats a window")

with tempfile.TemporaryDirectory() as folder:
    save_model(model, Path(folder) / "burst")
    model = load_model(Path(folder) / "burst").eval()

x, marks = windows(200, seed=2)
with torch.no_grad():
    z = model.encode(x)
    found = best_marks(model.head("span").distribution(model.states(z)))
every = torch.ones_like(marks)
print(
    f"bar F1 on 200 new windows: {bar_f1(found, marks):.3f}; of marking every bar: {bar_f1(every, marks):.3f}"
)
