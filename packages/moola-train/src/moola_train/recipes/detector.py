"""A finished run in use: marks files of any length, bar by bar if need be, or a stream of bars."""

from __future__ import annotations

import datetime
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple, Self

import numpy as np
import numpy.typing as npt
import torch

import moola_models
from moola_data.features import FeatureSet, feature_set
from moola_data.schema import Bars
from moola_models.type_head import TypeHeadConfig
from moola_train.recipes.answers import Answers, answers
from moola_train.recipes.chunk_store import ChunkStore, prediction_fingerprint
from moola_train.recipes.chunks_in_order import in_order
from moola_train.recipes.covering import Merged, Merging, Mode, covering_starts, kept
from moola_train.recipes.decision import NAME, Decision, Marking, read_decision, weights_digest
from moola_train.recipes.drift import DriftReport, TrainedFeatures, compare, read_trained
from moola_train.recipes.marking import Marks, spans_of
from moola_train.recipes.stream import Borders, Stream
from moola_train.recipes.unlabelled import UnlabelledWindows
from moola_train.recipes.warm_features import BLOCK, warm_features

BATCH = 192
"""Windows that go through the network together: more of them no longer fit a core's cache."""
CHUNK = 384
"""Windows at a time; a chunk's answers are kept on the disk."""
DRIFT_BARS = 100_000
"""About so many bars, evenly spread, are compared with those of training."""
Told = Callable[[int, int], None]
"""Told how many windows are done, and of how many."""


