"""The command ``moola predict``."""

from __future__ import annotations

import datetime
import sys
from pathlib import Path
from types import TracebackType
from typing import Literal, Self

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeRemainingColumn

from moola_data.bars import read_bars
from moola_train.device import choose_device
from moola_train.recipes.bottom_line import bottom_line, verdict
from moola_train.recipes.chunk_store import discard
from moola_train.recipes.covering import Mode
from moola_train.recipes.decision import Marking
from moola_train.recipes.detector import Detector
from moola_train.recipes.finished_run import REPORT, read_report
from moola_train.recipes.flags import Json
from moola_train.recipes.marks_table import write_marks, write_tasks
from moola_train.recipes.provenance import write_json
from moola_train.recipes.spared_files import files_of_run, spare
from moola_train.recipes.table_file import ENDINGS
from moola_train.recipes.telling import answer, tell


def predict(
    bars: Path,
    /,
    *,
    run: Path,
    out: Path,
    details: Path | None = None,
    causal: bool = False,
    gap: float | None = None,
    segment: tuple[str, ...] = (),
    label_studio: Path | None = None,
    work: Path | None = None,
    device: Literal["auto", "cpu", "cuda", "mps"] = "cpu",
    json: Json = False,
) -> int:
    """Mark the expansions of a bar file with a finished run.

    Features that have drifted since training are listed on the error stream; all of them in OUT.drift.json.
    A run that did not beat chance at its test says so there. Interrupted, the same command goes on where it
    was.

    Examples: moola predict new.csv --run runs/0001 --out marks.csv;
    moola predict new.csv --run runs/0001 --out marks.csv --details all.parquet --causal --gap 60

    Args:
        bars: CSV or Parquet, as for train.
        run: Folder of the run.
        out: Spans file to write, CSV or Parquet: start, end, type, symbol, and as score how often such a span
            is right; both ends included. BARS and the files that the run was made of are never written over.
        details: Another one, with score, confidence, and the pointers' centre and length in bars.
        causal: Judge every bar by no later one, as a user in the market must; says what that loses.
        gap: A longer time than so many minutes from one bar to the next is a barrier.
        segment: Columns, such as session or contract, whose changes are barriers.
        label_studio: Folder to write Label Studio tasks to, with the spans as pre-annotations.
        work: Folder for what is done so far. Default: .OUT.work; it goes when all is written.
        device: Where to run the network; auto takes a GPU if there is one.
        json: Tell the result as JSON.
    """
    for name, path in (("out", out), ("details", details)):
        if path is not None and path.suffix not in ENDINGS:
            raise ValueError(f"{name}: want a .csv or .parquet file, got {path.name!r}")
        if path is not None and (path.is_dir() or not path.parent.is_dir()):
            raise ValueError(f"{name}: want a file in an existing folder, got {path}")
    spare("out", out, others=[bars, *files_of_run(run)])
    if details is not None:
        spare("details", details, others=[bars, out, *files_of_run(run)])
    if gap is not None and not 0 < gap < 1e9:
        raise ValueError(f"gap: want minutes above 0, got {gap}")
    detector = Detector.load(run, device=choose_device(device))
    checked = read_bars(
        bars,
        gap=None if gap is None else datetime.timedelta(minutes=gap),
        segment_column=list(segment) or None,
    )
    mode: Mode = "causal" if causal else "both"
    marking = detector.marking(mode)
    place = out.with_name(f".{out.name}.work") if work is None else work
    verb = detector.mark_causal if causal else detector.mark
    try:
        with WindowBar() as told:
            marks = verb(checked, work=place, told=told)
    except KeyboardInterrupt:
        raise KeyboardInterrupt(f"what is done is kept in {place}; the same command goes on") from None
    write_marks(out, marks, checked)
    said = [f"{len(marks.spans)} spans in {len(checked)} bars: {out}"]
    result: dict[str, object] = {
        "out": str(out),
        "spans": len(marks.spans),
        "bars": len(checked),
        "unmarked": marks.unmarked,
        "drift": None if marks.drift is None else marks.drift.model_dump(mode="json"),
    }
    if details is not None:
        write_marks(details, marks, checked, columns="all")
    if label_studio is not None:
        tasks = write_tasks(label_studio, marks, checked)
        said.insert(0, f"{tasks} tasks for Label Studio: {label_studio}")
        result["tasks"] = tasks
    if marks.unmarked:
        why = "without a window's bars before them" if causal else "in stretches shorter than a window"
        tell(f"{marks.unmarked} of {len(checked)} bars, {why}, are not marked")
    if causal:
        tell(f"causal, {worth(marking)}; with later bars: {worth(detector.marking('both'))}")
    if marks.drift is None:
        tell(f"drift: not checked, {run} was made before runs remembered their training features")
    else:
        write_json(out.with_name(out.name + ".drift.json"), marks.drift.model_dump(mode="json"))
        tell(str(marks.drift))
    doubt(run)
    discard(place)
    answer("\n".join(said), result, json=json)
    return 0


def doubt(run: Path) -> None:
    """Says on the error stream what the run's report came to, unless it was better than chance."""
    if not (run / REPORT).is_file():  # a network and its decision are all that marking needs
        return
    report = read_report(run / REPORT)
    if verdict(report.metric("span_f1")) != "better than chance":
        tell(f"doubt these marks: {bottom_line(report)}")


def worth(marking: Marking) -> str:
    """What marks were worth on the run's inner part, in words."""
    numbers = (
        ("span F1", marking.inner_value, ".2f"),
        ("found", marking.detected, ".0%"),
        ("delay in bars", marking.delay, ".1f"),
        ("false alarms per 1,000 bars", marking.false_alarms, ".2f"),
    )
    said = [
        f"{name} {'undefined' if value is None else format(value, form)}" for name, value, form in numbers
    ]
    return f"{', '.join(said)} on {marking.windows} inner windows"


class WindowBar:
    """Draws the windows done; use it as a context manager. Piped output stays free of it."""

    def __init__(self) -> None:
        self._progress = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeRemainingColumn(),
            console=Console(stderr=True),
            disable=not sys.stderr.isatty(),
            transient=True,
        )
        self._task: TaskID | None = None

    def __call__(self, done: int, windows: int) -> None:
        """Moves the bar."""
        if self._task is None:
            self._task = self._progress.add_task("windows", total=windows)
        self._progress.update(self._task, completed=done)

    def __enter__(self) -> Self:
        self._progress.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._progress.stop()
