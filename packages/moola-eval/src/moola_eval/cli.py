"""The command ``python -m moola_eval``: truth and predictions in, a report out, a gate for CI.

Exit codes: 0 good, 1 a requirement missed, 2 bad input, 130 interrupted.
"""

from __future__ import annotations

import argparse
import re
import sys
from collections.abc import Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import NoReturn, cast

import numpy as np
from pydantic import ValidationError

from moola_eval._arguments import IntArray
from moola_eval.decoding import Decoder, decode
from moola_eval.evaluation import evaluate
from moola_eval.gates import Gate, Operator, judge
from moola_eval.html import report_html
from moola_eval.input_files import SpanTable, inside, read_arrays, read_spans, read_truth
from moola_eval.markdown import number
from moola_eval.report_file import write_text
from moola_eval.schema import Criterion, EvalInput, PredictedSpans, Report, Threshold, Truth
from moola_eval.spans import Spans
from moola_eval.threshold import choose_threshold

FORMATS = (".json", ".md", ".html")
OF_PROBABILITY = re.compile(r"separation|bar_(auroc|ap|brier|ece)|origin_(span_f1|iou|separation)")
"""Metrics that say nothing where only spans were given."""
_REQUIREMENT = re.compile(r"\s*([A-Za-z_]\w*)\s*(>=|<=|>|<)\s*(\S+)\s*")


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the command.

    Args:
        arguments: Words after the program's name; None takes those of the process.

    Returns:
        The exit code.
    """
    parser = _parser()
    options = parser.parse_args(arguments)
    try:
        gates = [requirement(words) for words in options.require]
        _check_outputs(options.report)
        report, data = _evaluated(options)
        criteria = _required(gates, report)
        for path in options.report:
            write_text(path, _rendered(path, report, data, options.title))
    except KeyboardInterrupt:
        return 130
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        return _bad(f"{where}: {first['msg']}" if where else first["msg"])
    except (ValueError, TypeError, OSError) as error:
        return _bad(str(error))
    if not options.report:
        print(report.to_markdown())
    for line in criteria:
        verdict = "met" if line.passed else "missed"
        print(f"{verdict}: {line.metric} = {number(line.value)}, want {line.operator} {line.bound:g}")
    return 1 if any(not line.passed for line in criteria) else 0


def _bad(words: str) -> int:
    print(f"moola_eval: {' '.join(words.split())}", file=sys.stderr)
    return 2


def requirement(words: str) -> Gate:
    """Reads a requirement.

    >>> requirement("span_f1>=0.25")
    Gate(name='span_f1>=0.25', metric='span_f1', operator='>=', bound=0.25)

    Raises:
        ValueError: It is not METRIC, one of >= > <= <, and a number.
    """
    found = _REQUIREMENT.fullmatch(words)
    bound = None
    if found is not None:
        try:
            bound = float(found[3])
        except ValueError:
            bound = None
    if found is None or bound is None or not np.isfinite(bound):
        raise ValueError(f"--require: want METRIC>=NUMBER (or >, <=, <), got {words!r}")
    return Gate(words, found[1], cast(Operator, found[2]), bound)


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        """Says it in one line, like every other bad input."""
        self.exit(2, f"moola_eval: {message}\n")


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(
        prog="python -m moola_eval",
        description="Evaluate predicted spans against true ones. Spans are CSV or JSON with window, start, "
        "end (both inclusive), optional type and score; outputs are an NPZ with probability (n, K).",
        epilog="Exit codes: 0 good, 1 a requirement missed, 2 bad input.",
    )
    given = parser.add_argument_group("files")
    given.add_argument("--truth", type=Path, required=True, help="true spans, .csv or .json")
    given.add_argument("--spans", type=Path, help="predicted spans, .csv or .json")
    given.add_argument("--outputs", type=Path, help="outputs of the model, .npz with probability")
    given.add_argument("--train-truth", type=Path, help="labels trained on, for the fitted chance levels")
    given.add_argument("--inner-truth", type=Path, help="labels to choose the threshold on")
    given.add_argument("--inner-outputs", type=Path, help="outputs for them, .npz")
    shape = parser.add_argument_group("shape, where no file tells")
    shape.add_argument("--windows", type=int, help="number of windows")
    shape.add_argument("--length", type=int, help="bars a window")
    decision = parser.add_argument_group("decision, where no spans are given")
    decision.add_argument("--threshold", type=float, help="probability that is positive (inclusive)")
    decision.add_argument("--low", type=float, help="hysteresis: a run goes on down to this")
    decision.add_argument("--merge-gap", type=int, default=0, help="bars of a gap that is closed")
    decision.add_argument("--min-length", type=int, default=1, help="bars of the shortest span")
    out = parser.add_argument_group("report")
    out.add_argument(
        "--report", type=Path, action="append", default=[], help=".json, .md or .html; repeatable"
    )
    out.add_argument("--require", action="append", default=[], metavar="METRIC>=X", help="gate; repeatable")
    out.add_argument(
        "--metric", action="append", default=[], help="report what an installed package offers; repeatable"
    )
    out.add_argument("--title", default="Evaluation", help="heading of the HTML")
    out.add_argument("--seed", type=int, default=0, help="of resampling and chance levels")
    out.add_argument("--resamples", type=int, default=2000, help="of an interval; 0 leaves intervals out")
    out.add_argument("--level", type=float, default=0.95, help="coverage of intervals")
    return parser


def _evaluated(options: argparse.Namespace) -> tuple[Report, EvalInput]:
    if options.spans is None and options.outputs is None:
        raise ValueError("--spans or --outputs: want predictions, got neither")
    arrays = {} if options.outputs is None else read_arrays(options.outputs)
    shape = _shape(options, arrays)
    starts, group = (cast("IntArray | None", arrays.get(name)) for name in ("starts", "group"))
    truth = read_truth(options.truth, shape=shape, starts=starts, group=group)
    n, length = len(truth.starts), truth.length
    threshold = _chosen(options, length)
    table: SpanTable | None = None
    if options.spans is not None:
        table, _ = read_spans(options.spans)
        inside(options.spans, table, n, length)
        spans = _predicted(table)
    else:
        spans = _decoded(options, arrays, threshold)
    probability = arrays.get("probability")
    if probability is None:
        flat = Spans.of(spans.window, spans.start, spans.end, lengths=np.full(n, length))
        probability = flat.mask().reshape(n, length).astype(np.float32)
    model = SimpleNamespace(
        probability=probability,
        spans=spans,
        pointers=arrays.get("pointers"),
        countdown=arrays.get("countdown"),
        type_probability=arrays.get("type_probability"),
        starts=arrays.get("starts", truth.starts),
        group=arrays.get("group", truth.group),
    )
    data = EvalInput.model_validate({"prediction": model, "truth": truth})
    train = None
    if options.train_truth is not None:
        train = read_truth(options.train_truth, shape=None)
    report = evaluate(
        data,
        seed=options.seed,
        train_truth=train,
        threshold=threshold,
        metrics=options.metric,
        resamples=options.resamples,
        level=options.level,
    )
    scored = table is None or table.score is not None
    return _only_known(report, "probability" in arrays, scored), data


def _shape(options: argparse.Namespace, arrays: dict[str, np.ndarray]) -> tuple[int, int] | None:
    given = (options.windows, options.length)
    if "probability" in arrays:
        found = arrays["probability"].shape
        if len(found) != 2:
            raise ValueError(f"{options.outputs.name}: probability: want shape (n, K), got {found}")
        for name, told, size in zip(("--windows", "--length"), given, found, strict=True):
            if told is not None and told != size:
                raise ValueError(f"{name}: want {size} as in {options.outputs.name}, got {told}")
        return found[0], found[1]
    if given == (None, None):
        return None
    if None in given or min(given) < 1:
        raise ValueError(f"--windows and --length: want both, 1 or more, got {given[0]} and {given[1]}")
    return cast("tuple[int, int]", given)


def _chosen(options: argparse.Namespace, length: int) -> Threshold | None:
    """The threshold from inner windows, if they are given."""
    inner = (options.inner_truth, options.inner_outputs)
    if inner == (None, None):
        return None
    if None in inner:
        raise ValueError("--inner-truth and --inner-outputs: want both, got one")
    if options.threshold is not None or options.spans is not None:
        raise ValueError("--inner-truth: want neither --threshold nor --spans beside it, got one")
    arrays = read_arrays(options.inner_outputs)
    probability = cast("np.ndarray", arrays["probability"])
    starts, group = (cast("IntArray | None", arrays.get(name)) for name in ("starts", "group"))
    truth: Truth = read_truth(
        options.inner_truth, shape=cast("tuple[int, int]", probability.shape), starts=starts, group=group
    )
    if truth.length != length:
        raise ValueError(f"{options.inner_truth.name}: want {length} bars a window, got {truth.length}")
    return choose_threshold(probability, truth, decoder=_decoder(options))


def _decoder(options: argparse.Namespace) -> Decoder:
    for name, low in (("merge_gap", 0), ("min_length", 1)):
        if getattr(options, name) < low:
            raise ValueError(f"--{name.replace('_', '-')}: want {low} or more, got {getattr(options, name)}")
    return Decoder(low=options.low, merge_gap=options.merge_gap, min_length=options.min_length)


def _decoded(
    options: argparse.Namespace, arrays: dict[str, np.ndarray], threshold: Threshold | None
) -> PredictedSpans:
    at = options.threshold if threshold is None else threshold.threshold
    if at is None:
        raise ValueError("--threshold: want one, or --spans, or --inner-truth with --inner-outputs, got none")
    found = decode(arrays["probability"], threshold=at, decoder=_decoder(options))
    score = np.zeros(0) if found.score is None else found.score
    return PredictedSpans(
        window=found.sequence,
        start=found.start,
        end=found.end,
        score=score.astype(np.float32),
        type=np.full(len(found), -1),
    )


def _predicted(table: SpanTable) -> PredictedSpans:
    score = np.ones(len(table)) if table.score is None else table.score
    return PredictedSpans(
        window=table.window,
        start=table.start,
        end=table.end,
        score=score.astype(np.float32),
        type=np.full(len(table), -1),
    )


def _only_known(report: Report, has_probability: bool, has_score: bool) -> Report:
    """Drops the metrics of what was not given, which would be scores of a stand-in."""
    notes, metrics = list(report.notes), report.metrics
    if not has_probability:
        metrics = tuple(m for m in metrics if not OF_PROBABILITY.fullmatch(m.name))
        notes.append("No probabilities were given: what rests on them is left out.")
    if not has_score:
        metrics = tuple(m for m in metrics if m.name != "span_ap")
        notes.append("The predicted spans have no scores: their average precision is left out.")
    return report.model_copy(update={"metrics": metrics, "criteria": judge(metrics), "notes": tuple(notes)})


def _required(gates: Sequence[Gate], report: Report) -> tuple[Criterion, ...]:
    known = [m.name for m in report.metrics]
    for gate in gates:
        if gate.metric not in known:
            raise ValueError(f"--require: want a metric of {known}, got {gate.metric!r}")
    return judge(report.metrics, gates)


def _check_outputs(paths: Sequence[Path]) -> None:
    for path in paths:
        if path.suffix not in FORMATS:
            raise ValueError(f"--report: want a file that ends in one of {list(FORMATS)}, got {path.name!r}")


def _rendered(path: Path, report: Report, data: EvalInput, title: str) -> str:
    if path.suffix == ".json":
        return report.model_dump_json(indent=2) + "\n"
    return report.to_markdown() if path.suffix == ".md" else report_html(report, data, title=title)