class Detector(NamedTuple):
    """A finished run, ready to mark bars.

    Whatever decided the spans of single windows in the run's report, here the in-span probabilities (of
    structured heads their posterior marginals) are averaged over the windows that hold a bar, and runs of
    bars above a threshold are spans: that threshold was chosen on the inner part for averages like these,
    since best sets of spans of overlapping windows cannot be averaged.

    Attributes:
        model: The network, in evaluation mode.
        decision: How to read it.
        features: What it reads.
        trained: Its features in training, for drift; None of an older run.
        device: Where it runs.
        threads: Chunks of a file that are done at a time.
    """

    model: moola_models.Jade
    decision: Decision
    features: FeatureSet
    trained: TrainedFeatures | None = None
    device: torch.device = torch.device("cpu")
    threads: int = 1

    @classmethod
    def load(cls, run: Path, *, device: str | torch.device = "cpu", threads: int | None = None) -> Self:
        """Loads a run.

        Args:
            run: Folder of a finished run.
            device: Where to run the network.
            threads: Chunks of a file that are done at a time, each by one thread of torch; None takes torch's
                number of threads, and one on another device than the CPU.

        Raises:
            FileNotFoundError: The run is not finished.
            ValueError: Its files are damaged or do not belong together, or there are no threads.
        """
        if threads is not None and threads < 1:
            raise ValueError(f"threads: want 1 or more, got {threads}")
        decision = read_decision(run)
        model = moola_models.load_model(run / "model")
        _belong_together(decision, model, run)
        features = feature_set(decision.feature_set)
        if features.names != decision.feature_names:
            strange = [name for name in decision.feature_names if name not in features.names] or [
                "their order"
            ]
            raise ValueError(
                f"run: want the {len(decision.feature_names)} features it was trained on, got "
                f"{len(features.names)} of {decision.feature_set!r} here: {', '.join(strange[:3])} differ"
            )
        place = torch.device(device)
        if threads is None:
            threads = torch.get_num_threads() if place.type == "cpu" else 1
        return cls(model.to(place).eval(), decision, features, read_trained(run), place, threads)

    def mark(self, bars: Bars, *, work: Path | None = None, told: Told | None = None) -> Marks:
        """Marks bars by all windows that hold them, with those that come later.

        Windows overlap by half; the last of every segment ends on its last bar. Features are computed with
        the bars before. No window crosses a change of segment: a session break, a roll, a symbol.

        Args:
            bars: Any number; at least one segment as long as a window.
            work: Folder for finished chunks; the same call again goes on from there. None keeps none.
            told: Of progress.

        Raises:
            ValueError: No segment is as long as a window, or `work` is of another prediction.
        """
        return self._marks(bars, "both", work, told)

    def mark_causal(self, bars: Bars, *, work: Path | None = None, told: Told | None = None) -> Marks:
        """Marks every bar by the one window that ends with it, so by no bar that had not come.

        The first bars of a segment, one fewer than a window has, stay unmarked. What it loses against `mark`
        stands in ``decision.causal`` beside ``decision.both``. Arguments as of `mark`.

        Raises:
            ValueError: As `mark`; or the run was made before runs learnt how to mark causally.
        """
        return self._marks(bars, "causal", work, told)

    def stream(self, *, gap: datetime.timedelta | None = None, borders: Borders = "gap") -> Stream:
        """Begins a stream: bars are appended, and give the spans that `mark` gives of all of them.

        Args:
            gap: Between two calls a longer time from one bar of a symbol to its next starts a new segment.
            borders: "gap": the above tells where segments begin between two calls; None never. "segment": a
                bar continues its symbol's last segment if the segment's number is the same, for pieces cut
                from one `Bars`. Within the bars of a call their own segments count.
        """
        return Stream(self, gap=gap, borders=borders)

    def marking(self, mode: Mode) -> Marking:
        """How bars are marked.

        Raises:
            ValueError: A run of version 1 knows nothing of causal marks.
        """
        return self.decision.marking(mode)

    def answer(self, features: npt.NDArray[np.float32], starts: npt.NDArray[np.int64]) -> Answers:
        """Asks the network about windows of features."""
        decision = self.decision
        return answers(
            self.model,
            UnlabelledWindows(
                features, starts, length=decision.length, position=decision.position, device=self.device
            ),
            np.arange(len(starts)),
            length=decision.length,
            pointer_encoding=decision.pointer_encoding,
            countdown_form=decision.countdown_form,
            batch_size=BATCH,
        )

    def spans(self, merged: Merged, bars: Bars) -> Marks:
        """Decides."""
        marking = self.marking(merged.mode)
        return spans_of(
            merged,
            bars,
            threshold=marking.threshold,
            confidence=marking.confidence,
            type_names=self.decision.type_names,
        )

    def _marks(self, bars: Bars, mode: Mode, work: Path | None, told: Told | None) -> Marks:
        self.marking(mode)
        length = self.decision.length
        starts = covering_starts(bars.segment, length=length, mode=mode)
        if not len(starts):
            longest = int(np.unique(bars.segment, return_counts=True)[1].max()) if len(bars) else 0
            raise ValueError(f"bars: want an uninterrupted stretch of {length} bars or more, got {longest}")
        store = None
        if work is not None:
            store = ChunkStore(work, prediction_fingerprint(bars, self.decision, mode, chunk=CHUNK))
        merging = Merging(len(bars), length=length, mode=mode)
        chunks = [starts[first : first + CHUNK] for first in range(0, len(starts), CHUNK)]

        def ask(number: int) -> Answers:
            found = None if store is None else store.read(number)
            if found is None:
                some = chunks[number]
                low = int(some[0])
                values = warm_features(bars, self.features, low, int(some[-1]) + length)
                found = kept(self.answer(values, some - low), mode)
                if store is not None:
                    store.write(number, found)
            return found

        done = 0
        for some, found in zip(chunks, in_order(ask, len(chunks), threads=self.threads), strict=True):
            merging.add(found, some)
            done += len(some)
            if told is not None:
                told(done, len(starts))
        return self.spans(merging.merged(), bars)._replace(drift=self._drift(bars))

    def _drift(self, bars: Bars) -> DriftReport | None:
        if self.trained is None:
            return None
        every = max(len(bars) // DRIFT_BARS, 1)
        sample = [values[::every] for values in self._pieces(bars, max(BLOCK // every, 1) * every)]
        return compare(np.concatenate(sample), self.trained)

    def _pieces(self, bars: Bars, size: int) -> Iterator[npt.NDArray[np.float32]]:
        for first in range(0, len(bars), size):
            yield warm_features(bars, self.features, first, min(first + size, len(bars)))


def _belong_together(decision: Decision, model: moola_models.Jade, run: Path) -> None:
    """A decision for another model would mark nonsense without a word."""
    inputs = len(decision.feature_names) + int(decision.position)
    classes = [head.classes for head in model.config.heads if isinstance(head, TypeHeadConfig)]
    for name, wanted, got in (
        ("weights", decision.weights, weights_digest(run / "model")),
        ("length", decision.length, model.config.window),
        ("features", inputs, model.config.input_size),
        ("type_names", [len(decision.type_names)] if classes else [], classes),
    ):
        if wanted != got:
            raise ValueError(f"run: want the model that {NAME} is for, got other {name}: {got}, not {wanted}")
