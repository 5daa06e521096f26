"""A run in MLflow's file store: ``mlflow ui --backend-store-uri RUN/mlruns``. Wants the extra ``mlflow``."""

from __future__ import annotations

import os
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from moola_train.checkpoint import replace_text
from moola_train.extras import extra_module
from moola_train.protocols import Callback, EpochState, Row
from moola_train.trackers import number, tag

CHUNK = 1000
"""Metrics that MLflow takes in one call."""
EXPERIMENT = "moola"


class MLflowTracker(Callback):
    """Logs every epoch's records in one batch; no call is made inside an epoch.

    A resumed run goes on in the MLflow run that ``mlflow_run.txt`` names. Later versions of MLflow 3 refuse a
    file store unless the environment has MLFLOW_ALLOW_FILE_STORE; where it says nothing of it, "true" is set.

    Args:
        folder: Of the run; the store goes to ``mlruns/`` in it.

    Raises:
        ValueError: The extra is not installed.
    """

    def __init__(self, folder: Path) -> None:
        self._tracking = extra_module("mlflow.tracking", extra="mlflow")
        self._entities = extra_module("mlflow.entities", extra="mlflow")
        self.folder = folder
        self._client: Any = None
        self._run = ""

    def on_epoch_end(self, state: EpochState) -> Iterable[Row]:
        """Logs the epoch."""
        if state.rank or not state.records:
            return ()
        if self._client is None:
            self._begin()
        now = int(time.time() * 1000)
        metrics = [self._entities.Metric(tag(r), number(r), now, r.step) for r in state.records]
        for first in range(0, len(metrics), CHUNK):
            self._client.log_batch(self._run, metrics=metrics[first : first + CHUNK])
        if state.epoch == state.epochs:
            self._client.set_terminated(self._run)
        return ()

    def _begin(self) -> None:
        os.environ.setdefault("MLFLOW_ALLOW_FILE_STORE", "true")
        self._client = self._tracking.MlflowClient(tracking_uri=(self.folder / "mlruns").resolve().as_uri())
        name = self.folder / "mlflow_run.txt"
        if name.is_file():
            self._run = name.read_text(encoding="utf-8").strip()
            return
        found = self._client.get_experiment_by_name(EXPERIMENT)
        number_of = self._client.create_experiment(EXPERIMENT) if found is None else found.experiment_id
        self._run = self._client.create_run(number_of, run_name=self.folder.name).info.run_id
        replace_text(name, self._run + "\n")
