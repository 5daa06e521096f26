"""A finished run read again from its folder: its data, its network, and what it decides on its windows."""

from __future__ import annotations

from pathlib import Path
from typing import Literal, NamedTuple

import numpy as np
import numpy.typing as npt
from pydantic import ValidationError

import moola_models
from moola_data.schema import WindowSet
from moola_data.window_subset import part
from moola_eval.forecast import Forecast
from moola_eval.schema import EvalInput, Prediction, Report
from moola_eval.spans import Spans
from moola_train.recipes.answers import answers_of
from moola_train.recipes.decision import read_decision, weights_digest
from moola_train.recipes.expansion import expansion_windows
from moola_train.recipes.reporting import judged_windows
from moola_train.recipes.run_config import RunConfig
from moola_train.recipes.run_source import RunInputs, stored_run
from moola_train.recipes.scoring import predictions
from moola_train.recipes.unlabelled import UnlabelledWindows

REPORT = "report.json"
JudgedPart = Literal["inner", "test"]


class FinishedRun(NamedTuple):
    """What the folder of a finished run holds, with its data read and its windows cut again."""

    folder: Path
    inputs: RunInputs
    config: RunConfig
    windows: WindowSet
    model: moola_models.Jade
    threshold: float
    report: Report

    def decided(self, name: JudgedPart) -> EvalInput:
        """What the network decides on the windows of a part, beside their truth."""
        some = part(self.windows, name)
        data = UnlabelledWindows(
            some.features, some.starts, length=some.length, position=self.config.data.position
        )
        index = np.arange(len(some))
        return judged_windows(self.model, data, index, some, self.config, threshold=self.threshold)

    def spans(self, values: npt.NDArray[np.float32]) -> Spans:
        """What the network decides on features (n, K, F) of any windows."""
        n, length, size = values.shape
        starts = np.arange(n) * length
        flat = np.ascontiguousarray(values.reshape(n * length, size))
        data = UnlabelledWindows(flat, starts, length=length, position=self.config.data.position)
        found = answers_of(self.model, data, np.arange(n), self.config.data, self.config.decoding)
        marked = predictions(found, starts=starts, group=np.arange(n), threshold=self.threshold)
        return Forecast.of(Prediction.model_validate(marked)).spans


def finished_run(folder: Path) -> FinishedRun:
    """Reads a run; nothing is trained.

    Args:
        folder: Of a finished run.

    Raises:
        FileNotFoundError: It is no run, the run is not finished, or its bars or spans are gone.
        ValueError: A file is damaged, its weights are not those it was decided for, or the bars or spans
            have changed.
    """
    inputs, config = stored_run(folder)
    decision = read_decision(folder)
    if weights_digest(folder / "model") != decision.weights:
        raise ValueError(f"run: want the weights that {folder} was decided for, got others")
    windows, _ = expansion_windows(inputs.bars, inputs.spans, config)
    model = moola_models.load_model(folder / "model").eval()
    return FinishedRun(
        folder, inputs, config, windows, model, decision.threshold, read_report(folder / REPORT)
    )


def read_report(path: Path) -> Report:
    """Reads a ``report.json``.

    Raises:
        FileNotFoundError: There is none.
        ValueError: It is damaged.
    """
    if not path.is_file():
        raise FileNotFoundError(f"run: want the folder of a run with {path.name}, got {path.parent}")
    try:
        return Report.model_validate_json(path.read_bytes())
    except ValidationError as error:
        raise ValueError(f"run: want a readable {path}, got {error.errors()[0]['msg']}") from error
