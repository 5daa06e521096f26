# /// script
# requires-python = ">=3.11"
# dependencies = ["moola-data", "moola-models", "moola-losses", "moola-train", "moola-eval", "numpy", "torch"]
# ///
"""All five packages: a model and tasks of your own, from bars to an honest report.

What to learn: what crosses a border is a small typed object (`Bars`, `Spans`, `WindowSet`, `Task`,
`PredictionSet`, `Truth`), taken over by its attributes, without a copy. Any part can be your own: here the
network is 15 lines of plain torch, and beside "span" it learns an invented task, "size", the logarithm of a
bar's range over the usual one.

Run it: `python whole_pipeline.py` where the packages above are installed; `uv run python
examples/whole_pipeline.py` in a clone.
"""

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from moola_data import WindowSet, build_window_set, compute_features, load_sample, split_windows
from moola_data.expansion_rule import label_expansions
from moola_data.window_subset import part
from moola_data.windows import window_view
from moola_eval import EvalInput, Truth, choose_threshold, decode, evaluate
from moola_eval.schema import Prediction
from moola_losses import BarBCE, Huber, resolve_balancer
from moola_models.schema import PredictedSpans, PredictionSet
from moola_train import FitConfig, Task, WindowedBars, fit

LENGTH = 60


class Ears(nn.Module):
    """A network of one's own: two convolutions over the bars, and a number a bar for each of two tasks."""

    def __init__(self, features: int) -> None:
        super().__init__()
        self.encoder = nn.Sequential(
            nn.Conv1d(features, 24, 7, padding=3), nn.ReLU(), nn.Conv1d(24, 24, 7, padding=3), nn.ReLU()
        )
        self.heads = nn.ModuleDict({task: nn.Conv1d(24, 1, 1) for task in ("span", "size")})

    def forward(self, inputs: Tensor) -> dict[str, Tensor]:
        """From (B, K, F) to (B, K) for each task."""
        z = self.encoder(inputs.transpose(1, 2))
        return {task: head(z)[:, 0] for task, head in self.heads.items()}


def with_size(windows: WindowSet, ratio: npt.NDArray[np.float64]) -> WindowSet:
    """Keeps the task "span" and adds one of our own, whose target is known for every bar."""
    wide = window_view(ratio[:, None].astype(np.float32), length=windows.length)[windows.starts, :, 0]
    targets = {"span": windows.targets["span"], "size": np.ascontiguousarray(wide)}
    masks = {"span": windows.masks["span"], "size": np.ones(len(windows), bool)}
    return windows.model_copy(update={"targets": targets, "masks": masks})


def predict(model: nn.Module, data: WindowedBars, rows: npt.NDArray[np.int64]) -> npt.NDArray[np.float32]:
    """In-span probabilities, (n, K)."""
    with torch.no_grad():
        logits: Tensor = model.eval()(data.batch(torch.from_numpy(rows)).inputs)["span"]
    return logits.sigmoid().numpy()


bars = load_sample()
spans = label_expansions(bars)
features = compute_features(bars, "jade")
split = split_windows(bars, spans, length=LENGTH, stride=10, warmup=features.warmup)  # in the order of time
windows = build_window_set(bars, features, spans, length=LENGTH, split=split)
share = (bars.high - bars.low) / bars.close
windows = with_size(windows, np.log(np.maximum(share, 1e-4) / np.median(share)))

data = WindowedBars(windows)
tasks = [Task("span", BarBCE(pos_weight=4.0)), Task("size", Huber(delta=1.0))]
balancer = resolve_balancer("uncertainty").build([task.name for task in tasks])
torch.manual_seed(0)
model = Ears(windows.features.shape[1])
result = fit(model, data, tasks, balancer, FitConfig(epochs=8, learning_rate=3e-3, device="cpu"))
print(f"{len(part(windows, 'train'))} training windows; best epoch {result.best_epoch}")

inner, test = part(windows, "inner"), part(windows, "test")
chosen = choose_threshold(
    predict(model, data, np.flatnonzero(windows.split == 1)), Truth.model_validate(inner)
)
probability = predict(model, data, np.flatnonzero(windows.split == 2))
found = decode(probability, threshold=chosen.threshold)
score = found.score
assert score is not None  # the mean probability of a span's bars; spans read from a file may have none
told = PredictionSet(
    probability=probability,
    spans=PredictedSpans(
        window=found.sequence,
        start=found.start,
        end=found.end,
        score=score.astype(np.float32),
        type=np.full(len(found), -1),
    ),
    starts=test.starts,
    group=test.group,
)
report = evaluate(
    EvalInput(prediction=Prediction.model_validate(told), truth=Truth.model_validate(test)),
    seed=0,
    train_truth=Truth.model_validate(part(windows, "train")),
    threshold=chosen,
    resamples=300,
)
for metric in report.metrics:
    if metric.name in ("span_f1", "bar_f1", "bar_auroc") and metric.interval and metric.strongest_null:
        null = metric.nulls[metric.strongest_null]
        interval = f"[{metric.interval.low:.3f}, {metric.interval.high:.3f}]"
        print(f"{metric.name:>9} {metric.value:.3f} {interval}, chance {null:.3f} ({metric.strongest_null})")
